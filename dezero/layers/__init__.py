"""Layers: functions with parameters. The book's ``L``."""

from . import initializers as initializers
from .activation import *
from .attention import *
from .containers import *
from .convolution import *
from .dropout import *
from .embedding import *
from .layer import *
from .linear import *
from .normalization import *
from .pooling import *
from .recurrent import *
from .summary import *
