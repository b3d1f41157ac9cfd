"""Rows by their numbers: tables of words, tokens and classes."""

from ..backends import backend_of, mixed
from ..core import _raw, as_variable
from .indexing import take
from .manipulation import reshape

__all__ = ["embed_id", "embedding", "one_hot"]


def _as_places(xp, x, what):
    """Integers in the library's own kind: small ones do not count to many rows or classes.

    Raises:
        TypeError: They are none; the message begins with ``what``.
    """
    if not xp.isdtype(x.dtype, "integral"):
        msg = f"{what} have dtype {x.dtype}, expected integers"
        raise TypeError(msg)
    return xp.cast(x, xp.arange(0).dtype)


def _places(name, ids, like=None):
    """The plain array of integers, of the same library as ``like``."""
    raw = _raw(ids)
    if not hasattr(raw, "dtype"):
        xp = backend_of(like) if like is not None else backend_of(as_variable(raw)._data)
        raw = xp.asarray(raw, device=None if like is None else xp.device(like))
    xp = backend_of(raw)
    if like is not None and backend_of(like) is not xp:
        raise mixed(name, raw, like)
    return xp, _as_places(xp, raw, f"{name}: ids")


def embedding(ids, W, *, padding_index=None):
    """The rows of ``W`` at ``ids``. Where an id comes several times, its gradients add up.

    Args:
        ids: Integers of any shape and kind, also a Variable.
        W: A table of shape (V, D).
        padding_index: A row that gets no gradient.

    Returns:
        A Variable of shape ``(*ids.shape, D)``.

    Raises:
        IndexError: An id is not from 0 to V - 1; negative ones do not count from the end.
        TypeError: ``ids`` are not integers.

    Example:
        >>> import numpy as np
        >>> from dezero import Variable
        >>> W = Variable(np.array([[1.0, 2.0], [3.0, 4.0]]))
        >>> y = embedding(np.array([1, 1]), W)
        >>> y.sum().backward()
        >>> y, W.grad
        (variable([[3. 4.]
                   [3. 4.]]), variable([[0. 0.]
                                        [2. 2.]]))
    """
    W = as_variable(W)
    if W.ndim != 2:
        msg = f"embedding: W has shape {W.shape}, expected (V, D)"
        raise ValueError(msg)
    xp, raw = _places("embedding", ids, W._data)
    flat = xp.reshape(raw, (-1,))
    xp.check_labels(flat, W.shape[0], "embedding: ids")
    y = take(W, flat, axis=0)
    if padding_index is not None:
        if not -W.shape[0] <= padding_index < W.shape[0]:
            msg = f"embedding: padding_index is {padding_index}, W has {W.shape[0]} rows"
            raise IndexError(msg)
        padding = flat == padding_index % W.shape[0]
        kept = xp.astype(~padding, W.dtype)[:, None]
        y = y * kept + y.detach() * (1.0 - kept)
    return y if raw.ndim == 1 else reshape(y, (*raw.shape, W.shape[1]))


def embed_id(x, W):
    """``W[x]``, the book's name: rows of ``W`` at ``x``, where negative numbers count from the end.

    The gradients of a row that comes several times add up. `embedding` checks its ids.

    Example:
        >>> import numpy as np
        >>> embed_id(np.array([0, -1]), np.array([[1.0], [2.0], [3.0]]))
        variable([[1.]
                  [3.]])
    """
    W = as_variable(W)
    if not W.ndim:
        msg = "embed_id: W is one number, expected an array with rows"
        raise ValueError(msg)
    xp, raw = _places("embed_id", x, W._data)
    flat, n = xp.reshape(raw, (-1,)), W.shape[0]
    flat = xp.where(flat < 0, flat + n, flat)
    xp.check_labels(flat, n, "embed_id: ids")
    y = take(W, flat, axis=0)
    return y if raw.ndim == 1 else reshape(y, (*raw.shape, *W.shape[1:]))


def one_hot(ids, classes=None, *, dtype=None):
    """1 at the place that each id names along a new last axis, else 0. A constant.

    Args:
        ids: Integers of any shape.
        classes: The length of the new axis; None: one more than the largest id.
        dtype: By default the library's floating dtype.

    Raises:
        IndexError: An id is not from 0 to ``classes - 1``.

    Example:
        >>> import numpy as np
        >>> one_hot(np.array([0, 2]))
        variable([[1. 0. 0.]
                  [0. 0. 1.]])
    """
    xp, raw = _places("one_hot", ids)
    flat = xp.reshape(raw, (-1,))
    if classes is None:
        if not flat.shape[0]:
            msg = "one_hot: there are no ids to tell the number of classes"
            raise ValueError(msg)
        classes = int(xp.max(flat)) + 1
    xp.check_labels(flat, classes, "one_hot: ids")
    places = xp.arange(classes, device=xp.device(raw))
    hit = raw[..., None] == places
    return as_variable(xp.astype(hit, xp.asarray(1.0).dtype if dtype is None else dtype))
