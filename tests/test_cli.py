"""``python -m dezero``: runs, stops, resumptions, bad arguments, info."""

import contextlib
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import dezero
from dezero import backends, cli

SMALL = ["--model", "mlp", "--epochs", "6", "--hidden", "32"]
TINY = ["--model", "mlp", "--epochs", 1, "--hidden", 8]


@pytest.fixture(autouse=True)
def unseeded():
    yield
    dezero.random.seed(None)


@pytest.fixture(autouse=True)
def quick(request, monkeypatch):
    """No pictures in this process: they take longer than the training."""
    if "matplotlib" not in request.node.name:
        for name in "plot_curves", "plot_confusion", "plot_images":
            monkeypatch.setattr(cli, name, lambda *_: None)


def run(*arguments):
    """The exit code of a run in this process."""
    try:
        return cli.main([str(a) for a in arguments])
    except SystemExit as error:
        return error.code


def command(*arguments):
    return [sys.executable, "-m", "dezero", *map(str, arguments)]


def plain(*arguments):
    """The same without pictures, and any warning an error."""
    code = (
        "import sys; sys.modules['matplotlib'] = None; import dezero.cli as c; sys.exit(c.main())"
    )
    return [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]


def contents(folder):
    """All that a run leaves, but for times and pictures."""
    result = {name: (folder / name).read_bytes() for name in ("weights.npz", "weights-best.npz")}
    with open(folder / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return result, [{k: v for k, v in row.items() if "second" not in k} for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing disturbed, in a process of its own."""
    folder = tmp_path_factory.mktemp("run") / "whole"
    out = subprocess.run(
        command("train", *SMALL, "--out", folder), capture_output=True, text=True, check=True
    )
    return folder, out


def test_a_run_leaves_its_folder(whole):
    folder, out = whole
    names = {"config.json", "metrics.csv", "weights-best.npz", "weights.npz"}
    pictures = {"confusion.png", "curves.png", "misread.png"}
    have = {path.name for path in folder.iterdir()}
    checkpoints = {name for name in have if name.startswith("checkpoint-")}
    assert 1 <= len(checkpoints) <= 3
    have -= checkpoints
    if "no pictures: " in out.stdout:
        assert have == names
    else:
        assert have == names | pictures
    config = json.loads((folder / "config.json").read_text())
    assert (config["seed"], config["epochs"], config["hidden"]) == (0, 6, [32])
    rows = contents(folder)[1]
    assert len(rows) == 6
    assert float(rows[-1]["valid_accuracy"]) > 0.6
    assert f"accuracy {float(rows[-1]['valid_accuracy']):.2%}" in out.stdout
    assert "epoch 6/6" in out.stdout
    assert out.stderr == ""


def test_the_same_seed_gives_the_same_bits(whole, tmp_path):
    assert run("train", *SMALL, "--out", tmp_path / "again", "--quiet") == 0
    assert contents(tmp_path / "again") == contents(whole[0])
    assert run("train", *SMALL, "--out", tmp_path / "other", "--seed", 1, "--quiet") == 0
    assert contents(tmp_path / "other")[0] != contents(whole[0])[0]


def test_the_usual_network(tmp_path):
    """Convolutions; one epoch, stopped within it, is the same as one in one go."""
    options = ["--epochs", 1, "--quiet"]
    assert run("train", *options, "--out", tmp_path / "whole") == 0
    with stopping_after(12):
        assert run("train", *options, "--out", tmp_path / "parts") == 130
    assert run("train", "--resume", tmp_path / "parts", "--quiet") == 0
    assert contents(tmp_path / "whole") == contents(tmp_path / "parts")
    (row,) = contents(tmp_path / "whole")[1]
    assert float(row["valid_accuracy"]) > 0.6
    config = json.loads((tmp_path / "whole" / "config.json").read_text())
    assert (config["model"], config["split"], config["hidden"]) == ("cnn", "random", [128])
    with np.load(tmp_path / "whole" / "weights.npz") as weights:
        assert weights["conv1/W"].shape == (32, 1, 3, 3)


def test_the_last_digits(tmp_path):
    assert run("train", *TINY, "--split", "last", "--out", tmp_path / "a", "--quiet") == 0
    assert run("train", *TINY, "--out", tmp_path / "b", "--quiet") == 0
    assert contents(tmp_path / "a")[0] != contents(tmp_path / "b")[0]


def test_the_same_seed_gives_the_same_bits_elsewhere(tmp_path, lane):
    if lane.name in ("dask", "numpy", "readonly"):
        pytest.skip("dask refuses, NumPy was tested")
    options = [
        "--model",
        "mlp",
        "--epochs",
        1,
        "--hidden",
        16,
        "--backend",
        lane.xp.name,
        "--quiet",
    ]
    options += ["--batch-size", 479] + (["--device", lane.device] if lane.device else [])
    subprocess.run(plain("train", *options, "--out", tmp_path / "a"), check=True)
    if lane.name != "jax":  # it compiles for long; test_training.py runs it twice
        assert run("train", *options, "--out", tmp_path / "b") == 0
        assert contents(tmp_path / "a") == contents(tmp_path / "b")


LONG = ["--model", "mlp", "--epochs", "60", "--hidden", "32", "--quiet"]


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A run of a second or so, undisturbed."""
    folder = tmp_path_factory.mktemp("long") / "whole"
    subprocess.run(plain("train", *LONG, "--out", folder), check=True)
    return folder


def started(folder, first):
    """A process that trains, to be disturbed."""
    begin = ["--resume", folder, "--quiet"] if folder.exists() else [*LONG, "--out", folder]
    process = subprocess.Popen(
        plain("train", *begin), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not (folder / "config.json").exists():
        time.sleep(0.005)
    if not first:  # the imports, before which a signal just ends the process
        time.sleep(0.5)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_interrupted_anywhere_and_resumed_it_is_the_same_run(long, tmp_path, number):
    folder = tmp_path / "run"
    chance = random.Random(int(number))
    codes = []
    for i in range(4):
        process = started(folder, first=i == 0)
        time.sleep(chance.uniform(0.15, 0.35) if i == 0 else chance.uniform(0.0, 0.3))
        process.send_signal(number)
        process.communicate(timeout=60)
        codes.append(process.returncode)
    # -number: before or after the training; 0: it was done already
    assert set(codes) <= {128 + number, -number, 0}
    assert 128 + number in codes
    assert run("train", "--resume", folder, "--quiet") == 0
    assert contents(folder) == contents(long)
    assert not list(folder.glob(".*"))


def test_killed_it_goes_on_too(long, tmp_path):
    folder = tmp_path / "run"
    process = started(folder, first=True)
    time.sleep(0.3)
    process.kill()
    process.communicate()
    (folder / ".weights.npz.0.tmp").write_text("half")
    assert run("train", "--resume", folder, "--quiet") == 0
    assert contents(folder) == contents(long)
    assert not list(folder.glob(".*"))


def test_stopped_amid_an_epoch_it_says_how_to_go_on(whole, tmp_path, capsys):
    """The same in this process, at batches that are known."""
    folder, handler = tmp_path / "a run", signal.getsignal(signal.SIGINT)
    for batches in (1, 30, 40):
        begin = ["--resume", folder] if folder.exists() else [*SMALL, "--out", folder]
        with stopping_after(batches):
            assert run("train", *begin) == 130
        out = capsys.readouterr().out
        assert f"to go on: python -m dezero train --resume '{folder}'" in out
    assert signal.getsignal(signal.SIGINT) is handler
    assert run("train", "--resume", folder, "--quiet") == 0
    assert contents(folder) == contents(whole[0])


def test_a_finished_run_stays(whole, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(whole[0], folder)
    assert run("train", "--resume", folder) == 0
    assert "accuracy" in capsys.readouterr().out
    assert contents(folder) == contents(whole[0])


def test_an_existing_folder_is_not_touched(whole, tmp_path, capsys):
    before = {path: path.read_bytes() for path in whole[0].iterdir()}
    assert run("train", "--out", whole[0]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"--resume {whole[0]}" in err
    assert "another --out" in err
    assert before == {path: path.read_bytes() for path in whole[0].iterdir()}
    (tmp_path / "empty").mkdir()
    assert run("train", *TINY, "--out", tmp_path / "empty", "--quiet") == 0


def test_the_usual_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("train", *TINY, "--seed", 5, "--quiet") == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("-seed5")
    assert folder.name.startswith("20")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--epochs", "0"], "'0' is not an integer of at least 1"),
        (["--epochs", "x"], "'x' is not an integer"),
        (["--seed", "-1"], "at least 0"),
        (["--batch-size", "1.5"], "'1.5'"),
        (["--lr", "nan"], "'nan' is not a number above 0"),
        (["--lr", "-0.1"], "above 0"),
        (["--hidden", "8,,8"], "''"),
        (["--hidden", "8,8"], "the model cnn has one hidden layer"),
        (["--model", "rnn"], "'rnn'"),
        (["--split", "first"], "'first'"),
        (["--backend", "nope"], "no backend 'nope'"),
        (["--backend", "dask"], "--backend dask"),
        (["--device", "cuda:7"], "--device cuda:7"),
        (["--resume", "{tmp}/none"], "no run there"),
        (["--resume", "{tmp}/file"], "no run there"),
        (["--out", "{tmp}/file"], "cannot be made"),
        (["--out", "{tmp}/file/sub"], "cannot be made"),
        (["--resume", "{tmp}/a", "--out", "{tmp}/b"], "give one of them"),
        (["--resume", "{tmp}/broken"], "not readable as JSON"),
        (["--resume", "{tmp}/partial"], "config.json lacks"),
        (["--wrong"], "--wrong"),
        (["--epochs"], "expected one argument"),
    ],
)
def test_bad_arguments(tmp_path, capsys, arguments, match):
    (tmp_path / "file").write_text("")
    for name, text in ("broken", '{"seed": '), ("partial", '{"seed": 0}'):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(text)
    before = sorted(tmp_path.rglob("*"))
    out = ["--out", f"{tmp_path}/new"] if {"--out", "--resume"}.isdisjoint(arguments) else []
    assert run("train", *(a.format(tmp=tmp_path) for a in arguments), *out) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "error: " in captured.err
    assert match in captured.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_resumed_run_keeps_its_configuration(whole, capsys):
    assert run("train", "--resume", whole[0], "--epochs", 6, "--quiet") == 0
    assert run("train", "--resume", whole[0], "--batch-size", 7) == 2
    assert "--batch-size 7 differs from the run's 64" in capsys.readouterr().err


def test_other_versions_are_told(whole, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(whole[0], folder)
    config = json.loads((folder / "config.json").read_text())
    config["versions"]["numpy"] = "1.0"
    (folder / "config.json").write_text(json.dumps(config))
    assert run("train", "--resume", folder, "--quiet") == 0
    assert "numpy 1.0 and dezero" in capsys.readouterr().err


def test_a_damaged_checkpoint(tmp_path, capsys, caplog):
    folder, good = tmp_path / "run", tmp_path / "good"
    assert run("train", *SMALL, "--out", good, "--quiet") == 0
    for n, left in enumerate((50, 40)):  # two checkpoints, of runs stopped amid an epoch
        begin = ["--resume", folder] if n else [*SMALL, "--out", folder]
        with stopping_after(left):
            assert run("train", *begin, "--quiet") == 130
    older, newer = sorted(folder.glob("checkpoint-*.npz"))
    data = newer.read_bytes()
    newer.write_bytes(data[: len(data) // 2])
    assert run("train", "--resume", folder, "--quiet") == 0
    (line,) = caplog.messages
    assert f"{newer}: not a readable .npz file (no SHA-256 at the end of its" in line
    assert f"{older.name} is used in its place" in line
    assert contents(folder) == contents(good)
    for path in folder.glob("checkpoint-*.npz"):
        path.write_bytes(b"")
    capsys.readouterr()
    assert run("train", "--resume", folder) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "no checkpoint is readable: " in err


@contextlib.contextmanager
def stopping_after(batches):
    """Ctrl-C amid a batch of the run in this process."""
    step, left = cli.Trainer._batch, [batches]

    def stopping(self, batch, count):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, batch, count)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli.Trainer, "_batch", stopping)
        yield


def test_a_folder_in_use(tmp_path, capsys):
    folder = tmp_path / "run"
    with stopping_after(3):
        assert run("train", *SMALL, "--out", folder, "--quiet") == 130
    before = {path: path.read_bytes() for path in folder.iterdir()}
    script = (
        "import sys; from dezero.files import FolderLock\n"
        f"with FolderLock({str(folder)!r}): print('locked', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "locked\n"
    assert run("train", "--resume", folder) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"{folder} is in use by process {holder.pid} on " in err
    holder.kill()
    holder.communicate()
    assert before == {path: path.read_bytes() for path in folder.iterdir() if path.suffix}
    assert run("train", "--resume", folder, "--quiet") == 0


def test_no_command_and_a_wrong_one(capsys):
    assert run() == 2
    assert run("fly") == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_a_rate_that_is_too_large(tmp_path, capsys):
    assert run("train", *SMALL, "--lr", "1e30", "--out", tmp_path / "run") == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "in epoch 1, batch " in err
    assert "weights.npz" in err
    with np.load(tmp_path / "run" / "weights.npz") as weights:
        assert all(np.isfinite(weights[name]).all() for name in weights)


def test_without_matplotlib(tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run("train", *TINY, "--out", tmp_path / "run") == 0
    out = capsys.readouterr().out
    assert out.count('no pictures: plots need Matplotlib: pip install "dezero[viz]"') == 1
    assert not list((tmp_path / "run").glob("*.png"))


def test_a_full_disk_is_one_line(tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dezero.training.trainer.save_npz", full)
    assert run("train", *TINY, "--out", tmp_path / "run") == 1
    assert "No space left on device" in capsys.readouterr().err


def test_info(capsys):
    assert run("info") == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert np.__version__ in lines["NumPy"]
    assert dezero.__version__ in lines["dezero"]
    assert "array-api-compat" in lines
    assert "processors" in lines["threads"]
    assert len(lines["BLAS"].split()) >= 2
    assert "devices: cpu" in lines["numpy"]
    for name in backends.names():
        assert (
            "devices: " in lines[name]
            or "not installed" in lines[name]
            or ("not available: " in lines[name])
        )


def test_the_module_runs():
    out = subprocess.run(command("--version"), capture_output=True, text=True, check=True).stdout
    assert out.strip() == f"dezero {dezero.__version__}"


def test_a_lost_checkpoint_is_no_reason_to_start_again(whole, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(whole[0], folder)
    for path in folder.glob("checkpoint-*.npz"):
        path.unlink()
    before = contents(folder)
    assert run("train", "--resume", folder) == 2
    assert "no checkpoint is there, though 6 epochs were trained" in capsys.readouterr().err
    assert contents(folder) == before
