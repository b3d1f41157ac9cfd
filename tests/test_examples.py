"""The examples in examples/, with settings that take a moment, and figures that can be checked."""

from __future__ import annotations

import importlib
import math
import re
from pathlib import Path

import numpy as np
import pytest

import dezero
from dezero import functions as F
from dezero import layers as L
from dezero.models import VGG16, Model

FOLDER = Path(__file__).resolve().parent.parent / "examples"
TOLD = ("corpus", "ngrams", "vgg")  # not programs, but parts of several


@pytest.fixture(autouse=True)
def unseeded():
    """Examples seed all randomness; the tests after them want it as it was."""
    state = dezero.random.get_state()
    yield
    dezero.random.set_state(state)


@pytest.fixture
def example(monkeypatch, tmp_path):
    """A function that calls an example's ``main`` with some options and a folder for its files."""
    monkeypatch.syspath_prepend(FOLDER)

    def run(name, *options, files=()):
        found = importlib.import_module(name).main([*map(str, options), "--out", str(tmp_path)])
        for file in files:
            assert (tmp_path / file).stat().st_size > 1000, file
        return found

    return run


@pytest.fixture
def part(monkeypatch):
    """A function that gives a module of the examples."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


def plots():
    pytest.importorskip("matplotlib", reason="the examples draw pictures")


def losses(rows, name="loss"):
    """A column of the rows, which must be finite."""
    found = [row[name] for row in rows]
    assert all(map(math.isfinite, found))
    return found


def test_digits(example) -> None:
    plots()
    files = ["weights.npz", "curves.png", "confusion.png", "filters.png", "misread.png"]
    found = example("digits_cnn", "--epochs", 2, "--limit", 500, files=files)
    assert found["accuracy"] > 0.2
    assert found["confusion"].sum() == 360
    assert np.trace(found["confusion"]) == round(360 * found["accuracy"])
    first, last = losses(found["rows"])
    assert last < first


def test_spiral(example) -> None:
    plots()
    found = example("spiral", "--epochs", 60, files=["decision.png", "curves.png"])
    assert found["accuracy"] > 0.55
    assert losses(found["rows"])[-1] < 0.8 * losses(found["rows"])[0]


def test_sine(example) -> None:
    plots()
    options = "--epochs", 3, "--hidden", 16
    found = example("sine_lstm", *options, files=["prediction.png", "curves.png"])
    assert losses(found["rows"])[-1] < losses(found["rows"])[0]
    assert 0 < found["error"] < 0.5  # a cosine's own mean square
    assert 0 < found["noisy_error"] < 0.5
    assert math.isclose(found["last_error"], 0.1**2 / 12, rel_tol=0.2)  # uniform noise's variance


def test_vae(example) -> None:
    plots()
    found = example("vae", "--epochs", 4, files=["sheet.png", "plane.png", "curves.png"])
    assert losses(found["rows"])[-1] < 0.9 * losses(found["rows"])[0]
    assert found["bound"] < 64 * math.log(2)  # of pixels of which nothing is known
    assert found["right"] > 0.15
    assert found["sheet"].shape == (60, 8, 8)
    assert 0 <= found["sheet"].min() <= found["sheet"].max() <= 1


def test_gan(example) -> None:
    plots()
    found = example("gan", "--epochs", 2, files=["sheet.png", "curves.png"])
    assert losses(found["rows"], "discriminator_loss")[-1] < 2 * math.log(2)
    losses(found["rows"], "generator_loss")
    assert math.isclose(found["shares"].sum(), 1)
    assert found["distance"] > found["true"] > 0


def test_gan_trains_one_network_at_a_time(part) -> None:
    gan = part("gan")
    dezero.seed(0)
    gen, dis = gan.generator(), gan.discriminator()
    fake = gen(gan.draw(8))
    gan.error(dis(fake.data), 0.0).backward()
    assert all(p.grad is None for p in gen.params())
    gan.error(dis(fake), 1.0).backward()
    assert all(p.grad is not None for p in gen.params())


CHARACTERS = "--size", 300, "--sample", 30


def test_characters(example) -> None:
    plots()
    options = "--epochs", 2, "--hidden", 32, "--rate", 0.02
    found = example("characters", *options, *CHARACTERS, files=["weights.npz", "curves.png"])
    assert losses(found["rows"], "bits")[-1] < losses(found["rows"], "bits")[0]
    assert found["lstm"] == found["rows"][-1]["valid_bits"]
    assert 1.5 < found["ngram"] < found["lstm"] < math.log2(128)
    assert len(found["text"]) == len("\nclass Reader:\n    def __init__(self") + 30


def test_gpt(example) -> None:
    plots()
    options = "--epochs", 2, "--layers", 1, "--width", 32, "--block", 64
    files = ["weights.npz", "curves.png", "attention.png"]
    found = example("gpt", *options, *CHARACTERS, files=files)
    assert losses(found["rows"], "bits")[-1] < losses(found["rows"], "bits")[0]
    assert found["bits"] < math.log2(96)
    assert found["same"]  # with the cache and without


def test_the_corpus_is_frozen(part) -> None:
    corpus = part("corpus")
    first, again = corpus.Corpus(100), corpus.Corpus(100)
    assert first.sha256 == again.sha256
    assert re.fullmatch("[0-9a-f]{64}", first.sha256)
    assert len(first.train) == 9 * len(first.valid)  # none of the modules is missing
    assert first.vocabulary.decode(first.valid_ids) == first.valid
    assert first.train.isascii()
    before, characters = first.rows(first.train_ids, 4)
    np.testing.assert_array_equal(before[:, 1:], characters[:, :-1])
    assert first.vocabulary.decode([before[0, 0]]) == "\n"
    np.testing.assert_array_equal(before[1:, 0], characters[:-1, -1])


@pytest.mark.parametrize("name", ["witten_bell", "kneser_ney"])
def test_probabilities_of_n_grams_sum_to_one(part, name) -> None:
    """The perplexity of a text followed by each character of the alphabet gives back each one's."""
    ngrams = part("ngrams")
    rng = np.random.default_rng(0)
    train = np.cumsum(rng.integers(0, 2, 400)) % 5
    start = np.array([0, 1, 1, 2, 3, 3, 4, 0, 1])
    model = getattr(ngrams, name)
    for n in range(ngrams.LONGEST + 1):
        before = model(train, start, 5)[n] * len(start)
        after = [model(train, np.append(start, c), 5)[n] * (len(start) + 1) for c in range(5)]
        assert math.isclose(sum(2 ** (before - bits) for bits in after), 1, rel_tol=1e-9)


def test_n_grams_by_hand(part, monkeypatch) -> None:
    ngrams = part("ngrams")
    monkeypatch.setattr(ngrams, "LONGEST", 1)
    bits = ngrams.witten_bell(np.array([0, 0, 1]), np.array([0, 1]), 2)
    # Of no context: (count + 2 kinds / 2) / (3 + 2); after 0: (1 + 2 p) / (2 + 2).
    p = 3 / 5, 2 / 5
    assert math.isclose(bits[0], -(math.log2(p[0]) + math.log2(p[1])) / 2)
    assert math.isclose(bits[1], -(math.log2(p[0]) + math.log2((1 + 2 * p[1]) / 4)) / 2)


def test_grad_cam_on_digits(example) -> None:
    plots()
    found = example("grad_cam", "--epochs", 3, files=["maps.png"])
    assert found["accuracy"] > 0.6
    assert found["high"] < found["low"] < found["all"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Files of VGG16's convolutions in the book's names and torchvision's, and a picture."""
    image = pytest.importorskip("PIL.Image", reason="photographs need Pillow")
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    model, arrays = VGG16(), {}
    channels, places = 3, iter((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28))
    names = [name for name in vars(model) if name.startswith("conv")]
    torchvision = {}
    for name, place in zip(names, places, strict=True):
        count = getattr(model, name).out_channels
        w = rng.random((count, channels, 3, 3), np.float32) - np.float32(0.5)
        w *= np.float32((24 / (9 * channels)) ** 0.5)
        b = np.zeros(count, np.float32)
        arrays |= {f"{name}/W": w, f"{name}/b": b}
        torchvision |= {
            f"features.{place}.weight": w,
            f"features.{place}.bias": arrays[f"{name}/b"],
        }
        channels = count
    np.savez(folder / "book.npz", **arrays)
    np.savez(folder / "torchvision.npz", **torchvision)
    picture = rng.integers(0, 256, (40, 50, 3), np.uint8)
    image.fromarray(picture).save(folder / "picture.png")
    image.fromarray(np.ascontiguousarray(picture[:, ::-1])).save(folder / "style.png")
    return folder


@pytest.mark.parametrize("kind", ["book", "torchvision"])
def test_style_transfer(example, photographs, kind) -> None:
    pictures = "--content", photographs / "picture.png", "--style", photographs / "style.png"
    sizes = "--size", 32, "--steps", 3
    path = photographs / f"{kind}.npz"
    found = example("style_transfer", "--weights", path, *pictures, *sizes, files=["step3.png"])
    assert found["losses"][-1] < found["losses"][0]


class Small(Model):
    """What stands for VGG16: its last convolution, and scores."""

    variant = "torchvision"

    def __init__(self):
        super().__init__()
        self.conv5_3 = L.Conv2d(4, kernel_size=8, stride=16)
        self.scores = L.Linear(5)

    def forward(self, x):
        return self.scores(F.mean(F.relu(self.conv5_3(x)), axis=(2, 3)))


def test_grad_cam_on_a_photograph(example, part, monkeypatch, photographs) -> None:
    plots()
    monkeypatch.setattr(part("grad_cam"), "load_vgg16", lambda path: Small())
    options = "--weights", "some", "--picture", photographs / "picture.png"
    found = example("grad_cam", *options, files=["maps.png"])
    assert found["probability"] > 1 / 5
    assert example("grad_cam", *options, "--class", 3)["label"] == 3
    with pytest.raises(SystemExit, match="--weights needs --picture"):
        example("grad_cam", "--weights", "some")


@pytest.mark.parametrize("variant", ["book", "torchvision"])
def test_a_picture_comes_back(part, photographs, tmp_path, variant) -> None:
    from PIL import Image

    transfer = part("style_transfer")
    with Image.open(photographs / "picture.png") as image:
        x = VGG16.preprocess(image, None, variant=variant)[None]
        transfer.save(tmp_path / "same.png", x, variant)
        with Image.open(tmp_path / "same.png") as again:
            np.testing.assert_array_equal(np.asarray(again), np.asarray(image))


@pytest.mark.parametrize("name", ["style_transfer", "grad_cam"])
def test_without_weights_the_message_says_where_they_are(example, photographs, name) -> None:
    picture = photographs / "picture.png"
    pictures = ["--picture", picture]
    if name == "style_transfer":
        pictures = ["--content", picture, "--style", picture]
    with pytest.raises(SystemExit, match=r"nothing\.npz: there is no such file") as caught:
        example(name, "--weights", photographs / "nothing.npz", *pictures)
    assert VGG16.WEIGHTS_PATH in str(caught.value)


def test_newton(part, capsys) -> None:
    found = part("newton").main([])
    assert math.isclose(found["path"][1], 1.4545454545454546)
    assert abs(found["path"][7] - 1) < 1e-12
    assert found["descent"] > 100
    assert found["twice"] == 100
    np.testing.assert_allclose(found["valley"][-1], 1)
    assert "100" in capsys.readouterr().out


def test_goldstein_price(example) -> None:
    found = example("goldstein_price", files=["graph.svg"])
    assert found["gradient"] == (-5376, 8064)
    np.testing.assert_allclose(found["place"], [0, -1], atol=1e-9)
    assert math.isclose(found["lowest"], 3)


def test_each_example_is_in_the_table() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for path in FOLDER.glob("*.py"):
        assert f"`{path.name}`" in text, path.name
        says = path.read_text(encoding="utf-8")
        assert path.stem in TOLD or f"python examples/{path.name}" in says
