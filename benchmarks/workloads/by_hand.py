"""Parts of networks in NumPy, written by hand.

Each gives its result and a function from the gradient of that to those of its operands; what the
latter needs is kept by it.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def relu(x):
    y = np.maximum(x, 0)
    return y, lambda g: g * (y > 0)


def linear(x, w, b):
    """``x @ w + b``, over the last axis of ``x``."""
    y = x @ w
    y += b

    def backward(g):
        rows = g.reshape(-1, g.shape[-1])
        return g @ w.T, x.reshape(-1, x.shape[-1]).T @ rows, rows.sum(0)

    return y, backward


def conv(x, w, b, pad):
    """A convolution by the columns of all windows and one matrix product an image."""
    n, c, *size = x.shape
    o, _, kh, kw = w.shape
    h, v = size[0] + 2 * pad - kh + 1, size[1] + 2 * pad - kw + 1
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))) if pad else x
    windows = sliding_window_view(padded, (kh, kw), axis=(2, 3))
    columns = windows.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * kh * kw, h * v)
    flat = w.reshape(o, -1)
    y = flat @ columns
    y += b[:, None]

    def backward(g):
        g = g.reshape(n, o, h * v)
        gw = (g @ columns.transpose(0, 2, 1)).sum(0).reshape(w.shape)
        gcolumns = (flat.T @ g).reshape(n, c, kh, kw, h, v)
        gx = np.zeros_like(padded)
        for i in range(kh):
            for j in range(kw):
                gx[:, :, i : i + h, j : j + v] += gcolumns[:, :, i, j]
        gx = gx[:, :, pad : pad + size[0], pad : pad + size[1]]
        return gx, gw, g.sum((0, 2))

    return y.reshape(n, o, h, v), backward


def conv_of(x, w, b, stride, pad, dilation, groups):
    """A convolution of any kind: an element of the kernel at a time."""
    n, c, *size = x.shape
    o, each, *kernel = w.shape
    h, v = (
        (m + 2 * pad - dilation * (k - 1) - 1) // stride + 1
        for m, k in zip(size, kernel, strict=True)
    )
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    weights = w.reshape(groups, o // groups, each, *kernel)
    taps = [(i, j) for i in range(kernel[0]) for j in range(kernel[1])]

    def met(image, i, j):
        rows, columns = (
            slice(dilation * k, dilation * k + stride * (m - 1) + 1, stride)
            for k, m in ((i, h), (j, v))
        )
        return image[:, :, rows, columns]

    y = np.zeros((n, groups, o // groups, h * v), x.dtype)
    for i, j in taps:
        y += weights[..., i, j] @ met(padded, i, j).reshape(n, groups, each, h * v)

    def backward(g):
        gs = g.reshape(n, groups, o // groups, h * v)
        gx, gw = np.zeros_like(padded), np.zeros_like(weights)
        for i, j in taps:
            part = met(padded, i, j).reshape(n, groups, each, h * v)
            gw[..., i, j] = (gs @ part.swapaxes(-1, -2)).sum(0)
            met(gx, i, j)[...] += (weights[..., i, j].swapaxes(-1, -2) @ gs).reshape(n, c, h, v)
        gx = gx[:, :, pad : pad + size[0], pad : pad + size[1]]
        return gx, gw.reshape(w.shape), g.sum((0, 2, 3))

    return y.reshape(n, o, h, v) + b[:, None, None], backward


def max_pool(x, size, stride, pad=0):
    """The largest number of each window; its gradient goes to the first of several."""
    widths = ((0, 0), (0, 0), (pad, pad), (pad, pad))
    padded = np.pad(x, widths, constant_values=-np.inf) if pad else x
    h, v = ((n - size) // stride + 1 for n in padded.shape[2:])
    at = [
        np.s_[:, :, i : i + stride * h : stride, j : j + stride * v : stride]
        for i in range(size)
        for j in range(size)
    ]
    y = padded[at[0]].copy()
    for place in at[1:]:
        np.maximum(y, padded[place], out=y)

    def backward(g):
        gx, left = np.zeros_like(padded), np.ones(y.shape, bool)
        for place in at:
            here = (padded[place] == y) & left
            left ^= here
            gx[place] += g * here
        return gx[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]]

    return y, backward


def average_pool(x, size):
    n, c, h, v = x.shape
    y = x.reshape(n, c, h // size, size, v // size, size).mean((3, 5))
    return y, lambda g: (g / size**2).repeat(size, 2).repeat(size, 3)


def normalize(x, axes, eps=1e-5):
    """Mean 0 and variance 1 over ``axes``."""
    y = x - x.mean(axes, keepdims=True)
    factor = 1 / np.sqrt((y * y).mean(axes, keepdims=True) + eps)
    y *= factor

    def backward(g):
        along = (g * y).mean(axes, keepdims=True)
        return (g - g.mean(axes, keepdims=True) - y * along) * factor

    return y, backward


def layer_norm(x, gamma, beta):
    y, back = normalize(x, -1)

    def backward(g):
        axes = tuple(range(g.ndim - 1))
        return back(g * gamma), (g * y).sum(axes), g.sum(axes)

    return y * gamma + beta, backward


def batch_norm(x, gamma, beta):
    y, back = normalize(x, (0, 2, 3))
    shape = (-1, 1, 1)

    def backward(g):
        return back(g * gamma.reshape(shape)), (g * y).sum((0, 2, 3)), g.sum((0, 2, 3))

    return y * gamma.reshape(shape) + beta.reshape(shape), backward


def group_norm(x, groups, gamma, beta):
    y, back = normalize(x.reshape(len(x), groups, -1), -1)
    y, shape = y.reshape(x.shape), (-1, 1, 1)

    def backward(g):
        gy = (g * gamma.reshape(shape)).reshape(len(x), groups, -1)
        return back(gy).reshape(x.shape), (g * y).sum((0, 2, 3)), g.sum((0, 2, 3))

    return y * gamma.reshape(shape) + beta.reshape(shape), backward


def gelu(x):
    """Its form with tanh."""
    k, c = math.sqrt(2 / math.pi), 0.044715
    square = x * x
    t = np.tanh(k * x * (1 + c * square))

    def backward(g):
        slope = k * (1 + 3 * c * square)
        return g * 0.5 * (1 + t + x * (1 - t * t) * slope)

    return 0.5 * x * (1 + t), backward


def softmax(x):
    y = np.exp(x - x.max(-1, keepdims=True))
    y /= y.sum(-1, keepdims=True)
    return y, lambda g: y * (g - (g * y).sum(-1, keepdims=True))


def softmax_cross_entropy(x, t):
    """The mean over the rows."""
    rows = np.arange(len(x))
    z = x - x.max(1, keepdims=True)
    picked = z[rows, t]
    p = np.exp(z, out=z)
    total = p.sum(1, keepdims=True)
    loss = (np.log(total[:, 0]) - picked).mean()

    def backward(g):
        gx = p / total
        gx[rows, t] -= 1
        gx *= g / len(x)
        return gx

    return loss, backward


def attention(q, k, v, causal=False):
    """Of heads, over the last two axes."""
    scale = q.shape[-1] ** -0.5
    scores = (q * scale) @ k.swapaxes(-1, -2)
    if causal:
        scores[..., ~np.tri(*scores.shape[-2:], dtype=bool)] = -np.inf
    p, back = softmax(scores)

    def backward(g):
        gscores = back(g @ v.swapaxes(-1, -2)) * scale
        return gscores @ k, gscores.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ g

    return p @ v, backward


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, w_ih, w_hh, b_ih, b_hh):
    """All states of a sequence (N, T, I) from zeros; gates as PyTorch orders them: i, f, g, o."""
    n, steps, _ = x.shape
    size = w_hh.shape[1]
    inputs = np.ascontiguousarray(x.swapaxes(0, 1))
    gates = inputs @ w_ih.T + (b_ih + b_hh)
    hs = np.zeros((steps + 1, n, size), x.dtype)
    cs, ts = np.zeros_like(hs), np.zeros_like(hs)
    turned = np.ascontiguousarray(w_hh.T)
    for t in range(steps):
        z = gates[t]
        z += hs[t] @ turned
        z[:, : 2 * size] = sigmoid(z[:, : 2 * size])
        z[:, 2 * size : 3 * size] = np.tanh(z[:, 2 * size : 3 * size])
        z[:, 3 * size :] = sigmoid(z[:, 3 * size :])
        i, f, g, o = z.reshape(n, 4, size).swapaxes(0, 1)
        cs[t + 1] = f * cs[t] + i * g
        ts[t + 1] = np.tanh(cs[t + 1])
        hs[t + 1] = o * ts[t + 1]

    def backward(gy):
        gz, gh, gc = np.empty_like(gates), 0.0, 0.0
        for t in reversed(range(steps)):
            i, f, g, o = gates[t].reshape(n, 4, size).swapaxes(0, 1)
            gi, gf, gg, go = gz[t].reshape(n, 4, size).swapaxes(0, 1)
            gh = gy[:, t] + gh
            gc = gc + gh * o * (1 - ts[t + 1] ** 2)
            gi[:] = gc * g * i * (1 - i)
            gf[:] = gc * cs[t] * f * (1 - f)
            gg[:] = gc * i * (1 - g * g)
            go[:] = gh * ts[t + 1] * o * (1 - o)
            gh, gc = gz[t] @ w_hh, gc * f
        rows = gz.reshape(-1, 4 * size)
        gb = rows.sum(0)
        gx = (gz @ w_ih).swapaxes(0, 1)
        return (
            gx,
            rows.T @ inputs.reshape(-1, inputs.shape[2]),
            rows.T @ hs[:-1].reshape(-1, size),
            gb,
            gb,
        )

    return hs[1:].swapaxes(0, 1), backward


def gru(x, w_ih, w_hh, b_ih, b_hh):
    """All states of a sequence (N, T, I) from zeros; gates as PyTorch orders them: r, z, n."""
    n, steps, _ = x.shape
    size = w_hh.shape[1]
    inputs = np.ascontiguousarray(x.swapaxes(0, 1))
    xs = inputs @ w_ih.T + b_ih
    kept = []
    h = np.zeros((n, size), x.dtype)
    hs = [h]
    for t in range(steps):
        by_h = h @ w_hh.T + b_hh
        rz = sigmoid(xs[t, :, : 2 * size] + by_h[:, : 2 * size])
        r, z = rz[:, :size], rz[:, size:]
        new = np.tanh(xs[t, :, 2 * size :] + r * by_h[:, 2 * size :])
        h = new + z * (h - new)
        kept.append((r, z, new, by_h[:, 2 * size :]))
        hs.append(h)
    hs = np.stack(hs)

    def backward(gy):
        of_x, of_h, gh = np.empty_like(xs), np.empty_like(xs), 0.0
        for t in reversed(range(steps)):
            r, z, new, by_h = kept[t]
            gh = gy[:, t] + gh
            gn = gh * (1 - z) * (1 - new * new)
            gr, gz = gn * by_h * r * (1 - r), gh * (hs[t] - new) * z * (1 - z)
            for whole in (of_x, of_h):
                whole[t, :, :size], whole[t, :, size : 2 * size] = gr, gz
            of_x[t, :, 2 * size :], of_h[t, :, 2 * size :] = gn, gn * r
            gh = gh * z + of_h[t] @ w_hh
        rows_x, rows_h = of_x.reshape(-1, 3 * size), of_h.reshape(-1, 3 * size)
        return (
            (of_x @ w_ih).swapaxes(0, 1),
            rows_x.T @ inputs.reshape(-1, inputs.shape[2]),
            rows_h.T @ hs[:-1].reshape(-1, size),
            rows_x.sum(0),
            rows_h.sum(0),
        )

    return hs[1:].swapaxes(0, 1), backward
