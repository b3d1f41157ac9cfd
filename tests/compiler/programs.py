"""Programs made by hand."""

import operator
from itertools import count

import numpy as np

from dezero.backends import backend_of
from dezero.compiler import plain
from dezero.compiler.program import Program, Step, Value, replaced

OPERATORS = {
    "add": operator.add,
    "add_into": operator.add,  # the interpreter keeps what it has
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "pow": operator.pow,
    "negative": operator.neg,
    "greater": operator.gt,
    "less": operator.lt,
    "less_equal": operator.le,
}
BACKEND = backend_of(np.ones(1))


class Maker:
    """Records a program while it runs."""

    def __init__(self, backend=BACKEND):
        self.backend = backend
        self.program = Program()
        self.arrays = {}
        self.numbers = count()

    def _value(self, array):
        dtype = dict if isinstance(array, dict) else array.dtype
        shape = () if isinstance(array, dict) else tuple(array.shape)
        value = Value(next(self.numbers), shape, dtype)
        self.arrays[value] = array
        return value

    def input(self, array):
        value = self._value(array)
        self.program.inputs.append(value)
        return value

    def constant(self, array, fixed=True):
        value = self._value(array)
        self.program.constants[value] = array
        if fixed:
            self.program.fixed.add(value)
        return value

    def call(self, name, *args, call=None, effect=False, **kwargs):
        call = call or OPERATORS.get(name) or getattr(self.backend, name)
        y = call(*replaced(args, self.arrays), **replaced(kwargs, self.arrays))
        if isinstance(y, tuple):
            result = tuple(self._value(part) for part in y)
        else:
            result = None if y is None else self._value(y)
        self.program.steps.append(Step(name, call, args, kwargs, result, effect))
        return result

    def __getattr__(self, name):
        return lambda *args, **kwargs: self.call(name, *args, **kwargs)

    def output(self, *values):
        self.program.outputs += values
        return self.program


def interpreted(program, *arrays):
    """The outputs, step by step."""
    return plain.build(program)([*arrays])
