"""Workers: one engine each, in a process of its own, so that no other library disturbs it."""

import os
import pickle
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
THREADS = ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMEXPR")


class Refused(Exception):
    """A worker's answer that is no figure.

    Attributes:
        broken: Something failed that should not; otherwise the engine just has no such thing.
    """

    def __init__(self, reason, broken):
        super().__init__(reason)
        self.broken = broken


class Worker:
    """An engine that waits for requests, started when it gets the first.

    Args:
        engine: One of `engines.ENGINES`.
        threads: How many it may use.
        path: The folder in which it finds the package dezero, if any.
        limit: A request that takes more seconds ends the process.
    """

    def __init__(self, engine, threads=1, path=None, limit=300.0):
        self.engine, self.threads, self.path, self.limit = engine, threads, path, limit
        self.process = None

    def ask(self, method, *arguments):
        """What ``method`` of `worker.Session` gives.

        Raises:
            Refused: It gives nothing, for a reason.
        """
        if self.process is None:
            self._start()
            if self.path is not None:
                self._check_path()
        return self._answer(method, *arguments)

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def _start(self):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), self.engine, str(self.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(self.threads, self.path),
        )

    def _check_path(self):
        _, file = self._answer("about")
        if not Path(file).resolve().is_relative_to(Path(self.path).resolve()):
            self.close()  # so that it is asked again
            raise Refused(f"{file} was imported, not what is in {self.path}", True)

    def _answer(self, *request):
        alarm = threading.Timer(self.limit, self.process.kill)
        alarm.start()
        try:
            pickle.dump(request, self.process.stdin)
            self.process.stdin.flush()
            kind, value = pickle.load(self.process.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            late = not alarm.is_alive()
            status = self.process.wait()
            self.close()
            reason = f"took more than {self.limit:g} s" if late else f"ended with status {status}"
            raise Refused(reason, not late) from None
        finally:
            alarm.cancel()
        if kind == "ok":
            return value
        raise Refused(value, kind == "failed")


def environment(threads, path):
    """The variables of a worker's process."""
    changed = {f"{name}_NUM_THREADS": str(threads) for name in THREADS}
    changed["NPROC"] = str(threads)  # read by JAX
    changed["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"
    changed["JAX_PLATFORMS"] = "cpu"
    changed["PYTHONHASHSEED"] = "0"
    if path is not None:
        paths = [str(path), os.environ.get("PYTHONPATH", "")]
        changed["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return os.environ | changed


IMPORT = """
import sys
from time import process_time
begin = process_time()
import {0}
print(process_time() - begin)
"""


class Importing:
    """The time that ``import`` takes in fresh processes, without the interpreter's start.

    Byte code is there, in a folder of its own, whatever the environment says about writing it.
    """

    def __init__(self, module, path=None):
        self.module = module
        self.cache = tempfile.TemporaryDirectory()
        self.environment = environment(1, path) | {"PYTHONPYCACHEPREFIX": self.cache.name}
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.cache.cleanup()

    def seconds(self):
        command = [sys.executable, "-c", IMPORT.format(self.module)]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1]
            raise Refused(reason, broken="ModuleNotFoundError" not in reason)
        return float(done.stdout.splitlines()[-1])
