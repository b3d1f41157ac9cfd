"""Derivatives of functions: gradients, products with Jacobians and Hessians, recomputation.

``f`` is called with Variables of its own in place of the arguments, and the graph that the call
leaves is swept once or twice. No ``.grad`` is read or written, only functions between the
arguments and the outputs run, and nothing is kept outside the call, so threads do not meet.

Arguments and outputs may be nested tuples, lists and dicts; in arguments None stands for nothing.

What comes back is a constant if ``f`` depends on nothing but the plain arrays that it was given:
the sweep is over raw arrays then. Where it depends on something else that wants a gradient, on a
Variable among the arguments or in a closure, the sweep is recorded and the result differentiable in
its turn. So derivatives nest to any order. Under `no_grad` they are constants.

The gradient with respect to a complex array is the direction of steepest ascent,
``∂f/∂a + i ∂f/∂b`` at ``a + i b``, as in PyTorch; JAX gives its conjugate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

from . import functions as F
from .calls import (
    Call,
    check_argnums,
    check_inexact,
    check_scalar,
    is_complex,
    matched,
    or_zeros,
    outputs,
    paths,
    pulled,
)
from .core import Variable
from .nested import Tree, filled, flat, mapped
from .recomputation import checkpoint

__all__ = ["grad", "value_and_grad", "vjp", "jvp", "jacobian", "hessian", "hvp", "checkpoint"]


@overload
def grad(
    f: Callable[..., Any], /, argnums: int | Sequence[int] = 0, *, create_graph: bool | None = None
) -> Callable[..., Tree]: ...


@overload
def grad(
    y: Variable | Sequence[Variable],
    /,
    xs: Tree,
    gys: Tree = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    allow_unused: bool = False,
) -> Tree: ...


def grad(f: Any, /, *args: Any, **kwargs: Any) -> Any:
    """The gradient of a scalar function as a function; or that of a Variable that is there already.

    ``grad(f, argnums=0, create_graph=None)`` is the function that takes what ``f`` takes and
    returns the gradient with respect to the arguments at ``argnums``, in their structure. It is
    zero where ``f`` does not depend on an argument.

    ``grad(y, xs, gys=None, create_graph=False, retain_graph=None, allow_unused=False)`` is the
    gradient of the Variable ``y`` (or of several) with respect to the Variables in ``xs``, leaves
    or not, in their structure. It leaves every ``.grad`` as it is.

    Args:
        f: Takes arrays as Variables, returns a real Variable of one element.
        argnums: A position, or several for a tuple of gradients.
        create_graph: Whether the gradient can be differentiated. None: if it depends on anything
            that wants a gradient beside the plain arrays among the arguments.
        gys: What the sweep starts with, in the structure of ``y``; ones for a single element.
        retain_graph: Keep the arrays for another sweep; by default what ``create_graph`` is.
        allow_unused: Give None, not an error, for an ``x`` that ``y`` does not depend on.

    Raises:
        TypeError: An argument or the output is an integer or boolean, or ``f`` returned something
            else than a Variable, or a complex one.
        ValueError: The output has more than one element, ``argnums`` or ``gys`` do not fit.
        RuntimeError: ``y`` does not depend on an ``x``, or an earlier sweep released what this
            one needs.

    Example:
        >>> import numpy as np
        >>> cube = lambda x: x**3
        >>> grad(cube)(2.0), grad(grad(cube))(2.0)
        (variable(12.0), variable(12.0))
        >>> x = Variable(np.array(2.0))
        >>> grad(cube(x), x)
        variable(12.0)
    """
    return (_gradient_of_function if callable(f) else _gradient)(f, *args, **kwargs)


def _gradient_of_function(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, *, create_graph: bool | None = None
) -> Callable[..., Tree]:
    both = _value_and_grad("grad", f, argnums, create_graph)
    return lambda *args, **kwargs: both(*args, **kwargs)[1]


def _gradient(
    y: Any,
    xs: Tree,
    gys: Tree = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    allow_unused: bool = False,
) -> Tree:
    ys, targets = outputs("grad: y", y), dict(flat(xs, "grad: xs"))
    for name, x in targets.items():
        if not isinstance(x, Variable) or x._node is None:
            what = "a constant (requires_grad=False)" if isinstance(x, Variable) else type(x)
            msg = f"{name} is {what}, expected a Variable with a gradient"
            raise TypeError(msg)
        check_inexact(name, x)
    if gys is None:
        for v in ys:
            check_scalar("grad: y", v, "give gys")
        gs: list[Variable] = [F.ones_like(v) for v in ys]
    else:
        gs = matched("grad: gys", gys, y, ys)
    inputs = list(targets.values())
    way = paths(ys, inputs)
    reached = {y._node for y in ys}.union(*(node._edges for node in way[0]))
    for name, x in targets.items():
        if x._node not in reached and not allow_unused:
            msg = f"grad: y does not depend on {name[6:]}; allow_unused=True gives None for it"
            raise RuntimeError(msg)
    keep = create_graph if retain_graph is None else retain_graph
    found = pulled(ys, gs, inputs, create_graph, keep, way)
    return filled(xs, iter(found if allow_unused else or_zeros(found, inputs)))


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, *, create_graph: bool | None = None
) -> Callable[..., tuple[Variable, Tree]]:
    """As `grad` of a function, which returns the pair of value and gradient.

    The value is a constant if the gradient is one.

    Example:
        >>> value_and_grad(lambda x, y: x * x * y, argnums=(0, 1))(2.0, 3.0)
        (variable(12.0), (variable(12.0), variable(4.0)))
    """
    return _value_and_grad("value_and_grad", f, argnums, create_graph)


def _value_and_grad(
    where: str, f: Callable[..., Any], argnums: int | Sequence[int], create_graph: bool | None
) -> Callable[..., tuple[Variable, Tree]]:
    check_argnums(where, argnums)

    def both(*args: Any, **kwargs: Any) -> tuple[Variable, Tree]:
        call = Call(where, f, args, kwargs, argnums, create_graph)
        found = call.pulled([F.ones_like(call.scalar())], call.record, call.record)
        return call.value(), call.like_arguments(found)

    return both


def vjp(f: Callable[..., Any], *xs: Tree) -> tuple[Tree, Callable[[Tree], tuple[Tree, ...]]]:
    """``f(*xs)``, and the function that maps a cotangent of it to one of ``xs``.

    The pullback takes what has the structure and shapes of the output and returns a tuple, one
    entry for each of ``xs``; it may be called several times. For a cotangent ``u`` it gives the
    gradient of the sum of ``u * f(*xs)`` (for complex values, of ``Re(conj(u) * f(*xs))``).

    Raises:
        TypeError: An integer or boolean argument or output, an output that is not a Variable; a
            complex cotangent of a real output.
        ValueError: The cotangent has another shape or structure than the output.

    Example:
        >>> import numpy as np
        >>> y, pullback = vjp(lambda a, b: a * b, np.array([1.0, 2.0]), 3.0)
        >>> pullback(np.array([1.0, 1.0]))
        (variable([3. 3.]), variable(3.0))
    """
    call = Call("vjp", f, xs, {}, range(len(xs)))

    def pullback(cotangent: Tree) -> tuple[Tree, ...]:
        gs = matched("vjp: the cotangent", cotangent, call.result, call.ys)
        return call.like_arguments(call.pulled(gs, call.records(gs), True))

    return call.value(), pullback


def jvp(f: Callable[..., Any], xs: Sequence[Tree], tangents: Sequence[Tree]) -> tuple[Tree, Tree]:
    """``f(*xs)``, and the derivative of it along ``tangents``: the Jacobian times the direction.

    The pullback of `vjp` is linear, and this is its transpose, so it is there for every function:
    it costs one recorded sweep and a sweep over what that recorded.

    Args:
        xs: The arguments as a tuple or list; an array, number, Variable or dict is a single one.
        tangents: A direction for each of them, in its structure and shapes.

    Raises:
        TypeError: As `vjp`; a complex tangent of a real argument.
        ValueError: The tangents have another shape or structure than ``xs``.

    Example:
        >>> jvp(lambda a, b: a * b, (2.0, 3.0), (1.0, 10.0))
        (variable(6.0), variable(23.0))
    """
    if not isinstance(xs, (tuple, list)):
        xs, tangents = (xs,), (tangents,)
    call = Call("jvp", f, xs, {}, range(len(xs)))
    ts = matched("jvp: tangents", tangents, xs, call.xs)
    us: list[Variable] = [Variable(F.ones_like(y).data) for y in call.ys]
    record = call.records(ts)
    found = pulled(call.pulled(us, True, True), ts, us, record, record)
    return call.value(), filled(call.result, iter(or_zeros(found, us)))


def jacobian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Tree]:
    """The function that takes what ``f`` takes and returns all first derivatives.

    For an output of shape ``(M, ...)`` and an argument of shape ``(N, ...)`` it is of shape
    ``(M, ..., N, ...)``. For nested outputs and arguments: the structure of the output, with that
    of the arguments in place of each of its arrays.

    It is computed row by row: one call of ``f`` and one sweep for each element of the output (two
    for a complex one). For a product with the Jacobian use `jvp` or `vjp`, which cost a sweep or
    two whatever the size.

    Raises:
        TypeError: As `vjp`; and for complex outputs of complex arguments, where a derivative is
            not one number.
        ValueError: ``argnums`` does not fit.

    Example:
        >>> import numpy as np
        >>> jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
        variable([[2. 0.]
                  [0. 4.]])
    """
    return _jacobian("jacobian", f, argnums)


def _jacobian(
    where: str, f: Callable[..., Any], argnums: int | Sequence[int]
) -> Callable[..., Tree]:
    check_argnums(where, argnums)

    def derivatives(*args: Any, **kwargs: Any) -> Tree:
        call = Call(where, f, args, kwargs, argnums)
        if any(map(is_complex, call.xs)) and any(map(is_complex, call.ys)):
            msg = f"{where}: complex outputs of complex arguments, use jvp or vjp (or hvp)"
            raise TypeError(msg)
        return mapped(lambda y: call.like_arguments(call.rows(y)), call.result)

    return derivatives


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Tree]:
    """The function that takes what ``f`` takes and returns all second derivatives.

    For an argument of shape ``(N, ...)`` it is of shape ``(N, ..., N, ...)``; for nested arguments
    the structure of the gradient, with that of the arguments in place of each of its arrays.

    It is the `jacobian` of the gradient: one sweep for each element of the arguments. `hvp` is the
    product with a vector, without the matrix.

    Raises:
        TypeError: As `grad`; and for complex arguments.
        ValueError: As `grad`.

    Example:
        >>> import numpy as np
        >>> hessian(lambda x: (x**3).sum())(np.array([1.0, 2.0]))
        variable([[ 6.  0.]
                  [ 0. 12.]])
    """
    both = _value_and_grad("hessian", f, argnums, None)
    return _jacobian("hessian", lambda *args, **kwargs: both(*args, **kwargs)[1], argnums)


def hvp(f: Callable[[Tree], Variable], x: Tree, v: Tree) -> Tree:
    """The second derivatives of the scalar function ``f`` at ``x`` times ``v``.

    It is the derivative of the gradient along ``v``, in the structure of ``x``, for complex ``x``
    too. It costs two sweeps, not a matrix: the second goes back through the recorded first.

    Args:
        f: A function of one argument, which may be nested.
        x: The argument.
        v: In the structure and shapes of ``x``.

    Raises:
        TypeError: As `grad`; a complex ``v`` of a real ``x``.
        ValueError: As `grad`; ``v`` has another shape or structure than ``x``.

    Example:
        >>> import numpy as np
        >>> hvp(lambda x: (x**3).sum(), np.array([1.0, 2.0]), np.array([1.0, 10.0]))
        variable([  6. 120.])
    """
    call = Call("hvp", f, (x,), {}, 0)
    vs = matched("hvp: v", v, x, call.xs)
    record = call.records(vs)
    found = pulled(
        call.pulled([F.ones_like(call.scalar())], True, True), vs, call.xs, record, record
    )
    return call.like_arguments(found)
