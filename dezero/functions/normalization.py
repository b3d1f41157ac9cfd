"""Normalization: numbers brought to mean 0 and variance 1, by the batch, the example or groups.

Statistics are functions of the input, so gradients are right to any order. Numbers in half
precision are normalized in single precision.
"""

import math

from ..backends import backend_of, mixed, normalized_axes
from ..backends.normalization import gradients
from ..config import training as in_training
from ..core import Variable, _raw, as_variable
from ..dispatch import namespace_of
from ..primitive import ops, variadic
from .elementwise import _narrowed, _widened, add
from .manipulation import permute_dims, reshape

__all__ = ["batch_norm", "batch_nrom", "group_norm", "instance_norm", "layer_norm", "rms_norm"]


@variadic(
    lambda xp, g, arrays, needed, axes, eps, centered, kept: xp.normalize_gradients(
        g, arrays, axes, eps, centered, kept, needed
    )
)
def normalize(xp, arrays, axes, eps, centered, kept):
    """An array less its mean over ``axes``, over its standard deviation, scaled and shifted.

    Without ``axes`` the mean and ``inv``, 1 over the standard deviation, are found in the dict
    ``kept``; else they are left there.
    """
    return xp.normalize(arrays, axes, eps, centered, kept)


def _normalize_gradients(g, arrays, axes, eps, centered, kept, needed):
    """The gradients of `normalize`, with the statistics as functions of the array again."""
    xp, x = namespace_of(backend_of(g._data)), arrays[0]
    mean, inv = kept["mean"], kept["inv"]
    if axes:
        mean = xp.mean(x, axis=axes, keepdims=True) if centered else None
        rough = x - mean if centered else x
        inv = 1.0 / xp.sqrt(xp.mean(rough * rough, axis=axes, keepdims=True) + eps)
    return gradients(xp, g, arrays, mean, inv, axes, needed)


ops["normalize_gradients"] = _normalize_gradients


def _normalized(x, gamma, beta, shape, axes, few, eps, centered=True, kept=None):
    """``x`` normalized in ``shape``, where gamma and beta have the shape ``few``."""
    arrays = [x if x.shape == shape else reshape(x, shape)]
    if gamma is not None:
        arrays.append(reshape(gamma, few))
    if beta is not None and gamma is not None:
        arrays.append(reshape(beta, few))
    y = normalize(arrays, axes, eps, centered, {} if kept is None else kept)
    if beta is not None and gamma is None:
        y = add(y, reshape(beta, few))
    return y if x.shape == shape else reshape(y, x.shape)


def _operands(name, x, gamma, beta, shape, least):
    """The operands as Variables, checked and `_widened`, after the dtype for `_narrowed`."""
    x = as_variable(x)
    xp = backend_of(x._data)
    if x.ndim < least:
        msg = f"{name}: x has shape {x.shape}, expected at least {least} dimensions"
        raise ValueError(msg)
    if not xp.isdtype(x.dtype, "real floating"):
        msg = f"{name}: x has dtype {x.dtype}, expected real floating-point numbers"
        raise TypeError(msg)
    operands = []
    for what, v in (("gamma", gamma), ("beta", beta)):
        if v is not None:
            v = as_variable(v)
            if v.shape != shape(x):
                msg = f"{name}: {what} has shape {v.shape}, expected {shape(x)} for x {x.shape}"
                raise ValueError(msg)
        operands.append(v)
    x, dtype = _widened(x)
    return dtype, x, *(v if v is None else _widened(v)[0] for v in operands)


def batch_norm(x, gamma, beta, mean, var, decay=0.9, eps=2e-5, *, training=None):
    """Each channel brought to mean 0 and variance 1 over the batch, times gamma, plus beta.

    In training the statistics are those of the batch, and the running ones are moved towards them:
    ``mean = decay * mean + (1 - decay) * batch_mean``, ``var`` likewise with the unbiased variance.
    One value for each channel has the variance 0, so that ``beta`` comes out (PyTorch refuses it).
    Otherwise the running ones are used, as constants.

    Ioffe and Szegedy, Batch normalization, 2015, https://arxiv.org/abs/1502.03167.

    Args:
        x: An array of shape (N, C, ...).
        gamma: Scale of shape (C,), or None.
        beta: Shift of shape (C,), or None.
        mean: Running mean of shape (C,), a Variable or an array that can be written to; or None:
            then the statistics are always those of the batch.
        var: Running variance, likewise.
        decay: How much of the running statistics stays.
        eps: Is added to the variance.
        training: Which of both; None: as `dezero.config` says.

    Raises:
        ValueError: Shapes do not fit, or the batch is empty in training.
        TypeError: ``x`` is not real and floating, or the running statistics cannot be written to.

    Example:
        >>> import numpy as np
        >>> x = np.array([[1.0], [3.0]])
        >>> mean, var = np.zeros(1), np.ones(1)
        >>> y = batch_norm(x, np.ones(1), np.zeros(1), mean, var, eps=0.0)
        >>> print(y.data[:, 0], mean, var)
        [-1.  1.] [0.2] [1.1]
    """
    name = "batch_norm"
    dtype, x, gamma, beta = _operands(name, x, gamma, beta, lambda x: x.shape[1:2], 2)
    n, channels, *rest = x.shape
    size = math.prod(rest)
    shape, few = (n, channels, size), (1, channels, 1)
    if (mean is None) != (var is None):
        msg = f"{name}: mean and var are both None or both arrays, got {mean!r} and {var!r}"
        raise ValueError(msg)
    for what, v in (("mean", mean), ("var", var)):
        _check_statistic(name, what, v, x, channels)
    training = in_training() if training is None else training
    if training or mean is None:
        if n * size == 0:
            msg = f"{name}: x has shape {x.shape}, expected at least one value for each channel"
            raise ValueError(msg)
        kept = {}
        y = _normalized(x, gamma, beta, shape, (0, 2), few, eps, kept=kept)
        if training and mean is not None:
            share = 1.0 - decay
            _move(mean, kept["mean"], decay, share)
            _move(var, kept["var"], decay, share * (n * size / max(n * size - 1, 1)))
    else:
        xp = backend_of(x._data)
        mean, var = (xp.cast(xp.reshape(_raw(v), few), x.dtype) for v in (mean, var))
        # what is running may be written to before the gradients are asked for
        kept = {"mean": xp.copy(mean), "inv": 1.0 / xp.sqrt(var + eps)}
        y = _normalized(x, gamma, beta, shape, (), few, eps, kept=kept)
    return _narrowed(y, dtype)


batch_nrom = batch_norm


def _check_statistic(name, what, v, x, channels):
    if v is None:
        return
    if not hasattr(v, "shape") or tuple(v.shape) != (channels,):
        got = getattr(v, "shape", type(v))
        msg = f"{name}: {what} is {got}, expected shape ({channels},) for x of shape {x.shape}"
        raise ValueError(msg)
    if backend_of(_raw(v)) is not backend_of(x._data):
        raise mixed(name, x._data, _raw(v))


def _move(old, new, decay, share):
    """``decay * old + share * new``, in ``old``."""
    data = _raw(old)
    xp = backend_of(data)
    moved = xp.cast(data * decay + xp.reshape(new, data.shape) * share, data.dtype)
    if isinstance(old, Variable):
        old.data = moved
    elif xp.mutable:
        xp.put(data, (slice(None),), moved)
    else:
        msg = (
            f"batch_norm: arrays of {xp.name} cannot be written to, give mean and var as Variables"
        )
        raise TypeError(msg)


def layer_norm(x, gamma=None, beta=None, *, axis=-1, eps=1e-5):
    """Each example brought to mean 0 and variance 1 over ``axis``, times gamma, plus beta.

    Ba, Kiros and Hinton, Layer normalization, 2016, https://arxiv.org/abs/1607.06450.

    Args:
        x: An array.
        gamma: Scale in the shape of the dimensions ``axis``, or None.
        beta: Shift likewise, or None.
        axis: A dimension or several.
        eps: Is added to the variance.

    Example:
        >>> import numpy as np
        >>> print(layer_norm(np.array([[1.0, 3.0], [5.0, 5.0]])).data.round(3))
        [[-1.  1.]
         [ 0.  0.]]
    """
    return _over_axes("layer_norm", x, gamma, beta, axis, eps, True)


def rms_norm(x, gamma=None, *, axis=-1, eps=1e-5):
    """Each example divided by the root of its mean square over ``axis``, times gamma.

    Zhang and Sennrich, Root mean square layer normalization, 2019,
    https://arxiv.org/abs/1910.07467. Arguments are those of `layer_norm`.
    """
    return _over_axes("rms_norm", x, gamma, None, axis, eps, False)


def _over_axes(name, x, gamma, beta, axis, eps, centered):
    x = as_variable(x)
    axes = tuple(sorted(normalized_axes(axis, x.ndim, name)))
    dtype, x, gamma, beta = _operands(
        name, x, gamma, beta, lambda x: tuple(x.shape[a] for a in axes), 1
    )
    size = math.prod(x.shape[a] for a in axes)
    if not size or not axes:
        msg = f"{name}: x has shape {x.shape}, nothing to normalize over axis {axis}"
        raise ValueError(msg)
    order = (*(a for a in range(x.ndim) if a not in axes), *axes)
    moved = order != tuple(range(x.ndim))
    x = permute_dims(x, order) if moved else x
    rows = math.prod(x.shape[: x.ndim - len(axes)])
    y = _normalized(x, gamma, beta, (rows, size), (1,), (1, size), eps, centered)
    y = permute_dims(y, tuple(order.index(a) for a in range(x.ndim))) if moved else y
    return _narrowed(y, dtype)


def group_norm(x, groups, gamma=None, beta=None, eps=1e-5):
    """Groups of channels of each example brought to mean 0 and variance 1.

    Wu and He, Group normalization, 2018, https://arxiv.org/abs/1803.08494.

    Args:
        x: An array of shape (N, C, ...).
        groups: How many groups of neighbours the channels make.
        gamma: Scale of shape (C,), or None.
        beta: Shift of shape (C,), or None.
        eps: Is added to the variance.

    Raises:
        ValueError: Shapes do not fit, or C is not a multiple of ``groups``.
    """
    return _by_groups("group_norm", x, groups, gamma, beta, eps)


def instance_norm(x, gamma=None, beta=None, *, eps=1e-5):
    """Each channel of each example brought to mean 0 and variance 1, times gamma, plus beta.

    Ulyanov and others, Instance normalization, 2016, https://arxiv.org/abs/1607.08022. ``x`` has
    the shape (N, C, *S), gamma and beta (C,).
    """
    x = as_variable(x)
    channels = x.shape[1] if x.ndim > 1 else 1
    return _by_groups("instance_norm", x, max(1, channels), gamma, beta, eps)


def _by_groups(name, x, groups, gamma, beta, eps):
    dtype, x, gamma, beta = _operands(name, x, gamma, beta, lambda x: x.shape[1:2], 2)
    n, channels, *rest = x.shape
    size = math.prod(rest)
    if groups < 1 or channels % groups:
        msg = f"{name}: {groups} groups of {channels} channels, x has shape {x.shape}"
        raise ValueError(msg)
    each = channels // groups
    if each * size < 2:
        msg = f"{name}: x has shape {x.shape}, expected more than one value to normalize over"
        raise ValueError(msg)
    shape, few = (n, groups, each, size), (1, groups, each, 1)
    return _narrowed(_normalized(x, gamma, beta, shape, (2, 3), few, eps), dtype)


for _function in (batch_norm, group_norm, instance_norm, layer_norm, rms_norm):
    ops[_function.__name__] = _function
