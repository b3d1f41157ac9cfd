"""Optimizers, which update the parameters of a layer, and hooks that change the gradients first."""

from .hooks import ClipGrad as ClipGrad
from .hooks import FreezeParam as FreezeParam
from .hooks import WeightDecay as WeightDecay
from .optimizer import Optimizer as Optimizer
from .rules import SGD as SGD
from .rules import Adam as Adam
from .rules import AdamW as AdamW
from .rules import MomentumSGD as MomentumSGD

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "ClipGrad",
    "FreezeParam",
    "MomentumSGD",
    "Optimizer",
    "WeightDecay",
]
