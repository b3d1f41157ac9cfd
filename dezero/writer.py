"""Source text of a primitive's recorder and pulls, written from its formula and rules.

A formula or rule that is one expression is written into the text itself: it is run once on
symbols, and what it returns is the expression. Anything else (a branch, a loop, a value used
twice) is called.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from opcode import opmap
from typing import Any

from .backends import numpy_backend

__all__ = ["Writer", "argument_names", "defaults", "expression", "signature"]

_Rule = Callable[..., Any] | None
_FACTS = ("_shape", "_dtype")


class _NotOneExpression(Exception):
    """The function needs more than an expression."""


class _Symbol:
    """An operand, or what was made of operands, as source text."""

    __slots__ = ("_text", "_used")

    def __init__(self, text: str, used: int = 0) -> None:
        self._text = text
        self._used = used  # -1: a name, free to be used again

    def __getattr__(self, name: str) -> _Symbol:
        if name.startswith("_"):
            raise _NotOneExpression
        return _Symbol(f"{_text(self)}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> _Symbol:
        words = [_text(a) for a in args] + [f"{k}={_text(v)}" for k, v in kwargs.items()]
        return _Symbol(f"{_text(self)}({', '.join(words)})")

    def __neg__(self) -> _Symbol:
        return _Symbol(f"(-{_text(self)})")

    def __pos__(self) -> _Symbol:
        return _Symbol(f"(+{_text(self)})")

    def _no(self, *args: Any) -> Any:
        raise _NotOneExpression

    __bool__ = __iter__ = __getitem__ = __len__ = __contains__ = __hash__ = _no


def _text(x: Any) -> str:
    if isinstance(x, _Symbol):
        if x._used == 1:
            raise _NotOneExpression
        if x._used == 0:
            x._used = 1
        return x._text
    if isinstance(x, (int, str)) or x is None or (isinstance(x, float) and math.isfinite(x)):
        return f"({x!r})" if repr(x)[0] == "-" else repr(x)
    raise _NotOneExpression


def _operator(sign: str, reflected: bool) -> Any:
    def write(self: _Symbol, other: Any) -> _Symbol:
        a, b = _text(self), _text(other)
        return _Symbol(f"({b} {sign} {a})" if reflected else f"({a} {sign} {b})")

    return write


for _name, _sign in {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**",
    "matmul": "@",
}.items():  # fmt: skip
    setattr(_Symbol, f"__{_name}__", _operator(_sign, False))
    setattr(_Symbol, f"__r{_name}__", _operator(_sign, True))
for _name, _sign in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}.items():
    setattr(_Symbol, f"__{_name}__", _operator(_sign, False))

# What symbols would answer wrongly: globals may be functions that ask for types, and a symbol is
# never None. Such functions are called.
_OTHER = {
    number
    for name, number in opmap.items()
    if "JUMP" in name or name in ("LOAD_GLOBAL", "LOAD_DEREF", "IS_OP", "CONTAINS_OP", "FOR_ITER")
}


def expression(function: Any, names: dict[str, str], xp: str = "xp") -> str | None:
    """What ``function`` returns as one expression over ``names``, or None if it is not one.

    Example:
        >>> expression(lambda xp, g, x: g * xp.cos(x), {"g": "g", "x": "self.v_x"})
        '(g * xp.cos(self.v_x))'
    """
    asked = argument_names(function)[1:]
    if not set(asked) <= names.keys() or _OTHER & set(function.__code__.co_code[::2]):
        return None
    try:
        result = function(_Symbol(xp, -1), *(_Symbol(names[n], -1) for n in asked))
    except Exception:  # whatever symbols cannot do is called instead
        return None
    return result._text if isinstance(result, _Symbol) else None


class Writer:
    """The source of one primitive's recorder and pulls."""

    def __init__(
        self, formula: Any, rules: tuple[_Rule, ...], broadcasts: bool, gate: bool, own: bool
    ) -> None:
        code = formula.__code__
        count = code.co_argcount + code.co_kwonlyargcount
        self.name = formula.__name__
        self.parameters = code.co_varnames[1:count]
        self.operands = self.parameters[: len(rules)]
        self.rules, self.broadcasts, self.own = rules, broadcasts, own
        self.rest = self.parameters[len(rules) :]
        for rule in (formula, *rules):
            code = getattr(rule, "__code__", None)
            if rule is not None and (
                code is None or (rule is not formula and code.co_kwonlyargcount)
            ):
                msg = f"{self.name}: a rule is a function of positional arguments, got {rule!r}"
                raise TypeError(msg)
        self.needs = [argument_names(rule) if rule else () for rule in rules]
        facts = [o + fact for o in self.operands for fact in _FACTS]
        for parameter in self.parameters:
            if parameter in ("g", "y") or parameter.startswith("_") or parameter in facts:
                msg = f"{self.name}: {parameter!r} cannot name a parameter of a formula"
                raise TypeError(msg)
        known = {"g", "y", *self.parameters, *facts}
        for names in self.needs:
            if unknown := set(names[1:]) - known:
                msg = (
                    f"{self.name}: a rule asks for {', '.join(sorted(unknown))}, which is none of "
                )
                raise TypeError(msg + ", ".join(sorted(known)))
        asked = dict.fromkeys(n for names in self.needs for n in names[1:] if n != "g")
        self.saved = tuple(asked)
        self.checks, self.gate = not own, gate
        given = zip(argument_names(formula)[::-1], (formula.__defaults__ or ())[::-1], strict=False)
        self.optional = [name for name, default in given if default is None]
        self.careful = own and self.name in numpy_backend.repaired
        # How many operands pass on their shape and dtype if these are known to be the same.
        self.kinds = len(rules) if own and broadcasts and not gate and len(rules) < 3 else 0
        self.fits = [rule is not None and (not own or len(rules) > 1) for rule in rules]
        self.known = self.kinds > 0 or (any(self.fits) and own and not broadcasts)
        arguments = ", ".join((*self.operands, *(f"{p}={p}" for p in self.rest)))
        self.call = f"_formula(_xp, {arguments})"
        if broadcasts and not self.rest and not formula.__defaults__:
            self.call = expression(formula, {o: o for o in self.operands}, "_xp") or self.call
        self.natives: set[str] = set()
        # Whether operands that are numbers may be arrays of rank 0: nobody asks for their class.
        texts = [self._term(o, "v_") for o in self.differentiable()]
        self.settles = self.kinds == 2 == len(texts) and "_formula(" not in self.call
        self.settles = self.settles and not any(text.startswith("rule_") for text in texts)

    def _term(self, o: str, prefix: str) -> str:
        """The gradient of operand ``o``: its rule's expression, or a call of the rule."""
        index = self.operands.index(o)
        names = {"g": "g"}
        for n in self.saved:
            array = n == "y" or n in self.operands
            names[n] = (prefix if array else "v_") + n
        asked = [names[n] for n in self.needs[index][1:]]
        text = None
        if not set(self.needs[index]) & set(self.rest):
            text = expression(self.rules[index], names)
        return text or f"rule_{o}({', '.join(['xp', *asked])})"

    def _native(self, text: str, xp: str, numpy: str) -> str:
        """``text``; for NumPy with its functions as globals, which Python finds in less time."""
        names = set(re.findall(rf"\b{xp}\.(\w+)", text))
        if not names or not all(hasattr(numpy_backend, name) for name in names):
            return text
        self.natives |= names
        native = re.sub(rf"\b{xp}\.(\w+)", r"_np_\1", text)
        return f"{native} if {xp} is {numpy} else {text}"

    def slots(self) -> list[str]:
        edges = ["e_" + o for o, rule in zip(self.operands, self.rules, strict=True) if rule]
        return [*edges, *(["l"] if any(self.fits) else []), *("v_" + n for n in self.saved)]

    def differentiable(self) -> list[str]:
        return [o for o, rule in zip(self.operands, self.rules, strict=True) if rule]

    def recorder(self, signature: str, several: bool) -> str:
        """The source of the function that users call.

        Its own names begin with an underscore, which no parameter may.
        """
        name, operands = self.name, self.operands
        edges = ["_e_" + o for o in self.differentiable()]
        everything = ", ".join(operands)
        w = [f"def {name}({signature}):"]
        for o in operands:
            other = f"{o}.__class__ is not _ndarray and _isinstance({o}, _Variable)"
            w += [f" if {o}.__class__ is _Variable or ({other}):"]
            w += [f"  _e_{o} = {o}._node"] if "_e_" + o in edges else []
            w += [f"  _k_{o} = {o}._kind"] if self.known else []
            w += [f"  {o} = {o}._data"]
            w += [f"  if {o} is None: _e_{o} = None"] if o in self.optional else []
            w += [" else:"]
            w += [f"  _e_{o} = None"] if "_e_" + o in edges else []
            w += [f"  _k_{o} = None"] if self.known else ["  pass"]
        w += self._find_backend(everything)
        w += ["  if _xp is None:", "   _xp = _default"]
        w += [f"   {operands[0]} = _number('{name}', '{operands[0]}', {operands[0]})"]
        if self.careful:
            o = everything
            w += [f" if _k_{o} is None and _xp is _default: _xp = _xp.careful({o})"]
        call = self._native(self.call, "_xp", "_default")
        if self.kinds == 2 and name in ("add", "subtract", "multiply", "divide"):
            self.natives.add(name)  # in less time than by the operator
            call = f"_np_{name}({everything}) if _arrays is _default else {call}"
        w += [" try:", f"  _y = {call}", " except _Exception as _error:"]
        w += [f"  raise _explained(_error, '{name}', ({everything},)) from None"]
        for p in self.rest if self.checks else ():
            w += [f" if _isinstance({p}, _Variable): raise _not_an_operand('{name}', '{p}')"]
        if self.checks and not self.gate:
            w += [f" _check_complex('{name}', _xp, _y, ({everything},))"]
        silent = " and ".join(f"{e} is None" for e in edges)
        if several:
            w += [f" if ({silent}) or not _recording(): return [_handle(_v, None) for _v in _y]"]
        else:
            w += [" _v = _new(_Variable)", " _v._data = _y", " _v.grad = _v.name = None"]
            late = " = _v._kind" if self.kinds == 2 else ""  # it is compared below
            w += [] if late else [f" _v._kind = {f'_k_{everything}' if self.kinds else 'None'}"]
            w += [f" if ({silent}) or not _recording():", f"  _v._node{late} = None", "  return _v"]
        w += [f" _node = {'_new(_Node)' if several else '_Node(_v)'}", " _node._watch = None"]
        if len(edges) == 1:
            w += [f" _node._rank = {edges[0]}._rank + 1"]
        else:
            w += [f" _rank = 0 if {edges[0]} is None else {edges[0]}._rank"]
            for e in edges[1:]:
                w += [f" if {e} is not None:", f"  _r = {e}._rank", "  if _r > _rank: _rank = _r"]
            w += [" _node._rank = _rank + 1"]
        w += [f" _node.{e[1:]} = {e}" for e in edges]
        w += self._keep(edges) + self._likes()
        if several:
            return "\n".join([*w, " return _outputs(_node, _y)"])
        return "\n".join([*w, " _v._node = _node", " return _v"])

    def _find_backend(self, everything: str) -> list[str]:
        operands = self.operands
        if len(operands) == 1:
            w = [f" if {everything}.__class__ is _ndarray: _xp = _default", " else:"]
            w += ["  try:", f"   _xp = _by_type[{everything}.__class__]", "  except _KeyError:"]
            return [*w, f"   _xp, = _resolve('{self.name}', {everything})"]
        if len(operands) > 2:
            native = " and ".join(f"{o}.__class__ is _ndarray" for o in operands)
            w = [f" if {native}: _xp = _default"]
            return [*w, " else:", f"  _xp = _common('{self.name}', ({everything},), None)"]
        a, b = operands
        w = [f" if {a}.__class__ is _ndarray and {b}.__class__ is _ndarray:"]
        w += ["  _xp = _arrays = _default", *self._scalars("")]
        w += [*self._number(b, a), *self._number(a, b), " else:"]
        w += ["  try:", f"   _xp = _by_type[{a}.__class__]", f"   _xb = _by_type[{b}.__class__]"]
        w += ["  except _KeyError:", f"   _xp, _xb = _resolve('{self.name}', {everything})"]
        w += ["  _arrays = _xp is _xb"]
        w += self._scalars(f" and {a}.__class__ is not {b}.__class__")
        w += ["  if not _arrays:", "   if _xp is None:", "    _xp = _xb"]
        # Python's complex takes np.float64 for a float of its own, and gives no array.
        w += [f"    if _complex is {a}.__class__ and _xp is _default: {b} = _xp.asarray({b})"]
        return [*w, f"   elif _xb is not None: raise _mixed('{self.name}', {everything})"]

    def _scalars(self, other: str) -> list[str]:
        """NumPy's arrays of rank 0 as its scalars, with which Python computes much faster."""
        if self.kinds != 2:
            return []
        a, b = self.operands
        both = f"_k_{a} is _SCALAR and _k_{b} is _SCALAR{other}"
        return [f"  if {both}: {a}, {b}, _arrays = {a}[()], {b}[()], True"]

    def _number(self, number: str, array: str) -> list[str]:
        """A Python number beside an array of NumPy's.

        Of one of rank 0 Python computes faster with the scalar, NumPy of others with an array.
        """
        if self.kinds != 2:
            return []
        kinds = f"({number}.__class__ is _float or {number}.__class__ is _int)"
        w = [f" elif {array}.__class__ is _ndarray and {kinds}:"]
        w += ["  _xp, _arrays = _default, False"]
        w += [f"  if _k_{array} is _SCALAR: {array} = {array}[()]"]
        if self.settles:
            w += ["  else:", f"   _table = _numbers.get({array}.dtype)"]
            w += [f"   if _table is not None: {number} = _table[{number}]"]
        return w

    def _keep(self, edges: list[str]) -> list[str]:
        w = []
        for saved in self.saved:
            value = "_y" if saved == "y" else saved
            needed = ""
            if saved[-6:] in _FACTS and saved[:-6] in self.operands:
                value = f"{saved[:-6]}.{saved[-5:]}"
                needed = f" if _e_{saved[:-6]} is not None else None" if len(edges) > 1 else ""
            elif saved not in self.rest:
                pairs = zip(self.operands, self.needs, strict=True)
                users = ["_e_" + o for o, names in pairs if saved in names]
                if len(users) < len(edges):
                    needed = f" if {' or '.join(f'{e} is not None' for e in users)} else None"
            w += [f" _node.v_{saved} = {value}{needed}"]
        return w

    def _likes(self) -> list[str]:
        """``_node.l``: what each gradient must become for its operand; None if nothing."""
        if not any(self.fits):
            return []
        terms = []
        for o, fits in zip(self.operands, self.fits, strict=True):
            others = [x for x in self.operands if x != o] if len(self.operands) == 2 else []
            like = f"({o}.shape, {o}.dtype)"
            if self.broadcasts and not self.checks:
                like = f"_like({', '.join(['_xp', o, '_y', *others])})"
            elif self.known:
                like = f"_k_{o} or {like}"
            terms += [f"None if _e_{o} is None else {like}" if fits else "None"]
        likes = f"_node.l = ({', '.join(terms)},)"
        if self.checks or not self.broadcasts or len(self.operands) != 2:
            return [" " + likes]
        a, b = self.operands
        known, likes = f"_v._kind = _k_{a} or _k_{b}", "_v._kind = None; " + likes
        w = [" _node.l = None", f" if _k_{a} is _k_{b} and _k_{a} is not None: _v._kind = _k_{a}"]
        alike = f"{a}.dtype is {b}.dtype and {a}.shape == {b}.shape"
        like_a = f"{b}.dtype is _k_{a}[1] and {b}.shape == _k_{a}[0]"
        w += [" elif _arrays:", f"  if ({like_a}) if _k_{a} is not None else ({alike}): {known}"]
        w += [f"  else: {likes}", f" elif _complex is {a}.__class__ or _complex is {b}.__class__:"]
        return [*w, "  " + likes, f" else: {known}"]

    def edges(self) -> str:
        """The source of the property that lists the nodes gradients go to."""
        ends = [f"self.e_{o}" for o in self.differentiable()]
        if len(ends) == 1:
            return f"def _edges(self): return () if {ends[0]} is None else ({ends[0]},)"
        return f"def _edges(self): return tuple([e for e in ({', '.join(ends)}) if e is not None])"

    def pull(self, general: bool, gate: bool, several: bool) -> str:
        """The source of a pull: for raw, real arrays; or, if ``general``, for any sweep."""
        w = [
            f"def _pull{'_general' if general else ''}(self, g, sweep, keep):",
            " table = sweep.table",
        ]
        if general:
            w += self._general(gate, several)
        elif several:
            w += [" g = filled(self, g, sweep)", " xp = backend_of(g[0])"]
        elif gate or any("xp" in self._term(o, "v_") for o in self.differentiable()):
            w += [" if g.__class__ is ndarray: xp = numpy"]
            w += [" else: xp = by_type.get(g.__class__) or backend_of(g)"]
        w += [f" v_{n} = self.v_{n}" for n in self.saved]
        arrays = [n for n in self.saved if n == "y" or n in self.operands]
        if arrays:
            w += [" if not keep: " + " = ".join(f"self.v_{n}" for n in arrays) + " = RELEASED"]
        if not general and gate:
            w += [" complex_now = False"]
        for o, rule, names, fits in zip(
            self.operands, self.rules, self.needs, self.fits, strict=True
        ):
            if rule is not None:
                w += self._one(o, names, fits, general, gate, several)
        return "\n".join([*w, " return complex_now" if gate and not general else ""])

    def _general(self, gate: bool, several: bool) -> list[str]:
        """What a sweep is: of which namespace, recorded, of complex numbers."""
        one = "g[0]" if several else "g"
        w = [" g = filled(self, g, sweep)"] if several else []
        w += [" record, wanted = sweep.record, sweep.wanted"]
        backend = "by_type.get(raw.__class__) or backend_of(raw)"
        recorded = "xp.recorded or namespace_of(xp)"
        indent = " "
        if self.kinds:  # operands are like the result, unless they were broadcast
            known = "record and self.l is None" if any(self.fits) else "record"
            w += [f" kind = g._kind if {known} else None", " if kind is not None:"]
            w += ["  conjugate = False"]
            if any("xp" in self._term(o, "w_") for o in self.differentiable()):
                w += ["  raw = g._data", f"  xp = {backend}", f"  xp = {recorded}"]
            w += [" else:"]
            indent = "  "
        rest = [f"raw = {one}._data if record else {one}", f"xp = {backend}"]
        rest += [f"conjugate = {not gate} and xp.is_complex(raw.dtype)"]
        rest += [f"if record: xp = {recorded}"]
        rest += [f"if conjugate: g = {'[xp.conj(v) for v in g]' if several else 'xp.conj(g)'}"]
        return w + [indent + line for line in rest]

    def _one(self, o: str, names: tuple[str, ...], *flags: bool) -> list[str]:
        fits, general, gate, several = flags
        wanted = f" and (wanted is None or e_{o} in wanted)" if general else ""
        w = [f" e_{o} = self.e_{o}", f" if e_{o} is not None{wanted}:"]
        for n in names[1:]:
            if n == "y" or n in self.operands:
                w += [f"  if v_{n} is RELEASED: raise released(self)"]
                if general and several and n == "y":
                    w += ["  w_y = parts(self, v_y) if record else v_y"]
                elif general:
                    constant = n != "y" and n not in self.differentiable()
                    edge = "self" if n == "y" else "None" if constant else f"self.e_{n}"
                    kind = "kind" if self.kinds else "None"
                    w += [f"  w_{n} = saved(v_{n}, {edge}, {kind}) if record else v_{n}"]
        term = self._term(o, "w_" if general else "v_")
        w += [f"  d = {term if general or several else self._native(term, 'xp', 'numpy')}"]
        xp, i = "xp" if general else "backend_of(d)", self.operands.index(o)
        if general:
            w += ["  if conjugate: d = xp.conj(d)"]
        if self.checks:
            about = f"'{self.name}', '{o}', {self.broadcasts}"
            w += [f"  d = checked({'xp' if general else 'None'}, d, self.l[{i}], {about})"]
        elif fits:
            w += ["  if self.l is not None:", f"   like = self.l[{i}]"]
            w += ["   if like is not None and (d.shape != like[0] or d.dtype is not like[1]):"]
            w += [f"    d = fit({xp}, d, like)"]
        if gate and not general:
            w += ["  complex_now = complex_now or xp.is_complex(d.dtype)"]
        w += [f"  rank = e_{o}._rank", f"  if table[rank] is None: table[rank] = (e_{o}, d)"]
        return [*w, f"  else: deliver(sweep, e_{o}, d)"]


def argument_names(rule: Any) -> tuple[str, ...]:
    """The names of the positional arguments of a function."""
    return rule.__code__.co_varnames[: rule.__code__.co_argcount]


def signature(formula: Any) -> str:
    """The arguments after ``xp`` as source, with ``default_<name>`` for defaults."""
    code, defaults = formula.__code__, formula.__defaults__ or ()
    names = list(code.co_varnames[1 : code.co_argcount])
    plain = len(names) - len(defaults)
    words = [n if i < plain else f"{n}=default_{n}" for i, n in enumerate(names)]
    keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    if keywords:
        given = formula.__kwdefaults__ or {}
        words += ["*", *(f"{n}=default_{n}" if n in given else n for n in keywords)]
    return ", ".join(words)


def defaults(formula: Any) -> dict[str, Any]:
    """The values of `signature`'s default names."""
    code, defaults = formula.__code__, formula.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount][code.co_argcount - len(defaults) :]
    found = dict(zip(names, defaults, strict=True)) | (formula.__kwdefaults__ or {})
    return {"default_" + name: value for name, value in found.items()}
