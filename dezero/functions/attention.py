"""Attention: means of values, weighted by how well their keys answer to a query."""

import math

from ..backends import backend_of, mixed
from ..config import recording
from ..core import Function, Variable, _raw, as_variable
from ..dispatch import namespace_of
from ..primitive import _released, primitive
from .activation import masked_softmax, softmax_grad
from .elementwise import _narrowed, _widened
from .indexing import _sum_to
from .linear_algebra import matmul
from .manipulation import broadcast_shapes, matrix_transpose, reshape
from .random import dropout

__all__ = ["scaled_dot_product_attention"]


class _InBlocks(Function):
    """Attention of which only the result and a number for each query are kept.

    The scores are computed again for the gradients, block by block. To be differentiated further,
    the gradients are recorded with the matrix of all scores.
    """

    def __init__(self, mask, bias, causal):
        self.mask, self.bias, self.causal = mask, bias, causal

    def forward(self, q, k, v):
        xp = backend_of(q)
        y, log = xp.attend(q, k, v, self.mask, self.bias, self.causal)
        self.kept = (y, log) if recording() else None
        return y

    def backward(self, g):
        q, k, v = self.inputs
        xp = backend_of(g._data)
        if recording():
            mask = (
                _past(self.mask, q._data, (q.shape[-2], k.shape[-2])) if self.causal else self.mask
            )
            p = _weights(q, k, mask, self.bias, 1.0)
            ds = softmax_grad(matmul(g, matrix_transpose(v)), p, -1)
            gs = [
                matmul(ds, k),
                matmul(matrix_transpose(ds), q),
                matmul(matrix_transpose(p), g),
            ]
            xp = namespace_of(xp)
        else:
            if self.kept is None:
                raise _released(self)
            raws = [x._data for x in self.inputs]
            gs = xp.attend_gradients(g._data, *raws, self.mask, self.bias, self.causal, *self.kept)
        return tuple(_sum_to(xp, d, x.shape) for d, x in zip(gs, self.inputs, strict=True))

    def _pull_general(self, g, sweep, keep):
        super()._pull_general(g, sweep, keep)
        if not keep:
            self.kept = None


@primitive(
    lambda xp, g, q_shape, k, scale: _sum_to(xp, xp.matmul(g, k) * scale, q_shape),
    lambda xp, g, q, k_shape, scale: _sum_to(
        xp, xp.matmul(xp.matrix_transpose(g), q * scale), k_shape
    ),
)
def _attention_scores(xp, q, k, scale):
    """``scale * q k'``, without keeping a scaled array for the gradients."""
    return xp.matmul(q if scale == 1.0 else q * scale, xp.matrix_transpose(k))


def _weights(q, k, mask, bias, scale):
    scores = _attention_scores(q, k, scale)
    scores = scores if bias is None else scores + bias
    # Their memory holds the weights afterwards, where the library can.
    return masked_softmax(scores, mask, own=True) if scores.shape[-1] else scores


def _checked_shapes(q, k, v):
    name = "scaled_dot_product_attention"
    shapes = f"q {q.shape}, k {k.shape}, v {v.shape}"
    if min(q.ndim, k.ndim, v.ndim) < 2:
        msg = f"{name}: {shapes}; expected (..., T, d) for each"
        raise ValueError(msg)
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        msg = f"{name}: {shapes}; q and k need one depth (last axis), k and v one length"
        raise ValueError(msg)
    heads, groups = (x.shape[-3] if x.ndim > 2 else 1 for x in (q, k))
    if k.shape[:-2] != v.shape[:-2] or (groups not in (1, heads) and heads % groups):
        msg = f"{name}: {shapes}; k and v need as many heads (third axis from the end) as q, "
        raise ValueError(msg + "or a number that divides it")
    return heads // groups if groups > 1 else 1


def _lead(q, k, repeats):
    """The leading dimensions of the scores."""
    if repeats == 1:
        return broadcast_shapes(q[:-2], k[:-2])
    return (*broadcast_shapes(q[:-3], k[:-3]), q[-3])


def _past(mask, like, lengths):
    """``mask``, and of keys that lie behind a query nothing."""
    xp = backend_of(like)
    device = xp.device(like)
    rows, columns = (xp.arange(n, device=device) for n in lengths)
    past = rows[:, None] >= columns
    return past if mask is None else mask & past


def _truths(mask, like):
    """Who may see whom, as an array of truth values, or None; and what is added to the scores."""
    xp = backend_of(like)
    extra = None
    if mask is not None:
        raw = _raw(mask)
        if backend_of(raw) is not xp:
            raise mixed("scaled_dot_product_attention: scores and mask", like, raw)
        if not xp.isdtype(raw.dtype, "bool"):
            if not xp.is_inexact(raw.dtype):
                msg = f"the mask has dtype {raw.dtype}, expected truth values or numbers to add"
                raise TypeError(f"scaled_dot_product_attention: {msg}")
            mask, extra = None, as_variable(mask)
        else:
            mask = raw
    return mask, extra


def _is_long(q, k, v, extra):
    """Whether to compute in blocks: many scores of one dtype, and nobody learns their bias."""
    xp = backend_of(q._data)
    if q.shape[-2] * k.shape[-2] < xp.attention_long:
        return False
    alike = all(x.dtype == q.dtype for x in (k, v, extra) if x is not None)
    learned = extra is not None and extra.requires_grad
    return alike and not learned and xp.isdtype(q.dtype, "real floating")


def _spreads(shape, wide):
    """Whether an array of ``shape`` can be broadcast to the shape ``wide``."""
    ends = wide[len(wide) - len(shape) :]
    return len(shape) <= len(wide) and all(m in (1, n) for m, n in zip(shape, ends, strict=True))


def _heads_together(shape):
    """(..., groups, members, T, S) as (..., heads, T, S)."""
    return (*shape[:-4], shape[-4] * shape[-3], *shape[-2:])


def _by_group(x, groups, repeats):
    """A mask or bias of as many dimensions as the scores, with the heads as groups and members."""
    if x is None or x.ndim < 3:
        return x
    xp = backend_of(_raw(x))
    heads = (1, 1) if x.shape[-3] == 1 else (groups, repeats)
    shape = (*x.shape[:-3], *heads, *x.shape[-2:])
    return reshape(x, shape) if isinstance(x, Variable) else xp.reshape(x, shape)


def scaled_dot_product_attention(
    q, k, v, *, mask=None, causal=False, dropout_ratio=0.0, scale=None, return_weights=False
):
    """``softmax(q k' / sqrt(d)) v``: for each query the mean of values whose keys are like it.

    Vaswani et al., Attention is all you need, 2017. A query that sees nothing gives zeros, with
    zero gradients. For the backward pass only the weights are kept, and of long sequences not even
    these: unless they are dropped, returned, or a bias is learned, the scores are computed block by
    block, and the memory grows with the length, not with its square.

    Args:
        q: Queries of shape (..., heads, Tq, d).
        k: Keys of shape (..., heads, Tk, d). Their heads may be fewer, a number that divides those
            of the queries: each is shared by that many neighbours (Ainslie et al., GQA, 2023).
        v: Values of shape (..., heads, Tk, e), of as many heads as the keys.
        mask: Truth values, True where a query sees a key, or numbers to be added to the scores,
            which may be a Variable; broadcast against (..., heads, Tq, Tk).
        causal: Query i sees keys 0 to i only.
        dropout_ratio: Of the weights, while training.
        scale: Factor of the scores, by default ``1 / sqrt(d)``.
        return_weights: Also give the weights of shape (..., heads, Tq, Tk), before dropout.

    Returns:
        A Variable of shape (..., heads, Tq, e), or a pair with the weights.

    Raises:
        ValueError: The shapes do not fit.
        TypeError: ``mask`` holds integers.

    Example:
        >>> import numpy as np
        >>> x = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> scaled_dot_product_attention(x, x, x, causal=True)
        variable([[1.         0.        ]
                  [0.33023845 0.66976155]])
    """
    q, k, v = as_variable(q), as_variable(k), as_variable(v)
    repeats = _checked_shapes(q, k, v)
    scale = 1.0 / math.sqrt(max(q.shape[-1], 1)) if scale is None else scale
    if not isinstance(scale, (int, float)):
        q, scale = q * scale, 1.0
    mask, extra = _truths(mask, q._data)
    shape = (*_lead(q.shape, k.shape, repeats), q.shape[-2], k.shape[-2])
    for one in (mask, extra):
        if one is not None and not _spreads(one.shape, shape):
            msg = f"a mask of shape {tuple(one.shape)} for scores of shape {shape}"
            raise ValueError(f"scaled_dot_product_attention: {msg}")
    if repeats > 1:
        groups = k.shape[-3]
        q = reshape(q, (*q.shape[:-3], groups, repeats, *q.shape[-2:]))
        k, v = (reshape(x, (*x.shape[:-2], 1, *x.shape[-2:])) for x in (k, v))
        mask, extra = _by_group(mask, groups, repeats), _by_group(extra, groups, repeats)
    if not (dropout_ratio or return_weights) and _is_long(q, k, v, extra):
        (q, dtype), (k, _), (v, _) = (_widened(x) for x in (q * scale, k, v))
        bias = None if extra is None else extra._data
        y = _narrowed(_InBlocks(mask, bias, causal)(q, k, v), dtype)
    else:
        mask = _past(mask, q._data, shape[-2:]) if causal else mask
        weights = _weights(q, k, mask, extra, scale)
        y = matmul(dropout(weights, dropout_ratio) if dropout_ratio else weights, v)
    if repeats > 1:
        y = reshape(y, _heads_together(y.shape))
    if not return_weights:
        return y
    return y, reshape(weights, shape) if repeats > 1 else weights
