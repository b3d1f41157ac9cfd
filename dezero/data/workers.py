"""Worker processes that make batches; what they give does not depend on how many they are."""

import collections
import contextlib
import multiprocessing
import os
import pickle
import random as python_random
import signal
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from . import draws
from .collation import collate
from .datasets import Dataset

__all__ = ["Workers", "make_batch"]


def make_batch(
    dataset: Any,
    chosen: np.ndarray,
    combine: Callable[[list[Any]], Any] | None,
    place: draws.Place,
) -> Any:
    """The examples of these numbers as one batch, on the host.

    Args:
        dataset: What has them.
        chosen: Their numbers.
        combine: A function of a list of examples; without one, `collate`.
        place: The pass that the batch is for.
    """
    with draws.keyed(place):
        if combine is None and type(dataset).__getitem__ is Dataset.__getitem__:
            return dataset[chosen]
        examples = []
        for index in chosen.tolist():
            draws.begin(index)
            try:
                examples.append(dataset[index])
            except Exception as error:
                error.add_note(f"DataLoader: this was example {index}")
                raise
        return (combine or collate)(examples)


class Workers:
    """A pool of processes with a copy of a data set each, started when the first batch is wanted.

    New interpreters are started, which import what the data set needs: nothing is forked, so
    threads and devices of this process do no harm. They end with this object, and also when this
    process is killed.

    Args:
        dataset: What has the examples; it must be possible to pickle it.
        combine: As for `make_batch`.
        count: How many processes.
        prefetch: How many batches each of them has in work or waiting.
        timeout: Seconds to wait for one batch; None for ever.
    """

    def __init__(
        self,
        dataset: Any,
        combine: Callable[[list[Any]], Any] | None,
        count: int,
        prefetch: int,
        timeout: float | None,
    ) -> None:
        self._job = dataset, combine
        self._count = count
        self._ahead = count * prefetch
        self._timeout = timeout
        self._works = False
        self._pool: ProcessPoolExecutor | None = None
        self._end: Callable[[], Any] = _nothing

    def batches(self, chosen: Iterator[np.ndarray], place: draws.Place) -> Iterator[Any]:
        """The batches of these numbers, in order.

        Where a process was killed, what it had in work is made anew.

        Raises:
            RuntimeError: Processes ended again and again without a batch in between.
            TimeoutError: A batch took too long; the processes are ended.
            TypeError: The data set cannot be pickled.
        """
        waiting: collections.deque[_Task] = collections.deque()
        broken = 0
        try:
            while True:
                while len(waiting) < self._ahead and (index := next(chosen, None)) is not None:
                    waiting.append(_Task((index, place)))
                    self._submit(waiting[-1])
                if not waiting:
                    return
                try:
                    batch = waiting[0].future.result(self._timeout)
                except (BrokenProcessPool, CancelledError) as error:
                    broken += 1
                    if broken > (_TRIES if self._works else 1):
                        raise RuntimeError(_ENDED) from error
                    self._replace(waiting)
                    continue
                except TimeoutError as error:
                    msg = f"DataLoader: no batch in {self._timeout} s, its timeout"
                    raise TimeoutError(msg) from error
                broken, self._works = 0, True
                waiting.popleft()
                if isinstance(batch, _Failure):
                    raise batch.error
                # Before the batch is used, so that the next ones are made meanwhile.
                if (index := next(chosen, None)) is not None:
                    waiting.append(_Task((index, place)))
                    self._submit(waiting[-1])
                yield batch
        except (TimeoutError, KeyboardInterrupt):
            self.close()
            raise
        finally:
            for task in waiting:
                task.future.cancel()

    def close(self) -> None:
        """End the processes; the next batch starts new ones."""
        self._end()
        self._pool, self._end = None, _nothing

    def _submit(self, task: "_Task") -> None:
        try:
            task.pool = self._started()
            task.future = task.pool.submit(_work, *task.arguments)
        except BrokenProcessPool as error:  # who waits for the batch, replaces the pool
            task.future = Future()
            task.future.set_exception(error)

    def _replace(self, waiting: "collections.deque[_Task]") -> None:
        """New processes in place of dead ones, for all tasks that ended with them."""
        ended = [task for task in waiting if task.ended()]
        if any(task.pool is self._pool for task in ended):
            self.close()
        for task in ended:
            self._submit(task)

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            try:
                job = pickle.dumps(self._job)
            except Exception as error:
                msg = (
                    "DataLoader: the data set cannot be sent to worker processes: "
                    f"{type(error).__name__}: {error}"
                )
                raise TypeError(msg) from error
            context = multiprocessing.get_context("spawn")
            ours, theirs = context.Pipe()
            self._pool = ProcessPoolExecutor(
                self._count, context, initializer=_start, initargs=(theirs, job)
            )
            self._end = weakref.finalize(self, _end, self._pool, ours, theirs)
        return self._pool


_TRIES = 3  # once they have made a batch; before that, one
_ENDED = (
    "DataLoader: a worker process ended while it made a batch, and so did those that tried again:"
    " killed, out of memory, or crashed. A program that uses workers needs"
    " `if __name__ == '__main__':` before what it does, since each worker imports it"
)


class _Task:
    """A batch to be made."""

    __slots__ = ("arguments", "future", "pool")

    def __init__(self, arguments: tuple[np.ndarray, draws.Place]) -> None:
        self.arguments = arguments
        self.future: Future[Any] = Future()
        self.pool: ProcessPoolExecutor | None = None

    def ended(self) -> bool:
        """Whether its process ended without an answer, or it was never begun."""
        future = self.future
        return future.cancelled() or (
            future.done() and isinstance(future.exception(), BrokenProcessPool)
        )


class _Failure:
    """What a process gives instead of a batch."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _nothing() -> None:
    """What ends processes where there are none."""


def _end(pool: ProcessPoolExecutor, ours: Connection, theirs: Connection) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    ours.close()
    theirs.close()


# In the worker processes.

_pickled = b""
_job: tuple[Any, Callable[[list[Any]], Any] | None] | None = None


def _start(lifeline: Connection, job: bytes) -> None:
    global _pickled
    _pickled = job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started us
    threading.Thread(target=_follow, args=(lifeline,), daemon=True).start()


def _follow(lifeline: Connection) -> None:
    """End this process, whatever it does, when the other end of the pipe is gone."""
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os._exit(1)


def _work(chosen: np.ndarray, place: draws.Place) -> Any:
    global _job
    try:
        if _job is None:
            _job = pickle.loads(_pickled)
        # For data sets with draws of their own: the same ones, whichever process this is.
        with draws.keyed(place):
            draws.begin(int(chosen[0]))
            words = draws.example_generator().integers(2**32, size=4)
        np.random.seed(words)
        python_random.seed(words.tobytes())
        dataset, combine = _job
        return make_batch(dataset, chosen, combine, place)
    except Exception as error:
        return _Failure(_portable(error))


def _portable(error: Exception) -> Exception:
    """``error``, or one that says the same where it cannot be sent."""
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever an exception class of the user's raises
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"In worker process {os.getpid()}:\n{text}")
    return error
