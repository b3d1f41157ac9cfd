"""Checkpoints: every damage is found, the one before is used, and nothing is lost."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest

from dezero.files import FolderLock, LockedError, load_npz, save_npz
from dezero.io import pack, unpack
from dezero.training import Checkpoints


def number(arrays, source):
    return int(arrays["n"])


def test_generations(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.load(number) is None
    for n in range(5):
        assert checkpoints.save({"n": np.array(n)}).name == f"checkpoint-{n + 1:06}.npz"
    names = [f"checkpoint-{n:06}.npz" for n in (5, 4, 3)]
    assert [path.name for path in checkpoints.paths()] == names
    assert checkpoints.load(number) == 4
    assert checkpoints.skipped == []
    with pytest.raises(ValueError, match="keep is 0"):
        Checkpoints(tmp_path, 0)


def test_a_damaged_one_is_passed_over_and_told(tmp_path, caplog):
    checkpoints = Checkpoints(tmp_path)
    for n in range(3):
        path = checkpoints.save({"n": np.array(n)})
    path.write_bytes(path.read_bytes()[:-1])
    checkpoints.paths()[1].write_bytes(b"")
    assert checkpoints.load(number) == 0
    assert len(checkpoints.skipped) == 2
    for path, line in zip(checkpoints.paths()[:2], caplog.messages, strict=True):
        assert str(path) in line
    assert "cut off or damaged" in caplog.messages[0]
    assert "checkpoint-000001.npz is used" in caplog.messages[0]
    assert checkpoints.save({"n": np.array(7)}).name == "checkpoint-000004.npz"
    checkpoints.paths()[2].write_bytes(b"PK")
    assert checkpoints.load(number) == 7
    for path in checkpoints.paths():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"no checkpoint is readable: .*4\.npz.*3\.npz"):
        checkpoints.load(number)


def test_every_flipped_bit_and_every_missing_byte_is_found(tmp_path):
    path = tmp_path / "c.npz"
    arrays = pack({"model": {"W": np.arange(3.0)}, "t": 5, "text": "ä"})
    save_npz(path, arrays, compress=False)
    data = path.read_bytes()
    assert unpack(load_npz(path, sealed=True))["t"] == 5

    def refused(changed):
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"c\.npz: not a readable \.npz file"):
            load_npz(path, sealed=True)

    for i in range(len(data)):
        refused(data[:i] + bytes([data[i] ^ (1 << i % 8)]) + data[i + 1 :])
        if i % 5 == 0:
            refused(data[:i])
    refused(data + b"\0")
    refused(b"\0" + data)
    path.write_bytes(data)
    assert unpack(load_npz(path, sealed=True))["text"] == "ä"


def test_arrays_of_objects_are_never_made(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    np.savez(tmp_path / "a.npz", a=np.array([Evil()], object))
    for sealed in True, False:
        with pytest.raises(ValueError, match="not a readable"):
            load_npz(tmp_path / "a.npz", sealed=sealed)
    assert not (tmp_path / "made").exists()


def test_a_full_disk_leaves_all_that_was_there(tmp_path):
    """The limit of the process for the size of files stands for the full disk."""
    script = (
        "import resource, signal, sys, numpy as np\n"
        "from dezero.training import Checkpoints\n"
        "checkpoints = Checkpoints(sys.argv[1])\n"
        "checkpoints.save({'n': np.array(1)})\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "try:\n"
        "    checkpoints.save({'n': np.array(2), 'large': np.zeros(100_000)})\n"
        "except OSError as error:\n"
        "    print(error)\n"
        "print(checkpoints.load(lambda arrays, source: int(arrays['n'])))\n"
    )
    pytest.importorskip("resource", reason="only POSIX has such limits")
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    error, loaded = done.stdout.splitlines()
    assert os.strerror(errno.EFBIG) in error
    assert "checkpoint-000002.npz" in error
    assert loaded == "1"
    assert os.listdir(tmp_path) == ["checkpoint-000001.npz"]


def test_a_read_only_folder_is_one_clear_error(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save({"n": np.array(1)})

    def refuse(path, *_, **__):
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS), path)

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", refuse)
        with pytest.raises(OSError, match=r"Read-only file system: .*checkpoint-000002\.npz'"):
            checkpoints.save({"n": np.array(2)})
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(OSError, match=f"{tmp_path} cannot be locked: Read-only"):
            FolderLock(tmp_path).acquire()
    assert checkpoints.load(number) == 1


# --- the state ----------------------------------------------------------------------------------


def test_states_come_back_as_they_were():
    state = {
        "a": [1, 2.5, float("inf"), None, True, "text", (1, [2])],
        "b": {"c/d": np.arange(3, dtype=np.int8), "c": {"d": np.float32(0.1)}},
        "meta": np.zeros((0, 2)),
        "": {},
    }
    back = unpack(pack(state))
    assert back["a"] == state["a"]
    assert back["b"]["c/d"].dtype == np.int8
    assert back["b"]["c"]["d"] == np.float32(0.1)
    assert back["meta"].shape == (0, 2)
    assert np.isnan(unpack(pack([float("nan")]))[0])


@pytest.mark.parametrize(
    ("state", "match"),
    [
        ({"a": [object()]}, "a object at 'a/0'"),
        ({"a": {1: 2}}, "the key 1 at 'a'"),
        ({"a": np.array([None])}, "an array of objects at 'a'"),
    ],
)
def test_what_cannot_be_saved(state, match):
    with pytest.raises(TypeError, match=match):
        pack(state)


@pytest.mark.parametrize(
    "meta",
    [b"", b"[]", b'{"format": 2}', b'{"format": 2, "state": {"array": "x"}}', b'{"format": 1}'],
)
def test_what_is_no_state(meta):
    with pytest.raises(ValueError, match="here: "):
        unpack({"meta": np.frombuffer(meta, np.uint8)}, "here")


# --- the lock -----------------------------------------------------------------------------------


def test_one_at_a_time(tmp_path):
    lock = FolderLock(tmp_path)
    with lock, pytest.raises(LockedError, match=f"in use by process {os.getpid()} on "):
        FolderLock(tmp_path / ".").acquire()
    assert os.listdir(tmp_path) == []
    with FolderLock(tmp_path):
        assert os.listdir(tmp_path) == [".lock"]
    lock.release()  # again
    with pytest.raises(FileNotFoundError, match="none cannot be locked"):
        FolderLock(tmp_path / "none").acquire()


def test_a_killed_holder_holds_nothing(tmp_path):
    script = (
        "import os, sys, time; from dezero.files import FolderLock\n"
        "lock = FolderLock(sys.argv[1]).acquire()\n"
        "child = os.fork()\n"  # does not inherit the lock, and outlives its parent
        "if child: print(child, flush=True)\n"
        "time.sleep(60)"
    )
    if not hasattr(os, "fork"):
        pytest.skip("the system has no fork")
    command = [sys.executable, "-c", script, str(tmp_path)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    child = int(holder.stdout.readline())
    try:
        with pytest.raises(LockedError, match=f"{tmp_path} is in use by process {holder.pid} on"):
            FolderLock(tmp_path).acquire()
        holder.kill()
        holder.wait()
        with FolderLock(tmp_path):
            pass
    finally:
        os.kill(child, 9)
        holder.kill()
        holder.communicate()


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl", reason="only POSIX")

    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", none)
    with pytest.warns(RuntimeWarning, match="the file system has no locks"), FolderLock(tmp_path):
        pass
