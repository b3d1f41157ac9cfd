"""Worker processes: the same batches as without them, whatever happens to them."""

import gc
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import dezero.random
from dezero.data import DataLoader, Dataset, SeqDataLoader, example_generator, workers
from dezero.data.transforms import RandomCrop, RandomHorizontalFlip

ROOT = Path(__file__).resolve().parents[2]


class Unsendable(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


class Troubled:
    """Examples that do what the files in a folder say."""

    def __init__(self, folder):
        self.folder = folder

    def __len__(self):
        return 12

    def __getitem__(self, i):
        for name in os.listdir(self.folder):
            what, _, number = name.partition("-")
            if int(number) != i:
                continue
            if what == "raise":
                raise ArithmeticError("no such number")
            if what == "unsendable":
                raise Unsendable(1, 2)
            if what == "hang":
                time.sleep(60)
            if what == "killonce":
                os.unlink(f"{self.folder}/{name}")
            if what.startswith("kill"):
                os.kill(os.getpid(), signal.SIGKILL)
        draws = np.array([example_generator().random(), os.getpid() * 0.0])
        return np.concatenate([[i], draws]), np.random.rand()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trouble")


@pytest.fixture(scope="module")
def loader(folder):
    loader = DataLoader(Troubled(str(folder)), 2, seed=1, workers=2)
    yield loader
    loader.close()


@pytest.fixture(autouse=True)
def clean(folder):
    dezero.random.seed(None)
    yield
    for path in folder.iterdir():
        path.unlink()
    dezero.random.seed(None)


def xs(batches):
    return np.concatenate([x for x, _ in batches])


def plain(folder, **options):
    """What a loader without workers gives in its first pass."""
    return xs(DataLoader(Troubled(str(folder)), 2, **{"seed": 1, **options}))


def test_the_same_batches_as_without_workers(loader, folder):
    without = DataLoader(Troubled(str(folder)), 2, seed=1)
    for _ in range(2):
        np.testing.assert_array_equal(xs(loader), xs(without))
    for _ in loader:
        break  # an abandoned pass leaves nothing behind
    without.reset()
    np.testing.assert_array_equal(xs(loader), xs(without))
    assert next(loader)[0].tolist() == next(without)[0].tolist()
    assert next(loader)[0].tolist() == next(without)[0].tolist()
    state = loader.state_dict()
    assert state["iteration"] == 2  # those made ahead do not count
    rest = [xs([next(loader)]) for _ in range(4)]
    without.load_state_dict(state)
    np.testing.assert_array_equal(np.concatenate(rest), xs(without))
    with pytest.raises(StopIteration):
        next(loader)
    sides = zip(*zip(loader, loader, strict=True), strict=True)  # two passes, one pool
    assert [sorted(xs(side)[:, 0]) for side in sides] == [list(range(12))] * 2


def test_an_error_names_the_example_and_the_place(loader, folder):
    (folder / "raise-7").touch()
    with pytest.raises(ArithmeticError, match="no such number") as caught:
        list(loader)
    notes = "\n".join(caught.value.__notes__)
    assert "this was example 7" in notes
    assert "test_workers.py" in notes
    (folder / "raise-7").rename(folder / "unsendable-7")
    with pytest.raises(RuntimeError, match="Unsendable: 1 and 2"):
        list(loader)
    (folder / "unsendable-7").unlink()
    assert len(list(loader)) == 6  # the processes are still there


def test_a_killed_process_is_replaced(loader, folder):
    loader.load_state_dict(DataLoader(Troubled(str(folder)), 2, seed=1).state_dict())
    (folder / "killonce-3").touch()
    (folder / "killonce-8").touch()
    np.testing.assert_array_equal(xs(loader), plain(folder))
    assert not list(folder.iterdir())


def test_processes_that_die_again_are_an_error(loader, folder, monkeypatch):
    monkeypatch.setattr(workers, "_TRIES", 1)
    (folder / "kill-5").touch()
    with pytest.raises(RuntimeError, match="and so did those that tried again"):
        list(loader)
    (folder / "kill-5").unlink()
    assert len(list(loader)) == 6


def test_a_hanging_process_is_an_error(folder):
    loader = DataLoader(Troubled(str(folder)), 6, shuffle=False, workers=1, timeout=60.0)
    next(loader)
    loader._pool._timeout = 0.2  # seconds; the start of a process is over
    (folder / "hang-0").touch()
    begin = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no batch in 0\.2 s"):
        list(loader)
    assert time.monotonic() - begin < 20
    loader.close()


def test_what_cannot_be_sent(folder):
    loader = DataLoader([(lambda: 1, 2)], 1, workers=1)
    with pytest.raises(TypeError, match="data set cannot be sent to worker processes"):
        list(loader)


def test_a_dead_parent_leaves_no_orphans(tmp_path):
    """SIGKILL of the program ends its workers too, even one that is busy for long."""
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import os, signal, time
            from dezero.data import DataLoader

            class Slow:
                def __len__(self):
                    return 2
                def __getitem__(self, i):
                    print(os.getpid(), flush=True)
                    time.sleep(100 * i)
                    return i, i

            if __name__ == "__main__":
                loader = DataLoader(Slow(), 1, shuffle=False, workers=1)
                next(loader)
                time.sleep(0.1)
                os.kill(os.getpid(), signal.SIGKILL)
            """
        )
    )
    run = subprocess.run(
        [sys.executable, program],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,  # the pipe stays open while a worker lives
        check=False,
    )
    assert run.returncode == -signal.SIGKILL
    assert run.stdout.split()


def test_a_program_without_its_guard_is_told_so(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "from dezero.data import DataLoader\n"
        "for x, t in DataLoader([(1, 2)], 1, workers=1):\n"
        "    print(x)\n"
    )
    run = subprocess.run(
        [sys.executable, program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert run.returncode == 1
    assert "if __name__ == '__main__':" in run.stderr.splitlines()[-1]


class Pictures(Dataset):
    def prepare(self):
        self.data = np.random.default_rng(0).random((9, 1, 6, 6), np.float32)
        self.label = np.arange(9)


def test_random_transforms_depend_on_seed_pass_and_example_alone():
    def changed(x):
        return RandomHorizontalFlip()(RandomCrop(4)(x))

    def two_passes(size, order=None):
        loader = DataLoader(Pictures(transform=changed), size, seed=4, shuffle=False)
        return [xs(loader) for _ in range(2)]

    first, second = two_passes(2)
    np.testing.assert_array_equal([first, second], two_passes(9))
    assert not np.array_equal(first, second)
    dezero.random.seed(4)
    shuffled = DataLoader(Pictures(transform=changed), 5, seed=4)
    pairs = [(x, t) for batch in shuffled for x, t in zip(*batch, strict=True)]
    for x, t in pairs:
        np.testing.assert_array_equal(x, first[t])


def test_without_a_seed_workers_need_a_key_and_the_order_is_the_books():
    np.random.seed(3)
    want = np.random.permutation(9)
    np.random.seed(3)
    loader = DataLoader(Pictures(), 3, workers=1)
    assert loader.index.tolist() == want.tolist()
    state = loader.state_dict()
    assert state["key"] is not None
    other = DataLoader(Pictures(), 3, workers=1)
    other.load_state_dict(state)
    assert other._place() == loader._place()
    assert DataLoader(Pictures(), 3).state_dict()["key"] is None


def test_loaders_can_be_copied_and_collected(loader):
    copy = pickle.loads(pickle.dumps(loader))
    assert copy._pool is None
    del copy
    gc.collect()
    assert SeqDataLoader(Pictures(), 3, workers=1).workers == 1
