"""What all layers share: parameters by attribute, weights in files, moving between devices."""

import os
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..backends import backend_of
from ..core import Parameter, Variable
from ..files import load_npz, save_npz

__all__ = ["Layer"]


class Layer:
    """A function with parameters.

    Every Parameter and Layer that is assigned to an attribute belongs to the layer, in the order
    of assignment; assigning something else (``layer.b = None``) or deleting takes it out again.

    Subclasses override `forward`. They may override ``__call__`` instead, which then keeps no
    ``inputs`` and ``outputs``, and `lazy_shapes`.

    Attributes:
        inputs, outputs: After a call, weak references to what went in and what came out.

    Example:
        >>> import numpy as np
        >>> from dezero.core import Parameter
        >>> class Scale(Layer):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.factor = Parameter(np.array(2.0))
        ...
        ...     def forward(self, x):
        ...         return x * self.factor
        >>> scale = Scale()
        >>> print(scale(np.array([1.0, 2.0])))
        [2. 4.]
        >>> [name for name, _ in scale.namedparams()]
        ['factor']
    """

    _params: dict[str, None]  # names of attributes, in order; a dict because a set has none
    inputs: list[Callable[[], Any]]
    outputs: list[Callable[[], Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> "Layer":
        self = super().__new__(cls)
        self.__dict__.update(_params={}, inputs=[], outputs=[])
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, (Parameter, Layer)):
            self._params[name] = None
        else:
            self._params.pop(name, None)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._params.pop(name, None)

    def __call__(self, *inputs: Any, **kwargs: Any) -> Any:
        outputs = self.forward(*inputs, **kwargs)
        several = outputs if isinstance(outputs, tuple) else (outputs,)
        self.inputs = [_weak(x) for x in inputs]
        self.outputs = [_weak(y) for y in several]
        return outputs if len(several) > 1 else several[0]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "inputs": [], "outputs": []}

    def forward(self, *inputs: Any) -> Any:
        """What the layer computes: one Variable, or a tuple of them."""
        msg = f"{type(self).__name__}.forward is not defined"
        raise NotImplementedError(msg)

    def lazy_shapes(self) -> dict[str, tuple[tuple[int | None, ...], np.dtype]]:
        """Shape and dtype of parameters of this layer that get their data later, by name.

        None stands for a length that is not known yet. `load_weights` checks and converts by it.
        """
        return {}

    def params(self) -> Iterator[Parameter]:
        """All parameters, this layer's and those of its layers; a shared one comes once."""
        for _, param in self.namedparams():
            yield param

    def namedparams(self) -> Iterator[tuple[str, Parameter]]:
        """Pairs of name and parameter, such as ``"l1/W"``, in order of assignment.

        A parameter that several attributes share comes once, under its first name.
        """
        seen: set[int] = set()
        for name, param, _ in self._walk():
            if id(param) not in seen:
                seen.add(id(param))
                yield name, param

    def cleargrads(self) -> None:
        """Set every parameter's gradient to None."""
        for param in self.params():
            param.cleargrad()

    def to(self, target: Any) -> "Layer":
        """Move every parameter, with its gradient, to a device or backend, and return self.

        Parameters that have no data yet take the place of the first input. If one cannot be
        moved, none is.

        Args:
            target: What ``Variable.to`` takes.
        """
        moved = []
        for param in self.params():
            if param.data is not None:
                grad = None
                if param.grad is not None:
                    grad = Variable(_moved(param.grad.data, target), requires_grad=False)
                moved.append((param, _moved(param.data, target), grad))
        for param, data, grad in moved:
            param.data = data
            param.grad = grad
        return self

    def to_cpu(self) -> "Layer":
        """Move every parameter to NumPy."""
        return self.to("numpy")

    def to_gpu(self) -> "Layer":
        """Move every parameter to CuPy."""
        return self.to("cupy")

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write all parameters to an ``.npz`` file, atomically; the model stays where it is.

        The names are those of `namedparams`. A path without ``.npz`` gets it.

        Raises:
            ValueError: A parameter has no data yet.
        """
        weights = self.weights()
        path = os.fspath(path)
        save_npz(path if path.endswith(".npz") else path + ".npz", weights)

    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Read all parameters from an ``.npz`` file that `save_weights` or the book wrote.

        They stay on their backend and device, and keep their dtype.

        Raises:
            FileNotFoundError: There is no such file, with or without ``.npz``.
            ValueError: Names or shapes differ; all are listed, and the model is untouched.
        """
        path = os.fspath(path)
        if not os.path.exists(path) and not path.endswith(".npz"):
            path += ".npz"
        self.set_weights(load_npz(path), path)

    def weights(self) -> dict[str, np.ndarray]:
        """Copies of all parameters by name, as NumPy arrays.

        Raises:
            ValueError: A parameter has no data yet.
        """
        params = dict(self.namedparams())
        lacking = [name for name, param in params.items() if param.data is None]
        if lacking:
            msg = (
                f"{type(self).__name__}: no data yet in {', '.join(lacking)}; "
                "call the model once on an example, or give in_size"
            )
            raise ValueError(msg)
        return {name: np.array(_to_host(param.data)) for name, param in params.items()}

    def set_weights(self, weights: dict[str, np.ndarray], source: str = "weights") -> None:
        """Set all parameters from NumPy arrays by name; see `load_weights`.

        Args:
            weights: What `weights` gives.
            source: Named in error messages.
        """
        params = dict(self.namedparams())
        lazy: dict[str, tuple[tuple[int | None, ...], np.dtype]] = {}
        aliases: dict[str, str] = {}
        first = {id(param): name for name, param in params.items()}
        for name, param, owner in self._walk():
            own = owner.lazy_shapes().get(name.rpartition("/")[2])
            if own and param.data is None:
                lazy[name] = own
            if name not in params:
                aliases[name] = first[id(param)]
        problems = _differences(params, lazy, aliases, weights)
        if problems:
            msg = "\n  ".join([f"{source} does not fit {type(self).__name__}:", *problems])
            raise ValueError(msg)
        ready = []
        for name, param in params.items():
            array = weights[name]
            if param.data is not None:
                backend = backend_of(param.data)
                array = array.astype(_to_host(param.data).dtype)
                array = backend.from_numpy(array, backend.device(param.data))
            else:
                array = np.array(array, lazy[name][1] if name in lazy else array.dtype)
            ready.append((param, array))
        for param, array in ready:
            param.data = array

    def _walk(
        self, prefix: str = "", path: tuple["Layer", ...] = ()
    ) -> Iterator[tuple[str, Parameter, "Layer"]]:
        """Every name, its parameter and whose it is; shared ones under each of their names."""
        for name in self._params:
            value = self.__dict__[name]
            if isinstance(value, Layer):
                if not any(
                    value is layer for layer in (*path, self)
                ):  # a layer may know its parent
                    yield from value._walk(f"{prefix}{name}/", (*path, self))
            else:
                yield prefix + name, value, self

    def _flatten_params(self, params_dict: dict[str, Parameter], parent_key: str = "") -> None:
        """Put all parameters into ``params_dict`` by name: the book's form of `namedparams`."""
        prefix = f"{parent_key}/" if parent_key else ""
        params_dict.update((prefix + name, param) for name, param, _ in self._walk())


def _differences(
    params: dict[str, Parameter],
    lazy: dict[str, tuple[tuple[int | None, ...], np.dtype]],
    aliases: dict[str, str],
    weights: dict[str, np.ndarray],
) -> list[str]:
    """What keeps ``weights`` from being loaded, a line each."""
    lines = [f"{name}: missing" for name in params if name not in weights]
    for name, array in weights.items():
        if name in aliases:
            other = weights.get(aliases[name])
            if other is not None and not np.array_equal(array, other, equal_nan=True):
                lines.append(f"{name}: differs from {aliases[name]}, with which it is shared")
            continue
        if name not in params:
            lines.append(f"{name}: not a parameter of the model")
            continue
        data = params[name].data
        want = lazy[name][0] if name in lazy else array.shape if data is None else data.shape
        if not _fits(array.shape, want):
            shape = f"({', '.join('any' if n is None else str(n) for n in want)})"
            lines.append(f"{name}: shape {array.shape}, the model's is {shape}")
        if array.dtype.kind not in "fciub":
            lines.append(f"{name}: dtype {array.dtype} is not a number")
    return lines


def _fits(shape: tuple[int, ...], want: tuple[int | None, ...]) -> bool:
    return len(shape) == len(want) and all(
        n is None or m == n for m, n in zip(shape, want, strict=True)
    )


def _to_host(array: Any) -> np.ndarray:
    return backend_of(array).to_numpy(array)


def _moved(array: Any, target: Any) -> Any:
    return Variable(array, requires_grad=False).to(target).data


def _weak(x: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(x)
    except TypeError:  # numbers and None: nothing to free
        return lambda: x
