"""Examples to learn from: data sets, loaders, and changes to examples on the way."""

from .datasets import Dataset as Dataset
from .datasets import Digits as Digits
from .loaders import DataLoader as DataLoader
from .transforms import RandomAffine as RandomAffine

__all__ = ["DataLoader", "Dataset", "Digits", "RandomAffine"]
