"""MNIST, CIFAR and ImageNet's names, from files in the forms of the real ones."""

import gzip
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

from dezero import datasets
from dezero.data import CIFAR10, CIFAR100, MNIST, DataLoader, FashionMNIST, ImageNet
from dezero.data.pickles import read_pickle
from dezero.datasets import load_cache_npz, save_cache_npz
from dezero.files import load_npz

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DEZERO_CACHE", str(tmp_path))
    return tmp_path


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


def mnist_files(folder, count=12, prefix="", part="train"):
    images = RNG.integers(0, 256, (count, 28, 28), np.uint8)
    labels = RNG.integers(0, 10, count).astype(np.uint8)
    for kind, array in ("images-idx3", images), ("labels-idx1", labels):
        path = folder / f"{prefix}{part}-{kind}-ubyte.gz"
        path.write_bytes(gzip.compress(idx(array)))
    return images, labels


# MNIST


def test_mnist(folder):
    images, labels = mnist_files(folder)
    mnist = MNIST(train=True)
    assert (mnist.data.shape, mnist.data.dtype) == ((12, 1, 28, 28), np.uint8)
    np.testing.assert_array_equal(mnist.data[:, 0], images)
    np.testing.assert_array_equal(mnist.label, labels)
    assert mnist.label.dtype == np.uint8
    x, t = mnist[3]
    assert (x.shape, x.dtype, t) == ((784,), np.float32, labels[3])
    np.testing.assert_allclose(x, images[3].ravel() / 255, rtol=1e-6)
    xs, ts = next(DataLoader(mnist, 5, shuffle=False))
    assert xs.dtype == np.float32
    np.testing.assert_array_equal(xs[3], x)
    np.testing.assert_array_equal(ts, labels[:5])
    assert MNIST(transform=None)[0][0].shape == (1, 28, 28)
    assert MNIST.labels()[3] == "3"


def test_the_parts_and_fashion_have_files_of_their_own(folder):
    train, _ = mnist_files(folder)
    test, _ = mnist_files(folder, 5, part="t10k")
    fashion, _ = mnist_files(folder, 7, prefix="fashion-")
    np.testing.assert_array_equal(MNIST().data[:, 0], train)
    np.testing.assert_array_equal(MNIST(train=False).data[:, 0], test)
    np.testing.assert_array_equal(FashionMNIST().data[:, 0], fashion)
    assert len(set(MNIST._sums + FashionMNIST._sums)) == 8


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not gzip",
        gzip.compress(b""),
        gzip.compress(b"\0\0\x08\x03" + struct.pack(">3I", 12, 28, 28) + bytes(100)),
        gzip.compress(b"\0\0\x08\x03" + struct.pack(">3I", 1, 28, 28) + bytes(785)),
        gzip.compress(b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 28, 28)),
        gzip.compress(b"\0\0\x08\x03" + struct.pack(">3I", 4, 14, 28) + bytes(4 * 14 * 28)),
        gzip.compress(b"\0\0\x0d\x03" + struct.pack(">3I", 1, 28, 28) + bytes(4 * 784)),
        gzip.compress(idx(np.zeros((12, 28, 28), np.uint8)))[:-9],
    ],
    ids=lambda content: str(len(content)),  # gzip writes the time into what it packs
)
def test_damaged_idx(folder, content):
    mnist_files(folder)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz: damaged"):
        MNIST()


def test_labels_that_do_not_belong(folder):
    mnist_files(folder)
    for labels in np.zeros(3, np.uint8), np.full(12, 10, np.uint8):
        (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
        with pytest.raises(ValueError, match="do not belong together"):
            MNIST()


def test_show(folder, monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    shown = []
    monkeypatch.setattr(pyplot, "show", lambda: shown.append(pyplot.gcf().axes[0].images[0]))
    mnist_files(folder)
    MNIST().show(2, 3)
    pyplot.close()
    cifar10(folder)
    CIFAR10().show(row=3, col=1)
    pyplot.close()
    assert [image.get_array().shape for image in shown] == [(56, 84), (96, 32, 3)]
    # Each tile is one of the pictures.
    tile = shown[1].get_array()[:32].transpose(2, 0, 1)
    assert (tile == CIFAR10().data).all(axis=(1, 2, 3)).any()


def test_show_without_matplotlib(folder, monkeypatch):
    import sys

    mnist_files(folder)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"dezero\[viz\]"):
        MNIST().show()


# CIFAR


def python2_text(text):
    """The opcode for a short text of Python 2, which no Python 3 writes."""
    return b"U" + bytes([len(text)]) + text


def python2_batch(data, labels):
    """A batch as Python 2 pickled those of CIFAR, by hand."""
    shape = b"".join(b"M" + struct.pack("<H", n) for n in data.shape) + b"\x86"
    return (
        b"\x80\x02}q\x01(" + python2_text(b"batch_label") + b"q\x02" + python2_text(b"batch 1 of 5")
        + b"q\x03" + python2_text(b"labels") + b"q\x04]q\x05("
        + b"".join(b"K" + bytes([t]) for t in labels) + b"e"
        + python2_text(b"data") + b"q\x06cnumpy.core.multiarray\n_reconstruct\nq\x07"
        + b"cnumpy\nndarray\nq\x08K\x00\x85" + python2_text(b"b") + b"\x87Rq\x09(K\x01" + shape
        + b"cnumpy\ndtype\nq\x0a" + python2_text(b"u1") + b"K\x00K\x01\x87Rq\x0b(K\x03"
        + python2_text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + b"T" + struct.pack("<i", data.size) + data.tobytes() + b"tb"
        + python2_text(b"filenames") + b"q\x0c]q\x0d(" + python2_text(b"a.png") + b"eu."
    )  # fmt: skip


def archive(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def cifar10(folder):
    data = RNG.integers(0, 256, (30, 3072), np.uint8)
    labels = RNG.integers(0, 10, 30).tolist()
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    # In another order than it is read, and with something else in it.
    members = [
        (f"cifar-10-batches-py/{name}", python2_batch(data[i : i + 5], labels[i : i + 5]))
        for name, i in zip(names[::-1], range(25, -1, -5), strict=True)
    ]
    archive(folder / "cifar-10-python.tar.gz", [("cifar-10-batches-py/readme.html", b""), *members])
    return data.reshape(-1, 3, 32, 32), labels


def test_cifar10(folder):
    data, labels = cifar10(folder)
    for part in "archive", "cache":
        train, test = CIFAR10(), CIFAR10(train=False)
        assert train.data.dtype == np.uint8, part
        assert train.label.dtype == np.int64
        np.testing.assert_array_equal(train.data, data[:25])
        np.testing.assert_array_equal(test.data, data[25:])
        assert train.label.tolist() + test.label.tolist() == labels
        if part == "archive":
            (folder / "cifar-10-python.tar.gz").write_bytes(b"the arrays are kept")
    x, _ = train[0]
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, data[0] / 127.5 - 1, atol=1e-6)
    assert x.min() >= -1
    assert CIFAR10.labels()[9] == "truck"


def test_the_books_cache_of_doubles(folder):
    data, labels = cifar10(folder)
    np.savez_compressed(
        folder / "cifar-10-python.tar.gz.train.npz", data=data.astype(float), label=labels
    )
    train = CIFAR10()
    assert train.data.dtype == np.uint8
    np.testing.assert_array_equal(train.data, data)


def test_cifar100_keeps_both_kinds_of_labels(folder):
    data = RNG.integers(0, 256, (6, 3072), np.uint8)
    fine, coarse = [99, 3, 50, 7, 8, 9], [19, 3, 5, 7, 8, 9]
    members = [
        (
            f"cifar-100-python/{name}",
            pickle.dumps({b"data": data, b"fine_labels": fine, b"coarse_labels": coarse}, 2),
        )
        for name in ("train", "test")
    ]
    archive(folder / "cifar-100-python.tar.gz", members)
    for _ in range(2):
        assert CIFAR100().label.tolist() == fine
        assert CIFAR100(label_type="coarse").label.tolist() == coarse
        assert CIFAR100(False, label_type="coarse").label.tolist() == coarse
    assert len(CIFAR100.labels()) == len(set(CIFAR100.labels().values())) == 100
    assert list(CIFAR100.labels().values()) == sorted(CIFAR100.labels().values())
    assert len(CIFAR100.labels("coarse")) == 20
    for wrong in (lambda: CIFAR100(label_type="rough"), lambda: CIFAR100.labels("rough")):
        with pytest.raises(ValueError, match="'fine' or 'coarse'"):
            wrong()


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Evil(), 2),
        pickle.dumps({b"data": Evil(), b"labels": []}, 4),
        pickle.dumps({b"data": np.zeros((2, 3072), np.float64), b"labels": [1, 2]}, 2),
        pickle.dumps({b"data": np.zeros((2, 3071), np.uint8), b"labels": [1, 2]}, 2),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}, 2),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 10]}, 2),
        pickle.dumps({b"labels": [1]}, 2),
        pickle.dumps([1], 2),
        b"",
        b"\x80\x02",
    ],
)
def test_cifar_with_something_else_in_it(folder, content):
    archive(folder / "cifar-10-python.tar.gz", [("x/test_batch", content)])
    with pytest.raises(ValueError, match=r"cifar-10-python\.tar\.gz"):
        CIFAR10(train=False)


def test_damaged_archives(folder):
    cifar10(folder)
    path = folder / "cifar-10-python.tar.gz"
    whole = path.read_bytes()
    for damaged in (b"", b"x" * 100, whole[: len(whole) // 2], gzip.compress(b"x" * 10_000)):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            CIFAR10()
    archive(path, [("x/data_batch_1", pickle.dumps({}, 2))])
    with pytest.raises(ValueError, match=r"no data_batch_2, .*data_batch_5 in it"):
        CIFAR10()


# Pickles


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_pickles_of_plain_values(protocol):
    value = {
        "numbers": [0, 255, 65535, -1, 2**31 - 1, 2**40, 1.5],
        b"bytes": b"\x00\xff" * 200,
        "text": "Ünicode" * 60,
        "nested": {"a": (1, (2, 3), ()), "b": [None, True, False, []]},
        "long": list(range(3000)),
    }
    value["same"] = value["long"]
    assert read_pickle(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("dtype", ["u1", "<i8", ">i4", "<f4", ">f8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_pickled_arrays(dtype, order):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype, order=order)
    got = read_pickle(pickle.dumps({"a": array}, 2))["a"]
    assert got.dtype == array.dtype
    np.testing.assert_array_equal(got, array)


def test_pickles_that_claim_or_call_too_much():
    good = pickle.dumps({"a": np.zeros(3)}, 2)
    for bad in (
        pickle.dumps(np.array([None]), 2),
        pickle.dumps({1, 2}, 4),
        pickle.dumps(Evil(), 0),
        b"\x80\x02cos\nsystem\n.",
        b"\x80\x02X\xff\xff\xff\x7fabc.",  # text of two gigabytes
        b"\x80\x02]r\xff\xff\xff\x7f0.",
        b"\x80\x02(t(t",
        b"\x80\x02}]K\x01s.",  # a list as a key
        b"\x80\x02a.",
        b"\x80\x02h\x05.",
        b"\x80\x02K\x01K\x02R.",
        b"\x80\x02K\x01K\x02b.",
        *(good[:n] for n in range(len(good))),
    ):
        with pytest.raises(ValueError):  # noqa: PT011  # what is found first, and so said, varies
            read_pickle(bad)


def test_flipped_pickles_give_values_or_value_errors():
    good = pickle.dumps({"a": np.zeros(3), "b": [1, (2, "x")]}, 2)
    for place in range(len(good)):
        for change in 1, 16, 128:
            bad = bytearray(good)
            bad[place] ^= change
            try:
                read_pickle(bytes(bad))
            except ValueError:
                continue


# ImageNet, and the cache


def test_imagenet_labels(folder):
    path = folder / "imagenet1000_clsidx_to_labels.txt"
    path.write_text("{0: 'tench, Tinca tinca',\n 1: \"goldfish\"}")
    assert ImageNet.labels() == {0: "tench, Tinca tinca", 1: "goldfish"}
    for text in ("__import__('os').abort()", "{0: open('/etc/passwd')}", "[1]", "{0: 1}", "{", "("):
        path.write_text(text)
        with pytest.raises(ValueError, match="not a dictionary of numbers and names"):
            ImageNet.labels()


def test_cache(folder):
    data, label = np.arange(6).reshape(3, 2), np.arange(3)
    assert load_cache_npz("http://host/a.tar.gz") == (None, None)
    path = save_cache_npz(data, label, "http://host/a.tar.gz")
    assert path == str(folder / "a.tar.gz.test.npz")
    assert load_npz(path).keys() == {"data", "label"}
    assert save_cache_npz(data, label, "a.tar.gz") is None  # it stays
    got = load_cache_npz("a.tar.gz")
    np.testing.assert_array_equal(got[0], data)
    assert load_cache_npz("a.tar.gz", train=True) == (None, None)
    (folder / "a.tar.gz.test.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"a\.tar\.gz\.test\.npz"):
        load_cache_npz("a.tar.gz")


def test_the_books_module_has_all_its_names():
    names = """Dataset get_spiral Spiral SinCurve MNIST CIFAR10 CIFAR100 ImageNet Shakespear
    load_cache_npz save_cache_npz"""
    for name in names.split():
        assert callable(getattr(datasets, name))
