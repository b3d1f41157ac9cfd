"""Losses: against PyTorch in value and gradient, to second order, on every lane, bad operands."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import dezero.functions as F
from dezero import Variable, no_grad
from dezero.backends import numpy_neural
from dezero.testing import check_gradients

rng = np.random.default_rng(0)
A, B, G = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
WIDE = rng.normal(size=(4, 3)) * 3
P, Q = rng.uniform(0.05, 0.95, (4, 3)), rng.uniform(0.05, 0.95, (4, 3))
TRUE = rng.integers(0, 2, (4, 3)).astype(float)
SIGNS = 2.0 * TRUE - 1.0
COUNTS = np.array([[0.0, 3.0, 0.5], [2.0, 0.0, 7.0], [3.0, 6.0, 4.0], [0.0, 2.0, 5.0]])
LABELS = np.array([2, 0, 1, 2])
IGNORING = np.array([2, -100, 1, 2])
WEIGHT = np.array([0.5, 2.0, 1.5])
IMAGE, PIXELS = rng.normal(size=(2, 3, 2, 2)), rng.integers(0, 3, (2, 2, 2))
SOFT = rng.dirichlet(np.ones(3), 4)
SOFT_IMAGE = np.moveaxis(rng.dirichlet(np.ones(3), (2, 2, 2)), -1, 1)


def of(name: str, **parameters: Any) -> Any:
    """A loss by its name; PyTorch's is of the same name, or of ``theirs``."""
    theirs = parameters.pop("theirs", name)
    other = parameters.pop("other", parameters)
    return name, parameters, theirs, other


LOSSES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "mse": (of("mse_loss"), (A, B)),
    "l1": (of("l1_loss"), (A, B)),
    "huber": (of("huber_loss", delta=0.7), (WIDE, B)),
    "huber-default": (of("huber_loss"), (WIDE, B)),
    "smooth": (of("smooth_l1_loss", beta=0.5), (WIDE, B)),
    "smooth-zero": (of("smooth_l1_loss", beta=0.0), (A, B)),
    "cross": (of("cross_entropy"), (WIDE, LABELS)),
    "cross-ignored": (of("cross_entropy"), (WIDE, IGNORING)),
    "cross-weight": (of("cross_entropy", weight=WEIGHT), (WIDE, LABELS)),
    "cross-smooth": (of("cross_entropy", label_smoothing=0.1), (WIDE, LABELS)),
    "cross-all": (
        of("cross_entropy", weight=WEIGHT, label_smoothing=0.2, ignore_index=1),
        (WIDE, LABELS),
    ),
    "cross-image": (of("cross_entropy", weight=WEIGHT, ignore_index=2), (IMAGE, PIXELS)),
    "cross-soft": (of("cross_entropy"), (WIDE, SOFT)),
    "cross-soft-all": (
        of("cross_entropy", weight=WEIGHT, label_smoothing=0.1), (IMAGE, SOFT_IMAGE),
    ),
    "nll": (of("nll_loss"), (A, LABELS)),
    "nll-all": (of("nll_loss", weight=WEIGHT, ignore_index=1), (IMAGE, PIXELS)),
    "hinge": (of("hinge_loss", theirs="multi_margin_loss"), (A, LABELS)),
    "hinge-squared": (
        of("hinge_loss", theirs="multi_margin_loss", p=2, margin=0.6, weight=WEIGHT), (A, LABELS),
    ),
    "binary": (of("binary_cross_entropy"), (P, TRUE)),
    "binary-soft": (of("binary_cross_entropy", weight=WEIGHT), (P, Q)),
    "logits": (of("binary_cross_entropy_with_logits"), (WIDE, TRUE)),
    "logits-all": (
        of("binary_cross_entropy_with_logits", weight=Q[:, :1].copy(), pos_weight=WEIGHT),
        (WIDE, P),
    ),
    "soft-margin": (of("soft_margin_loss"), (WIDE, SIGNS)),
    "hinge-embedding": (of("hinge_embedding_loss", margin=0.8), (A, SIGNS)),
    "kl": (of("kl_div"), (np.log(P), Q)),
    "kl-log": (of("kl_div", log_target=True), (np.log(P), np.log(Q))),
    "poisson": (of("poisson_nll_loss", full=True), (A, COUNTS)),
    "poisson-plain": (of("poisson_nll_loss", log_input=False), (P, COUNTS)),
    "gaussian": (of("gaussian_nll_loss", full=True), (A, B, P)),
    "gaussian-rows": (of("gaussian_nll_loss"), (A, B, np.array([0.5, 1e-9, 2.0, 1.0]))),
    "cosine": (of("cosine_embedding_loss", margin=0.1), (A, B, np.array([1, -1, 1, -1]))),
    "ranking": (of("margin_ranking_loss", margin=0.3), (A, B, SIGNS)),
    "triplet": (of("triplet_margin_loss"), (A, B, G)),
    "triplet-swap": (of("triplet_margin_loss", p=1.0, margin=2.0, swap=True), (A, B, G)),
}  # fmt: skip
CONSTANT_TARGETS = {"soft-margin", "poisson"}
"""Of which PyTorch differentiates the first operand only, or gives NaN for others."""

REDUCTIONS = ["mean", "sum", "none"]


def torch_or_skip() -> Any:
    return pytest.importorskip("torch", reason="agreement with PyTorch is tested where it is there")


def result(lane: Any, name: str, reduction: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """The value of a loss and the gradients of its floating operands on a lane."""
    (name, parameters, _, _), operands = LOSSES[name]

    def run(*arrays: Any) -> list[Any]:
        given = {
            k: lane.array(v) if isinstance(v, np.ndarray) else v for k, v in parameters.items()
        }
        args = [
            Variable(x) if v.dtype.kind == "f" else x for x, v in zip(arrays, operands, strict=True)
        ]
        y = getattr(F, name)(*args, reduction=reduction, **given)
        (F.sum(y * y) if reduction == "none" else y).backward()
        xs = [x for x in args if isinstance(x, Variable)]
        return [y.data, *(np.zeros(x.shape) if x.grad is None else x.grad.data for x in xs)]

    y, *gs = lane.compute(run, *operands)
    return y, gs


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")  # of kl_div there
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", LOSSES)
def test_as_pytorch(name, reduction, chosen_lane):
    """Value and gradient in double precision."""
    torch = torch_or_skip()
    value, gs = result(chosen_lane("numpy"), name, reduction)
    (_, _, theirs, parameters), operands = LOSSES[name]
    parameters = {
        k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in parameters.items()
    }
    args = [torch.tensor(x) for x in operands]
    for x in args[: 1 if name in CONSTANT_TARGETS else None]:
        x.requires_grad_(x.is_floating_point())
    want = getattr(torch.nn.functional, theirs)(*args, reduction=reduction, **parameters)
    (want.square().sum() if reduction == "none" else want).backward()
    np.testing.assert_allclose(value, want.detach().numpy(), rtol=1e-10, atol=1e-10)
    floating = [x for x, v in zip(args, operands, strict=True) if v.dtype.kind == "f"]
    compared = 0
    for g, x in zip(gs, floating, strict=True):
        if x.grad is not None:
            np.testing.assert_allclose(g, x.grad.numpy(), rtol=1e-10, atol=1e-10)
            compared += 1
    assert compared


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "gaussian-rows"])
def test_to_second_order(name):
    """At places without kinks; below the smallest variance the gradient is a choice."""
    (name, parameters, _, _), operands = LOSSES[name]
    function = getattr(F, name)
    check_gradients(lambda *x: function(*x, reduction="none", **parameters), *operands)
    check_gradients(lambda *x: function(*x, **parameters, reduction="mean"), *operands)


@pytest.mark.parametrize("name", LOSSES)
def test_lanes_agree(name, other_lane, chosen_lane):
    labelled = LOSSES[name][0][0] in ("cross_entropy", "nll_loss", "hinge_loss")
    if other_lane.name == "dask" and labelled and LOSSES[name][1][1].dtype.kind == "i":
        pytest.skip("no take_along_axis")
    for reduction in ("mean", "none") if other_lane.name in ("strict", "torch") else ("mean",):
        got, gs = result(other_lane, name, reduction)
        want, ws = result(chosen_lane("numpy"), name, reduction)
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
        for g, w in zip(gs, ws, strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_single_precision_stays(name, single_lane):
    (function, parameters, _, _), operands = LOSSES[name]

    def single(x: Any) -> Any:
        x = x.astype(np.float32) if x.dtype.kind == "f" else x
        return single_lane.array(x)

    parameters = {k: single(v) if isinstance(v, np.ndarray) else v for k, v in parameters.items()}
    args = [Variable(single(x)) if x.dtype.kind == "f" else single(x) for x in operands]
    y = getattr(F, function)(*args, **parameters)
    y.backward()
    assert single_lane.dtype(y) == "float32"
    assert {single_lane.dtype(x.grad) for x in args if getattr(x, "grad", None) is not None} == {
        "float32"
    }


# --- connectionist temporal classification ------------------------------------------------------

SCORES = rng.normal(size=(6, 3, 4))
TARGETS = np.array([[1, 2, 2], [3, 1, 0], [2, 0, 0]])
CTC: dict[str, dict[str, Any]] = {
    "rows": {"targets": TARGETS, "times": [6, 5, 4], "lengths": [3, 2, 1]},
    "one-row": {"targets": np.array([1, 2, 2, 3, 1, 2]), "times": [6, 5, 4], "lengths": [3, 2, 1]},
    "all-steps": {"targets": TARGETS, "times": [6, 6, 6], "lengths": [2, 2, 1]},
    "empty-target": {"targets": TARGETS, "times": [6, 5, 4], "lengths": [3, 0, 1]},
    "last-blank": {"targets": TARGETS, "times": [6, 5, 6], "lengths": [3, 2, 1], "blank": 3},
}
CTC["last-blank"]["targets"] = np.array([[1, 2, 2], [0, 1, 0], [2, 0, 0]])


def ctc(name: str, x: Any, array: Any, **parameters: Any) -> Variable:
    given = dict(CTC[name])
    targets, times, lengths = (given.pop(key) for key in ("targets", "times", "lengths"))
    return F.ctc_loss(
        F.log_softmax(x, axis=2), array(targets), times, lengths, **given, **parameters
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", CTC)
def test_ctc_as_pytorch(name, reduction, chosen_lane):
    torch = torch_or_skip()
    lane = chosen_lane("numpy")
    x = lane.variable(SCORES)
    y = ctc(name, x, lane.array, reduction=reduction)
    F.sum(y * y).backward()
    z = torch.tensor(SCORES, requires_grad=True)
    given = CTC[name]
    want = torch.nn.functional.ctc_loss(
        torch.log_softmax(z, 2),
        torch.tensor(given["targets"]),
        given["times"],
        given["lengths"],
        blank=given.get("blank", 0),
        reduction=reduction,
    )
    want.square().sum().backward()
    np.testing.assert_allclose(y.data, want.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(x.grad.data, z.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_ctc_by_enumeration():
    """All alignments of a short input, one by one."""
    import itertools

    p = np.exp(F.log_softmax(SCORES[:4, 0], axis=1).data)
    total = 0.0
    for path in itertools.product(range(4), repeat=4):
        merged = [c for c, _ in itertools.groupby(path)]
        if [c for c in merged if c] == [1, 2]:
            total += math.prod(p[t, c] for t, c in enumerate(path))
    y = F.ctc_loss(np.log(p), np.array([1, 2]), 4, 2, reduction="none")
    assert y.shape == ()
    np.testing.assert_allclose(y.data, -math.log(total), rtol=1e-13)


@pytest.mark.parametrize("name", CTC)
def test_ctc_to_second_order(name):
    check_gradients(lambda x: ctc(name, x, np.asarray, reduction="none"), SCORES)


@pytest.mark.parametrize("name", ["rows", "empty-target"])
def test_ctc_on_lanes(name, other_lane, chosen_lane):
    if other_lane.name == "dask":
        pytest.skip("no take_along_axis")
    values = []
    for lane in (other_lane, chosen_lane("numpy")):
        targets = lane.array(CTC[name]["targets"])

        def run(x: Any, targets: Any = targets) -> list[Any]:
            x = Variable(x)
            y = ctc(name, x, lambda _: targets)
            y.backward()
            return [y.data, x.grad.data]

        values.append(lane.compute(run, SCORES))
    np.testing.assert_allclose(values[0][0], values[1][0], rtol=1e-12)
    np.testing.assert_allclose(values[0][1], values[1][1], rtol=1e-10, atol=1e-12)


def test_ctc_of_a_target_that_does_not_fit():
    """The same class twice in a row needs a blank between."""
    x = Variable(SCORES[:2])
    given = (np.array([[1, 1], [1, 2], [2, 0]]), [2, 2, 2], [2, 2, 1])
    y = F.ctc_loss(F.log_softmax(x, axis=2), *given, reduction="none")
    assert np.isinf(y.data).tolist() == [True, False, False]
    y = F.ctc_loss(F.log_softmax(x, axis=2), *given, zero_infinity=True)
    assert np.isfinite(y.data)
    y.backward()
    assert np.isfinite(x.grad.data).all()
    np.testing.assert_array_equal(x.grad.data[:, 0], 0.0)
    assert np.abs(x.grad.data[:, 1:]).min() > 0


# --- the book's ---------------------------------------------------------------------------------


def test_sigmoid_cross_entropy_is_the_books():
    """Sum over all elements by the batch size; targets of another rank take the shape of x."""
    x, t = Variable(WIDE[:, :1]), TRUE[:, 0].astype(np.uint8)
    p = 1 / (1 + np.exp(-WIDE[:, 0]))
    want = -np.sum(t * np.log(p) + (1 - t) * np.log(1 - p)) / 4
    y = F.sigmoid_cross_entropy(x, t)
    np.testing.assert_allclose(y.data, want, rtol=1e-12)
    y.backward()
    np.testing.assert_allclose(x.grad.data[:, 0], (p - t) / 4, rtol=1e-12)
    y = F.sigmoid_cross_entropy(Variable(np.array([[800.0], [-800.0]])), np.array([0, 0]))
    assert y.data == 400.0


def test_binary_cross_entropy_is_the_books():
    p, t = Variable(P), TRUE.astype(int)
    y = F.binary_cross_entropy(p, t)
    cut = np.clip(P, 1e-15, 0.999)
    np.testing.assert_allclose(y.data, -np.sum(t * np.log(cut) + (1 - t) * np.log(1 - cut)) / 4)
    check_gradients(F.binary_cross_entropy, P, TRUE)
    y = F.binary_cross_entropy(np.array([0.0, 1.0]), np.array([1, 0]))
    np.testing.assert_allclose(y.data, -(math.log(1e-15) + math.log(1 - 0.999)) / 2)
    y = F.binary_cross_entropy(np.array([0.0, 1.0]), np.array([1, 0]), reduction="mean")
    np.testing.assert_allclose(y.data, 100.0, rtol=1e-12)


def test_names_of_the_book():
    assert F.mean_squared_error_simple(A, B).data == F.mean_squared_error(A, B).data
    simple = F.softmax_cross_entropy_simple(A, LABELS)
    assert simple.data == F.softmax_cross_entropy(A, LABELS).data


# --- classes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["uint8", "int8", "uint32", "int64", "uint64"])
def test_labels_of_any_kind(kind, lane):
    if lane.name == "dask":
        pytest.skip("no take_along_axis")
    if lane.name == "torch" and kind in ("uint32", "uint64"):
        pytest.skip("PyTorch compares no such integers")
    t = lane.array(LABELS.astype(kind))
    want = F.softmax_cross_entropy(WIDE, LABELS).data
    for function in (F.softmax_cross_entropy, F.cross_entropy):
        x = lane.variable(WIDE)
        y = function(x, t)
        np.testing.assert_allclose(lane.numpy(y), want, rtol=1e-13)
        y.backward()
        assert x.grad.shape == x.shape


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_label_smoothing_of_a_class_that_is_ruled_out(dtype):
    """Its loss is infinite where the target spreads over it; the gradients are numbers."""
    torch = torch_or_skip()
    scores = WIDE.astype(dtype)
    scores[1, 2] = -np.inf
    x, z = Variable(scores), torch.tensor(scores, requires_grad=True)
    y = F.cross_entropy(x, LABELS, label_smoothing=0.1, reduction="none")
    want = torch.nn.functional.cross_entropy(
        z, torch.tensor(LABELS), label_smoothing=0.1, reduction="none"
    )
    tolerance = {"float64": 1e-12, "float32": 1e-5, "float16": 4e-3}[dtype]
    assert y.dtype == dtype
    assert np.isinf(y.data).tolist() == [False, True, False, False]
    np.testing.assert_allclose(y.data, want.detach().numpy(), rtol=tolerance)
    F.sum(y).backward()
    want.sum().backward()
    assert x.grad.dtype == dtype
    np.testing.assert_allclose(x.grad.data, z.grad.numpy(), atol=tolerance)


@pytest.mark.parametrize("block", [1 << 16, 5000])
def test_long_rows_and_short_ones(block, monkeypatch):
    """NumPy takes them in blocks: more rows and more classes than one holds."""
    monkeypatch.setattr(numpy_neural, "_BLOCK", block)
    for shape in ((9000, 9), (70, 2000), (2, 70000)):
        x = np.random.default_rng(1).normal(size=shape) * 4
        t = np.random.default_rng(2).integers(0, shape[1], shape[0])
        v = Variable(x)
        y = F.softmax_cross_entropy(v, t)
        y.backward()
        top = x.max(1, keepdims=True)
        total = np.log(np.exp(x - top).sum(1, keepdims=True)) + top
        rows = np.arange(len(t))
        np.testing.assert_allclose(y.data, np.mean(total[:, 0] - x[rows, t]), rtol=1e-12)
        want = np.exp(x - total)
        want[rows, t] -= 1.0
        np.testing.assert_allclose(v.grad.data, want / len(t), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "classes"), [(9000, 10), (40, 1000), (5, 3)])
@pytest.mark.parametrize("scale", [1.0, 40.0, 3000.0])
def test_rounding_of_cross_entropy(dtype, rows, classes, scale, monkeypatch):
    """The largest number of a row is subtracted only where it must be; both ways are as exact."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((rows, classes)) * scale).astype(dtype)
    x[1] -= dtype(200.0)  # whose exponentials vanish, or nearly so
    x[2] -= dtype(90.0)
    x[3] += dtype(80.0)
    t = rng.integers(0, classes, rows)
    z = x.astype(np.longdouble)
    z = z - z.max(1, keepdims=True)
    p = np.exp(z)
    total = p.sum(1, keepdims=True)
    want = np.log(total[:, 0]) - z[np.arange(rows), t]
    slope = p / total
    slope[np.arange(rows), t] -= 1.0
    for forced in (False, True):
        if forced:
            monkeypatch.setattr(numpy_neural, "_tame", lambda sums: False)
        v = Variable(x)
        each = F.cross_entropy(v, t, reduction="none")
        F.sum(each).backward()
        eps = np.finfo(dtype).eps
        size = np.maximum(np.abs(x).max(1), 1.0)
        assert np.all(np.abs(each.data - want) < 8 * eps * (size + np.abs(want)))
        assert np.all(np.abs(v.grad.data - slope) < 8 * eps * size[:, None])
        with no_grad():
            np.testing.assert_array_equal(F.cross_entropy(x, t, reduction="none").data, each.data)


def test_what_is_not_finite_shows():
    x = WIDE.copy()
    x[1, 2] = np.nan
    for function in (F.softmax_cross_entropy, F.cross_entropy, F.nll_loss):
        y = function(x, np.array([0, 2, 1, 1]))
        assert np.isnan(y.data)
    x[1, 2] = -np.inf
    assert F.softmax_cross_entropy(x, np.array([0, 2, 1, 1])).data == np.inf
    assert np.isfinite(F.softmax_cross_entropy(x, np.array([0, 1, 1, 1])).data)


def test_nothing_but_ignored_labels():
    x = Variable(WIDE)
    y = F.cross_entropy(x, np.full(4, -100))
    assert y.data == 0.0
    y.backward()
    np.testing.assert_array_equal(x.grad.data, 0.0)


def test_targets_of_probability_zero_cost_nothing():
    t = Variable(np.array([[0.0, 1.0]]))
    x = Variable(np.array([[-np.inf, -1.0]]))
    y = F.kl_div(x, t, reduction="batchmean")
    assert y.data == 1.0
    y.backward()
    np.testing.assert_array_equal(t.grad.data, [[0.0, 2.0]])
    np.testing.assert_array_equal(x.grad.data, [[0.0, -1.0]])


def test_cosine_of_nothing():
    a = Variable(np.zeros((2, 3)))
    y = F.cosine_similarity(a, np.ones((2, 3)))
    np.testing.assert_array_equal(y.data, 0.0)
    F.sum(y).backward()
    assert np.isfinite(a.grad.data).all()


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "reduction": (lambda: F.mse_loss(A, B, reduction="all"), ValueError, "mse_loss.*'all'"),
    "shapes": (lambda: F.mse_loss(A, B[:, 0]), ValueError, r"mse_loss.*\(4, 3\).*\(4,\)"),
    "number": (lambda: F.l1_loss(A, 1.0), TypeError, "l1_loss.*two arrays"),
    "empty": (lambda: F.mse_loss(A[:0], B[:0]), ValueError, "mse_loss.*empty"),
    "empty-book": (lambda: F.mean_squared_error(A[:0], B[:0]), ValueError, "empty"),
    "empty-cross": (lambda: F.cross_entropy(A[:0], LABELS[:0]), ValueError, "cross_entropy.*empty"),
    "empty-softmax": (
        lambda: F.softmax_cross_entropy(A[:0], LABELS[:0]), ValueError, "batch is empty",
    ),
    "label": (lambda: F.cross_entropy(A, LABELS + 1), IndexError, "1 to 3, expected 0 to 2"),
    "label-negative": (lambda: F.nll_loss(A, LABELS - 1), IndexError, "labels go from -1"),
    "label-hinge": (lambda: F.hinge_loss(A, LABELS + 1), IndexError, "labels go from 1 to 3"),
    "labels-shape": (lambda: F.cross_entropy(IMAGE, LABELS), ValueError, r"labels.*\(4,\)"),
    "labels-book": (
        lambda: F.softmax_cross_entropy(A, LABELS[:, None]), ValueError, r"expected \(N, C\)",
    ),
    "labels-real": (
        lambda: F.softmax_cross_entropy(A, LABELS * 1.0), TypeError, "expected integers",
    ),
    "soft-shape": (lambda: F.cross_entropy(A, SOFT[:2]), ValueError, r"\(2, 3\)"),
    "weight": (
        lambda: F.cross_entropy(A, LABELS, weight=WEIGHT[:2]), ValueError, r"weight.*\(3,\)",
    ),
    "smoothing": (
        lambda: F.cross_entropy(A, LABELS, label_smoothing=2.0), ValueError, "label_smoothing.*2.0",
    ),
    "reduction-kl": (
        lambda: F.kl_div(P, Q, reduction="avg"), ValueError, "'mean', 'batchmean', 'sum' or 'none'",
    ),
    "delta": (lambda: F.huber_loss(A, B, delta=0.0), ValueError, "huber_loss: delta"),
    "beta": (lambda: F.smooth_l1_loss(A, B, beta=-1.0), ValueError, "smooth_l1_loss: beta"),
    "power": (lambda: F.hinge_loss(A, LABELS, p=3), ValueError, "hinge_loss: p"),
    "triplet": (lambda: F.triplet_margin_loss(A, B, G[:2]), ValueError, "triplet.*three of one"),
    "cosine": (lambda: F.cosine_embedding_loss(A, B, LABELS[:2]), ValueError, "expected \\(4"),
    "variance": (lambda: F.gaussian_nll_loss(A, B, P[:2]), ValueError, "var has shape"),
    "binary-book": (lambda: F.sigmoid_cross_entropy(A, LABELS), ValueError, "differ"),
    "ctc-lengths": (
        lambda: F.ctc_loss(SCORES, TARGETS, [6, 5], [3, 2, 1]), ValueError, "2 input_lengths.*3",
    ),
    "ctc-long": (
        lambda: F.ctc_loss(SCORES, TARGETS, [7, 5, 4], [3, 2, 1]), ValueError, "expected 1 to 6",
    ),
    "ctc-target": (
        lambda: F.ctc_loss(SCORES, TARGETS + 2, [6, 5, 4], [3, 2, 1]), IndexError, "0 to 3",
    ),
    "ctc-blank": (
        lambda: F.ctc_loss(SCORES, TARGETS, [6, 5, 4], [3, 2, 1], blank=9), IndexError, "blank",
    ),
    "ctc-row": (
        lambda: F.ctc_loss(SCORES, np.array([1, 2]), [6, 5, 4], [3, 2, 1]), ValueError, "2 targets",
    ),
    "ctc-short": (
        lambda: F.ctc_loss(SCORES, TARGETS, [6, 5, 4], [4, 2, 1]), ValueError, "have lengths",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_operands(name):
    call, error, message = BAD[name]
    with pytest.raises(error, match=message):
        call()


def test_labels_of_another_library(chosen_lane):
    lane = chosen_lane("strict")
    with pytest.raises(TypeError, match="cross_entropy"):
        F.cross_entropy(lane.array(A), LABELS)


def test_cosine_similarity_broadcasts_before_lengths_are_taken(lane):
    vectors = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    cases = [(np.ones((2, 1)), vectors, 1), (np.ones(3), vectors, 1), (np.ones((1, 3)), vectors, 0)]
    for a, b, axis in cases:
        wide = np.broadcast_to(a, b.shape)
        want = (wide * b).sum(axis) / np.linalg.norm(wide, axis=axis) / np.linalg.norm(b, axis=axis)
        got = F.cosine_similarity(lane.variable(a), lane.variable(b), axis=axis)
        np.testing.assert_allclose(lane.numpy(got), want, rtol=1e-12)


def test_cosine_embedding_loss_of_a_zero_vector_as_pytorch():
    torch = pytest.importorskip(
        "torch", reason="agreement with PyTorch is tested where it is there"
    )
    a, b, t = np.zeros((2, 3)), np.ones((2, 3)), np.array([1, 1])
    x, z = Variable(a), torch.tensor(a, requires_grad=True)
    F.cosine_embedding_loss(x, b, t).backward()
    loss = torch.nn.functional.cosine_embedding_loss(z, torch.tensor(b), torch.tensor(t))
    loss.backward()
    # PyTorch's 1e-12 is a number of single precision.
    np.testing.assert_allclose(x.grad.data, z.grad.numpy(), rtol=1e-8)


def test_ctc_of_a_batch_without_targets(lane):
    if lane.name == "dask":
        pytest.skip("no take_along_axis")
    x = lane.variable(np.log(np.full((2, 1, 2), 0.5)))
    loss = F.ctc_loss(x, [[]], [2], [0], reduction="none")
    np.testing.assert_allclose(lane.numpy(loss), [2 * np.log(2)])


def test_ctc_of_no_sequence_and_lengths_without_axes():
    x = np.log(np.full((3, 1, 2), 0.5))
    with pytest.raises(ValueError, match="the batch is empty"):
        F.ctc_loss(np.zeros((3, 0, 2)), [], [], [])
    want = F.ctc_loss(x, [[1]], [3], [1])
    got = F.ctc_loss(x[:, 0], np.array([1]), np.array(3), np.array(1))
    np.testing.assert_array_equal(got.data, want.data)


@pytest.mark.parametrize(
    "loss",
    [
        lambda: F.margin_ranking_loss(np.ones(3), np.ones(3), np.ones((3, 1))),
        lambda: F.binary_cross_entropy(P, TRUE, weight=np.ones((2, 4, 3)), reduction="none"),
        lambda: F.binary_cross_entropy(P, TRUE, weight=np.ones((2, 4, 3))),
        lambda: F.binary_cross_entropy_with_logits(P[:, :1], TRUE[:, :1], pos_weight=np.ones(3)),
        lambda: F.binary_cross_entropy_with_logits(P[:, :1], TRUE[:, :1], weight=np.ones(3)),
        lambda: F.accuracy(np.eye(3), np.array([0])),
    ],
)
def test_no_operand_makes_more_losses_than_there_are_elements(loss):
    with pytest.raises(ValueError, match=r"differ|does not fit"):
        loss()


def test_accuracy_of_pictures(lane):
    y = np.moveaxis(np.eye(3)[np.array([[0, 1], [2, 2]])], -1, 0)[None]
    t = np.array([[[0, 1], [2, 0]]])
    assert float(lane.numpy(F.accuracy(lane.array(y), lane.array(t)))) == 0.75


@pytest.mark.parametrize(
    ("targets", "inputs", "lengths", "error", "message"),
    [
        ([[1]], [3.9], [1], TypeError, "input_lengths is"),
        ([[1]], [3], [1.9], TypeError, "target_lengths is"),
        ([[1]], [3], [-1], ValueError, "target_lengths contains -1"),
        ([[1]], [4], [1], ValueError, "input_lengths contains 4, expected 1 to 3"),
        ([[0]], [3], [1], ValueError, "hold 0, which is the blank"),
    ],
)
def test_ctc_lengths_and_targets_that_are_none(targets, inputs, lengths, error, message):
    with pytest.raises(error, match=message):
        F.ctc_loss(np.log(np.full((3, 1, 2), 0.5)), targets, inputs, lengths)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("loss", [F.softmax_cross_entropy, F.cross_entropy])
def test_cross_entropy_in_half_precision(loss, library):
    x = np.array([[20, 1, -20], [12, 0, 5], [-30, 15, 14]], np.float16)
    t = np.array([1, 0, 2])
    w = Variable(x.astype(np.float64))
    want = loss(w, t)
    want.backward()
    if library == "torch":
        torch = pytest.importorskip("torch", reason="a library of its own half precision")
        x, t = torch.tensor(x), torch.tensor(t)
    v = Variable(x)
    y = loss(v, t)
    y.backward()
    assert str(y.dtype).endswith("float16")
    np.testing.assert_allclose(np.asarray(y.data, np.float64), want.data, rtol=2e-3)
    np.testing.assert_allclose(np.asarray(v.grad.data, np.float64), w.grad.data, atol=1e-3)
