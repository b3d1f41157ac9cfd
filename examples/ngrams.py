"""The n-gram models that characters.py compares with: counts of what follows the last characters.

The probabilities of a longer context are mixed with those of the one shorter by a character, down
to none, in two ways: after Witten and Bell (1991), and the modified one of Kneser and Ney by Chen
and Goodman (1998), https://doi.org/10.1006/csla.1999.0128.
"""

import numpy as np

LONGEST = 8  # characters of context; with the next one 9 of 7 bits each, in an int64


def best(train: np.ndarray, valid: np.ndarray, size: int) -> tuple[float, str]:
    """The fewest bits per character of ``valid`` by any of the models, and which one it is."""
    found = {}
    for name, model in ("Witten-Bell", witten_bell), ("Kneser-Ney", kneser_ney):
        bits = model(train, valid, size)
        found |= {f"{name}, {n} characters of context": b for n, b in enumerate(bits)}
    name = min(found, key=found.__getitem__)
    return found[name], name


def witten_bell(train: np.ndarray, valid: np.ndarray, size: int) -> list[float]:
    """Bits per character for contexts of 0, 1, ... characters."""
    p = np.full(len(valid), 1 / size)
    bits = []
    for n in range(LONGEST + 1):
        grams, counts = np.unique(keys(train, n), return_counts=True)
        starts, seen, kinds = contexts(grams, counts)
        asked = keys(valid, n)
        count = look_up(grams, counts, asked)
        total = look_up(starts, seen, asked >> 7)
        kind = look_up(starts, kinds, asked >> 7)
        mixed = (count + kind * p[n:]) / np.maximum(total + kind, 1)
        p[n:] = np.where(total > 0, mixed, p[n:])
        bits.append(entropy(p))
    return bits


def kneser_ney(train: np.ndarray, valid: np.ndarray, size: int) -> list[float]:
    """Bits per character for contexts of 0, 1, ... characters."""
    lower = np.full(len(valid), 1 / size)
    bits = []
    for n in range(LONGEST + 1):
        # The longest context counts how often, a shorter one after how many different characters.
        times = discounted(*np.unique(keys(train, n), return_counts=True), valid, n, lower)
        bits.append(entropy(times))
        longer = np.unique(keys(train, n + 1)) & ((1 << 7 * (n + 1)) - 1)
        lower = discounted(*np.unique(longer, return_counts=True), valid, n, lower)
    return bits


def discounted(grams, counts, valid, n, lower):
    """Probabilities after ``n`` characters: less than the counts, the rest by ``lower``."""
    ones, twos, threes, fours = (max((counts == i).sum(), 1) for i in (1, 2, 3, 4))
    share = ones / (ones + 2 * twos)
    steps = 1 - 2 * share * twos / ones, 2 - 3 * share * threes / twos
    steps = np.array([0, *steps, 3 - 4 * share * fours / threes]).clip(0)
    less = steps[np.minimum(counts, 3)]
    starts, seen, _ = contexts(grams, counts)
    _, rest, _ = contexts(grams, less)
    asked = keys(valid, n)
    total = look_up(starts, seen, asked >> 7)
    mixed = look_up(grams, counts - less, asked) + look_up(starts, rest, asked >> 7) * lower[n:]
    p = lower.copy()
    p[n:] = np.where(total > 0, mixed / np.maximum(total, 1), lower[n:])
    return p


def keys(ids: np.ndarray, n: int) -> np.ndarray:
    """Each character together with the ``n`` before it as one number, from place ``n`` on."""
    found = np.zeros(len(ids) - n, np.int64)
    for i in range(n + 1):
        found = found << 7 | ids[i : len(ids) - n + i]
    return found


def contexts(grams, counts):
    """What stands before the last characters: each, the sum of its counts, how many there are."""
    starts, first = np.unique(grams >> 7, return_index=True)
    return starts, np.add.reduceat(counts, first), np.diff(first, append=len(grams))


def look_up(names, values, asked):
    """The values of the names that are asked for, 0 for others."""
    places = np.minimum(np.searchsorted(names, asked), len(names) - 1)
    return np.where(names[places] == asked, values[places], 0)


def entropy(p: np.ndarray) -> float:
    """The mean number of bits."""
    return float(-np.log2(p).mean())
