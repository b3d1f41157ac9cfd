"""Modes of the current context: whether operations are recorded, and whether a model is training.

A mode belongs to a context (a thread, an asyncio task), not to the process, so that switching
recording off in one thread leaves all others as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, TypeVar, cast

__all__ = ["Config", "enable_grad", "no_grad", "test_mode", "using_config"]

_F = TypeVar("_F", bound=Callable[..., Any])

enable_backprop: ContextVar[bool] = ContextVar("enable_backprop", default=True)
_train: ContextVar[bool] = ContextVar("train", default=True)
_exact: ContextVar[bool] = ContextVar("exact_convolution", default=False)
_modes = {"enable_backprop": enable_backprop, "train": _train, "exact_convolution": _exact}

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # as in the module inspect

recording = enable_backprop.get
training = _train.get
exact_convolution = _exact.get


def _mode(name: str) -> ContextVar[bool]:
    try:
        return _modes[name]
    except KeyError:
        msg = f"Config has no mode {name!r}, expected one of {', '.join(_modes)}"
        raise AttributeError(msg) from None


class _ConfigType(type):
    def __getattr__(cls, name: str) -> bool:
        return _mode(name).get()

    def __setattr__(cls, name: str, value: bool) -> None:
        _mode(name).set(value)


class Config(metaclass=_ConfigType):
    """The modes of the current context, read and assigned as class attributes.

    ``enable_backprop`` (True): operations are recorded, so that gradients can be asked for.
    ``train`` (True): layers such as dropout behave as in training.
    ``exact_convolution`` (False): every convolution is a plain sum of products; otherwise those of
    3x3 in float32 may be taken by Winograd's algorithm, which is faster and a little less precise.

    An assignment holds for the current thread or asyncio task. A new thread starts with the values
    in parentheses.

    Example:
        >>> from dezero import Config
        >>> Config.train
        True
    """


class using_config:
    """Set a mode for a ``with`` block, or for every call of a decorated function.

    The old value returns at the end, also after an error. A decorated generator or coroutine has
    the mode only while it runs: between its suspensions the caller's modes are in force.

    Args:
        name: ``"enable_backprop"``, ``"train"`` or ``"exact_convolution"``.
        value: The value inside the block.

    Raises:
        AttributeError: There is no such mode.

    Example:
        >>> from dezero import Config, using_config
        >>> with using_config("train", False):
        ...     print(Config.train)
        False
    """

    __slots__ = ("_mode", "_tokens", "_value")

    def __init__(self, name: str, value: bool) -> None:
        self._mode = _mode(name)
        self._value = value
        self._tokens: list[Token[bool]] = []

    def __enter__(self) -> None:
        self._tokens.append(self._mode.set(self._value))

    def __exit__(self, *exc: object) -> None:
        self._mode.reset(self._tokens.pop())

    def __call__(self, function: _F) -> _F:
        """``function`` with this mode set while it runs."""
        mode, value = self._mode, self._value
        flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
        if flags & _GENERATOR:
            return cast(_F, _decorated_generator(function, mode, value))
        if flags & _COROUTINE:

            @functools.wraps(function)
            async def coroutine(*args: Any, **kwargs: Any) -> Any:
                return await _Driven(function(*args, **kwargs), mode, value)

            return cast(_F, coroutine)
        if flags & _ASYNC_GENERATOR:
            msg = f"{function.__qualname__}: an asynchronous generator cannot have a mode"
            raise TypeError(msg)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            token = mode.set(value)
            try:
                return function(*args, **kwargs)
            finally:
                mode.reset(token)

        return cast(_F, call)


def _resume(step: Callable[..., Any], mode: ContextVar[bool], value: bool, *args: Any) -> Any:
    token = mode.set(value)
    try:
        return step(*args)
    finally:
        mode.reset(token)


def _drive(generator: Any, mode: ContextVar[bool], value: bool) -> Any:
    """Run a generator or coroutine to its end, with the mode set only while it runs."""
    try:
        item = _resume(generator.send, mode, value, None)
        while True:
            try:
                sent = yield item
            except GeneratorExit:
                raise
            except BaseException as error:
                item = _resume(generator.throw, mode, value, error)
            else:
                item = _resume(generator.send, mode, value, sent)
    except StopIteration as stop:
        return stop.value
    finally:
        _resume(generator.close, mode, value)


def _decorated_generator(
    function: Callable[..., Any], mode: ContextVar[bool], value: bool
) -> Callable[..., Any]:
    @functools.wraps(function)
    def generate(*args: Any, **kwargs: Any) -> Any:
        return (yield from _drive(function(*args, **kwargs), mode, value))

    return generate


class _Driven:
    """An awaitable that steps a coroutine with a mode set."""

    def __init__(self, coroutine: Any, mode: ContextVar[bool], value: bool) -> None:
        self._arguments = (coroutine, mode, value)

    def __await__(self) -> Any:
        return _drive(*self._arguments)


def no_grad() -> using_config:
    """Record nothing in a ``with`` block or a decorated function.

    Example:
        >>> import numpy as np
        >>> import dezero
        >>> x = dezero.Variable(np.array(2.0))
        >>> with dezero.no_grad():
        ...     y = x * x
        >>> y.requires_grad
        False
    """
    return using_config("enable_backprop", False)


def enable_grad() -> using_config:
    """Record again inside a ``no_grad`` block.

    Example:
        >>> from dezero import Config, enable_grad, no_grad
        >>> with no_grad(), enable_grad():
        ...     print(Config.enable_backprop)
        True
    """
    return using_config("enable_backprop", True)


def test_mode() -> using_config:
    """Let layers such as dropout behave as in use, not as in training.

    Example:
        >>> from dezero import Config, test_mode
        >>> with test_mode():
        ...     print(Config.train)
        False
    """
    return using_config("train", False)


test_mode.__dict__["__test__"] = False  # for pytest: it is no test
