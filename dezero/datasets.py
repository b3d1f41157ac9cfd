"""The book's module of data sets; they live in `dezero.data`."""

from .data.datasets import Dataset, Digits, SinCurve, Spiral, get_spiral
from .data.pictures import (
    CIFAR10,
    CIFAR100,
    MNIST,
    FashionMNIST,
    ImageNet,
    load_cache_npz,
    save_cache_npz,
)
from .data.text import Shakespear, Shakespeare, TextCorpus, Vocabulary

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "Dataset",
    "Digits",
    "FashionMNIST",
    "ImageNet",
    "MNIST",
    "Shakespear",
    "Shakespeare",
    "SinCurve",
    "Spiral",
    "TextCorpus",
    "Vocabulary",
    "get_spiral",
    "load_cache_npz",
    "save_cache_npz",
]
