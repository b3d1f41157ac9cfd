"""DataLoader: passes, orders, places."""

import numpy as np
import pytest

import dezero.random
from dezero.data import DataLoader, Dataset


class Numbers(Dataset):
    def prepare(self):
        self.data = np.arange(10)
        self.label = self.data**2


PAIRS = [(i, i * i) for i in range(10)]


@pytest.fixture(autouse=True)
def unseeded():
    dezero.random.seed(None)
    yield
    dezero.random.seed(None)


def passes(loader, n=1):
    return [np.concatenate([x for x, _ in loader]).tolist() for _ in range(n)]


@pytest.mark.parametrize("dataset", [Numbers(), PAIRS], ids=["Dataset", "list"])
def test_batches(dataset):
    loader = DataLoader(dataset, 4, shuffle=False)
    assert (loader.data_size, loader.max_iter, len(loader), loader.iteration) == (10, 3, 3, 0)
    for _ in range(2):
        batches = list(loader)
        assert [len(x) for x, _ in batches] == [4, 4, 2]
        np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), range(10))
        np.testing.assert_array_equal(np.concatenate([t for _, t in batches]), np.arange(10) ** 2)


def test_the_books_draws():
    np.random.seed(1)
    loader = DataLoader(Numbers(), 3)
    got = passes(loader, 3)
    np.random.seed(1)
    assert got == [np.random.permutation(10).tolist() for _ in range(3)]


def test_the_books_iterator_protocol():
    loader = DataLoader(Numbers(), 4, shuffle=False)
    assert next(loader)[0].tolist() == [0, 1, 2, 3]
    assert loader.next()[0].tolist() == [4, 5, 6, 7]
    assert loader.iteration == 2
    assert next(loader)[0].tolist() == [8, 9]
    with pytest.raises(StopIteration):
        next(loader)
    assert next(loader)[0].tolist() == [0, 1, 2, 3]


def test_leaving_early_begins_anew():
    loader = DataLoader(Numbers(), 3)
    for _ in loader:
        break
    assert loader.iteration == 1
    assert sorted(passes(loader)[0]) == list(range(10))
    next(loader)
    assert sorted(passes(loader)[0]) == list(range(10))


def test_nested_and_parallel_loops_are_whole_passes():
    loader = DataLoader(Numbers(), 5)
    seen = [(x.tolist(), y.tolist()) for x, _ in loader for y, _ in loader]
    assert len(seen) == 4
    assert sorted(seen[0][1] + seen[1][1]) == list(range(10))
    assert sorted(seen[0][0] + seen[2][0]) == list(range(10))
    both = list(zip(loader, loader, strict=True))
    assert len(both) == 2


def test_seeded_order_is_a_function_of_seed_and_pass():
    dezero.random.seed(5)
    loader = DataLoader(Numbers(), 3)
    want = passes(loader, 3)
    dezero.random.seed(5)
    loader = DataLoader(Numbers(), 7)  # whatever else is drawn or set
    first = passes(loader)
    dezero.random.uniform((3,))
    assert first + passes(loader, 2) == want
    assert want[0] != want[1] != want[2]
    assert passes(DataLoader(Numbers(), 3)) != want[:1]  # another loader, another stream


def test_a_seed_of_its_own():
    a, b = (passes(DataLoader(Numbers(), 3, seed=8), 2) for _ in range(2))
    c = passes(DataLoader(Numbers(), 3, seed=9), 2)
    assert a == b != c


@pytest.mark.parametrize("seed", [None, 3])
def test_state_under_a_seed(seed):
    dezero.random.seed(2)
    loader = DataLoader(Numbers(), 3, seed=seed)
    passes(loader, 2)
    state = loader.state_dict()
    want = passes(loader, 2)
    dezero.random.seed(2)
    DataLoader(Numbers(), 3)
    other = DataLoader(Numbers(), 3, seed=seed)
    other.load_state_dict(state)
    assert passes(other, 2) == want


def test_state_without_a_seed():
    loader = DataLoader(Numbers(), 3)
    other = DataLoader(Numbers(), 3)
    other.load_state_dict(loader.state_dict())
    assert passes(loader) == passes(other)


def test_without_labels_and_with_users_items():
    class Squares(Dataset):  # overrides what one item is: asked one by one
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return np.array([i, i * i]), None

    ((x, t),) = DataLoader(Squares(), 5, shuffle=False)
    np.testing.assert_array_equal(x, [[0, 0], [1, 1], [2, 4]])
    assert t is None


def test_empty():
    loader = DataLoader([], 2)
    assert loader.max_iter == 0
    assert list(loader) == list(loader) == []
    with pytest.raises(StopIteration):
        next(loader)


def test_other_libraries(lane):
    loader = DataLoader(Numbers(), 4, shuffle=False).to(lane.xp.name, lane.device)
    x, t = next(loader)
    for array, want in (x, [0, 1, 2, 3]), (t, [0, 1, 4, 9]):
        assert lane.xp.device(array) == lane.xp.device(lane.array(np.zeros(1)))
        np.testing.assert_array_equal(lane.numpy(array), want)
    loader.to_cpu()
    assert isinstance(next(loader)[0], np.ndarray)


@pytest.mark.parametrize(
    ("size", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError)]
)
def test_bad_batch_size(size, error):
    with pytest.raises(error, match="batch_size is"):
        DataLoader(PAIRS, size)
