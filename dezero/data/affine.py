"""Small random turns, stretches and shifts of small pictures, as matrices over their pixels."""

import numpy as np

from .draws import example_generator

__all__ = ["RandomAffine"]


class RandomAffine:
    """Turn, stretch, slant and shift small grey pictures, each a little and by chance.

    Every picture goes through one of ``count`` maps that are drawn once, which one is drawn anew
    for every picture. Between pixels the value is interpolated linearly, outside it is 0. Such a
    map is a matrix over the pixels, of ``(H W)²`` numbers: for pictures of up to about 16x16.

    Args:
        shape: Height and width of the pictures.
        angle: The largest turn, in degrees.
        stretch: The largest change of size, as a natural logarithm, of each axis by itself.
        slant: The largest shear.
        shift: The largest shift, in pixels, along each axis.
        count: How many maps.

    Example:
        >>> import numpy as np
        >>> warp = RandomAffine((8, 8))
        >>> warp(np.ones((5, 64), np.float32)).shape
        (5, 64)
    """

    def __init__(
        self,
        shape: tuple[int, int],
        angle: float = 12.0,
        stretch: float = 0.12,
        slant: float = 0.15,
        shift: float = 0.35,
        count: int = 512,
    ) -> None:
        self.shape = shape
        rng = example_generator()
        turn = np.deg2rad(rng.uniform(-angle, angle, count))
        cos, sin = np.cos(turn), np.sin(turn)
        sizes = np.exp(rng.uniform(-stretch, stretch, (2, count)))
        shear = rng.uniform(-slant, slant, count)
        # rotation @ [[1, shear], [0, 1]] @ diag(sizes), on (x, y) from the middle
        linear = np.array([[cos, cos * shear - sin], [sin, sin * shear + cos]]) * sizes
        self._maps = _matrices(shape, linear, rng.uniform(-shift, shift, (2, count)))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Changed copies of ``images``, floating ``(N, H W)`` on the host."""
        pixels = self.shape[0] * self.shape[1]
        if images.ndim != 2 or images.shape[1] != pixels:
            msg = f"RandomAffine: images of shape {images.shape}, (N, {pixels}) is expected"
            raise ValueError(msg)
        chosen = example_generator().integers(len(self._maps), size=len(images))
        maps = self._maps[chosen].astype(images.dtype, copy=False)
        return (images[:, None, :] @ maps)[:, 0]


def _matrices(shape: tuple[int, int], linear: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Linear interpolation at mapped places as matrices ``(count, H W, H W)``, float32.

    Args:
        shape: Height and width.
        linear: ``(2, 2, count)``, from places in the result to places in the picture, as (x, y).
        shift: ``(2, count)``, in pixels.
    """
    height, width = shape
    y, x = (axis.ravel() for axis in np.mgrid[:height, :width])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])[:, None]
    places = np.einsum("ijk,jp->ikp", linear, np.array([x, y]) - middle)
    places += (shift + middle)[:, :, None]
    corner = np.floor(places).astype(int)
    matrices = np.zeros((linear.shape[2], height * width, height * width), np.float32)
    for step in (0, 0), (0, 1), (1, 0), (1, 1):
        pixel = corner + np.array(step)[:, None, None]
        weight = (1 - np.abs(places - pixel)).prod(axis=0)
        inside = (
            (pixel[0] >= 0) & (pixel[0] < width) & (pixel[1] >= 0) & (pixel[1] < height)
        ).nonzero()
        source = pixel[1][inside] * width + pixel[0][inside]
        matrices[inside[0], source, inside[1]] = weight[inside]
    return matrices
