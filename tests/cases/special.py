"""Cases of ``dezero.functions.special``."""

from __future__ import annotations
