"""Modes: as blocks and as decorators, nested, after errors, in threads, tasks and generators."""

import asyncio
import contextvars
import inspect
import threading

import numpy as np
import pytest

import dezero
from dezero import Config, Variable, enable_grad, no_grad, using_config
from dezero.config import recording, training


def modes():
    return Config.enable_backprop, Config.train


@pytest.fixture(autouse=True)
def modes_are_left_as_they_were():
    assert modes() == (True, True)
    yield
    assert modes() == (True, True)


# --- blocks -------------------------------------------------------------------------------------


def test_defaults():
    assert Config.enable_backprop is True
    assert Config.train is True


@pytest.mark.parametrize(
    ("block", "inside"),
    [
        (no_grad, (False, True)),
        (enable_grad, (True, True)),
        (dezero.test_mode, (True, False)),
        (lambda: using_config("enable_backprop", False), (False, True)),
        (lambda: using_config("train", False), (True, False)),
    ],
    ids=["no_grad", "enable_grad", "test_mode", "enable_backprop", "train"],
)
def test_block(block, inside):
    with block():
        assert modes() == inside
        assert (recording(), training()) == inside
    assert modes() == (True, True)


def test_blocks_nest():
    with no_grad():
        with enable_grad():
            with no_grad(), dezero.test_mode():
                assert modes() == (False, False)
            assert modes() == (True, True)
        assert modes() == (False, True)


def test_one_block_entered_again_inside_itself():
    block = no_grad()
    with block:
        with enable_grad():
            with block:
                assert modes() == (False, True)
            assert modes() == (True, True)
        assert modes() == (False, True)
    with block:
        assert modes() == (False, True)


def test_mode_returns_after_an_error():
    with pytest.raises(ZeroDivisionError), no_grad(), dezero.test_mode():
        1 / 0  # noqa: B018
    assert modes() == (True, True)


def test_blocks_do_not_swallow_errors():
    with pytest.raises(KeyError), no_grad():
        raise KeyError("through")


@pytest.mark.parametrize("name", ["training", "Train", "", "__class_getitem__"])
def test_unknown_mode(name):
    with pytest.raises(AttributeError, match="expected one of enable_backprop, train"):
        using_config(name, False)
    with pytest.raises(AttributeError, match="no mode"):
        getattr(Config, name)
    with pytest.raises(AttributeError, match="no mode"):
        setattr(Config, name, False)
    assert modes() == (True, True)


# --- assignment ---------------------------------------------------------------------------------


def in_context(function):
    """Run ``function`` in a copy of the context, so that its assignments stay in there."""
    return contextvars.copy_context().run(function)


def test_assignment():
    def work():
        Config.train = False
        Config.enable_backprop = False
        assert modes() == (False, False)
        assert (Variable(np.array(1.0)) * 2.0).creator is None
        with enable_grad():
            assert (Variable(np.array(1.0)) * 2.0).creator is not None
        assert modes() == (False, False)

    in_context(work)


def test_assignment_inside_a_block_ends_with_it():
    with dezero.test_mode():
        Config.train = True
        assert Config.train is True
    assert Config.train is True
    with no_grad():
        with no_grad():
            Config.enable_backprop = True
        assert Config.enable_backprop is False


def test_assignment_is_seen_by_its_thread_only():
    seen = {}
    ready, done = threading.Event(), threading.Event()

    def work():
        Config.train = False
        Config.enable_backprop = False
        ready.set()
        done.wait(10)
        seen["own"] = modes()

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait(10)
    assert modes() == (True, True)
    done.set()
    thread.join()
    assert seen["own"] == (False, False)


def test_config_is_exported():
    assert dezero.Config is Config
    assert dezero.using_config is using_config


# --- decorators ---------------------------------------------------------------------------------


def test_decorated_function():
    @no_grad()
    def predict(x, scale=2.0):
        """Something without a graph."""
        return modes(), x * scale

    inside, y = predict(Variable(np.array(3.0)), scale=4.0)
    assert inside == (False, True)
    assert y.creator is None
    assert float(y.data) == 12.0
    assert predict.__name__ == "predict"
    assert predict.__doc__ == "Something without a graph."
    assert list(inspect.signature(predict).parameters) == ["x", "scale"]


def test_decorated_function_that_calls_itself():
    @no_grad()
    @dezero.test_mode()
    def depth(n):
        assert modes() == (False, False)
        return n if n == 0 else depth(n - 1)

    assert depth(50) == 0


def test_decorated_function_that_fails():
    @dezero.test_mode()
    def fail():
        raise KeyError("inside")

    with pytest.raises(KeyError):
        fail()
    assert modes() == (True, True)


def test_decorated_method():
    class Model:
        @no_grad()
        def predict(self):
            return modes()

    assert Model().predict() == (False, True)


def test_decorated_generator_has_the_mode_only_while_it_runs():
    seen = []

    @no_grad()
    def numbers():
        for i in range(3):
            seen.append(Config.enable_backprop)
            yield i
        seen.append(Config.enable_backprop)

    for _ in numbers():
        assert modes() == (True, True)
    assert seen == [False] * 4
    with dezero.test_mode():
        generator = numbers()
        next(generator)
        assert modes() == (True, False)
    next(generator)
    assert modes() == (True, True)
    generator.close()


def test_decorated_generator_keeps_the_protocol():
    events = []

    @dezero.test_mode()
    def echo():
        received = None
        try:
            while True:
                try:
                    received = yield received
                    events.append((received, Config.train))
                except ValueError as error:
                    events.append((str(error), Config.train))
                    received = "caught"
                if received == "stop":
                    return "result"
        finally:
            events.append(("end", Config.train))

    generator = echo()
    assert next(generator) is None
    assert generator.send(1) == 1
    assert generator.throw(ValueError("thrown")) == "caught"
    assert modes() == (True, True)
    with pytest.raises(StopIteration) as stop:
        generator.send("stop")
    assert stop.value.value == "result"
    assert events == [(1, False), ("thrown", False), ("stop", False), ("end", False)]

    events.clear()
    generator = echo()
    next(generator)
    generator.close()
    assert events == [("end", False)]
    with pytest.raises(StopIteration):
        next(generator)
    generator = echo()
    next(generator)
    with pytest.raises(KeyError):
        generator.throw(KeyError("not caught"))
    assert modes() == (True, True)


def test_two_decorated_generators_in_turn():
    @no_grad()
    def without():
        while True:
            yield modes()

    @dezero.test_mode()
    def testing():
        while True:
            yield modes()

    a, b = without(), testing()
    for _ in range(3):
        assert next(a) == (False, True)
        assert next(b) == (True, False)
        assert modes() == (True, True)
    a.close()
    b.close()


def test_inner_modes_of_a_decorated_generator_last_across_suspensions():
    @no_grad()
    def work():
        yield modes()
        yield modes()

    def outer():
        return (yield from work())

    assert list(outer()) == [(False, True)] * 2


def test_generator_finished_elsewhere():
    @no_grad()
    def numbers():
        yield 1
        yield 2

    generator = numbers()
    next(generator)
    rest = []
    thread = threading.Thread(target=lambda: rest.extend(generator))
    thread.start()
    thread.join()
    assert rest == [2]
    assert modes() == (True, True)


def test_decorated_coroutine():
    @no_grad()
    async def work(i):
        for _ in range(3):
            assert modes() == (False, True)
            await asyncio.sleep(0)
        assert modes() == (False, True)
        return i

    async def main():
        assert inspect.iscoroutinefunction(work)
        first = await work(1)
        assert modes() == (True, True)
        return [first, *await asyncio.gather(work(2), work(3))]

    assert asyncio.run(main()) == [1, 2, 3]


def test_decorated_coroutine_that_fails_or_is_cancelled():
    ended = []

    @dezero.test_mode()
    async def fail():
        await asyncio.sleep(0)
        raise KeyError("inside")

    @dezero.test_mode()
    async def forever():
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(Config.train)

    async def main():
        with pytest.raises(KeyError):
            await fail()
        task = asyncio.create_task(forever())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert modes() == (True, True)

    asyncio.run(main())
    assert ended == [False]


def test_decorated_asynchronous_generator_is_refused():
    async def numbers():
        yield 1

    with pytest.raises(TypeError, match=r"numbers.*asynchronous generator"):
        no_grad()(numbers)


# --- threads and tasks --------------------------------------------------------------------------


def test_new_thread_starts_with_the_defaults():
    seen = []
    with no_grad(), dezero.test_mode():
        thread = threading.Thread(target=lambda: seen.append(modes()))
        thread.start()
        thread.join()
    assert seen == [(True, True)]


def test_blocks_in_threads_do_not_meet():
    seen, barrier = {}, threading.Barrier(4)

    def work(i):
        with no_grad() if i % 2 else dezero.test_mode():
            barrier.wait(10)
            seen[i] = modes()
            barrier.wait(10)
        seen[-i - 1] = modes()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [seen[i] for i in range(4)] == [(True, False), (False, True)] * 2
    assert [seen[-i - 1] for i in range(4)] == [(True, True)] * 4


def test_tasks_do_not_meet():
    async def work(block, want):
        with block():
            for _ in range(5):
                assert modes() == want
                await asyncio.sleep(0)
        assert modes() == (True, True)

    async def main():
        await asyncio.gather(
            work(no_grad, (False, True)),
            work(dezero.test_mode, (True, False)),
            work(enable_grad, (True, True)),
        )

    asyncio.run(main())


def test_task_starts_with_the_modes_of_its_maker_and_changes_only_its_own():
    async def child():
        before = modes()
        Config.train = False
        await asyncio.sleep(0)
        return before, modes()

    async def main():
        with no_grad():
            task = asyncio.create_task(child())
        result = await task
        assert modes() == (True, True)
        return result

    assert asyncio.run(main()) == ((False, True), (False, False))


def test_sweep_in_a_task_under_no_grad_of_another():
    async def train():
        x = Variable(np.array(2.0))
        y = x * x
        await asyncio.sleep(0)
        z = y * x
        await asyncio.sleep(0)
        z.backward()
        return float(x.grad.data)

    async def evaluate():
        with no_grad():
            for _ in range(4):
                assert (Variable(np.array(1.0)) * 2.0).creator is None
                await asyncio.sleep(0)

    async def main():
        return (await asyncio.gather(train(), evaluate()))[0]

    assert asyncio.run(main()) == 12.0
