"""Differentiate an integral through scipy.integrate: what a pendulum's period says about gravity.

The period of a pendulum of length ``l`` that swings to the angle ``a`` is

    T = 4 sqrt(l / g) * integral of 1 / sqrt(1 - sin(a/2)^2 sin(x)^2) from 0 to pi/2

``scipy.integrate.tanhsinh`` computes it. Its derivatives turn the uncertainties of the measured
period, length and angle into that of ``g``, and Newton's method finds the angle that belongs to a
period. Checked against the derivative of the elliptic integral in closed form.

    python examples/pendulum.py
"""

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # read when SciPy is imported

import numpy as np
from scipy import integrate, special

import dezero
from dezero import xp


def main():
    """Print what the derivatives are good for, and compare them."""
    length, angle, gravity = 1.2, 1.0, 9.81
    slope = dezero.grad(period, argnums=(0, 1, 2))(length, angle, gravity)
    expected = closed_form(length, angle, gravity)
    print("derivatives of the period", [round(d.item(), 10) for d in slope])
    print("in closed form           ", [round(float(d), 10) for d in expected])
    np.testing.assert_allclose([d.item() for d in slope], expected, rtol=1e-9)

    measured, deviations = 2.35, {"length": 0.001, "angle": 0.01, "period": 0.002}
    g = solve(lambda g: period(length, angle, g) - measured, 10.0)
    by_length, by_angle, by_g = dezero.grad(period, argnums=(0, 1, 2))(length, angle, g)
    parts = [by_length.item(), by_angle.item(), 1.0]
    parts = [p / by_g.item() * d for p, d in zip(parts, deviations.values(), strict=True)]
    print(f"a period of {measured} s means g = {g:.4f} ± {np.hypot.reduce(parts):.4f} m/s²")
    np.testing.assert_allclose(g, (4 / measured) ** 2 * length * elliptic(angle) ** 2, rtol=1e-9)

    longer = 1.1 * period(length, angle, gravity).item()
    found = solve(lambda a: period(length, a, gravity) - longer, angle)
    print(f"the period grows by a tenth when it swings to {found:.6f} instead of {angle}")
    np.testing.assert_allclose(elliptic(found), 1.1 * elliptic(angle), rtol=1e-9)


def period(length, angle, gravity):
    """The period, from numbers or Variables."""
    length, angle, gravity = (xp.asarray(x) for x in (length, angle, gravity))

    def speed(x, m):
        return 1 / xp.sqrt(1 - m * xp.sin(x) ** 2)

    ends = xp.asarray(0.0), xp.asarray(xp.pi / 2)
    integral = integrate.tanhsinh(speed, *ends, args=(xp.sin(angle / 2) ** 2,)).integral
    return 4 * xp.sqrt(length / gravity) * integral


def solve(f, x):
    """Newton's method for a root of ``f``."""
    for _ in range(20):
        value, slope = dezero.value_and_grad(f)(x)
        x -= value.item() / slope.item()
    return x


def elliptic(angle):
    """The integral, in closed form."""
    return special.ellipk(np.sin(angle / 2) ** 2)


def closed_form(length, angle, gravity):
    """The derivatives of the period with respect to its three arguments."""
    m = np.sin(angle / 2) ** 2
    k, e = special.ellipk(m), special.ellipe(m)
    by_m = (e - (1 - m) * k) / (2 * m * (1 - m))
    root = 4 * np.sqrt(length / gravity)
    return root * k / (2 * length), root * by_m * np.sin(angle) / 2, -root * k / (2 * gravity)


if __name__ == "__main__":
    main()
