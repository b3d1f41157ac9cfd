"""Cases of ``dezero.functions.linalg``."""

from __future__ import annotations
