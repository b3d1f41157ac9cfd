"""Special functions by the names of ``scipy.special``, with derivatives in closed form."""

__all__: list[str] = []
