"""Examples to learn from: data sets, loaders, and changes to examples on the way."""

from . import transforms as transforms
from .collation import collate as collate
from .datasets import Dataset as Dataset
from .datasets import Digits as Digits
from .datasets import SinCurve as SinCurve
from .datasets import Spiral as Spiral
from .datasets import get_spiral as get_spiral
from .draws import example_generator as example_generator
from .loaders import DataLoader as DataLoader
from .loaders import SeqDataLoader as SeqDataLoader
from .pictures import CIFAR10 as CIFAR10
from .pictures import CIFAR100 as CIFAR100
from .pictures import MNIST as MNIST
from .pictures import FashionMNIST as FashionMNIST
from .pictures import ImageNet as ImageNet
from .text import Shakespeare as Shakespeare
from .text import TextCorpus as TextCorpus
from .text import Vocabulary as Vocabulary
from .transforms import RandomAffine as RandomAffine

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "DataLoader",
    "Dataset",
    "Digits",
    "FashionMNIST",
    "ImageNet",
    "RandomAffine",
    "SeqDataLoader",
    "Shakespeare",
    "SinCurve",
    "Spiral",
    "TextCorpus",
    "Vocabulary",
    "collate",
    "example_generator",
    "get_spiral",
    "transforms",
]
