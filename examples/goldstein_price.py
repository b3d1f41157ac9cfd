"""The Goldstein-Price function: its gradient through dozens of operations, and its graph.

As in the book: the gradient at (1, 1) is (-5376, 8064), here compared with central differences,
and the graph of the computation is drawn. Then Newton's method, damped, goes down to the lowest
point (0, -1), where the function is 3.

    python examples/goldstein_price.py [--out runs/goldstein_price]

It takes no time, and leaves the graph as a picture, SVG without Graphviz.
"""

import argparse
from pathlib import Path

import numpy as np

import dezero
from dezero import Variable
from dezero.viz import plot_dot_graph


def main(argv=None):
    """Differentiate, draw, minimise, and return the figures."""
    options = read_options(argv)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    x, y = Variable(np.array(1.0), name="x"), Variable(np.array(1.0), name="y")
    z = goldstein(x, y)
    z.name = "z"
    z.backward()
    gradient = x.grad.item(), y.grad.item()
    print(f"z = {z.item():.0f}, its gradient {gradient}, by differences {differences(1.0, 1.0)}")
    plot_dot_graph(z, verbose=False, to_file=folder / "graph.svg")

    place = minimise(np.array([0.3, -0.7]))
    lowest = goldstein(*place)
    print(f"lowest at {place.round(8) + 0.0}: {lowest:.8f}")
    return {"gradient": gradient, "place": place, "lowest": lowest}


def goldstein(x, y):
    """The function, of numbers or Variables."""
    return (
        1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
    ) * (
        30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    )  # fmt: skip


def differences(x, y, h=1e-5):
    """The gradient by central differences."""
    by_x = (goldstein(x + h, y) - goldstein(x - h, y)) / (2 * h)
    by_y = (goldstein(x, y + h) - goldstein(x, y - h)) / (2 * h)
    return round(by_x, 3), round(by_y, 3)


def minimise(place):
    """Newton's method by the curvatures' sizes, each step halved until it helps."""

    def f(p):
        return goldstein(p[0], p[1])

    for _ in range(50):
        slope = dezero.grad(f)(place).data
        curvatures, axes = np.linalg.eigh(dezero.hessian(f)(place).data)
        step = axes @ (axes.T @ slope / np.abs(curvatures).clip(1e-6))
        while f(place - step) > f(place) and np.abs(step).max() > 1e-12:
            step = step / 2
        place = place - step
        if np.abs(step).max() < 1e-10:
            break
    return place


def read_options(argv):
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="runs/goldstein_price")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
