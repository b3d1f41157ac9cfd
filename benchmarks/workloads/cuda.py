"""What is measured on a GPU: dezero over CuPy, bare CuPy, and PyTorch on the same device.

A row makes its steps for the engines that it has. A step hands out its work and does not wait; what
it returns is compared between the engines before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["ROWS", "Row", "Steps"]

Steps = dict[str, Callable[[], Any]]


class Row(NamedTuple):
    """A line of the table.

    Attributes:
        name: What ``--only`` takes.
        make: Gives the steps of each engine, from the libraries.
        tolerance: How far results may differ, in units of the largest number.
    """

    name: str
    make: Callable[[Any], Steps]
    tolerance: float = 1e-4


class Libraries:
    """What the rows are written with.

    Attributes:
        cupy: CuPy.
        torch: PyTorch with CUDA, or None.
        dezero: dezero; its functions are ``F``.
    """

    def __init__(self, cupy: Any, torch: Any) -> None:
        import dezero
        import dezero.functions as F

        self.cupy, self.torch, self.dezero, self.F = cupy, torch, dezero, F

    def numbers(self, *shape: int, dtype: str = "float32", scale: float = 1.0) -> np.ndarray:
        """Normal ones, the same each time."""
        return (np.random.default_rng(0).normal(size=shape) * scale).astype(dtype)

    def leaf(self, array: np.ndarray) -> Any:
        """A Variable on the device."""
        return self.dezero.Variable(self.cupy.asarray(array))

    def tensor(self, array: np.ndarray, grad: bool = True) -> Any:
        """A tensor on the device."""
        return self.torch.tensor(array, device="cuda", requires_grad=grad)

    def graph(self, step: Callable[[], Any]) -> Callable[[], Any]:
        """A step of PyTorch as a CUDA graph."""
        torch = self.torch
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = step()

        def launch() -> Any:
            graph.replay()
            return result

        return launch


def _launch(lib: Any) -> Steps:
    a, b = lib.numbers(8), lib.numbers(8)
    x, y = lib.leaf(a), lib.leaf(b)
    raw, other = lib.cupy.asarray(a), lib.cupy.asarray(b)
    steps: Steps = {"dezero": lambda: x + y, "cupy": lambda: raw + other}
    if lib.torch:
        s, t = lib.tensor(a), lib.tensor(b)
        steps["torch"] = lambda: s + t
    return steps


def _with_gradient(function: str, *shape: int, dtype: str = "float32", **options: Any) -> Any:
    """A function and its gradient."""

    def make(lib: Any) -> Steps:
        array = lib.numbers(*shape, dtype=dtype)
        x, g = lib.leaf(array), lib.dezero.Variable(lib.cupy.ones(shape, dtype))
        ours = getattr(lib.F, function)

        def step() -> Any:
            x.cleargrad()
            y = ours(x, **options)
            y.grad = g
            y.backward()
            return [y, x.grad]

        steps: Steps = {"dezero": step}
        if lib.torch:
            t, ones = lib.tensor(array), lib.torch.ones(shape, device="cuda")
            ones = ones.to(t.dtype)
            theirs = {
                "gelu": lib.torch.nn.functional.gelu,
                "softmax": lambda t: lib.torch.softmax(t, -1),
                "layer_norm": lambda t: lib.torch.nn.functional.layer_norm(t, t.shape[-1:]),
            }[function]

            def peer() -> Any:
                t.grad = None
                y = theirs(t)
                y.backward(ones)
                return [y, t.grad]

            steps["torch"] = peer
        return steps

    return make


def _chain_of(xp: Any, x: Any) -> Any:
    for _ in range(4):
        x = xp.tanh(x * 1.5 + 0.5) - xp.exp(-x * x)
    return x


def _chain(size: int) -> Any:
    """Twenty-four elementwise operations, compiled into one kernel or captured as a graph."""

    def make(lib: Any) -> Steps:
        array = lib.numbers(size)
        x, raw = lib.leaf(array), lib.cupy.asarray(array)
        compiled = lib.dezero.compile(lambda x: _chain_of(lib.F, x))
        steps: Steps = {
            "dezero": lambda: _chain_of(lib.F, x),
            "compiled": lambda: compiled(x),
            "cupy": lambda: _chain_of(lib.cupy, raw),
        }
        if lib.torch:
            t = lib.tensor(array, grad=False)
            steps["torch"] = lambda: _chain_of(lib.torch, t)
            steps["torch, graph"] = lib.graph(steps["torch"])
        return steps

    return make


def _cross_entropy(rows: int, classes: int) -> Any:
    def make(lib: Any) -> Steps:
        array, labels = lib.numbers(rows, classes), np.arange(rows) % classes
        x, t = lib.leaf(array), lib.cupy.asarray(labels)

        def step() -> Any:
            x.cleargrad()
            loss = lib.F.softmax_cross_entropy(x, t)
            loss.backward()
            return [loss, x.grad]

        steps: Steps = {"dezero": step}
        if lib.torch:
            s, places = lib.tensor(array), lib.tensor(labels, grad=False)

            def peer() -> Any:
                s.grad = None
                loss = lib.torch.nn.functional.cross_entropy(s, places)
                loss.backward()
                return [loss, s.grad]

            steps["torch"] = peer
        return steps

    return make


def _product(n: int, dtype: str, tf32: bool = False) -> Any:
    def make(lib: Any) -> Steps:
        a, b = lib.numbers(n, n, dtype=dtype), lib.numbers(n, n, dtype=dtype, scale=n**-0.5)
        lib.dezero.cuda.configure(tf32=tf32)
        x, y = lib.leaf(a), lib.leaf(b)
        raw, other = lib.cupy.asarray(a), lib.cupy.asarray(b)
        steps: Steps = {
            "dezero": lambda: lib.F.matmul(x, y),
            "cupy": lambda: raw @ other,
        }
        if lib.torch:
            lib.torch.backends.cuda.matmul.allow_tf32 = tf32
            s, t = lib.tensor(a), lib.tensor(b)
            steps["torch"] = lambda: s @ t
        return steps

    return make


def _layer_of(xp: Any, x: Any, w: Any) -> Any:
    for _ in range(8):
        x = xp.tanh(x @ w)
    return x


def _products(n: int) -> Any:
    """Eight products of small matrices, which are one graph where they are compiled."""

    def make(lib: Any) -> Steps:
        a, b = lib.numbers(n, n), lib.numbers(n, n, scale=n**-0.5)
        lib.dezero.cuda.configure(tf32=False)
        x, w = lib.leaf(a), lib.leaf(b)
        raw, other = lib.cupy.asarray(a), lib.cupy.asarray(b)
        compiled = lib.dezero.compile(lambda x, w: _layer_of(lib.F, x, w))
        steps: Steps = {
            "dezero": lambda: _layer_of(lib.F, x, w),
            "compiled": lambda: compiled(x, w),
            "cupy": lambda: _layer_of(lib.cupy, raw, other),
        }
        if lib.torch:
            lib.torch.backends.cuda.matmul.allow_tf32 = False
            s, t = lib.tensor(a, grad=False), lib.tensor(b, grad=False)
            steps["torch"] = lambda: _layer_of(lib.torch, s, t)
            steps["torch, graph"] = lib.graph(steps["torch"])
        return steps

    return make


def _convolution(
    n: int,
    channels: int,
    size: int,
    dtype: str = "float32",
    tf32: bool = False,
    implicit: bool = True,
    stride: int = 1,
) -> Any:
    """A convolution 3x3 and its gradients, by the kernel or by windows side by side."""

    def make(lib: Any) -> Steps:
        array = lib.numbers(n, channels, size, size, dtype=dtype)
        weights = lib.numbers(channels, channels, 3, 3, dtype=dtype, scale=0.05)
        lib.dezero.cuda.configure(tf32=tf32)
        backend = lib.dezero.backends.get("cupy")
        x, w = lib.leaf(array), lib.leaf(weights)

        def step() -> Any:
            backend.implicit_convolution = implicit  # other rows have the other way
            x.cleargrad()
            w.cleargrad()
            y = lib.F.conv2d(x, w, stride=stride, pad=1)
            lib.F.sum(y).backward()
            return [y, x.grad, w.grad]

        steps: Steps = {"dezero": step}
        if lib.torch:
            lib.torch.backends.cudnn.allow_tf32 = tf32
            s, t = lib.tensor(array), lib.tensor(weights)

            def peer() -> Any:
                s.grad = t.grad = None
                y = lib.torch.nn.functional.conv2d(s, t, stride=stride, padding=1)
                y.sum().backward()
                return [y, s.grad, t.grad]

            steps["torch"] = peer
        return steps

    return make


def _training(batch: int, width: int) -> Any:
    """A step of a network of three layers with Adam; what is compared is the first loss."""

    def make(lib: Any) -> Steps:
        rng = np.random.default_rng(0)
        sizes = [(width, width), (width, width), (10, width)]
        weights = [(rng.normal(size=s) * s[1] ** -0.5).astype(np.float32) for s in sizes]
        array, labels = lib.numbers(batch, width), np.arange(batch) % 10
        steps = {"dezero": _ours(lib, weights, array, labels)}
        steps["compiled"] = lib.dezero.compile(_ours(lib, weights, array, labels))
        if lib.torch:
            steps["torch"] = _theirs(lib, weights, array, labels, False)
            steps["torch, graph"] = lib.graph(_theirs(lib, weights, array, labels, True))
        return steps

    return make


def _ours(lib: Any, weights: Any, array: Any, labels: Any) -> Callable[[], Any]:
    from dezero import layers, optimizers

    network = layers.Sequential(
        *(layers.Linear(len(w), in_size=w.shape[1]) for w in weights[:1]), lib.F.gelu,
        *(layers.Linear(len(w), in_size=w.shape[1]) for w in weights[1:2]), lib.F.gelu,
        *(layers.Linear(len(w), in_size=w.shape[1]) for w in weights[2:]),
    )  # fmt: skip
    matrices = [p for name, p in network.namedparams() if name.endswith("W")]
    for p, w in zip(matrices, weights, strict=True):
        p.data = np.ascontiguousarray(w.T)
    network.to("cupy")
    optimizer = optimizers.Adam(1e-9).setup(network)
    x, t = lib.leaf(array), lib.cupy.asarray(labels)

    def step() -> Any:
        loss = lib.F.softmax_cross_entropy(network(x), t)
        network.cleargrads()
        loss.backward()
        optimizer.update()
        return loss

    return step


def _theirs(lib: Any, weights: Any, array: Any, labels: Any, graph: bool) -> Callable[[], Any]:
    nn = lib.torch.nn
    parts = [nn.Linear(w.shape[1], len(w)) for w in weights]
    for part, w in zip(parts, weights, strict=True):
        part.weight.data = lib.torch.tensor(w)
        part.bias.data.zero_()
    network = nn.Sequential(parts[0], nn.GELU(), parts[1], nn.GELU(), parts[2]).cuda()
    optimizer = lib.torch.optim.Adam(network.parameters(), 1e-9, capturable=graph)
    x, t = lib.tensor(array, grad=False), lib.tensor(labels, grad=False)

    def step() -> Any:
        loss = nn.functional.cross_entropy(network(x), t)
        optimizer.zero_grad(set_to_none=not graph)
        loss.backward()
        optimizer.step()
        return loss

    return step


def _adam(count: int, size: int) -> Any:
    """The update alone, of many parameters."""

    def make(lib: Any) -> Steps:
        from dezero import layers, optimizers

        holder = layers.Layer()
        arrays = [lib.numbers(size) for _ in range(count)]
        for i, array in enumerate(arrays):
            p = lib.dezero.Parameter(lib.cupy.asarray(array))
            p.grad = lib.leaf(array)
            setattr(holder, f"p{i}", p)
        optimizer = optimizers.Adam(corrected_eps=True).setup(holder)

        def step() -> Any:
            optimizer.update()
            return holder.p0

        steps: Steps = {"dezero": step}
        if lib.torch:
            params = [lib.tensor(array) for array in arrays]
            for p, array in zip(params, arrays, strict=True):
                p.grad = lib.tensor(array, grad=False)
            for name, fused in (("torch", False), ("torch, fused", True)):
                theirs = [p.detach().clone().requires_grad_() for p in params]
                for p, q in zip(theirs, params, strict=True):
                    p.grad = q.grad
                rule = lib.torch.optim.Adam(theirs, 1e-3, fused=fused)

                def peer(rule: Any = rule, first: Any = theirs[0]) -> Any:
                    rule.step()
                    return first

                steps[name] = peer
        return steps

    return make


ROWS = (
    Row("launch of an addition of 8 numbers", _launch),
    Row("gelu and gradient, 16 M float32", _with_gradient("gelu", 1 << 24)),
    Row("gelu and gradient, 16 M float16", _with_gradient("gelu", 1 << 24, dtype="float16"), 5e-3),
    Row("softmax and gradient, 8192 x 1024", _with_gradient("softmax", 8192, 1024, axis=-1)),
    Row("layer norm and gradient, 8192 x 1024", _with_gradient("layer_norm", 8192, 1024), 1e-3),
    Row("cross-entropy and gradient, 8192 x 32000", _cross_entropy(8192, 32000)),
    Row("chain of 24 operations, 1000 float32", _chain(1000)),
    Row("chain of 24 operations, 16 M float32", _chain(1 << 24)),
    Row("product of matrices, 4096, float32", _product(4096, "float32")),
    Row("product of matrices, 4096, TF32", _product(4096, "float32", True), 5e-3),
    Row("product of matrices, 4096, float16", _product(4096, "float16"), 5e-3),
    Row("eight products of matrices, 64, float32", _products(64), 1e-3),
    Row("convolution and gradients, 32 x 64 x 56 x 56", _convolution(32, 64, 56), 1e-3),
    Row("the same by windows", _convolution(32, 64, 56, implicit=False), 1e-3),
    Row("convolution and gradients, TF32", _convolution(32, 64, 56, tf32=True), 1e-2),
    Row("the same by windows, TF32", _convolution(32, 64, 56, tf32=True, implicit=False), 1e-2),
    Row("convolution and gradients, float16", _convolution(32, 64, 56, "float16"), 2e-2),
    Row("the same by windows, float16", _convolution(32, 64, 56, "float16", implicit=False), 2e-2),
    Row("convolution and gradients, stride 2", _convolution(32, 128, 28, stride=2), 1e-3),
    Row("the same by windows, stride 2", _convolution(32, 128, 28, implicit=False, stride=2), 1e-3),
    Row("step of training, batch 32, width 64", _training(32, 64), 1e-3),
    Row("step of training, batch 4096, width 4096", _training(4096, 4096), 1e-3),
    Row("Adam, 64 parameters of 10,000", _adam(64, 10_000)),
    Row("Adam, one parameter of 50 M", _adam(1, 50_000_000)),
)  # fmt: skip
