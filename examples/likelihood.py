"""Fit a likelihood through scipy.stats: the Yeo-Johnson transformation that makes data normal.

Newton's method on the log-likelihood ``scipy.stats.yeojohnson_llf``: its slope and its curvature
are derivatives through SciPy's own code. The curvature at the maximum also gives the standard error
of the exponent. Checked against ``scipy.stats.yeojohnson_normmax``, which searches without
derivatives, and against the interval in which the likelihood falls by what the chi-squared
distribution allows.

    python examples/likelihood.py [samples]
"""

import os
import sys

os.environ["SCIPY_ARRAY_API"] = "1"  # read when SciPy is imported

import numpy as np
from scipy import optimize, stats

import dezero
from dezero import Variable


def main(samples=400):
    """Fit the exponent, and compare."""
    data = np.random.default_rng(0).gamma(3.0, 2.0, samples)
    constant = Variable(data, requires_grad=False)

    def likelihood(exponent):
        return stats.yeojohnson_llf(exponent, constant)

    slope = dezero.grad(likelihood)
    curvature = dezero.grad(slope)
    exponent = 1.0  # no transformation
    for step in range(20):
        change = slope(exponent).item() / curvature(exponent).item()
        print(f"step {step}: exponent {exponent:.8f}, change {-change:.1e}")
        exponent -= change
        if abs(change) < 1e-10:
            break
    error = (-curvature(exponent).item()) ** -0.5
    interval = np.array([exponent - 1.96 * error, exponent + 1.96 * error])

    expected = stats.yeojohnson_normmax(data)
    print(f"exponent {exponent:.6f}, by SciPy's search {expected:.6f}")
    np.testing.assert_allclose(exponent, expected, atol=1e-5)

    def surplus(exponent):
        least = stats.yeojohnson_llf(expected, data) - stats.chi2.ppf(0.95, 1) / 2
        return stats.yeojohnson_llf(exponent, data) - least

    ends = [optimize.brentq(surplus, expected, expected + s * 8 * error) for s in (-1, 1)]
    print(f"95 % interval {interval}, by the likelihood itself {np.array(ends)}")
    np.testing.assert_allclose(interval, ends, atol=0.1 * error)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
