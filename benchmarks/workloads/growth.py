"""Time per operation as a graph grows, forward, backward and freeing: linear is a constant.

Larger graphs don't fit into the processor's caches, so that even NumPy by hand takes longer there;
a quadratic sweep would take a thousand times longer.
"""

from functools import cached_property, partial

import numpy as np

from .base import Gradient, Target, Workload

START = np.linspace(-1.0, 1.0, 8, dtype=np.float32)


class Grown(Gradient):
    """A graph of about ``size`` operations; a subclass has ``graph`` and ``numpy``."""

    jax = "jit compiles a whole step into one program: there is no graph that grows"

    def __init__(self, size):
        self.size, self.leaves, self.g = size, [START], np.ones(8, np.float32)
        if size > 100_000:
            self.book = self.autograd = self.mygrad = "measured up to 100,000 operations"

    @property
    def operations(self):
        return self.size

    def dezero(self):
        import dezero.functions as F

        return partial(self.graph, sin=F.sin, array=np.asarray)

    book = dezero

    def torch(self):
        import torch

        return partial(self.graph, sin=torch.sin, array=torch.tensor)

    def autograd(self):
        import autograd.numpy as anp

        return partial(self.graph, sin=anp.sin, array=np.asarray)

    def mygrad(self):
        import mygrad

        return partial(self.graph, sin=mygrad.sin, array=np.asarray)


class Chain(Grown):
    """Operations that undo each other, so that a million of them neither grow nor vanish."""

    def graph(self, x, sin, array):
        two, half, one = (array(np.full(8, v, np.float32)) for v in (2.0, 0.5, 1.0))
        for _ in range(self.size // 4):
            x = ((x * two) + one) * half - half
        return x

    def numpy(self):
        two, half, one = (np.full(8, v, np.float32) for v in (2.0, 0.5, 1.0))

        def forward(x):
            for _ in range(self.size // 4):
                x = ((x * two) + one) * half - half

            def backward(g):
                for _ in range(self.size // 4):
                    g = g * half * two
                return [g]

            return x, backward

        return forward


class Fan(Grown):
    """The sine of one variable many times, summed pairwise."""

    def graph(self, x, sin, array):
        terms = [sin(x) for _ in range(self.size // 2)]
        while len(terms) > 1:
            odd = terms[-1:] if len(terms) % 2 else []
            terms = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)] + odd
        return terms[0]

    def numpy(self):
        def forward(x):
            def backward(g):
                total = np.zeros_like(x)
                for _ in range(self.size // 2):
                    total += g * np.cos(x)
                return [total]

            return self.graph(x, np.sin, np.asarray), backward

        return forward


class RandomGraph(Grown):
    """Each operation takes one or two earlier results at random; those not used are summed."""

    book = "its sweep sorts all that waits for every operation: minutes a sample"

    @cached_property
    def plan(self):
        """For each operation its first operand, and the second of a product or None for a sine."""
        rng, n = np.random.default_rng(0), self.size
        products = rng.random(n) < 0.5
        first, second = ((rng.random(n) * np.arange(1, n + 1)).astype(int) for _ in range(2))
        pairs = zip(first.tolist(), second.tolist(), products.tolist(), strict=True)
        return [(i, j if product else None) for i, j, product in pairs]

    @cached_property
    def unused(self):
        return sorted(set(range(self.size)).difference(*self.plan))

    @property
    def operations(self):
        return self.size + len(self.unused)

    def graph(self, x, sin, array):
        nodes = self.nodes(x, sin)
        y = nodes[-1]
        for i in self.unused:
            y = y + nodes[i]
        return y

    def nodes(self, x, sin):
        nodes = [x]
        for i, j in self.plan:
            nodes.append(sin(nodes[i]) if j is None else nodes[i] * nodes[j])
        return nodes

    def numpy(self):
        def forward(x):
            nodes = self.nodes(x, np.sin)
            y = nodes[-1]
            for i in self.unused:
                y = y + nodes[i]

            def backward(g):
                grads = [None] * len(nodes)

                def add(i, g):
                    grads[i] = g if grads[i] is None else grads[i] + g

                for i in (*self.unused, -1):
                    add(i, g)
                for k, (i, j) in reversed(list(enumerate(self.plan, 1))):
                    if j is None:
                        add(i, grads[k] * np.cos(nodes[i]))
                    else:
                        add(i, grads[k] * nodes[j])
                        add(j, grads[k] * nodes[i])
                return [grads[0]]

            return y, backward

        return forward


LINEAR = Target("dezero", 3.0, workload="chain-1000")


def grown(name, what, program, size, *targets):
    return Workload(
        f"{name}-{size}",
        f"{what} of {size:,}, per operation",
        partial(program, size),
        (Target("torch", 0.35), *targets),
        unit="µs",
        rtol=1e-3,
        slow=size > 20_000,
    )


WORKLOADS = [
    grown("chain", "chain", Chain, 1_000),
    grown("chain", "chain", Chain, 10_000),
    grown("chain", "chain", Chain, 100_000),
    grown("chain", "chain", Chain, 1_000_000, LINEAR),
    grown("fan", "fan", Fan, 16_000),
    grown("fan", "fan", Fan, 200_000),
    grown("random", "random graph", RandomGraph, 50_000),
]
