"""A plugin for SciPy's own tests: they run on the arrays of one library, or on Variables.

    pytest -p scipy_plugin --arrays variables --outcomes out.jsonl --pyargs scipy.fft -m ...

SciPy's tests take a namespace from the fixture ``xp`` of scipy.conftest, which has one parameter
for each library that SciPy knows. Here it has exactly one, under an id that is the same for all, so
that the tests have the same names whatever they run on. Marks such as "NumPy only" count for
Variables as for every other library that is not NumPy.

With ``--arrays recorded`` every floating Variable that a test or SciPy makes is recorded, though no
leaf; conversions to NumPy, which dezero refuses then, give the value, since tests look at results
by them. A floating result of a recorded operand must be recorded.

With ``--outcomes`` each test leaves a line of JSON: its name, outcome, seconds, and message if it
did not pass. The first line has the versions, and the last says that the run came to its end.
"""

import importlib
import importlib.metadata
import inspect
import json

import pytest

LIBRARIES = {
    "variables": "dezero.xp",
    "recorded": "dezero.xp",
    "numpy": "numpy",
    "strict": "array_api_strict",
    "torch": "torch",
    "jax": "jax.numpy",
}
PACKAGES = ("numpy", "scipy", "array-api-strict", "marray")
LONGEST = 500


def pytest_addoption(parser):
    """Add the options."""
    group = parser.getgroup("arrays")
    group.addoption("--arrays", choices=LIBRARIES, default="variables", help="what the tests get")
    group.addoption("--outcomes", metavar="FILE", help="where to write outcomes, as lines of JSON")


def pytest_configure(config):
    """Give the fixture of SciPy the one parameter, before any test is collected."""
    conftest = importlib.import_module("scipy.conftest")
    library = importlib.import_module(LIBRARIES[config.getoption("arrays")])
    if config.getoption("arrays") == "recorded":
        recorded_namespace = importlib.import_module("recorded_namespace")
        recorded_namespace.recorded_everywhere("numpy")
        config.pluginmanager.register(recorded_namespace)
    conftest.xp_known_backends.add(library.__name__)
    marks = [pytest.mark.array_api_backends]
    parameters = [pytest.param(library, id="xp", marks=marks)]
    conftest.xp = pytest.fixture(params=parameters)(inspect.unwrap(conftest.xp))
    if isinstance(library.__array_namespace_info__().devices(), tuple):
        conftest.devices = pytest.fixture(_devices)
    if path := config.getoption("outcomes"):
        config.pluginmanager.register(Outcomes(path))


def _devices(xp):
    """SciPy's fixture without its sum of lists: the standard's ``devices()`` is now a tuple."""
    return [*xp.__array_namespace_info__().devices(), None]


class Outcomes:
    """What became of each test, in a file."""

    def __init__(self, path):
        self._path = path
        self._seconds = 0.0
        self._worst = None

    def pytest_sessionstart(self):
        """Write the versions."""
        self._write({name: importlib.metadata.version(name) for name in PACKAGES})

    def pytest_sessionfinish(self, exitstatus):
        """Write the last line."""
        self._write({"ended": int(exitstatus)})

    def _write(self, line):
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def pytest_runtest_logreport(self, report):
        """Write the test's line when its last part is over."""
        if report.when == "setup":
            self._seconds, self._worst = 0.0, None
        self._seconds += report.duration
        if not report.passed or (report.when == "call" and self._worst is None):
            self._worst = report
        if report.when == "teardown" and self._worst is not None:
            name = _installed(report.location[0]) + report.nodeid[report.nodeid.find("::") :]
            line = {"test": name, "outcome": _outcome(self._worst)}
            line["seconds"] = round(self._seconds, 3)
            if not self._worst.passed:
                line["message"], line["place"] = _message(self._worst)
            self._write(line)


def _outcome(report):
    if hasattr(report, "wasxfail"):
        return "expected failure" if report.skipped else "unexpected pass"
    return report.outcome


def _message(report):
    """The message of a report, and the place where it was raised."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])[:LONGEST], ""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return str(report.longrepr)[:LONGEST], ""
    return crash.message[:LONGEST], f"{_installed(crash.path)}:{crash.lineno}"


def _installed(path):
    """A path from the folder of packages on."""
    return path.replace("\\", "/").rpartition("site-packages/")[2]
