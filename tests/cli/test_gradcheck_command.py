"""``python -m tinygrad_kr gradcheck``: what it checks, what it says, and its exit status."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_kr
from tinygrad_kr import cli
from tinygrad_kr.cli import gradcheck as command
from tinygrad_kr.gradcheck import Report
from tinygrad_kr.gradcheck import check as checking

LAYERS = """
import sys
import numpy as np

seen = []

def softmax(x, axis=-1):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)

def backward(x, v):
    y = softmax(x)
    return y * (v - np.sum(v * y, axis=-1, keepdims=True))

def backward_axis(x, axis, v):
    y = softmax(x, axis)
    return y * (v - np.sum(v * y, axis=axis, keepdims=True)), None

def forgetful(x, v):
    return softmax(x) * v

def loss(x, t):
    return -np.mean(np.log(softmax(x)[np.arange(len(t)), t]))

def loss_backward(x, t, v):
    g = softmax(x)
    g[np.arange(len(t)), t] -= 1
    return v * g / len(t), None

def relu(x):
    return np.maximum(x, 0.0)

def noisy(x):
    return 1e8 + np.sin(x)

def broken(x):
    y = helper(x)
    return y

def helper(x):
    raise KeyError("no\\nsuch thing")

def leaves(x):
    sys.exit(0)

def by_hand(x):
    import math
    return math.sin(x)

def by_hand_backward(x, v):
    return np.cos(x) * v

def recorded(*inputs):
    seen[:] = seen or inputs
    return np.tanh(inputs[0])

def two(a, b):
    return a * b

def endless(x):
    print("started", flush=True)
    while True:
        pass

class Layer:
    @staticmethod
    def forward(x):
        return np.tanh(x)

number = 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with a module of layers, and forget the module afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "layers.py").write_text(LAYERS)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if not hasattr(sys.modules[name], "__file__") or str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def check(*arguments: str) -> int:
    path = sys.path.copy()
    status = cli.main(["gradcheck", *arguments])
    assert sys.path == path
    return status


# Verdicts and their exit statuses


@pytest.mark.parametrize(
    ("arguments", "verdict", "status"),
    [
        (["layers:softmax", "--input", "3x4"], "PASS", 0),
        (["layers:softmax", "--input", "x=3x4", "--gradient", "layers:backward"], "PASS", 0),
        (["layers.py:softmax", "--input", "x=3x4", "--gradient", "layers.py:backward"], "PASS", 0),
        (["./layers.py:softmax", "--input", "x=3x4", "--gradient", "layers:backward"], "PASS", 0),
        (["layers:softmax", "--input", "x=3x4", "--gradient", "layers:forgetful"], "FAIL", 1),
        (["layers:relu", "--input", "[0.0, 1.0]"], "KINK", 0),
        (["layers:noisy", "--input", "0.3"], "INCONCLUSIVE", 3),
        (["layers:loss", "--input", "3x4", "--input", "labels:3of4"], "PASS", 0),
        (
            ["layers:loss", "--gradient", "layers:loss_backward", "--input", "t=labels:3of4", "--input", "x=3x4"],
            "PASS",
            0,
        ),
        (["layers:by_hand", "--gradient", "layers:by_hand_backward", "--input", "-0.5"], "PASS", 0),
        (["layers:Layer.forward", "--input", "3x2"], "PASS", 0),
        (["numpy:sqrt", "--input", "positive:5"], "PASS", 0),
        (["numpy:tanh", "--input", "normal:5", "--order", "2"], "PASS", 0),
        (["layers:softmax", "--input", "6x50", "--mode", "directions", "--gradient", "layers:backward"], "PASS", 0),
        (["layers:softmax", "--input", "6x50", "--gradient", "layers:forgetful"], "FAIL", 1),
        (["layers:softmax", "--input", "3x4", "--max-evaluations", "50"], "INCONCLUSIVE", 3),
        (["layers:softmax", "--input", "3x4", "--max-seconds", "1e-9"], "INCONCLUSIVE", 3),
    ],
)
def test_the_exit_status_says_the_verdict(
    arguments: list[str], verdict: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(*arguments) == status
    out, err = capsys.readouterr()
    assert re.match(rf"check_gradients: .*: {verdict}\b", out), out
    assert err == ""


@pytest.mark.parametrize("mode", ["full", "directions", "numerical"])
def test_the_report_is_printed_and_quiet_prints_its_verdict_alone(
    mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["layers:softmax", "--gradient", "layers:forgetful", "--input", "x=2x3", "--mode", mode, "--seed", "5"]
    assert check(*arguments) == 1
    report, _ = capsys.readouterr()
    lines = report.splitlines()
    assert lines[0] == "check_gradients: softmax: FAIL: wrong gradient for x"
    assert any(line.startswith("  worst: x[") for line in lines)
    assert f"mode='{mode}', seed=5)" in lines[-1]
    assert check(*arguments, "--quiet") == 1
    assert capsys.readouterr() == (f"{lines[0]}\n", "")


def test_order_2_checks_the_gradient_of_the_gradient(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("numpy:tanh", "--input", "normal:5", "--order", "2", "--quiet") == 0
    assert capsys.readouterr().out == "check_gradients: gradient of tanh: PASS\n"


# Inputs


def drawn(*values: str, seed: str = "0") -> list[Any]:
    """Return the inputs that a function is first called with."""
    inputs = [f"--input={value}" for value in ("0.5", *values)]
    sys.modules.pop("layers", None)
    check("layers:recorded", "--gradient", "layers:backward", *inputs, "--seed", seed, "--quiet")
    return list(sys.modules["layers"].seen[1:])


@pytest.mark.parametrize(
    ("text", "shape", "lowest", "highest"),
    [
        ("30x40", (30, 40), -5, 5),
        ("normal:1000", (1000,), -5, 5),
        ("uniform:20x3x20", (20, 3, 20), 0, 1),
        ("positive:1000", (1000,), 0, 100),
    ],
)
def test_distributions(text: str, shape: tuple[int, ...], lowest: float, highest: float) -> None:
    (x,) = drawn(text)
    assert (x.shape, x.dtype) == (shape, np.float64)
    assert lowest < x.min() < x.max() < highest
    standard = {"normal": x, "positive": np.log(np.abs(x)), "uniform": np.sqrt(12) * (x - 0.5)}
    scores = standard[text.partition(":")[0] if ":" in text else "normal"]
    assert abs(scores.mean()) < 0.15 and abs(scores.std() - 1) < 0.1


def test_labels() -> None:
    one, several = drawn("labels:500of7", "labels:2x100of3")
    assert (one.shape, one.dtype.kind, set(one.tolist())) == ((500,), "i", set(range(7)))
    assert (several.shape, set(several.ravel().tolist())) == ((2, 100), {0, 1, 2})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.25", 0.25),
        ("-1e-3", -0.001),
        (".5", 0.5),
        ("7", 7),
        ("True", True),
        ("None", None),
        ("'mean'", "mean"),
        ("(0, 1)", (0, 1)),
    ],
)
def test_numbers_and_options(text: str, value: Any) -> None:
    (given,) = drawn(text)
    assert given == value and isinstance(given, type(value))


@pytest.mark.parametrize(
    ("text", "array"),
    [
        ("[0.5,-1]", np.array([0.5, -1.0])),
        ("[[1, 2], [3, .5]]", np.array([[1, 2], [3, 0.5]])),
        ("[0, 2, 1]", np.array([0, 2, 1])),
        ("[]", np.zeros(0)),
    ],
)
def test_lists_are_arrays(text: str, array: Any) -> None:
    (given,) = drawn(text)
    np.testing.assert_array_equal(given, array, strict=True)


@pytest.mark.parametrize("array", [np.array([[0.5, -1.0, 2.0]]), np.array([2, 0])])
def test_files(array: Any, folder: Path) -> None:
    np.save(folder / "data=1.npy", array)
    (given,) = drawn("./data=1.npy")
    np.testing.assert_array_equal(given, array, strict=True)


def test_the_same_seed_draws_the_same() -> None:
    first, second = drawn("3x4", "3x4", seed="5")
    same, _ = drawn("3x4", "3x4", seed="5")
    other, _ = drawn("3x4", "3x4", seed="6")
    np.testing.assert_array_equal(first, same)
    assert not np.any(first == second) and not np.any(first == other)


def test_names_put_inputs_in_the_order_of_the_parameters() -> None:
    """The gradient gets them in that order too; an input without a name comes first."""
    axis = ["layers:softmax", "--gradient", "layers:backward_axis", "--input", "axis=0", "--quiet", "--input"]
    assert check(*axis, "x=3x4") == 0
    assert check(*axis, "3x4") == 0


def test_the_cotangent_comes_from_a_file(folder: Path) -> None:
    """A gradient wrong in the first element only, which a cotangent of zeros there hides."""
    (folder / "first.py").write_text(
        "import numpy as np\n"
        "def f(x):\n    return np.tanh(x)\n"
        "def wrong(x, v):\n    g = v * (1 - np.tanh(x) ** 2)\n    g[0] *= 2\n    return g\n"
    )
    np.save(folder / "v.npy", np.array([0.0, 1.0]))
    arguments = ["first:f", "--gradient", "first:wrong", "--input", "[0.5, -1.0]", "--quiet"]
    assert check(*arguments) == 1
    assert check(*arguments, "--cotangent", "v.npy") == 0


# Files


@pytest.mark.parametrize("gradient", ["backward", "forgetful"])
def test_the_page_and_the_picture(gradient: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["layers:softmax", "--gradient", f"layers:{gradient}", "--input", "x=2x3"]
    status = check(*arguments, "--html", "new/page.html", "--plot", "new/picture.svg")
    assert status == (0 if gradient == "backward" else 1)
    assert capsys.readouterr().out.endswith("\nwritten to new/page.html\nwritten to new/picture.svg\n")
    page = (folder / "new" / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and page.endswith("</html>\n")
    assert "<pre>check_gradients: softmax" in page
    assert ('src="data:image/png;base64,' in page) == (gradient == "forgetful")
    assert "<svg" in (folder / "new" / "picture.svg").read_text(encoding="utf-8")
    assert {file.name for file in (folder / "new").iterdir()} == {"page.html", "picture.svg"}


def test_quiet_does_not_name_the_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("numpy:tanh", "--input", "3x4", "--quiet", "--plot", "picture.png") == 0
    assert capsys.readouterr().out == "check_gradients: tanh: PASS\n"
    assert (folder / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_that_cannot_be_written_leaves_the_earlier_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full_disk(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    (folder / "page.html").write_text("earlier")
    monkeypatch.setattr(os, "replace", full_disk)
    assert check("numpy:tanh", "--input", "3x4", "--html", "page.html") == 2
    out, err = capsys.readouterr()
    assert out.startswith("check_gradients: tanh: PASS")
    assert err == "tinygrad_kr: error: No space left on device\n"
    assert (folder / "page.html").read_text() == "earlier"
    assert {file.name for file in folder.iterdir()} == {"layers.py", "page.html"}


def test_without_matplotlib_a_picture_is_refused_and_a_page_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("matplotlib", "matplotlib.backend_bases"):
        monkeypatch.setitem(sys.modules, module, None)
    wrong = ["layers:softmax", "--gradient", "layers:forgetful", "--input", "x=2x3"]
    assert check(*wrong, "--plot", "picture.png") == 2
    assert "pip install 'tinygrad_kr[train]'" in capsys.readouterr().err
    assert check(*wrong, "--html", "page.html") == 1
    assert "<img" not in (folder / "page.html").read_text(encoding="utf-8")


# What cannot be checked: one line on standard error, status 2, nothing written

IN = ["--input", "x=3x4"]
RAISING = 1 + LAYERS.splitlines().index('    raise KeyError("no\\nsuch thing")')


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: MODULE:FUNCTION, --input"),
        (["layers:softmax"], "the following arguments are required: --input"),
        (["layers", *IN], "expected MODULE:FUNCTION, such as layers:softmax or layers.py:softmax, got 'layers'"),
        (["layers:", *IN], "expected MODULE:FUNCTION"),
        ([":softmax", *IN], "expected MODULE:FUNCTION"),
        (["nowhere:f", *IN], "no module named nowhere, in the current folder or installed"),
        (["nowhere.deep:f", *IN], "no module named nowhere, "),
        (["layers.deep:f", *IN], "no module named layers.deep, "),
        (["nowhere.py:f", *IN], "nowhere.py: no such file"),
        (["layers:sotfmax", *IN], "layers has no sotfmax; did you mean softmax?"),
        (["layers.py:qqqq", *IN], "layers.py has no qqqq"),
        (["layers:softmax.qqqq", *IN], "layers has no softmax.qqqq"),
        (["layers:number", *IN], "layers:number is not a function; its type is int"),
        (["layers:softmax", "--gradient", "layers:bakward", *IN], "layers has no bakward; did you mean backward?"),
        (["bad_import:f", *IN], "importing bad_import raised ZeroDivisionError: division by zero (bad_import.py"),
        (["bad_import.py:f", *IN], "bad_import.py raised ZeroDivisionError: division by zero (bad_import.py, line 2)"),
        (["exits:f", *IN], "importing exits raised SystemExit: 0 (exits.py, line 2)"),
        (["exits.py:f", *IN], "importing exits.py raised SystemExit: 0 (exits.py, line 2)"),
        (["bad_syntax:f", *IN], "importing bad_syntax raised SyntaxError: "),
        (["lacks:f", *IN], "importing lacks raised ModuleNotFoundError: No module named 'nowhere' (lacks.py, line 1)"),
        (["layers:broken", *IN], rf"checking broken raised KeyError: 'no\nsuch thing' (layers.py, line {RAISING})"),
        (["layers:leaves", *IN], "checking leaves raised SystemExit: 0 (layers.py, line "),
        (["layers:softmax", "--gradient", "layers:broken", *IN], "checking softmax raised TypeError: broken() takes 1"),
        (["layers:softmax", "--input", "3x4", "--input", "0", "--input", "1"], "raised TypeError: softmax() takes"),
        (["math:sqrt", "--input", "-0.5"], "checking sqrt raised ValueError"),
        (["layers:by_hand", "--input", "0.5"], "--gradient names another gradient to check than this package's own"),
        (["numpy:log", "--input", "-1.5"], "f is not finite at the inputs given"),
        (["layers:softmax", "--gradient", "layers:loss_backward", *IN], "raised TypeError"),
        (["layers:two", "--gradient", "layers:two", "--input", "a=2x2", "--input", "b=2x2"], "raised TypeError: two()"),
        (["layers:softmax", "--gradient", "layers:backward", "--order", "2", *IN], "--order 2 checks this package's"),
        (["layers:softmax", "--order", "3", *IN], "argument --order: invalid choice"),
        (["layers:softmax", "--mode", "quick", *IN], "argument --mode: invalid choice: 'quick'"),
        (["layers:softmax", "--seed", "-1", *IN], "argument --seed: expected a whole number from 0 on, got '-1'"),
        (["layers:softmax", "--seed", "9" * 5000, *IN], "argument --seed: expected a whole number"),
        (["layers:softmax", "--max-evaluations", "0", *IN], "--max-evaluations: expected a whole number from 1 on"),
        (["layers:softmax", "--max-seconds", "0", *IN], "expected a positive number of seconds, got '0'"),
        (["layers:softmax", "--max-seconds", "nan", *IN], "expected a positive number of seconds, got 'nan'"),
        (["layers:softmax", "--max-seconds", "soon", *IN], "expected a positive number of seconds, got 'soon'"),
        (["layers:softmax", "--max-sec", "1", *IN], "unrecognized arguments: --max-sec"),
        (["layers:softmax", "--input", "x="], "argument --input: expected a shape such as 3x4, normal:5, "),
        (["layers:softmax", "--input", "gauss:3"], "a file.npy or numbers such as [0.5,-1], got 'gauss:3'"),
        (["layers:softmax", "--input", "labels:3"], "got 'labels:3'"),
        (["layers:softmax", "--input", "labels:3of0"], "got 'labels:3of0'"),
        (["layers:softmax", "--input", "3x"], "got '3x'"),
        (["layers:softmax", "--input", "[[1.0], [2.0, 3.0]]"], "got '[[1.0], [2.0, 3.0]]'"),
        (["layers:softmax", "--input", "['a']"], "argument --input: expected a shape"),
        (["layers:softmax", "--input", "{'a': 0.5}"], "argument --input: expected a shape"),
        (["layers:softmax", "--input", "[" * 5000], "argument --input: expected a shape"),
        (["layers:softmax", "--input", "nan"], "argument --input: expected a shape"),
        (["layers:softmax", "--input", "1e999"], "x is inf"),
        (["layers:softmax", "--input", "2"], "there is nothing to differentiate with respect to: no input holds"),
        (["layers:softmax", "--input", "9" * 17 + "x9"], "--input: "),
        (["layers:softmax", "--input", "9" * 5000 + "x9"], "--input: expected a whole number"),
        (["layers:softmax", "--input", "y=3x4"], "--input y: softmax has no such parameter; it has x, axis"),
        (["layers:softmax", "--input", "axis=0"], "--input x: missing, and softmax takes its inputs in order"),
        (["layers:softmax", *IN, *IN], "--input: the same name twice"),
        (["layers:softmax", "--input", "3x4", *IN], "--input axis: missing"),
        (["layers:softmax", "--input", "nowhere.npy"], "argument --input: nowhere.npy: No such file or directory"),
        (["layers:softmax", "--input", "text.npy"], "argument --input: text.npy: not an array as np.save writes it: "),
        (["layers:softmax", "--input", "empty.npy"], "argument --input: empty.npy: "),
        (["layers:softmax", "--input", "objects.npy"], "argument --input: objects.npy: not an array as np.save"),
        (["layers:softmax", "--input", "archive.npy"], "expected an array of real numbers, got an archive"),
        (["layers:softmax", "--input", "complex.npy"], "expected an array of real numbers, got complex128"),
        (["layers:softmax", "--cotangent", "nowhere.npy", *IN], "argument --cotangent: nowhere.npy: No such file"),
        (["layers:softmax", "--cotangent", "short.npy", *IN], "cotangent must have the shape of what f returns"),
        (["layers:softmax", "--html", ".", *IN], "--html .: cannot write there: Is a directory"),
        (["layers:softmax", "--html", "text.npy/page.html", *IN], "cannot write there: Not a directory"),
        (["layers:softmax", "--plot", "picture", *IN], "--plot picture: the name must end in one of "),
        (["layers:softmax", "--plot", "picture.doc", *IN], "png, "),
    ],
)  # fmt: skip
def test_what_cannot_be_checked(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad_import.py").write_text("zero = 0\none = 1 / zero\n")
    (folder / "exits.py").write_text("import sys\nsys.exit(0)\n")
    (folder / "bad_syntax.py").write_text("def f(:\n")
    (folder / "lacks.py").write_text("import nowhere\n")
    (folder / "text.npy").write_text("1 2 3")
    (folder / "empty.npy").touch()
    np.save(folder / "objects.npy", np.array([object]), allow_pickle=True)
    np.savez(folder / "archive.npz", a=np.ones(2))
    (folder / "archive.npz").rename(folder / "archive.npy")
    np.save(folder / "complex.npy", np.array([1j]))
    np.save(folder / "short.npy", np.ones(3))
    before = sorted(folder.rglob("*"))
    assert check(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"tinygrad_kr: error: .+\n", err), err
    assert message in err
    assert sorted(folder.rglob("*")) == before


def test_a_pickle_is_not_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (folder / "sprung",))

    np.save(folder / "trap.npy", np.array([Trap()]), allow_pickle=True)
    assert check("numpy:tanh", "--input", "trap.npy") == 2
    assert not (folder / "sprung").exists()


# As a user runs it

ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
ROOT = str(Path(tinygrad_kr.__file__).parents[1])


def test_from_the_shell_with_modules_beside_the_file(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "helpers.py").write_text("def double(x):\n    return 2 * x\n")
    (folder / "deep" / "model.py").write_text("from helpers import double\n\ndef f(x):\n    return double(x) * x\n")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tinygrad_kr", "gradcheck", "deep/model.py:f", *IN],
        capture_output=True,
        text=True,
        env=ENVIRONMENT | {"PYTHONPATH": ROOT},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("check_gradients: f: PASS\n  x (3, 4) float64: 12 PASS of 12 elements")
    assert "\r" not in done.stdout and "\x1b" not in done.stdout


def test_the_current_folder_can_be_imported_from_though_python_was_told_otherwise(folder: Path) -> None:
    """As with the console script, which does not put the current folder on the path."""
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-m", "tinygrad_kr", "gradcheck", "layers:softmax", *IN, "--quiet"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT | {"PYTHONPATH": ROOT},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "check_gradients: softmax: PASS\n", "")


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a single child")
def test_interrupted(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tinygrad_kr", "gradcheck", "layers:endless", *IN, "--html", "page.html"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT | {"PYTHONPATH": ROOT, "PYTHONDONTWRITEBYTECODE": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert (process.returncode, err) == (130, "tinygrad_kr: error: interrupted; nothing was written\n")
    assert [file.name for file in folder.iterdir()] == ["layers.py"]


def test_the_help_explains_inputs_and_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        check("--help")
    assert done.value.code == 0
    text = capsys.readouterr().out
    for form in ("3x4", *(f"{name}:" for name in command.DISTRIBUTIONS), "labels:3of10", ".npy", "exit status: 0 "):
        assert form in text
    assert max(map(len, text.splitlines())) <= 120


def test_a_file_is_imported_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "counted.py").write_text("print('imported')\n" + LAYERS)
    assert check("counted.py:softmax", "--gradient", f"{folder}/counted.py:backward", *IN, "--quiet") == 0
    assert capsys.readouterr().out == "imported\ncheck_gradients: softmax: PASS\n"


def test_progress_is_left_to_the_check_unless_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    exact = checking.check_gradients

    def watched(*inputs: Any, progress: Any, **options: Any) -> Report:
        asked.append(progress)
        return exact(*inputs, progress=progress, **options)

    monkeypatch.setattr(checking, "check_gradients", watched)
    assert check("numpy:tanh", *IN) == check("numpy:tanh", *IN, "--quiet") == 0
    assert asked == [None, False]
