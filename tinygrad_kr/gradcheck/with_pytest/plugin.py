"""Gradient checks in pytest: two fixtures, a report of the session, and a negative control.

The fixtures ``check_gradients`` and ``assert_gradients`` are the functions of these names; one line at the end of the
session counts their verdicts. ``--gradcheck=fast`` and ``--gradcheck=full`` choose the mode where a test does not,
``--gradcheck-report=FILE.html`` writes all reports to one page.

A session that used a fixture fails if the negative control, a slightly wrong gradient, is not found wrong.

Every pytest session with this package installed loads this module. So it imports NumPy and the rest only when a fixture
is used, and needs nothing that some version of pytest lacks.
"""

from __future__ import annotations

import functools
import os
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tinygrad_kr.gradcheck.report import Report
    from tinygrad_kr.gradcheck.with_pytest.session import Recorder

__all__ = ["assert_gradients", "check_gradients"]

RECORDERS: weakref.WeakKeyDictionary[pytest.Config, Recorder] = weakref.WeakKeyDictionary()


def _recorder(config: pytest.Config) -> Recorder:
    """Return the session's recorder, made on first use."""
    if config not in RECORDERS:
        from tinygrad_kr.gradcheck.with_pytest.session import Recorder

        path = config.getoption("gradcheck_report")
        folder = config.invocation_params.dir
        RECORDERS[config] = Recorder(config.getoption("gradcheck"), folder / path if path else None)
    return RECORDERS[config]


def _running_test() -> str:
    """Return the id of the running test."""
    return os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]


# Fixtures of the session, so that a property test may use them for each of its examples.


@pytest.fixture(scope="session")
def check_gradients(pytestconfig: pytest.Config) -> Callable[..., Report]:
    """Check a gradient and return the report: ``tinygrad_kr.gradcheck.check_gradients``."""
    from tinygrad_kr.gradcheck import check

    recorder = _recorder(pytestconfig)

    @functools.wraps(check.check_gradients)
    def checked(f: Callable[..., Any], *inputs: Any, **options: Any) -> Report:
        report = check.check_gradients(f, *inputs, **recorder.settled(f, inputs, options))
        recorder.add(report, _running_test())
        return report

    return checked


@pytest.fixture(scope="session")
def assert_gradients(pytestconfig: pytest.Config) -> Callable[..., Report]:
    """Fail the test unless a gradient is right: ``tinygrad_kr.gradcheck.assert_gradients``."""
    from tinygrad_kr.gradcheck import check

    recorder = _recorder(pytestconfig)

    @functools.wraps(check.assert_gradients)
    def asserted(f: Callable[..., Any], *inputs: Any, **options: Any) -> Report:
        __tracebackhide__ = True
        try:
            report = check.assert_gradients(f, *inputs, **recorder.settled(f, inputs, options))
        except check.GradientMismatch as mismatch:
            recorder.add(mismatch.report, _running_test())
            raise mismatch.with_traceback(None) from None  # the traceback ends at the line of the test
        recorder.add(report, _running_test())
        return report

    return asserted


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options."""
    group = parser.getgroup("gradcheck", "gradient checks")
    group.addoption(
        "--gradcheck",
        choices=("fast", "full"),
        help="where a test variables it open, check gradients along random directions unless they are small (fast), "
        "or element by element (full); by default element by element up to 200 elements",
    )
    group.addoption(
        "--gradcheck-report", metavar="FILE.html", help="write the reports of all gradient checks to one page"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a report that could not be written."""
    if path := config.getoption("gradcheck_report"):
        from tinygrad_kr.gradcheck.pages import check_writable

        try:
            check_writable(config.invocation_params.dir / path)
        except OSError as error:
            raise pytest.UsageError(f"--gradcheck-report={path}: cannot write there: {error.strerror}") from None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add the records of a worker of pytest-xdist."""
    if packed := getattr(node, "workeroutput", {}).get("gradcheck"):
        _recorder(node.config).unpack(*packed)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Run the negative control, and write the page."""
    config = session.config
    to_controller: dict[str, Any] | None = getattr(config, "workeroutput", None)  # in a worker of pytest-xdist
    if config.getoption("gradcheck_report") and to_controller is None and not config.option.collectonly:
        _recorder(config)  # there is a page to write, even if it says that nothing was checked
    if config not in RECORDERS:
        return
    recorder = RECORDERS[config]
    recorder.run_negative_control()
    if to_controller is not None:
        to_controller["gradcheck"] = recorder.packed()
        return
    if recorder.path is not None:
        recorder.write_page()
    if recorder.failures and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the summary, and the reasons of this plugin for which the session fails."""
    if config not in RECORDERS:
        return
    recorder = RECORDERS[config]
    if recorder.records:
        terminalreporter.write_line(recorder.summary())
    for message in recorder.failures:
        terminalreporter.write_line(f"ERROR: {message}", red=True, bold=True)
