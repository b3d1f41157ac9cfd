"""Steps of networks, forward and backward, against PyTorch eager.

    python benchmarks/networks.py [--rounds N] [--only NAME] [--json FILE]

A row is a function under ``@step(name, limit, what)`` that gives our step and PyTorch's. Each step
takes nothing and returns arrays; those of both are compared before any time is taken. ``--only``
takes one name or several with commas between them. Ratios are of minima, which a shared machine
disturbs least; those of the medians stand below the table.
"""

import sys

from measure import WITHOUT_PEER, arguments, median, np, peer, report, rounds, row

import dezero.functions as F
from dezero import Parameter, Variable
from dezero.layers import Layer, Linear, Sequential
from dezero.optimizers import SGD, Adam

torch = peer()
STEPS = {}


def step(name, limit, what, rtol=1e-4, share=0.0):
    """Add a row.

    Args:
        name: What ``--only`` takes.
        limit: Most that the ratio may be.
        what: The words in the table.
        rtol: How far the results may differ, in units of the largest number of an array.
        share: The share of numbers that may differ by more, where rounding decides which element is
            the largest or whether one is positive, and so where a gradient goes.
    """

    def add(make):
        STEPS[name] = (make, limit, what, rtol, share)
        return make

    return add


def host(x):
    """A Variable, an array, a tensor or a number as a NumPy array."""
    x = x.data if isinstance(x, Variable) else x
    return x.detach().numpy() if hasattr(x, "detach") else np.asarray(x)


def compare(name, ours, theirs, rtol, share):
    """Raise unless both steps return the same numbers."""
    mine, other = ours(), theirs()
    if len(mine) != len(other):
        sys.exit(f"{name}: our step gives {len(mine)} arrays, PyTorch's {len(other)}")
    for i, (a, b) in enumerate(zip(mine, other, strict=True)):
        a, b = host(a), host(b)
        size = float(np.max(np.abs(b), initial=1e-30))
        far = np.abs(a - b) > rtol * size
        if a.shape != b.shape or not np.isfinite(a).all() or np.mean(far) > share:
            message = f"{name}, result {i}, {np.count_nonzero(far)} numbers are far off"
            np.testing.assert_allclose(a, b, rtol=0.0, atol=rtol * size, err_msg=message)


def measured(name, count):
    """The row of one step, and the ratio of the medians."""
    make, limit, what, rtol, share = STEPS[name]
    ours, theirs = make()
    if torch is not None:
        compare(name, ours, theirs, rtol, share)
    times = rounds({"dezero": ours, "torch": torch and theirs}, count)
    mine, other = times["dezero"], times.get("torch")
    value = other and min(mine) / min(other)
    best = other and min(other) * 1e3
    line = row(what, "ms", min(mine) * 1e3, "PyTorch eager", best, value, limit)
    return line, other and median(mine) / median(other)


# --- inputs -------------------------------------------------------------------------------------


def drawn(*shape, scale=1.0, seed=0):
    """Normal numbers in float32."""
    values = np.random.default_rng(seed).standard_normal(shape)
    return np.asarray(values * scale, np.float32)


def leaf(array):
    """A tensor whose gradient is wanted."""
    return torch.tensor(array, requires_grad=True)


def gradients(loss, variables):
    """Our gradients of ``loss``, after those of the step before were cleared."""
    for v in variables:
        v.cleargrad()
    loss.backward()
    return [v.grad for v in variables]


# --- convolution --------------------------------------------------------------------------------


def convolution(batch, channels, size):
    x, g = drawn(batch, channels, size, size), drawn(batch, channels, size, size, seed=1)
    w = drawn(channels, channels, 3, 3, scale=(9 * channels) ** -0.5, seed=2)
    ours_x, ours_w = Variable(x), Variable(w)
    theirs_x, theirs_w, theirs_g = torch and leaf(x), torch and leaf(w), torch and torch.tensor(g)

    def ours():
        y = F.conv2d(ours_x, ours_w, stride=1, pad=1)
        y.grad = Variable(g)
        return [y, *gradients(y, [ours_x, ours_w])]

    def theirs():
        y = torch.nn.functional.conv2d(theirs_x, theirs_w, padding=1)
        return [y, *torch.autograd.grad(y, [theirs_x, theirs_w], theirs_g)]

    return ours, theirs


@step("conv", 1.3, "convolution 3x3, 64 channels, 56x56, batch 8")
def conv_64():
    return convolution(8, 64, 56)


@step("conv-128", 1.3, "convolution 3x3, 128 channels, 28x28, batch 8")
def conv_128():
    return convolution(8, 128, 28)


@step("vgg", 1.3, "VGG block, 64 channels, 32x32, batch 16", share=0.02)
def vgg_block():
    """Two convolutions with relu and a max pooling, gradients of the input and the weights."""
    x, g = drawn(16, 64, 32, 32), drawn(16, 64, 16, 16, seed=1)
    ws = [drawn(64, 64, 3, 3, scale=(9 * 32) ** -0.5, seed=i) for i in (2, 3)]
    bs = [drawn(64, scale=0.1, seed=i) for i in (4, 5)]
    ours_x, ours_w, ours_b = Variable(x), [Variable(w) for w in ws], [Variable(b) for b in bs]

    def ours():
        y = ours_x
        for w, b in zip(ours_w, ours_b, strict=True):
            y = F.relu(F.conv2d(y, w, b, 1, 1))
        y = F.pooling(y, 2, 2)
        y.grad = Variable(g)
        return [y, *gradients(y, [ours_x, *ours_w, *ours_b])]

    if torch is None:
        return ours, None
    import torch.nn.functional as T

    theirs_x, theirs_w, theirs_b = leaf(x), [leaf(w) for w in ws], [leaf(b) for b in bs]
    theirs_g = torch.tensor(g)

    def theirs():
        y = theirs_x
        for w, b in zip(theirs_w, theirs_b, strict=True):
            y = T.relu(T.conv2d(y, w, b, padding=1))
        y = T.max_pool2d(y, 2)
        return [y, *torch.autograd.grad(y, [theirs_x, *theirs_w, *theirs_b], theirs_g)]

    return ours, theirs


@step("lenet", 1.3, "LeNet, 28x28, batch 100", share=0.02)
def lenet():
    """Loss and gradients of the weights: two 5x5 convolutions, each pooled, and three layers."""
    x = drawn(100, 1, 28, 28)
    t = np.random.default_rng(1).integers(0, 10, 100)
    shapes = [(6, 1, 5, 5), (16, 6, 5, 5), (256, 120), (120, 84), (84, 10)]
    inputs = [25, 150, 256, 120, 84]
    ws = [drawn(*s, scale=n**-0.5, seed=n) for s, n in zip(shapes, inputs, strict=True)]
    bs = [drawn(n, scale=0.1, seed=n) for n in (6, 16, 120, 84, 10)]
    ours_w, ours_b = [Variable(w) for w in ws], [Variable(b) for b in bs]

    def ours():
        y = x
        for w, b in zip(ours_w[:2], ours_b[:2], strict=True):
            y = F.pooling(F.relu(F.conv2d(y, w, b)), 2, 2)
        y = F.reshape(y, (100, 256))
        for w, b in zip(ours_w[2:4], ours_b[2:4], strict=True):
            y = F.relu(F.linear(y, w, b))
        loss = F.softmax_cross_entropy(F.linear(y, ours_w[4], ours_b[4]), t)
        return [loss, *gradients(loss, [*ours_w, *ours_b])]

    if torch is None:
        return ours, None
    import torch.nn.functional as T

    theirs_w = [leaf(w) for w in ws[:2]] + [leaf(np.ascontiguousarray(w.T)) for w in ws[2:]]
    theirs_b, theirs_x, theirs_t = [leaf(b) for b in bs], torch.tensor(x), torch.tensor(t)

    def theirs():
        y = theirs_x
        for w, b in zip(theirs_w[:2], theirs_b[:2], strict=True):
            y = T.max_pool2d(T.relu(T.conv2d(y, w, b)), 2)
        y = y.reshape(100, 256)
        for w, b in zip(theirs_w[2:4], theirs_b[2:4], strict=True):
            y = T.relu(T.linear(y, w, b))
        loss = T.cross_entropy(T.linear(y, theirs_w[4], theirs_b[4]), theirs_t)
        gs = list(torch.autograd.grad(loss, [*theirs_w, *theirs_b]))
        return [loss, *gs[:2], *(g.T for g in gs[2:5]), *gs[5:]]

    return ours, theirs


# --- sequences ----------------------------------------------------------------------------------


def recurrent(kind):
    """A sequence of 100 steps, 128 numbers in and out: gradients of the input and the weights."""
    parts = {"lstm": 4, "gru": 3}[kind]
    x, g = drawn(32, 100, 128), drawn(32, 100, 128, seed=1)
    shapes = [(parts * 128, 128)] * 2 + [(parts * 128,)] * 2
    ws = [drawn(*shape, scale=0.05, seed=i) for i, shape in enumerate(shapes)]
    ours_x, ours_w = Variable(x), [Variable(w) for w in ws]
    first = (None,) * (2 if kind == "lstm" else 1)

    def ours():
        y, *_ = getattr(F, kind)(ours_x, *first, *ours_w)
        y.grad = Variable(g)
        return [y, *gradients(y, [ours_x, *ours_w])]

    if torch is None:
        return ours, None
    module = getattr(torch.nn, kind.upper())(128, 128, batch_first=True)
    for parameter, w in zip(module.parameters(), ws, strict=True):
        parameter.data = torch.tensor(w)
    theirs_x, theirs_g = leaf(x), torch.tensor(g)

    def theirs():
        y, _ = module(theirs_x)
        return [y, *torch.autograd.grad(y, [theirs_x, *module.parameters()], theirs_g)]

    return ours, theirs


@step("lstm", 2.0, "LSTM, 100 steps, 128 hidden, batch 32")
def lstm():
    return recurrent("lstm")


@step("gru", 2.0, "GRU, 100 steps, 128 hidden, batch 32")
def gru():
    return recurrent("gru")


# --- optimizers ---------------------------------------------------------------------------------


def mlp(ours_optimizer, theirs_optimizer):
    """Scores of 784-1000-1000-10 with relu, cross-entropy, gradients and the update of all."""
    sizes = [(784, 1000), (1000, 1000), (1000, 10)]
    x, t = drawn(100, 784), np.random.default_rng(1).integers(0, 10, 100)
    ws = [drawn(*size, scale=size[0] ** -0.5, seed=i) for i, size in enumerate(sizes)]
    model = Sequential(Linear(1000), F.relu, Linear(1000), F.relu, Linear(10))
    model(x)
    layers = [layer for layer in model.layers if isinstance(layer, Linear)]
    for layer, w in zip(layers, ws, strict=True):
        layer.W.data = w.copy()
    optimizer = ours_optimizer().setup(model)
    weights = [p for layer in layers for p in (layer.W, layer.b)]

    def ours():
        loss = F.softmax_cross_entropy(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return [loss, *(p.grad for p in weights)]

    if torch is None:
        return ours, None
    parts = [torch.nn.Linear(*size) for size in sizes]
    for part, w in zip(parts, ws, strict=True):
        part.weight.data = torch.tensor(w.T.copy())
        torch.nn.init.zeros_(part.bias)
    net = torch.nn.Sequential(parts[0], torch.nn.ReLU(), parts[1], torch.nn.ReLU(), parts[2])
    other = theirs_optimizer(net.parameters())
    theirs_x, theirs_t = torch.tensor(x), torch.tensor(t)

    def theirs():
        loss = torch.nn.functional.cross_entropy(net(theirs_x), theirs_t)
        other.zero_grad()
        loss.backward()
        other.step()
        grads = [g for part in parts for g in (part.weight.grad.T, part.bias.grad)]
        return [loss, *grads]

    return ours, theirs


@step("mlp-sgd", 1.1, "MLP 784-1000-1000-10, batch 100, step with SGD")
def mlp_sgd():
    return mlp(lambda: SGD(1e-4), lambda p: torch.optim.SGD(p, lr=1e-4))


@step("mlp-adam", 1.1, "MLP 784-1000-1000-10, batch 100, step with Adam")
def mlp_adam():
    return mlp(lambda: Adam(1e-6), lambda p: torch.optim.Adam(p, lr=1e-6))


@step("adam", 1.1, "Adam's update of those parameters alone")
def adam():
    """The update without the network: a long vector each, and a few numbers."""
    shapes = [(784, 1000), (1000,), (1000, 1000), (1000,), (1000, 10), (10,)]
    grads = [drawn(*shape, seed=i) for i, shape in enumerate(shapes)]
    layer = Layer()
    for i, g in enumerate(grads):
        setattr(layer, f"p{i}", Parameter(np.zeros_like(g)))
        getattr(layer, f"p{i}").grad = Variable(g)
    params, optimizer = list(layer.params()), Adam(1e-3, corrected_eps=True).setup(layer)

    def ours():
        optimizer.update()
        return [p.data for p in params]

    if torch is None:
        return ours, None
    tensors = [torch.zeros(shape, requires_grad=True) for shape in shapes]
    for tensor, g in zip(tensors, grads, strict=True):
        tensor.grad = torch.tensor(g)
    other = torch.optim.Adam(tensors, lr=1e-3)

    def theirs():
        other.step()
        return tensors

    return ours, theirs


# --- pooling and normalization ------------------------------------------------------------------


def through(ours_of, theirs_of, arrays, shape):
    """A function of ``arrays`` forward and backward, from gradients of ``shape``."""
    g = drawn(*shape, seed=9)
    ours_v = [Variable(a) for a in arrays]
    theirs_v, theirs_g = torch and [leaf(a) for a in arrays], torch and torch.tensor(g)

    def ours():
        y = ours_of(*ours_v)
        y.grad = Variable(g)
        return [y, *gradients(y, ours_v)]

    def theirs():
        y = theirs_of(*theirs_v)
        return [y, *torch.autograd.grad(y, theirs_v, theirs_g)]

    return ours, theirs


def max_pooling(shape, size, stride, pad, result):
    return through(
        lambda x: F.max_pool(x, size, stride, pad),
        lambda x: torch.nn.functional.max_pool2d(x, size, stride, pad),
        [drawn(*shape)],
        result,
    )


@step("max-pool", 1.0, "max pooling 2x2, 64 channels, 56x56, batch 8")
def max_pool():
    return max_pooling((8, 64, 56, 56), 2, 2, 0, (8, 64, 28, 28))


@step("max-pool-overlapping", 1.0, "max pooling 3x3 by 2, 64 channels, 112x112, batch 8")
def max_pool_overlapping():
    return max_pooling((8, 64, 112, 112), 3, 2, 1, (8, 64, 56, 56))


@step("max-pool-dense", 1.0, "max pooling 3x3 by 1, 64 channels, 28x28, batch 8")
def max_pool_dense():
    return max_pooling((8, 64, 28, 28), 3, 1, 1, (8, 64, 28, 28))


@step("average-pool", 1.0, "average pooling 2x2, 64 channels, 56x56, batch 8")
def average_pool():
    return through(
        lambda x: F.average_pool(x, 2),
        lambda x: torch.nn.functional.avg_pool2d(x, 2),
        [drawn(8, 64, 56, 56)],
        (8, 64, 28, 28),
    )


def batch_norm(*shape):
    c = shape[1]
    statistics = np.zeros(c, np.float32), np.ones(c, np.float32)
    theirs = torch and [torch.tensor(a) for a in statistics]
    return through(
        lambda x, a, b: F.batch_norm(x, a, b, *statistics, eps=1e-5),
        lambda x, a, b: torch.nn.functional.batch_norm(x, *theirs, a, b, True, 0.1, 1e-5),
        [drawn(*shape), drawn(c, seed=1), drawn(c, seed=2)],
        shape,
    )


@step("batch-norm", 1.5, "batch normalization, 64 channels, 32x32, batch 16")
def batch_norm_images():
    return batch_norm(16, 64, 32, 32)


@step("batch-norm-large", 1.5, "batch normalization, 64 channels, 56x56, batch 8")
def batch_norm_large():
    return batch_norm(8, 64, 56, 56)


@step("batch-norm-small", 1.5, "batch normalization, 512 channels, 7x7, batch 32")
def batch_norm_small():
    return batch_norm(32, 512, 7, 7)


def layer_norm(rows, width):
    return through(
        F.layer_norm,
        lambda x, a, b: torch.nn.functional.layer_norm(x, (width,), a, b),
        [drawn(rows, width), drawn(width, seed=1), drawn(width, seed=2)],
        (rows, width),
    )


@step("layer-norm", 2.0, "layer normalization, 1,024 rows of 128")
def layer_norm_narrow():
    return layer_norm(1024, 128)


@step("layer-norm-wide", 2.0, "layer normalization, 2,048 rows of 768")
def layer_norm_wide():
    return layer_norm(2048, 768)


@step("group-norm", 2.0, "group normalization, 32 groups of 64 channels, 56x56, batch 8")
def group_norm():
    return through(
        lambda x, a, b: F.group_norm(x, 32, a, b),
        lambda x, a, b: torch.nn.functional.group_norm(x, 32, a, b),
        [drawn(8, 64, 56, 56), drawn(64, seed=1), drawn(64, seed=2)],
        (8, 64, 56, 56),
    )


# --- activations, losses, embedding, attention --------------------------------------------------


@step("gelu-tanh", 0.8, "GELU by tanh, 1,000,000 numbers", rtol=1e-3)
def gelu_tanh():
    return through(
        lambda x: F.gelu(x, "tanh"),
        lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
        [drawn(1_000_000)],
        (1_000_000,),
    )


def cross_entropy(rows, classes):
    t = np.random.default_rng(1).integers(0, classes, rows)
    theirs_t = torch and torch.tensor(t)
    return through(
        lambda x: F.softmax_cross_entropy(x, t),
        lambda x: torch.nn.functional.cross_entropy(x, theirs_t),
        [drawn(rows, classes)],
        (),
    )


@step("cross-entropy-10", 1.0, "softmax cross-entropy, 100,000 rows of 10")
def cross_entropy_short():
    return cross_entropy(100_000, 10)


@step("cross-entropy-1000", 1.0, "softmax cross-entropy, 4,096 rows of 1,000")
def cross_entropy_long():
    return cross_entropy(4096, 1000)


@step("embedding", 2.0, "embedding, 2,048 rows out of 5,000 of 128")
def embedding():
    ids = np.random.default_rng(1).integers(0, 5000, 2048)
    theirs_ids = torch and torch.tensor(ids)
    return through(
        lambda w: F.embedding(ids, w),
        lambda w: torch.nn.functional.embedding(theirs_ids, w),
        [drawn(5000, 128)],
        (2048, 128),
    )


@step("attention", 1.25, "attention, causal, 4 heads of 32, 64 tokens, batch 16")
def attention():
    return through(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, causal=True),
        lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True),
        [drawn(16, 4, 64, 32, seed=i) for i in range(3)],
        (16, 4, 64, 32),
    )


@step("transformer", 1.25, "transformer block, d 128, 4 heads, 64 tokens, batch 16")
def transformer():
    """Attention, two linear layers, two norms: gradients of the input and all parameters."""
    from dezero.layers import TransformerEncoderBlock

    x, g = drawn(16, 64, 128), drawn(16, 64, 128, seed=1)
    block, ours_x = TransformerEncoderBlock(128, 4), Variable(x)
    named = list(block.namedparams())
    params = [p for _, p in named]

    def ours():
        y = block(ours_x)
        y.grad = Variable(g)
        gs = gradients(y, [ours_x, *params])
        turned = [g.T if n.endswith("/W") else g for (n, _), g in zip(named, gs[1:], strict=True)]
        return [y, gs[0], *turned]

    if torch is None:
        return ours, None
    module = torch.nn.TransformerEncoderLayer(128, 4, 512, 0.0, batch_first=True)
    module.load_state_dict({name: torch.tensor(p) for name, p in block.state_dict().items()})
    theirs_x, theirs_g = leaf(x), torch.tensor(g)

    def theirs():
        y = module(theirs_x)
        return [y, *torch.autograd.grad(y, [theirs_x, *module.parameters()], theirs_g)]

    return ours, theirs


# --- main ---------------------------------------------------------------------------------------


def main():
    options = arguments(__doc__, rounds=7, only="")
    names = [name for name in options.only.split(",") if name] or list(STEPS)
    if unknown := set(names) - STEPS.keys():
        sys.exit(f"--only: {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}")
    rows, medians = [], []
    for name in names:
        line, of_medians = measured(name, options.rounds)
        rows.append(line)
        medians += [] if of_medians is None else [f"{name} {of_medians:.2f}"]
    notes = [f"Ratios of the medians: {', '.join(medians)}."] if medians else [WITHOUT_PEER]
    return report("Networks", rows, options.json, notes)


if __name__ == "__main__":
    sys.exit(main())
