"""Discrete Fourier transforms, by the names of the standard's extension ``fft``.

``norm`` says where the factor ``1 / n`` goes, ``n`` the number of points: ``"backward"``, into the
inverse transform; ``"forward"``, into the other; ``"ortho"``, its square root into both. With it
the matrix of a transform has the inverse transform of the opposite norm as its adjoint, which is
how gradients go back; where an input was cut or filled up with zeros, so is its gradient, the other
way round. All transforms are linear over the real numbers, so derivatives exist to any order.

Several dimensions are transformed one after the other, the real ones last: ``irfftn`` of numbers
that are no spectrum of real ones gives the same with every library.
"""

from ..backends import backend_of, normalized_axes
from ..core import Variable, as_variable
from ..dispatch import common
from ..primitive import ops, primitive
from .elementwise import astype, conj
from .manipulation import roll

__all__ = [
    "fft",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftn",
]

_OPPOSITE = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


# --- the three transforms that the others are made of -------------------------------------------


def _resized(xp, g, shape):
    """``g`` cut, or filled up with zeros, at the ends of its dimensions to ``shape``."""
    if any(n > m for n, m in zip(g.shape, shape, strict=True)):
        g = g[tuple(slice(0, min(n, m)) for n, m in zip(g.shape, shape, strict=True))]
    if g.shape != shape:
        g = xp.pad(g, tuple((0, m - n) for n, m in zip(g.shape, shape, strict=True)), 0.0)
    return g


def _dft_rule(xp, g, x_shape, axes, norm, inverse):
    adjoint = xp.fft.fftn if inverse else xp.fft.ifftn
    return _resized(xp, adjoint(g, axes=axes, norm=_OPPOSITE[norm]), x_shape)


@primitive(_dft_rule, conjugates=True)
def _dft(xp, x, sizes, axes, norm, inverse):
    """Transform of a complex array over ``axes``."""
    transform = xp.fft.ifftn if inverse else xp.fft.fftn
    return transform(x, s=sizes, axes=axes, norm=norm)


def _rfft_rule(xp, g, x_shape, n, axis, norm):
    whole = xp.fft.ifft(g, n=n, axis=axis, norm=_OPPOSITE[norm])
    return _resized(xp, xp.real(whole), x_shape)


@primitive(_rfft_rule, conjugates=True)
def _rfft(xp, x, n, axis, norm):
    """The frequencies of a real array from 0 up to the highest."""
    return xp.fft.rfft(x, n=n, axis=axis, norm=norm)


def _irfft_rule(xp, g, x_shape, n, axis, norm):
    half = xp.fft.rfft(g, n=n, axis=axis, norm=_OPPOSITE[norm])
    return _resized(xp, half * _weights(g, n, axis), x_shape)


def _weights(g, n, axis):
    """How many of ``n`` frequencies each of the first half stands for: its mirror image as well."""
    raw = g._data if isinstance(g, Variable) else g
    xp = backend_of(raw)
    k = xp.arange(n // 2 + 1, device=xp.device(raw))
    weights = xp.astype((k > 0) & (2 * k < n), raw.dtype) + 1.0
    return xp.reshape(weights, (-1,) + (1,) * (raw.ndim - axis - 1))


@primitive(_irfft_rule, conjugates=True)
def _irfft(xp, x, n, axis, norm):
    """The real array of ``n`` points with these frequencies from 0 up to the highest."""
    return xp.fft.irfft(x, n=n, axis=axis, norm=norm)


# --- arguments ----------------------------------------------------------------------------------


def _complex(name, x):
    """``x`` as a complex Variable."""
    x = as_variable(x)
    xp = common(name, (x._data,))
    if xp.is_complex(x.dtype):
        return x
    return astype(x, xp.result_type(x.dtype, xp.complex64))


def _real(name, x):
    """``x`` as a real Variable of a floating dtype."""
    x = as_variable(x)
    xp = common(name, (x._data,))
    if xp.is_complex(x.dtype):
        msg = f"{name}: expected real numbers, got an array of dtype {x.dtype}"
        raise TypeError(msg)
    return x if xp.is_inexact(x.dtype) else astype(x, xp.result_type(x.dtype, xp.float32))


def _check(name, sizes, norm):
    if norm not in _OPPOSITE:
        msg = f"{name}: norm is {norm!r}, expected one of {', '.join(map(repr, _OPPOSITE))}"
        raise ValueError(msg)
    if min(sizes, default=1) < 1:
        msg = f"{name}: {min(sizes)} points to transform, expected at least 1"
        raise ValueError(msg)


def _one(name, x, n, axis, norm, halved=False):
    """The number of points and the dimension of a transform; ``halved``: ``x`` holds half of it."""
    (axis,) = normalized_axes(axis, x.ndim, name)
    if n is None:
        n = 2 * (x.shape[axis] - 1) if halved else x.shape[axis]
    _check(name, (n,), norm)
    return int(n), axis, norm


def _several(name, x, s, axes, norm, halved=False):
    """The same for several dimensions; of them the last may be halved."""
    if s is not None and axes is None:
        msg = f"{name}: s is {tuple(s)} without axes, expected both"
        raise ValueError(msg)
    axes = normalized_axes(None if axes is None else tuple(axes), x.ndim, name)
    lengths = [x.shape[axis] for axis in axes]
    if halved and lengths:
        lengths[-1] = 2 * (lengths[-1] - 1)
    if s is None:
        s = lengths
    if len(s) != len(axes):
        msg = f"{name}: {len(s)} sizes {tuple(s)} for {len(axes)} axes {axes}"
        raise ValueError(msg)
    sizes = tuple(int(m) if n == -1 else int(n) for n, m in zip(s, lengths, strict=True))
    _check(name, sizes, norm)
    return sizes, axes, norm


def _at_least_one(name, axes):
    if not axes:
        msg = f"{name}: no dimension to transform, expected at least one"
        raise ValueError(msg)


# --- complex numbers ----------------------------------------------------------------------------


def fft(x, *, n=None, axis=-1, norm="backward"):
    """Fourier transform along ``axis``: ``y[k] = sum(x[t] exp(-2 pi i k t / n))``.

    Args:
        x: A complex array; a real one is taken as complex numbers of its precision.
        n: How many points: ``x`` is cut, or filled up with zeros, to that length. By default all.
        axis: The dimension to transform.
        norm: ``"backward"``: as above; ``"ortho"``: divided by the root of ``n``; ``"forward"``: by
            ``n``.

    Raises:
        ValueError: There is no point, or no such norm.
        IndexError: There is no such dimension.

    Example:
        >>> import numpy as np
        >>> x = Variable(np.array([1.0, 2.0, 4.0]))
        >>> y = fft(x)
        >>> (y * conj(y)).sum().backward()  # Parseval: n times the sum of the squares
        >>> x.grad
        variable([ 6. 12. 24.])
    """
    x = _complex("fft", x)
    n, axis, norm = _one("fft", x, n, axis, norm)
    return _dft(x, (n,), (axis,), norm, False)


def ifft(x, *, n=None, axis=-1, norm="backward"):
    """Inverse of `fft`: ``y[t] = sum(x[k] exp(2 pi i k t / n)) / n``; arguments as there."""
    x = _complex("ifft", x)
    n, axis, norm = _one("ifft", x, n, axis, norm)
    return _dft(x, (n,), (axis,), norm, True)


def fftn(x, *, s=None, axes=None, norm="backward"):
    """Fourier transform over several dimensions.

    Args:
        x: A complex array; a real one is taken as complex numbers of its precision.
        s: How many points along each of ``axes``, to which ``x`` is cut or filled up with zeros;
            -1: all. It needs ``axes``.
        axes: The dimensions to transform, by default all.
        norm: As for `fft`, with the product of all numbers of points for ``n``.

    Raises:
        ValueError: ``s`` and ``axes`` do not fit, there is no point or no such norm.
        IndexError: There is no such dimension.
    """
    x = _complex("fftn", x)
    sizes, axes, norm = _several("fftn", x, s, axes, norm)
    return _dft(x, sizes, axes, norm, False) if axes else x


def ifftn(x, *, s=None, axes=None, norm="backward"):
    """Inverse of `fftn`; arguments as there."""
    x = _complex("ifftn", x)
    sizes, axes, norm = _several("ifftn", x, s, axes, norm)
    return _dft(x, sizes, axes, norm, True) if axes else x


# --- real numbers -------------------------------------------------------------------------------


def rfft(x, *, n=None, axis=-1, norm="backward"):
    """The first half of the `fft` of a real array, ``n // 2 + 1`` frequencies; arguments as there.

    The other half is its mirror image, conjugated.

    Raises:
        TypeError: ``x`` is complex.
    """
    x = _real("rfft", x)
    return _rfft(x, *_one("rfft", x, n, axis, norm))


def irfft(x, *, n=None, axis=-1, norm="backward"):
    """Inverse of `rfft`: the real array whose first half of frequencies ``x`` is.

    ``n`` is the length of the result, by default the even one, ``2 (m - 1)`` for ``m`` frequencies.
    Imaginary parts of the frequency 0, and for even ``n`` of the highest one, count for nothing:
    their gradient is 0.
    """
    x = _complex("irfft", x)
    return _irfft(x, *_one("irfft", x, n, axis, norm, halved=True))


def rfftn(x, *, s=None, axes=None, norm="backward"):
    """`rfft` along the last of ``axes`` and `fft` along the others; arguments as for `fftn`."""
    x = _real("rfftn", x)
    sizes, axes, norm = _several("rfftn", x, s, axes, norm)
    _at_least_one("rfftn", axes)
    y = _rfft(x, sizes[-1], axes[-1], norm)
    return _dft(y, sizes[:-1], axes[:-1], norm, False) if axes[1:] else y


def irfftn(x, *, s=None, axes=None, norm="backward"):
    """Inverse of `rfftn`: `ifft` along all ``axes`` but the last, and `irfft` along that one.

    ``s`` are the lengths of the result; -1 for the last one: all of ``x`` is used, as for None.
    """
    x = _complex("irfftn", x)
    sizes, axes, norm = _several("irfftn", x, s, axes, norm, halved=True)
    _at_least_one("irfftn", axes)
    if axes[1:]:
        x = _dft(x, sizes[:-1], axes[:-1], norm, True)
    return _irfft(x, sizes[-1], axes[-1], norm)


def hfft(x, *, n=None, axis=-1, norm="backward"):
    """The real `fft` of a signal of which ``x`` is the first half, the other its mirror image.

    ``n`` is the length of the result, by default ``2 (m - 1)`` for ``m`` numbers.
    """
    x = _complex("hfft", x)
    n, axis, norm = _one("hfft", x, n, axis, norm, halved=True)
    return _irfft(conj(x), n, axis, _OPPOSITE[norm])


def ihfft(x, *, n=None, axis=-1, norm="backward"):
    """Inverse of `hfft`: the first ``n // 2 + 1`` numbers of the `ifft` of a real array.

    Raises:
        TypeError: ``x`` is complex.
    """
    x = _real("ihfft", x)
    n, axis, norm = _one("ihfft", x, n, axis, norm)
    return conj(_rfft(x, n, axis, _OPPOSITE[norm]))


# --- order --------------------------------------------------------------------------------------


def _shifted(name, x, axes, sign):
    x = as_variable(x)
    axes = normalized_axes(axes, x.ndim, name)
    return roll(x, tuple(sign * (x.shape[i] // 2) for i in axes), axis=axes) if axes else x


def fftshift(x, *, axes=None):
    """``x`` with the frequency 0 in the middle of ``axes`` (an integer or several), or of all.

    Example:
        >>> import numpy as np
        >>> fftshift(np.fft.fftfreq(5, d=0.2))
        variable([-2. -1.  0.  1.  2.])
    """
    return _shifted("fftshift", x, axes, 1)


def ifftshift(x, *, axes=None):
    """Inverse of `fftshift`."""
    return _shifted("ifftshift", x, axes, -1)


ops |= {"fft." + name: globals()[name] for name in __all__}
