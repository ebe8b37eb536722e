"""The pytest plugin as its users meet it: sessions inside this one."""

from __future__ import annotations

import base64
import gc
import inspect
import io
import marshal
import math
import os
import re
import subprocess
import sys
import tomllib
import weakref
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinygrad_kr
from tinygrad_kr.gradcheck import Report, Verdict, check_gradients, claim
from tinygrad_kr.gradcheck.with_pytest import plugin as pytest_plugin
from tinygrad_kr.gradcheck.with_pytest import session

pytest_plugins = ["pytester"]
ROOT = Path(tinygrad_kr.__file__).parents[1]
# The plugin comes from here whether or not it is installed as an entry point: twice it could not be registered.
ALONE = ("-p", "no:tinygrad_kr_gradcheck", "-W", "error", "--strict-config")

FUNCTIONS = """
import numpy as np

def right(x, v):
    return v * (1 - np.tanh(x) ** 2)

def wrong(x, v):
    return v * (1 + np.tanh(x) ** 2)
"""
FOUR_VERDICTS = f"""{FUNCTIONS}
import pytest

@pytest.mark.parametrize("n", [2, 3])
def test_right(assert_gradients, n):
    report = assert_gradients(np.tanh, np.linspace(-1, 1, n), gradient=right)
    assert report.passed and report.exact_properties

def test_kink(check_gradients):
    assert check_gradients(np.abs, 0.0).verdict == "KINK"

def test_cannot_tell(assert_gradients):
    def noisy(x):
        return 1e8 + np.sin(x)
    assert assert_gradients(noisy, 0.3, inconclusive="pass").verdict == "INCONCLUSIVE"

def test_wrong(assert_gradients):
    assert_gradients(np.tanh, np.array([0.5, -1.0]), gradient=wrong)

def test_wrong_but_only_asked(check_gradients):
    assert check_gradients(np.tanh, np.array([0.5, -1.0]), gradient=wrong).verdict == "FAIL"
"""
ONE_RIGHT = f"""{FUNCTIONS}
def test_right(assert_gradients):
    assert_gradients(np.tanh, np.array([0.5, -1.0]), gradient=right)
"""


@pytest.fixture(scope="module", autouse=True)
def matplotlib_is_loaded() -> None:
    """Draw once: what a session inside this one imports is forgotten at its end, and matplotlib cannot be twice."""
    check_gradients(np.tanh, 0.5).plot().savefig(io.BytesIO(), format="png")


def run(pytester: pytest.Pytester, source: str, *arguments: str, plugins: tuple[Any, ...] = ()) -> pytest.RunResult:
    """Run a session with the plugin in this process."""
    pytester.makepyfile(source)
    return pytester.runpytest_inprocess(*ALONE, *arguments, plugins=[pytest_plugin, *plugins])


def summary(result: pytest.RunResult) -> str:
    (line,) = (line for line in result.outlines if line.startswith("gradient checks"))
    return line


# The fixtures


def test_the_fixtures_judge_and_are_counted(pytester: pytest.Pytester) -> None:
    result = run(pytester, FOUR_VERDICTS)
    result.assert_outcomes(passed=5, failed=1)
    assert result.ret == 1
    assert re.fullmatch(
        r"gradient checks: 6 \(2 PASS, 1 KINK, 1 INCONCLUSIVE, 2 FAIL\), "
        r"median minimum detectable error \de-\d\d, negative control caught",
        summary(result),
    )


def test_a_failure_shows_the_report_at_the_line_of_the_test(pytester: pytest.Pytester) -> None:
    result = run(pytester, FOUR_VERDICTS)
    result.stdout.fnmatch_lines(
        [
            ">       assert_gradients(np.tanh, np.array([[]0.5, -1.0[]]), gradient=wrong)",
            "E       *GradientMismatch: check_gradients: tanh: FAIL: wrong gradient for x",
            "*.py:*: GradientMismatch",
        ]
    )
    assert "check.py" not in result.stdout.str() and "plugin.py" not in result.stdout.str()


def test_the_fixtures_are_the_functions(pytester: pytest.Pytester) -> None:
    source = """
import inspect
from tinygrad_kr import gradcheck

def test(check_gradients, assert_gradients):
    for fixture in (check_gradients, assert_gradients):
        function = getattr(gradcheck, fixture.__name__)
        assert fixture is not function
        assert inspect.signature(fixture) == inspect.signature(function)
        assert fixture.__doc__ == function.__doc__
"""
    run(pytester, source).assert_outcomes(passed=1)


def test_hypothesis_may_use_them_for_each_example(pytester: pytest.Pytester) -> None:
    source = f"""{FUNCTIONS}
from hypothesis import given, settings, strategies as st

@settings(max_examples=5, database=None)
@given(st.floats(0.5, 1))
def test(assert_gradients, x):
    assert_gradients(np.tanh, x, gradient=right)
"""
    result = run(pytester, source)
    result.assert_outcomes(passed=1)
    assert summary(result).startswith("gradient checks: 5 (5 PASS)")


def test_an_error_in_a_check_is_the_tests_own(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test(check_gradients):\n    check_gradients(abs, 3)\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*DtypeError: check_gradients: there is nothing to differentiate*"])
    assert "gradient checks:" not in result.stdout.str()


def test_the_summary_takes_the_median_of_what_is_known() -> None:
    recorder = session.Recorder(None, None)
    for verdict, detectable in (("PASS", 1e-6), ("KINK", math.nan), ("PASS", 3e-9), ("FAIL", 2e-10)):
        recorder.records.append(session.Record("test", "f", verdict, 1.0, detectable, 9, 0.1, ""))
    assert recorder.summary() == (
        "gradient checks: 4 (2 PASS, 1 KINK, 1 FAIL), median minimum detectable error 3e-09, negative control caught"
    )
    recorder.records = [session.Record("test", "f", "KINK", 1.0, math.nan, 9, 0.1, "")]
    assert recorder.summary() == "gradient checks: 1 (1 KINK), negative control caught"


# How thorough


@pytest.mark.parametrize(
    ("arguments", "modes"),
    [
        ((), "full full directions numerical full directions"),
        (("--gradcheck=fast",), "full directions directions numerical directions directions"),
        (("--gradcheck=full",), "full full full numerical full directions"),
    ],
)
def test_the_mode_where_the_test_leaves_it_open(
    arguments: tuple[str, ...], modes: str, pytester: pytest.Pytester
) -> None:
    source = f"""{FUNCTIONS}
from types import SimpleNamespace

def test(check_gradients, assert_gradients):
    weights = np.linspace(-1, 1, 40)
    model = SimpleNamespace(params={{"w": weights}})
    reports = [check_gradients(np.tanh, np.linspace(-1, 1, n), gradient=right, exact_properties=False)
               for n in (30, 31, 201)]
    reports += [
        check_gradients(np.tanh, np.array([0.5, 1.5]), gradient=right, mode="numerical"),
        assert_gradients(lambda x: x * weights, 0.5, gradient=lambda x, v: (v @ weights, {{"w": v * x}}), model=model,
                         mode="auto", exact_properties=False),
        check_gradients(np.tanh, np.array([0.5, 1.5]), gradient=right, mode="directions"),
    ]
    print("modes:", *(report.mode for report in reports))
"""
    result = run(pytester, source, "-s", *arguments)
    result.assert_outcomes(passed=1)
    assert f"modes: {modes}" in result.stdout.str()
    assert summary(result).endswith("negative control caught")


def test_another_mode_is_refused(pytester: pytest.Pytester) -> None:
    result = run(pytester, ONE_RIGHT, "--gradcheck=slow")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*argument --gradcheck: invalid choice: 'slow'*"])


# The page


class Page(HTMLParser):
    """What a page holds, and whether its tags close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1].append(data)


def test_the_page_holds_every_report_failures_first(pytester: pytest.Pytester) -> None:
    result = run(pytester, FOUR_VERDICTS, "--gradcheck-report=new/folder/page.html")
    assert result.ret == 1
    text = (pytester.path / "new" / "folder" / "page.html").read_text(encoding="utf-8")
    assert [file.name for file in (pytester.path / "new" / "folder").iterdir()] == ["page.html"]
    page = Page(text)
    assert summary(result) in text
    head, *rows = page.rows[:7]
    assert head == list(session.COLUMNS)
    module = "test_the_page_holds_every_report_failures_first.py"
    assert [row[:4] for row in rows] == [
        ["5", f"{module}::test_wrong", "tanh", "FAIL"],
        ["6", f"{module}::test_wrong_but_only_asked", "tanh", "FAIL"],
        ["4", f"{module}::test_cannot_tell", "test_cannot_tell.<locals>.noisy", "INCONCLUSIVE"],
        ["3", f"{module}::test_kink", "absolute", "KINK"],
        ["1", f"{module}::test_right[2]", "tanh", "PASS"],
        ["2", f"{module}::test_right[3]", "tanh", "PASS"],
    ]
    for row in rows[:2] + rows[4:]:
        assert float(row[4]) == 1 and 0 < float(row[5]) < 1e-5 and int(row[6]) > 10 and float(row[7]) > 0
    assert text.count("<pre>check_gradients: ") == 6


def test_the_page_stands_on_its_own_with_a_picture_of_each_failure(pytester: pytest.Pytester) -> None:
    run(pytester, FOUR_VERDICTS, "--gradcheck-report=page.html")
    text = (pytester.path / "page.html").read_text(encoding="utf-8")
    links = Page(text).links
    targets = [link for link in links if link.startswith("#")]
    assert len(targets) == 6 and all(f'id="{target[1:]}"' in text for target in targets)
    pictures = [link for link in links if not link.startswith("#")]
    assert len(pictures) == 2
    for picture in pictures:
        kind, _, content = picture.partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(content).startswith(b"\x89PNG")


def test_without_matplotlib_the_page_has_no_picture(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    run(pytester, FOUR_VERDICTS, "--gradcheck-report=page.html").assert_outcomes(passed=5, failed=1)
    text = (pytester.path / "page.html").read_text(encoding="utf-8")
    assert text.count("<pre>check_gradients: ") == 6 and "<img" not in text and "no picture" not in text


def test_a_picture_that_cannot_be_drawn_changes_no_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise ZeroDivisionError("not <here>")

    monkeypatch.setattr(Report, "plot", refuse)
    result = run(pytester, FOUR_VERDICTS, "--gradcheck-report=page.html")
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["E       *GradientMismatch: *"])
    text = (pytester.path / "page.html").read_text(encoding="utf-8")
    assert text.count("no picture: ZeroDivisionError: not &lt;here&gt;") == 2


def test_a_page_of_nothing_says_so(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test(): pass", "--gradcheck-report=page.html")
    assert result.ret == 0
    assert "gradient check" not in result.stdout.str()
    assert "No gradient was checked." in (pytester.path / "page.html").read_text(encoding="utf-8")


def test_collecting_leaves_an_earlier_page_alone(pytester: pytest.Pytester) -> None:
    (pytester.path / "page.html").write_text("earlier")
    assert run(pytester, ONE_RIGHT, "--gradcheck-report=page.html", "--collect-only").ret == 0
    assert (pytester.path / "page.html").read_text() == "earlier"


def test_the_page_goes_where_pytest_was_started(pytester: pytest.Pytester) -> None:
    source = ONE_RIGHT + "    import os\n    os.mkdir('elsewhere')\n    os.chdir('elsewhere')\n"
    assert run(pytester, source, "--gradcheck-report=page.html").ret == 0
    assert (pytester.path / "page.html").is_file()


@pytest.mark.parametrize(
    ("path", "message"), [(".", "Is a directory"), ("a_file/page.html", "Not a directory"), ("x" * 300, "too long")]
)
def test_a_page_that_cannot_be_written_is_refused_before_any_test(
    path: str, message: str, pytester: pytest.Pytester
) -> None:
    (pytester.path / "a_file").touch()
    result = run(pytester, ONE_RIGHT, f"--gradcheck-report={path}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.outlines == []
    result.stderr.fnmatch_lines([f"ERROR: --gradcheck-report={path}: cannot write there: *{message}"])


def test_a_page_that_could_not_be_written_fails_the_session_and_leaves_the_earlier_one(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    (pytester.path / "page.html").write_text("earlier")
    monkeypatch.setattr(os, "replace", full_disk)
    result = run(pytester, ONE_RIGHT, "--gradcheck-report=page.html", "-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["ERROR: the report *page.html could not be written: No space left on device"])
    assert summary(result).endswith("negative control caught")
    assert (pytester.path / "page.html").read_text() == "earlier"
    assert {file.name for file in pytester.path.iterdir() if file.is_dir()} <= {"__pycache__"}


# What is kept


@pytest.mark.parametrize("path", [None, Path("page.html")])
def test_no_arrays_are_kept(path: Path | None) -> None:
    recorder = session.Recorder(None, path)
    report = check_gradients(np.tanh, np.array([0.5, -1.0]))
    dead = weakref.ref(report.problem)
    recorder.add(report, "test_id")
    gc.collect()
    del report
    gc.collect()
    assert dead() is None
    (record,) = recorder.records
    assert (record.test, record.function, record.verdict) == ("test_id", "tanh", "PASS")
    assert ("<pre>" in record.section) == (path is not None)


class Worker:
    """Makes a session believe that it is a worker of pytest-xdist."""

    def pytest_configure(self, config: Any) -> None:
        config.workeroutput = self.output = {}


class Controller:
    """Hands a session what a worker, and one that crashed, have left."""

    def __init__(self, output: Any) -> None:
        self.output = output

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        pytest_plugin.pytest_testnodedown(SimpleNamespace(config=session.config, workeroutput=self.output))
        pytest_plugin.pytest_testnodedown(SimpleNamespace(config=session.config))


@pytest.mark.parametrize("sound", [True, False])
def test_workers_of_xdist_report_to_their_controller(
    sound: bool, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker()
    with monkeypatch.context() as patch:
        if not sound:
            patch.setattr(claim, "SAFETY", 1e6)
        assert run(pytester, ONE_RIGHT, "--gradcheck-report=page.html", plugins=(worker,)).ret == 0
    assert not (pytester.path / "page.html").exists()
    sent = marshal.loads(marshal.dumps(worker.output))  # only built-in types travel
    pytester.makepyfile("def test(): pass")
    result = run(pytester, "def test(): pass", "--gradcheck-report=page.html", plugins=(Controller(sent),))
    assert result.ret == (0 if sound else 1)
    assert summary(result).startswith("gradient checks: 1 (1 PASS)")
    assert summary(result).endswith("negative control caught" if sound else "negative control MISSED")
    assert "<pre>check_gradients: tanh: PASS" in (pytester.path / "page.html").read_text(encoding="utf-8")


# The negative control

MODES = ["full", "directions", "numerical"]


def test_a_session_whose_checks_cannot_fail_fails(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "SAFETY", 1e6)
    result = run(pytester, ONE_RIGHT + "\ndef test_more(check_gradients):\n    check_gradients(np.tanh, 0.5)\n")
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert summary(result).endswith("negative control MISSED")
    result.stdout.fnmatch_lines(["ERROR: the negative control was missed: *in mode full was PASS; *prove nothing"])


def test_a_session_that_failed_otherwise_keeps_its_exit_status(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "SAFETY", 1e6)
    source = ONE_RIGHT + "\ndef test_more():\n    import pytest\n    pytest.exit('enough', returncode=7)\n"
    assert run(pytester, source).ret == 7


def test_the_control_runs_in_the_modes_that_were_used(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(session, "negative_control", lambda mode: seen.append(mode) or "")
    source = f"""{FUNCTIONS}
import pytest

@pytest.mark.parametrize("mode", ["numerical", "directions", "numerical"])
def test(check_gradients, mode):
    check_gradients(np.tanh, np.array([0.5, -1.0]), gradient=right, mode=mode)
"""
    assert run(pytester, source).ret == 0
    assert sorted(seen) == ["directions", "numerical"]


@pytest.mark.parametrize("mode", MODES)
def test_the_control_is_caught(mode: str) -> None:
    assert session.negative_control(mode) == ""


@pytest.mark.parametrize("mode", MODES)
def test_the_control_disturbs_little(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it hands over is wrong by ten times what is seen: less than what a common tolerance would let pass."""
    factors: list[float] = []
    report = session._control_report
    monkeypatch.setattr(session, "_control_report", lambda mode, factor: factors.append(factor) or report(mode, factor))
    session.negative_control(mode)
    assert factors[0] == 1.0
    assert 1e-12 < factors[1] - 1 < 1e-5


@pytest.mark.parametrize("mode", MODES)
def test_a_control_that_is_not_wrong_is_missed(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "TIMES", 0)
    assert "was missed" in session.negative_control(mode)


def test_checks_that_fail_what_is_right_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SimpleNamespace(passed=False, verdict=Verdict.FAIL, reason="a whim")
    monkeypatch.setattr(session, "_control_report", lambda mode, factor: failed)
    assert "the right gradient of np.tanh was judged FAIL in mode full" in session.negative_control("full")


def test_a_failure_of_another_element_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Report, "worst", property(lambda report: report.findings[0]))
    assert "was missed" in session.negative_control("full")


def test_a_control_that_raises_is_no_control(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "check_gradients", lambda *_, **__: 1 / 0)
    assert "raised ZeroDivisionError in mode full" in session.negative_control("full")


# Sessions that have nothing to do with it

NOT_USED = """
import sys

def test_nothing_was_loaded_for_nothing():
    loaded = {name for name in sys.modules if name.startswith("tinygrad_kr")}
    packages = {"tinygrad_kr", "tinygrad_kr.common", "tinygrad_kr.common.lazy", "tinygrad_kr.gradcheck"}
    assert loaded == {*packages, "tinygrad_kr.gradcheck.with_pytest", "tinygrad_kr.gradcheck.with_pytest.plugin"}
    assert not {"numpy", "hypothesis", "matplotlib", "tqdm"} & set(sys.modules)
"""
WITHOUT_NUMPY = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "numpy":
            raise ImportError("no NumPy here")

sys.meta_path.insert(0, Blocked())
"""
OLD_PYTEST = """
import pytest

del pytest.StashKey  # what pytest 6 does not have
"""


def in_another_project(folder: Path, tests: str, preparation: str = "") -> subprocess.CompletedProcess[str]:
    """Run the tests of a folder in a process of its own, with the plugin."""
    (folder / "test_other.py").write_text(tests)
    plugins = ("no:cacheprovider", "no:hypothesispytest", "tinygrad_kr.gradcheck.with_pytest.plugin")
    arguments = [*ALONE, *(word for plugin in plugins for word in ("-p", plugin)), "test_other.py"]
    code = f"{preparation}\nimport pytest, sys\nsys.exit(pytest.main({arguments!r}))"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("preparation", ["", WITHOUT_NUMPY, OLD_PYTEST], ids=["", "without NumPy", "old pytest"])
def test_a_session_that_does_not_use_it_sees_nothing_of_it(preparation: str, tmp_path: Path) -> None:
    done = in_another_project(tmp_path, NOT_USED, preparation)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "1 passed" in done.stdout and "gradient" not in done.stdout and "gradcheck" not in done.stdout
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["test_other.py"]


def test_where_it_cannot_work_only_the_tests_that_use_it_fail(tmp_path: Path) -> None:
    source = "def test_other():\n    pass\n\ndef test_gradient(check_gradients):\n    pass\n"
    done = in_another_project(tmp_path, source, WITHOUT_NUMPY)
    assert "1 passed, 1 error" in done.stdout and "ImportError: no NumPy here" in done.stdout
    assert "INTERNALERROR" not in done.stdout and done.stderr == ""


def test_it_needs_no_other_plugin(pytester: pytest.Pytester) -> None:
    """Also not the one that prints: the page and the exit status are there without it."""
    arguments = ("-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:doctest")
    assert run(pytester, ONE_RIGHT, "--gradcheck-report=page.html", *arguments).ret == 0
    assert "1 (1 PASS)" in (pytester.path / "page.html").read_text(encoding="utf-8")


def test_the_entry_point_is_this_module() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"tinygrad_kr_gradcheck": pytest_plugin.__name__}


def test_the_hooks_are_those_that_pytest_knows() -> None:
    hooks = {name for name, _ in inspect.getmembers(pytest_plugin, inspect.isfunction) if name.startswith("pytest_")}
    assert hooks == {
        "pytest_addoption",
        "pytest_configure",
        "pytest_sessionfinish",
        "pytest_terminal_summary",
        "pytest_testnodedown",
    }
