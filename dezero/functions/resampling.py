"""Images in another size: interpolation, and channels exchanged for pixels.

All of these are linear maps.
"""

import math

from ..backends import backend_of, is_integer
from ..core import as_variable
from ..primitive import ops
from .indexing import take
from .manipulation import broadcast_to, permute_dims, reshape

__all__ = ["pixel_shuffle", "pixel_unshuffle", "resize"]

_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}


def resize(x, size=None, scale_factor=None, mode="bilinear", align_corners=False):
    """An image with its spatial dimensions in another size.

    Pixels are little areas, as in PyTorch's ``interpolate``: pixel ``i`` of ``m`` stands at
    ``(i + 1/2) n / m - 1/2`` of ``n``.

    Args:
        x: An array of shape (N, C, *S), with one to three spatial dimensions.
        size: The new size, one number or one for each spatial dimension.
        scale_factor: Instead: how many times larger, likewise. The size is rounded down.
        mode: ``"bilinear"`` (``"linear"`` in one dimension, ``"trilinear"`` in three) mixes the
            neighbours, ``"nearest"`` takes the pixel ``floor(i n / m)``.
        align_corners: The first and last pixels stand on those of ``x``.

    Raises:
        ValueError: Sizes or mode do not fit.

    Example:
        >>> import numpy as np
        >>> x = np.array([[[[0.0, 4.0]]]])
        >>> print(resize(x, (1, 4)).data[0, 0])
        [[0. 1. 3. 4.]]
        >>> print(resize(x, scale_factor=(1, 2), mode="nearest").data[0, 0])
        [[0. 0. 4. 4.]]
    """
    x = as_variable(x)
    dims = x.ndim - 2
    if not 1 <= dims <= 3 or 0 in x.shape[2:]:
        msg = f"resize: x has shape {x.shape}, expected (N, C, *S) with 1 to 3 sizes S above 0"
        raise ValueError(msg)
    if mode != "nearest" and _LINEAR.get(mode) != dims:
        linear = next(name for name, n in _LINEAR.items() if n == dims)
        msg = f"resize: mode is {mode!r}, expected {linear!r} or 'nearest' for x {x.shape}"
        raise ValueError(msg)
    if mode == "nearest" and align_corners:
        msg = "resize: align_corners is for linear modes only, got mode 'nearest'"
        raise ValueError(msg)
    if mode != "nearest" and not backend_of(x._data).is_inexact(x.dtype):
        msg = f"resize: x has dtype {x.dtype}, expected floating-point numbers for {mode!r}"
        raise TypeError(msg)
    for axis, (m, ratio) in enumerate(_sizes(x, size, scale_factor), 2):
        n = x.shape[axis]
        if m == n and (mode != "nearest" or ratio == 1.0):
            continue
        if mode == "nearest":
            x = _nearest(x, axis, m, ratio)
        else:
            if align_corners:
                ratio = (n - 1) / (m - 1) if m > 1 else 0.0
                places = [i * ratio for i in range(m)]
            else:
                places = [max(0.0, (i + 0.5) * ratio - 0.5) for i in range(m)]
            x = _mixed(x, axis, [min(p, n - 1.0) for p in places])
    return x


def _sizes(x, size, scale_factor):
    """For each spatial dimension the new length, and how far apart its pixels are in ``x``."""
    dims = x.ndim - 2
    if (size is None) == (scale_factor is None):
        msg = f"resize: expected size or scale_factor, got {size!r} and {scale_factor!r}"
        raise ValueError(msg)
    given, what = (scale_factor, "scale_factor") if size is None else (size, "size")
    parts = tuple(given) if isinstance(given, (tuple, list)) else (given,) * dims
    fits = len(parts) == dims
    if size is None:
        fits = fits and all(is_integer(f) or isinstance(f, float) for f in parts)
        fits = fits and all(0 < f < math.inf for f in parts)
    else:
        fits = fits and all(is_integer(m) and m > 0 for m in parts)
    if not fits:
        msg = f"resize: {what} is {given!r}, expected a number above 0 or {dims} of them"
        raise ValueError(msg)
    if size is not None:
        return [(int(m), n / m) for m, n in zip(parts, x.shape[2:], strict=True)]
    lengths = [math.floor(n * f) for f, n in zip(parts, x.shape[2:], strict=True)]
    if 0 in lengths:
        msg = f"resize: scale_factor {given!r} leaves nothing of x {x.shape}"
        raise ValueError(msg)
    return [(m, 1.0 / f) for m, f in zip(lengths, parts, strict=True)]


def _nearest(x, axis, m, ratio):
    n = x.shape[axis]
    if m % n == 0 and ratio * m == n:
        shape = (*x.shape[: axis + 1], m // n, *x.shape[axis + 1 :])
        apart = reshape(x, (*shape[: axis + 1], 1, *shape[axis + 2 :]))
        return reshape(broadcast_to(apart, shape), (*x.shape[:axis], m, *x.shape[axis + 1 :]))
    if ratio * m == n:  # by whole numbers, without rounding
        places = [i * n // m for i in range(m)]
    else:
        places = [min(math.floor(i * ratio), n - 1) for i in range(m)]
    return _taken(x, axis, places)


def _taken(x, axis, places):
    if places == list(range(x.shape[axis])):
        return x
    xp = backend_of(x._data)
    device = xp.device(x._data)
    return take(x, xp.asarray(places, dtype=xp.int64, device=device), axis=axis)


def _mixed(x, axis, places):
    """Mixtures of neighbours along ``axis``."""
    n = x.shape[axis]
    low = [math.floor(p) for p in places]
    high = [min(i + 1, n - 1) for i in low]
    xp = backend_of(x._data)
    shape = (len(places), *((1,) * (x.ndim - 1 - axis)))
    shares = [p - i for p, i in zip(places, low, strict=True)]
    device = xp.device(x._data)
    share, rest = (
        xp.reshape(xp.asarray(row, dtype=x.dtype, device=device), shape)
        for row in (shares, [1.0 - s for s in shares])
    )
    if not any(shares):
        return _taken(x, axis, low)
    return _taken(x, axis, low) * rest + _taken(x, axis, high) * share


def pixel_shuffle(x, r):
    """Channels as pixels: (..., C r², H, W) becomes (..., C, H r, W r).

    Shi and others, Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network, 2016, https://arxiv.org/abs/1609.05158.

    Example:
        >>> import numpy as np
        >>> print(pixel_shuffle(np.arange(4.0).reshape(1, 4, 1, 1), 2).data[0, 0])
        [[0. 1.]
         [2. 3.]]
    """
    x = as_variable(x)
    _check_factor("pixel_shuffle", x, r)
    *lead, c, h, w = x.shape
    if c % (r * r):
        msg = f"pixel_shuffle: {c} channels are no multiple of {r}², x has shape {x.shape}"
        raise ValueError(msg)
    c //= r * r
    y = reshape(x, (*lead, c, r, r, h, w))
    k = len(lead)
    y = permute_dims(y, (*range(k + 1), k + 3, k + 1, k + 4, k + 2))
    return reshape(y, (*lead, c, h * r, w * r))


def pixel_unshuffle(x, r):
    """Pixels as channels: (..., C, H r, W r) becomes (..., C r², H, W). Undoes `pixel_shuffle`."""
    x = as_variable(x)
    _check_factor("pixel_unshuffle", x, r)
    *lead, c, h, w = x.shape
    if h % r or w % r:
        msg = f"pixel_unshuffle: x has shape {x.shape}, expected height and width in multiples of"
        raise ValueError(f"{msg} {r}")
    y = reshape(x, (*lead, c, h // r, r, w // r, r))
    k = len(lead)
    y = permute_dims(y, (*range(k + 1), k + 2, k + 4, k + 1, k + 3))
    return reshape(y, (*lead, c * r * r, h // r, w // r))


def _check_factor(name, x, r):
    if x.ndim < 3 or not is_integer(r) or r < 1:
        msg = (
            f"{name}: x of shape {x.shape} and factor {r!r}, expected (..., C, H, W) and 1 or more"
        )
        raise ValueError(msg)


for _function in (pixel_shuffle, pixel_unshuffle, resize):
    ops[_function.__name__] = _function
