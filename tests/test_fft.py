"""Fourier transforms beyond their cases: identities, adjoints, precision, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import dezero.functions as F
from dezero import Variable, grad

NORMS = ["backward", "ortho", "forward"]
ROUND_TRIPS = [
    ("fft", "ifft"),
    ("ifft", "fft"),
    ("rfft", "irfft"),
    ("ihfft", "hfft"),
    ("fftn", "ifftn"),
    ("rfftn", "irfftn"),
]


def drawn(*shape, complex=False, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return x + 1j * rng.normal(size=shape) if complex else x


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [1, 2, 5, 6])
@pytest.mark.parametrize(("there", "back"), ROUND_TRIPS)
def test_inverses(there, back, n, norm, lane):
    values = drawn(3, n, complex=there in ("fft", "ifft", "fftn"))
    x = lane.variable(values)
    many = there.endswith("n")
    words = {"s": (3, n), "axes": (0, 1)} if many else {"n": n}
    y = getattr(F.fft, back)(getattr(F.fft, there)(x, norm=norm), norm=norm, **words)
    np.testing.assert_allclose(lane.numpy(y), values, atol=1e-14)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [5, 6])
def test_parseval(n, norm, lane):
    """The sum of the squares of all frequencies has the gradient ``2 x`` times a factor."""
    values = drawn(n)
    factor = {"backward": n, "ortho": 1, "forward": 1 / n}[norm]
    x = lane.variable(values)
    y = F.fft.fft(x, norm=norm)
    energy = F.sum(F.real(y * F.conj(y)))
    energy.backward()
    np.testing.assert_allclose(lane.numpy(energy), factor * np.sum(values**2))
    np.testing.assert_allclose(lane.numpy(x.grad), 2 * factor * values)
    x.cleargrad()
    half = F.fft.rfft(x, norm=norm)
    twice = np.array([1.0, *[2.0] * ((n - 1) // 2), *[1.0] * (1 - n % 2)])
    energy = F.sum(F.real(half * F.conj(half)) * lane.array(twice))
    energy.backward()
    np.testing.assert_allclose(lane.numpy(energy), factor * np.sum(values**2))
    np.testing.assert_allclose(lane.numpy(x.grad), 2 * factor * values)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("m", [1, 4, 5])
@pytest.mark.parametrize("n", [None, 1, 3, 4, 6, 7])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_gradients_are_adjoints(name, m, n, norm):
    """``<A u, v> = <u, B v>`` with ``B`` the gradient, over the real numbers, for all lengths."""
    if name in ("irfft", "hfft") and n is None and m == 1:
        return
    x = Variable(drawn(2, m, complex=name not in ("rfft", "ihfft")))
    y = getattr(F.fft, name)(x, n=n, norm=norm)
    v = drawn(*y.shape, complex=y.dtype == np.complex128, seed=1)
    (g,) = grad(F.sum(F.real(y * F.conj(v))), [x])
    assert g.shape == x.shape
    assert g.dtype == x.dtype
    left = np.sum(np.real(y.data * np.conj(v)))
    right = np.sum(np.real(x.data * np.conj(g.data)))
    assert abs(left - right) < 1e-12 * (1 + abs(left))


def test_third_order(lane):
    """A cubic in the spectrum: its third derivative is a constant, found through three sweeps."""
    if lane.name == "dask":
        pytest.skip("Dask does the raw sweep only")
    u = lane.array(drawn(4, seed=2))
    x = lane.variable(drawn(4, seed=1))

    def f(x):
        y = F.real(F.fft.rfft(x)) + F.imag(F.fft.rfft(x))
        return F.sum(y * y * y)

    result = f(x)
    for _ in range(3):
        (g,) = grad(result, [x], create_graph=True)
        result = F.sum(g * u)
    w = np.real(np.fft.rfft(lane.numpy(u))) + np.imag(np.fft.rfft(lane.numpy(u)))
    np.testing.assert_allclose(lane.numpy(result), 6 * np.sum(w**3))


@pytest.mark.parametrize("name", ["fft", "ifft", "fftn", "ifftn", "rfft", "rfftn", "ihfft"])
def test_single_precision_stays(name, single_lane):
    lane = single_lane
    real = lane.variable(drawn(3, 4).astype(np.float32))
    y = getattr(F.fft, name)(real, norm="ortho")
    assert lane.dtype(y) == "complex64"
    F.sum(F.real(y * F.conj(y))).backward()
    assert lane.dtype(real.grad) == "float32"
    want = getattr(np.fft, name)(drawn(3, 4), norm="ortho")
    np.testing.assert_allclose(lane.numpy(y), want, atol=1e-5)


@pytest.mark.parametrize("name", ["irfft", "irfftn", "hfft"])
def test_single_precision_stays_from_complex(name, single_lane):
    lane = single_lane
    x = lane.variable(drawn(3, 4, complex=True).astype(np.complex64))
    y = getattr(F.fft, name)(x)
    assert lane.dtype(y) == "float32"
    F.sum(y * y).backward()
    assert lane.dtype(x.grad) == "complex64"


def test_imaginary_parts_that_count_for_nothing_have_no_gradient(lane):
    x = lane.variable(drawn(4, complex=True))
    for n, whole in ((6, True), (7, False)):
        x.cleargrad()
        y = F.fft.irfft(x, n=n)
        F.sum(y * lane.array(drawn(n, seed=3))).backward()
        imaginary = np.imag(lane.numpy(x.grad))
        assert imaginary[0] == 0
        assert bool(imaginary[-1] == 0) is whole


def test_shifts_are_inverse(lane):
    for n in (4, 5):
        x = lane.variable(drawn(n, 3))
        for axes in (None, 0, (0, 1), (-1,)):
            y = F.fft.ifftshift(F.fft.fftshift(x, axes=axes), axes=axes)
            np.testing.assert_array_equal(lane.numpy(y), lane.numpy(x))


def test_integers_become_floats():
    np.testing.assert_allclose(F.fft.fft(np.arange(4)).data, np.fft.fft(np.arange(4)))
    np.testing.assert_allclose(F.fft.rfft(np.arange(4)).data, np.fft.rfft(np.arange(4)))


_x = drawn(3, 4)
ERRORS = {
    "norm": (lambda x: F.fft.fft(x, norm="unit"), ValueError, "fft: norm is 'unit'"),
    "points": (lambda x: F.fft.ifft(x, n=0), ValueError, "ifft: 0 points"),
    "negative": (lambda x: F.fft.rfft(x, n=-1), ValueError, "rfft: -1 points"),
    "empty": (lambda x: F.fft.fft(x[:, :0]), ValueError, "fft: 0 points"),
    "half-of-one": (lambda x: F.fft.irfft(x[:, :1]), ValueError, "irfft: 0 points"),
    "axis": (lambda x: F.fft.hfft(x, axis=2), IndexError, "hfft: axis 2"),
    "rank": (lambda x: F.fft.ihfft(F.sum(x)), IndexError, "ihfft: axis -1"),
    "complex": (lambda x: F.fft.rfft(x * 1j), TypeError, "rfft: expected real numbers"),
    "complex-n": (lambda x: F.fft.rfftn(x * 1j), TypeError, "rfftn: expected real numbers"),
    "complex-h": (lambda x: F.fft.ihfft(x * 1j), TypeError, "ihfft: expected real numbers"),
    "s": (lambda x: F.fft.fftn(x, s=(3, 4)), ValueError, "fftn: s is (3, 4) without axes"),
    "sizes": (lambda x: F.fft.ifftn(x, s=(3,), axes=(0, 1)), ValueError, "ifftn: 1 sizes"),
    "sizes-zero": (lambda x: F.fft.irfftn(x, s=(0, 1), axes=(0, 1)), ValueError, "irfftn: 0 poi"),
    "axes": (lambda x: F.fft.fftn(x, axes=(0, 2)), IndexError, "fftn: axis 2"),
    "axes-twice": (lambda x: F.fft.fftn(x, axes=(0, -2)), ValueError, "fftn: axis (0, -2)"),
    "no-axes": (lambda x: F.fft.rfftn(x, axes=()), ValueError, "rfftn: no dimension"),
    "no-axes-back": (lambda x: F.fft.irfftn(x, axes=()), ValueError, "irfftn: no dimension"),
    "shift": (lambda x: F.fft.fftshift(x, axes=3), IndexError, "fftshift: axis 3"),
    "string": (lambda x: F.fft.fft("a"), TypeError, "str"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_was_got(name):
    call, kind, text = ERRORS[name]
    with pytest.raises(kind) as caught:
        call(Variable(_x.copy()))
    assert text in str(caught.value)
