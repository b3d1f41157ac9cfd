"""Losses: what a network is trained to make small.

Those of the book divide by the batch size. The others have ``reduction``: ``"mean"`` over all
elements, ``"sum"``, or ``"none"``; ``reduction="mean"`` of nothing is an error.
"""

import math

from ..backends import backend_of, mixed, normalized_axes
from ..config import recording
from ..core import _raw, as_variable
from ..primitive import constant, elementwise, ops, primitive
from .activation import log_softmax, only, relu, softplus
from .elementwise import abs, astype, clip, exp, log, maximum, sqrt
from .indexing import take_along_axis, where
from .lookup import _as_places
from .manipulation import broadcast_arrays, moveaxis, reshape
from .statistical import mean, sum, vector_norm

__all__ = [
    "accuracy",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "hinge_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "margin_ranking_loss",
    "mean_squared_error",
    "mean_squared_error_simple",
    "mse_loss",
    "nll_loss",
    "poisson_nll_loss",
    "sigmoid_cross_entropy",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax_cross_entropy",
    "softmax_cross_entropy_simple",
    "triplet_margin_loss",
]


# --- what they share ----------------------------------------------------------------------------


def _reduced(name, loss, reduction, size=None, also=""):
    """The loss of each element, or their sum, or that divided by ``size``, by default the count.

    ``also`` are reductions that the caller has done, for the message.
    """
    if reduction == "none":
        return loss
    if reduction == "sum":
        return sum(loss)
    if reduction != "mean":
        msg = f"{name}: reduction is {reduction!r}, expected 'mean', {also}'sum' or 'none'"
        raise ValueError(msg)
    if loss.size == 0:
        msg = f"{name}: the batch is empty"
        raise ValueError(msg)
    return mean(loss) if size is None else sum(loss) / size


def _pair(name, x, t):
    """Two Variables of one shape."""
    if not (hasattr(x, "shape") and hasattr(t, "shape")):
        msg = f"{name}: expected two arrays, got {type(x)} and {type(t)}"
        raise TypeError(msg)
    x, t = as_variable(x), as_variable(t)
    if x.shape != t.shape:
        msg = f"{name}: shapes {x.shape} and {t.shape} differ"
        raise ValueError(msg)
    return x, t


def _like(t, x):
    """Targets in the dtype of ``x`` if they are integers or truth values."""
    xp = backend_of(t._data)
    return t if xp.is_inexact(t.dtype) else as_variable(xp.astype(t._data, x.dtype))


def _array(name, x, t):
    """The plain array ``t`` beside the Variable ``x``, of the same library."""
    raw = _raw(t)
    if not (hasattr(raw, "shape") and hasattr(raw, "dtype")):
        msg = f"{name}: expected an array, got {type(raw)}"
        raise TypeError(msg)
    if backend_of(raw) is not backend_of(x._data):
        raise mixed(name, x._data, raw)
    return raw


def _labels(name, x, t, ignored=None):
    """Class numbers as signed integers, checked, with 0 for the ignored; and which are not."""
    t = _array(name, x, t)
    xp = backend_of(t)
    t, kept = _as_places(xp, t, f"{name}: labels"), None
    if ignored is not None:
        hit = t == ignored
        if xp.asynchronous or not xp.holds(~xp.any(hit)):
            t, kept = xp.where(hit, xp.zeros_like(t), t), ~hit
    xp.check_labels(t, x.shape[1], f"{name}: labels")
    return t, kept


# --- differences --------------------------------------------------------------------------------


def _error_rule(xp, g, a, b, shape):
    d = (2.0 * g / (a.shape[0] if a.shape else 1)) * (a - b)
    return d if d.shape == shape else xp.reshape(d, shape)


@primitive(
    lambda xp, g, x0, x1, x0_shape: _error_rule(xp, g, x0, x1, x0_shape),
    lambda xp, g, x0, x1, x1_shape: -_error_rule(xp, g, x0, x1, x1_shape),
)
def mean_squared_error(xp, x0, x1):
    """Sum of the squared differences, divided by the batch size (not the number of elements).

    Args:
        x0: An array of shape (N, ...).
        x1: An array of the same shape; any shape if both hold one element.

    Raises:
        ValueError: The shapes differ; they are not broadcast.
    """
    if not (hasattr(x0, "shape") and hasattr(x1, "shape")):
        msg = f"mean_squared_error: expected two arrays, got {type(x0)} and {type(x1)}"
        raise TypeError(msg)
    if x0.shape != x1.shape and not {*x0.shape, *x1.shape} <= {1}:
        msg = f"mean_squared_error: shapes {x0.shape} and {x1.shape} differ"
        raise ValueError(msg)
    if x0.shape and x0.shape[0] == 0:
        msg = "mean_squared_error: the batch is empty"
        raise ValueError(msg)
    d = x0 - x1
    return xp.sum(d * d) / (x0.shape[0] if x0.shape else 1)


mean_squared_error_simple = mean_squared_error


def mse_loss(x, t, *, reduction="mean"):
    """Squared differences; with ``reduction="mean"`` divided by the number of elements.

    Raises:
        ValueError: The shapes differ; they are not broadcast.

    Example:
        >>> import numpy as np
        >>> print(mse_loss(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]])))
        2.0
    """
    x, t = _pair("mse_loss", x, t)
    d = x - t
    return _reduced("mse_loss", d * d, reduction)


def l1_loss(x, t, *, reduction="mean"):
    """Absolute differences. The gradient where there is none is 0."""
    x, t = _pair("l1_loss", x, t)
    return _reduced("l1_loss", abs(x - t), reduction)


@elementwise(lambda xp, g, d, delta: g * xp.clip(d, -delta, delta))
def _huber(xp, d, delta):
    """``d * d / 2`` to ``delta`` on both sides, and straight on from there."""
    size = xp.abs(d)
    near = xp.clip(size, 0.0, delta)
    return near * (size - 0.5 * near)


def huber_loss(x, t, *, delta=1.0, reduction="mean"):
    """Half of the squared difference up to ``delta``, and from there on ``delta`` times its size.

    Huber, Robust estimation of a location parameter, 1964.

    Raises:
        ValueError: The shapes differ, or ``delta`` is not positive.
    """
    if not delta > 0:
        msg = f"huber_loss: delta is {delta}, expected a positive number"
        raise ValueError(msg)
    x, t = _pair("huber_loss", x, t)
    return _reduced("huber_loss", _huber(x - t, delta), reduction)


def smooth_l1_loss(x, t, *, beta=1.0, reduction="mean"):
    """`huber_loss` divided by its ``delta``, here ``beta``; `l1_loss` where that is 0."""
    if not beta >= 0:
        msg = f"smooth_l1_loss: beta is {beta}, expected a number from 0"
        raise ValueError(msg)
    x, t = _pair("smooth_l1_loss", x, t)
    d = x - t
    return _reduced("smooth_l1_loss", _huber(d, beta) / beta if beta else abs(d), reduction)


# --- classes ------------------------------------------------------------------------------------


def _nll_rule(xp, g, x, t, y, kept):
    return xp.nll_grad(g[0], g[1], x, t, y[1], kept)


@primitive(_nll_rule, None, several=True)
def _nll(xp, x, t, kept=None):
    """``-log(softmax(x))`` at the places ``t`` of each row, and each row's logsumexp.

    In the dict ``kept`` a backend may leave something for the gradient.
    """
    return xp.nll(x, t, kept)


def _cross_entropy_rule(xp, g, x, t, y, kept):
    each = xp.broadcast_to(g[0] / x.shape[0], t.shape)
    return xp.nll_grad(each, g[1], x, t, y[1], kept)


@primitive(_cross_entropy_rule, None, several=True)
def _softmax_cross_entropy(xp, x, t, kept=None):
    """The mean of `_nll`, and each row's logsumexp, which the gradient needs."""
    loss, total = xp.nll(x, t, kept)
    return xp.mean(loss), total


def _share(xp, g, x):
    return xp.sum(g * xp.softmax(x, 1), axis=1)


def _at(xp, g, t):
    return xp.reshape(xp.take_along_axis(g, t[:, None], axis=1), t.shape)


@primitive(
    lambda xp, g, x, t: _share(xp, g, x) - _at(xp, g, t),
    lambda xp, g, x: _share(xp, g, x),
    lambda xp, g, g0, g1, x: xp.softmax_grad(g * (g0 + g1)[:, None], xp.softmax(x, 1), 1),
    None,
    None,
)
def nll_grad(xp, g0, g1, x, t, total, kept=None):
    """The gradient of the two results of `_nll`, of which ``total`` is the second."""
    return xp.nll_grad(g0, g1, x, t, total, kept)


def softmax_cross_entropy(x, t):
    """Mean over the batch of ``-log(softmax(x))`` at the right class.

    Args:
        x: Scores of shape (N, C).
        t: Class numbers of shape (N,), integers of any kind.

    Raises:
        ValueError: The shapes do not fit, or the batch is empty.
        TypeError: ``t`` does not hold integers.
        IndexError: A class number is not from 0 to C - 1.

    Example:
        >>> import numpy as np
        >>> y = softmax_cross_entropy(np.log([[1.0, 3.0]]), np.array([1]))
        >>> f"{y:.6f}"
        '0.287682'
    """
    if not (hasattr(x, "shape") and hasattr(t, "shape")):
        msg = f"softmax_cross_entropy: expected two arrays, got {type(x)} and {type(t)}"
        raise TypeError(msg)
    if len(x.shape) != 2 or t.shape != x.shape[:1]:
        msg = f"softmax_cross_entropy: shapes {x.shape} and {t.shape}, expected (N, C) and (N,)"
        raise ValueError(msg)
    if t.shape[0] == 0:
        msg = "softmax_cross_entropy: the batch is empty"
        raise ValueError(msg)
    x = as_variable(x)
    kept = {} if recording() else None
    return _softmax_cross_entropy(x, _labels("softmax_cross_entropy", x, t)[0], kept)[0]


ops["softmax_cross_entropy"] = softmax_cross_entropy
softmax_cross_entropy_simple = softmax_cross_entropy


def _class_weight(name, x, weight):
    weight = _array(name, x, weight)
    if weight.shape != x.shape[1:]:
        msg = f"{name}: weight has shape {weight.shape}, expected {x.shape[1:]}, one a class"
        raise ValueError(msg)
    return weight


def _each_class(name, x, t, axis):
    """Scores as (M, C), class numbers as (M,), and the shape of the losses."""
    (axis,) = normalized_axes(axis, x.ndim, name)
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    if t.shape != shape:
        msg = f"{name}: scores of shape {x.shape}, classes along axis {axis}, need labels of shape "
        raise ValueError(f"{msg}{shape}, got {t.shape}")
    x = x if axis == x.ndim - 1 else moveaxis(x, axis, -1)
    classes = x.shape[-1]
    return reshape(x, (math.prod(shape), classes)), shape


def _weighed(name, loss, t, kept, weight, reduction, shape, extra=None):
    """Losses of labels under weights of classes; the mean is over the weights of what is kept."""
    factor = None
    if weight is not None:
        xp = backend_of(weight)
        factor = xp.take(weight, t, axis=0)
        loss = loss * factor
    if extra is not None:
        loss = loss + extra
    if kept is not None:
        loss = only(loss, kept)
    size = None
    if reduction == "mean" and (factor is not None or kept is not None):
        xp = backend_of(t)
        ones = xp.ones_like(loss._data) if factor is None else factor
        size = xp.sum(ones if kept is None else xp.only(ones, kept))
        size = xp.where(size == 0.0, xp.ones_like(size), size)
    loss = reshape(loss, shape) if reduction == "none" else loss
    return _reduced(name, loss, reduction, size)


def cross_entropy(
    x, t, *, axis=1, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"
):
    """``-log(softmax(x))`` at the right class, or its mean under probabilities of the classes.

    Args:
        x: Scores of shape (N, C, ...), or with the classes along another ``axis``.
        t: Class numbers of the shape of ``x`` without ``axis``, integers of any kind; or
            probabilities in the shape of ``x``.
        axis: Where the classes are.
        weight: A factor for each class. The mean is then divided by the weights of the right
            classes, except under probabilities.
        ignore_index: Class numbers that count for nothing.
        label_smoothing: A share of the target that is spread evenly over all classes.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``. The mean of nothing but ignored labels is 0.

    Raises:
        ValueError: Shapes do not fit, or the batch is empty.
        IndexError: A class number is not from 0 to C - 1.

    Example:
        >>> import numpy as np
        >>> x = np.log([[1.0, 3.0], [1.0, 1.0]])
        >>> cross_entropy(x, np.array([1, 0]), reduction="none")
        variable([0.28768207 0.69314718])
    """
    name = "cross_entropy"
    if not 0.0 <= label_smoothing <= 1.0:
        msg = f"{name}: label_smoothing is {label_smoothing}, expected a number from 0 to 1"
        raise ValueError(msg)
    x = as_variable(x)
    if backend_of(_array(name, x, t)).is_inexact(t.dtype):
        return _soft_cross_entropy(x, as_variable(t), axis, weight, label_smoothing, reduction)
    x, shape = _each_class(name, x, t, axis)
    t, kept = _labels(name, x, reshape(as_variable(t), (-1,)), ignore_index)
    weight = None if weight is None else _class_weight(name, x, weight)
    loss, total = _nll(x, t, {} if recording() else None)
    extra = None
    if label_smoothing:
        spread = reshape(total, (-1, 1)) - x
        spread = sum(spread if weight is None else spread * weight, axis=1)
        loss = loss * (1.0 - label_smoothing)
        extra = astype(spread * (label_smoothing / x.shape[1]), x.dtype, copy=False)
    return _weighed(name, loss, t, kept, weight, reduction, shape, extra)


def _soft_cross_entropy(x, t, axis, weight, smoothing, reduction):
    name = "cross_entropy"
    if t.shape != x.shape:
        msg = f"{name}: scores of shape {x.shape} and probabilities of shape {t.shape} differ"
        raise ValueError(msg)
    (axis,) = normalized_axes(axis, x.ndim, name)
    classes = x.shape[axis]
    if smoothing:
        t = t * (1.0 - smoothing) + smoothing / classes
    terms = -t * log_softmax(x, axis)
    if weight is not None:
        weight = _class_weight(name, reshape(x, (-1, classes)), weight)
        terms = terms * reshape(as_variable(weight), (classes, *(1,) * (x.ndim - axis - 1)))
    return _reduced(name, sum(terms, axis=axis), reduction)


def nll_loss(x, t, *, axis=1, weight=None, ignore_index=-100, reduction="mean"):
    """``-x`` at the right class, of logarithms of probabilities as `log_softmax` gives them.

    The arguments are those of `cross_entropy`.

    Raises:
        ValueError: Shapes do not fit, or the batch is empty.
        IndexError: A class number is not from 0 to C - 1.
    """
    name = "nll_loss"
    x = as_variable(x)
    x, shape = _each_class(name, x, _array(name, x, t), axis)
    t, kept = _labels(name, x, reshape(as_variable(t), (-1,)), ignore_index)
    weight = None if weight is None else _class_weight(name, x, weight)
    loss = -reshape(take_along_axis(x, t[:, None], axis=1), t.shape)
    return _weighed(name, loss, t, kept, weight, reduction, shape)


def hinge_loss(x, t, *, margin=1.0, p=1, weight=None, reduction="mean"):
    """By how much each wrong class comes nearer to the right one than ``margin``, over C.

    For each row the mean over all C classes of ``max(0, margin - x[t] + x[c]) ** p``, without the
    right class itself: PyTorch's ``multi_margin_loss``.

    Args:
        x: Scores of shape (N, C).
        t: Class numbers of shape (N,).
        margin: The distance that is asked for.
        p: 1 or 2.
        weight: A factor for each right class. The mean is over the batch in any case.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """
    name = "hinge_loss"
    if p not in (1, 2):
        msg = f"{name}: p is {p!r}, expected 1 or 2"
        raise ValueError(msg)
    x = as_variable(x)
    if x.ndim != 2:
        msg = f"{name}: scores have shape {x.shape}, expected (N, C)"
        raise ValueError(msg)
    x, _ = _each_class(name, x, _array(name, x, t), 1)
    t, _ = _labels(name, x, t)
    right = take_along_axis(x, t[:, None], axis=1)
    xp = backend_of(t)
    wrong = t[:, None] != xp.arange(x.shape[1], device=xp.device(t))
    terms = only(relu(x - right + margin), wrong)
    terms = terms if p == 1 else terms * terms
    loss = sum(terms, axis=1) / x.shape[1]
    if weight is not None:
        loss = loss * xp.take(_class_weight(name, x, weight), t, axis=0)
    return _reduced(name, loss, reduction)


@constant
def accuracy(xp, y, t):
    """Share of rows of ``y`` (N, C, ...) whose largest element is at class ``t``. A constant.

    Raises:
        ValueError: ``t`` does not have one class for each row.
    """
    best = xp.argmax(y, axis=1)
    if math.prod(t.shape) != math.prod(best.shape):
        msg = f"accuracy: t of shape {tuple(t.shape)} does not fit y of shape {tuple(y.shape)}"
        raise ValueError(f"{msg}: one class for each row is expected")
    hit = xp.reshape(best, (-1,)) == xp.reshape(t, (-1,))
    return xp.mean(xp.astype(hit, y.dtype))


def _times(name, loss, weight, what="weight"):
    """``loss * weight``, of the shape of ``loss``."""
    if weight is None:
        return loss
    y = loss * weight
    if y.shape != loss.shape:
        shape = tuple(getattr(weight, "shape", ()))
        msg = f"{name}: {what} of shape {shape} does not fit losses of shape {loss.shape}"
        raise ValueError(msg)
    return y


# --- yes or no ----------------------------------------------------------------------------------


def _book_pair(name, x, t):
    """As the book: targets take the shape of ``x`` if only their number of axes differs."""
    x, t = as_variable(x), as_variable(t)
    if t.ndim != x.ndim and t.size == x.size:
        t = reshape(t, x.shape)
    x, t = _pair(name, x, t)
    if x.ndim == 0 or x.shape[0] == 0:
        msg = f"{name}: x has shape {x.shape}, expected (N, ...) with N from 1"
        raise ValueError(msg)
    return x, _like(t, x)


@elementwise(
    lambda xp, g, x, t: g * (xp.sigmoid(x) - t),
    lambda xp, g, x: -(g * x),
)
def _logits_cross_entropy(xp, x, t):
    """``-t log(sigmoid(x)) - (1 - t) log(sigmoid(-x))`` without overflow."""
    return xp.softplus(-xp.abs(x)) + xp.maximum(x, 0.0) - x * t


def sigmoid_cross_entropy(x, t):
    """Cross-entropy of ``sigmoid(x)`` and truth values or probabilities, over the batch size.

    The sum over all elements is divided by N, as in the book. It is computed from ``x`` itself and
    right for every size of it, where the book cuts probabilities off at 1e-15.

    Args:
        x: Scores of shape (N, ...).
        t: Targets from 0 to 1, of any dtype, in as many elements.

    Raises:
        ValueError: The shapes do not fit, or the batch is empty.
    """
    x, t = _book_pair("sigmoid_cross_entropy", x, t)
    return sum(_logits_cross_entropy(x, t)) / x.shape[0]


def _log(xp, p):
    """Logarithm, but -100 for what is smaller."""
    zero = p == 0.0
    return xp.clip(xp.log(xp.where(zero, xp.full_like(p, 1e-44), p)), -100.0, math.inf)


@elementwise(
    lambda xp, g, p, t: g * ((p - t) / xp.clip(p * (1.0 - p), 1e-12, math.inf)),
    lambda xp, g, p: g * (_log(xp, 1.0 - p) - _log(xp, p)),
)
def _binary_cross_entropy(xp, p, t):
    """``-t log(p) - (1 - t) log(1 - p)``, with no logarithm below -100."""
    return -(t * _log(xp, p) + (1.0 - t) * _log(xp, 1.0 - p))


def binary_cross_entropy(p, t, *, weight=None, reduction=None):
    """Cross-entropy of probabilities ``p`` and truth values or probabilities ``t``.

    Without ``reduction`` it is the book's: ``p`` is cut off at 1e-15 and 0.999, beyond which there
    is no gradient, and the sum over all elements is divided by the batch size. With
    ``reduction="mean"``, ``"sum"`` or ``"none"`` it is PyTorch's: nothing is cut off, but no
    logarithm is below -100. `binary_cross_entropy_with_logits` is exact everywhere.

    Raises:
        ValueError: The shapes do not fit, or the batch is empty.
    """
    name = "binary_cross_entropy"
    if reduction is None:
        p, t = _book_pair(name, p, t)
        p = clip(p, 1e-15, 0.999)
        loss = t * log(p) + (1.0 - t) * log(1.0 - p)
        return -sum(_times(name, loss, weight)) / p.shape[0]
    p, t = _pair(name, p, t)
    loss = _binary_cross_entropy(p, _like(t, p))
    return _reduced(name, _times(name, loss, weight), reduction)


def binary_cross_entropy_with_logits(x, t, *, weight=None, pos_weight=None, reduction="mean"):
    """Cross-entropy of ``sigmoid(x)`` and ``t``, exact for every size of ``x``.

    Args:
        x: Scores of any shape.
        t: Truth values or probabilities of the same shape.
        weight: Factors, broadcast against the losses.
        pos_weight: Factors of what is true, broadcast too.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """
    name = "binary_cross_entropy_with_logits"
    x, t = _pair(name, x, t)
    t = _like(t, x)
    if pos_weight is None:
        loss = _logits_cross_entropy(x, t)
    else:
        loss = _times(name, t * softplus(-x), pos_weight, "pos_weight") + (1.0 - t) * softplus(x)
    return _reduced(name, _times(name, loss, weight), reduction)


def soft_margin_loss(x, t, *, reduction="mean"):
    """``log(1 + exp(-t * x))`` for targets of 1 and -1."""
    x, t = _pair("soft_margin_loss", x, t)
    return _reduced("soft_margin_loss", softplus(-_like(t, x) * x), reduction)


def hinge_embedding_loss(x, t, *, margin=1.0, reduction="mean"):
    """The distance ``x`` where ``t`` is 1, and ``max(0, margin - x)`` where it is -1."""
    x, t = _pair("hinge_embedding_loss", x, t)
    alike = t._data == 1
    loss = only(x, alike) + only(relu(margin - x), ~alike)
    return _reduced("hinge_embedding_loss", loss, reduction)


# --- distributions ------------------------------------------------------------------------------


def _logarithm(xp, t):
    """Logarithm, but 0 for 0."""
    return xp.log(xp.where(t == 0.0, xp.ones_like(t), t))


@elementwise(
    lambda xp, g, t: -(g * t),
    lambda xp, g, x, t: xp.only(g * (_logarithm(xp, t) + 1.0 - x), t != 0.0),
)
def _divergence(xp, x, t):
    """``t * (log(t) - x)``, 0 where ``t`` is."""
    return t * (_logarithm(xp, t) - xp.only(x, t != 0.0))


def kl_div(x, t, *, log_target=False, reduction="mean"):
    """Kullback-Leibler divergence ``t * (log(t) - x)`` of logarithms ``x`` from ``t``.

    Args:
        x: Logarithms of probabilities.
        t: Probabilities of the same shape, or with ``log_target`` their logarithms. Where one is 0,
            so are the loss and the gradient.
        log_target: Whether ``t`` holds logarithms too.
        reduction: ``"mean"`` over the elements, ``"batchmean"`` over the first axis, which is the
            divergence of its definition, ``"sum"`` or ``"none"``.
    """
    x, t = _pair("kl_div", x, t)
    loss = exp(t) * (t - x) if log_target else _divergence(x, t)
    if reduction == "batchmean":
        if not x.ndim or not x.shape[0]:
            msg = f"kl_div: x has shape {x.shape}, expected (N, ...) with N from 1"
            raise ValueError(msg)
        return sum(loss) / x.shape[0]
    return _reduced("kl_div", loss, reduction, also="'batchmean', ")


def poisson_nll_loss(x, t, *, log_input=True, full=False, eps=1e-8, reduction="mean"):
    """Negative logarithm of the probability of counts ``t`` under the Poisson distribution.

    Args:
        x: Expected counts, or with ``log_input`` their logarithms.
        t: Counts of the same shape.
        log_input: Whether ``x`` holds logarithms.
        full: Also the term that depends on ``t`` alone, by Stirling's formula, where ``t`` > 1.
        eps: Added to expected counts before their logarithm is taken.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """
    x, t = _pair("poisson_nll_loss", x, t)
    t = _like(t, x)
    loss = exp(x) - t * x if log_input else x - t * log(x + eps)
    if full:
        big = maximum(t, 1.0)
        stirling = big * log(big) - big + 0.5 * log(2.0 * math.pi * big)
        loss = loss + only(stirling, t._data > 1)
    return _reduced("poisson_nll_loss", loss, reduction)


def gaussian_nll_loss(x, t, var, *, full=False, eps=1e-6, reduction="mean"):
    """Negative logarithm of the density of ``t`` under normal distributions.

    Args:
        x: Means.
        t: Observations of the same shape.
        var: Variances: of that shape, without its last axis, or with length 1 there. Those below
            ``eps`` count as ``eps``; their gradient is taken there, too.
        full: With the constant ``log(2 pi) / 2``.
        eps: The smallest variance.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """
    x, t = _pair("gaussian_nll_loss", x, t)
    var = as_variable(var)
    if var.shape == x.shape[:-1] and x.ndim:
        var = reshape(var, (*var.shape, 1))
    elif var.shape != x.shape and var.shape != (*x.shape[:-1], 1):
        msg = f"gaussian_nll_loss: var has shape {var.shape}, x {x.shape}"
        raise ValueError(msg)
    raw = var._data
    xp = backend_of(raw)
    var = var + xp.only(eps - raw, raw < eps)
    d = x - t
    loss = 0.5 * (log(var) + d * d / var)
    return _reduced(
        "gaussian_nll_loss", loss + 0.5 * math.log(2.0 * math.pi) if full else loss, reduction
    )


# --- distances ----------------------------------------------------------------------------------


def cosine_similarity(a, b, *, axis=1, eps=1e-8):
    """Cosine of the angle between the vectors along ``axis``; lengths below ``eps`` count as it.

    The shapes are broadcast against each other.

    Example:
        >>> import numpy as np
        >>> cosine_similarity(np.array([[1.0, 0.0]]), np.array([[3.0, 4.0]]))
        variable([0.6])
    """
    a, b = broadcast_arrays(as_variable(a), as_variable(b))
    sizes = [maximum(vector_norm(x, axis=axis), eps) for x in (a, b)]
    return sum(a * b, axis=axis) / (sizes[0] * sizes[1])


def cosine_embedding_loss(a, b, t, *, margin=0.0, reduction="mean"):
    """``1 - cos`` of two vectors where ``t`` is 1, and ``max(0, cos - margin)`` where it is -1.

    As in PyTorch 1e-12 is added to the squared lengths: the gradient at 0 is finite.

    Args:
        a: Vectors of shape (N, D) or (D,).
        b: Vectors of the same shape.
        t: 1 or -1 for each pair.
        margin: Above which cosine unlike vectors are pushed apart.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """
    a, b = _pair("cosine_embedding_loss", a, b)
    t = _array("cosine_embedding_loss", a, t)
    if t.shape != a.shape[:-1]:
        msg = f"cosine_embedding_loss: t has shape {t.shape}, expected {a.shape[:-1]}"
        raise ValueError(msg)
    lengths = (sum(a * a, axis=-1) + 1e-12) * (sum(b * b, axis=-1) + 1e-12)
    cosine = sum(a * b, axis=-1) / sqrt(lengths)
    loss = only(1.0 - cosine, t == 1) + only(relu(cosine - margin), t == -1)
    return _reduced("cosine_embedding_loss", loss, reduction)


def margin_ranking_loss(a, b, t, *, margin=0.0, reduction="mean"):
    """``max(0, margin - t * (a - b))``: ``a`` should be larger where ``t`` is 1, ``b`` at -1."""
    a, b = _pair("margin_ranking_loss", a, b)
    _, t = _pair("margin_ranking_loss", a, t)
    t = _like(t, a)
    return _reduced("margin_ranking_loss", relu(margin - t * (a - b)), reduction)


def _distance(a, b, p, eps):
    return vector_norm(a - b + eps, axis=-1, ord=p)


def triplet_margin_loss(
    anchor, positive, negative, *, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"
):
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)``.

    Args:
        anchor: Vectors of shape (..., D).
        positive: What should be near to them.
        negative: What should be far from them.
        margin: By how much.
        p: The order of the norm of the differences, the distance.
        eps: Added to each difference: the gradient of the distance 0 is finite.
        swap: Take the distance of ``negative`` from ``positive`` where that is smaller (Balntas et
            al., Learning shallow convolutional feature descriptors with triplet losses, 2016).
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """
    anchor, positive, negative = as_variable(anchor), as_variable(positive), as_variable(negative)
    if not anchor.shape == positive.shape == negative.shape or not anchor.ndim:
        shapes = f"{anchor.shape}, {positive.shape} and {negative.shape}"
        msg = f"triplet_margin_loss: shapes {shapes}, expected three of one (..., D)"
        raise ValueError(msg)
    near, far = _distance(anchor, positive, p, eps), _distance(anchor, negative, p, eps)
    if swap:
        other = _distance(positive, negative, p, eps)
        far = where(far._data <= other._data, far, other)
    return _reduced("triplet_margin_loss", relu(near - far + margin), reduction)
