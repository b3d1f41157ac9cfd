"""Memory of a step and of a graph, and the time of an import."""

import numpy as np

from .base import Gradient, Program, Target, Workload
from .networks import WORKLOADS as NETWORKS
from .operations import SCALE, SHIFT, START


class Graph(Gradient):
    """30,000 adds, multiplies and sines; ``seen`` gets every result."""

    operations = 30_000
    jax = "forward and backward are one program"

    def __init__(self):
        self.leaves = [START, SHIFT, SCALE]

    def chain(self, sin, seen):
        def forward(x, shift, scale):
            for _ in range(self.operations // 3):
                a = x + shift
                b = a * scale
                x = sin(b)
                if seen is not None:
                    seen(a)
                    seen(b)
                    seen(x)
            return x

        return forward

    def numpy(self, seen=None):
        def forward(x, shift, scale):
            kept = []
            for _ in range(self.operations // 3):
                a = x + shift
                b = a * scale
                x = np.sin(b)
                kept.append((a, b))
                if seen is not None:
                    seen(a)
                    seen(b)
                    seen(x)
            return x, kept

        return forward

    def dezero(self, seen=None):
        import dezero.functions as F

        return self.chain(F.sin, seen)

    book = dezero

    def torch(self, seen=None):
        import torch

        return self.chain(torch.sin, seen)

    def autograd(self, seen=None):
        import autograd.numpy as anp

        return self.chain(anp.sin, seen)

    def mygrad(self, seen=None):
        import mygrad

        return self.chain(mygrad.sin, seen)


PEAK = Target("torch", 1.0, figure="peak"), Target("book", 0.5, figure="peak")
OTHER_PEAKS = {
    "deep": (Target("torch", 1.05, figure="peak"),),  # all keep the same results, little else
    "deep-checkpoints": (
        PEAK[0],
        Target("dezero", 0.4, figure="peak", workload="memory-deep"),
    ),
}

WORKLOADS = [
    Workload(
        "graph-bytes",
        "a recorded operation on 8 numbers",
        Graph,
        (Target(None, 280.0, figure="beyond its arrays"),),
        figures=("beyond its arrays", "all that the process occupies"),
        unit="bytes",
        kind="graph",
    ),
    *(
        Workload(
            f"memory-{workload.name}",
            workload.what,
            workload.make,
            OTHER_PEAKS.get(workload.name, PEAK),
            figures=("peak", "kept by forward"),
            unit="MiB",
            kind="memory",
        )
        for workload in NETWORKS
        if workload.name
        in (
            "mlp-sgd", "mlp-adam", "tanh-chain", "gelu", "layer-norm-wide", "cross-entropy-10",
            "cross-entropy-1000", "vgg", "conv", "lenet", "max-pool", "batch-norm", "lstm",
            "transformer", "deep", "deep-checkpoints",
        )
    ),
    Workload("import", "import", Program, (Target("numpy", 1.2),), kind="importing"),
]  # fmt: skip
