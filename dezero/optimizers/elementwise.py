"""Optimizers whose rule treats each number by itself: on NumPy over blocks in the cache."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ..backends import numpy_backend
from ..core import Parameter
from .optimizer import Optimizer, gradient, is_alone

__all__ = ["Elementwise", "Work", "over", "square"]

_BLOCK = 65_536  # numbers: a block of every array and its temporaries stay in the cache
_SMALL = 2048  # numbers of an array for which calls cost more than copies; twice with each slot


class Work:
    """What a formula computes with: any library's operations, and memory for temporaries.

    The binary operations and `sqrt` may write to ``out``, which is what `spare` gave, and only what
    they return is to be used.

    Attributes:
        xp: The backend, for all other functions.
    """

    def __init__(self, xp: Any) -> None:
        self.xp = xp

    def spare(self) -> Any:
        """Memory for a temporary of the parameter's dtype; None where a new array is as good."""
        return None

    def add(self, a: Any, b: Any, out: Any = None) -> Any:
        """``a + b``."""
        return a + b

    def subtract(self, a: Any, b: Any, out: Any = None) -> Any:
        """``a - b``."""
        return a - b

    def multiply(self, a: Any, b: Any, out: Any = None) -> Any:
        """``a * b``."""
        return a * b

    def divide(self, a: Any, b: Any, out: Any = None) -> Any:
        """``a / b``."""
        return a / b

    def sqrt(self, a: Any, out: Any = None) -> Any:
        """The square root."""
        return self.xp.sqrt(a)


class _NumPyWork(Work):
    """NumPy's operations, with temporaries that are made once."""

    add: Any = staticmethod(np.add)
    subtract: Any = staticmethod(np.subtract)
    multiply: Any = staticmethod(np.multiply)
    divide: Any = staticmethod(np.divide)
    sqrt: Any = staticmethod(np.sqrt)

    def __init__(self, xp: Any) -> None:
        super().__init__(xp)
        self._made: list[Any] = []
        self._used = 0
        self._size = 0
        self._dtype: Any = None

    def begin(self, size: int, dtype: Any) -> None:
        """Let all temporaries be used again, by blocks of ``size`` numbers; 0: have none."""
        self._used, self._size = 0, size
        if dtype != self._dtype:
            self._made, self._dtype = [], dtype

    def spare(self) -> Any:
        if not self._size:
            return None
        if self._used == len(self._made):
            self._made.append(np.empty(_BLOCK, self._dtype))
        self._used += 1
        return self._made[self._used - 1][: self._size]


class _Together:
    """Small NumPy arrays of several parameters, one after the other in one vector of each kind.

    The arrays of the slots live there; parameters and gradients are copied for each update.
    """

    def __init__(self, owns: list[Any], arrays: list[Any], slots: tuple[str, ...]) -> None:
        self.owns = owns
        size, dtype = sum(p.size for p in arrays), arrays[0].dtype
        self.p, self.g = np.empty(size, dtype), np.empty(size, dtype)
        self.slots = {slot: np.empty(size, dtype) for slot in slots}
        ends = np.cumsum([p.size for p in arrays]).tolist()
        self.views: list[Any] = []
        self.kept: list[list[Any]] = []
        for own, p, end in zip(owns, arrays, ends, strict=True):
            vectors = [self.p, *self.slots.values()]
            new, *views = [v[end - p.size : end].reshape(p.shape) for v in vectors]
            for slot, view in zip(slots, views, strict=True):
                view[...] = own.arrays[slot]
                own.arrays[slot] = view
            self.views.append(new)
            self.kept.append(views)

    def holds(self, owns: list[Any], arrays: list[Any]) -> bool:
        """Whether these are its parameters, and the arrays of their slots still lie here."""
        if len(owns) != len(self.owns):
            return False
        for own, mine, p, there, views in zip(
            owns, self.owns, arrays, self.views, self.kept, strict=True
        ):
            if own is not mine or p.shape != there.shape:
                return False
            for a, b in zip(own.arrays.values(), views, strict=True):
                if a is not b:
                    return False
        return all(a.base is b for a, b in zip(self.kept[0], self.slots.values(), strict=True))


class Elementwise(Optimizer):
    """Base of the optimizers whose rule treats each number by itself.

    Subclasses give `formula`, `slots`, `constants`, and `initial` where it is not all zeros.

    Example:
        >>> from dezero.optimizers.optimizer import ANY
        >>> class Signs(Elementwise):
        ...     options = {"lr": ANY, "weight_decay": ANY}
        ...
        ...     def __init__(self, lr=0.1):
        ...         super().__init__(lr=lr, weight_decay=0.0)
        ...
        ...     def constants(self, options, t):
        ...         return (options.lr,)
        ...
        ...     def formula(self, work, constants, p, g):
        ...         return (constants[0] * work.xp.sign(g),)
    """

    #: Slots that are real where the parameter is complex.
    real_slots: ClassVar[tuple[str, ...]] = ()
    #: Whether the formula does the weight decay itself, beside the gradient.
    decoupled: ClassVar[bool] = False
    _work: _NumPyWork | None = None
    _vectors: Mapping[Any, _Together] = {}

    def initial(self, xp: Any, options: Any, p: Any, g: Any) -> tuple[Any, ...]:
        """The first arrays of the slots, the optimizer's own."""
        real = xp.real(p) if self.real_slots and xp.is_complex(p.dtype) else p
        return tuple(xp.zeros_like(real if slot in self.real_slots else p) for slot in self.slots)

    def constants(self, options: Any, t: int) -> tuple[Any, ...]:
        """What the formula needs besides arrays, for the ``t``-th update of one parameter."""
        raise NotImplementedError

    def formula(self, work: Work, constants: Any, p: Any, g: Any, *arrays: Any) -> tuple[Any, ...]:
        """What is subtracted from ``p``, and the new arrays of the slots.

        The arrays of the slots may be changed in place, by ``+=`` and the like; ``p`` and ``g`` may
        not. What is subtracted must be an array of its own, or a temporary of ``work``. Called with
        blocks of the arrays, all of them, or those of several parameters in one vector.
        """
        raise NotImplementedError

    def update_all(self, params: list[Parameter]) -> None:
        """Update parameters; small NumPy arrays of equal options and age as one vector."""
        if type(self).update_one is not Elementwise.update_one:
            super().update_all(params)
            return
        groups: dict[Any, list[tuple[Parameter, Any]]] = {}
        most = _SMALL << len(self.slots)
        for param in params:
            p = param._data
            if type(p) is np.ndarray and p.size <= most and p.dtype.kind == "f":
                own = self._own(param)
                key = id(self.options_of(param)), own.steps, p.dtype
                groups.setdefault(key, []).append((param, own))
                p = None
            else:
                p = None  # a reference more, and it would not be alone
                self.update_one(param)
        vectors: dict[Any, _Together] = {}
        for (options, _, dtype), group in groups.items():
            if len(group) < 3:
                super().update_all([param for param, _ in group])
            else:
                key = options, dtype, id(group[0][0])
                vectors[key] = self._update_together(group, dtype, self._vectors.get(key))
        self._vectors = vectors

    def _update_together(self, group: list[Any], dtype: Any, vector: _Together | None) -> _Together:
        """Update parameters of equal options and age, if possible with the vector of last time."""
        xp, options = numpy_backend, self.options_of(group[0][0])
        alone = [is_alone(param) for param, _ in group]
        arrays, gs = [param._data for param, _ in group], [param.grad._data for param, _ in group]
        gs = [g if g.dtype == dtype else xp.cast(g, dtype) for g in gs]
        owns = [own for _, own in group]
        if self.slots:
            for own, p, g in zip(owns, arrays, gs, strict=True):
                self._start(xp, options, own.arrays, p, g)
        if self.counters:
            for own in owns:
                own.steps += 1
        if vector is None or not vector.holds(owns, arrays):
            vector = _Together(owns, arrays, self.slots)
        np.concatenate(arrays, axis=None, out=vector.p)
        np.concatenate(gs, axis=None, out=vector.g)
        constants = self.constants(options, owns[0].steps)
        slots = vector.slots.values()
        self._in_blocks(xp, constants, self._decay(options), vector.p, vector.p, vector.g, *slots)
        for (param, _), p, new, free in zip(group, arrays, vector.views, alone, strict=True):
            if free:
                p[...] = new
            else:
                param.data = new.copy()
        return vector

    def _start(self, xp: Any, options: Any, state: dict[str, Any], p: Any, g: Any) -> None:
        """Make the arrays of the slots if there are none; else see that they fit."""
        if state:
            have = next(iter(state.values())).shape
            if have != p.shape:
                msg = f"{type(self).__name__}: a parameter has shape {tuple(p.shape)}, its state "
                raise ValueError(msg + f"{tuple(have)}: was data of another shape assigned?")
        elif self.slots:
            arrays = self.initial(xp, options, p, g)
            if type(p) is np.ndarray:  # NumPy turns results without axes into scalars
                arrays = tuple([np.asarray(a) for a in arrays])
            state.update(zip(self.slots, arrays, strict=True))

    def _decay(self, options: Any) -> float:
        """The weight decay that the formula does not do itself."""
        return 0.0 if self.decoupled else float(options.weight_decay)

    def update_one(self, param: Parameter) -> None:
        alone = is_alone(param)
        xp, g = gradient(param)
        options = self.options_of(param)
        p, state = param.data, self.state(param)
        self._start(xp, options, state, p, g)
        decay = self._decay(options)
        constants = self.constants(options, self.counted(param) if self.counters else 0)
        if type(p) is np.ndarray:
            new = p if alone else np.empty_like(p)
            self._on_numpy(xp, constants, decay, p, new, g, state)
            if not alone:
                param.data = new
        elif not self._fused(xp, constants, decay, param, g, state, alone):
            if decay:
                g = g + decay * p
            step, *changed = self.formula(Work(xp), constants, p, g, *state.values())
            state.update(zip(self.slots, changed, strict=True))
            if alone:
                p -= step
            else:
                param.data = p - step

    def _fused(
        self,
        xp: Any,
        constants: Any,
        decay: float,
        param: Parameter,
        g: Any,
        state: dict[str, Any],
        alone: bool,
    ) -> bool:
        """Update by one kernel, if the library has one."""
        if xp.fused_update is None:
            return False

        def formula(xp: Any, constants: Any, p: Any, g: Any, *arrays: Any) -> tuple[Any, ...]:
            *constants, decay = constants
            g = g + decay * p if decay else g
            return self.formula(Work(xp), constants, p, g, *arrays)

        choices = [(k, v) for k, v in vars(self).items() if v is None or isinstance(v, (bool, str))]
        new = xp.fused_update(
            (type(self), *choices),
            formula,
            (*constants, decay),
            (param.data, g, *state.values()),
            alone,
        )
        if new is None:
            return False
        if new is not param.data:
            param.data = new
        return True

    def _on_numpy(
        self, xp: Any, constants: Any, decay: float, p: Any, new: Any, g: Any, state: dict[str, Any]
    ) -> None:
        """Update NumPy arrays, block by block if they are large; the parameter goes to ``new``."""
        vectors = _flat(p, new, g, state) if p.size > _BLOCK and p.dtype.kind == "f" else None
        if vectors is None:
            work = self._worker(xp)
            work.begin(0, p.dtype)
            self._piece(work, constants, decay, p, new, g, tuple(state.values()))
        else:
            self._in_blocks(xp, constants, decay, *vectors)

    def _worker(self, xp: Any) -> _NumPyWork:
        if self._work is None:
            self._work = _NumPyWork(xp)
        return self._work

    def _in_blocks(
        self, xp: Any, constants: Any, decay: float, p: Any, new: Any, g: Any, *slots: Any
    ) -> None:
        """Update vectors block by block."""
        work = self._worker(xp)
        for i in range(0, len(p), _BLOCK):
            k = slice(i, i + _BLOCK)
            part = p[k]
            work.begin(len(part), p.dtype)
            self._piece(work, constants, decay, part, new[k], g[k], [s[k] for s in slots])

    def _piece(
        self, work: Work, constants: Any, decay: float, p: Any, out: Any, g: Any, slots: Any
    ) -> None:
        """Update arrays, or blocks of them; ``out`` is where the parameter goes."""
        if decay:
            spare = work.spare()
            g = work.add(work.multiply(p, decay, spare), g, spare)
        step, *changed = self.formula(work, constants, p, g, *slots)
        for old, now in zip(slots, changed, strict=True):
            if now is not old:
                old[...] = now
        np.subtract(p, step, out=out)


def _flat(p: Any, new: Any, g: Any, state: dict[str, Any]) -> list[Any] | None:
    """All arrays as vectors in the order of ``p``'s memory; None if that has gaps.

    They are views, but for ``g``, which is only read.
    """
    order: Any = "C" if p.flags.c_contiguous else "F" if p.flags.f_contiguous else None
    if order is None:
        return None
    for slot, array in state.items():
        if not array.flags[f"{order}_CONTIGUOUS"]:  # it came from a file
            state[slot] = np.array(array, order=order)
    return [a.reshape(-1, order=order) for a in (p, new, g, *state.values())]


def square(work: Work, x: Any, out: Any = None) -> Any:
    """|x|²; written to ``out`` if that is given and ``x`` is real."""
    if work.xp.is_complex(x.dtype):
        return work.xp.real(work.xp.conj(x) * x)
    return work.multiply(x, x, out)


def over(
    work: Work, x: Any, v: Any, eps: float, scale: float | None = None, spare: Any = None
) -> Any:
    """``scale x / (√v + eps)``; written to ``spare`` if that is given."""
    root = work.sqrt(v, spare)
    root += eps
    ratio = work.divide(x, root, spare)
    if scale is not None:
        ratio *= scale
    return ratio
