"""What all optimizers share: the step, the hooks, and the state, which can be saved."""

import sys
import weakref
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from ..backends import Backend, backend_of
from ..core import Parameter, Variable
from ..layers import Layer

__all__ = ["Optimizer", "gradient", "set_gradient", "subtract"]


class Optimizer:
    """Base of the optimizers.

    Subclasses override `update_one`, and `slots`, `counters` if they keep state.

    Attributes:
        target: The layer whose parameters are updated.
        hooks: Functions of the list of parameters that have a gradient, called before each update.

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

    def __init__(self) -> None:
        self.target: Layer | None = None
        self.hooks: list[Callable[[list[Parameter]], None]] = []
        self._states: dict[int, tuple[weakref.ref[Parameter], dict[str, Any]]] = {}

    def setup(self, target: Layer) -> Self:
        """Take ``target``'s parameters as those to update, and return self.

        May be called again with another layer; what is known of parameters that still exist stays.
        """
        self.target = target
        self._states = {key: entry for key, entry in self._states.items() if entry[0]() is not None}
        return self

    def update(self) -> None:
        """Call the hooks, then update every parameter that has a gradient.

        Raises:
            RuntimeError: `setup` was not called.
            ValueError: A gradient's shape is not its parameter's; nothing has been updated.
        """
        if self.target is None:
            msg = f"{type(self).__name__}.update: no target; call setup(layer) first"
            raise RuntimeError(msg)
        params = [p for p in self.target.params() if p.grad is not None]
        for hook in self.hooks:
            hook(params)
            params = [p for p in params if p.grad is not None]  # a hook may have frozen some
        for param in params:
            _, g = gradient(param)
            if tuple(g.shape) != tuple(param.shape):
                msg = (
                    f"{type(self).__name__}.update: gradient of shape {tuple(g.shape)} "
                    f"for parameter {param.name or ''} of shape {tuple(param.shape)}"
                )
                raise ValueError(msg)
        self.begin_update()
        for param in params:
            self.update_one(param)

    def begin_update(self) -> None:
        """Prepare for one update of all parameters, such as counting it."""

    def update_one(self, param: Parameter) -> None:
        """Update one parameter, which has a gradient."""
        msg = f"{type(self).__name__}.update_one is not defined"
        raise NotImplementedError(msg)

    def add_hook(self, hook: Callable[[list[Parameter]], None]) -> None:
        """Have ``hook`` called with the parameters that have a gradient, before each update."""
        self.hooks.append(hook)

    def state(self, param: Parameter) -> dict[str, Any]:
        """The arrays kept for ``param``, by slot; empty at first."""
        entry = self._states.get(id(param))
        if entry is None or entry[0]() is not param:  # ids are given anew when an object is gone
            entry = (weakref.ref(param), {})
            self._states[id(param)] = entry
        return entry[1]

    def state_dict(self) -> dict[str, np.ndarray]:
        """Everything that changes from step to step, as copies on the host, by name.

        Example:
            >>> import numpy as np
            >>> from dezero.layers import Linear
            >>> from dezero.optimizers import Adam
            >>> sorted(Adam().setup(Linear(1, in_size=2)).state_dict())
            ['t']
        """
        arrays = {name: np.array(getattr(self, name)) for name in self.counters}
        for name, param in self._named():
            for slot, array in self.state(param).items():
                arrays[f"{name}/{slot}"] = np.array(backend_of(param.data).to_numpy(array))
        return arrays

    def load_state_dict(self, arrays: dict[str, np.ndarray]) -> None:
        """Return to what `state_dict` gave; arrays go where the parameters are.

        Raises:
            ValueError: Names or shapes differ; all are listed, and nothing has been changed.
        """
        problems = [f"{name}: missing" for name in self.counters if name not in arrays]
        known = set(self.counters)
        states: list[tuple[Parameter, dict[str, Any]]] = []
        for name, param in self._named():
            state = {}
            for slot in self.slots:
                key = f"{name}/{slot}"
                if key not in arrays:
                    continue  # this parameter has had no gradient yet
                known.add(key)
                if param.data is None or arrays[key].shape != tuple(param.shape):
                    have = "no data yet" if param.data is None else tuple(param.shape)
                    problems.append(f"{key}: shape {arrays[key].shape}, the parameter's is {have}")
                    continue
                backend = backend_of(param.data)
                state[slot] = backend.from_numpy(arrays[key].copy(), backend.device(param.data))
            states.append((param, state))
        problems += [f"{key}: unknown" for key in arrays if key not in known]
        if problems:
            head = f"state does not fit {type(self).__name__} and its target:"
            raise ValueError("\n  ".join([head, *problems]))
        for name in self.counters:
            setattr(self, name, arrays[name].item())
        self._states = {id(param): (weakref.ref(param), state) for param, state in states}

    def _named(self) -> list[tuple[str, Parameter]]:
        return [] if self.target is None else list(self.target.namedparams())


def gradient(param: Parameter) -> tuple[Backend, Any]:
    """The backend of a parameter and its raw gradient, in the parameter's dtype."""
    backend = backend_of(param.data)
    if param.grad is None:
        msg = f"parameter {param.name or ''} has no gradient"
        raise ValueError(msg)
    return backend, backend.cast(param.grad.data, param.data.dtype)


_BLOCK = 65_536  # numbers: what a temporary may have, so that it stays in the cache


def subtract(param: Parameter, step: Any, scale: float = 1.0) -> None:
    """Subtract ``scale * step`` from the parameter.

    In place where nobody else can see it: a NumPy array of its own memory to which only the
    parameter refers. A recorded graph or the user may hold the array otherwise, and shall not
    find it changed; then, and with every other library, the parameter gets a new array.
    """
    if not _is_alone(param):
        data = param.data - (step if scale == 1.0 else scale * step)
        # NumPy turns results without axes into scalars.
        param.data = np.asarray(data) if isinstance(data, np.generic) else data
    elif scale == 1.0:
        np.subtract(param.data, step, out=param.data)
    else:
        rows, steps = np.atleast_1d(param.data), np.atleast_1d(step)
        count = max(1, _BLOCK * len(rows) // max(1, rows.size))
        for i in range(0, len(rows), count):
            rows[i : i + count] -= scale * steps[i : i + count]


def set_gradient(param: Parameter, g: Any) -> None:
    """Give the parameter a new gradient array; the old one may belong to others too."""
    param.grad = Variable(g, requires_grad=False)


def _is_alone(param: Parameter) -> bool:
    global _references
    if type(param.data) is not np.ndarray or sys.implementation.name != "cpython":
        return False
    if _references is None:
        _references = _count(Parameter(np.zeros(1)))
    return (
        _count(param) == _references  # before `flags`, which refers to the array as well
        and param.data.flags.owndata
        and param.data.flags.writeable
    )


def _count(param: Parameter) -> int:
    return sys.getrefcount(param.data)


_references: int | None = None  # what `_count` gives for an array that is the parameter's alone
