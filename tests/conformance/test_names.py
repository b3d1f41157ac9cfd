"""Names, signatures and the places where a namespace and its arrays answer for themselves."""

import inspect
import math

import array_api_compat
import numpy as np
import pytest

import dezero
from conformance import standard
from dezero import Variable, xp
from dezero.namespace import namespace

BEYOND = {"diag", "einsum", "pad", "special"}
"""Names of ``dezero.xp`` that the standard does not know."""
BEYOND_OF = {"fft": set(), "linalg": {"EigResult", "EighResult", "QRResult", "SVDResult"}}
BEYOND_OF["linalg"] |= {"SlogdetResult"}
"""Those of its extensions: the named tuples that decompositions give."""


def found(name, where=xp):
    outer, _, inner = name.rpartition(".")
    return getattr(getattr(where, outer) if outer else where, inner)


def test_every_name_is_there_and_no_other():
    functions = {name for name in standard.SIGNATURES if "." not in name}
    expected = functions | {*standard.DTYPES, *standard.CONSTANTS, *standard.EXTENSIONS}
    public = {name for name in dir(xp) if not name.startswith("_")}
    assert expected - public == set()
    assert public - expected == BEYOND
    assert all(hasattr(xp, name) for name in public)


@pytest.mark.parametrize("extension", standard.EXTENSIONS)
def test_every_name_of_an_extension_is_there_and_no_other(extension):
    prefix = extension + "."
    expected = {n.removeprefix(prefix) for n in standard.SIGNATURES if n.startswith(prefix)}
    space = getattr(xp, extension)
    public = {name for name in dir(space) if not name.startswith("_")}
    assert expected - public == set()
    assert public - expected == BEYOND_OF[extension]
    assert all(hasattr(space, name) for name in public)


@pytest.mark.parametrize("name", ["no_such_function", "ndarray", "float8", "__wrapped__"])
def test_other_names_raise_attribute_errors(name):
    for space in (xp, xp.linalg, xp.fft):
        assert not hasattr(space, name)


POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def differences(expected, given):
    """What callers of the standard's signature could not do."""
    known = list(given.parameters.values())
    by_name = given.parameters
    problems, used = [], set()
    for i, parameter in enumerate(expected.parameters.values()):
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            mine = next((p for p in known if p.kind is parameter.kind), None)
        elif parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            mine = known[i] if i < len(known) and known[i].kind in POSITIONAL else None
        else:
            mine = by_name.get(parameter.name)
            if mine is not None and mine.kind not in BY_NAME:
                mine = None
            keyword = parameter.kind is inspect.Parameter.KEYWORD_ONLY
            if mine is not None and not keyword and known.index(mine) != i:
                problems.append(f"{parameter.name} has another place")
        if mine is None:
            problems.append(f"no {parameter}")
            continue
        used.add(mine.name)
        empty = inspect.Parameter.empty
        same = parameter.default in (empty, mine.default)
        if not same:
            problems.append(f"{mine} instead of {parameter}")
    rest = {name for name in by_name if name not in used}
    problems += [f"{name} has no default" for name in rest if by_name[name].default is empty]
    return problems


@pytest.mark.parametrize("name", standard.SIGNATURES)
def test_a_signature_is_that_of_the_standard(name):
    signature = inspect.signature(found(name))
    expected = standard.SIGNATURES[name]
    assert differences(expected, signature) == []


@pytest.mark.parametrize("name", standard.SIGNATURES)
def test_a_function_knows_its_name_and_has_a_docstring(name):
    function = found(name)
    assert function.__name__ == name.rpartition(".")[2]
    assert function.__doc__


@pytest.mark.parametrize("name", standard.ATTRIBUTES + standard.METHODS)
def test_an_array_has_the_attributes_and_methods_of_the_standard(name):
    assert hasattr(Variable(np.ones((2, 2))), name)


@pytest.mark.parametrize("name", standard.METHOD_SIGNATURES)
def test_a_method_has_the_signature_of_the_standard(name):
    signature = inspect.signature(getattr(Variable, name))
    assert differences(standard.METHOD_SIGNATURES[name], signature) == []


@pytest.mark.parametrize("name", [n for n in standard.METHODS if n.startswith("__i")][:13])
def test_in_place_operators_take_one_operand(name):
    signature = inspect.signature(getattr(Variable, name))
    signature.bind(None, None)


# --- the namespace ------------------------------------------------------------------------------


def test_constants():
    assert (xp.e, xp.pi, xp.inf) == (math.e, math.pi, math.inf)
    assert math.isnan(xp.nan)
    assert xp.newaxis is None
    assert all(type(c) is float for c in (xp.e, xp.pi, xp.inf, xp.nan))


@pytest.mark.parametrize("name", standard.DTYPES)
def test_a_dtype_equals_itself_and_no_other(name):
    dtype = getattr(xp, name)
    assert dtype == getattr(xp, name)
    assert xp.zeros(2, dtype=dtype).dtype == dtype
    assert [n for n in standard.DTYPES if getattr(xp, n) == dtype] == [name]
    assert len({getattr(xp, n): n for n in standard.DTYPES}) == len(standard.DTYPES)


def test_the_namespace_answers_for_itself(lane):
    space = namespace(lane.xp)
    v = lane.variable(np.ones(2))
    assert v.__array_namespace__() is space
    assert v.__array_namespace__(api_version="2025.12") is space
    assert namespace(v) is space
    assert array_api_compat.array_namespace(v) is space
    assert array_api_compat.array_namespace(v, v * 2.0, None, 1.0) is space
    assert array_api_compat.is_array_api_obj(v)
    assert array_api_compat.is_array_api_strict_namespace(space) is False
    assert hash(space) == hash(namespace(lane.xp))
    assert {space: 1}[namespace(lane.xp)] == 1
    assert space.__array_api_version__ == "2025.12"
    assert inspect.ismodule(space)
    assert space.__name__
    with pytest.raises(ValueError, match="2019"):
        v.__array_namespace__(api_version="2019.12")


def test_namespaces_of_different_libraries_differ(lane, chosen_lane):
    ours, numpys = namespace(lane.xp), namespace(chosen_lane("numpy").xp)
    assert (ours is numpys) == (lane.name in ("numpy", "readonly"))
    assert (ours.__name__ == numpys.__name__) == (ours is numpys)
    assert (ours == numpys) == (ours is numpys)
    assert ours.linalg.__name__ != ours.__name__


def test_the_default_namespace():
    assert dezero.xp is xp
    assert namespace(np.ones(1)) is xp
    assert xp.__name__ == "dezero.xp"
    assert Variable(np.ones(1)).__array_namespace__() is xp


def test_compat_sees_a_variable_and_no_array_of_its_library(lane):
    v = lane.variable(np.ones(2))
    for test in ("numpy", "cupy", "torch", "jax", "dask", "pydata_sparse", "ndonnx"):
        assert not getattr(array_api_compat, f"is_{test}_array")(v)
    assert array_api_compat.size(v) == 2
    assert array_api_compat.device(v) == v.device
    assert array_api_compat.to_device(v, v.device).shape == (2,)


def test_what_arrays_a_library_offers():
    info = xp.__array_namespace_info__()
    for name in standard.INFO:
        assert differences(
            inspect.signature(
                {
                    "default_dtypes": lambda *, device=None: None,
                    "dtypes": lambda *, device=None, kind=None: None,
                }.get(name, lambda: None)
            ),
            inspect.signature(getattr(info, name)),
        ) == []  # fmt: skip
    capabilities = info.capabilities()
    assert capabilities["boolean indexing"] is True
    assert capabilities["data-dependent shapes"] is True
    assert isinstance(capabilities["max dimensions"], int)
    defaults = info.default_dtypes(device=info.default_device())
    assert set(defaults) == {"real floating", "complex floating", "integral", "indexing"}
    assert defaults["real floating"] == xp.ones(1).dtype
    assert defaults["complex floating"] == xp.asarray(1j).dtype
    assert defaults["integral"] == xp.asarray(1).dtype
    assert defaults["indexing"] == xp.argmax(xp.ones(2)).dtype
    assert info.dtypes() == {name: getattr(xp, name) for name in standard.DTYPES}
    assert set(info.dtypes(kind="unsigned integer")) == set(standard.UNSIGNED)
    assert set(info.dtypes(kind=("real floating", "bool"))) == {"bool", *standard.REAL_FLOATING}


def test_devices_are_a_tuple_of_places_for_arrays(lane):
    space = namespace(lane.xp)
    info = space.__array_namespace_info__()
    devices = info.devices()
    assert type(devices) is tuple
    assert info.default_device() in (*devices, None)
    places = [device for device in devices if device is not None and str(device) != "meta"]
    x = space.ones(2, dtype=space.float64)
    for device in places:
        if lane.name == "strict" and "no_" in str(device).lower():
            continue  # devices of array-api-strict without some dtypes
        assert x.to_device(device).device == device
    assert x.to_device(x.device) is not None
    assert math.prod(x.shape) == x.size == 2
