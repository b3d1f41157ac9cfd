"""Pictures. Matplotlib is loaded when the first one is drawn."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .files import atomic_write

__all__ = ["confusion_matrix", "plot_confusion", "plot_curves", "plot_images"]


def confusion_matrix(truth: np.ndarray, read: np.ndarray, classes: int) -> np.ndarray:
    """How often class ``i`` was read as class ``j``: int64 ``(classes, classes)``.

    Args:
        truth: The labels, integers ``(N,)``.
        read: What was read instead, integers ``(N,)``.
        classes: The number of classes.

    Example:
        >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 0]), 2).tolist()
        [[1, 0], [1, 1]]
    """
    pairs = np.asarray(truth) * classes + np.asarray(read)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def plot_curves(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw loss and accuracy over the epochs to a PNG file, atomically.

    Args:
        path: The file.
        rows: One mapping an epoch, with ``epoch``, ``loss``, ``valid_loss``, ``accuracy`` and
            ``valid_accuracy``; accuracies are shares from 0 to 1.

    Raises:
        ModuleNotFoundError: Matplotlib is not installed.
    """
    figure = _figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in rows]
    for axes, name, factor in (left, "loss", 1), (right, "accuracy", 100):
        axes.plot(epochs, [row[name] * factor for row in rows], label="while training")
        axes.plot(epochs, [row[f"valid_{name}"] * factor for row in rows], label="validation")
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    left.set_title("loss")
    left.set_yscale("log")
    right.set_title("accuracy (%)")
    _save(figure, path)


def plot_confusion(path: str | os.PathLike[str], counts: np.ndarray) -> None:
    """Draw a `confusion_matrix` to a PNG file, atomically.

    Raises:
        ModuleNotFoundError: Matplotlib is not installed.
    """
    figure = _figure(5.4, 5)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.argwhere(counts):
        color = "white" if shares[i, j] > 0.5 else "black"
        axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=color)
    axes.set_xticks(range(len(counts)))
    axes.set_yticks(range(len(counts)))
    axes.set_xlabel("read as")
    axes.set_ylabel("is")
    right = int(np.trace(counts))
    axes.set_title(f"{right} of {counts.sum()} right")
    _save(figure, path)


def plot_images(
    path: str | os.PathLike[str],
    images: Sequence[np.ndarray],
    captions: Sequence[str],
    title: str = "",
) -> None:
    """Draw a sheet of grey pictures, each with a caption, to a PNG file, atomically.

    Args:
        path: The file.
        images: Arrays ``(H, W)``; the largest number is black. The first 60 are drawn.
        captions: As many.
        title: Above the sheet.

    Raises:
        ModuleNotFoundError: Matplotlib is not installed.
    """
    images, captions = images[:60], captions[:60]
    columns = max(1, min(10, len(images)))
    rows = max(1, -(-len(images) // columns))
    figure = _figure(max(3.2, 1.1 * columns), 1.35 * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, image, caption in zip(grid, images, captions, strict=False):
        axes.imshow(image, cmap="gray_r")
        axes.set_title(caption, fontsize=8)
    figure.suptitle(title, fontsize=10)
    _save(figure, path)


def _figure(width: float, height: float) -> Any:
    # Not pyplot: that would choose a window system and keep the figure.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: str | os.PathLike[str]) -> None:
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)
