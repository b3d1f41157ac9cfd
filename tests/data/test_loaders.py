"""DataLoader and SeqDataLoader: passes, orders, places, states."""

import collections
import contextlib
import json
import types

import numpy as np
import pytest

import dezero.random
from dezero import dataloaders
from dezero.data import DataLoader, Dataset, SeqDataLoader, collate
from dezero.data import loaders as loaders_module


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


# Going on within a pass


@pytest.mark.parametrize("seeded", ["dezero", "own", "not", "unshuffled"])
@pytest.mark.parametrize("given", [0, 1, 2, 4])
def test_going_on_within_a_pass(seeded, given):
    def made():
        if seeded == "dezero":
            dezero.random.seed(6)
        own = 7 if seeded == "own" else None
        return DataLoader(Numbers(), 3, shuffle=seeded != "unshuffled", seed=own)

    loader = made()
    passes(loader)
    batches = iter(loader)
    for _ in range(given):
        next(batches)
    state = json.loads(json.dumps(loader.state_dict()))
    assert state["iteration"] == given
    want = [x.tolist() for x, _ in batches]
    np.random.seed(9)
    want += [x.tolist() for x, _ in loader]
    other = made()
    other.load_state_dict(state)
    assert other.iteration == given
    got = [x.tolist() for x, _ in other]
    np.random.seed(9)
    got += [x.tolist() for x, _ in other] if seeded != "not" else want[len(got) :]
    assert got == want
    # next(loader) goes on at the same place.
    other.load_state_dict(state)
    if given < 4:
        assert next(other)[0].tolist() == want[0]


def test_a_loop_after_going_on_is_whole_again():
    loader = DataLoader(Numbers(), 3, shuffle=False)
    next(loader)
    loader.load_state_dict(loader.state_dict())
    assert passes(loader, 2) == [[3, 4, 5, 6, 7, 8, 9], list(range(10))]
    loader.load_state_dict(loader.state_dict() | {"iteration": 2})
    next(loader)
    assert passes(loader) == [list(range(10))]


def test_states_of_other_loaders():
    loader = DataLoader(Numbers(), 3)
    state = loader.state_dict()
    for change, match in (
        ({"data_size": 9}, "data_size 9, this loader 10"),
        ({"iteration": 1, "batch_size": 4}, "batch_size 4, this loader 3"),
        ({"iteration": 5}, "iteration 5 of 4"),
        ({"iteration": -1}, "iteration -1"),
        ({"index": [1, 2]}, "2 examples, there are 10"),
    ):
        with pytest.raises(ValueError, match=match):
            loader.load_state_dict(state | change)
    with pytest.raises(ValueError, match="no stream, index in the state"):
        loader.load_state_dict({"epoch": 1})
    loader.load_state_dict(state | {"batch_size": 4})  # at the beginning of a pass it may change


def test_a_failed_batch_was_not_given():
    class Once:
        broken = True

        def __len__(self):
            return 4

        def __getitem__(self, i):
            if i == 2 and self.broken:
                Once.broken = False
                raise OSError("gone")
            return i, i

    loader = DataLoader(Once(), 2, shuffle=False)
    next(loader)
    with pytest.raises(OSError, match="gone") as caught:
        next(loader)
    assert caught.value.__notes__ == ["DataLoader: this was example 2"]
    assert loader.iteration == 1
    assert next(loader)[0].tolist() == [2, 3]


# Sizes and structures


def test_drop_last():
    loader = DataLoader(Numbers(), 4, shuffle=False, drop_last=True)
    assert loader.max_iter == 2
    assert passes(loader, 2) == [list(range(8))] * 2
    with pytest.raises(ValueError, match="drop_last leaves nothing of 10 examples"):
        DataLoader(Numbers(), 11, drop_last=True)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"workers": -1}, "workers is -1"),
        ({"prefetch": 0}, "prefetch is 0"),
        ({"timeout": 0.0}, "timeout is 0.0 s"),
    ],
)
def test_bad_options(options, match):
    with pytest.raises(ValueError, match=match):
        DataLoader(PAIRS, 2, **options)


Pair = collections.namedtuple("Pair", "x t")


def test_collate():
    x, t, none = collate([(np.float32(1), [2, (3.0,)], None), (np.float32(4), [5, (6.0,)], None)])
    assert x.dtype == np.float32
    assert x.tolist() == [1, 4]
    assert [t[0].tolist(), t[1][0].tolist(), none] == [[2, 5], [3.0, 6.0], None]
    pair = collate([Pair(np.eye(2), {"id": 3}), Pair(np.ones((2, 2)), {"id": 4})])
    assert type(pair) is Pair
    assert pair.x.shape == (2, 2, 2)
    assert pair.t["id"].tolist() == [3, 4]
    assert collate([True, False]).dtype == bool
    assert collate(["a", "bc"]).tolist() == ["a", "bc"]


@pytest.mark.parametrize(
    ("examples", "error", "match"),
    [
        ([], ValueError, "no examples"),
        ([(np.ones(2), 0), (np.ones(3), 1)], ValueError, r"part \[0\]\) differ in shape: \(2,\)"),
        ([(1, 0), (1, None)], TypeError, r"example 1 of the batch \(part \[1\]\) is None"),
        ([(1, 0), (1,)], ValueError, "2 parts for the first, 1 parts for number 1"),
        ([{"a": 1}, {"b": 1}], ValueError, r"dictionary of \['a'\]"),
        ([1, (1, 2)], ValueError, "differ in shape"),
        ([(1, 2), 1], ValueError, "2 parts for the first, a int"),
        ([object()], TypeError, "type object"),
    ],
)
def test_what_does_not_make_a_batch(examples, error, match):
    with pytest.raises(error, match=match):
        collate(examples)


def test_a_collate_of_the_users():
    def padded(examples):
        width = max(len(x) for x, _ in examples)
        return {
            "x": np.array([x + [0] * (width - len(x)) for x, _ in examples]),
            "n": len(examples),
        }

    data = [([1], 0), ([1, 2], 0), ([1, 2, 3], 0)]
    first, second = DataLoader(data, 2, shuffle=False, collate=padded)
    assert first["x"].tolist() == [[1, 0], [1, 2]]
    assert (second["x"].shape, second["n"]) == ((1, 3), 1)


def test_big_data():
    """The book's pattern: a Dataset that reads each example when it is asked for."""

    class BigData(Dataset):
        def __getitem__(self, index):
            return np.full(2, index, np.float32), index % 3

        def __len__(self):
            return 1_000_000

    loader = DataLoader(BigData(), 4, shuffle=False)
    assert loader.max_iter == 250_000
    next(loader)
    x, t = next(loader)
    assert x.dtype == np.float32
    assert x.tolist() == [[4, 4], [5, 5], [6, 6], [7, 7]]
    assert t.tolist() == [1, 2, 0, 1]


# SeqDataLoader


def test_stretches():
    loader = SeqDataLoader(Numbers(), 3)
    assert (loader.max_iter, loader.data_size) == (4, 10)
    for _ in range(2):
        got = [x.tolist() for x, _ in loader]
        assert got == [[0, 3, 6], [1, 4, 7], [2, 5, 8], [3, 6, 9]]
    assert next(loader)[1].tolist() == [0, 9, 36]
    assert loader.next()[0].tolist() == [1, 4, 7]
    state = loader.state_dict()
    other = SeqDataLoader(PAIRS, 3)
    other.load_state_dict(state)
    assert [x.tolist() for x, _ in other] == [[2, 5, 8], [3, 6, 9]]
    with pytest.raises(ValueError, match="11 stretches of 10 examples"):
        SeqDataLoader(PAIRS, 11)
    assert list(SeqDataLoader([], 2)) == []
    assert dataloaders.SeqDataLoader is SeqDataLoader
    assert dataloaders.pil_available in (True, False)


# CUDA, with a stand-in that writes down what is asked of it


class FakeCuda:
    """CuPy's streams and devices, as far as a loader asks for them."""

    def __init__(self):
        self.log = []
        self.current = "main"
        self.events = 0

    def Stream(self, non_blocking):
        return FakeStream(self, "side")

    def Device(self, number):
        self.log.append(f"device {number}")
        return contextlib.nullcontext()

    def get_current_stream(self):
        return FakeStream(self, self.current)


class FakeStream:
    def __init__(self, cuda, name):
        self.cuda, self.name = cuda, name

    def record(self):
        self.cuda.events += 1
        self.cuda.log.append(f"{self.name} records {self.cuda.events}")
        return self.cuda.events

    def wait_event(self, event):
        self.cuda.log.append(f"{self.name} waits for {event}")

    def __enter__(self):
        self.cuda.current = self.name

    def __exit__(self, *_):
        self.cuda.current = "main"


class FakeBackend:
    name = "cupy"

    def __init__(self):
        self.cupy = types.SimpleNamespace(cuda=FakeCuda())

    def _number(self, device):
        return int(device.removeprefix("cuda:"))

    def from_numpy(self, x, device):
        self.cupy.cuda.log.append(f"{self.cupy.cuda.current} copies {x.tolist()}")
        return x


def test_the_next_batch_is_copied_meanwhile(monkeypatch):
    backend = FakeBackend()
    monkeypatch.setattr(loaders_module.backends, "get", lambda name: backend)
    loader = DataLoader([1, 2, 3], 1, shuffle=False, gpu=True, seed=0)
    assert loader.gpu
    log = backend.cupy.cuda.log
    for x in loader:
        log.append(f"uses {x.tolist()}")
    assert log == [
        "main records 1", "side waits for 1", "side copies [1]", "side records 2",
        "main records 3", "side waits for 3", "side copies [2]", "side records 4",
        "main waits for 2", "uses [1]",
        "main records 5", "side waits for 5", "side copies [3]", "side records 6",
        "main waits for 4", "uses [2]", "main waits for 6", "uses [3]",
    ]  # fmt: skip
    log.clear()
    unkeyed = DataLoader([1, 2], 1, shuffle=False, gpu=True)  # draws stay in the book's order
    for x in unkeyed:
        log.append(f"uses {x.tolist()}")
    assert log == ["main copies [1]", "uses [1]", "main copies [2]", "uses [2]"]
    log.clear()
    loader.to("cupy", "cuda:1")
    next(loader)
    assert log[0] == "device 1"


def test_an_error_of_the_next_batch_comes_after_this_one(monkeypatch):
    monkeypatch.setattr(loaders_module.backends, "get", lambda name: FakeBackend())
    loader = iter(DataLoader([np.ones(2), None], 1, shuffle=False, gpu=True, seed=0))
    assert next(loader).tolist() == [[1, 1]]
    with pytest.raises(StopIteration):
        next(loader)
    assert [x if x is None else 1 for x in DataLoader([None], 1)] == [None]
    loader = iter(DataLoader([(1, 2), (3, object())], 1, shuffle=False, gpu=True, seed=0))
    assert next(loader)[0].tolist() == [1]
    with pytest.raises(TypeError, match="type object"):
        next(loader)
