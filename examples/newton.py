"""Newton's method by derivatives of derivatives, and double backpropagation, as in the book.

First ``x**4 - 2 x**2`` from 2: its second derivative is the derivative of the first, which was
recorded as it was computed; seven steps lead to the minimum, gradient descent needs over a hundred.
Then a function of a gradient is differentiated: ``(dy/dx)**3 + y`` with ``y = x**2`` has the
derivative 100 at 2. Last, Rosenbrock's valley in two dimensions, by its Hessian matrix.

    python examples/newton.py [--steps 10]

It takes no time, and prints what it finds.
"""

import argparse

import numpy as np

import dezero
from dezero import Variable


def main(argv=None):
    """Minimise, and return what was found."""
    options = read_options(argv)
    path = minimise(options.steps)
    print("Newton's method:", " ".join(f"{x:.6f}" for x in path))
    descent = descend()
    print(f"gradient descent: {descent} steps to the same digits")
    twice = double_backprop()
    print(f"the derivative of (dy/dx)**3 + y at 2: {twice}")
    valley = rosenbrock_path(np.array([0.0, 2.0]))
    print(f"Rosenbrock's valley: {len(valley) - 1} steps to", valley[-1])
    return {"path": path, "descent": descent, "twice": twice, "valley": valley}


def f(x):
    """The book's function, with minima at 1 and -1."""
    return x**4 - 2 * x**2


def minimise(steps):
    """Newton's method on `f` from 2: the places it goes through."""
    x = Variable(np.array(2.0))
    path = [x.item()]
    for _ in range(steps):
        x.cleargrad()
        f(x).backward(create_graph=True)
        slope = x.grad
        x.cleargrad()
        slope.backward()
        x.data -= slope.data / x.grad.data
        path.append(x.item())
    return path


def descend(rate=0.01):
    """How many steps gradient descent takes on `f` from 2 to six digits."""
    x, steps = 2.0, 0
    while abs(x - 1) > 5e-7:
        x -= rate * dezero.grad(f)(x).item()
        steps += 1
    return steps


def double_backprop():
    """The derivative of a function of a derivative."""
    x = Variable(np.array(2.0))
    y = x**2
    y.backward(create_graph=True)
    slope = x.grad
    x.cleargrad()
    (slope**3 + y).backward()
    return x.grad.item()


def rosenbrock(x):
    """A curved valley whose lowest point is (1, 1)."""
    return 100 * (x[1] - x[0] ** 2) ** 2 + (x[0] - 1) ** 2


def rosenbrock_path(x):
    """Newton's method with the gradient and the Hessian matrix."""
    path = [x]
    while len(path) < 50:
        slope = dezero.grad(rosenbrock)(x).data
        x = x - np.linalg.solve(dezero.hessian(rosenbrock)(x).data, slope)
        path.append(x)
        if np.abs(path[-1] - path[-2]).max() < 1e-12:
            break
    return path


def read_options(argv):
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
