"""Datasets: the book's protocol, and the digits."""

import hashlib
import subprocess
import sys
from importlib import resources

import numpy as np
import pytest

import dezero.random
from dezero.data import Dataset, Digits, SinCurve, Spiral, get_spiral
from dezero.data.transforms import Compose, Flatten, Normalize, ToFloat


class Numbers(Dataset):
    def prepare(self):
        self.data = np.arange(10 if self.train else 4)
        self.label = self.data**2


def test_items_and_iteration():
    data = Numbers()
    assert len(data) == 10
    assert data[3] == (3, 9)
    assert data[np.int64(-1)] == (9, 81)
    assert [t for _, t in data] == [i * i for i in range(10)]  # IndexError ends it
    assert len(Numbers(train=False)) == 4


def test_transforms_see_one_item():
    data = Numbers(transform=lambda x: [int(x), 1], target_transform=lambda t: -t)
    assert data[2] == ([2, 1], -4)
    x, t = data[2:4]
    np.testing.assert_array_equal(x, [[2, 1], [3, 1]])
    np.testing.assert_array_equal(t, [-4, -9])


@pytest.mark.parametrize(
    ("index", "want"),
    [
        (slice(None, 3), [0, 1, 2]),
        (slice(None, None, -4), [9, 5, 1]),
        (slice(5, 5), []),
        ([1, 1, -1], [1, 1, 9]),
        (np.array([2, 0]), [2, 0]),
        (np.arange(10) > 7, [8, 9]),
        ([], []),
    ],
)
def test_several_items(index, want):
    x, t = Numbers()[index]
    np.testing.assert_array_equal(x, want)
    np.testing.assert_array_equal(t, np.array(want) ** 2)


def test_without_labels():
    class Unlabelled(Numbers):
        def prepare(self):
            self.data = [1.0, 2.0]

    assert Unlabelled()[1] == (2.0, None)
    x, t = Unlabelled()[:]
    np.testing.assert_array_equal(x, [1, 2])
    assert t is None


@pytest.mark.parametrize(
    ("index", "error", "match"),
    [
        (10, IndexError, "index 10 is out of range for 10"),
        (-11, IndexError, "-11"),
        ([0, 10], IndexError, "from 0 to 10"),
        ([True, False], IndexError, "10 booleans"),
        ([0.5], IndexError, "integers"),
        (1.0, TypeError, "index 1.0"),
        (True, TypeError, "index True"),
        ("a", TypeError, "'a'"),
    ],
)
def test_bad_index(index, error, match):
    with pytest.raises(error, match=match):
        Numbers()[index]


def test_no_data():
    with pytest.raises(TypeError, match="no data"):
        len(Dataset())


def test_several_at_once_are_each_one_alone():
    class Pictures(Dataset):
        def prepare(self):
            self.data = np.random.default_rng(0).integers(0, 256, (6, 3, 2, 2)).astype(np.uint8)
            self.label = np.arange(6)

    for transform in (
        Compose([ToFloat(), Normalize([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]), Flatten()]),
        Compose([Flatten(), ToFloat(), Normalize(0.0, 255.0)]),
        Compose([ToFloat(), lambda x: x * 2]),  # one of them is for single examples
        Compose(),
        None,
    ):
        data = Pictures(transform=transform, target_transform=ToFloat())
        x, t = data[[4, -6, 1]]
        want = [data[4], data[0], data[1]]
        np.testing.assert_array_equal(x, [x for x, _ in want])
        np.testing.assert_array_equal(t, [t for _, t in want])
        assert x.dtype == want[0][0].dtype
        x[:] = 0
        assert data.data.any()


def test_labels_and_examples_are_as_many():
    class Short(Numbers):
        def prepare(self):
            super().prepare()
            self.label = self.label[:-1]

    with pytest.raises(ValueError, match="Short: 10 examples with 9 labels"):
        Short()


def test_errors_of_transforms_name_the_example():
    data = Numbers(transform=lambda x: 1 / (x - 3).item())
    with pytest.raises(ZeroDivisionError) as caught:
        data[1:5]
    assert caught.value.__notes__ == ["Numbers: this was example 3"]
    ragged = Numbers(transform=lambda x: np.ones(x))
    with pytest.raises(ValueError, match=r"\(part \[0\]\) differ in shape: \(2,\)"):
        ragged[2:4]


# The book's small ones


# What the book's own package gives: SHA-256 of both parts, and the generator's next number.
SPIRAL = (
    "860068db574bb8fc46c2340d84c6071be4fde5bea0021389b2c86f1c05e2d379",
    "36b2f5e8ca7a1db27f9bfff228f65d05f7281227ed975883893663af537d56bc",
    0.8646111339647672,
)


def test_the_spirals_numbers():
    x, t = get_spiral(train=True)
    assert (x.dtype, t.dtype, x.shape) == (np.float32, np.int64, (300, 2))
    assert hashlib.sha256(x.tobytes() + t.tobytes()).hexdigest() == SPIRAL[0]
    after = np.random.rand()
    x, t = get_spiral(train=False)
    assert hashlib.sha256(x.tobytes() + t.tobytes()).hexdigest() == SPIRAL[1]
    # The generator is seeded, and stays where the book leaves it.
    np.random.seed(0)
    data = Spiral()
    assert after == SPIRAL[2]
    assert np.random.rand() == SPIRAL[2]
    np.testing.assert_array_equal(data.data, get_spiral()[0])
    np.testing.assert_array_equal(data.label, get_spiral()[1])


def test_sin_curve():
    np.random.seed(5)
    curve = SinCurve()
    np.random.seed(5)
    want = np.sin(np.linspace(0, 2 * np.pi, 1000)) + np.random.uniform(-0.05, 0.05, 1000)
    np.testing.assert_array_equal(curve.data[:, 0], want[:-1])
    np.testing.assert_array_equal(curve.label[:, 0], want[1:])
    np.random.seed(5)
    test = SinCurve(train=False)
    after = np.random.rand()
    np.random.seed(5)
    np.random.rand(1000)
    assert after == np.random.rand()
    np.testing.assert_array_equal(test.data[:, 0], np.cos(np.linspace(0, 2 * np.pi, 1000))[:-1])
    dezero.random.seed(1)
    first = SinCurve().data
    dezero.random.seed(1)
    np.testing.assert_array_equal(SinCurve().data, first)
    dezero.random.seed(None)


# Digits


def test_the_file_is_the_one_described():
    with (resources.files("dezero.data") / "digits.npz").open("rb") as file, np.load(file) as a:
        images, labels = a["images"], a["labels"]
    assert (images.dtype, images.shape, labels.dtype) == (np.uint8, (1797, 8, 8), np.uint8)
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert digest == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
    assert digest in (resources.files("dezero.data") / "README.md").read_text()
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (images.min(), images.max()) == (0, 16)


def test_the_usual_parts():
    train, test = Digits(), Digits(train=False)
    assert (len(train), len(test)) == (1437, 360)
    assert train.data.dtype == np.float32
    assert train.label.dtype == np.int64
    assert (train.data.min(), train.data.max()) == (0, 1)
    # The first digits of the file, and the last.
    assert train.label[:10].tolist() == list(range(10))
    assert test.label[-3:].tolist() == [8, 9, 8]
    np.testing.assert_array_equal(train.data[5] * 16, train.images()[5].ravel())


def test_random_parts_are_a_function_of_the_seed():
    np.random.seed(0)
    train, test = Digits.split(seed=3)
    again, _ = Digits.split(seed=3)
    other, _ = Digits.split(seed=4)
    assert sorted([*train.index, *test.index]) == list(range(1797))
    np.testing.assert_array_equal(train.data, again.data)
    assert not np.array_equal(train.index, other.index)
    np.testing.assert_array_equal(test.images().reshape(-1, 64) / np.float32(16), test.data)
    assert np.random.rand() == np.random.RandomState(0).rand()


def test_nobody_can_change_the_kept_images():
    Digits().images()[:] = 0
    Digits().data[:] = 0
    assert Digits().images().any()
    assert Digits().data.any()


def test_loads_in_milliseconds():
    script = (
        "import numpy, time, dezero.data as d; d.DataLoader; t = time.perf_counter(); "
        "d.Digits(); print(time.perf_counter() - t)"
    )
    best = min(
        float(
            subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
        )
        for _ in range(3)
    )
    assert best < 0.05  # seconds; measured 0.003
