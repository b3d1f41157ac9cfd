"""Discrete Fourier transforms; the standard's namespace ``fft``."""

__all__: list[str] = []
