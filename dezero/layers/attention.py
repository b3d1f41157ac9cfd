"""Attention over sequences, and the transformer's blocks that are made of it."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import functions as F
from .. import random
from ..backends import backend_of
from ..core import Parameter, Variable
from .containers import LayerList
from .initializers import Initializer
from .layer import Buffer, Layer
from .linear import Linear
from .normalization import LayerNorm

__all__ = [
    "DecoderCache",
    "KeyValueCache",
    "MultiHeadAttention",
    "PositionalEncoding",
    "RotaryEmbedding",
    "TransformerDecoder",
    "TransformerDecoderBlock",
    "TransformerEncoder",
    "TransformerEncoderBlock",
]


class KeyValueCache:
    """Keys and values that an attention layer has seen, so that the next position is cheap.

    One cache belongs to one layer and one batch of sequences. Under `dezero.no_grad` it holds
    arrays alone; otherwise what it holds keeps its graph.

    Attributes:
        keys, values: (N, heads, S, D), or None at the start.

    Example:
        >>> import numpy as np
        >>> from dezero import no_grad
        >>> layer, cache = MultiHeadAttention(8, 2), KeyValueCache()
        >>> with no_grad():
        ...     for x in np.zeros((3, 1, 1, 8), np.float32):
        ...         y = layer(x, causal=True, cache=cache)
        >>> len(cache)
        3
    """

    def __init__(self) -> None:
        self.keys: Variable | None = None
        self.values: Variable | None = None

    def __len__(self) -> int:
        return 0 if self.keys is None else int(self.keys.shape[2])

    def extend(self, keys: Variable, values: Variable) -> tuple[Variable, Variable]:
        """Add keys and values of new positions; return all.

        Raises:
            ValueError: The batch or the heads are not those of before.
        """
        if self.keys is not None and self.values is not None:
            old, new = self.keys.shape, keys.shape
            if (*old[:2], old[3]) != (*new[:2], new[3]):
                msg = f"KeyValueCache: keys of shape {new} after some of shape {old}"
                raise ValueError(msg)
            keys = F.concat([self.keys, keys], axis=2)
            values = F.concat([self.values, values], axis=2)
        self.keys, self.values = keys, values
        return keys, values


class MultiHeadAttention(Layer):
    """Attention with several heads, of a sequence to itself or to another one.

    Vaswani et al., "Attention is all you need", 2017, https://arxiv.org/abs/1706.03762. Parameters
    have the names and layouts of PyTorch's ``nn.MultiheadAttention``: ``in_proj_weight`` (3 E, E),
    ``in_proj_bias`` (3 E,), ``out_proj``. Weights are drawn with variance ``1 / E``.

    Args:
        size: E, the width of the sequences.
        heads: How many; E must be a multiple.
        dropout: The share of the attention weights that is dropped in training.
        bias: Whether there are biases.
        kv_heads: Fewer heads for keys and values, each shared by several of the queries (Ainslie
            et al. 2023, https://arxiv.org/abs/2305.13245); by default as many.
        rotary: Turn queries and keys by their positions, as `RotaryEmbedding` does.
        dtype: NumPy's real floating dtype of the parameters.
        initial: Draws the weights; see `dezero.layers.initializers`.

    A call takes

    - ``query`` (N, L, E), ``key`` and ``value`` (N, S, E); without ``key`` the query's sequence,
      without ``value`` the key's; a `KeyValueCache` as ``key`` is looked at as it is;
    - ``mask``: booleans, True where a query may look at a key; or numbers that are added to the
      scores; broadcast to (N, heads, L, S), so (L, S) will do;
    - ``causal``: no query looks at keys behind its own position;
    - ``key_padding_mask`` (N, S): True at keys that are padding and are not looked at;
    - ``weights``: also return the weights (N, heads, L, S), averaged over nothing;
    - ``cache``: a `KeyValueCache`; the new keys and values are added to it, and the queries look
      at all of them. Positions go on from those in the cache.

    Raises:
        ValueError: A size, shape or mask does not fit.

    Example:
        >>> import numpy as np
        >>> layer = MultiHeadAttention(8, 2)
        >>> y, weights = layer(np.zeros((4, 5, 8), np.float32), causal=True, weights=True)
        >>> y.shape, weights.shape
        ((4, 5, 8), (4, 2, 5, 5))
    """

    def __init__(
        self,
        size: int,
        heads: int,
        *,
        dropout: float = 0.0,
        bias: bool = True,
        kv_heads: int | None = None,
        rotary: bool = False,
        dtype: Any = np.float32,
        initial: Initializer | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.size, self.heads = _whole(name, "size", size), _whole(name, "heads", heads)
        self.kv_heads = self.heads if kv_heads is None else _whole(name, "kv_heads", kv_heads)
        if self.size % self.heads:
            msg = f"{name}: size {self.size} is not a multiple of {self.heads} heads"
            raise ValueError(msg)
        if self.heads % self.kv_heads:
            msg = f"{name}: {self.heads} heads are not a multiple of kv_heads {self.kv_heads}"
            raise ValueError(msg)
        self.head_size = self.size // self.heads
        self.dropout = _share(name, dropout)
        dtype = _real(name, dtype)
        e, narrow = self.size, self.head_size * self.kv_heads
        self._widths = (e, narrow, narrow)
        weights = [_drawn(initial, width, e, dtype) for width in self._widths]
        self.in_proj_weight = Parameter(np.concatenate(weights), name="in_proj_weight")
        self.in_proj_bias = None
        if bias:
            zeros = np.zeros(sum(self._widths), dtype)
            self.in_proj_bias = Parameter(zeros, name="in_proj_bias")
        self.out_proj = Linear(e, not bias, dtype, e, initial=initial)
        self.rotary = RotaryEmbedding(self.head_size) if rotary else None

    def forward(
        self,
        query: Any,
        key: Any = None,
        value: Any = None,
        *,
        mask: Any = None,
        causal: bool = False,
        key_padding_mask: Any = None,
        weights: bool = False,
        cache: KeyValueCache | None = None,
    ) -> Any:
        if key is None and value is not None:
            msg = "MultiHeadAttention: a value without a key"
            raise ValueError(msg)
        start = 0 if cache is None else len(cache)
        if isinstance(key, KeyValueCache):
            q, k, v = self._remembered(query, key)
        else:
            q, k, v = self._projected(query, key, value)
            if self.rotary is not None:
                q, k = self.rotary(q, start), self.rotary(k, start)
            if cache is not None:
                k, v = cache.extend(k, v)
        return self._attend(q, k, v, start, mask, causal, key_padding_mask, weights)

    def _remembered(self, query: Any, cache: KeyValueCache) -> tuple[Variable, Any, Any]:
        """Queries, and the keys and values in ``cache``."""
        if self.rotary is not None or not len(cache):
            why = "a rotary embedding needs positions" if len(cache) else "it is empty"
            msg = f"MultiHeadAttention: key is a KeyValueCache, but {why}"
            raise ValueError(msg)
        self._check("query", query)
        w, b = self._parts()
        return self._heads(_linear(query, w[0], b[0]), self.heads), cache.keys, cache.values

    def _check(self, name: str, x: Any) -> None:
        if len(x.shape) != 3 or x.shape[2] != self.size:
            length = "L" if name == "query" else "S"
            msg = f"MultiHeadAttention: {name} has shape {tuple(x.shape)}, expected (N, "
            raise ValueError(f"{msg}{length}, {self.size})")

    def _parts(self) -> tuple[Any, Any]:
        """Weights and biases of queries, keys and values."""
        ends = [self._widths[0], self._widths[0] + self._widths[1]]
        w = F.split(self.in_proj_weight, ends)
        b = (None,) * 3 if self.in_proj_bias is None else F.split(self.in_proj_bias, ends)
        return w, b

    def _projected(self, query: Any, key: Any, value: Any) -> list[Variable]:
        """Queries (N, heads, L, D), keys and values (N, kv_heads, S, D)."""
        given = {"query": query, "key": key, "value": value}
        for name, x in given.items():
            if x is not None:
                self._check(name, x)
        if key is None:
            joined = _linear(query, self.in_proj_weight, self.in_proj_bias)
            e, narrow, _ = self._widths
            parts = F.split(joined, [e, e + narrow], axis=2)
        else:
            value = key if value is None else value
            if key.shape[0] != query.shape[0] or value.shape[:2] != key.shape[:2]:
                shapes = [f"{name} {tuple(x.shape)}" for name, x in given.items() if x is not None]
                msg = f"MultiHeadAttention: {', '.join(shapes)}: batches or lengths differ"
                raise ValueError(msg)
            w, b = self._parts()
            xs = (query, key, value)
            parts = [_linear(*three) for three in zip(xs, w, b, strict=True)]
        counts = (self.heads, self.kv_heads, self.kv_heads)
        return [self._heads(x, n) for x, n in zip(parts, counts, strict=True)]

    def _heads(self, x: Variable, count: int) -> Variable:
        n, t, _ = x.shape
        return F.permute_dims(F.reshape(x, (n, t, count, self.head_size)), (0, 2, 1, 3))

    def _attend(
        self,
        q: Variable,
        k: Variable,
        v: Any,
        start: int,
        mask: Any,
        causal: bool,
        padding: Any,
        weights: bool,
    ) -> Any:
        n, _, t, _ = q.shape
        s = k.shape[2]
        if causal and start:
            mask, causal = _both(mask, _up_to_own(q, t, s, start)), False
        if padding is not None:
            if tuple(padding.shape) != (n, s):
                shape = tuple(padding.shape)
                msg = f"MultiHeadAttention: key_padding_mask has shape {shape}, expected {(n, s)}"
                raise ValueError(msg)
            mask = _both(mask, F.logical_not(padding)[:, None, None, :])
        if mask is not None and not _broadcasts(mask.shape, (n, self.heads, t, s)):
            msg = f"MultiHeadAttention: mask has shape {tuple(mask.shape)}, expected one that "
            raise ValueError(f"{msg}broadcasts to {(n, self.heads, t, s)}")
        drop = self.dropout if self.in_training() else 0.0
        y = F.scaled_dot_product_attention(
            q, k, v, mask=mask, causal=causal, dropout_ratio=drop, return_weights=weights
        )
        y, w = y if weights else (y, None)
        y = self.out_proj(F.reshape(F.permute_dims(y, (0, 2, 1, 3)), (n, t, self.size)))
        return (y, w) if weights else y


def _linear(x: Any, w: Any, b: Any) -> Variable:
    return F.linear(x, F.matrix_transpose(w), b)


def _up_to_own(q: Variable, t: int, s: int, start: int) -> Any:
    """True where query ``start + i`` may look at key ``j``: up to its own position."""
    xp = backend_of(q.data)
    device = xp.device(q.data)
    places = xp.arange(start, start + t, device=device)
    return xp.arange(s, device=device)[None, :] <= places[:, None]


def _both(mask: Any, there: Any) -> Any:
    """``mask``, booleans or numbers or None, and nothing where ``there`` is False."""
    if mask is None:
        return there
    raw = mask.data if isinstance(mask, Variable) else mask
    if backend_of(raw).isdtype(raw.dtype, "bool"):
        return F.logical_and(mask, there)
    return F.where(there, mask, -math.inf)


def _broadcasts(shape: Any, want: tuple[int, ...]) -> bool:
    ends = want[len(want) - len(shape) :]
    return len(shape) <= len(want) and all(n in (1, m) for n, m in zip(shape, ends, strict=True))


# --- positions ----------------------------------------------------------------------------------


class _Positions(Layer):
    """Waves of the positions, kept where the last input was and made longer when needed."""

    def __init__(self, size: int, base: float) -> None:
        super().__init__()
        name = type(self).__name__
        self.size, self.base = _whole(name, "size", size), float(base)
        if self.size % 2:
            msg = f"{name}: size is {self.size}, an even one is expected"
            raise ValueError(msg)
        self.table = Buffer(None, "table", persistent=False)

    def _waves(self, angles: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _rows(self, x: Any, start: int, count: int) -> Any:
        """The table's rows from ``start`` on, where ``x`` is and in its dtype."""
        raw = x.data if isinstance(x, Variable) else x
        xp = backend_of(raw)
        table, device = self.table.data, xp.device(raw)
        if (
            table is None
            or table.shape[0] < start + count
            or type(table) is not type(raw)
            or table.dtype != raw.dtype
            or xp.device(table) != device
        ):
            length = max(64, 2 * (start + count))
            rates = self.base ** (-np.arange(0, self.size, 2) / self.size)
            waves = self._waves(np.arange(length)[:, None] * rates)
            table = xp.astype(xp.from_numpy(waves, device), raw.dtype)
            self.table.data = table
        return table[start : start + count, ...]


class PositionalEncoding(_Positions):
    """Adds sine waves of the position, by which attention tells places apart.

    Sines stand at even places of the last axis, cosines at odd ones, of wavelengths from ``2 pi``
    to ``2 pi base`` (Vaswani et al. 2017). There is nothing to train.

    Args:
        size: E, even.
        dropout: The share of the sum that is dropped in training.
        base: See above.

    A call takes (N, T, E), and ``start``, the position of its first step.

    Raises:
        ValueError: The size is odd, or the input is not (N, T, E).

    Example:
        >>> import numpy as np
        >>> print(PositionalEncoding(4)(np.zeros((1, 2, 4)))[0, 0])
        [0. 1. 0. 1.]
    """

    def __init__(self, size: int, *, dropout: float = 0.0, base: float = 10000.0) -> None:
        super().__init__(size, base)
        self.dropout = _share("PositionalEncoding", dropout)

    def forward(self, x: Any, start: int = 0) -> Variable:
        if len(x.shape) != 3 or x.shape[2] != self.size:
            msg = f"PositionalEncoding: input of shape {tuple(x.shape)}, expected (N, T, "
            raise ValueError(f"{msg}{self.size})")
        y = F.add(x, self._rows(x, start, x.shape[1]))
        return _dropped(self, y, self.dropout)

    def _waves(self, angles: np.ndarray) -> np.ndarray:
        return np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(len(angles), -1)


class RotaryEmbedding(_Positions):
    """Turns pairs of elements by angles that grow with the position.

    The product of two turned vectors depends on the distance of their positions only (Su et al.
    2021, https://arxiv.org/abs/2104.09864). Element ``i`` of the first half makes a pair with
    element ``i`` of the second, as in LLaMA.

    Args:
        size: D, even.
        base: The angle at position ``p`` of pair ``i`` is ``p base**(-2 i / D)``.

    A call takes (..., T, D), and ``start``, the position of its first step.

    Raises:
        ValueError: The size is odd, or the input is not (..., T, D).

    Example:
        >>> import numpy as np
        >>> print(RotaryEmbedding(2)(np.array([[1.0, 0.0], [1.0, 0.0]])))
        [[1.         0.        ]
         [0.54030231 0.84147098]]
    """

    def __init__(self, size: int, *, base: float = 10000.0) -> None:
        super().__init__(size, base)

    def forward(self, x: Any, start: int = 0) -> Variable:
        if len(x.shape) < 2 or x.shape[-1] != self.size:
            msg = f"RotaryEmbedding: input of shape {tuple(x.shape)}, expected (..., T, "
            raise ValueError(f"{msg}{self.size})")
        rows = self._rows(x, start, x.shape[-2])
        half = self.size // 2
        cos, sin = rows[:, : self.size], rows[:, self.size :]
        a, b = F.split(x, [half], axis=len(x.shape) - 1)
        return x * cos + F.concat([-b, a], axis=len(x.shape) - 1) * sin

    def _waves(self, angles: np.ndarray) -> np.ndarray:
        cos, sin = np.cos(angles), np.sin(angles)
        return np.concatenate([cos, cos, sin, sin], axis=1)


# --- blocks -------------------------------------------------------------------------------------


class _Block(Layer):
    """What both blocks share: the norms' places, dropout, and two linear layers."""

    linear1: Linear
    linear2: Linear

    def __init__(self, size: int, dropout: float, activation: Any, norm_first: bool) -> None:
        super().__init__()
        name = type(self).__name__
        self.size = _whole(name, "size", size)
        self.dropout = _share(name, dropout)
        self.activation, self.norm_first = _activation(name, activation), bool(norm_first)

    def _add_feed_forward(self, hidden: int | None, bias: bool, dtype: Any, initial: Any) -> None:
        hidden = 4 * self.size if hidden is None else hidden
        hidden = _whole(type(self).__name__, "hidden", hidden)
        self.linear1 = Linear(hidden, not bias, dtype, self.size, initial=initial)
        self.linear2 = Linear(self.size, not bias, dtype, hidden, initial=initial)

    def _feed_forward(self, x: Any) -> Variable:
        return self.linear2(_dropped(self, self.activation(self.linear1(x)), self.dropout))

    def _added(self, x: Any, norm: LayerNorm, part: Callable[[Any], Variable]) -> Variable:
        """``x`` and what ``part`` makes of it, normalised before that or after the sum."""
        if self.norm_first:
            return F.add(x, _dropped(self, part(norm(x)), self.dropout))
        return norm(F.add(x, _dropped(self, part(x), self.dropout)))

    def _check(self, x: Any) -> None:
        if len(x.shape) != 3 or x.shape[2] != self.size:
            msg = f"{type(self).__name__}: input of shape {tuple(x.shape)}, expected (N, T, "
            raise ValueError(f"{msg}{self.size})")


class TransformerEncoderBlock(_Block):
    """Attention of a sequence to itself, then two linear layers, each added to what came in.

    Parameters have the names of PyTorch's ``nn.TransformerEncoderLayer`` and its meaning with
    ``batch_first=True``.

    Args:
        size: E.
        heads: How many.
        hidden: The width between the two linear layers, by default ``4 * size``.
        dropout: The share that is dropped in training, of attention weights too.
        activation: A function, or ``"relu"`` or ``"gelu"``.
        norm_first: Normalise what goes into each part, not the sum: easier to train when deep
            (Xiong et al. 2020, https://arxiv.org/abs/2002.04745).
        bias: Whether the linear layers have biases.
        kv_heads, rotary: See `MultiHeadAttention`.
        dtype: NumPy's real floating dtype of the parameters.
        initial: Draws the weights; see `dezero.layers.initializers`.

    A call takes ``x`` (N, T, E) and ``mask``, ``causal``, ``key_padding_mask`` and ``cache`` as
    `MultiHeadAttention` does.

    Raises:
        ValueError: A size, shape or mask does not fit.

    Example:
        >>> import numpy as np
        >>> block = TransformerEncoderBlock(8, 2)
        >>> block(np.zeros((4, 5, 8), np.float32), causal=True).shape
        (4, 5, 8)
    """

    def __init__(
        self,
        size: int,
        heads: int,
        hidden: int | None = None,
        *,
        dropout: float = 0.0,
        activation: str | Callable[[Any], Any] = "relu",
        norm_first: bool = False,
        bias: bool = True,
        kv_heads: int | None = None,
        rotary: bool = False,
        dtype: Any = np.float32,
        initial: Initializer | None = None,
    ) -> None:
        super().__init__(size, dropout, activation, norm_first)
        self.self_attn = MultiHeadAttention(
            size,
            heads,
            dropout=dropout,
            bias=bias,
            kv_heads=kv_heads,
            rotary=rotary,
            dtype=dtype,
            initial=initial,
        )
        self._add_feed_forward(hidden, bias, dtype, initial)
        self.norm1, self.norm2 = LayerNorm(size, dtype=dtype), LayerNorm(size, dtype=dtype)

    def forward(
        self,
        x: Any,
        *,
        mask: Any = None,
        causal: bool = False,
        key_padding_mask: Any = None,
        cache: KeyValueCache | None = None,
    ) -> Variable:
        self._check(x)

        def attention(x: Any) -> Variable:
            return self.self_attn(
                x, mask=mask, causal=causal, key_padding_mask=key_padding_mask, cache=cache
            )

        x = self._added(x, self.norm1, attention)
        return self._added(x, self.norm2, self._feed_forward)


class DecoderCache(NamedTuple):
    """What a decoder block has seen: its own sequence, and the memory."""

    own: KeyValueCache
    memory: KeyValueCache


class TransformerDecoderBlock(_Block):
    """Causal attention of a sequence to itself, attention to a memory, two linear layers.

    Parameters have the names of PyTorch's ``nn.TransformerDecoderLayer`` and its meaning with
    ``batch_first=True``; the arguments are those of `TransformerEncoderBlock`.

    A call takes ``x`` (N, T, E), ``memory`` (N, S, E), ``mask``, ``causal`` (True) and
    ``key_padding_mask`` for the first attention, ``memory_mask`` and ``memory_key_padding_mask``
    for the second, and ``cache``, an item of `TransformerDecoder.caches`; with it the memory's keys
    and values are computed at the first call only.

    Raises:
        ValueError: A size, shape or mask does not fit.

    Example:
        >>> import numpy as np
        >>> block = TransformerDecoderBlock(8, 2)
        >>> x, memory = np.zeros((4, 5, 8), np.float32), np.zeros((4, 7, 8), np.float32)
        >>> block(x, memory).shape
        (4, 5, 8)
    """

    def __init__(
        self,
        size: int,
        heads: int,
        hidden: int | None = None,
        *,
        dropout: float = 0.0,
        activation: str | Callable[[Any], Any] = "relu",
        norm_first: bool = False,
        bias: bool = True,
        kv_heads: int | None = None,
        rotary: bool = False,
        dtype: Any = np.float32,
        initial: Initializer | None = None,
    ) -> None:
        super().__init__(size, dropout, activation, norm_first)
        options: dict[str, Any] = {"dropout": dropout, "bias": bias, "kv_heads": kv_heads}
        options |= {"dtype": dtype, "initial": initial}
        self.self_attn = MultiHeadAttention(size, heads, rotary=rotary, **options)
        self.multihead_attn = MultiHeadAttention(size, heads, **options)
        self._add_feed_forward(hidden, bias, dtype, initial)
        self.norm1, self.norm2 = LayerNorm(size, dtype=dtype), LayerNorm(size, dtype=dtype)
        self.norm3 = LayerNorm(size, dtype=dtype)

    def forward(
        self,
        x: Any,
        memory: Any,
        *,
        mask: Any = None,
        causal: bool = True,
        key_padding_mask: Any = None,
        memory_mask: Any = None,
        memory_key_padding_mask: Any = None,
        cache: DecoderCache | None = None,
    ) -> Variable:
        self._check(x)

        def own(x: Any) -> Variable:
            kept = None if cache is None else cache.own
            return self.self_attn(
                x, mask=mask, causal=causal, key_padding_mask=key_padding_mask, cache=kept
            )

        def other(x: Any) -> Variable:
            options = {"mask": memory_mask, "key_padding_mask": memory_key_padding_mask}
            if cache is not None and len(cache.memory):
                return self.multihead_attn(x, cache.memory, **options)
            kept = None if cache is None else cache.memory
            return self.multihead_attn(x, memory, cache=kept, **options)

        x = self._added(x, self.norm1, own)
        x = self._added(x, self.norm2, other)
        return self._added(x, self.norm3, self._feed_forward)


class _Stack(Layer):
    """Blocks one after the other, and a norm at the end where they normalise before."""

    _block: type[_Block]

    def __init__(
        self,
        size: int,
        heads: int,
        layers: int,
        hidden: int | None = None,
        *,
        norm: bool | None = None,
        norm_first: bool = False,
        dtype: Any = np.float32,
        **options: Any,
    ) -> None:
        super().__init__()
        count = _whole(type(self).__name__, "layers", layers)
        make: Any = self._block
        self.layers = LayerList(
            make(size, heads, hidden, norm_first=norm_first, dtype=dtype, **options)
            for _ in range(count)
        )
        wanted = norm_first if norm is None else norm
        self.norm = LayerNorm(size, dtype=dtype) if wanted else None

    def _through(self, x: Any, cache: Any, *others: Any, **options: Any) -> Any:
        caches = [None] * len(self.layers) if cache is None else list(cache)
        if len(caches) != len(self.layers):
            msg = f"{type(self).__name__}: {len(caches)} caches for {len(self.layers)} layers"
            raise ValueError(msg)
        for block, kept in zip(self.layers, caches, strict=True):
            x = block(x, *others, cache=kept, **options)
        return x if self.norm is None else self.norm(x)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)


class TransformerEncoder(_Stack):
    """A stack of `TransformerEncoderBlock`; with ``causal=True`` in each call, a decoder as GPT's.

    Args:
        size: E.
        heads: How many in each block.
        layers: How many blocks.
        hidden: See `TransformerEncoderBlock`.
        norm: Whether the output is normalised; by default where ``norm_first`` is True.
        norm_first: See `TransformerEncoderBlock`.
        dtype: NumPy's real floating dtype of the parameters.
        options: Further arguments of `TransformerEncoderBlock`, by name.

    A call takes ``x`` (N, T, E) and by name what a block takes; ``cache`` is a list from `caches`.

    Example:
        >>> import numpy as np
        >>> from dezero import no_grad
        >>> model = TransformerEncoder(8, 2, 3, norm_first=True)
        >>> caches = model.caches()
        >>> with no_grad():
        ...     for x in np.zeros((5, 1, 1, 8), np.float32):
        ...         y = model(x, causal=True, cache=caches)
        >>> y.shape, len(caches[0])
        ((1, 1, 8), 5)
    """

    _block = TransformerEncoderBlock

    def caches(self) -> list[KeyValueCache]:
        """An empty cache for each block, for one batch of sequences that grow step by step."""
        return [KeyValueCache() for _ in self.layers]

    def forward(self, x: Any, *, cache: list[KeyValueCache] | None = None, **options: Any) -> Any:
        return self._through(x, cache, **options)


class TransformerDecoder(_Stack):
    """A stack of `TransformerDecoderBlock`; the arguments are those of `TransformerEncoder`.

    A call takes ``x`` (N, T, E), ``memory`` (N, S, E), and by name what a block takes; ``cache``
    is a list from `caches`.

    Example:
        >>> import numpy as np
        >>> model = TransformerDecoder(8, 2, 3)
        >>> x, memory = np.zeros((4, 5, 8), np.float32), np.zeros((4, 7, 8), np.float32)
        >>> model(x, memory).shape
        (4, 5, 8)
    """

    _block = TransformerDecoderBlock

    def caches(self) -> list[DecoderCache]:
        """Empty caches for each block, for one batch of sequences that grow step by step."""
        return [DecoderCache(KeyValueCache(), KeyValueCache()) for _ in self.layers]

    def forward(
        self, x: Any, memory: Any, *, cache: list[DecoderCache] | None = None, **options: Any
    ) -> Any:
        return self._through(x, cache, memory, **options)


# --- arguments ----------------------------------------------------------------------------------


def _dropped(layer: Layer, x: Any, share: float) -> Any:
    return F.dropout(x, share) if share and layer.in_training() else x


def _drawn(initial: Initializer | None, rows: int, columns: int, dtype: np.dtype) -> np.ndarray:
    if initial is not None:
        return initial((rows, columns), dtype, fan=(columns, rows))
    return random.normal((rows, columns)).astype(dtype) * math.sqrt(1 / columns)


def _activation(name: str, given: Any) -> Callable[[Any], Any]:
    if given in ("relu", "gelu"):
        return getattr(F, given)
    if not callable(given):
        msg = f"{name}: activation is {given!r}, expected 'relu', 'gelu' or a function"
        raise ValueError(msg)
    return given


def _whole(name: str, what: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        msg = f"{name}: {what} is {value!r}, an integer is expected"
        raise TypeError(msg) from None
    if number < 1:
        msg = f"{name}: {what} is {number}, at least 1 is expected"
        raise ValueError(msg)
    return number


def _share(name: str, value: float) -> float:
    if not 0.0 <= value <= 1.0:
        msg = f"{name}: dropout is {value}, expected 0 to 1"
        raise ValueError(msg)
    return value


def _real(name: str, dtype: Any) -> np.dtype:
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        msg = f"{name}: dtype is {dtype}, a real floating dtype is expected"
        raise TypeError(msg)
    return dtype
