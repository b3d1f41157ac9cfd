"""Mathematics over arrays and Variables, by chapter of the Array API standard and then by use."""

from . import fft as fft
from . import linalg as linalg
from . import special as special
from .activation import *
from .creation import *
from .elementwise import *
from .indexing import *
from .linear_algebra import *
from .loss import *
from .manipulation import *
from .random import *
from .set import *
from .sorting import *
from .statistical import *
from .utility import *

sub, mul, neg, div = subtract, multiply, negative, divide  # noqa: F405
