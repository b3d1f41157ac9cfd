"""Tune a filter through scipy.signal: the pass band that recovers a signal from noise.

The two edges of a band-pass filter are found by gradient descent: ``scipy.signal.firwin`` designs
the filter, ``scipy.signal.fftconvolve`` applies it, and the mean squared error of the result is
differentiated with respect to the edges, through both. Checked against central differences, and
against a search without derivatives on NumPy arrays.

    python examples/filtering.py [samples]
"""

import os
import sys

os.environ["SCIPY_ARRAY_API"] = "1"  # read when SciPy is imported

import numpy as np
from scipy import optimize, signal

import dezero
from dezero import Variable

TAPS = 63


def main(samples=1000):
    """Tune the edges, and compare."""
    time = np.arange(samples)
    clean = sum(np.sin(np.pi * f * time + f) for f in (0.21, 0.25, 0.29))
    noisy = clean + 1.5 * np.random.default_rng(0).standard_normal(samples)
    noisy, clean = (Variable(x, requires_grad=False) for x in (noisy, clean))

    def error(edges):
        return mean_squared_error(edges, noisy, clean)

    start = np.array([0.1, 0.5])  # of the Nyquist frequency
    check_gradient(error, start)

    edges, rate = start, 0.02
    loss, slope = dezero.value_and_grad(error)(edges)
    for step in range(500):
        candidate = edges - rate * slope.data
        new_loss, new_slope = dezero.value_and_grad(error)(candidate)
        if new_loss.item() >= loss.item():
            rate /= 2
            continue
        converged = loss.item() - new_loss.item() < 1e-13
        edges, loss, slope, rate = candidate, new_loss, new_slope, rate * 1.3
        if step % 20 == 0 or converged:
            print(f"step {step}: edges {edges[0]:.5f} and {edges[1]:.5f}, error {loss.item():.6f}")
        if converged:
            break

    def plain(edges):
        return mean_squared_error(np.asarray(edges), noisy.data, clean.data)

    search = optimize.minimize(plain, start, method="Nelder-Mead", tol=1e-10)
    print(f"edges {edges}, by a search {search.x}")
    np.testing.assert_allclose(edges, search.x, atol=1e-3)


def mean_squared_error(edges, noisy, clean):
    """What the filter with these edges leaves of the noise and takes from the signal."""
    taps = signal.firwin(TAPS, edges, pass_zero=False)
    filtered = signal.fftconvolve(noisy, taps, mode="same")
    return ((filtered - clean) ** 2).mean()


def check_gradient(f, x, h=1e-5):
    """Compare the gradient of ``f`` with central differences."""
    found = dezero.grad(f)(x).data
    ends = [(f(Variable(x + h * e)), f(Variable(x - h * e))) for e in np.eye(x.size)]
    expected = [(above - below).item() / (2 * h) for above, below in ends]
    print(f"gradient {found}, by central differences {np.array(expected)}")
    np.testing.assert_allclose(found, expected, rtol=1e-6)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
