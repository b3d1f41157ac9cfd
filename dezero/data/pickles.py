"""Reading a pickle of plain values and numeric arrays without running anything in it."""

import pickletools
import re
from typing import Any

import numpy as np

__all__ = ["read_pickle"]

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NUMBERS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
_TEXTS = {"BINUNICODE", "SHORT_BINUNICODE"}
_BYTES = {"BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES"}
_NAMES = {
    "numpy.core.multiarray _reconstruct": "array",
    "numpy._core.multiarray _reconstruct": "array",
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "_codecs encode": "encode",
}
_MOST_STEPS = 10_000_000


class _Name:
    """One of the few names that may be called."""

    def __init__(self, name: str) -> None:
        self.name = name


class _DType:
    def __init__(self, code: Any) -> None:
        if not isinstance(code, (str, bytes)) or not re.fullmatch("[iuf][1248]|b1", _text(code)):
            msg = f"arrays of {code!r} are not read"
            raise ValueError(msg)
        self.dtype = np.dtype(_text(code))


class _Array:
    """An array, empty until its state comes."""

    value: np.ndarray = np.zeros(0)

    def fill(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        value = np.frombuffer(data, dtype.dtype)
        self.value = value.reshape(shape, order="F" if fortran else "C")


def read_pickle(data: bytes) -> Any:
    """What a pickle of protocols 2 to 4 holds: numbers, text, bytes, containers, NumPy arrays.

    A pickle is a program for a stack machine. This one knows the instructions that such values are
    made of and no others, and calls nothing that the pickle names. Text of Python 2 is bytes here.
    Arrays are read-only views into ``data``.

    Raises:
        ValueError: Something else is in it, or it is damaged.

    Example:
        >>> import pickle
        >>> read_pickle(pickle.dumps({b"labels": [3, 1]}, 2))
        {b'labels': [3, 1]}
    """
    try:
        return _finished(_run(data))
    except (LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        msg = f"the pickle is damaged: {error}"
        raise ValueError(msg) from error


def _run(data: bytes) -> Any:
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def popped(count: int) -> list[Any]:
        if count > len(stack) - (marks[-1] if marks else 0):
            msg = "the stack is too short"
            raise IndexError(msg)
        taken = stack[len(stack) - count :]
        del stack[len(stack) - count :]
        return taken

    def marked() -> list[Any]:
        place = marks[-1]
        taken = popped(len(stack) - place)
        marks.pop()
        return taken

    for step, (op, arg, at) in enumerate(pickletools.genops(data)):
        name = op.name
        if step > _MOST_STEPS:
            msg = "the pickle is too long"
            raise ValueError(msg)
        if name in ("PROTO", "FRAME"):
            continue
        if name == "STOP":
            return stack.pop()
        if name == "MARK":
            marks.append(len(stack))
        elif name in _NUMBERS or name in _TEXTS:
            stack.append(arg)
        elif name in _BYTES:
            stack.append(arg.encode("latin-1") if isinstance(arg, str) else arg)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in ("EMPTY_LIST", "EMPTY_DICT", "EMPTY_TUPLE"):
            stack.append({"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}[name]())
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            stack.append(tuple(popped(int(name[-1]))))
        elif name == "TUPLE":
            stack.append(tuple(marked()))
        elif name in ("APPEND", "APPENDS"):
            items = popped(1) if name == "APPEND" else marked()
            _expected(stack[-1], list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = popped(2) if name == "SETITEM" else marked()
            _expected(stack[-1], dict).update(zip(items[::2], items[1::2], strict=True))
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[_whole(arg)] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[_whole(arg)])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            wanted = arg if name == "GLOBAL" else " ".join(popped(2))
            if wanted not in _NAMES:
                msg = f"the pickle names {wanted!r} at byte {at}; plain values are read only"
                raise ValueError(msg)
            stack.append(_Name(_NAMES[wanted]))
        elif name == "REDUCE":
            function, arguments = popped(2)
            stack.append(_called(_expected(function, _Name).name, arguments))
        elif name == "BUILD":
            (state,) = popped(1)
            _build(stack[-1], state)
        else:
            msg = f"the pickle's instruction {name} at byte {at} is not read"
            raise ValueError(msg)
    msg = "the pickle ends too early"
    raise ValueError(msg)


def _called(name: str, arguments: Any) -> Any:
    if name == "array":
        return _Array()
    if name == "dtype":
        return _DType(arguments[0])
    if name == "encode" and arguments[1] in ("latin1", "latin-1", b"latin1"):
        return arguments[0].encode("latin-1")
    msg = f"the pickle calls {name}{arguments!r:.80}"
    raise ValueError(msg)


def _build(target: Any, state: Any) -> None:
    if isinstance(target, _Array):
        target.fill(state)
    elif isinstance(target, _DType):
        if _text(state[1]) == ">":
            target.dtype = target.dtype.newbyteorder(">")
    else:
        msg = f"the pickle gives a state to a {type(target).__name__}"
        raise ValueError(msg)


def _finished(value: Any) -> Any:
    """With arrays in place of what stands for them, where they are values of a dictionary."""
    if isinstance(value, dict):
        return {key: _finished(item) for key, item in value.items()}
    return value.value if isinstance(value, _Array) else value


def _expected(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        msg = f"a {type(value).__name__} where a {kind.__name__} belongs"
        raise TypeError(msg)
    return value


def _whole(arg: Any) -> int:
    return int(arg)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
