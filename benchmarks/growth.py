"""Time per operation as a graph grows: linear means that it stays the same.

    python benchmarks/growth.py [--rounds N] [--largest OPERATIONS] [--json FILE]

Chains, fans (one Variable used by many operations of one generation) and random graphs; forward,
backward, and freeing of the graph, with Python's cyclic collector on (what was there before, such
as PyTorch's modules, is frozen, so that it doesn't count). PyTorch is compared up to 100,000
operations. Larger graphs don't fit into processor caches, so that even NumPy by hand takes
longer there; a quadratic sweep would take a thousand times longer.
"""

import gc
import sys
from functools import partial

from measure import WITHOUT_PEER, arguments, median, np, peer, phased, ratio, report, row

import dezero.functions as F
from dezero import Variable

torch = peer()
PEER_MOST = 100_000
START = np.linspace(-1.0, 1.0, 8, dtype=np.float32)


def chain(x, n, sin, array):
    """Operations that undo each other, so that a million of them neither grow nor vanish."""
    two, half, one = (array(np.full(8, v, np.float32)) for v in (2.0, 0.5, 1.0))
    for _ in range(n // 4):
        x = ((x * two) + one) * half - half
    return x


def fan(x, n, sin, array):
    """``sin(x)`` n / 2 times, summed pairwise."""
    terms = [sin(x) for _ in range(n // 2)]
    while len(terms) > 1:
        odd = terms[-1:] if len(terms) % 2 else []
        terms = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)] + odd
    return terms[0]


def random_graph(x, n, sin, array):
    """Each operation takes one or two earlier results at random; those not used are summed."""
    rng = np.random.default_rng(0)
    kinds = rng.random(n).tolist()
    first, second = ((rng.random(n) * np.arange(1, n + 1)).astype(int).tolist() for _ in range(2))
    nodes, used = [x], {0}
    for kind, i, j in zip(kinds, first, second, strict=True):
        if kind < 0.5:
            nodes.append(nodes[i] * nodes[j])
            used.add(j)
        else:
            nodes.append(sin(nodes[i]))
        used.add(i)
    y = nodes[-1]
    for i in range(n):
        if i not in used:
            y = y + nodes[i]
    return y


def operations(shape, n):
    """How many operations ``shape`` consists of, counted on numbers that count themselves."""
    count = 0

    class Counted:
        def __add__(self, other):
            nonlocal count
            count += 1
            return self

        __sub__ = __mul__ = __add__

    shape(Counted(), n, lambda x: x + 0, lambda v: v)
    return count


def ours(shape, n, result):
    x = Variable(START)
    y = shape(x, n, F.sin, np.asarray)
    yield
    y.backward()
    yield
    del y
    result["dezero"] = x.grad.data
    yield
    y = shape(x, n, F.sin, np.asarray)
    yield
    del y  # a graph that no sweep has gone through: everything saved is still there
    yield


def theirs(shape, n, result):
    x = torch.tensor(START, requires_grad=True)
    y = shape(x, n, torch.sin, torch.tensor)
    ones = torch.ones_like(y)
    yield
    y.backward(ones)
    yield
    del y
    result["torch"] = x.grad.numpy()
    yield
    y = shape(x, n, torch.sin, torch.tensor)
    yield
    del y
    yield


def expected(shape, n):
    """The gradient by a list of operations in NumPy, walked in reverse."""
    tape = []

    class Taped:
        def __init__(self, value):
            self.value, self.g = value, 0.0

        def __add__(self, other):
            y = Taped(self.value + other.value)
            tape.append((y, lambda g: (g, g), (self, other)))
            return y

        def __sub__(self, other):
            y = Taped(self.value - other.value)
            tape.append((y, lambda g: (g, -g), (self, other)))
            return y

        def __mul__(self, other):
            y = Taped(self.value * other.value)
            tape.append((y, lambda g: (g * other.value, g * self.value), (self, other)))
            return y

    def sin(x):
        y = Taped(np.sin(x.value))
        tape.append((y, lambda g: (g * np.cos(x.value),), (x,)))
        return y

    x = Taped(START.astype(np.float64))
    y = shape(x, n, sin, Taped)
    y.g = np.ones(8)
    for node, pull, parents in reversed(tape):
        for parent, g in zip(parents, pull(node.g), strict=True):
            parent.g = parent.g + g
    return x.g


PHASES = ("forward", "backward", "freeing after it", None, "freeing without it")


def grown(name, shape, sizes, rounds):
    rows, whole = [], {}
    for size in sizes:
        n, result = operations(shape, size), {}
        count = max(3, min(5 * rounds, rounds * 20_000 // n))
        small = size <= PEER_MOST
        programs = {
            "dezero": partial(ours, shape, size, result),
            "torch": partial(theirs, shape, size, result) if torch is not None and small else None,
        }
        times = phased(programs, count, collect=True)
        if small:
            truth = expected(shape, size)
            for found in result.values():
                np.testing.assert_allclose(found, truth, rtol=1e-3, atol=1e-3 * abs(truth).max())
        whole[size] = {k: [sum(t) for t in zip(*p[:3], strict=True)] for k, p in times.items()}
        scale = 1e6 / n
        for i, phase in enumerate(PHASES):
            if phase is None:
                continue
            mine, other = times["dezero"][i], times.get("torch", [None] * 5)[i]
            what = f"{name}, {n:,} operations: {phase}"
            values = median(mine, scale), "PyTorch eager", median(other, scale), ratio(mine, other)
            rows.append(row(what, "µs", *values))
        mine, other = whole[size]["dezero"], whole[size].get("torch")
        values = median(mine, scale), "PyTorch eager", median(other, scale), ratio(mine, other)
        target = 0.35 if other else None
        rows.append(row(f"{name}, {n:,} operations: whole", "µs", *values, target))
    if len(sizes) > 1:
        ends = sizes[0], sizes[-1]
        first, last = (min(whole[s]["dezero"]) / operations(shape, s) * 1e6 for s in ends)
        what = f"{name}, growth per operation from {sizes[0]:,} to {sizes[-1]:,}"
        rows.append(row(what, "µs", last, "the smallest", first, last / first, 3.0))
    return rows


def main():
    options = arguments(__doc__, rounds=5, largest=1_000_000)
    gc.collect()
    gc.freeze()
    rows = []
    for name, shape, sizes in (
        ("chain", chain, (1_000, 10_000, 100_000, 1_000_000)),
        ("fan", fan, (1_000, 10_000, 200_000)),
        ("random graph", random_graph, (1_000, 50_000)),
    ):
        sizes = [size for size in sizes if size <= options.largest] or sizes[:1]
        rows += grown(name, shape, sizes, options.rounds)
    notes = [] if torch is not None else [WITHOUT_PEER]
    return report("Growth", rows, options.json, notes)


if __name__ == "__main__":
    sys.exit(main())
