"""Layers made of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .layer import Layer

__all__ = ["LayerDict", "LayerList", "Sequential"]


class _Numbered(Layer):
    """Items at the attributes ``l0``, ``l1``, ...: in PyTorch's names ``0``, ``1``, ..."""

    def __init__(self, items: Iterable[Any]) -> None:
        super().__init__()
        self._count = 0
        self.state_names: dict[str, str] = {}
        for item in items:
            self.append(item)

    def _checked(self, i: int, item: Any) -> Any:
        """``item``, if it may stand here."""
        raise NotImplementedError

    def append(self, item: Any) -> None:
        """Add one at the end."""
        i = self._count
        setattr(self, f"l{i}", self._checked(i, item))
        self.state_names[f"l{i}"] = str(i)
        self._count = i + 1

    @property
    def layers(self) -> tuple[Any, ...]:
        """The items, in order."""
        return tuple(getattr(self, f"l{i}") for i in range(self._count))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)

    def __getitem__(self, key: int | slice) -> Any:
        if isinstance(key, slice):
            return type(self)._of(self.layers[key])
        try:
            return self.layers[key]
        except IndexError:
            msg = f"{type(self).__name__}: item {key} of {self._count}"
            raise IndexError(msg) from None

    def __setitem__(self, key: int, item: Any) -> None:
        i = range(self._count)[key]
        setattr(self, f"l{i}", self._checked(i, item))

    @classmethod
    def _of(cls, items: Iterable[Any]) -> _Numbered:
        return cls(items)


class Sequential(_Numbered):
    """Layers and plain functions, one after the other.

    They are the attributes ``l0``, ``l1``, ...; assigning to one of these replaces that step.

    Example:
        >>> import numpy as np
        >>> import dezero.functions as F
        >>> from dezero.layers import Linear
        >>> model = Sequential(Linear(8), F.relu, Linear(2))
        >>> model(np.zeros((4, 3), np.float32)).shape
        (4, 2)
        >>> len(model), len(model[:2])
        (3, 2)
    """

    def __init__(self, *layers: Callable[..., Any]) -> None:
        super().__init__(layers)

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def _checked(self, i: int, item: Any) -> Any:
        if not callable(item):
            msg = f"Sequential: item {i} is {item!r}, a layer or function is expected"
            raise TypeError(msg)
        return item

    @classmethod
    def _of(cls, items: Iterable[Any]) -> _Numbered:
        return cls(*items)


class LayerList(_Numbered):
    """Layers in a list, at the attributes ``l0``, ``l1``, ...

    Args:
        layers: The first ones.

    Example:
        >>> from dezero.layers import Linear
        >>> layers = LayerList(Linear(2) for _ in range(3))
        >>> [name for name, _ in layers.namedparams()]
        ['l0/W', 'l0/b', 'l1/W', 'l1/b', 'l2/W', 'l2/b']
    """

    def __init__(self, layers: Iterable[Layer] = ()) -> None:
        super().__init__(layers)

    def extend(self, layers: Iterable[Layer]) -> None:
        """Add several at the end."""
        for layer in layers:
            self.append(layer)

    def _checked(self, i: int, item: Any) -> Any:
        if not isinstance(item, Layer):
            msg = f"LayerList: item {i} is {item!r}, a Layer is expected"
            raise TypeError(msg)
        return item


class LayerDict(Layer):
    """Layers by name; each name is an attribute too.

    Args:
        layers: The first ones, in order.

    Raises:
        TypeError: A value is not a Layer.
        ValueError: A name is no identifier, or one that Layers use themselves.

    Example:
        >>> from dezero.layers import Linear
        >>> heads = LayerDict({"mean": Linear(2), "deviation": Linear(2)})
        >>> list(heads)
        ['mean', 'deviation']
        >>> heads["mean"] is heads.mean
        True
    """

    def __init__(self, layers: Mapping[str, Layer] | None = None) -> None:
        super().__init__()
        for name, layer in (layers or {}).items():
            self[name] = layer

    def __setitem__(self, name: str, layer: Layer) -> None:
        if not isinstance(layer, Layer):
            msg = f"LayerDict: {name!r} is {layer!r}, a Layer is expected"
            raise TypeError(msg)
        taken = name not in self._params and hasattr(self, name)
        if not name.isidentifier() or taken:
            why = "a name that Layers use" if taken else "no identifier"
            msg = f"LayerDict: {name!r} is {why}, choose another name"
            raise ValueError(msg)
        setattr(self, name, layer)

    def __getitem__(self, name: str) -> Layer:
        if name not in self._params:
            msg = f"LayerDict: no {name!r}; there are {', '.join(self._params) or 'none'}"
            raise KeyError(msg)
        return self.__dict__[name]

    def __delitem__(self, name: str) -> None:
        _ = self[name]  # an unknown name is an error
        delattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in self._params

    def __len__(self) -> int:
        return len(self._params)

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def keys(self) -> Iterator[str]:
        """The names."""
        return iter(self)

    def values(self) -> Iterator[Layer]:
        """The layers."""
        return (self.__dict__[name] for name in self._params)

    def items(self) -> Iterator[tuple[str, Layer]]:
        """Pairs of name and layer."""
        return self.children()
