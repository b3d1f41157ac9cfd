"""What the networks for photographs share: their inputs, variants and released weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from .model import Model

__all__ = ["VARIANTS", "ImageModel", "preprocess"]

VARIANTS = ("book", "torchvision")

# Of ImageNet: the first of the pixels 0 to 255 in blue, green, red, the others of 0 to 1 in RGB.
_MEAN_BGR = (103.939, 116.779, 123.68)
_MEAN_RGB = (0.485, 0.456, 0.406)
_DEVIATION_RGB = (0.229, 0.224, 0.225)


def preprocess(
    image: Any,
    size: tuple[int, int] | None = (224, 224),
    dtype: Any = np.float32,
    *,
    variant: str = "book",
) -> np.ndarray:
    """A picture as the input of a network that was trained on ImageNet: ``(3, H, W)``.

    The book's networks (Chainer's, Caffe's) take blue, green, red from 0 to 255 with the mean
    subtracted; torchvision's take red, green, blue from 0 to 1, normalized.

    Args:
        image: A Pillow image, of any mode.
        size: Width and height that it is resized to; None: as it is. (torchvision's own
            evaluation resizes to 256 and cuts out the middle 224; `dezero.transforms` has both.)
        dtype: Of the result.
        variant: ``"book"`` or ``"torchvision"``.

    Raises:
        ValueError: There is no such variant.
    """
    _check("preprocess", variant)
    image = image.convert("RGB")
    if size:
        image = image.resize(size)
    pixels = np.asarray(image, dtype)
    if variant == "book":
        pixels = pixels[:, :, ::-1] - np.array(_MEAN_BGR, dtype)
    else:
        pixels = (pixels / 255 - np.array(_MEAN_RGB, dtype)) / np.array(_DEVIATION_RGB, dtype)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype)


class ImageModel(Model):
    """A network for photographs, in the variant of the book or of torchvision.

    Args:
        variant: ``"book"`` or ``"torchvision"``.

    Raises:
        ValueError: There is no such variant.
    """

    def __init__(self, variant: str) -> None:
        super().__init__()
        _check(type(self).__name__, variant)
        self.variant = variant

    @staticmethod
    def preprocess(
        image: Any,
        size: tuple[int, int] | None = (224, 224),
        dtype: Any = np.float32,
        *,
        variant: str = "book",
    ) -> np.ndarray:
        """See `dezero.models.images.preprocess`."""
        return preprocess(image, size, dtype, variant=variant)

    def load_released(self, url: str | None) -> None:
        """Load the weights that the book released at ``url``, from the cache if they are there."""
        name = type(self).__name__
        if url is None:
            msg = f"{name}: the book released no weights for it; pretrained=True is not possible"
            raise ValueError(msg)
        if self.variant != "book":
            msg = (
                f"{name}: pretrained=True loads the book's weights, which variant="
                f"{self.variant!r} cannot use; dezero.weights.load_into loads a file of torchvision"
            )
            raise ValueError(msg)
        from ..downloads import get_file

        self.load_weights(get_file(url))


def _check(name: str, variant: str) -> None:
    if variant not in VARIANTS:
        msg = f"{name}: variant is {variant!r}, expected {' or '.join(map(repr, VARIANTS))}"
        raise ValueError(msg)
