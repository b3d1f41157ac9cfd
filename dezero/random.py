"""Random numbers: the book's global generator, or numbers keyed by a seed.

Two modes:

- Nothing was seeded: every draw comes from NumPy's global generator, call for call as in the
  book, so that ``np.random.seed(0)`` gives the book's numbers.
- ``dezero.seed(n)`` was called: draw number ``k`` is a function of ``(n, k)`` alone. The state is
  two integers, so a run can be stopped and continued to the bit.

All numbers are drawn on the host: one seed gives the same parameters on every backend.
"""

import operator
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = [
    "generator",
    "get_state",
    "new_stream",
    "normal",
    "permutation",
    "seed",
    "seeded",
    "set_state",
    "uniform",
]

_DRAWS, _SHUFFLES = 0, 1
_LIMIT, _WORD = 2**128, 2**64 - 1


class _State:
    """What the keyed numbers depend on; one for the process, as NumPy's global generator."""

    __slots__ = ("count", "lock", "rng", "seed", "streams")

    def __init__(self) -> None:
        self.seed: int | None = None
        self.count = 0
        self.streams = 0
        self.lock = threading.Lock()
        self.rng: np.random.Generator | None = None


_state = _State()
_recorded: Any = None
"""While a call is compiled: it draws in place of `uniform` and `normal`, and hears of the rest."""


def seed(n: int | None) -> None:
    """Key all randomness of the package by ``n``, and start at draw number 0.

    NumPy's global generator is neither read nor changed from then on; ``seed(None)`` returns to it.

    Args:
        n: An integer from 0 to 2**128 - 1, or None.

    Raises:
        TypeError: ``n`` is not an integer.
        ValueError: ``n`` is out of range.

    Example:
        >>> import dezero.random
        >>> dezero.random.seed(7)
        >>> a = dezero.random.uniform((2,))
        >>> dezero.random.seed(7)
        >>> bool((a == dezero.random.uniform((2,))).all())
        True
        >>> dezero.random.seed(None)
    """
    if _recorded is not None:
        _recorded(None, "seed")
    if n is not None:
        n = _checked(n)
    with _state.lock:
        _state.seed = n
        _state.count = 0
        _state.streams = 0


def seeded() -> bool:
    """Whether a seed is set."""
    return _state.seed is not None


def uniform(shape: tuple[int, ...]) -> np.ndarray:
    """Numbers from [0, 1): float64 of ``shape``, on the host.

    Not seeded, it is ``np.random.rand(*shape)``.

    Example:
        >>> uniform((2, 3)).shape
        (2, 3)
    """
    return _uniform(shape) if _recorded is None else _recorded(_uniform, shape)


def _uniform(shape: tuple[int, ...]) -> np.ndarray:
    with _state.lock:
        rng = _next_draw()
        return np.asarray(np.random.rand(*shape) if rng is None else rng.random(shape))


def normal(shape: tuple[int, ...]) -> np.ndarray:
    """Numbers from the standard normal distribution: float64 of ``shape``, on the host.

    Not seeded, it is ``np.random.randn(*shape)``.

    Example:
        >>> normal((4,)).dtype
        dtype('float64')
    """
    return _normal(shape) if _recorded is None else _recorded(_normal, shape)


def _normal(shape: tuple[int, ...]) -> np.ndarray:
    with _state.lock:
        rng = _next_draw()
        return np.asarray(np.random.randn(*shape) if rng is None else rng.standard_normal(shape))


def permutation(n: int, *, stream: int = 0, epoch: int = 0, key: int | None = None) -> np.ndarray:
    """The integers from 0 to ``n - 1`` in random order, int64.

    Keyed by ``(seed, stream, epoch)`` and by nothing else: it neither depends on what was drawn
    before nor changes what is drawn after. Not seeded, it is ``np.random.permutation(n)``.

    Args:
        n: How many.
        stream: Tells apart those who shuffle under one seed; see `new_stream`.
        epoch: The number of the pass.
        key: A seed to use in place of the one set by `seed`.

    Example:
        >>> permutation(4, key=0, epoch=3).tolist() == permutation(4, key=0, epoch=3).tolist()
        True
    """
    key = _state.seed if key is None else _checked(key)
    if key is None:
        return np.random.permutation(n)
    return generator(key, _SHUFFLES, stream, epoch).permutation(n)


def new_stream() -> int:
    """A number for the next one who shuffles: 0, 1, 2, ... since the last `seed`."""
    with _state.lock:
        _state.streams += 1
        return _state.streams - 1


def generator(key: int | None = None, *index: int) -> "np.random.Generator":
    """A NumPy generator of its own.

    Args:
        key: The seed. Without one, the next draw of the package seeds it: the next number under
            `seed`, else NumPy's global generator.
        *index: Up to three integers below 2**64; every tuple is an independent stream. The package
            itself uses 0, 1, 2 and what is from 2**32 on as the first of them.

    Raises:
        ValueError: More than three integers.

    Example:
        >>> a, b = generator(1, 5), generator(1, 5)
        >>> bool(a.random() == b.random())
        True
    """
    if len(index) > 3:
        msg = f"generator: at most 3 integers after the key, got {len(index)}"
        raise ValueError(msg)
    rng = np.random.Generator(np.random.Philox(0))
    if key is not None:
        return _placed(rng, _checked(key), index)
    with _state.lock:
        if _state.seed is None:
            words = np.random.randint(2**32, size=4, dtype=np.uint64).tolist()
            return _placed(rng, words[0] << 32 | words[1], words[2:])
        _state.count += 1
        return _placed(rng, _state.seed, (_DRAWS, _state.count - 1))


def get_state() -> dict[str, Any]:
    """The state of the package's randomness, of plain integers and lists: it fits into JSON.

    Not seeded, it holds the state of NumPy's global generator.

    Example:
        >>> state = get_state()
        >>> a = uniform((3,))
        >>> set_state(state)
        >>> bool((a == uniform((3,))).all())
        True
    """
    with _state.lock:
        state: dict[str, Any] = {
            "seed": _state.seed,
            "count": _state.count,
            "streams": _state.streams,
        }
    if state["seed"] is None:
        name, keys, position, has_gauss, gauss = np.random.get_state()
        state["numpy"] = [name, np.asarray(keys).tolist(), position, has_gauss, gauss]
    return state


def set_state(state: dict[str, Any]) -> None:
    """Return to a state that `get_state` gave.

    Raises:
        ValueError: ``state`` lacks an entry.
    """
    if _recorded is not None:
        _recorded(None, "set_state")
    missing = {"seed", "count", "streams"} - state.keys()
    if missing:
        msg = f"random.set_state: no {', '.join(sorted(missing))} in the state"
        raise ValueError(msg)
    if state["seed"] is None and "numpy" in state:
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, np.asarray(keys, np.uint32), *rest))
    with _state.lock:
        _state.seed = state["seed"]
        _state.count = state["count"]
        _state.streams = state["streams"]


def _next_draw() -> "np.random.Generator | None":
    """A generator for the next keyed draw, or None where nothing was seeded; under the lock."""
    if _state.seed is None:
        return None
    if _state.rng is None:
        _state.rng = np.random.Generator(np.random.Philox(0))
    _state.count += 1
    return _placed(_state.rng, _state.seed, (_DRAWS, _state.count - 1))


def _placed(rng: "np.random.Generator", key: int, index: Sequence[int]) -> "np.random.Generator":
    """``rng``, set to the beginning of the stream ``index`` under ``key``.

    Philox counts its draws in the lowest word of its counter, so the other three are free. To set
    a state takes 2 µs, to make a generator 20.
    """
    rng.bit_generator.state = {
        "bit_generator": "Philox",
        "state": {
            "counter": np.array([0, *index, 0, 0, 0][:4], np.uint64),
            "key": np.array([key & _WORD, key >> 64], np.uint64),
        },
        "buffer": np.zeros(4, np.uint64),
        "buffer_pos": 4,
        "has_uint32": 0,
        "uinteger": 0,
    }
    return rng


def _checked(n: int) -> int:
    try:
        n = operator.index(n)
    except TypeError:
        msg = f"seed: an integer is expected, got {n!r} of type {type(n).__name__}"
        raise TypeError(msg) from None
    if not 0 <= n < _LIMIT:
        msg = f"seed: an integer from 0 to 2**128 - 1 is expected, got {n}"
        raise ValueError(msg)
    return n
