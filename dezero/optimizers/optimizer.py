"""What all optimizers share: the step, groups, hooks, and the state, which can be saved."""

import math
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from ..backends import Backend, backend_of
from ..core import Parameter, Variable
from ..layers import Layer

__all__ = [
    "ANY",
    "FRACTION",
    "Group",
    "Hook",
    "Optimizer",
    "Range",
    "checked",
    "gradient",
    "is_alone",
    "is_number",
    "kind_of",
    "refuse",
    "set_gradient",
    "subtract",
]

_recorded: Any = None
"""While a call is compiled: it makes and notes the updates of the recording thread."""

Hook = Callable[[list[Parameter]], None]
Range = tuple[float, float]  # from the first number to below the second

ANY: Range = (0.0, math.inf)
FRACTION: Range = (0.0, 1.0)


class Group:
    """Parameters with options and hooks of their own; `Optimizer.add_group` makes it.

    An option that the group was not given is the optimizer's at any time. Options may be assigned.

    Attributes:
        params: The parameters.
        hooks: Called with those of them that have a gradient, before the optimizer's own hooks.
    """

    def __init__(
        self,
        optimizer: "Optimizer",
        params: tuple[Parameter, ...],
        hooks: Iterable[Hook],
        options: Mapping[str, Any],
    ) -> None:
        self._optimizer = optimizer
        self.params = params
        self.hooks: list[Hook] = list(hooks)
        self.__dict__.update(options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._optimizer.options:
            msg = f"a group of parameters has no option {name!r}"
            raise AttributeError(msg)
        return getattr(self._optimizer, name)

    def has(self, name: str) -> bool:
        """Whether the group has an option of its own."""
        return name in self.__dict__


class _Own:
    """What is kept for one parameter: its arrays by slot, and how many updates it has had."""

    __slots__ = ("arrays", "param", "steps")

    def __init__(self, param: Parameter) -> None:
        self.param = weakref.ref(param)
        self.arrays: dict[str, Any] = {}
        self.steps = 0


class Optimizer:
    """Base of the optimizers.

    Subclasses override `update_one`, and `slots`, `counters`, `options` as they need them.

    Attributes:
        target: The layer whose parameters are updated.
        hooks: Functions of the list of parameters that have a gradient, called before each update.
        groups: Parameters with options of their own.

    Example:
        >>> import numpy as np
        >>> from dezero.layers import Linear
        >>> from dezero.optimizers import SGD
        >>> layer = Linear(1, in_size=2)
        >>> optimizer = SGD(lr=0.1).setup(layer)
        >>> layer(np.ones((4, 2), np.float32)).sum().backward()
        >>> optimizer.update()
        >>> print(layer.b)
        [-0.4]
    """

    #: Names of the arrays that `update_one` keeps for each parameter.
    slots: tuple[str, ...] = ()
    #: Names of the attributes that change from step to step.
    counters: tuple[str, ...] = ()
    #: The numbers that groups may have of their own, with the range of each.
    options: ClassVar[dict[str, Range]] = {}
    #: Which option is the learning rate that schedules set.
    rate: ClassVar[str] = "lr"

    def __init__(self, **options: Any) -> None:
        self.target: Layer | None = None
        self.hooks: list[Hook] = []
        self.groups: list[Group] = []
        self._states: dict[int, _Own] = {}
        self._group_of: dict[int, Group] = {}
        for name, value in self._checked(options).items():
            setattr(self, name, value)

    def setup(self, target: Layer, groups: Iterable[Mapping[str, Any]] | None = None) -> Self:
        """Take ``target``'s parameters as those to update, and return self.

        May be called again with another layer; what is known of parameters that still exist stays.

        Args:
            target: A layer.
            groups: What `add_group` takes, as dictionaries with the key ``"params"``; they replace
                earlier groups. None keeps those.

        Example:
            >>> from dezero.layers import Linear, Sequential
            >>> from dezero.optimizers import SGD
            >>> model = Sequential(Linear(8), Linear(2))
            >>> optimizer = SGD(0.1).setup(model, groups=[{"params": model.l1, "lr": 0.01}])
            >>> optimizer.groups[0].lr
            0.01
        """
        if not (hasattr(target, "params") and hasattr(target, "namedparams")):
            msg = f"{type(self).__name__}.setup: got {type(target).__name__}, expected a Layer"
            raise TypeError(msg)
        if groups is not None:
            before = self.target, self.groups, self._group_of
            self.target, self.groups, self._group_of = target, [], {}
            try:
                for group in groups:
                    self.add_group(**group)
            except BaseException:
                self.target, self.groups, self._group_of = before
                raise
            del before  # the earlier target's parameters may be gone with it
        self.target = target
        self._states = {key: own for key, own in self._states.items() if own.param() is not None}
        return self

    def add_group(
        self,
        params: Layer | Parameter | Iterable[Layer | Parameter],
        *,
        hooks: Iterable[Hook] = (),
        **options: Any,
    ) -> Group:
        """Give some parameters options and hooks of their own.

        Args:
            params: A layer, a Parameter, or several of them. A layer stands for the parameters
                that it has now; they may get their data later.
            hooks: Called before the optimizer's own.
            **options: Such as ``lr=0.01``.

        Raises:
            TypeError: There is no such option, or something else than layers and Parameters.
            ValueError: A number is out of range, a parameter is in another group, or not in the
                target.
        """
        where = f"{type(self).__name__}.add_group"
        found: dict[int, Parameter] = {}
        items: Any = [params] if isinstance(params, (Layer, Parameter)) else params
        for item in items:
            if not isinstance(item, (Layer, Parameter)):
                msg = f"{where}: got {item!r}, expected a Layer or a Parameter"
                raise TypeError(msg)
            own = [item] if isinstance(item, Parameter) else item.params()
            found.update((id(param), param) for param in own)
        taken = [self._name_of(p) for key, p in found.items() if key in self._group_of]
        if taken:
            msg = f"{where}: in another group already: {', '.join(taken)}"
            raise ValueError(msg)
        if self.target is not None:
            known = {id(param) for param in self.target.params()}
            strange = [p.name or repr(p) for key, p in found.items() if key not in known]
            if strange:
                msg = f"{where}: not parameters of the target: {', '.join(strange)}"
                raise ValueError(msg)
        group = Group(self, tuple(found.values()), hooks, self._checked(options))
        self.groups.append(group)
        self._group_of.update((key, group) for key in found)
        return group

    def update(self, closure: Callable[[], Any] | None = None) -> Any:
        """Call the hooks, then update every parameter that has a gradient and is not frozen.

        Args:
            closure: Called first, to clear the gradients, compute the loss and go back from it.

        Returns:
            What ``closure`` returned.

        Raises:
            RuntimeError: `setup` was not called.
            ValueError: A gradient's shape is not its parameter's; nothing has been updated.
        """
        self.check_setup()
        loss = None if closure is None else closure()
        if _recorded is not None and _recorded(self):
            return loss
        params = self.ready()
        self.begin_update()
        self.update_all(params)
        return loss

    def check_setup(self) -> Layer:
        """The target.

        Raises:
            RuntimeError: There is none.
        """
        if self.target is None:
            msg = f"{type(self).__name__}.update: no target; call setup(layer) first"
            raise RuntimeError(msg)
        return self.target

    def ready(self) -> list[Parameter]:
        """The parameters to update, after the hooks: those with a gradient of the right shape."""
        params = [p for p in self.check_setup().params() if p.grad is not None and p.requires_grad]
        for group in self.groups:
            if group.hooks:
                _hooked(group.hooks, [p for p in params if self._group_of.get(id(p)) is group])
        params = _hooked(self.hooks, params)
        for param in params:
            grad: Any = param.grad
            if tuple(grad.shape) != tuple(param.shape):
                msg = (
                    f"{type(self).__name__}.update: gradient of shape {tuple(grad.shape)} "
                    f"for parameter {self._name_of(param)} of shape {tuple(param.shape)}"
                )
                raise ValueError(msg)
        return params

    def begin_update(self) -> None:
        """Prepare for one update of all parameters, such as counting it."""

    def update_all(self, params: list[Parameter]) -> None:
        """Update parameters, each of which has a gradient."""
        for param in params:
            self.update_one(param)

    def update_one(self, param: Parameter) -> None:
        """Update one parameter, which has a gradient."""
        msg = f"{type(self).__name__}.update_one is not defined"
        raise NotImplementedError(msg)

    def add_hook(self, f: Hook) -> None:
        """Have ``f`` called with the parameters that have a gradient, before each update."""
        self.hooks.append(f)

    def options_of(self, param: Parameter) -> Any:
        """Where to read the options that hold for ``param``: its group, or the optimizer."""
        return self._group_of.get(id(param), self) if self._group_of else self

    def state(self, param: Parameter) -> dict[str, Any]:
        """The arrays kept for ``param``, by slot; empty at first."""
        return self._own(param).arrays

    def counted(self, param: Parameter) -> int:
        """How many updates ``param`` has had with this one, which is counted by the call.

        They are fewer than all where it had no gradient at times.
        """
        own = self._own(param)
        own.steps += 1
        return own.steps

    def _own(self, param: Parameter) -> "_Own":
        own = self._states.get(id(param))
        if own is None or own.param() is not param:  # ids are given anew when an object is gone
            own = self._states[id(param)] = _Own(param)
        return own

    def state_dict(self) -> dict[str, np.ndarray]:
        """Everything that changes from step to step, as copies on the host, by name.

        The options are not in it: they are the program's, or a schedule's.

        Example:
            >>> import numpy as np
            >>> from dezero.layers import Linear
            >>> from dezero.optimizers import Adam
            >>> sorted(Adam().setup(Linear(1, in_size=2)).state_dict())
            ['t']
        """
        arrays = {
            f"{prefix}{name}": np.array(getattr(holder, name))
            for prefix, holder in self._holders()
            for name in holder.counters
        }
        for name, param in self._named():
            own = self._own(param)
            for slot, array in own.arrays.items():
                arrays[f"{name}/{slot}"] = np.array(backend_of(param.data).to_numpy(array))
            if own.arrays and "t" in self.counters and own.steps != arrays["t"]:
                arrays[f"{name}/t"] = np.array(own.steps)
        return arrays

    def load_state_dict(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Return to what `state_dict` gave; arrays go where the parameters are.

        Raises:
            ValueError: Names or shapes differ; all are listed, and nothing has been changed.
        """
        problems, counts = [], []
        known: set[str] = set()
        for prefix, holder in self._holders():
            for name in holder.counters:
                key = prefix + name
                known.add(key)
                if key not in arrays:
                    problems.append(f"{key}: missing")
                elif arrays[key].shape != () or arrays[key].dtype.kind not in "iuf":
                    problems.append(f"{key}: {kind_of(arrays[key])}, expected one number")
                else:
                    counts.append((holder, name, arrays[key].item()))
        states: list[_Own] = []
        for name, param in self._named():
            own = _Own(param)
            state = own.arrays
            there = [slot for slot in self.slots if f"{name}/{slot}" in arrays]
            for slot in self.slots if there else ():  # else it has had no gradient yet
                key = f"{name}/{slot}"
                known.add(key)
                if slot not in there:
                    problems.append(f"{key}: missing")
                elif param.data is None or arrays[key].shape != tuple(param.shape):
                    have = "no data yet" if param.data is None else tuple(param.shape)
                    problems.append(f"{key}: shape {arrays[key].shape}, the parameter's is {have}")
                elif arrays[key].dtype.kind not in "fcV":
                    problems.append(f"{key}: {kind_of(arrays[key])}, expected floating numbers")
                else:
                    backend = backend_of(param.data)
                    device = backend.device(param.data)
                    state[slot] = _as_kept(backend, arrays[key], param.data.dtype, device)
            key = f"{name}/t"
            if there and "t" in self.counters and key in arrays:
                known.add(key)
                if arrays[key].shape != () or arrays[key].dtype.kind not in "iu":
                    problems.append(f"{key}: {kind_of(arrays[key])}, expected one integer")
                else:
                    own.steps = int(arrays[key])
            elif there and "t" in arrays and arrays["t"].shape == ():
                own.steps = int(arrays["t"])
            states.append(own)
        problems += [f"{key}: unknown" for key in arrays if key not in known]
        refuse(f"state does not fit {type(self).__name__} and its target:", problems)
        for holder, name, value in counts:
            setattr(holder, name, value)
        self._states = {id(own.param()): own for own in states}

    def _named(self) -> list[tuple[str, Parameter]]:
        return [] if self.target is None else list(self.target.namedparams())

    def _name_of(self, param: Parameter) -> str:
        names = [name for name, p in self._named() if p is param]
        return names[0] if names else param.name or repr(param)

    def _holders(self) -> list[tuple[str, Any]]:
        """What has counters, with the beginning of their names: itself, and hooks that count."""
        holders: list[tuple[str, Any]] = [("", self)]
        named = [("", self.hooks)]
        named += [(f"group {i} ", group.hooks) for i, group in enumerate(self.groups)]
        for prefix, hooks in named:
            for i, hook in enumerate(hooks):
                if getattr(hook, "counters", ()):
                    holders.append((f"{prefix}hook {i}/", hook))
        return holders

    def _checked(self, options: Mapping[str, Any]) -> dict[str, float]:
        unknown = [name for name in options if name not in self.options]
        if unknown:
            msg = (
                f"{type(self).__name__}: no option {', '.join(unknown)}; "
                f"there are {', '.join(self.options)}"
            )
            raise TypeError(msg)
        return {
            name: checked(type(self).__name__, name, value, self.options[name])
            for name, value in options.items()
        }


def checked(where: str, name: str, value: Any, within: Range = ANY) -> float:
    """``value`` as a float.

    Raises:
        TypeError: It is not a number.
        ValueError: It is not finite, or not in the range.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        msg = f"{where}: {name} is {value!r}, expected a number"
        raise TypeError(msg) from None
    low, high = within
    if not low <= number < high:
        above = "" if high == math.inf else f" to below {high:g}"
        msg = f"{where}: {name} is {number:g}, expected a finite number from {low:g}{above}"
        raise ValueError(msg)
    return number


def is_number(value: Any) -> bool:
    """Whether ``value`` is a number of Python, and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def refuse(head: str, problems: list[str]) -> None:
    """Raise a ValueError that lists the problems, if there are any."""
    if problems:
        raise ValueError("\n  ".join([head, *problems]))


def gradient(param: Parameter) -> tuple[Backend, Any]:
    """The backend of a parameter and its raw gradient, in the parameter's dtype."""
    data, grad = param.data, param.grad
    backend = backend_of(data)
    if grad is None:
        msg = f"parameter {param.name or ''} has no gradient"
        raise ValueError(msg)
    g = grad.data
    return backend, g if g.dtype == data.dtype else backend.cast(g, data.dtype)


def subtract(param: Parameter, step: Any) -> None:
    """Subtract ``step`` from the parameter; in place where `is_alone`."""
    if is_alone(param):
        data = param.data
        data -= step
    else:
        data = param.data - step
        # NumPy turns results without axes into scalars.
        param.data = np.asarray(data) if isinstance(data, np.generic) else data


def set_gradient(param: Parameter, g: Any) -> None:
    """Give the parameter a new gradient array; the old one may belong to others too."""
    param.grad = Variable(np.asarray(g) if isinstance(g, np.generic) else g, requires_grad=False)


def is_alone(param: Parameter) -> bool:
    """Whether the parameter's array may be changed because nobody else can see it.

    That is an array of its own memory, in a library whose arrays can be changed, to which only the
    parameter refers. A recorded graph or the user may hold the array otherwise, and shall not find
    it changed.
    """
    backend = backend_of(param.data)
    if backend not in _alone:
        new = Parameter(backend.zeros((1,), device=backend.device(param.data)))
        _alone[backend] = backend.holders(new.data) if _COUNTS else None
    counts = _alone[backend]
    return counts is not None and counts == backend.holders(param.data)


_COUNTS = sys.implementation.name == "cpython"  # others do not count references
_alone: dict[Backend, tuple[int, ...] | None] = {}  # `holders` of a parameter's array


def _hooked(hooks: list[Hook], params: list[Parameter]) -> list[Parameter]:
    """Those of ``params`` that have a gradient after the hooks: one may have frozen some."""
    for hook in list(hooks):
        hook(params)
        params = [p for p in params if p.grad is not None]
    return [p for p in params if p.grad is not None]


def _as_kept(backend: Backend, array: np.ndarray, dtype: Any, device: Any) -> Any:
    """An array from a file in a parameter's dtype, if both are real."""
    kept = backend.from_numpy(array.copy(), device)
    real = array.dtype.kind == "f" and not backend.is_complex(dtype)
    return backend.cast(kept, dtype) if real else kept


def kind_of(array: np.ndarray) -> str:
    """Dtype and shape in words."""
    return f"{array.dtype} of shape {array.shape}"
