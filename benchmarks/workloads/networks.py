"""Parts and whole steps of networks, forward and backward, in float32."""

from functools import partial

import numpy as np

from . import by_hand
from .base import Gradient, Program, Target, Workload, chosen, drawn

NO_CONVOLUTION = "no convolution or pooling of its own"
NO_BATCHES = "its matrix product takes no batches"


def jax_conv(x, w, b, pad):
    import jax

    y = jax.lax.conv_general_dilated(x, w, (1, 1), [(pad, pad)] * 2)
    return y + b[:, None, None]


def jax_max_pool(x, size, stride, pad=0):
    import jax

    window, strides, pads = (1, 1, size, size), (1, 1, stride, stride), [(0, 0)] * 2
    return jax.lax.reduce_window(
        x, -np.inf, jax.lax.max, window, strides, [*pads, (pad, pad), (pad, pad)]
    )


def mygrad_conv(x, w, b, pad):
    from mygrad.nnet.layers import conv_nd

    return conv_nd(x, w, stride=1, padding=pad) + b.reshape(1, -1, 1, 1)


def jax_cross_entropy(x, t):
    import jax
    import jax.numpy as jnp

    return -jnp.take_along_axis(jax.nn.log_softmax(x), t[:, None], 1).mean()


# --- convolution --------------------------------------------------------------------------------


class Convolution(Gradient):
    """3x3 with padding, gradients of the input, the weights and the bias."""

    autograd = NO_CONVOLUTION

    def __init__(self, batch, channels, size):
        self.leaves = [
            drawn(batch, channels, size, size),
            drawn(channels, channels, 3, 3, scale=(9 * channels) ** -0.5, seed=2),
            drawn(channels, scale=0.1, seed=3),
        ]
        self.g = drawn(batch, channels, size, size, seed=1)

    def numpy(self):
        return partial(by_hand.conv, pad=1)

    def dezero(self):
        import dezero.functions as F

        return lambda x, w, b: F.conv2d(x, w, b, 1, 1)

    book = dezero

    def torch(self):
        import torch

        return lambda x, w, b: torch.nn.functional.conv2d(x, w, b, padding=1)

    def jax(self):
        return partial(jax_conv, pad=1)

    def mygrad(self):
        return partial(mygrad_conv, pad=1)


class ConvolutionOf(Gradient):
    """A convolution of another kind, gradients of the input, the weights and the bias."""

    autograd = mygrad = NO_CONVOLUTION

    def __init__(self, x, w, stride=1, pad=0, dilation=1, groups=1):
        self.options = stride, pad, dilation, groups
        n, _, *size = x
        inputs = w[1] * w[2] * w[3]
        self.leaves = [
            drawn(*x), drawn(*w, scale=inputs**-0.5, seed=2), drawn(w[0], scale=0.1, seed=3)
        ]  # fmt: skip
        sides = ((m + 2 * pad - dilation * (w[2] - 1) - 1) // stride + 1 for m in size)
        self.g = drawn(n, w[0], *sides, seed=1)

    def numpy(self):
        return lambda x, w, b: by_hand.conv_of(x, w, b, *self.options)

    def dezero(self):
        import dezero.functions as F

        stride, pad, dilation, groups = self.options
        options = {"stride": stride, "pad": pad, "dilation": dilation, "groups": groups}
        return lambda x, w, b: F.conv(x, w, b, **options)

    def torch(self):
        import torch

        return lambda x, w, b: torch.nn.functional.conv2d(x, w, b, *self.options)

    def jax(self):
        import jax

        stride, pad, dilation, groups = self.options

        def forward(x, w, b):
            y = jax.lax.conv_general_dilated(
                x, w, (stride,) * 2, [(pad, pad)] * 2,
                rhs_dilation=(dilation,) * 2, feature_group_count=groups,
            )  # fmt: skip
            return y + b[:, None, None]

        return forward


class VGG(Gradient):
    """Two convolutions with relu and a max pooling, gradients of all."""

    autograd = NO_CONVOLUTION

    def __init__(self):
        self.leaves = [
            drawn(16, 64, 32, 32),
            drawn(64, 64, 3, 3, scale=(9 * 32) ** -0.5, seed=2),
            drawn(64, scale=0.1, seed=4),
            drawn(64, 64, 3, 3, scale=(9 * 32) ** -0.5, seed=3),
            drawn(64, scale=0.1, seed=5),
        ]
        self.g = drawn(16, 64, 16, 16, seed=1)

    def numpy(self):
        def forward(x, w1, b1, w2, b2):
            y, conv1 = by_hand.conv(x, w1, b1, 1)
            y, relu1 = by_hand.relu(y)
            y, conv2 = by_hand.conv(y, w2, b2, 1)
            y, relu2 = by_hand.relu(y)
            y, pool = by_hand.max_pool(y, 2, 2)

            def backward(g):
                g, gw2, gb2 = conv2(relu2(pool(g)))
                g, gw1, gb1 = conv1(relu1(g))
                return [g, gw1, gb1, gw2, gb2]

            return y, backward

        return forward

    def by(self, conv, relu, pool):
        return lambda x, w1, b1, w2, b2: pool(relu(conv(relu(conv(x, w1, b1)), w2, b2)))

    def dezero(self):
        import dezero.functions as F

        return self.by(
            lambda x, w, b: F.conv2d(x, w, b, 1, 1), F.relu, lambda x: F.pooling(x, 2, 2)
        )

    book = dezero

    def torch(self):
        import torch.nn.functional as T

        return self.by(partial(T.conv2d, padding=1), T.relu, lambda x: T.max_pool2d(x, 2))

    def jax(self):
        from jax.nn import relu

        return self.by(partial(jax_conv, pad=1), relu, partial(jax_max_pool, size=2, stride=2))

    def mygrad(self):
        from mygrad.nnet.activations import relu
        from mygrad.nnet.layers import max_pool

        return self.by(partial(mygrad_conv, pad=1), relu, lambda x: max_pool(x, (2, 2), 2))


class LeNet(Gradient):
    """Loss and gradients of the weights: two 5x5 convolutions, each pooled, and three layers."""

    autograd = NO_CONVOLUTION

    def __init__(self):
        self.x, self.t = drawn(100, 1, 28, 28), chosen(100, 10)
        shapes = [(6, 1, 5, 5), (16, 6, 5, 5), (256, 120), (120, 84), (84, 10)]
        inputs = [25, 150, 256, 120, 84]
        ws = [drawn(*s, scale=n**-0.5, seed=n) for s, n in zip(shapes, inputs, strict=True)]
        bs = [drawn(n, scale=0.1, seed=n) for n in (6, 16, 120, 84, 10)]
        self.leaves = [*ws, *bs]

    def numpy(self):
        def forward(*params):
            ws, bs, y, backs = params[:5], params[5:], self.x, []
            for w, b in zip(ws[:2], bs[:2], strict=True):
                y, conv = by_hand.conv(y, w, b, 0)
                y, relu = by_hand.relu(y)
                y, pool = by_hand.max_pool(y, 2, 2)
                backs.append((conv, relu, pool))
            shape, y = y.shape, y.reshape(100, -1)
            for w, b in zip(ws[2:], bs[2:], strict=True):
                y, linear = by_hand.linear(y, w, b)
                y, relu = by_hand.relu(y) if len(backs) < 4 else (y, lambda g: g)
                backs.append((linear, relu))
            loss, entropy = by_hand.softmax_cross_entropy(y, self.t)

            def backward(g):
                g, gws, gbs = entropy(g), [], []
                for i, parts in reversed(list(enumerate(backs))):
                    g = g.reshape(shape) if i == 1 else g
                    for back in reversed(parts[1:]):
                        g = back(g)
                    g, gw, gb = parts[0](g)
                    gws, gbs = [gw, *gws], [gb, *gbs]
                return [*gws, *gbs]

            return loss, backward

        return forward

    def by(self, x, conv, relu, pool, linear, loss):
        def forward(w1, w2, w3, w4, w5, b1, b2, b3, b4, b5):
            y = pool(relu(conv(x, w1, b1)))
            y = pool(relu(conv(y, w2, b2))).reshape(100, 256)
            y = relu(linear(y, w3, b3))
            return loss(linear(relu(linear(y, w4, b4)), w5, b5))

        return forward

    def dezero(self):
        import dezero.functions as F

        loss = partial(F.softmax_cross_entropy, t=self.t)
        return self.by(self.x, F.conv2d, F.relu, lambda x: F.pooling(x, 2, 2), F.linear, loss)

    book = dezero

    def torch(self):
        import torch
        import torch.nn.functional as T

        loss = partial(T.cross_entropy, target=torch.tensor(self.t))
        pool, linear = partial(T.max_pool2d, kernel_size=2), lambda x, w, b: torch.addmm(b, x, w)
        return self.by(torch.tensor(self.x), T.conv2d, T.relu, pool, linear, loss)

    def jax(self):
        from jax.nn import relu

        return self.by(
            self.x,
            partial(jax_conv, pad=0),
            relu,
            partial(jax_max_pool, size=2, stride=2),
            lambda x, w, b: x @ w + b,
            partial(jax_cross_entropy, t=self.t),
        )

    def mygrad(self):
        from mygrad.nnet.activations import relu
        from mygrad.nnet.layers import max_pool
        from mygrad.nnet.losses import softmax_crossentropy

        return self.by(
            self.x,
            partial(mygrad_conv, pad=0),
            relu,
            lambda x: max_pool(x, (2, 2), 2),
            lambda x, w, b: x @ w + b,
            partial(softmax_crossentropy, y_true=self.t),
        )


# --- pooling and normalization ------------------------------------------------------------------


class MaxPool(Gradient):
    autograd = NO_CONVOLUTION

    def __init__(self, shape, size, stride, pad=0):
        self.options = size, stride, pad
        n, c, h, w = shape
        self.leaves = [drawn(*shape)]
        sides = ((side + 2 * pad - size) // stride + 1 for side in (h, w))
        self.g = drawn(n, c, *sides, seed=9)
        if pad:
            self.mygrad = "its pooling has no padding"
            self.book = "its pooling pads with zeros"

    def numpy(self):
        def forward(x):
            y, backward = by_hand.max_pool(x, *self.options)
            return y, lambda g: [backward(g)]

        return forward

    def dezero(self):
        import dezero.functions as F

        return lambda x: F.max_pool(x, *self.options)

    def book(self):
        import dezero.functions as F

        return lambda x: F.pooling(x, *self.options)

    def torch(self):
        import torch

        return lambda x: torch.nn.functional.max_pool2d(x, *self.options)

    def jax(self):
        return lambda x: jax_max_pool(x, *self.options)

    def mygrad(self):
        from mygrad.nnet.layers import max_pool

        size, stride, _ = self.options
        return lambda x: max_pool(x, (size, size), stride)


class AveragePool(Gradient):
    def __init__(self):
        self.leaves, self.g = [drawn(8, 64, 56, 56)], drawn(8, 64, 28, 28, seed=9)

    def numpy(self):
        def forward(x):
            y, backward = by_hand.average_pool(x, 2)
            return y, lambda g: [backward(g)]

        return forward

    def dezero(self):
        import dezero.functions as F

        return lambda x: F.average_pooling(x, 2, 2)

    book = dezero

    def torch(self):
        import torch

        return lambda x: torch.nn.functional.avg_pool2d(x, 2)


class BatchNorm(Gradient):
    """In training; running statistics are updated beside it where the engine keeps them."""

    def __init__(self, *shape):
        c = shape[1]
        self.leaves = [drawn(*shape), drawn(c, seed=1), drawn(c, seed=2)]
        self.g = drawn(*shape, seed=9)

    def numpy(self):
        return by_hand.batch_norm

    def dezero(self):
        import dezero.functions as F

        c = self.leaves[1]
        mean, var = np.zeros_like(c), np.ones_like(c)
        return lambda x, a, b: F.batch_nrom(x, a, b, mean, var, eps=1e-5)

    book = dezero

    def torch(self):
        import torch

        c = self.leaves[1]
        mean, var = torch.zeros(c.shape), torch.ones(c.shape)
        return lambda x, a, b: torch.nn.functional.batch_norm(x, mean, var, a, b, True, 0.1, 1e-5)

    def jax(self):
        import jax

        def forward(x, gamma, beta):
            y = jax.nn.standardize(x, (0, 2, 3), epsilon=1e-5)
            return y * gamma[:, None, None] + beta[:, None, None]

        return forward

    def mygrad(self):
        from mygrad.nnet.layers import batchnorm

        return lambda x, a, b: batchnorm(x, gamma=a, beta=b, eps=1e-5)


def composed_norm(x, gamma, beta):
    """Layer normalization by arithmetic alone."""
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    return centred / (variance + 1e-5) ** 0.5 * gamma + beta


class LayerNorm(Gradient):
    def __init__(self, rows, width):
        self.leaves = [drawn(rows, width), drawn(width, seed=1), drawn(width, seed=2)]
        self.g = drawn(rows, width, seed=9)

    def numpy(self):
        return by_hand.layer_norm

    def dezero(self):
        import dezero.functions as F

        return F.layer_norm

    def torch(self):
        import torch

        return lambda x, a, b: torch.nn.functional.layer_norm(x, b.shape, a, b)

    def jax(self):
        return composed_norm

    autograd = mygrad = jax

    def book(self):
        import dezero.functions as F

        def forward(x, gamma, beta):
            width = x.shape[1]
            centred = x - F.sum(x, 1, True) / width
            variance = F.sum(centred**2, 1, True) / width
            return centred / (variance + 1e-5) ** 0.5 * gamma + beta

        return forward


class GroupNorm(Gradient):
    def __init__(self):
        shape = (8, 64, 56, 56)
        self.leaves = [drawn(*shape), drawn(64, seed=1), drawn(64, seed=2)]
        self.g = drawn(*shape, seed=9)

    def numpy(self):
        return lambda x, a, b: by_hand.group_norm(x, 32, a, b)

    def dezero(self):
        import dezero.functions as F

        return lambda x, a, b: F.group_norm(x, 32, a, b)

    def torch(self):
        import torch

        return lambda x, a, b: torch.nn.functional.group_norm(x, 32, a, b)


# --- elementwise, losses, embedding -------------------------------------------------------------


class TanhChain(Gradient):
    """``tanh(x * 1.1 + 0.1)`` three times."""

    def __init__(self):
        self.leaves, self.g = [drawn(1_000_000)], drawn(1_000_000, seed=9)

    def numpy(self):
        def forward(x):
            kept = []
            for _ in range(3):
                x = x * 1.1
                x += 0.1
                x = np.tanh(x, out=x)
                kept.append(x)

            def backward(g):
                for y in reversed(kept):
                    slope = y * y
                    np.subtract(1, slope, out=slope)
                    slope *= 1.1
                    slope *= g
                    g = slope
                return [g]

            return x, backward

        return forward

    def by(self, tanh):
        def forward(x):
            for _ in range(3):
                x = tanh(x * 1.1 + 0.1)
            return x

        return forward

    def dezero(self):
        import dezero.functions as F

        return self.by(F.tanh)

    book = dezero

    def torch(self):
        import torch

        return self.by(torch.tanh)

    def jax(self):
        import jax.numpy as jnp

        return self.by(jnp.tanh)

    def autograd(self):
        import autograd.numpy as anp

        return self.by(anp.tanh)

    def mygrad(self):
        import mygrad

        return self.by(mygrad.tanh)


class GELU(Gradient):
    """Its form with tanh."""

    def __init__(self):
        self.leaves, self.g = [drawn(1_000_000)], drawn(1_000_000, seed=9)

    def numpy(self):
        def forward(x):
            y, backward = by_hand.gelu(x)
            return y, lambda g: [backward(g)]

        return forward

    def dezero(self):
        import dezero.functions as F

        return lambda x: F.gelu(x, "tanh")

    def torch(self):
        import torch

        return lambda x: torch.nn.functional.gelu(x, approximate="tanh")

    def jax(self):
        import jax

        return lambda x: jax.nn.gelu(x, approximate=True)

    def by(self, tanh):
        k = (2 / np.pi) ** 0.5
        return lambda x: 0.5 * x * (1 + tanh(float(k) * (x + 0.044715 * x**3)))

    def autograd(self):
        import autograd.numpy as anp

        return self.by(anp.tanh)

    def mygrad(self):
        import mygrad

        return self.by(mygrad.tanh)

    def book(self):
        import dezero.functions as F

        return self.by(F.tanh)


class CrossEntropy(Gradient):
    """Softmax cross-entropy, the mean over the rows."""

    def __init__(self, rows, classes):
        self.leaves, self.t = [drawn(rows, classes)], chosen(rows, classes)

    def numpy(self):
        def forward(x):
            y, backward = by_hand.softmax_cross_entropy(x, self.t)
            return y, lambda g: [backward(g)]

        return forward

    def dezero(self):
        import dezero.functions as F

        return lambda x: F.softmax_cross_entropy(x, self.t)

    book = dezero

    def torch(self):
        import torch

        t = torch.tensor(self.t)
        return lambda x: torch.nn.functional.cross_entropy(x, t)

    def jax(self):
        return partial(jax_cross_entropy, t=self.t)

    def autograd(self):
        import autograd.numpy as anp

        rows = np.arange(len(self.t))

        def forward(x):
            z = x - anp.max(x, 1, keepdims=True)
            return anp.mean(anp.log(anp.sum(anp.exp(z), 1)) - z[rows, self.t])

        return forward

    def mygrad(self):
        from mygrad.nnet.losses import softmax_crossentropy

        return lambda x: softmax_crossentropy(x, self.t)


class Embedding(Gradient):
    def __init__(self):
        self.ids = chosen(2048, 5000)
        self.leaves, self.g = [drawn(5000, 128)], drawn(2048, 128, seed=9)

    def numpy(self):
        def forward(w):
            def backward(g):
                gw = np.zeros_like(w)
                np.add.at(gw, self.ids, g)
                return [gw]

            return w[self.ids], backward

        return forward

    def dezero(self):
        import dezero.functions as F

        return lambda w: F.embedding(self.ids, w)

    def torch(self):
        import torch

        ids = torch.tensor(self.ids)
        return lambda w: torch.nn.functional.embedding(ids, w)

    def jax(self):
        return lambda w: w[self.ids]

    autograd = mygrad = book = jax


# --- sequences ----------------------------------------------------------------------------------


class Recurrent(Gradient):
    """100 steps of 128 numbers in and out: gradients of the input and the weights."""

    def __init__(self, gates):
        shapes = [(gates * 128, 128)] * 2 + [(gates * 128,)] * 2
        weights = [drawn(*shape, scale=0.05, seed=i) for i, shape in enumerate(shapes)]
        self.leaves, self.g = [drawn(32, 100, 128), *weights], drawn(32, 100, 128, seed=1)


class LSTM(Recurrent):
    def __init__(self):
        super().__init__(4)

    def numpy(self):
        return by_hand.lstm

    def dezero(self):
        import dezero.functions as F

        return lambda x, *weights: F.lstm(x, None, None, *weights)[0]

    def torch(self):
        """The function that nn.LSTM calls."""
        import torch

        start = torch.zeros(1, 32, 128)

        def forward(x, *weights):
            options = True, 1, 0.0, True, False, True  # one layer, in training, batch first
            return torch.lstm(x, (start, start), weights, *options)[0]

        return forward

    def jax(self):
        import jax
        import jax.numpy as jnp

        def forward(x, w_ih, w_hh, b_ih, b_hh):
            def cell(state, gates):
                h, c = state
                i, f, g, o = jnp.split(gates + h @ w_hh.T, 4, axis=1)
                c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
                h = jax.nn.sigmoid(o) * jnp.tanh(c)
                return (h, c), h

            zeros = jnp.zeros((32, 128), x.dtype)
            gates = jnp.swapaxes(x @ w_ih.T + (b_ih + b_hh), 0, 1)
            _, hs = jax.lax.scan(cell, (zeros, zeros), gates)
            return jnp.swapaxes(hs, 0, 1)

        return forward

    def by(self, sigmoid, tanh, matmul, stack):
        """Cells composed of elementary operations."""

        def forward(x, w_ih, w_hh, b_ih, b_hh):
            h = c = np.zeros((32, 128), np.float32)
            w_ih, w_hh, b, hs = w_ih.T, w_hh.T, b_ih + b_hh, []
            for t in range(100):
                z = matmul(x[:, t], w_ih) + matmul(h, w_hh) + b
                i, f, g, o = (z[:, 128 * k : 128 * (k + 1)] for k in range(4))
                c = sigmoid(f) * c + sigmoid(i) * tanh(g)
                h = sigmoid(o) * tanh(c)
                hs.append(h)
            return stack(hs)

        return forward

    def autograd(self):
        import autograd.numpy as anp

        def sigmoid(x):
            return 0.5 * (anp.tanh(0.5 * x) + 1)

        return self.by(sigmoid, anp.tanh, anp.dot, lambda hs: anp.stack(hs, 1))

    def mygrad(self):
        import mygrad
        from mygrad.nnet.activations import sigmoid

        stack = partial(mygrad.stack, axis=1)
        return self.by(sigmoid, mygrad.tanh, mygrad.matmul, stack)

    def book(self):
        import dezero.functions as F
        from dezero import Function

        class Stack(Function):
            def forward(self, *hs):
                return np.stack(hs, 1)

            def backward(self, g):
                return tuple(g[:, t] for t in range(100))

        return self.by(F.sigmoid, F.tanh, F.matmul, lambda hs: Stack()(*hs))


class LSTMCells(LSTM):
    """The same against PyTorch's cells of elementary operations."""

    jax = autograd = mygrad = book = "the row of the LSTM has it"

    def torch(self):
        import torch

        def forward(x, w_ih, w_hh, b_ih, b_hh):
            h = c = x.new_zeros(32, 128)
            gates, turned, hs = x @ w_ih.T + (b_ih + b_hh), w_hh.T, []
            for t in gates.unbind(1):
                i, f, g, o = torch.addmm(t, h, turned).chunk(4, 1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
                hs.append(h)
            return torch.stack(hs, 1)

        return forward


class GRU(Recurrent):
    def __init__(self):
        super().__init__(3)

    def numpy(self):
        return by_hand.gru

    def dezero(self):
        import dezero.functions as F

        return lambda x, *weights: F.gru(x, None, *weights)[0]

    def torch(self):
        """The function that nn.GRU calls."""
        import torch

        start = torch.zeros(1, 32, 128)

        def forward(x, *weights):
            options = True, 1, 0.0, True, False, True
            return torch.gru(x, start, weights, *options)[0]

        return forward


class Attention(Gradient):
    """Causal, of 4 heads of 32 numbers."""

    def __init__(self):
        self.leaves = [drawn(16, 4, 64, 32, seed=i) for i in range(3)]
        self.g = drawn(16, 4, 64, 32, seed=9)

    def numpy(self):
        return partial(by_hand.attention, causal=True)

    def dezero(self):
        import dezero.functions as F

        return partial(F.scaled_dot_product_attention, causal=True)

    def torch(self):
        import torch

        return partial(torch.nn.functional.scaled_dot_product_attention, is_causal=True)

    def jax(self):
        import jax
        import jax.numpy as jnp

        seen = np.tri(64, dtype=bool)

        def forward(q, k, v):
            scores = q @ jnp.swapaxes(k, 2, 3) * 32**-0.5
            return jax.nn.softmax(jnp.where(seen, scores, -jnp.inf)) @ v

        return forward

    book = NO_BATCHES


class Transformer(Gradient):
    """Attention and two linear layers, each added and normalized: gradients of all."""

    book = NO_BATCHES

    def __init__(self):
        d, wide = 128, 512
        self.leaves = [drawn(16, 64, d)]
        for i, (n, m) in enumerate(((d, 3 * d), (d, d), (d, wide), (wide, d)), 1):
            self.leaves += [drawn(n, m, scale=n**-0.5, seed=i), drawn(m, scale=0.1, seed=10 + i)]
        for i in (20, 21):
            self.leaves += [1 + drawn(d, scale=0.1, seed=i), drawn(d, scale=0.1, seed=i + 2)]
        self.g = drawn(16, 64, d, seed=9)

    def numpy(self):
        def forward(x, w_qkv, b_qkv, w_o, b_o, w_1, b_1, w_2, b_2, *norms):
            y, qkv = by_hand.linear(x, w_qkv, b_qkv)
            y, heads = by_hand.attention(*y.reshape(16, 64, 3, 4, 32).transpose(2, 0, 3, 1, 4))
            y, out = by_hand.linear(y.swapaxes(1, 2).reshape(16, 64, 128), w_o, b_o)
            h, norm1 = by_hand.layer_norm(x + y, *norms[:2])
            y, linear1 = by_hand.linear(h, w_1, b_1)
            y, relu = by_hand.relu(y)
            y, linear2 = by_hand.linear(y, w_2, b_2)
            y, norm2 = by_hand.layer_norm(h + y, *norms[2:])

            def backward(g):
                g, *gnorm2 = norm2(g)
                gy, *glinear2 = linear2(g)
                gy, *glinear1 = linear1(relu(gy))
                g, *gnorm1 = norm1(g + gy)
                gy, *gout = out(g)
                gs = np.stack(heads(gy.reshape(16, 64, 4, 32).swapaxes(1, 2)))
                gy, *gqkv = qkv(gs.transpose(1, 3, 0, 2, 4).reshape(16, 64, 384))
                return [g + gy, *gqkv, *gout, *glinear1, *glinear2, *gnorm1, *gnorm2]

            return y, backward

        return forward

    def by(self, swapaxes, linear, attention, relu, norm):
        def forward(x, w_qkv, b_qkv, w_o, b_o, w_1, b_1, w_2, b_2, *norms):
            qkv = linear(x, w_qkv, b_qkv).reshape(16, 64, 3, 4, 32)
            y = attention(*(swapaxes(qkv[:, :, i], 1, 2) for i in range(3)))
            y = linear(swapaxes(y, 1, 2).reshape(16, 64, 128), w_o, b_o)
            h = norm(x + y, *norms[:2])
            y = linear(relu(linear(h, w_1, b_1)), w_2, b_2)
            return norm(h + y, *norms[2:])

        return forward

    def by_arithmetic(self, swapaxes, softmax, relu):
        def attention(q, k, v):
            return softmax(q @ swapaxes(k, 2, 3) * 32**-0.5) @ v

        return self.by(swapaxes, lambda x, w, b: x @ w + b, attention, relu, composed_norm)

    def dezero(self):
        import dezero.functions as F

        def swapped(x, *_):
            return x.transpose(0, 2, 1, 3)

        attention = F.scaled_dot_product_attention
        return self.by(swapped, F.linear, attention, F.relu, F.layer_norm)

    def torch(self):
        import torch
        import torch.nn.functional as T

        return self.by(
            torch.swapaxes,
            lambda x, w, b: T.linear(x, w.T, b),
            T.scaled_dot_product_attention,
            T.relu,
            lambda x, a, b: T.layer_norm(x, (128,), a, b),
        )

    def jax(self):
        import jax
        import jax.numpy as jnp

        return self.by_arithmetic(jnp.swapaxes, jax.nn.softmax, jax.nn.relu)

    def autograd(self):
        import autograd.numpy as anp

        def softmax(x):
            e = anp.exp(x - anp.max(x, -1, keepdims=True))
            return e / anp.sum(e, -1, keepdims=True)

        return self.by_arithmetic(anp.swapaxes, softmax, lambda x: anp.maximum(x, 0))

    def mygrad(self):
        import mygrad
        from mygrad.nnet.activations import relu, softmax

        return self.by_arithmetic(mygrad.swapaxes, softmax, relu)


# --- whole steps --------------------------------------------------------------------------------

# The book adds Adam's eps before the correction of the bias: in the first step this is 1e-8.
BOOK_EPS = 1e-8 * 0.001**0.5


class MLP(Program):
    """784-1000-1000-10 with relu, cross-entropy and the update of all: loss, gradients, biases."""

    def __init__(self, rule):
        self.rule, self.rate = rule, {"sgd": 0.01, "adam": 0.001}[rule]
        sizes = [(784, 1000), (1000, 1000), (1000, 10)]
        self.x, self.t = drawn(100, 784), chosen(100, 10)
        self.weights = [drawn(*size, scale=size[0] ** -0.5, seed=i) for i, size in enumerate(sizes)]

    def params(self):
        """Weights and biases in turn."""
        pairs = ((w.copy(), np.zeros_like(w, shape=w.shape[1])) for w in self.weights)
        return [array for pair in pairs for array in pair]

    def update(self, params):
        """A function of the gradients that updates arrays of NumPy in place."""
        scratch = [np.empty_like(w) for w in params]
        if self.rule == "sgd":

            def descend(grads):
                for w, g, change in zip(params, grads, scratch, strict=True):
                    w -= np.multiply(g, self.rate, out=change)

            return descend
        ms, vs, t = [np.zeros_like(w) for w in params], [np.zeros_like(w) for w in params], 0

        def adam(grads):
            nonlocal t
            t += 1
            scale = (1 - 0.999**t) ** 0.5
            for w, g, m, v, change in zip(params, grads, ms, vs, scratch, strict=True):
                np.subtract(g, m, out=change)
                change *= 1 - 0.9
                m += change
                np.multiply(g, g, out=change)
                change -= v
                change *= 1 - 0.999
                v += change
                np.sqrt(v, out=change)
                change /= scale
                change += 1e-8
                np.divide(m, change, out=change)
                change *= self.rate / (1 - 0.9**t)
                w -= change

        return adam

    def numpy(self):
        params = self.params()
        update = self.update(params)

        def step(x, t):
            h, backs = x, []
            for i in (0, 2, 4):
                h, linear = by_hand.linear(h, *params[i : i + 2])
                h, relu = by_hand.relu(h) if i < 4 else (h, lambda g: g)
                backs.append((linear, relu))
            loss, entropy = by_hand.softmax_cross_entropy(h, t)
            g, grads = entropy(1.0), []
            for linear, relu in reversed(backs[1:]):
                g, gw, gb = linear(relu(g))
                grads = [gw, gb, *grads]
            g = backs[0][1](g)
            grads = [x.T @ g, g.sum(0), *grads]  # that of x is not wanted
            update(grads)
            return [loss, *grads, *params[1::2]]

        return step, self.x, self.t

    def dezero(self):
        import dezero.functions as F
        from dezero.layers import Linear
        from dezero.models import Sequential
        from dezero.optimizers import SGD, Adam

        layers = [Linear(1000), Linear(1000), Linear(10)]
        model = Sequential(layers[0], F.relu, layers[1], F.relu, layers[2])
        rule = SGD(self.rate) if self.rule == "sgd" else Adam(self.rate, corrected_eps=True)
        return self.trained(model, layers, F, rule)

    def book(self):
        import dezero.functions as F
        from dezero.models import MLP
        from dezero.optimizers import SGD, Adam

        model = MLP((1000, 1000, 10), F.relu)
        rule = SGD(self.rate) if self.rule == "sgd" else Adam(self.rate, eps=BOOK_EPS)
        return self.trained(model, model.layers, F, rule)

    def trained(self, model, layers, F, rule):
        model(self.x)  # the layers take their sizes from it
        for layer, w in zip(layers, self.weights, strict=True):
            layer.W.data = w.copy()
        optimizer = rule.setup(model)
        params = [p for layer in layers for p in (layer.W, layer.b)]

        def step(x, t):
            loss = F.softmax_cross_entropy(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            return [loss, *(p.grad for p in params), *params[1::2]]

        return step, self.x, self.t

    def torch(self):
        import torch
        from torch.nn import Linear, ReLU

        layers = [Linear(*w.shape) for w in self.weights]
        for layer, w in zip(layers, self.weights, strict=True):
            layer.weight.data = torch.tensor(w.T.copy())
            torch.nn.init.zeros_(layer.bias)
        model = torch.nn.Sequential(layers[0], ReLU(), layers[1], ReLU(), layers[2])
        rule = torch.optim.Adam if self.rule == "adam" else torch.optim.SGD
        optimizer = rule(model.parameters(), lr=self.rate)

        def step(x, t):
            loss = torch.nn.functional.cross_entropy(model(x), t)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            grads = [g for part in layers for g in (part.weight.grad.T, part.bias.grad)]
            return [loss, *grads, *(part.bias for part in layers)]

        return step, torch.tensor(self.x), torch.tensor(self.t)

    def jax(self):
        import jax
        import jax.numpy as jnp

        def loss_of(params, x, t):
            h = x
            for i in (0, 2, 4):
                h = h @ params[i] + params[i + 1]
                h = jax.nn.relu(h) if i < 4 else h
            return jax_cross_entropy(h, t)

        def descended(params, grads, state):
            return [w - self.rate * g for w, g in zip(params, grads, strict=True)], state

        def adam(params, grads, state):
            ms, vs, t = state
            t = t + 1
            ms = [m + (1 - 0.9) * (g - m) for m, g in zip(ms, grads, strict=True)]
            vs = [v + (1 - 0.999) * (g * g - v) for v, g in zip(vs, grads, strict=True)]
            rate, scale = self.rate / (1 - 0.9**t), (1 - 0.999**t) ** 0.5
            new = [
                w - rate * m / (jnp.sqrt(v) / scale + 1e-8)
                for w, m, v in zip(params, ms, vs, strict=True)
            ]
            return new, (ms, vs, t)

        def update(params, state, x, t):
            loss, grads = jax.value_and_grad(loss_of)(params, x, t)
            rule = adam if self.rule == "adam" else descended
            return loss, grads, *rule(params, grads, state)

        update = jax.jit(update, donate_argnums=(0, 1))
        params = [jnp.asarray(w) for w in self.params()]
        zeros = partial(jax.tree.map, jnp.zeros_like)
        state = (zeros(params), zeros(params), jnp.float32(0)) if self.rule == "adam" else ()

        def step(x, t):
            nonlocal params, state
            loss, grads, params, state = update(params, state, x, t)
            return [loss, *grads, *params[1::2]]

        return step, jnp.asarray(self.x), jnp.asarray(self.t)

    def autograd(self):
        import autograd.numpy as anp
        from autograd import value_and_grad

        rows = np.arange(100)

        def loss_of(params, x, t):
            h = x
            for i in (0, 2, 4):
                h = anp.dot(h, params[i]) + params[i + 1]
                h = anp.maximum(h, 0) if i < 4 else h
            z = h - anp.max(h, 1, keepdims=True)
            return anp.mean(anp.log(anp.sum(anp.exp(z), 1)) - z[rows, t])

        both, params = value_and_grad(loss_of), self.params()
        update = self.update(params)

        def step(x, t):
            loss, grads = both(params, x, t)
            update(grads)
            return [loss, *grads, *params[1::2]]

        return step, self.x, self.t

    def mygrad(self):
        import mygrad
        from mygrad.nnet.activations import relu
        from mygrad.nnet.losses import softmax_crossentropy

        arrays = self.params()
        params = [mygrad.tensor(w, copy=False) for w in arrays]
        update = self.update(arrays)

        def step(x, t):
            h = x
            for i in (0, 2, 4):
                h = h @ params[i] + params[i + 1]
                h = relu(h) if i < 4 else h
            loss = softmax_crossentropy(h, t)
            loss.backward()
            grads = [w.grad for w in params]
            update(grads)
            return [loss, *grads, *arrays[1::2]]

        return step, self.x, self.t


class Deep(Gradient):
    """64 layers of 128 with tanh; with ``segments``, these are computed again on the way back."""

    def __init__(self, segments=0):
        self.segments = segments
        self.x = drawn(1024, 128)
        ws = [drawn(128, 128, scale=1.2 * 128**-0.5, seed=i) for i in range(1, 65)]
        self.leaves = [*ws, *(drawn(128, scale=0.1, seed=i) for i in range(65, 129))]
        self.g = drawn(1024, 128, seed=129)

    def numpy(self):
        def forward(*params):
            y, backs = self.x, []
            for w, b in zip(params[:64], params[64:], strict=True):
                y, linear = by_hand.linear(y, w, b)
                y = np.tanh(y)
                backs.append((linear, y))

            def backward(g):
                gws, gbs = [], []
                for linear, y in reversed(backs):
                    g, gw, gb = linear(g * (1 - y * y))
                    gws, gbs = [gw, *gws], [gb, *gbs]
                return [*gws, *gbs]

            return y, backward

        return forward

    def by(self, x, layer, again):
        def some(x, *params):
            half = len(params) // 2
            for w, b in zip(params[:half], params[half:], strict=True):
                x = layer(x, w, b)
            return x

        def forward(*params):
            y, size = x, 64 // (self.segments or 1)
            for i in range(0, 64, size):
                part = params[i : i + size] + params[64 + i : 64 + i + size]
                y = again(some, y, *part) if self.segments else some(y, *part)
            return y

        return forward

    def dezero(self):
        import dezero
        import dezero.functions as F

        return self.by(self.x, lambda x, w, b: F.tanh(F.linear(x, w, b)), dezero.checkpoint)

    def book(self):
        import dezero.functions as F

        return self.by(self.x, lambda x, w, b: F.tanh(F.linear(x, w, b)), None)

    def torch(self):
        import torch
        from torch.utils.checkpoint import checkpoint

        again = partial(checkpoint, use_reentrant=False)
        return self.by(
            torch.tensor(self.x), lambda x, w, b: torch.tanh(torch.addmm(b, x, w)), again
        )

    def jax(self):
        import jax
        import jax.numpy as jnp

        def layer(x, w, b):
            return jnp.tanh(x @ w + b)

        return self.by(self.x, layer, lambda f, *xs: jax.checkpoint(f)(*xs))


class Recomputed(Deep):
    book = "it has no checkpoints"

    def __init__(self):
        super().__init__(8)


class AdamAlone(Program):
    """The update of the parameters of that network, without the network."""

    def __init__(self):
        shapes = [(784, 1000), (1000,), (1000, 1000), (1000,), (1000, 10), (10,)]
        self.grads = [drawn(*shape, seed=i) for i, shape in enumerate(shapes)]

    def numpy(self):
        params = [np.zeros_like(g) for g in self.grads]
        rule = MLP("adam").update(params)

        def step():
            rule(self.grads)
            return params

        return (step,)

    def dezero(self):
        return self.by(lambda Adam: Adam(corrected_eps=True))

    def book(self):
        return self.by(lambda Adam: Adam(eps=BOOK_EPS))

    def by(self, rule):
        from dezero import Parameter, Variable
        from dezero.layers import Layer
        from dezero.optimizers import Adam

        layer = Layer()
        for i, g in enumerate(self.grads):
            setattr(layer, f"p{i}", Parameter(np.zeros_like(g)))
            getattr(layer, f"p{i}").grad = Variable(g)
        params, optimizer = [getattr(layer, f"p{i}") for i in range(6)], rule(Adam).setup(layer)

        def step():
            optimizer.update()
            return params

        return (step,)

    def torch(self):
        import torch

        params = [torch.zeros(g.shape, requires_grad=True) for g in self.grads]
        for p, g in zip(params, self.grads, strict=True):
            p.grad = torch.tensor(g)
        optimizer = torch.optim.Adam(params, lr=1e-3)

        def step():
            optimizer.step()
            return params

        return (step,)


def step(name, what, make, *targets, share=0.0, rtol=1e-4, threads=None):
    return Workload(name, what, make, targets, share=share, rtol=rtol, threads=threads)


def torch_at_most(limit):
    return Target("torch", limit)


def compiled_at_most(limit):
    return Target("jax", limit, engine="compiled")


def rounding(name):
    """One relu or maximum that falls elsewhere changes the gradients of all weights a little."""
    return {"rtol": 1e-2, "share": 0.02} if name == "vgg" else {}


CONVOLUTIONS = [
    ("conv", "convolution 3x3, 64 channels, 56x56, batch 8", partial(Convolution, 8, 64, 56), 0.85),
    (
        "conv-128", "convolution 3x3, 128 channels, 28x28, batch 8",
        partial(Convolution, 8, 128, 28), 0.85,
    ),
    ("vgg", "VGG block, 64 channels, 32x32, batch 16", VGG, 1.0),
]  # fmt: skip

KINDS = [
    (
        "conv-1x1", "convolution 1x1, 256 to 64 channels, 16x16, batch 16",
        partial(ConvolutionOf, (16, 256, 16, 16), (64, 256, 1, 1)), 1.1,
    ),
    (
        "conv-strided", "convolution 3x3 by 2, 128 channels, 28x28, batch 8",
        partial(ConvolutionOf, (8, 128, 28, 28), (128, 128, 3, 3), 2, 1), 1.15,
    ),
    (
        "conv-dilated", "convolution 3x3 dilated by 2, 64 channels, 28x28, batch 8",
        partial(ConvolutionOf, (8, 64, 28, 28), (64, 64, 3, 3), 1, 2, 2), 1.15,
    ),
    (
        "conv-depthwise", "depthwise convolution 3x3, 64 channels, 56x56, batch 8",
        partial(ConvolutionOf, (8, 64, 56, 56), (64, 1, 3, 3), 1, 1, 1, 64), 3.0,
    ),
    (
        "conv-depthwise-5x5", "depthwise convolution 5x5, 96 channels, 28x28, batch 8",
        partial(ConvolutionOf, (8, 96, 28, 28), (96, 1, 5, 5), 1, 2, 1, 96), 1.0,
    ),
]  # fmt: skip

WORKLOADS = [
    step(
        "mlp-sgd", "MLP 784-1000-1000-10, batch 100, SGD", partial(MLP, "sgd"),
        torch_at_most(1.05), compiled_at_most(1.15), rtol=1e-3, share=1e-3,
    ),
    step(
        "mlp-adam", "MLP 784-1000-1000-10, batch 100, Adam", partial(MLP, "adam"),
        torch_at_most(0.9), rtol=1e-3, share=1e-3,
    ),
    step("adam", "Adam's update of those parameters alone", AdamAlone, torch_at_most(1.1)),
    step(
        "tanh-chain", "tanh chain, 1,000,000 numbers", TanhChain,
        torch_at_most(0.75), compiled_at_most(1.15),
    ),
    step(
        "gelu", "GELU by tanh, 1,000,000 numbers", GELU,
        torch_at_most(0.8), compiled_at_most(1.5), rtol=1e-3,
    ),
    step(
        "layer-norm", "layer normalization, 1,024 rows of 128",
        partial(LayerNorm, 1024, 128), torch_at_most(2.0), compiled_at_most(1.15),
    ),
    step(
        "layer-norm-wide", "layer normalization, 2,048 rows of 768",
        partial(LayerNorm, 2048, 768), torch_at_most(2.0), compiled_at_most(1.15),
    ),
    step(
        "group-norm", "group normalization, 32 groups of 64 channels, 56x56, batch 8",
        GroupNorm, torch_at_most(2.0),
    ),
    step(
        "cross-entropy-10", "softmax cross-entropy, 100,000 rows of 10",
        partial(CrossEntropy, 100_000, 10), torch_at_most(0.4),
    ),
    step(
        "cross-entropy-1000", "softmax cross-entropy, 4,096 rows of 1,000",
        partial(CrossEntropy, 4096, 1000), torch_at_most(0.7),
    ),
    step(
        "embedding", "embedding, 2,048 rows out of 5,000 of 128", Embedding, torch_at_most(2.0)
    ),
    *(
        step(name, what, make, torch_at_most(limit), **rounding(name))
        for name, what, make, limit in CONVOLUTIONS
    ),
    *(step(name, what, make, torch_at_most(limit)) for name, what, make, limit in KINDS),
    *(
        step(
            f"{name}-2-threads", f"{what}, two threads", make, torch_at_most(1.05),
            threads=2, **rounding(name),
        )
        for name, what, make, _ in CONVOLUTIONS
    ),
    step("lenet", "LeNet, 28x28, batch 100", LeNet, torch_at_most(1.1), share=0.02),
    step(
        "max-pool", "max pooling 2x2, 64 channels, 56x56, batch 8",
        partial(MaxPool, (8, 64, 56, 56), 2, 2), torch_at_most(0.55),
    ),
    step(
        "max-pool-overlapping", "max pooling 3x3 by 2, 64 channels, 112x112, batch 8",
        partial(MaxPool, (8, 64, 112, 112), 3, 2, 1), torch_at_most(0.55),
    ),
    step(
        "max-pool-dense", "max pooling 3x3 by 1, 64 channels, 28x28, batch 8",
        partial(MaxPool, (8, 64, 28, 28), 3, 1, 1), torch_at_most(0.55),
    ),
    step(
        "average-pool", "average pooling 2x2, 64 channels, 56x56, batch 8", AveragePool,
        torch_at_most(1.0),
    ),
    step(
        "batch-norm", "batch normalization, 64 channels, 32x32, batch 16",
        partial(BatchNorm, 16, 64, 32, 32), torch_at_most(1.2),
    ),
    step(
        "batch-norm-large", "batch normalization, 64 channels, 56x56, batch 8",
        partial(BatchNorm, 8, 64, 56, 56), torch_at_most(1.2),
    ),
    step(
        "batch-norm-small", "batch normalization, 512 channels, 7x7, batch 32",
        partial(BatchNorm, 32, 512, 7, 7), torch_at_most(1.2),
    ),
    step("deep", "64 layers of 128 with tanh, batch 1,024", Deep, torch_at_most(1.15)),
    step(
        "deep-checkpoints", "same, in 8 segments that are recomputed", Recomputed,
        torch_at_most(1.15),
    ),
    step("lstm", "LSTM, 100 steps, 128 hidden, batch 32", LSTM, torch_at_most(1.8)),
    step(
        "lstm-cells", "same LSTM against cells of elementary operations", LSTMCells,
        torch_at_most(0.8),
    ),
    step("gru", "GRU, 100 steps, 128 hidden, batch 32", GRU, torch_at_most(2.0)),
    step(
        "attention", "attention, causal, 4 heads of 32, 64 tokens, batch 16", Attention,
        torch_at_most(1.25),
    ),
    step(
        "transformer", "transformer block, d 128, 4 heads, 64 tokens, batch 16", Transformer,
        torch_at_most(1.15),
    ),
]  # fmt: skip
