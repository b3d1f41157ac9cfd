"""A call of a function on array-api-strict and on Variables, and what may differ between them."""

import os
from typing import Any

import array_api_strict
import numpy as np
from hypothesis import HealthCheck, Phase, settings

from dezero import Variable, backends
from dezero.namespace import namespace

from .calls import A, converted

MORE = int(os.environ.get("DEZERO_EXAMPLES", "1"))


def quick(examples):
    """Settings of hypothesis: the same examples in every run."""
    return settings(
        deadline=None,
        derandomize=True,
        database=None,
        max_examples=max(1, examples) * MORE,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


def found(name, space):
    outer, _, inner = name.rpartition(".")
    return getattr(getattr(space, outer) if outer else space, inner)


def name_of(dtype):
    return str(dtype).rpartition(".")[2]


class Strict:
    """Calls on array-api-strict."""

    space = array_api_strict

    @staticmethod
    def array(a: A) -> Any:
        return array_api_strict.asarray(np.array(a.values))

    def call(self, name, args, kwargs):
        args, kwargs = converted((args, kwargs), self.array, lambda d: getattr(self.space, d))
        if name == "isin" and kwargs.get("invert"):  # array-api-strict 2.6.1 forgets it
            return self.space.logical_not(self.space.isin(*args))
        return found(name, self.space)(*args, **kwargs)


class Raw:
    """Calls on arrays of a library, without Variables, in the dress of array-api-compat."""

    def __init__(self, space, lane=None):
        self.space, self.lane = space, lane

    def array(self, a: A) -> Any:
        return np.array(a.values) if self.lane is None else self.lane.array(a.values)

    def call(self, name, args, kwargs):
        args, kwargs = converted((args, kwargs), self.array, lambda d: getattr(self.space, d))
        return found(name, self.space)(*args, **kwargs)


class Ours:
    """Calls on Variables of a lane; with ``recorded`` every floating operand wants a gradient."""

    def __init__(self, lane, recorded=False):
        self.lane, self.recorded = lane, recorded
        self.space = namespace(lane.xp)

    def array(self, a: A) -> Variable:
        wanted = self.recorded and not a.fixed and a.values.dtype.kind in "fc"
        return self.lane.variable(a.values, requires_grad=wanted)

    def call(self, name, args, kwargs):
        args, kwargs = converted((args, kwargs), self.array, lambda d: getattr(self.space, d))
        return found(name, self.space)(*args, **kwargs)


def numpy_of(x):
    x = x.data if isinstance(x, Variable) else x
    return np.asarray(backends.backend_of(x).to_numpy(x))


def leaves(tree):
    """The arrays in a result."""
    if isinstance(tree, (tuple, list)):
        return [x for part in tree for x in leaves(part)]
    return [tree] if hasattr(tree, "shape") else []


def dtypes_of(result):
    """The dtypes of a result's arrays, by name."""
    return [name_of(x.dtype) for x in leaves(result)]


LIMITS = ("bits", "eps", "max", "min", "smallest_normal")


def agree(given, expected, *, values=True, exact=False):
    """Assert that a result is that of array-api-strict: kinds, shapes, dtypes, values."""
    if isinstance(expected, (tuple, list)):
        assert isinstance(given, (tuple, list))
        assert len(given) == len(expected)
        assert getattr(given, "_fields", None) == getattr(expected, "_fields", None)
        for a, b in zip(given, expected, strict=True):
            agree(a, b, values=values, exact=exact)
    elif isinstance(expected, array_api_strict._array_object.Array):
        assert isinstance(given, Variable)
        assert given.shape == expected.shape
        assert name_of(given.dtype) == name_of(expected.dtype)
        if values:
            close(numpy_of(given), numpy_of(expected), exact)
    elif hasattr(expected, "smallest_normal") or hasattr(expected, "bits"):
        for limit in LIMITS:
            if hasattr(expected, limit):
                assert getattr(given, limit) == getattr(expected, limit)
        assert name_of(given.dtype) == name_of(expected.dtype)
    elif isinstance(expected, (bool, int, float)) or expected is None:
        assert given == expected
    else:
        assert name_of(given) == name_of(expected)


def close(given, expected, exact=False):
    """Equal numbers, but for the last digits of floating ones."""
    single = expected.dtype.itemsize // (1 + (expected.dtype.kind == "c")) <= 4
    if exact or expected.dtype.kind not in "fc":
        np.testing.assert_array_equal(given, expected)
    else:
        eps = 2e-5 if single else 1e-12
        finite = np.abs(expected[np.isfinite(expected)])
        scale = max(1.0, min(float(finite.max(initial=0.0)), 1e6))
        np.testing.assert_allclose(given, expected, rtol=eps, atol=eps * scale)


# --- results that are not unique ----------------------------------------------------------------


def _adjoint(x):
    return np.swapaxes(np.conj(x), -1, -2)


def _eig(x, result):
    values, vectors = map(numpy_of, result)
    assert result._fields == ("eigenvalues", "eigenvectors")
    close(x @ vectors, vectors * values[..., None, :])
    close(np.sum(np.abs(vectors) ** 2, axis=-2), np.ones(values.shape, values.real.dtype))


def _eigvals(x, result):
    given, expected = numpy_of(result), np.linalg.eigvals(x)
    distances = np.abs(given[..., :, None] - expected[..., None, :])
    for axis in (-1, -2):
        close(np.min(distances, axis=axis), np.zeros(given.shape, distances.dtype))


def _eigh(x, result):
    _eig(x, result)
    vectors = numpy_of(result.eigenvectors)
    identity = np.broadcast_to(np.eye(x.shape[-1], dtype=x.dtype), x.shape)
    close(_adjoint(vectors) @ vectors, identity)
    close(numpy_of(result.eigenvalues), np.linalg.eigvalsh(x))


def _svd(x, result, full_matrices=True):
    u, s, vh = map(numpy_of, result)
    assert result._fields == ("U", "S", "Vh")
    rank = s.shape[-1]
    close((u[..., :rank] * s[..., None, :]) @ vh[..., :rank, :], x)
    close(s, np.linalg.svdvals(x))
    for q in (u, _adjoint(vh)):
        close(_adjoint(q) @ q, np.broadcast_to(np.eye(q.shape[-1], dtype=q.dtype), _square(q)))


def _square(q):
    return (*q.shape[:-2], q.shape[-1], q.shape[-1])


def _qr(x, result, mode="reduced"):
    q, r = map(numpy_of, result)
    assert result._fields == ("Q", "R")
    close(q @ r, x)
    close(np.triu(r), r)
    close(_adjoint(q) @ q, np.broadcast_to(np.eye(q.shape[-1], dtype=q.dtype), _square(q)))


REBUILT = {
    "linalg.eig": _eig,
    "linalg.eigh": _eigh,
    "linalg.eigvals": _eigvals,
    "linalg.svd": _svd,
    "linalg.qr": _qr,
    "empty": lambda shape, result, dtype=None: None,
    "empty_like": lambda x, result, dtype=None: None,
}
"""For functions with no unique result, what their results must be besides shape and dtype."""


def checked(name, args, kwargs, given, expected, exact=False):
    """Assert that a result is right."""
    agree(given, expected, values=name not in REBUILT, exact=exact)
    if name in REBUILT:
        x = args[0].values if isinstance(args[0], A) else args[0]
        REBUILT[name](x, given, **kwargs)
