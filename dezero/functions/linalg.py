"""Matrices: factors, solutions, spectra, norms; the standard's namespace ``linalg``."""

__all__: list[str] = []
