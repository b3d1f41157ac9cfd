"""What other libraries do with Variables apart from gradients; those are in tests/neighbours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dezero
from dezero import Variable, xp

ROOT = Path(__file__).resolve().parent.parent
RNG = np.random.default_rng(0)


def python(code: str) -> str:
    """What a Python process of its own prints for ``code``; warnings are errors."""
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def variable(*shape: int) -> Variable:
    return Variable(RNG.standard_normal(shape))


# --- einops -------------------------------------------------------------------------------------

ORDERS = {
    "einops first": "import einops; import dezero",
    "dezero first": "import dezero; import einops",
    "einops and its backends first": "import einops, numpy; "
    "einops.rearrange(numpy.ones((2, 1)), 'a b -> b a'); import dezero",
    "dezero first, and used": "import dezero, numpy; "
    "dezero.functions.exp(dezero.Variable(numpy.ones(2))).sum().backward(); import einops",
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_einops_knows_variables_in_any_order_of_imports(order: str) -> None:
    pytest.importorskip("einops")
    code = f"""
import sys
before = list(sys.meta_path)
{order}
import numpy
x = dezero.Variable(numpy.ones((2, 3)))
y = einops.rearrange(x, "a b -> (b a)")
y.sum().backward()
assert x.grad.shape == (2, 3)
assert sys.meta_path == before
"""
    python(code)


def test_dezero_does_not_import_einops() -> None:
    code = """
import sys, dezero, json, decimal
assert "einops" not in sys.modules
assert dezero.interop.Einops.made is None
"""
    python(code)


def test_einops_keeps_the_array_library(lane) -> None:
    einops = pytest.importorskip("einops")
    x = lane.variable(np.arange(12.0).reshape(3, 4))
    y = einops.reduce(x, "a (b c) -> c a", "max", b=2)
    z = einops.repeat(y, "c a -> a (c k)", k=2)
    assert z.__array_namespace__() is x.__array_namespace__()
    assert np.allclose(lane.numpy(z), np.arange(12.0).reshape(3, 2, 2).max(1).repeat(2, axis=-1))


def test_einops_refuses_what_has_no_mean_and_what_would_lose_a_gradient() -> None:
    einops = pytest.importorskip("einops")
    whole = Variable(np.arange(6).reshape(2, 3))
    with pytest.raises(NotImplementedError, match="mean"):
        einops.reduce(whole, "a b -> a", "mean")
    assert einops.asnumpy(whole).tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(TypeError, match="would lose the gradient"):
        einops.asnumpy(variable(2))


def test_einops_reduces_truth_values_and_parses_shapes() -> None:
    einops = pytest.importorskip("einops")
    x = Variable(np.array([[True, False], [True, True]]))
    assert einops.reduce(x, "a b -> a", "all").data.tolist() == [False, True]
    assert einops.reduce(x, "a b -> b", "any").data.tolist() == [True, True]
    assert einops.parse_shape(x, "height _") == {"height": 2}


def test_einops_names_the_pattern_in_errors() -> None:
    einops = pytest.importorskip("einops")
    with pytest.raises(einops.EinopsError, match=r"\(h k\) w"):
        einops.rearrange(variable(3, 4), "(h k) w -> h k w", k=2)


# --- opt_einsum ---------------------------------------------------------------------------------


def test_opt_einsum_finds_its_functions() -> None:
    opt_einsum = pytest.importorskip("opt_einsum")
    from opt_einsum.contract import infer_backend

    assert infer_backend(variable(2)) == "dezero"
    assert opt_einsum.backends.has_einsum("dezero")
    assert opt_einsum.backends.has_tensordot("dezero")
    assert opt_einsum.backends.get_func("transpose", "dezero") is dezero.transpose


@pytest.mark.parametrize("backend", ["auto", "dezero"])
def test_opt_einsum_takes_arrays_and_variables(backend: str) -> None:
    """It goes by the first operand: NumPy's functions then meet a Variable."""
    opt_einsum = pytest.importorskip("opt_einsum")
    a, b = np.ones((2, 3)), variable(3, 2)
    for operands in ((a, b), (b.T, a.T)):
        c = opt_einsum.contract("ij,jk->ik", *operands, backend=backend)
        b.cleargrad()
        c.sum().backward()
        assert np.allclose(b.grad.data, 2.0)


def test_opt_einsum_writes_into_a_constant() -> None:
    opt_einsum = pytest.importorskip("opt_einsum")
    a, b = variable(2, 3), variable(3, 2)
    out = xp.zeros((2, 2))
    opt_einsum.contract("ij,jk->ki", a, b, out=out)
    assert np.allclose(out.data, (a.data @ b.data).T)
    out.sum().backward()
    assert np.allclose(a.grad.data, b.data.sum(1))


# --- array-api-compat and array-api-extra -------------------------------------------------------


def test_array_api_compat_takes_a_variable_for_an_array() -> None:
    import array_api_compat as compat

    x = variable(2, 3)
    assert compat.is_array_api_obj(x)
    assert compat.array_namespace(x) is xp
    assert compat.array_namespace(x, xp.ones(2), 1.0) is xp
    assert compat.device(x) == x.device
    assert compat.size(x) == 6
    assert compat.to_device(x, x.device) is x
    assert compat.is_writeable_array(x)
    assert not compat.is_lazy_array(x)
    assert not compat.is_numpy_array(x)
    assert not compat.is_numpy_namespace(xp)


def test_values_of_array_api_extra() -> None:
    xpx = pytest.importorskip("array_api_extra")
    x = Variable(np.array([3.0, 1.0, 3.0, 2.0]))
    whole = xp.asarray([2, 0, 1])
    assert xpx.nunique(x).item() == 3
    assert xpx.isclose(x, x + 1e-12).data.all()
    assert xpx.isin(x, xp.asarray([1.0, 2.0])).data.tolist() == [False, True, False, True]
    assert xpx.one_hot(whole, 3).data.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    rows = xp.asarray([[1.0, 2.0], [3.0, 4.0]])
    found = xpx.searchsorted(rows, xp.asarray([[1.5], [3.0]]))
    assert found.data.tolist() == [[1], [0]]
    assert xpx.default_dtype(xp) == np.float64
    places = xpx.unravel_index(xp.asarray([5]), (2, 3), xp=xp)
    assert [p.data.tolist() for p in places] == [[1], [2]]
    assert sorted(x.data[xpx.argpartition(x, 1).data][:2]) == [1.0, 2.0]


def test_array_api_extra_updates_copies_of_leaves_only() -> None:
    xpx = pytest.importorskip("array_api_extra")
    x = variable(3)
    with pytest.raises((RuntimeError, TypeError, ValueError), match="leaf"):
        xpx.at(x)[0].set(1.0)
    y = xpx.at(x)[0].set(1.0, copy=True)
    y.sum().backward()
    assert x.grad.data.tolist() == [0.0, 1.0, 1.0]


# --- scikit-learn -------------------------------------------------------------------------------


def test_scikit_learn_keeps_variables_and_refuses_to_lose_gradients() -> None:
    pytest.importorskip("sklearn")
    code = """
import numpy as np, sklearn
from sklearn import metrics, preprocessing, linear_model
import dezero
from dezero import Variable
sklearn.set_config(array_api_dispatch=True)

x, y = Variable(np.arange(12.0).reshape(6, 2) ** 1.5), Variable(np.arange(6.0))
model = linear_model.Ridge(solver="svd").fit(x, y)
assert isinstance(model.coef_, Variable) and model.coef_.requires_grad
loss = metrics.mean_squared_error(y, model.predict(x), multioutput="raw_values")
loss.sum().backward()
assert x.grad.shape == x.shape
try:
    metrics.mean_squared_error(y, model.predict(x))
except TypeError as error:
    assert "float() would lose the gradient" in str(error)
else:
    raise AssertionError
with dezero.no_grad():
    predicted = model.predict(x.detach()).detach()
    assert isinstance(metrics.mean_squared_error(y.detach(), predicted), float)

labels = preprocessing.LabelEncoder().fit_transform(dezero.xp.asarray([3, 1, 3]))
assert labels.data.tolist() == [1, 0, 1] and not labels.requires_grad
"""
    python(code)
