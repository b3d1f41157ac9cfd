"""RandomAffine: each change alone, by hand."""

import numpy as np
import pytest

import dezero.random
from dezero.data import RandomAffine

NONE = {"angle": 0.0, "stretch": 0.0, "slant": 0.0, "shift": 0.0}


@pytest.fixture(autouse=True)
def seeded():
    dezero.random.seed(0)
    yield
    dezero.random.seed(None)


@pytest.fixture
def images():
    return np.random.default_rng(0).random((20, 48), dtype=np.float32)


def test_no_change(images):
    np.testing.assert_array_equal(RandomAffine((6, 8), **NONE)(images), images)


def test_shifts_move_the_middle_and_lose_nothing():
    warp = RandomAffine((6, 8), **NONE | {"shift": 2.0}, count=64)
    picture = np.zeros((1, 48), np.float32)
    picture[0, 2 * 8 + 3] = 1
    out = np.concatenate([warp(picture) for _ in range(200)]).reshape(-1, 6, 8)
    y, x = np.mgrid[:6, :8]
    np.testing.assert_allclose(out.sum((1, 2)), 1, rtol=1e-5)
    middle = np.array([(out * y).sum((1, 2)) - 2, (out * x).sum((1, 2)) - 3])
    assert np.abs(middle).max() <= 2 + 1e-5
    assert (middle.max(axis=1) > 1.2).all()
    assert (middle.min(axis=1) < -1.2).all()


def test_a_quarter_turn_by_hand(monkeypatch):
    class Fixed:
        def uniform(self, low, high, size):
            return np.full(size, high)

        def integers(self, n, size):
            return np.zeros(size, int)

    monkeypatch.setattr(dezero.random, "generator", Fixed)
    warp = RandomAffine((5, 5), **NONE | {"angle": 90.0}, count=1)
    image = np.random.default_rng(0).random((1, 25), dtype=np.float32)
    got = warp(image).reshape(5, 5)
    square = image.reshape(5, 5)
    assert any(np.allclose(got, np.rot90(square, k), atol=1e-6) for k in (1, 3))
    # Twice the size from the middle: the sources lie at twice the distance.
    warp = RandomAffine((5, 5), **NONE | {"stretch": np.log(2)}, count=1)
    want = np.zeros((5, 5), np.float32)
    want[1:4, 1:4] = square[::2, ::2]
    np.testing.assert_allclose(warp(image).reshape(5, 5), want, atol=1e-6)


def test_every_picture_has_its_own_change_and_a_seed_repeats_it():
    same = np.tile(np.random.default_rng(1).random((1, 64), dtype=np.float32), (50, 1))
    first = RandomAffine((8, 8))(same)
    assert first.dtype == np.float32
    assert len({row.tobytes() for row in first}) > 30
    assert 0.02 < np.abs(first - same).mean() < 0.3
    dezero.random.seed(0)
    np.testing.assert_array_equal(first, RandomAffine((8, 8))(same))


def test_wrong_shape():
    with pytest.raises(ValueError, match=r"\(2, 63\), \(N, 64\)"):
        RandomAffine((8, 8))(np.zeros((2, 63), np.float32))
