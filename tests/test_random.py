"""The book's draws where nothing is seeded; numbers keyed by seed and count where it is."""

import json
import threading

import numpy as np
import pytest

import dezero.random as random


@pytest.fixture(autouse=True)
def unseeded():
    random.seed(None)
    yield
    random.seed(None)


@pytest.mark.parametrize(
    ("ours", "numpys"),
    [
        (lambda: random.uniform((3, 4)), lambda: np.random.rand(3, 4)),
        (lambda: random.normal((3, 4)), lambda: np.random.randn(3, 4)),
        (lambda: random.permutation(9), lambda: np.random.permutation(9)),
    ],
    ids=["uniform", "normal", "permutation"],
)
def test_unseeded_draws_are_numpys(ours, numpys):
    np.random.seed(5)
    got = ours(), ours()
    np.random.seed(5)
    want = numpys(), numpys()
    np.testing.assert_array_equal(got, want)


def test_seeded_draws_repeat_and_leave_numpy_alone():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    random.seed(3)
    first = random.uniform((5,)), random.normal((5,)), random.generator().random(5)
    random.seed(3)
    again = random.uniform((5,)), random.normal((5,)), random.generator().random(5)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_draws_differ_by_seed_and_by_count():
    draws = []
    for seed in (0, 1, 2**64, 2**100 + 1):
        random.seed(seed)
        draws += [random.uniform((4,)).tobytes(), random.uniform((4,)).tobytes()]
    assert len(set(draws)) == len(draws)


def test_draw_number_depends_on_nothing_before_it():
    random.seed(1)
    random.uniform((1000,))
    second = random.uniform((3,))
    random.seed(1)
    random.normal((2, 2))
    np.testing.assert_array_equal(second, random.uniform((3,)))


def test_distribution():
    random.seed(0)
    u, n = random.uniform((200, 1000)), random.normal((200, 1000))
    assert u.min() >= 0
    assert u.max() < 1
    # 6 standard errors of 200,000 numbers; also across the draws of one number each.
    assert abs(u.mean() - 0.5) < 6 / np.sqrt(12 * u.size)
    assert abs(n.mean()) < 6 / np.sqrt(n.size)
    assert abs(n.var() - 1) < 6 * np.sqrt(2 / n.size)
    single = np.array([random.uniform(()) for _ in range(2000)])
    assert abs(single.mean() - 0.5) < 6 / np.sqrt(12 * 2000)
    assert abs(np.corrcoef(single[1:], single[:-1])[0, 1]) < 6 / np.sqrt(2000)


@pytest.mark.parametrize("seed", [None, 7])
def test_state_survives_json(seed):
    random.seed(seed)
    random.uniform((3,))
    state = json.loads(json.dumps(random.get_state()))
    want = random.uniform((3,)), random.normal((3,))
    random.set_state(state)
    np.testing.assert_array_equal(want, (random.uniform((3,)), random.normal((3,))))


def test_permutation_is_keyed_by_stream_and_epoch_only():
    random.seed(4)
    first = random.permutation(50, stream=1, epoch=2)
    random.uniform((3,))
    np.testing.assert_array_equal(first, random.permutation(50, stream=1, epoch=2))
    np.testing.assert_array_equal(first, random.permutation(50, stream=1, epoch=2, key=4))
    others = [
        random.permutation(50, stream=s, epoch=e, key=k)
        for s, e, k in [(1, 3, 4), (2, 2, 4), (1, 2, 5), (0, 0, 4)]
    ]
    assert len({p.tobytes() for p in [first, *others]}) == 5
    assert all(sorted(p) == list(range(50)) for p in others)


def test_threads_never_share_a_draw():
    random.seed(0)
    draws: list[bytes] = []

    def work():
        draws.extend(random.uniform((2,)).tobytes() for _ in range(300))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    random.seed(0)
    assert set(draws) == {random.uniform((2,)).tobytes() for _ in range(1200)}


@pytest.mark.parametrize(
    ("seed", "error", "match"),
    [(-1, ValueError, "got -1"), (2**128, ValueError, "from 0 to"), (1.5, TypeError, "float")],
)
def test_bad_seed(seed, error, match):
    random.seed(9)
    with pytest.raises(error, match=match):
        random.seed(seed)
    assert random.get_state()["seed"] == 9


def test_bad_state_and_index():
    with pytest.raises(ValueError, match="no count, streams"):
        random.set_state({"seed": 1})
    with pytest.raises(ValueError, match="at most 3"):
        random.generator(1, 2, 3, 4, 5)
