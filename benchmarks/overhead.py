"""Cost of an operation on 8 numbers, and of small programs, against NumPy and PyTorch eager.

    python benchmarks/overhead.py [--rounds N] [--json FILE]

On such arrays nearly all the time is the engine's own: finding the library, making handles and
nodes, and the sweep. The chain adds, multiplies and takes sines, each a third of the operations.
"""

import sys
from itertools import pairwise

from measure import WITHOUT_PEER, arguments, median, np, peer, phased, ratio, report, rounds, row

import dezero
import dezero.functions as F
from dezero import Function, Variable, no_grad
from dezero.backends import by_type

torch = peer()
LENGTH = 400
OPERATIONS = 3 * LENGTH


# --- the chain --------------------------------------------------------------------------------

# Values near the fixed point 0 of the sine: gradients neither grow nor become denormal numbers,
# with which processors are slow.
START = np.linspace(-0.1, 0.1, 8, dtype=np.float32)
SHIFT = np.linspace(1e-4, 2e-4, 8, dtype=np.float32)
SCALE = np.linspace(0.999, 1.0, 8, dtype=np.float32)


def chain(x, shift, scale, sin):
    for _ in range(LENGTH):
        x = sin((x + shift) * scale)
    return x


def numpy_forward():
    return chain(START, SHIFT, SCALE, np.sin)


def bare_phase():
    numpy_forward()
    yield


def numpy_phases():
    """Forward, keeping what backward needs, and backward, as one writes them by hand."""
    x, kept = START, []
    for _ in range(LENGTH):
        a = x + SHIFT
        b = a * SCALE
        x = np.sin(b)
        kept.append((a, b))
    yield
    g, g_shift, g_scale = np.ones_like(x), np.zeros_like(SHIFT), np.zeros_like(SCALE)
    for a, b in reversed(kept):
        g = g * np.cos(b)
        g_scale += g * a
        g = g * SCALE
        g_shift += g
    numpy_phases.result = g, g_shift, g_scale
    del kept
    yield


def dezero_phases():
    x, shift, scale = Variable(START), Variable(SHIFT), Variable(SCALE)
    y = chain(x, shift, scale, F.sin)
    yield
    y.backward()
    dezero_phases.result = x.grad.data, shift.grad.data, scale.grad.data
    del y
    yield


def torch_phases():
    x, shift, scale = (torch.tensor(v, requires_grad=True) for v in (START, SHIFT, SCALE))
    y = chain(x, shift, scale, torch.sin)
    ones = torch.ones_like(y)
    yield
    y.backward(ones)
    torch_phases.result = x.grad.numpy(), shift.grad.numpy(), scale.grad.numpy()
    del y
    yield


def dezero_no_grad():
    with no_grad():
        return chain(Variable(START), SHIFT, SCALE, F.sin)


def torch_no_grad():
    with torch.no_grad():
        return chain(*tensors, torch.sin)


tensors = [] if torch is None else [torch.tensor(v) for v in (START, SHIFT, SCALE)]


def per_operation(count):
    rows = []
    phases = {"numpy": numpy_phases, "dezero": dezero_phases, "torch": torch and torch_phases}
    for program in phases.values():
        if program is not None:
            for _ in program():
                pass
            for mine, other in zip(numpy_phases.result, program.result, strict=True):
                np.testing.assert_allclose(other, mine, rtol=2e-3, atol=1e-4)
    plain = rounds(
        {"numpy": numpy_forward, "dezero": dezero_no_grad, "torch": torch and torch_no_grad}, count
    )
    times = phased({"bare": bare_phase, **phases}, 10 * count)
    forward = {name: parts[0] for name, parts in times.items()}
    backward = {name: parts[1] for name, parts in times.items() if parts[1:]}

    def line(what, samples, other, target=None):
        theirs = samples[other]
        value = ratio(samples["dezero"], theirs)
        scale = 1e6 / OPERATIONS
        ours = median(samples["dezero"], scale)
        name = {"numpy": "NumPy by hand", "bare": "bare NumPy", "torch": "PyTorch eager"}[other]
        rows.append(row(what, "µs", ours, name, median(theirs, scale), value, target))

    line("no recording", plain, "numpy")
    line("recording", forward, "bare", 3.0)
    line("recording", forward, "numpy", 3.0)
    line("backward and freeing", backward, "numpy")
    if torch is not None:
        line("no recording", plain, "torch", 0.6)
        line("recording", forward, "torch", 0.65)
        line("backward and freeing", backward, "torch", 0.35)
    return rows


# --- a user's own function --------------------------------------------------------------------


class Sine(Function):
    def forward(self, x):
        return np.sin(x)

    def backward(self, gy):
        (x,) = self.inputs
        return gy * F.cos(x)


if torch is not None:

    class TorchSine(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.sin(x)

        @staticmethod
        def backward(ctx, gy):
            (x,) = ctx.saved_tensors
            return gy * torch.cos(x)


def own_function(count):
    def ours():
        x = y = Variable(START)
        for _ in range(LENGTH):
            y = Sine()(y)
        y.backward()
        return x.grad.data

    def theirs():
        x = y = torch.tensor(START, requires_grad=True)
        for _ in range(LENGTH):
            y = TorchSine.apply(y)
        y.backward(torch.ones_like(y))
        return x.grad.numpy()

    def by_hand():
        y, kept = START, []
        for _ in range(LENGTH):
            kept.append(y)
            y = np.sin(y)
        g = np.ones_like(y)
        for x in reversed(kept):
            g = g * np.cos(x)
        return g

    np.testing.assert_allclose(ours(), by_hand(), rtol=1e-4)
    if torch is not None:
        np.testing.assert_allclose(theirs(), by_hand(), rtol=1e-4)
    times = rounds({"dezero": ours, "torch": torch and theirs, "numpy": by_hand}, count)
    what, scale = "own Function, forward and backward", 1e6 / LENGTH
    mine = median(times["dezero"], scale)
    hand = median(times["numpy"], scale), ratio(times["dezero"], times["numpy"])
    rows = [row(what, "µs", mine, "NumPy by hand", *hand)]
    if torch is not None:
        peers = median(times["torch"], scale), ratio(times["dezero"], times["torch"])
        rows.append(row(what, "µs", mine, "autograd.Function", *peers, 1.2))
    return rows


# --- small programs ---------------------------------------------------------------------------
# Each is a pair of functions, ours and PyTorch's, and what both must return.


def goldstein_price(x, y):
    return (1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)) * (
        30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    )


def rosenbrock(x, y):
    return 100 * (y - x**2) ** 2 + (x - 1) ** 2


def gradient_of(function, *point):
    """Value and gradient of a function of two numbers."""
    arrays = [np.array(v) for v in point]

    def ours():
        x, y = Variable(arrays[0]), Variable(arrays[1])
        z = function(x, y)
        z.backward()
        return z.data, x.grad.data, y.grad.data

    def theirs():
        x, y = (torch.tensor(v, requires_grad=True) for v in point)
        z = function(x, y)
        z.backward()
        return z.detach(), x.grad, y.grad

    return ours, theirs


def newton():
    """First and second derivative of x⁴ - 2x² at 2, and a step."""

    def ours():
        x = Variable(np.array(2.0))
        y = x**4 - 2 * x**2
        y.backward(create_graph=True)
        gx = x.grad
        x.cleargrad()
        gx.backward()
        x.data -= gx.data / x.grad.data
        return gx.data, x.grad.data, x.data

    def theirs():
        x = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
        y = x**4 - 2 * x**2
        (gx,) = torch.autograd.grad(y, x, create_graph=True)
        gx.backward()
        with torch.no_grad():
            x -= gx / x.grad
        return gx.detach(), x.grad, x.detach()

    return ours, theirs


def double_backward():
    """The gradient of gx³ + y, where gx is that of y = x², at 2."""

    def ours():
        x = Variable(np.array(2.0))
        y = x**2
        y.backward(create_graph=True)
        gx = x.grad
        x.cleargrad()
        z = gx**3 + y
        z.backward()
        return (x.grad.data,)

    def theirs():
        x = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
        y = x**2
        (gx,) = torch.autograd.grad(y, x, create_graph=True)
        z = gx**3 + y
        z.backward()
        return (x.grad,)

    return ours, theirs


def sixth(name):
    """The sixth derivative of a function, at 8 points."""
    points = np.linspace(-1.0, 1.0, 8)
    ours_of, theirs_of = getattr(F, name), torch and getattr(torch, name)

    def ours():
        x = Variable(points)
        y = ours_of(x)
        for _ in range(6):
            x.cleargrad()
            y.backward(create_graph=True)
            y = x.grad
        return (y.data,)

    def theirs():
        x = torch.tensor(points, requires_grad=True)
        y = theirs_of(x)
        ones = torch.ones_like(y)
        for _ in range(6):
            (y,) = torch.autograd.grad(y, x, ones, create_graph=True)
        return (y.detach(),)

    return ours, theirs


def tanh_sixth(x):
    t = np.polynomial.Polynomial([0.0, 1.0])
    p = t
    for _ in range(6):
        p = p.deriv() * (1 - t**2)
    return p(np.tanh(x))


def weights(*sizes, dtype=np.float32):
    rng = np.random.default_rng(0)
    found = []
    for n, m in pairwise(sizes):
        found.append((rng.standard_normal((n, m)) / np.sqrt(n)).astype(dtype))
        found.append(np.zeros(m, dtype))
    return found


def tiny_mlp():
    """One step of gradient descent: 8 inputs, 16 tanh units, 4 outputs, batch of 16, mean square.

    Returns the loss and the gradients.
    """
    rng = np.random.default_rng(1)
    x = rng.standard_normal((16, 8)).astype(np.float32)
    t = rng.standard_normal((16, 4)).astype(np.float32)
    start = weights(8, 16, 4)
    ours_w = [dezero.Parameter(w.copy()) for w in start]
    hand_w = [w.copy() for w in start]
    theirs_w = torch and [torch.tensor(w, requires_grad=True) for w in start]
    theirs_x, theirs_t = (torch and torch.tensor(v) for v in (x, t))
    rate = 1e-6  # so small that the gradients stay the same from call to call

    def ours():
        w1, b1, w2, b2 = ours_w
        y = F.linear(F.tanh(F.linear(x, w1, b1)), w2, b2)
        loss = F.mean_squared_error(y, t)
        for w in ours_w:
            w.cleargrad()
        loss.backward()
        for w in ours_w:
            w.data -= rate * w.grad.data
        return loss.data, *(w.grad.data for w in ours_w)

    def theirs():
        w1, b1, w2, b2 = theirs_w
        y = torch.addmm(b2, torch.tanh(torch.addmm(b1, theirs_x, w1)), w2)
        loss = torch.nn.functional.mse_loss(y, theirs_t, reduction="sum") / 16
        for w in theirs_w:
            w.grad = None
        loss.backward()
        with torch.no_grad():
            for w in theirs_w:
                w -= rate * w.grad
        return loss.detach(), *(w.grad for w in theirs_w)

    def by_hand():
        w1, b1, w2, b2 = hand_w
        h = np.tanh(x @ w1 + b1)
        d = h @ w2 + b2 - t
        loss = (d * d).sum() / 16
        g = d * (2 / 16)
        gh = (g @ w2.T) * (1 - h * h)
        grads = [x.T @ gh, gh.sum(0), h.T @ g, g.sum(0)]
        for w, gw in zip(hand_w, grads, strict=True):
            w -= rate * gw
        return loss, *grads

    return ours, theirs, by_hand


def mlp_hvp():
    """Hessian times vector of a loss, in all parameters: 16-32-32-4, batch of 32, float64."""
    rng = np.random.default_rng(1)
    x, t = rng.standard_normal((32, 16)), rng.standard_normal((32, 4))
    start = weights(16, 32, 32, 4, dtype=np.float64)
    vectors = [rng.standard_normal(w.shape) for w in start]
    ours_w = [Variable(w) for w in start]
    theirs_w = torch and [torch.tensor(w, requires_grad=True) for w in start]
    theirs_v = torch and [torch.tensor(v) for v in vectors]
    theirs_x, theirs_t = (torch and torch.tensor(v) for v in (x, t))

    def ours():
        h = x
        for i in (0, 2, 4):
            h = F.linear(h, ours_w[i], ours_w[i + 1])
            h = F.tanh(h) if i < 4 else h
        for w in ours_w:
            w.cleargrad()
        F.mean_squared_error(h, t).backward(create_graph=True)
        along = 0.0
        for w, v in zip(ours_w, vectors, strict=True):
            along = F.sum(w.grad * v) + along
            w.cleargrad()
        along.backward()
        return [w.grad.data for w in ours_w]

    def theirs():
        h = theirs_x
        for i in (0, 2, 4):
            h = torch.addmm(theirs_w[i + 1], h, theirs_w[i])
            h = torch.tanh(h) if i < 4 else h
        loss = torch.nn.functional.mse_loss(h, theirs_t, reduction="sum") / 32
        grads = torch.autograd.grad(loss, theirs_w, create_graph=True)
        along = sum((g * v).sum() for g, v in zip(grads, theirs_v, strict=True))
        return torch.autograd.grad(along, theirs_w, materialize_grads=True)

    def gradient(w):
        h, layers = x, []
        for i in (0, 2, 4):
            layers.append(h)
            h = h @ w[i] + w[i + 1]
            h = np.tanh(h) if i < 4 else h
        g, found = (h - t) * (2 / 32), []
        for i in (4, 2, 0):
            h = layers.pop()
            found = [h.T @ g, g.sum(0), *found]
            g = (g @ w[i].T) * (1 - h * h)
        return found

    def numeric(step=1e-6):
        up = gradient([w + step * v for w, v in zip(start, vectors, strict=True)])
        down = gradient([w - step * v for w, v in zip(start, vectors, strict=True)])
        return [(a - b) / (2 * step) for a, b in zip(up, down, strict=True)]

    return ours, theirs, numeric()


def small_programs(count):
    mlp, torch_mlp, hand_mlp = tiny_mlp()
    hvp, torch_hvp, numeric_hvp = mlp_hvp()
    points = np.linspace(-1.0, 1.0, 8)
    programs = {
        "tiny MLP, step": (mlp, torch_mlp, hand_mlp(), 0.4),
        "Goldstein-Price, gradient": (
            *gradient_of(goldstein_price, 1.0, 1.0), (1876.0, -5376.0, 8064.0), 0.3,
        ),
        "Rosenbrock, gradient": (*gradient_of(rosenbrock, 0.0, 2.0), (401.0, -2.0, 400.0), 0.3),
        "Newton, second derivative": (*newton(), (24.0, 44.0, 2 - 24 / 44), 0.35),
        "double backprop": (*double_backward(), (100.0,), 0.35),
        "sixth derivative of sin": (*sixth("sin"), (-np.sin(points),), 0.7),
        "sixth derivative of tanh": (*sixth("tanh"), (tanh_sixth(points),), 0.7),
        "Hessian-vector product of an MLP": (hvp, torch_hvp, numeric_hvp, 1.0),
    }  # fmt: skip
    rows = []
    for what, (ours, theirs, expected, target) in programs.items():
        for program in (ours, theirs) if torch is not None else (ours,):
            for found, value in zip(program(), expected, strict=True):
                np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-6, err_msg=what)
        by_hand = hand_mlp if ours is mlp else None
        times = rounds({"dezero": ours, "torch": torch and theirs, "numpy": by_hand}, count)
        mine = median(times["dezero"], 1e6)
        if by_hand is not None or torch is None:
            samples = times.get("numpy")
            other = median(samples, 1e6), ratio(times["dezero"], samples)
            rows.append(row(what, "µs", mine, "NumPy by hand", *other))
        if torch is not None:
            peers = median(times["torch"], 1e6), ratio(times["dezero"], times["torch"])
            rows.append(row(what, "µs", mine, "PyTorch eager", *peers, target))
    return rows


def look_up(count):
    """What finding the library of an array costs, less the loop around it."""
    numbers = range(1_000)

    def found():
        for _ in numbers:
            by_type[START.__class__]

    def nothing():
        for _ in numbers:
            pass

    samples = rounds({"found": found, "nothing": nothing}, count)
    pairs = zip(samples["found"], samples["nothing"], strict=True)
    cost = median([(a - b) / len(numbers) for a, b in pairs], 1e9)
    return [
        row("library of an array, by its type", "ns", cost, "the limit", 50.0, cost / 50.0, 1.0)
    ]


def main():
    options = arguments(__doc__, rounds=9)
    rows = [
        *look_up(options.rounds),
        *per_operation(options.rounds),
        *own_function(options.rounds),
        *small_programs(options.rounds),
    ]
    notes = [] if torch is not None else [WITHOUT_PEER]
    return report("Cost per operation and of small programs", rows, options.json, notes)


if __name__ == "__main__":
    sys.exit(main())
