"""What the public suite of the Array API standard is run on: see ci/array-api-tests.

`plain` is the namespace as it is: the arrays that it creates are constants. `recorded` is a copy in
which every floating or complex array is recorded, though no leaf, so that everything that the
suite does goes through the graph. There, `float(x)` and other conversions, which dezero refuses
while a gradient is wanted, give the value, because the suite reads its results with them; and
every result is checked: if an operand is recorded, a floating result must be recorded too.

As a plugin of pytest it prints how many results were checked, by function.
"""

import collections
import functools
import types

from dezero import Variable, backends, protocols
from dezero.dispatch import EXTENSIONS
from dezero.namespace import namespace

CREATION = """
    arange asarray empty empty_like eye from_dlpack full full_like linspace ones ones_like zeros
    zeros_like fft.fftfreq fft.rfftfreq
"""
OPERATORS = """
    add sub mul truediv floordiv mod pow matmul radd rsub rmul rtruediv rfloordiv rmod rpow rmatmul
    iadd isub imul itruediv ifloordiv imod ipow imatmul neg pos abs getitem
"""
CONVERSIONS = ("__float__", "__complex__", "__index__", "__array__", "__dlpack__")

checked = collections.Counter()


def plain(library):
    """The namespace over the arrays of ``library``."""
    if library == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    return namespace(backends.get(library))


def recorded(library):
    """As `plain`, with every floating array recorded and every result checked."""
    for name in CONVERSIONS:
        setattr(Variable, name, _of_the_value(getattr(Variable, name)))
    for name in (f"__{operator}__" for operator in OPERATORS.split()):
        setattr(Variable, name, _checking(name, getattr(Variable, name)))
    Variable.__setitem__ = _checking_assignment(Variable.__setitem__)
    return _Recorded(plain(library))


def recorded_everywhere(library):
    """As `recorded`, but the namespace itself: for code that asks arrays for their namespace.

    NumPy's functions take the values too.
    """
    namespace, copy = plain(library), recorded(library)
    protocols.refuse = lambda x, what: None
    for part in ("", *EXTENSIONS):
        ours = getattr(namespace, part) if part else namespace
        theirs = getattr(copy, part) if part else copy
        for name in set(dir(ours)) - set(EXTENSIONS):
            setattr(ours, name, getattr(theirs, name))
    return namespace


class _Recorded(types.ModuleType):
    """The functions of a namespace, checking; everything else as it is there."""

    def __init__(self, inner, prefix=""):
        super().__init__(inner.__name__ + " (recorded)")
        self._inner, self._prefix = inner, prefix

    def __getattr__(self, name):
        value = getattr(self._inner, name)
        full = self._prefix + name
        if isinstance(value, types.ModuleType):
            value = _Recorded(value, name + ".")
        elif full in CREATION.split():
            value = _recording(value)
        elif isinstance(value, (types.FunctionType, types.MethodType)):
            value = _checking(full, value)
        setattr(self, name, value)
        return value

    def __dir__(self):
        return dir(self._inner)


def _is_floating(x):
    return isinstance(x, Variable) and backends.backend_of(x.data).is_inexact(x.dtype)


def _recording(function):
    """``function`` with a recorded result, which is no leaf."""

    @functools.wraps(function)
    def create(*args, **kwargs):
        y = function(*args, **kwargs)
        return +Variable(y.data) if _is_floating(y) and not y.requires_grad else y

    return create


def _of_the_value(method):
    @functools.wraps(method)
    def convert(self, *args, **kwargs):
        return method(self.detach(), *args, **kwargs)

    return convert


def _variables(x):
    if isinstance(x, Variable):
        yield x
    elif isinstance(x, dict):
        yield from _variables(tuple(x.values()))
    elif isinstance(x, (tuple, list)):
        for part in x:
            yield from _variables(part)


def _is_recorded(x):
    return x.requires_grad and _is_floating(x)


def _checking(name, function):
    """``function``, which fails if a floating result of recorded operands is not recorded."""

    @functools.wraps(function)
    def check(*args, **kwargs):
        wanted = any(map(_is_recorded, _variables((args, kwargs))))
        result = function(*args, **kwargs)
        if wanted:
            for y in filter(_is_floating, _variables(result)):
                if not y.requires_grad:
                    raise AssertionError(f"{name} lost the graph: {y.dtype} of shape {y.shape}")
                checked[name] += 1
        return result

    return check


def _checking_assignment(method):
    @functools.wraps(method)
    def assign(self, key, value):
        wanted = any(map(_is_recorded, _variables((self, value))))
        method(self, key, value)
        if wanted and _is_floating(self):
            if not self.requires_grad:
                raise AssertionError(f"assignment lost the graph: {self.dtype} {self.shape}")
            checked["__setitem__"] += 1

    return assign


def pytest_terminal_summary(terminalreporter):
    """Print how often each function gave a recorded result."""
    if checked:
        total, count = sum(checked.values()), len(checked)
        terminalreporter.section(f"{total:,} recorded results of {count} functions")
        words = [f"{name} {checked[name]}" for name in sorted(checked)]
        terminalreporter.write_line(", ".join(words))
