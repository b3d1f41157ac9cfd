"""Cases of ``dezero.functions.fft``."""

from __future__ import annotations
