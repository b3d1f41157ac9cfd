"""Functions of scipy.cluster, scipy.constants, scipy.interpolate and scipy.ndimage."""

from __future__ import annotations

import numpy as np
from scipy import constants, interpolate, ndimage
from scipy.cluster import hierarchy, vq

from .measure import Chapter, names, normal, positive, rising, spaced, uniform

entry = Chapter("scipy")

# --- cluster, constants ---------------------------------------------------------------------------

entry("cluster.vq.whiten", lambda xp, x: vq.whiten(x), normal(6, 3))
entry(
    "cluster.vq.vq",
    lambda xp, x, c: vq.vq(x, c)[1],
    normal(6, 3),
    lambda rng: 5 * rng.standard_normal((2, 3)),
)
entry(
    "cluster.vq.kmeans",
    lambda xp, x: vq.kmeans(x, x[:2, :], iter=1),
    lambda rng: rng.standard_normal((6, 3)) + 9.0 * np.eye(6, 3),
    arguments="obs",
)
entry(
    "cluster.vq.kmeans2",
    lambda xp, x: vq.kmeans2(x, x[:2, :], iter=3, minit="matrix")[0],
    lambda rng: rng.standard_normal((6, 3)) + 9.0 * (np.arange(6) % 2)[:, None],
    arguments="data",
)
for name in names("single complete average weighted centroid median ward"):
    entry(
        f"cluster.hierarchy.{name}",
        lambda xp, x, name=name: getattr(hierarchy, name)(x)[:, 2],
        lambda rng: rng.uniform(1, 2, 6),
        arguments="y",
    )
entry(
    "cluster.hierarchy.cophenet",
    lambda xp, x: hierarchy.cophenet(hierarchy.average(x)),
    positive(6),
    arguments="Z",
)
entry(
    "cluster.hierarchy.linkage",
    lambda xp, x: hierarchy.linkage(x, "average")[:, 2],
    normal(5, 2),
    arguments="y",
)
entry(
    "constants.convert_temperature",
    lambda xp, x: constants.convert_temperature(x, "Celsius", "Fahrenheit"),
    normal(4),
    arguments="val",
)
entry("constants.lambda2nu", lambda xp, x: constants.lambda2nu(x), positive(4))
entry("constants.nu2lambda", lambda xp, x: constants.nu2lambda(x), positive(4))

# --- interpolate ----------------------------------------------------------------------------------

AT = uniform(0.2, 0.8, 5)
entry(
    "interpolate.RBFInterpolator",
    lambda xp, y, d, x: interpolate.RBFInterpolator(y, d)(x),
    uniform(0, 1, 6, 2),
    normal(6),
    uniform(0, 1, 4, 2),
)
for name in names(
    """
    CubicSpline PchipInterpolator Akima1DInterpolator make_interp_spline
    make_smoothing_spline KroghInterpolator BarycentricInterpolator AAA
    FloaterHormannInterpolator interp1d
    """
):
    entry(
        f"interpolate.{name}",
        lambda xp, x, y, at, name=name: getattr(interpolate, name)(x, y)(at),
        rising(7),
        normal(7),
        AT,
    )
entry(
    "interpolate.CubicHermiteSpline",
    lambda xp, x, y, d, at: interpolate.CubicHermiteSpline(x, y, d)(at),
    rising(7),
    normal(7),
    normal(7),
    AT,
)
entry(
    "interpolate.make_lsq_spline",
    lambda xp, x, y, at: interpolate.make_lsq_spline(
        x, y, xp.asarray([0.0] * 4 + [0.5] + [1.0] * 4)
    )(at),
    rising(9),
    normal(9),
    AT,
)
entry(
    "interpolate.make_splrep",
    lambda xp, x, y, at: interpolate.make_splrep(x, y)(at),
    rising(7),
    normal(7),
    AT,
)
entry(
    "interpolate.BSpline",
    lambda xp, c, at: interpolate.BSpline(xp.asarray([0.0] * 4 + [0.5] + [1.0] * 4), c, 3)(at),
    normal(5),
    AT,
    arguments="c, x",
)
entry(
    "interpolate.PPoly",
    lambda xp, c, at: interpolate.PPoly(c, xp.asarray([0.0, 0.5, 1.0]))(at),
    normal(3, 2),
    AT,
    arguments="c, x",
)
entry(
    "interpolate.BPoly",
    lambda xp, c, at: interpolate.BPoly(c, xp.asarray([0.0, 0.5, 1.0]))(at),
    normal(3, 2),
    AT,
    arguments="c, x",
)
entry(
    "interpolate.RegularGridInterpolator",
    lambda xp, v, at: interpolate.RegularGridInterpolator((xp.linspace(0.0, 1.0, 4),) * 2, v)(at),
    normal(4, 4),
    uniform(0.4, 0.6, 5, 2),
    arguments="values, xi",
)
entry(
    "interpolate.interpn",
    lambda xp, v, at: interpolate.interpn((xp.linspace(0.0, 1.0, 4),) * 2, v, at),
    normal(4, 4),
    uniform(0.4, 0.6, 5, 2),
    arguments="values, xi",
)
entry(
    "interpolate.NdBSpline",
    lambda xp, c, at: interpolate.NdBSpline((xp.asarray([0.0] * 4 + [1.0] * 4),), c, 3)(at),
    normal(4),
    uniform(0.2, 0.8, 5, 1),
    arguments="c, x",
)
entry(
    "interpolate.griddata",
    lambda xp, v: interpolate.griddata(
        np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), v, np.array([[0.4, 0.3]])
    ),
    normal(4),
    arguments="values",
)

# --- ndimage --------------------------------------------------------------------------------------

IMAGE = normal(5, 6)
for name in names("convolve correlate"):
    entry(
        f"ndimage.{name}",
        lambda xp, x, w, name=name: getattr(ndimage, name)(x, w),
        IMAGE,
        normal(3, 3),
    )
    entry(
        f"ndimage.{name}1d",
        lambda xp, x, w, name=name: getattr(ndimage, name + "1d")(x, w),
        IMAGE,
        normal(3),
    )
for name in names(
    """
    gaussian_filter gaussian_filter1d gaussian_laplace gaussian_gradient_magnitude
    uniform_filter uniform_filter1d fourier_gaussian fourier_shift fourier_uniform
    fourier_ellipsoid
    """
):
    entry(
        f"ndimage.{name}",
        lambda xp, x, name=name: getattr(ndimage, name)(x, 2),
        IMAGE,
        arguments="input",
    )
for name in names(
    """
    laplace sobel prewitt spline_filter spline_filter1d center_of_mass mean variance
    standard_deviation sum_labels
    """
):
    entry(
        f"ndimage.{name}",
        lambda xp, x, name=name: getattr(ndimage, name)(x),
        positive(5, 6),
        arguments="input",
    )
for name in names(
    """
    maximum_filter maximum_filter1d minimum_filter minimum_filter1d median_filter grey_dilation
    grey_erosion grey_opening grey_closing white_tophat black_tophat morphological_gradient
    morphological_laplace
    """
):
    entry(
        f"ndimage.{name}",
        lambda xp, x, name=name: getattr(ndimage, name)(x, 3),
        spaced(12),
        arguments="input",
    )
for name in names("percentile_filter rank_filter"):
    entry(
        f"ndimage.{name}",
        lambda xp, x, name=name: getattr(ndimage, name)(x, 1, 3),
        spaced(12),
        arguments="input",
    )
for name in names("maximum minimum median"):
    entry(
        f"ndimage.{name}",
        lambda xp, x, name=name: getattr(ndimage, name)(x),
        spaced(12),
        arguments="input",
    )
for name in names("generic_laplace generic_gradient_magnitude"):
    entry(
        f"ndimage.{name}",
        lambda xp, x, name=name: getattr(ndimage, name)(x, ndimage.sobel),
        IMAGE,
        arguments="input",
    )
entry(
    "ndimage.vectorized_filter",
    lambda xp, x: ndimage.vectorized_filter(x, xp.mean, size=3),
    IMAGE,
    arguments="input",
)
entry(
    "ndimage.generic_filter",
    lambda xp, x: ndimage.generic_filter(x, xp.mean, size=3),
    IMAGE,
    arguments="input",
)
entry(
    "ndimage.map_coordinates",
    lambda xp, x, c: ndimage.map_coordinates(x, c),
    IMAGE,
    uniform(1.2, 3.8, 2, 5),
)
entry(
    "ndimage.affine_transform",
    lambda xp, x, m: ndimage.affine_transform(x, m),
    IMAGE,
    lambda rng: np.eye(2) * 0.9,
)
entry("ndimage.zoom", lambda xp, x: ndimage.zoom(x, 1.5), IMAGE, arguments="input")
entry("ndimage.shift", lambda xp, x: ndimage.shift(x, 0.4), IMAGE, arguments="input")
entry("ndimage.rotate", lambda xp, x: ndimage.rotate(x, 20.0), IMAGE, arguments="input")
