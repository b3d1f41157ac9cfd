"""Small programs, a whole step: scalar functions, a tiny network, higher derivatives."""

from functools import partial
from itertools import pairwise

import numpy as np

from .base import Gradient, Program, Target, Workload, drawn

FIRST_ORDER = "no derivatives of derivatives"


class Goldstein(Gradient):
    """The Goldstein-Price function at (1, 1)."""

    def __init__(self):
        self.leaves = [np.array(1.0), np.array(1.0)]

    def dezero(self):
        def goldstein_price(x, y):
            return (
                1
                + (x + y + 1) ** 2
                * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
            ) * (
                30
                + (2 * x - 3 * y) ** 2
                * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
            )  # fmt: skip

        return goldstein_price

    torch = jax = autograd = mygrad = book = dezero

    def numpy(self):
        def forward(x, y):
            a, b = x + y + 1, 2 * x - 3 * y
            p = 19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2
            q = 18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2
            left, right = 1 + a**2 * p, 30 + b**2 * q

            def backward(g):
                dp, dq = 6 * (x + y) - 14, 24 * x - 36 * y - 32
                along_a, along_b = 2 * a * p + a**2 * dp, b * q
                gx = along_a * right + left * (4 * along_b + b**2 * dq)
                gy = along_a * right - left * (6 * along_b + b**2 * (36 * x - 54 * y - 48))
                return [g * gx, g * gy]

            return left * right, backward

        return forward


class Rosenbrock(Gradient):
    def __init__(self):
        self.leaves = [np.array(0.5), np.array(2.0)]

    def dezero(self):
        return lambda x, y: 100 * (y - x**2) ** 2 + (x - 1) ** 2

    torch = jax = autograd = mygrad = book = dezero

    def numpy(self):
        def forward(x, y):
            a, b = y - x**2, x - 1

            def backward(g):
                return [g * (2 * b - 400 * x * a), g * 200 * a]

            return 100 * a**2 + b**2, backward

        return forward


class AtTwo(Program):
    """Derivatives of a function of x, which is 2; ``by`` makes a step from a library's ``grad``."""

    mygrad = FIRST_ORDER

    def __init__(self):
        self.x = np.array(2.0)

    def jax(self):
        import jax

        return jax.jit(self.by(jax.grad)), self.x

    def autograd(self):
        from autograd import grad

        return self.by(grad), self.x


class Newton(AtTwo):
    """First and second derivative of x⁴ - 2x², and Newton's step from there."""

    def numpy(self):
        def step(x):
            gx, ggx = 4 * x**3 - 4 * x, 12 * x**2 - 4
            return [gx, ggx, x - gx / ggx]

        return step, self.x

    def dezero(self):
        from dezero import Variable

        def step(start):
            x = Variable(start.copy())
            y = x**4 - 2 * x**2
            y.backward(create_graph=True)
            gx = x.grad
            x.cleargrad()
            gx.backward()
            x.data = x.data - gx.data / x.grad.data
            return [gx, x.grad, x]

        return step, self.x

    book = dezero

    def torch(self):
        import torch

        def step(start):
            x = torch.tensor(start, requires_grad=True)
            y = x**4 - 2 * x**2
            (gx,) = torch.autograd.grad(y, x, create_graph=True)
            gx.backward()
            with torch.no_grad():
                x -= gx / x.grad
            return [gx, x.grad, x]

        return step, self.x

    def by(self, grad):
        first = grad(lambda x: x**4 - 2 * x**2)
        second = grad(first)

        def step(x):
            gx, ggx = first(x), second(x)
            return [gx, ggx, x - gx / ggx]

        return step


class DoubleBackprop(AtTwo):
    """The gradient of gx³ + y, where gx is that of y = x²."""

    def numpy(self):
        return lambda x: [24 * x**2 + 2 * x], self.x

    def dezero(self):
        from dezero import Variable

        def step(start):
            x = Variable(start)
            y = x**2
            y.backward(create_graph=True)
            gx = x.grad
            x.cleargrad()
            z = gx**3 + y
            z.backward()
            return [x.grad]

        return step, self.x

    book = dezero

    def torch(self):
        import torch

        def step(start):
            x = torch.tensor(start, requires_grad=True)
            y = x**2
            (gx,) = torch.autograd.grad(y, x, create_graph=True)
            z = gx**3 + y
            z.backward()
            return [x.grad]

        return step, self.x

    def by(self, grad):
        square = grad(lambda x: x**2)
        whole = grad(lambda x: square(x) ** 3 + x**2)
        return lambda x: [whole(x)]


class Sixth(Program):
    """The sixth derivative of a function of numbers, at 8 points."""

    mygrad = FIRST_ORDER

    def __init__(self, name):
        self.name, self.points = name, np.linspace(-1.0, 1.0, 8)

    def numpy(self):
        """The formula of the derivative."""
        if self.name == "sin":
            return lambda x: [-np.sin(x)], self.points
        t = np.polynomial.Polynomial([0.0, 1.0])
        p = t
        for _ in range(6):
            p = p.deriv() * (1 - t**2)
        return lambda x: [p(np.tanh(x))], self.points

    def dezero(self):
        import dezero.functions as F
        from dezero import Variable

        function = getattr(F, self.name)

        def step(points):
            x = Variable(points)
            y = function(x)
            for _ in range(6):
                x.cleargrad()
                y.backward(create_graph=True)
                y = x.grad
            return [y]

        return step, self.points

    book = dezero

    def torch(self):
        import torch

        function = getattr(torch, self.name)

        def step(points):
            x = torch.tensor(points, requires_grad=True)
            y = function(x)
            ones = torch.ones_like(y)
            for _ in range(6):
                (y,) = torch.autograd.grad(y, x, ones, create_graph=True)
            return [y]

        return step, self.points

    def jax(self):
        import jax
        import jax.numpy as jnp

        function = getattr(jnp, self.name)
        for _ in range(6):
            function = jax.grad(function)
        return jax.jit(lambda x: [jax.vmap(function)(x)]), self.points

    def autograd(self):
        import autograd.numpy as anp
        from autograd import elementwise_grad

        function = getattr(anp, self.name)
        for _ in range(6):
            function = elementwise_grad(function)
        return lambda x: [function(x)], self.points


def weights(*sizes, dtype=np.float32):
    """A matrix and zeros for each layer."""
    found = []
    for i, (n, m) in enumerate(pairwise(sizes)):
        found += [drawn(n, m, scale=n**-0.5, seed=i, dtype=dtype), np.zeros(m, dtype)]
    return found


class TinyMLP(Program):
    """A step of gradient descent: 8 inputs, 16 tanh units, 4 outputs, batch of 16, mean square.

    Gives the loss and the gradients. The rate is so small that they stay from step to step.
    """

    rate = 1e-6

    def __init__(self):
        self.x, self.t = drawn(16, 8, seed=8), drawn(16, 4, seed=9)
        self.weights = weights(8, 16, 4)

    def numpy(self):
        params = [w.copy() for w in self.weights]

        def step(x, t):
            w1, b1, w2, b2 = params
            h = np.tanh(x @ w1 + b1)
            d = h @ w2 + b2 - t
            g = d * (2 / 16)
            gh = (g @ w2.T) * (1 - h * h)
            grads = [x.T @ gh, gh.sum(0), h.T @ g, g.sum(0)]
            for w, gw in zip(params, grads, strict=True):
                w -= self.rate * gw
            return [(d * d).sum() / 16, *grads]

        return step, self.x, self.t

    def dezero(self):
        import dezero.functions as F
        from dezero import Parameter

        params = [Parameter(w.copy()) for w in self.weights]
        w1, b1, w2, b2 = params

        def step(x, t):
            y = F.linear(F.tanh(F.linear(x, w1, b1)), w2, b2)
            loss = F.mean_squared_error(y, t)
            for w in params:
                w.cleargrad()
            loss.backward()
            for w in params:
                w.data -= self.rate * w.grad.data
            return [loss, *(w.grad for w in params)]

        return step, self.x, self.t

    book = dezero

    def torch(self):
        import torch

        params = [torch.tensor(w, requires_grad=True) for w in self.weights]
        w1, b1, w2, b2 = params

        def step(x, t):
            y = torch.addmm(b2, torch.tanh(torch.addmm(b1, x, w1)), w2)
            loss = torch.nn.functional.mse_loss(y, t, reduction="sum") / 16
            for w in params:
                w.grad = None
            loss.backward()
            with torch.no_grad():
                for w in params:
                    w -= self.rate * w.grad
            return [loss, *(w.grad for w in params)]

        return step, torch.tensor(self.x), torch.tensor(self.t)

    def loss(self, params, x, t, tanh):
        w1, b1, w2, b2 = params
        return ((tanh(x @ w1 + b1) @ w2 + b2 - t) ** 2).sum() / 16

    def jax(self):
        import jax
        import jax.numpy as jnp

        @jax.jit
        def update(params, x, t):
            value, grads = jax.value_and_grad(partial(self.loss, tanh=jnp.tanh))(params, x, t)
            return [w - self.rate * g for w, g in zip(params, grads, strict=True)], value, grads

        params = [jnp.asarray(w) for w in self.weights]

        def step(x, t):
            nonlocal params
            params, value, grads = update(params, x, t)
            return [value, *grads]

        return step, jnp.asarray(self.x), jnp.asarray(self.t)

    def autograd(self):
        import autograd.numpy as anp
        from autograd import value_and_grad

        def loss(params, x, t):
            w1, b1, w2, b2 = params
            d = anp.dot(anp.tanh(anp.dot(x, w1) + b1), w2) + b2 - t
            return anp.sum(d**2) / 16

        both, params = value_and_grad(loss), [w.copy() for w in self.weights]

        def step(x, t):
            value, grads = both(params, x, t)
            for w, g in zip(params, grads, strict=True):
                w -= self.rate * g
            return [value, *grads]

        return step, self.x, self.t

    def mygrad(self):
        import mygrad

        params = [mygrad.tensor(w) for w in self.weights]

        def step(x, t):
            loss = self.loss(params, x, t, mygrad.tanh)
            loss.backward()
            grads = [w.grad for w in params]
            for w, g in zip(params, grads, strict=True):
                w.data -= self.rate * g
            return [loss, *grads]

        return step, self.x, self.t


class HVP(Program):
    """Hessian times vector of a loss, in all parameters: 16-32-32-4, batch of 32, float64."""

    mygrad = FIRST_ORDER

    def __init__(self):
        self.x = drawn(32, 16, seed=8, dtype=np.float64)
        self.t = drawn(32, 4, seed=9, dtype=np.float64)
        self.weights = weights(16, 32, 32, 4, dtype=np.float64)
        self.vectors = [drawn(*w.shape, seed=10, dtype=np.float64) for w in self.weights]

    def numpy(self):
        """The gradient by hand, and its derivative along the vectors beside it."""
        w, v = self.weights, self.vectors

        def step(x):
            h, dh, kept = x, np.zeros_like(x), []
            for i in (0, 2, 4):
                kept.append((h, dh))
                h, dh = h @ w[i] + w[i + 1], dh @ w[i] + h @ v[i] + v[i + 1]
                if i < 4:
                    h = np.tanh(h)
                    dh *= 1 - h * h
            g, dg, found = (h - self.t) * (2 / 32), dh * (2 / 32), []
            for i in (4, 2, 0):
                h, dh = kept.pop()
                found = [dh.T @ g + h.T @ dg, dg.sum(0), *found]
                if i:
                    back, slope = g @ w[i].T, 1 - h * h
                    dg = (dg @ w[i].T + g @ v[i].T) * slope - back * (2 * h * dh)
                    g = back * slope
            return found

        return step, self.x

    def dezero(self):
        import dezero.functions as F
        from dezero import Variable

        params = [Variable(w) for w in self.weights]

        def step(x):
            h = x
            for i in (0, 2, 4):
                h = F.linear(h, params[i], params[i + 1])
                h = F.tanh(h) if i < 4 else h
            for w in params:
                w.cleargrad()
            F.mean_squared_error(h, self.t).backward(create_graph=True)
            along = 0.0
            for w, v in zip(params, self.vectors, strict=True):
                along = F.sum(w.grad * v) + along
                w.cleargrad()
            along.backward()
            return [w.grad for w in params]

        return step, self.x

    book = dezero

    def torch(self):
        import torch

        params = [torch.tensor(w, requires_grad=True) for w in self.weights]
        vectors, t = [torch.tensor(v) for v in self.vectors], torch.tensor(self.t)

        def step(x):
            h = x
            for i in (0, 2, 4):
                h = torch.addmm(params[i + 1], h, params[i])
                h = torch.tanh(h) if i < 4 else h
            loss = torch.nn.functional.mse_loss(h, t, reduction="sum") / 32
            grads = torch.autograd.grad(loss, params, create_graph=True)
            along = sum((g * v).sum() for g, v in zip(grads, vectors, strict=True))
            return torch.autograd.grad(along, params, materialize_grads=True)

        return step, torch.tensor(self.x)

    def loss(self, params, x, tanh):
        h = x
        for i in (0, 2, 4):
            h = h @ params[i] + params[i + 1]
            h = tanh(h) if i < 4 else h
        return ((h - self.t) ** 2).sum() / 32

    def jax(self):
        import jax
        import jax.numpy as jnp

        @jax.jit
        def step(x, params, vectors):
            gradient = jax.grad(partial(self.loss, x=x, tanh=jnp.tanh))
            return jax.jvp(gradient, (params,), (vectors,))[1]

        return step, *jax.tree.map(jnp.asarray, (self.x, self.weights, self.vectors))

    def autograd(self):
        import autograd.numpy as anp
        from autograd import grad

        def loss(params, x):
            h = x
            for i in (0, 2, 4):
                h = anp.dot(h, params[i]) + params[i + 1]
                h = anp.tanh(h) if i < 4 else h
            return anp.sum((h - self.t) ** 2) / 32

        gradient = grad(loss)

        def along(params, x):
            pairs = zip(gradient(params, x), self.vectors, strict=True)
            return sum(anp.sum(g * v) for g, v in pairs)

        product = grad(along)
        return lambda x: product(self.weights, x), self.x


SCALAR = Target("jax", 0.15, engine="compiled")
WORKLOADS = [
    Workload(name, what, make, tuple(targets), unit="µs")
    for name, what, make, *targets in (
        (
            "tiny-mlp", "tiny MLP, step", TinyMLP,
            Target("torch", 0.4), Target("jax", 0.8, engine="compiled"),
        ),
        (
            "goldstein-price", "Goldstein-Price, value and gradient", Goldstein,
            Target("torch", 0.3), SCALAR,
        ),
        (
            "rosenbrock", "Rosenbrock, value and gradient", Rosenbrock,
            Target("torch", 0.3), SCALAR,
        ),
        ("newton", "Newton's step, second derivative", Newton, Target("torch", 0.35), SCALAR),
        ("double-backprop", "double backprop", DoubleBackprop, Target("torch", 0.35), SCALAR),
        (
            "sixth-sin", "sixth derivative of sin", partial(Sixth, "sin"), Target("torch", 0.7),
            Target("jax", 1.0, engine="compiled"),
        ),
        ("sixth-tanh", "sixth derivative of tanh", partial(Sixth, "tanh"), Target("torch", 0.7)),
        ("hvp", "Hessian-vector product of an MLP", HVP, Target("torch", 1.0)),
    )
]  # fmt: skip
