"""Checkpoints hold all that decides what comes next; tables and JSON are exact."""

import csv
import math

import numpy as np
import pytest

import dezero.functions as F
import dezero.random
from dezero.data import DataLoader
from dezero.io import checkpoint, load_json, load_npz, restore, save_csv, save_json, save_npz
from dezero.models import MLP
from dezero.optimizers import Adam, MomentumSGD

RNG = np.random.default_rng(0)
PAIRS = [(RNG.standard_normal(4).astype(np.float32), i % 3) for i in range(20)]


def parts(seed, optimizer=Adam):
    dezero.random.seed(seed)
    model = MLP((8, 3), dropout=0.3)
    model(np.ones((1, 4), np.float32))
    return model, optimizer().setup(model), DataLoader(PAIRS, 6)


def epoch(model, optimizer, loader):
    for x, t in loader:
        loss = F.softmax_cross_entropy(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()


@pytest.fixture(autouse=True)
def unseeded():
    yield
    dezero.random.seed(None)


@pytest.mark.parametrize("optimizer", [Adam, MomentumSGD])
@pytest.mark.parametrize("seed", [1, None])
def test_training_goes_on_to_the_bit(tmp_path, optimizer, seed):
    one = parts(seed, optimizer)
    epoch(*one)
    save_npz(tmp_path / "c.npz", checkpoint(*one, {"epoch": 1, "rows": [{"loss": 0.1}]}))
    epoch(*one)
    epoch(*one)

    other = parts(2, optimizer)
    progress = restore(load_npz(tmp_path / "c.npz"), *other)
    assert progress == {"epoch": 1, "rows": [{"loss": 0.1}]}
    epoch(*other)
    epoch(*other)
    a, b = checkpoint(*one, {}), checkpoint(*other, {})
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_checkpoints_are_copies():
    one = parts(1)
    arrays = checkpoint(*one, {})
    kept = {name: array.copy() for name, array in arrays.items()}
    epoch(*one)
    restore(arrays, *one)
    epoch(*one)
    assert all(np.array_equal(arrays[name], kept[name]) for name in kept)


def test_what_does_not_fit_changes_nothing():
    one = parts(1)
    epoch(*one)
    arrays = checkpoint(*one, {})
    other = parts(2, MomentumSGD)
    before = checkpoint(*other, {})
    with pytest.raises(ValueError, match="does not fit MomentumSGD"):
        restore(arrays, *other)
    with pytest.raises(ValueError, match=r"here\.npz does not fit MLP"):
        restore({**arrays, "model/l0/W": np.zeros((1, 1))}, *other, source="here.npz")
    with pytest.raises(ValueError, match="no entry 'meta'"):
        restore({}, *other)
    with pytest.raises(ValueError, match="checkpoint format 99, 2 is expected"):
        restore({"meta": np.frombuffer(b'{"format": 99}', np.uint8)}, *other)
    after = checkpoint(*other, {})
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_csv_is_exact(tmp_path):
    rows = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": math.pi}]
    save_csv(tmp_path / "m.csv", rows)
    with open(tmp_path / "m.csv", newline="") as file:
        back = [{"epoch": int(r["epoch"]), "loss": float(r["loss"])} for r in csv.DictReader(file)]
    assert back == rows
    assert (tmp_path / "m.csv").read_text().splitlines()[0] == "epoch,loss"
    save_csv(tmp_path / "m.csv", [])
    assert (tmp_path / "m.csv").read_text() == ""
    save_csv(tmp_path / "m.csv", [{"epoch": 1}, {"epoch": 2, "loss": 0.5}])
    assert (tmp_path / "m.csv").read_text() == "epoch,loss\n1,\n2,0.5\n"


def test_json(tmp_path):
    value = {"a": [1, 2.5, None], "b": "ä"}
    save_json(tmp_path / "c.json", value)
    assert load_json(tmp_path / "c.json") == value
    (tmp_path / "c.json").write_text('{"a": ')
    with pytest.raises(ValueError, match=r"c\.json: not readable as JSON"):
        load_json(tmp_path / "c.json")
