"""The command line: ``python -m dezero train | info``."""

import argparse
import contextlib
import os
import platform
import re
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from . import __version__, backends, random
from . import functions as F
from .data import DataLoader, Digits, RandomAffine
from .files import LockedError
from .io import load_json, save_json
from .models import MLP, DigitsCNN, Model
from .optimizers import AdamW, CosineAnnealingLR
from .training import Accuracy, BestWeights, ConfusionMatrix, Scheduled, Trainer, progress
from .viz import plot_confusion, plot_curves, plot_images

__all__ = ["main"]

DEFAULTS: dict[str, Any] = {
    "model": "cnn",
    "split": "random",
    "backend": "numpy",
    "device": None,
    "seed": 0,
    "batch_size": 64,
    "weight_decay": 0.01,
}
MODELS: dict[str, dict[str, Any]] = {
    "cnn": {"epochs": 60, "lr": 0.003, "hidden": [128], "dropout": 0.4},
    "mlp": {"epochs": 100, "lr": 0.002, "hidden": [256, 256], "dropout": 0.2},
}


class _UsageError(ValueError):
    """What the user asked for cannot be done as asked: one line, exit code 2."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; those of the process without them.

    Returns:
        The exit code: 0; 1 if training failed; 2 for bad arguments; 128 and the signal's number
        if training was stopped by one.
    """
    args = _parser().parse_args(argv)
    try:
        return _train(args) if args.command == "train" else _info()
    except _UsageError as error:
        return _failed(args.command, error, 2)
    except (OSError, FloatingPointError) as error:
        return _failed(args.command, error, 1)
    except KeyboardInterrupt:
        return _failed(args.command, "interrupted", 128 + signal.SIGINT)


def _failed(command: str, error: object, code: int) -> int:
    print(f"dezero {command}: error: {error}", file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="dezero", description="Define-by-run automatic differentiation.")
    parser.add_argument("--version", action="version", version=f"dezero {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="train | info")
    commands.add_parser("info", help="say versions, backends, devices, BLAS")
    train = commands.add_parser(
        "train",
        help="train a network on handwritten digits",
        description="Train a network on 1,437 handwritten digits and validate it on 360 others. "
        "One seed gives one run, to the bit. Ctrl-C stops; --resume goes on as if it had not.",
        argument_default=argparse.SUPPRESS,  # so that a resumed run knows what was asked for
    )
    add = train.add_argument
    add("--model", choices=sorted(MODELS), help="convolutions (cnn, the default), or without")
    add(
        "--split",
        choices=("random", "last"),
        help="validate on a random 360 digits (default), or on the last, which others wrote",
    )
    add("--backend", metavar="NAME", help="array library: numpy (default), cupy, torch, jax, ...")
    add("--device", help="a device of the backend, such as cpu or cuda:0")
    add("--seed", type=_integer(0), metavar="N", help="of split, weights and order (default 0)")
    add("--epochs", type=_integer(1), metavar="N", help=f"default {_usual('epochs')}")
    add("--batch-size", type=_integer(1), metavar="N", help=f"default {DEFAULTS['batch_size']}")
    add("--lr", type=_rate, metavar="RATE", help=f"learning rate (default {_usual('lr')})")
    add("--hidden", type=_sizes, metavar="N,N", help=f"sizes of hidden layers ({_usual('hidden')})")
    add("--out", type=Path, metavar="DIR", help="a new run folder (runs/TIME-seedN)")
    add("--resume", type=Path, metavar="DIR", help="go on with the run in this folder")
    add("--quiet", action="store_true", help="print errors only")
    return parser


def _usual(name: str) -> str:
    """What an option is by default with each model."""
    values = {model: options[name] for model, options in MODELS.items()}
    texts = {m: ",".join(map(str, v)) if isinstance(v, list) else str(v) for m, v in values.items()}
    return ", ".join(f"{text} for {model}" for model, text in texts.items())


def _integer(least: int) -> Any:
    def integer(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            msg = f"{text!r} is not an integer of at least {least}"
            raise argparse.ArgumentTypeError(msg)
        return value

    return integer


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        msg = f"{text!r} is not a number above 0"
        raise argparse.ArgumentTypeError(msg)
    return value


def _sizes(text: str) -> list[int]:
    return [_integer(1)(size) for size in text.split(",")]


def _train(args: argparse.Namespace) -> int:
    known = DEFAULTS.keys() | MODELS["cnn"].keys()
    given = {key: value for key, value in vars(args).items() if key in known}
    quiet = "quiet" in args
    if "resume" in args:
        folder = args.resume
        if "out" in args and args.out != folder:
            msg = "--out is for a new run, --resume for one that exists: give one of them"
            raise _UsageError(msg)
        config = _resumed(folder, given)
    else:
        config = DEFAULTS | MODELS[given.get("model", DEFAULTS["model"])] | given
        if config["model"] == "cnn" and len(config["hidden"]) != 1:
            sizes = ",".join(map(str, config["hidden"]))
            msg = (
                f"--hidden {sizes}: the model cnn has one hidden layer; --model mlp has any number"
            )
            raise _UsageError(msg)
    _check_place(config["backend"], config["device"])
    if "resume" not in args:
        folder = getattr(args, "out", None) or _default_folder(config["seed"])
        _create(folder, config)

    trainer, valid = _digits_job(folder, config, quiet)
    with _stopping(trainer) as stopped:
        try:
            trainer.prepare()
        except LockedError as error:
            msg = f"--resume {error}"
            raise _UsageError(msg) from None
        except ValueError as error:
            raise _UsageError("; ".join(map(str.strip, str(error).splitlines()))) from None
        try:
            finished = trainer.run()
        except FloatingPointError as error:
            good = len(trainer.rows)
            what = f"after epoch {good}" if good else "from before the training"
            msg = f"{error}; {folder / 'weights.npz'} holds those {what}; try a smaller --lr"
            raise FloatingPointError(msg) from None
        if finished:
            _finish(trainer, valid, folder, quiet)
            return 0
    if not quiet:
        print(
            f"stopped in epoch {len(trainer.rows) + 1} of {trainer.epochs}; to go on: "
            f"python -m dezero train --resume {shlex.quote(str(folder))}"
        )
    return 128 + stopped[0]


def _resumed(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the run in ``folder``; what is given now must agree with it."""
    try:
        config = load_json(folder / "config.json")
        missing = (DEFAULTS.keys() | MODELS["cnn"].keys()) - config.keys()
    except (FileNotFoundError, NotADirectoryError):
        msg = f"--resume {folder}: no run there (no config.json)"
        raise _UsageError(msg) from None
    except (ValueError, AttributeError) as error:
        msg = f"--resume {folder}: {error}"
        raise _UsageError(msg) from None
    if missing:
        msg = f"--resume {folder}: config.json lacks {', '.join(sorted(missing))}"
        raise _UsageError(msg)
    metrics = folder / "metrics.csv"
    # The checkpoint of an epoch is written after its row: one row may stand without it.
    if metrics.exists() and not any(folder.glob("checkpoint-*.npz")):
        epochs = len(metrics.read_text().splitlines()) - 1
        if epochs > 1:
            msg = f"--resume {folder}: no checkpoint is there, though {epochs} epochs were trained"
            raise _UsageError(msg)
    for key, value in given.items():
        if config[key] != value:
            msg = (
                f"--{key.replace('_', '-')} {value} differs from the run's {config[key]}; "
                "a resumed run keeps its configuration, for another give --out"
            )
            raise _UsageError(msg)
    begun = config.get("versions", {})
    if begun != _versions():
        text = " and ".join(
            " ".join(f"{k} {v}" for k, v in d.items()) for d in (begun, _versions())
        )
        print(f"warning: {folder}: begun and resumed with {text}: bits may differ", file=sys.stderr)
    return config


def _check_place(backend: str, device: Any) -> None:
    """Put one number on the device, so that a wrong name is known before anything is written."""
    if backend == "dask":
        msg = "--backend dask: its arrays are recipes, which would grow with every update"
        raise _UsageError(msg)
    try:
        library = backends.available(backend)
        library.to_numpy(library.from_numpy(np.zeros(1, np.float32), device))
    except Exception as error:
        where = f"--backend {backend}" + (f" --device {device}" if device else "")
        first = (str(error).splitlines() or [""])[0]
        msg = f"{where}: {first or type(error).__name__}"
        raise _UsageError(msg) from error


def _default_folder(seed: int) -> Path:
    return Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-seed{seed}"


def _create(folder: Path, config: dict[str, Any]) -> None:
    """Make the run folder; one with anything in it is left as it is."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        empty = not any(folder.iterdir())
    except OSError as error:
        msg = f"--out {folder}: cannot be made: {error.strerror}"
        raise _UsageError(msg) from None
    if not empty:
        msg = f"--out {folder} exists already: go on with --resume {folder}, or give another --out"
        raise _UsageError(msg)
    save_json(folder / "config.json", config | {"data": "digits", "versions": _versions()})


def _versions() -> dict[str, str]:
    """What else than the configuration the bits of a run depend on."""
    return {
        "dezero": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _digits_job(folder: Path, config: dict[str, Any], quiet: bool) -> tuple[Trainer, DataLoader]:
    """The network, its data and its trainer: all a function of the configuration."""
    random.seed(config["seed"])
    if config["split"] == "last":
        train, test = Digits(), Digits(train=False)
    else:
        train, test = Digits.split(config["seed"])
    model: Model
    if config["model"] == "cnn":
        model = DigitsCNN(hidden=config["hidden"][0], dropout=config["dropout"])
    else:
        model = MLP((*config["hidden"], 10), activation=F.relu, dropout=config["dropout"])
    optimizer = AdamW(alpha=config["lr"], weight_decay=config["weight_decay"]).setup(model)
    batches = DataLoader(train, config["batch_size"])
    valid = DataLoader(test, len(test), shuffle=False)
    schedule = CosineAnnealingLR(optimizer, config["epochs"] * len(batches))
    trainer = Trainer(
        model,
        optimizer,
        batches,
        valid,
        folder,
        epochs=config["epochs"],
        backend=config["backend"],
        device=config["device"],
        metrics={"accuracy": Accuracy()},
        callbacks=[Scheduled(schedule), BestWeights("valid_accuracy"), *progress(quiet)],
        augment=RandomAffine((8, 8)),
    )
    return trainer, valid


@contextlib.contextmanager
def _stopping(trainer: Trainer) -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM stop after the batch; the list then holds the signal.

    A second Ctrl-C stops at once. Once the training is done, the pictures are finished first.
    """
    stopped: list[int] = []

    def handle(number: int, _frame: Any) -> None:
        if stopped and number == signal.SIGINT:
            raise KeyboardInterrupt
        stopped.append(number)
        trainer.stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _finish(trainer: Trainer, valid: DataLoader, folder: Path, quiet: bool) -> None:
    """Draw the pictures, and say what was reached."""
    scores, truth = trainer.predict(valid)
    read = scores.argmax(axis=1)
    right = int((truth == read).sum())
    note = ""
    try:
        plot_curves(folder / "curves.png", trainer.rows)
        plot_confusion(folder / "confusion.png", ConfusionMatrix(10)(scores, truth))
        wrong = np.flatnonzero(truth != read)
        plot_images(
            folder / "misread.png",
            list(valid.dataset.images()[wrong]),
            [f"{t}, read as {r}" for t, r in zip(truth[wrong], read[wrong], strict=True)],
            f"{len(wrong)} of {len(truth)} misread",
        )
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        note = f"no pictures: {error}"
    if quiet:
        return
    if note:
        print(note)
    last = trainer.rows[-1]
    best = max(trainer.rows, key=lambda row: row["valid_accuracy"])
    print(
        f"accuracy {right / len(truth):.2%}: {right} of {len(truth)} digits that it was not "
        f"trained on; best {best['valid_accuracy']:.2%} in epoch {best['epoch']}; "
        f"{last['epoch']} epochs in {last['seconds']:.1f} s"
    )
    files = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    print(f"{folder}: {' '.join(files)}")


def _info() -> int:
    """Print versions, backends, devices, BLAS and threads."""
    rows = [
        ("dezero", __version__),
        ("Python", f"{platform.python_version()} ({platform.system()} {platform.machine()})"),
        ("NumPy", np.__version__),
        ("array-api-compat", metadata.version("array-api-compat")),
        ("BLAS", _blas()),
        ("threads", _threads()),
    ]
    for name, text in rows:
        print(f"{name:17} {text}")
    print("\nbackends")
    for name in backends.names():
        print(f"  {name:15} {_backend(name)}", flush=True)
    return 0


def _backend(name: str) -> str:
    """A backend's version and devices, or why there are none."""
    try:
        backend = backends.get(name)
    except ImportError as error:
        return f"not installed ({error.__cause__ or error})"
    root = {"strict": "array_api_strict"}.get(name, name)
    version = getattr(sys.modules.get(root), "__version__", "of unknown version")
    why = backend.why_unavailable()
    if why is not None:
        return f"{version}, not available: {why}"
    devices = [_quoted.sub(r"\1", str(device)) for device in backend.devices()]
    return f"{version}, devices: {', '.join(devices)}"


_quoted = re.compile(r".*Device\('(.*)'\)$")  # array-api-strict's devices show their class


def _blas() -> str:
    """The BLAS library that NumPy was built with."""
    config = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


def _threads() -> str:
    """How many threads the linear algebra may use: the processors, and what was set."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    names = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"
    limits = [f"{name}={os.environ[name]}" for name in names if name in os.environ]
    return f"{usable} processors{', ' if limits else ''}{', '.join(limits)}"
