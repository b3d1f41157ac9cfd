"""Bytes per recorded operation beyond the arrays, and the peak memory of a step of an MLP.

    python benchmarks/memory.py [--rounds N] [--json FILE]

Every figure is taken in a process of its own. Python's allocations, NumPy's arrays among them, are
counted by tracemalloc; PyTorch's are not Python's, so the engines are compared by the memory that
the process occupies (Linux only).
"""

import ctypes
import gc
import json
import os
import subprocess
import sys
import tracemalloc
from itertools import pairwise
from pathlib import Path

from measure import ROOT, WITHOUT_PEER, arguments, median, np, peer, ratio, report, row

OPERATIONS = 30_000
STATUS = Path("/proc/self/status")


def occupied(field):
    """A field of the process's memory in bytes: ``VmRSS`` now, ``VmHWM`` at its highest."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def forget_peak():
    """Let ``VmHWM`` start again from what is occupied now."""
    Path("/proc/self/clear_refs").write_text("5")


def return_free_memory():
    """Give the system what the C library keeps of freed memory, where it can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def can_measure():
    try:
        forget_peak()
        occupied("VmHWM")
    except (OSError, KeyError):
        return False
    return True


# --- bytes per operation ----------------------------------------------------------------------


def chain(x, shift, scale, sin, seen):
    """Adds, multiplies and sines; ``seen`` gets every result."""
    for _ in range(OPERATIONS // 3):
        a = x + shift
        b = a * scale
        x = sin(b)
        seen(a)
        seen(b)
        seen(x)
    return x


def operands():
    bounds = ((-1.0, 1.0), (0.1, 0.2), (0.9, 1.1))
    return [np.linspace(low, high, 8, dtype=np.float32) for low, high in bounds]


def bytes_counted(hold_handles=False):
    """tracemalloc's bytes of a graph, less those of all the arrays that its operations made."""
    import dezero.functions as F
    from dezero import Variable

    x, shift, scale = map(Variable, operands())
    for _ in range(2):  # the first pass writes the functions' code
        arrays, handles = [], []

        def seen(v, arrays=arrays, handles=handles):
            arrays.append(v.data)
            handles.append(v if hold_handles else None)

        gc.collect()
        tracemalloc.start()
        y = chain(x, shift, scale, F.sin, seen)
        gc.collect()
        with_graph = tracemalloc.get_traced_memory()[0]
        del y
        handles[:] = [None] * len(handles)
        gc.collect()
        without = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    return (with_graph - without) / OPERATIONS


def bytes_occupied(engine):
    """Growth of the process by a graph, arrays included."""
    values = operands()
    if engine == "dezero":
        import dezero.functions as F
        from dezero import Variable

        leaves, sin = [Variable(v) for v in values], F.sin
    else:
        torch = peer()
        leaves, sin = [torch.tensor(v, requires_grad=True) for v in values], torch.sin

    def seen(v):
        pass

    one = chain(*leaves, sin, seen)
    del one
    gc.collect()
    before = occupied("VmRSS")
    graphs = [chain(*leaves, sin, seen) for _ in range(6)]
    grown = occupied("VmRSS") - before
    # The first graph fills what the one before it has left to the allocator.
    return grown / (OPERATIONS * (len(graphs) - 1))


# --- a step of an MLP -------------------------------------------------------------------------

SIZES = (784, 1000, 1000, 10)
BATCH, RATE = 100, 0.01


def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, SIZES[0])).astype(np.float32)
    t = rng.integers(0, SIZES[-1], BATCH)
    return x, t


def weights():
    rng = np.random.default_rng(1)
    found = []
    for n, m in pairwise(SIZES):
        found.append((rng.standard_normal((n, m)) * (2 / n) ** 0.5).astype(np.float32))
        found.append(np.zeros(m, np.float32))
    return found


def numpy_step():
    (x, t), params = data(), weights()

    def step():
        kept, h = [], x
        for i in (0, 2, 4):
            kept.append(h)
            h = h @ params[i] + params[i + 1]
            h = np.maximum(h, 0) if i < 4 else h
        z = h - h.max(1, keepdims=True)
        p = np.exp(z)
        total = p.sum(1, keepdims=True)
        loss = (np.log(total[:, 0]) - z[np.arange(BATCH), t]).mean()
        g = p / total
        g[np.arange(BATCH), t] -= 1
        g /= BATCH
        grads = []
        for i in (4, 2, 0):
            h = kept.pop()
            grads = [h.T @ g, g.sum(0), *grads]
            if i:
                g = (g @ params[i].T) * (h > 0)
        for w, gw in zip(params, grads, strict=True):
            w -= RATE * gw
        return float(loss)

    return step, lambda: None


def dezero_step():
    import dezero.functions as F
    from dezero.layers import Layer, Linear
    from dezero.optimizers import SGD

    class Net(Layer):
        def __init__(self):
            super().__init__()
            found = weights()
            for i in range(3):
                layer = Linear(SIZES[i + 1], in_size=SIZES[i])
                layer.W.data, layer.b.data = found[2 * i], found[2 * i + 1]
                setattr(self, f"l{i}", layer)

        def forward(self, x):
            return self.l2(F.relu(self.l1(F.relu(self.l0(x)))))

    (x, t), net = data(), Net()
    optimizer = SGD(lr=RATE).setup(net)

    def step():
        net.cleargrads()
        loss = F.softmax_cross_entropy(net(x), t)
        loss.backward()
        optimizer.update()
        return float(loss.data)

    return step, net.cleargrads


def torch_step():
    torch = peer()
    net = torch.nn.Sequential(
        torch.nn.Linear(SIZES[0], SIZES[1]), torch.nn.ReLU(),
        torch.nn.Linear(SIZES[1], SIZES[2]), torch.nn.ReLU(),
        torch.nn.Linear(SIZES[2], SIZES[3]),
    )  # fmt: skip
    found = weights()
    with torch.no_grad():
        for i in range(3):
            net[2 * i].weight.copy_(torch.tensor(found[2 * i].T))
            net[2 * i].bias.copy_(torch.tensor(found[2 * i + 1]))
    x, t = map(torch.tensor, data())
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
    loss_of = torch.nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad()
        loss = loss_of(net(x), t)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step, optimizer.zero_grad


STEPS = {"numpy": numpy_step, "dezero": dezero_step, "torch": torch_step}


def step_peak(engine, traced=False):
    """Bytes beyond parameters and data at the highest of some steps, and the losses.

    Two steps come first and their gradients are dropped: code is loaded, and the libraries have
    made the buffers that they keep.
    """
    step, clear = STEPS[engine]()
    losses = [step(), step()]
    clear()
    gc.collect()
    if traced:
        tracemalloc.start()
        before = 0
    else:
        return_free_memory()
        forget_peak()
        before = occupied("VmRSS")
    losses += [step() for _ in range(4)]
    peak = tracemalloc.get_traced_memory()[1] if traced else occupied("VmHWM")
    return peak - before, losses


# --- processes --------------------------------------------------------------------------------


def apart(call):
    """What ``call``, an expression over this module, gives in a fresh process."""
    code = f"import json, memory; print(json.dumps(memory.{call}))"
    here = str(Path(__file__).resolve().parent)
    paths = [here, str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{call} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    options = arguments(__doc__, rounds=5)
    torch = peer()
    notes = [] if torch is not None else [WITHOUT_PEER]
    counted, held = apart("bytes_counted()"), apart("bytes_counted(True)")
    limit = "the limit"
    rows = [
        row("operation, beyond the arrays", "bytes", counted, limit, 280.0, counted / 280, 1.0),
        row("the same with every Variable held", "bytes", held, limit, None, None),
    ]
    peaks = {name: apart(f"step_peak({name!r}, True)") for name in ("dezero", "numpy")}
    np.testing.assert_allclose(peaks["dezero"][1], peaks["numpy"][1], rtol=1e-3)
    mine, floor = (peaks[name][0] / 2**20 for name in ("dezero", "numpy"))
    what = "MLP step, peak beyond parameters, allocated"
    rows.append(row(what, "MiB", mine, "NumPy by hand", floor, mine / floor))

    if not can_measure():
        notes.append("The memory that a process occupies is measured on Linux only.")
        return report("Memory", rows, options.json, notes)
    engines = ["dezero", "numpy"] + (["torch"] if torch is not None else [])
    graph = {name: [] for name in engines if name != "numpy"}
    step = {name: [] for name in engines}
    for i in range(options.rounds):
        for name in engines if i % 2 == 0 else reversed(engines):
            if name in graph:
                graph[name].append(apart(f"bytes_occupied({name!r})"))
            peak, losses = apart(f"step_peak({name!r})")
            np.testing.assert_allclose(losses, peaks["numpy"][1], rtol=1e-3)
            step[name].append(peak)
    if torch is not None:
        values = (median(graph[name]) for name in ("dezero", "torch"))
        mine, theirs = values
        value = ratio(graph["dezero"], graph["torch"])
        what = "operation with its arrays, occupied"
        rows.append(row(what, "bytes", mine, "PyTorch eager", theirs, value))
    for name, label in (("numpy", "NumPy by hand"), ("torch", "PyTorch eager")):
        if name in step:
            values = median(step["dezero"], 2**-20), label, median(step[name], 2**-20)
            target = 1.0 if name == "torch" else None
            value = ratio(step["dezero"], step[name])
            what = "MLP step, peak beyond parameters, occupied"
            rows.append(row(what, "MiB", *values, value, target))
    return report("Memory", rows, options.json, notes)


if __name__ == "__main__":
    sys.exit(main())
