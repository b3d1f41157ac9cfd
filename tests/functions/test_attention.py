"""Scaled dot-product attention: against PyTorch, masks, groups of heads, rows that see nothing."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import dezero.functions as F
import dezero.random
from dezero import Variable
from dezero.backends import numpy_backend
from dezero.backends.neural import Neural
from dezero.functions import attention as chapter
from dezero.testing import check_gradients

rng = np.random.default_rng(0)
Q, K, V = (rng.normal(size=s) for s in ((2, 4, 3, 5), (2, 4, 6, 5), (2, 4, 6, 7)))
SEEN = rng.random((2, 1, 3, 6)) < 0.6
SEEN[..., 0] = True
BIAS = rng.normal(size=(3, 6))
attention = F.scaled_dot_product_attention

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "seen": {"mask": SEEN},
    "bias": {"mask": BIAS},
    "causal": {"causal": True},
    "scale": {"scale": 0.3},
    "groups": {"heads": 2},
    "groups-seen": {"heads": 2, "mask": SEEN},
    "groups-bias": {"heads": 2, "mask": rng.normal(size=(1, 4, 3, 6)), "causal": True},
    "one-group": {"heads": 1},
}


def given(name: str) -> tuple[list[np.ndarray], dict[str, Any]]:
    parameters = dict(KINDS[name])
    heads = parameters.pop("heads", 4)
    return [Q, K[:, :heads].copy(), V[:, :heads].copy()], parameters


@pytest.mark.parametrize("name", KINDS)
def test_as_pytorch(name):
    torch = pytest.importorskip("torch", reason="agreement with PyTorch is tested where it is")
    arrays, parameters = given(name)
    ours = [Variable(x) for x in arrays]
    y = attention(*ours, **parameters)
    F.sum(y * y).backward()
    theirs = [torch.tensor(x, requires_grad=True) for x in arrays]
    mask = parameters.get("mask")
    if parameters.get("causal"):
        past = np.tril(np.ones((3, 6), bool))
        mask = past if mask is None else np.where(past, mask, -np.inf)
    want = torch.nn.functional.scaled_dot_product_attention(
        *theirs,
        attn_mask=None if mask is None else torch.tensor(mask),
        scale=parameters.get("scale"),
        enable_gqa="group" in name,
    )
    want.square().sum().backward()
    np.testing.assert_allclose(y.data, want.detach().numpy(), rtol=1e-10)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", KINDS)
def test_to_second_order(name):
    arrays, parameters = given(name)
    check_gradients(lambda *x: attention(*x, **parameters), *arrays)


@pytest.mark.parametrize("name", ["seen", "groups-bias"])
def test_lanes_agree(name, other_lane, chosen_lane):
    arrays, parameters = given(name)
    results = []
    for lane in (other_lane, chosen_lane("numpy")):
        xs = [lane.variable(x) for x in arrays]
        y = attention(*xs, **{**parameters, "mask": lane.array(parameters["mask"])})
        F.sum(y * y).backward()
        results.append([lane.numpy(x) for x in (y, *(x.grad for x in xs))])
    for got, want in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


def test_a_query_that_sees_nothing(lane):
    """Zeros, with zero gradients, whatever the keys are; also by minus infinity as a bias."""
    seen = SEEN.copy()
    seen[0, 0, 1] = False
    for mask in (seen, np.where(seen, 0.0, -np.inf)):
        xs = [lane.variable(x) for x in (Q, K, V)]
        y = attention(*xs, mask=lane.array(mask))
        np.testing.assert_array_equal(lane.numpy(y)[0, :, 1], 0.0)
        F.sum(y * y + y).backward()
        for x in xs:
            assert np.isfinite(lane.numpy(x.grad)).all()
        np.testing.assert_array_equal(lane.numpy(xs[0].grad)[0, :, 1], 0.0)
    check_gradients(lambda *x: attention(*x, mask=seen), Q, K, V)


def test_a_bias_is_learned():
    check_gradients(lambda q, k, v, b: attention(q, k, v, mask=b), Q, K, V, BIAS)


def test_weights():
    y, weights = attention(Q, K[:, :2], V[:, :2], causal=True, return_weights=True)
    assert weights.shape == (2, 4, 3, 6)
    np.testing.assert_allclose(weights.data.sum(-1), 1.0)
    np.testing.assert_array_equal(np.triu(weights.data, 1), 0.0)
    want = weights.data @ np.repeat(V[:, :2], 2, axis=1)
    np.testing.assert_allclose(y.data, want, rtol=1e-12)
    check_gradients(lambda *x: attention(*x, return_weights=True), Q, K, V)


def test_operands_are_left_alone():
    """The scores are written over, which are nobody else's."""
    arrays = [x.copy() for x in (Q, K, V)]
    attention(*arrays, mask=SEEN)
    one = np.ones((1, 1))
    attention(one, one, one, scale=1.0)
    for x, want in zip((*arrays, one), (Q, K, V, np.ones((1, 1))), strict=True):
        np.testing.assert_array_equal(x, want)


def test_large_scores_in_single_precision():
    x = (100.0 * rng.normal(size=(3, 300, 8))).astype(np.float32)
    y = attention(Variable(x), x, x, causal=True)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.data[:, 0], x[:, 0], rtol=1e-6)
    y.backward()


def test_dropout_of_weights():
    dezero.random.seed(0)
    try:
        y = attention(Q, K, V, dropout_ratio=0.5).data
        np.testing.assert_array_equal(attention(Q, K, V, dropout_ratio=1.0).data, 0.0)
    finally:
        dezero.random.seed(None)
    assert np.abs(y - attention(Q, K, V).data).max() > 0.1


# --- in blocks ------------------------------------------------------------------------------------

SHAPES = {"wide": (3, 6), "tall": (7, 4), "square": (5, 5), "one": (1, 9)}


@pytest.fixture
def blocks(monkeypatch):
    """Attention in blocks of 2 queries and 3 keys, from the first score on, and how often."""
    calls = []

    def start(long=1):
        for cls in (Neural, type(numpy_backend)):
            monkeypatch.setattr(cls, "attention_long", long)
            monkeypatch.setattr(cls, "attention_block", (6, 3))
        monkeypatch.setattr(chapter, "_InBlocks", Counted)

    class Counted(chapter._InBlocks):
        def forward(self, *arrays):
            calls.append(arrays)
            return super().forward(*arrays)

    spans = Neural._attention_spans
    monkeypatch.setattr(Neural, "_attention_spans", lambda self, q, k: few(spans, self, q, k))
    return start, calls


def few(spans, self, q, k):
    """Blocks as few queries as asked for: there are 64 or more otherwise."""
    _, keys = spans(self, q, k)
    return [slice(i, min(i + 2, q.shape[-2])) for i in range(0, q.shape[-2], 2)], keys


def results(lane, arrays, dtype=None, **parameters):
    xs = [lane.variable(x if dtype is None else x.astype(dtype)) for x in arrays]
    mask = parameters.get("mask")
    y = attention(*xs, **{**parameters, "mask": None if mask is None else lane.array(mask)})
    F.sum(y * F.sin(y)).backward()
    return [lane.numpy(a) for a in (y, *(x.grad for x in xs))]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_give_the_numbers_of_the_whole(name, shape, blocks, chosen_lane):
    start, calls = blocks
    (t, s), lane = SHAPES[shape], chosen_lane("numpy")
    arrays, parameters = given(name)
    arrays = [
        np.resize(x, (*x.shape[:2], n, x.shape[3])) for x, n in zip(arrays, (t, s, s), strict=True)
    ]
    if parameters.get("mask") is not None:
        mask = parameters["mask"]
        parameters["mask"] = np.resize(mask, (*mask.shape[:-2], t, s))
    want = results(lane, arrays, **parameters)
    assert not calls
    start()
    for a, b in zip(results(lane, arrays, **parameters), want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    assert len(calls) == 1


@pytest.mark.parametrize("name", KINDS)
def test_blocks_to_second_order(name, blocks):
    start, calls = blocks
    arrays, parameters = given(name)
    start()
    check_gradients(lambda *x: attention(*x, **parameters), *arrays)
    assert calls


@pytest.mark.parametrize("name", ["plain", "causal", "groups-bias"])
def test_blocks_on_lanes(name, blocks, other_lane, chosen_lane):
    start, calls = blocks
    arrays, parameters = given(name)
    want = results(chosen_lane("numpy"), arrays, **parameters)
    start()
    for a, b in zip(results(other_lane, arrays, **parameters), want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    assert len(calls) == (other_lane.name != "dask")


def test_blocks_of_which_a_query_sees_nothing(blocks):
    """Of a block of keys, or of all."""
    start, _ = blocks
    seen = np.ones((3, 6), bool)
    seen[0, :3] = seen[1, 3:] = seen[2] = False
    start()
    for mask in (seen, np.where(seen, 0.0, -np.inf)):
        xs = [Variable(x) for x in (Q, K, V)]
        y = attention(*xs, mask=mask)
        np.testing.assert_array_equal(y.data[:, :, 2], 0.0)
        np.testing.assert_allclose(
            y.data[:, :, 0], attention(Q[:, :, :1], K[:, :, 3:], V[:, :, 3:]).data[:, :, 0]
        )
        F.sum(y * y + y).backward()
        assert all(np.isfinite(x.grad.data).all() for x in xs)
        np.testing.assert_array_equal(xs[0].grad.data[:, :, 2], 0.0)


def test_what_needs_all_weights_is_not_in_blocks(blocks):
    start, calls = blocks
    start()
    attention(Q, K, V, return_weights=True)
    attention(Q, K, V, dropout_ratio=0.5)
    check_gradients(lambda q, k, v, b: attention(q, k, v, mask=b), Q, K, V, BIAS)
    attention(Q, K.astype(np.float32), V)
    attention(Q + 0j, K, V)
    start(19)
    attention(Q, K, V)
    assert not calls


def test_blocks_are_released():
    n = 1100
    x = [Variable(np.ones((n, 1)), name=name) for name in "qkv"]
    y = attention(*x)
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_rounding_of_blocks(blocks, chosen_lane):
    """In single precision, against double, as near as all at once."""
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=(1, 2, 300, 16)) * scale for scale in (3.0, 3.0, 1.0)]
    lane = chosen_lane("numpy")
    exact = results(lane, arrays, causal=True)
    usual = results(lane, arrays, np.float32, causal=True)
    blocks[0]()
    errors = []
    for found in (usual, results(lane, arrays, np.float32, causal=True)):
        assert all(a.dtype == np.float32 for a in found)
        errors.append(
            [np.abs(a - b).max() / np.abs(b).max() for a, b in zip(found, exact, strict=True)]
        )
    assert max(errors[0]) < 1e-5
    for whole, error in zip(*errors, strict=True):
        assert error < 2.0 * whole + 2e-7


@pytest.mark.only_paths("shipped", "short", reason="about attention in blocks")
def test_memory_grows_with_the_length():
    """Not with its square: at twice the length the whole matrix would take four times as much."""
    peaks = []
    for t in (2048, 4096):
        xs = [Variable(np.ones((t, 4), np.float32)) for _ in "qkv"]
        tracemalloc.start()
        try:
            attention(*xs, causal=True).backward()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 2.2 * peaks[0]
    assert peaks[1] < 4096 * 4096 * 4 / 8


@pytest.mark.parametrize("library", ["torch"])
def test_long_sequences_in_half_precision(library, chosen_lane):
    """They are summed up in single precision."""
    torch = pytest.importorskip(library, reason="PyTorch's half precision is asked")
    x = np.random.default_rng(0).normal(size=(1100, 8))
    half = [Variable(torch.tensor(x, dtype=torch.bfloat16)) for _ in range(3)]
    y = attention(*half)
    y.backward()
    assert y.dtype == half[0].grad.dtype == torch.bfloat16
    rounded = half[0].data.to(torch.float64).numpy()
    want = attention(rounded, rounded, rounded).data
    np.testing.assert_allclose(y.data.to(torch.float64).numpy(), want, rtol=0.02, atol=0.02)


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "depth": (lambda: attention(Q, K[..., :4], V), ValueError, "one depth"),
    "length": (lambda: attention(Q, K, V[:, :, :5]), ValueError, "one length"),
    "heads": (lambda: attention(Q, K[:, :3], V[:, :3]), ValueError, "a number that divides"),
    "vector": (lambda: attention(Q[0, 0, 0], K, V), ValueError, "expected"),
    "integers": (lambda: attention(Q, K, V, mask=SEEN.astype(int)), TypeError, "mask has dtype"),
    "mask": (lambda: attention(Q, K, V, mask=SEEN[None]), ValueError, "a mask of shape"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_operands(name):
    call, error, message = BAD[name]
    with pytest.raises(error, match=message):
        call()


def test_without_keys_there_are_zeros(lane):
    q, none = lane.variable(np.ones((2, 3))), lane.variable(np.ones((0, 3)))
    y, weights = F.scaled_dot_product_attention(q, none, none, return_weights=True)
    np.testing.assert_array_equal(lane.numpy(y), np.zeros((2, 3)))
    assert tuple(weights.shape) == (2, 0)


@pytest.mark.parametrize("mask", [np.ones((3, 4), bool), np.ones((3, 4)), np.ones((2, 2, 4), bool)])
def test_a_mask_that_does_not_fit(mask):
    q, k = np.ones((2, 3)), np.ones((4, 3))
    with pytest.raises(ValueError, match=r"a mask of shape .* for scores of shape \(2, 4\)"):
        F.scaled_dot_product_attention(q, k, k, mask=mask)


@pytest.mark.parametrize("mask", [np.ones((3, 3, 3), bool), np.ones((3, 3, 3)), np.ones((2, 3))])
def test_a_mask_that_does_not_fit_grouped_heads(mask):
    q, k = np.ones((4, 3, 2)), np.ones((2, 3, 2))
    with pytest.raises(ValueError, match=r"a mask of shape .* for scores of shape \(4, 3, 3\)"):
        F.scaled_dot_product_attention(q, k, k, mask=mask)


def test_a_wrong_ratio_of_dropout_is_named_in_test_mode_too():
    x = np.ones((2, 3))
    with pytest.raises(ValueError, match="ratio is 7"):
        F.scaled_dot_product_attention(x, x, x, dropout_ratio=7.0)
