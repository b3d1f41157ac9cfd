"""Files appear whole or not at all."""

import os

import numpy as np
import pytest

from dezero.files import atomic_write, load_npz, save_npz, unfinished


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail():
        with atomic_write(path) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_nothing_is_seen_before_the_end(tmp_path):
    path = tmp_path / "a"
    with atomic_write(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"


def test_the_bytes_are_on_the_disk_before_the_rename(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("sync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("rename"), replace(a, b)))
    with atomic_write(tmp_path / "a") as file:
        file.write(b"x")
    assert calls[:2] == ["sync", "rename"]


def test_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with atomic_write("a") as file:
        file.write(b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


@pytest.mark.parametrize("compress", [True, False])
def test_npz_round_trip_is_exact_and_repeatable(tmp_path, compress):
    arrays = {
        "l0/W": np.arange(6.0, dtype=np.float32).reshape(2, 3),
        "t": np.array(3),
        "file": np.ones(1),
    }
    save_npz(tmp_path / "a.npz", arrays, compress=compress)
    save_npz(tmp_path / "b.npz", arrays, compress=compress)
    back = load_npz(tmp_path / "a.npz")
    assert list(back) == ["l0/W", "t", "file"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as file:  # as NumPy itself reads it
        assert sorted(file.files) == ["file", "l0/W", "t"]
        np.testing.assert_array_equal(file["l0/W"], arrays["l0/W"])


def test_a_file_without_checksum_is_read_unless_one_is_asked_for(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=np.ones(2))
    assert load_npz(path)["a"].tolist() == [1, 1]
    with pytest.raises(ValueError, match="no SHA-256 at the end"):
        load_npz(path, sealed=True)
    save_npz(path, {"a": np.ones(200)}, compress=False)
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="its bytes are not those of its SHA-256"):
        load_npz(path)


def test_errors_name_the_file_that_was_to_be_written(tmp_path, monkeypatch):
    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*a\.npz'") as caught:
        save_npz(tmp_path / "a.npz", {})
    assert caught.value.errno == 28
    assert unfinished(tmp_path) == []
    with pytest.raises(FileNotFoundError, match=r"none/a\.npz"):
        save_npz(tmp_path / "none" / "a.npz", {})


def test_what_a_killed_process_left(tmp_path):
    for name in ".a.npz.0.tmp", "a.tmp", ".lock":
        (tmp_path / name).touch()
    assert unfinished(tmp_path) == [str(tmp_path / ".a.npz.0.tmp")]


def test_unreadable_npz(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(FileNotFoundError):
        load_npz(path)
    path.write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(ValueError, match=r"a\.npz: not a readable"):
        load_npz(path)
    np.savez(path, a=np.array([{}], object))
    with pytest.raises(ValueError, match=r"a\.npz: not a readable"):
        load_npz(path)
    np.save(tmp_path / "b.npy", np.zeros(2))
    with pytest.raises(ValueError, match="one array"):
        load_npz(tmp_path / "b.npy")


def test_a_header_that_claims_more_than_its_entry_is_refused_before_memory_is_taken(tmp_path):
    import io
    import zipfile

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)}
    )
    path = tmp_path / "huge.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", header.getvalue() + bytes(8))
    with pytest.raises(ValueError, match=r"claims shape \(1099511627776,\)"):
        load_npz(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", b"no array")
    with pytest.raises(ValueError, match=r"'a.txt' is no array"):
        load_npz(path)
