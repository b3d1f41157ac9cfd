"""Cases of ``dezero.functions.fft``."""

from __future__ import annotations

from typing import Any

import numpy as np

import dezero.functions as F

from .case import case, plane, real


def _add(name: str, label: str, operand: Any, words: dict[str, Any], **facts: Any) -> None:
    numpys, ours = getattr(np.fft, name), getattr(F.fft, name)
    case(
        f"fft.{name}",
        label,
        (operand,),
        lambda x: numpys(x, **words),
        lambda x: ours(x, **words),
        **facts,
    )


_ONE: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "even": ((6,), {}),
    "odd": ((5,), {}),
    "axis": ((5, 2), {"axis": 0}),
    "middle": ((2, 4, 3), {"axis": -2}),
    "shorter-even": ((2, 7), {"n": 4}),
    "shorter-odd": ((2, 6), {"n": 3}),
    "longer-even": ((2, 3), {"n": 8}),
    "longer-odd": ((3, 2), {"n": 7, "axis": 0}),
    "one-point": ((2, 3), {"n": 1}),
    "two-points": ((3,), {"n": 2}),
    "ortho": ((2, 5), {"norm": "ortho"}),
    "forward": ((2, 4), {"norm": "forward"}),
    "forward-longer": ((4,), {"norm": "forward", "n": 7}),
}
_SEVERAL: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "all": ((3, 4), {}),
    "three": ((2, 3, 4), {}),
    "axes": ((2, 3, 4), {"axes": (0, 2)}),
    "turned": ((3, 4), {"axes": (-1, 0)}),
    "sizes": ((3, 4, 2), {"s": (4, 3), "axes": (0, 1)}),
    "whole": ((3, 4), {"s": (2, -1), "axes": (1, 0)}),
    "ortho": ((3, 4), {"norm": "ortho"}),
    "forward": ((3, 3), {"norm": "forward", "s": (4, 5), "axes": (0, 1)}),
    "one": ((2, 5), {"axes": (1,)}),
}

for _name in ["fft", "ifft", "hfft", "irfft"]:
    for _label, (_shape, _words) in _ONE.items():
        _cover = ("fft._irfft",) if _name == "irfft" else ("fft._dft",)
        _add(_name, _label, plane(*_shape), _words, covers=_cover)
for _name in ["rfft", "ihfft"]:
    for _label, (_shape, _words) in _ONE.items():
        _add(_name, _label, real(*_shape), _words, covers=("fft._rfft",), single=False)
for _label, (_shape, _words) in _SEVERAL.items():
    for _name in ["fftn", "ifftn", "irfftn"]:
        if (_name, _label) != ("irfftn", "whole"):
            _add(_name, _label, plane(*_shape), _words)
    _add("rfftn", _label, real(*_shape), _words, single=False)
case(
    "fft.irfftn",
    "whole",  # NumPy would cut the last dimension to half of it
    (plane(3, 4),),
    lambda x: np.fft.irfftn(x, s=(2, 4), axes=(1, 0)),
    lambda x: F.fft.irfftn(x, s=(2, -1), axes=(1, 0)),
)
for _name in ["fft", "ifft", "fftn"]:
    _add(_name, "real", real(2, 4), {}, single=False)
_add("irfft", "real", real(2, 4), {})
_add("hfft", "real", real(4), {"n": 5})
_add("fftn", "nothing", plane(3), {"axes": ()})

for _name in ["fftshift", "ifftshift"]:
    _add(_name, "all", real(4, 5), {})
    _add(_name, "axis", real(3, 4), {"axes": 0})
    _add(_name, "axes", real(3, 4, 5), {"axes": (0, -1)})
    _add(_name, "complex", plane(5), {})
    case(f"fft.{_name}", "nothing", (real(),), lambda x: x)
