"""Functions of scipy.fft."""

from __future__ import annotations

from scipy import fft

from .measure import Chapter, names, normal, uniform

entry = Chapter("scipy.fft")


def transform(name, *shape, **options):
    """A transform of a complex array."""
    function = getattr(fft, name)
    entry(name, lambda xp, a, b: function(a + 1j * b, **options), normal(*shape), normal(*shape))


def of_real(name, *shape, **options):
    """A transform of a real array."""
    function = getattr(fft, name)
    entry(name, lambda xp, x: function(x, **options), normal(*shape))


transform("fft", 7, n=9)
transform("ifft", 7, norm="ortho")
transform("fft2", 3, 4)
transform("ifft2", 3, 4)
transform("fftn", 2, 3, 4)
transform("ifftn", 2, 3, 4, axes=(0, 2))
of_real("rfft", 7)
transform("irfft", 5)
of_real("rfft2", 4, 5)
transform("irfft2", 4, 4)
of_real("rfftn", 2, 3, 4)
transform("irfftn", 2, 3, 4)
transform("hfft", 5)
of_real("ihfft", 7)
transform("hfft2", 4, 4)
of_real("ihfft2", 4, 5)
transform("hfftn", 2, 3, 4)
of_real("ihfftn", 2, 3, 4)
transform("fftshift", 7)
transform("ifftshift", 7)
for name in names("dct idct dst idst"):
    of_real(name, 7)
for name in names("dctn idctn dstn idstn"):
    of_real(name, 3, 4)
of_real("fht", 8, dln=0.1, mu=0.5, offset=0.05)
of_real("ifht", 8, dln=0.1, mu=0.5, offset=0.05)
entry("fftfreq", lambda xp, d: fft.fftfreq(5, d, xp=xp), uniform(0.5, 1.0), arguments="d")
entry("rfftfreq", lambda xp, d: fft.rfftfreq(5, d, xp=xp), uniform(0.5, 1.0), arguments="d")
