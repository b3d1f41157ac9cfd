"""How each engine takes gradients, in its plainest idiom. A worker has one of them."""

import importlib
import warnings

import numpy as np


class Missing(Exception):
    """An engine is not there, or has no way to do a workload; the text says why."""


class Engine:
    """An engine.

    Attributes:
        module: What is imported.
        method: Whose methods of a program it takes.
        calls: How many calls of a step make it ready; the results of the last one are checked.
    """

    module = ""
    method = ""
    calls = 1

    def __init__(self, threads):
        try:
            self.library = importlib.import_module(self.module)
        except ImportError as error:
            raise Missing(f"{self.module} cannot be imported: {error}") from None

    def leaf(self, array):
        return array

    def finished(self, step):
        """``step`` as it is timed."""
        return step

    def check(self, step):
        """Raise an error unless ``step`` has become what is to be timed."""

    def recorded(self, forward, leaves):
        """Something that keeps all alive which the gradients of ``forward(*leaves)`` need."""
        return forward(*leaves)

    def host(self, x):
        """The numbers as an array of NumPy."""
        return np.asarray(x)

    def raw(self, x):
        """The array within, where Python counts its memory."""
        raise Missing("its memory is not Python's")


class NumPy(Engine):
    module = method = "numpy"

    def gradient(self, forward, g):
        def step(*leaves):
            y, backward = forward(*leaves)
            return [y, *backward(np.ones_like(y) if g is None else g)]

        return step

    def raw(self, x):
        return x


class Dezero(Engine):
    module = method = "dezero"

    def leaf(self, array):
        return self.library.Variable(array)

    def gradient(self, forward, g):
        Variable = self.library.Variable

        def step(*leaves):
            y = forward(*leaves)
            for v in leaves:
                v.cleargrad()
            if g is not None:
                y.grad = Variable(g)
            y.backward()
            return [y, *(v.grad for v in leaves)]

        return step

    def host(self, x):
        return np.asarray(self.raw(x))

    def raw(self, x):
        return getattr(x, "data", x) if isinstance(x, self.library.Variable) else x


class Compiled(Dezero):
    calls = 4  # two are recorded

    def __init__(self, threads):
        super().__init__(threads)
        if not hasattr(self.library, "compile"):
            raise Missing("this version has no dezero.compile")

    def finished(self, step):
        return self.library.compile(step)

    def check(self, step):
        if step.reasons or not step.programs:
            raise RuntimeError(f"not replayed: {step.reasons}")


class Book(Dezero):
    method = "book"

    def __init__(self, threads):
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
            super().__init__(threads)


class Torch(Engine):
    module = method = "torch"

    def __init__(self, threads):
        super().__init__(threads)
        self.library.set_num_threads(threads)

    def leaf(self, array):
        return self.library.tensor(array, requires_grad=True)

    def gradient(self, forward, g):
        torch = self.library
        g = None if g is None else torch.tensor(g)

        def step(*leaves):
            y = forward(*leaves)
            return [y, *torch.autograd.grad(y, leaves, g)]

        return step

    def host(self, x):
        return x.detach().numpy()


class Jax(Engine):
    module = method = "jax"

    def __init__(self, threads):
        super().__init__(threads)
        self.library.config.update("jax_enable_x64", True)  # as in the others; float32 stays

    def leaf(self, array):
        return self.library.numpy.asarray(array)

    def gradient(self, forward, g):
        jax = self.library

        @jax.jit
        def both(g, *leaves):
            y, pull = jax.vjp(forward, *leaves)
            return [y, *pull(jax.numpy.ones_like(y) if g is None else g)]

        g = None if g is None else self.leaf(g)
        return lambda *leaves: both(g, *leaves)

    def finished(self, step):
        def waited(*arguments):
            result = step(*arguments)
            result[-1].block_until_ready()  # all of them come from one program
            return result

        return waited

    def recorded(self, forward, leaves):
        raise Missing("forward and backward are one program")


class Autograd(Engine):
    module = method = "autograd"

    def gradient(self, forward, g):
        def step(*leaves):
            pull, y = self.recorded(forward, leaves)
            return [y, *pull(np.ones_like(y) if g is None else g)]

        return step

    def recorded(self, forward, leaves):
        return self.library.make_vjp(forward, tuple(range(len(leaves))))(*leaves)

    def raw(self, x):
        return getattr(x, "_value", x)


class MyGrad(Engine):
    module = method = "mygrad"

    def leaf(self, array):
        return self.library.tensor(array)

    def gradient(self, forward, g):
        def step(*leaves):
            y = forward(*leaves)
            y.backward(g)
            return [y, *(v.grad for v in leaves)]

        return step

    def host(self, x):
        return np.asarray(self.raw(x))

    def raw(self, x):
        return x.data if isinstance(x, self.library.Tensor) else x


ENGINES = {
    "numpy": NumPy,
    "dezero": Dezero,
    "compiled": Compiled,
    "torch": Torch,
    "jax": Jax,
    "autograd": Autograd,
    "mygrad": MyGrad,
    "book": Book,
}
