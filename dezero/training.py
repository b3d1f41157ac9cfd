"""Training a classifier: epochs, validation, progress, and a run folder to go on from."""

import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import backends
from . import functions as F
from .config import no_grad, test_mode
from .core import Variable
from .data import DataLoader
from .io import checkpoint, load_npz, restore, save_csv, save_npz
from .layers import Layer
from .optimizers import Optimizer

__all__ = ["Bar", "Lines", "Report", "Trainer", "cosine", "report"]


class Report:
    """Is told how the training goes. This one keeps silent; subclasses override any method."""

    def begin(self, done: int, total: int, size: int) -> None:
        """Training begins at epoch ``done`` of ``total``, each of ``size`` examples."""

    def batch(self, epoch: int, size: int, loss: float, accuracy: float) -> None:
        """A batch of ``size`` examples is done; the means are of this epoch so far."""

    def epoch(self, row: dict[str, Any]) -> None:
        """An epoch is done, validation too."""

    def end(self) -> None:
        """Training has ended, or was stopped."""


class Trainer:
    """Trains a classifier with the softmax cross-entropy, and keeps a run folder.

    The folder holds ``checkpoint.npz``, from which `run` goes on to the bit, ``metrics.csv`` with a
    row an epoch, ``weights.npz`` of the last epoch and ``weights-best.npz`` of the epoch with the
    best validation. They tell of whole epochs only, and are written every few seconds, at the
    end, when stopped, and when an exception ends the training.

    Args:
        model: Gives scores ``(N, classes)``.
        optimizer: Set up with ``model``.
        train: Shuffled batches ``(x, t)`` of NumPy arrays, ``t`` integers ``(N,)``.
        valid: Batches to validate with after each epoch.
        folder: The run folder, which exists.
        epochs: How many epochs in all, those before a resumption included.
        backend, device: Where to compute.
        augment: A function of a batch ``x``, used in training.
        schedule: Called before each update with the share of the training done, from 0 to 1.
        report: Who is told.
        interval: Seconds between writing.

    Attributes:
        rows: What ``metrics.csv`` holds.
        best: The ``epoch`` and ``accuracy`` of the best validation.
    """

    def __init__(
        self,
        model: Layer,
        optimizer: Optimizer,
        train: DataLoader,
        valid: DataLoader,
        folder: str | os.PathLike[str],
        *,
        epochs: int,
        backend: str = "numpy",
        device: Any = None,
        augment: Callable[[np.ndarray], np.ndarray] | None = None,
        schedule: Callable[[float], None] | None = None,
        report: Report | None = None,
        interval: float = 5.0,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.train = train
        self.valid = valid
        self.folder = Path(folder)
        self.epochs = epochs
        self.augment = augment
        self.schedule = schedule
        self.report = report or Report()
        self.interval = interval
        self.rows: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {"epoch": 0, "accuracy": -1.0}
        self._backend = backends.get(backend)
        self._device = device
        self._stopping = False
        self._best_weights: dict[str, np.ndarray] | None = None
        self._snapshot: dict[str, np.ndarray] = {}
        self._written = 0.0
        self._fresh = False

    def stop(self) -> None:
        """Have `run` end after the current batch; may be called by a signal handler."""
        self._stopping = True

    def run(self) -> bool:
        """Train, from the folder's checkpoint if there is one.

        Returns:
            True when all epochs are done, False when stopped before.

        Raises:
            FloatingPointError: The loss is infinite or not a number: the message says where. The
                weights in the folder are those after the last good epoch.
        """
        if not self._snapshot:
            self.prepare()
        self.report.begin(len(self.rows), self.epochs, self.train.data_size)
        try:
            # What is not finite is found by looking at the loss.
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                while len(self.rows) < self.epochs:
                    if not self._epoch(len(self.rows)):
                        return False
                    if time.monotonic() - self._written > self.interval:
                        self._write()
        finally:
            self.report.end()
            self._write()
        return True

    def prepare(self) -> None:
        """Give the parameters their data by one example, and load the checkpoint if there is one.

        `run` does so itself.

        Raises:
            ValueError: The checkpoint is damaged, or does not fit the model.
        """
        x, _ = self.train.dataset[:1]
        with no_grad(), test_mode():
            self.model(self._placed(x))
        path = self.folder / "checkpoint.npz"
        if path.exists():
            self._snapshot = load_npz(path)
            progress = restore(self._snapshot, self.model, self.optimizer, self.train, str(path))
            self.rows, self.best = progress["rows"], progress["best"]
        else:
            self._take()
        self._written = time.monotonic()

    def predict(self, loader: DataLoader) -> tuple[np.ndarray, np.ndarray, float]:
        """Labels, what the model reads instead (both int64 ``(N,)``), and the mean loss."""
        truth, read, total = [], [], 0.0
        with no_grad(), test_mode():
            for x, t in loader:
                scores = self.model(self._placed(x))
                loss = F.softmax_cross_entropy(scores, self._placed(t))
                total += float(self._host(loss)) * len(t)
                truth.append(t)
                read.append(self._host(scores).argmax(axis=1))
        return np.concatenate(truth), np.concatenate(read), total / loader.data_size

    def _epoch(self, epoch: int) -> bool:
        """One epoch with its validation; False if stopped before its end."""
        begin = time.perf_counter()
        batches = self.train.max_iter
        total, right, seen = 0.0, 0, 0
        for i, (x, t) in enumerate(self.train):
            if self._stopping:
                return False
            if self.schedule is not None:
                self.schedule((epoch * batches + i) / (self.epochs * batches))
            loss, correct = self._step(x, t)
            if not math.isfinite(loss):
                msg = f"the loss is {loss} in epoch {epoch + 1}, batch {i + 1} of {batches}"
                raise FloatingPointError(msg)
            total, right, seen = total + loss * len(t), right + correct, seen + len(t)
            self.report.batch(epoch + 1, len(t), total / seen, right / seen)
        trained = time.perf_counter() - begin
        truth, read, valid_loss = self.predict(self.valid)
        if not math.isfinite(valid_loss):
            msg = f"the loss is {valid_loss} in the validation after epoch {epoch + 1}"
            raise FloatingPointError(msg)
        accuracy = float((truth == read).mean())
        before = self.rows[-1]["seconds"] if self.rows else 0.0
        row = {
            "epoch": epoch + 1,
            "loss": total / seen,
            "accuracy": right / seen,
            "valid_loss": valid_loss,
            "valid_accuracy": accuracy,
            "seconds": round(before + time.perf_counter() - begin, 3),
            "samples_per_second": round(seen / trained),
        }
        self.rows.append(row)
        if accuracy > self.best["accuracy"]:
            self.best = {"epoch": epoch + 1, "accuracy": accuracy}
            self._best_weights = self.model.weights()
        self._take()
        self.report.epoch(row)
        return True

    def _step(self, x: np.ndarray, t: np.ndarray) -> tuple[float, int]:
        """One update: the loss, and how many were read right."""
        scores = self.model(self._placed(x if self.augment is None else self.augment(x)))
        loss = F.softmax_cross_entropy(scores, self._placed(t))
        self.model.cleargrads()
        loss.backward()
        self.optimizer.update()
        return float(self._host(loss)), int((self._host(scores).argmax(axis=1) == t).sum())

    def _take(self) -> None:
        """Keep a checkpoint in memory: a stop amid the next epoch goes back to it."""
        progress = {"rows": self.rows, "best": self.best}
        self._snapshot = checkpoint(self.model, self.optimizer, self.train, progress)
        self._fresh = True

    def _write(self) -> None:
        """Write the run folder, the checkpoint last: the others follow from it once more."""
        if not self._fresh:
            return
        if self._best_weights is not None:
            save_npz(self.folder / "weights-best.npz", self._best_weights)
            self._best_weights = None
        weights = {
            name.removeprefix("model/"): array
            for name, array in self._snapshot.items()
            if name.startswith("model/")
        }
        save_npz(self.folder / "weights.npz", weights)
        save_csv(self.folder / "metrics.csv", self.rows)
        save_npz(self.folder / "checkpoint.npz", self._snapshot, compress=False)
        self._written = time.monotonic()
        self._fresh = False

    def _placed(self, array: np.ndarray) -> Any:
        return self._backend.from_numpy(array, self._device)

    def _host(self, x: Variable) -> np.ndarray:
        return self._backend.to_numpy(x.data)


def cosine(progress: float) -> float:
    """The share of the rate to use: from 1 at ``progress`` 0 along half a cosine to 0 at 1.

    Example:
        >>> [round(cosine(p), 3) for p in (0, 0.5, 1)]
        [1.0, 0.5, 0.0]
    """
    return 0.5 * (1 + math.cos(math.pi * progress))


class Bar(Report):
    """A live bar on the terminal, by tqdm.

    Raises:
        ModuleNotFoundError: tqdm is not installed.
    """

    def __init__(self) -> None:
        from tqdm import tqdm

        self._tqdm = tqdm

    def begin(self, done: int, total: int, size: int) -> None:
        self._epochs = total
        self._valid = ""
        self._bar = self._tqdm(
            total=total * size,
            initial=done * size,
            unit=" samples",
            unit_scale=True,
            dynamic_ncols=True,
        )

    def batch(self, epoch: int, size: int, loss: float, accuracy: float) -> None:
        self._bar.set_description_str(f"epoch {epoch}/{self._epochs}", refresh=False)
        text = f"loss {loss:.4f}, accuracy {accuracy:.1%}{self._valid}"
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(size)

    def epoch(self, row: dict[str, Any]) -> None:
        self._valid = f", validation {row['valid_accuracy']:.1%}"

    def end(self) -> None:
        self._bar.close()


class Lines(Report):
    """About twenty lines of text in all, for logs and for where tqdm is not installed."""

    def begin(self, done: int, total: int, size: int) -> None:
        self._total, self._size = total, size
        self._every = max(1, total // 20)
        self._begin, self._first = time.perf_counter(), done

    def epoch(self, row: dict[str, Any]) -> None:
        epoch = row["epoch"]
        if epoch % self._every and epoch != self._total:
            return
        each = (time.perf_counter() - self._begin) / (epoch - self._first)
        print(
            f"epoch {epoch:{len(str(self._total))}}/{self._total}  loss {row['loss']:.4f}  "
            f"accuracy {row['accuracy']:.1%}  validation {row['valid_accuracy']:.1%}  "
            f"{row['samples_per_second']:,} samples/s  {each * (self._total - epoch):.0f} s left",
            flush=True,
        )


def report(quiet: bool = False) -> Report:
    """A `Bar` on a terminal that has tqdm, `Lines` elsewhere; nobody if ``quiet``."""
    if quiet:
        return Report()
    if sys.stderr.isatty():
        try:
            return Bar()
        except ModuleNotFoundError:
            print("tqdm is not installed: lines instead of a bar", flush=True)
    return Lines()
