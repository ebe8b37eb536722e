"""The command line as a user meets it: what it prints, what it writes, and how it says no."""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_kr
from tinygrad_kr import cli
from tinygrad_kr.cli import networks, run_folder
from tinygrad_kr.cli.options import UsageError
from tinygrad_kr.cli.train_options import LEARNING_RATES, TrainOptions
from tinygrad_kr.datasets import load_mnist_sample
from tinygrad_kr.models import TwoLayerNet
from tinygrad_kr.saving import load_weights
from tinygrad_kr.training import Trainer

QUICK = ["train", "--epochs", "1", "--hidden", "8"]
WRITTEN = {"checkpoint.safetensors", "curve.png", "digits.png", "history.csv", "settings.json", "weights.safetensors"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# What a user's shell would have, and output that is buffered as in a pipe.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"} | {
    "PYTHONPATH": str(Path(tinygrad_kr.__file__).parents[1])
}


def run(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command as a user would; with `before`, after some Python of the test's own."""
    how = ["-c", f"{before}\nimport runpy; runpy.run_module('tinygrad_kr', run_name='__main__')"]
    return subprocess.run(
        [sys.executable, "-W", "error", *(how if before else ["-m", "tinygrad_kr"]), *arguments],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def without_seconds(folder: Path) -> list[dict[str, str]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history(folder)]


# The good paths


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    out = tmp_path_factory.mktemp("quick") / "new" / "out"
    return run(*QUICK, "--epochs", "2", "--seed", "3", "--out", str(out)), out


def test_the_main_job_prints_the_proof_the_epochs_and_the_result(quick_run: Any) -> None:
    done, out = quick_run
    assert (done.returncode, done.stderr) == (0, "")
    assert "\r" not in done.stdout and "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[0] == "MNIST sample: 6,000 training and 1,000 test digits"
    proof = re.findall(r"^(W1|b1|W2|b2) +[\dx ]+? +(\S+e-\d+) +(\S+e-\d+)$", done.stdout, re.MULTILINE)
    assert [name for name, _, _ in proof] == ["W1", "b1", "W2", "b2"]
    assert all(float(relative) < 1e-7 for _, _, relative in proof)
    epochs = re.findall(r"^ +(\d+) +(\d\.\d+) +(\d\.\d{4}) +(\d\.\d{4}) +\d+\.\d+$", done.stdout, re.MULTILINE)
    assert [epoch[0] for epoch in epochs] == ["1", "2"]
    for printed, written in zip(epochs, history(out), strict=True):
        assert float(printed[1]) == pytest.approx(float(written["loss"]), abs=1e-5)
        assert float(printed[3]) == pytest.approx(float(written["test_accuracy"]), abs=1e-4)
    assert lines[-2:] == [f"final test accuracy {epochs[-1][3]}", f"written to {out}"]


def test_the_main_job_writes_its_results(quick_run: Any) -> None:
    _, out = quick_run
    assert {path.name for path in out.iterdir()} == WRITTEN
    for name in ("curve.png", "digits.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    assert [row["epoch"] for row in history(out)] == ["1", "2"]


def test_the_settings_say_how_the_numbers_were_made(quick_run: Any) -> None:
    _, out = quick_run
    settings = json.loads((out / "settings.json").read_text())
    assert settings["options"] == {
        "model": "two-layer",
        "epochs": 2,
        "batch_size": 100,
        "lr": 0.5,
        "hidden": 8,
        "activation": "relu",
        "loss": "softmax_cross_entropy",
        "optimizer": None,
        "schedule": None,
        "warm_up": None,
        "seed": 3,
        "dtype": "float32",
        "out": str(out),
        "data": None,
        "quiet": False,
    }
    assert settings["versions"] == {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "tinygrad_kr": tinygrad_kr.__version__,
    }
    assert settings["dataset"] == "MNIST sample"
    assert [row["name"] for row in settings["gradient_check"]] == ["W1", "b1", "W2", "b2"]
    assert settings["final"]["test_accuracy"] == float(history(out)[-1]["test_accuracy"])
    assert settings["final"]["train_accuracy"] == float(history(out)[-1]["train_accuracy"])


def test_the_weights_are_those_of_the_last_epoch(quick_run: Any) -> None:
    _, out = quick_run
    net = TwoLayerNet(784, 8, 10, dtype=np.float32)
    for name, array in load_weights(out / "weights.safetensors").items():
        net.params[name].assign(array)
    _, test_set = load_mnist_sample()
    assert net.accuracy(*test_set) == pytest.approx(float(history(out)[-1]["test_accuracy"]))


def test_the_same_seed_gives_the_same_numbers(quick_run: Any, folder: Path) -> None:
    _, first = quick_run
    arguments = [*QUICK, "--epochs", "2", "--quiet", "--out"]
    assert cli.main([*arguments, "same", "--seed", "3"]) == 0
    assert cli.main([*arguments, "other", "--seed", "4"]) == 0
    assert without_seconds(folder / "same") == without_seconds(first)
    assert without_seconds(folder / "other") != without_seconds(first)
    same_weights = (folder / "same" / "weights.safetensors").read_bytes()
    assert same_weights == (first / "weights.safetensors").read_bytes()


@pytest.mark.parametrize("loss", list(LEARNING_RATES))
def test_each_loss_learns_with_its_default_rate(loss: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = cli.main(
        ["train", "--loss", loss, "--hidden", "12", "--activation", "tanh", "--dtype", "float64", "--epochs", "3"]
    )
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    assert float(re.search(r"final test accuracy (\S+)", out)[1]) > 0.75  # type: ignore[index]
    (run_folder,) = (folder / "runs").iterdir()
    assert out.splitlines()[-1] == f"written to {Path('runs', run_folder.name)}"
    assert {path.name for path in run_folder.iterdir()} == WRITTEN


def test_quiet_prints_the_result_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*QUICK, "--quiet", "--out", "out"]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"final test accuracy \d\.\d{4}\nwritten to out\n", out)
    assert err == ""


def test_another_folder_of_files_is_left_alone(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "notes.txt").write_text("mine")
    assert cli.main([*QUICK, "--quiet", "--out", "out"]) == 0
    assert {path.name for path in (folder / "out").iterdir()} == WRITTEN | {"notes.txt"}
    assert (folder / "out" / "notes.txt").read_text() == "mine"


class Terminal:
    """A stream that says it is a terminal."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def isatty(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@pytest.mark.parametrize("quiet", [False, True])
def test_progress_bars_on_a_terminal_unless_quiet(
    quiet: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal(sys.stdout))
    monkeypatch.setattr(sys, "stderr", Terminal(sys.stderr))
    assert cli.main([*QUICK, "--out", "out", *(["--quiet"] if quiet else [])]) == 0
    out, err = capsys.readouterr()
    assert ("6272" in err) != quiet  # the elements of W1
    assert "\r" not in out


def test_without_the_extra_it_trains_and_says_what_to_install(folder: Path) -> None:
    hide = "import sys; sys.modules.update(dict.fromkeys(['tqdm', 'matplotlib', 'safetensors']))"
    done = run(*QUICK, "--out", "out", before=hide)
    assert done.returncode == 0
    notes = done.stderr.splitlines()
    assert len(notes) == 3
    for note, library in zip(notes, ("tqdm", "safetensors", "matplotlib"), strict=True):
        assert note.startswith("tinygrad_kr: note: ")
        assert library in note
        assert "pip install 'tinygrad_kr[train]'" in note
    assert {path.name for path in (folder / "out").iterdir()} == {
        "checkpoint.npz",
        "history.csv",
        "settings.json",
        "weights.npz",
    }
    with np.load(folder / "out" / "weights.npz") as weights:
        assert {name: weights[name].shape for name in weights if not name.startswith("__")} == {
            "W1": (784, 8),
            "b1": (8,),
            "W2": (8, 10),
            "b2": (10,),
        }


def test_the_defaults_are_those_that_reach_94_percent() -> None:
    assert vars(TrainOptions.from_arguments({})) == {
        "model": "two-layer",
        "epochs": 20,
        "batch_size": 100,
        "lr": 0.5,  # that of the loss
        "hidden": 100,
        "activation": "relu",
        "loss": "softmax_cross_entropy",
        "optimizer": None,
        "schedule": None,
        "warm_up": None,
        "seed": 0,
        "dtype": "float32",
        "out": None,
        "data": None,
        "quiet": False,
    }
    assert LEARNING_RATES["softmax_cross_entropy"] == 0.5


def test_version_and_help() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"tinygrad_kr {tinygrad_kr.__version__}\n")
    done = run("train", "--help")
    assert done.returncode == 0
    for option in ("--epochs", "--batch-size", "--lr", "--hidden", "--activation", "--loss", "--seed", "--dtype"):
        assert option in done.stdout


def test_importing_the_command_line_imports_numpy_and_the_standard_library_only() -> None:
    code = (
        "import sys; before = set(sys.modules); import tinygrad_kr.cli;"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}"
        " - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    assert done.stdout.split() == ["tinygrad_kr"]


# Several at once, and terminals of all kinds


def test_runs_that_start_in_one_second_have_folders_of_their_own(folder: Path) -> None:
    same_time = "import time; time.strftime = lambda *_: 'now'; import runpy"
    command = [sys.executable, "-c", f"{same_time}; runpy.run_module('tinygrad_kr', run_name='__main__')"]
    command += [*QUICK, "--hidden", "2"]
    seeds = range(3)
    processes = [
        subprocess.Popen([*command, "--quiet", "--seed", str(seed)], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        for seed in seeds
    ]
    printed = [process.communicate()[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    names = [lines[-1].removeprefix("written to ") for lines in printed]
    assert sorted(names) == [str(Path("runs", name)) for name in ("now", "now-2", "now-3")]
    for seed, name, lines in zip(seeds, names, printed, strict=True):
        assert {path.name for path in (folder / name).iterdir()} == WRITTEN
        assert json.loads((folder / name / "settings.json").read_text())["options"]["seed"] == seed
        assert lines[0] == f"final test accuracy {float(history(folder / name)[-1]['test_accuracy']):.4f}"


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_only_one_run_gets_a_folder(named: bool, there: bool, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda *_: "now")
    wanted = Path("runs", "now")
    if there:
        wanted.mkdir(parents=True)
    everybody, got, refused = threading.Barrier(8), list[Path](), list[str]()

    def claim() -> None:
        options = argparse.Namespace(out=wanted if named else None)
        everybody.wait()
        try:
            with run_folder.claimed(options):
                got.append(options.out)
                everybody.wait()
        except UsageError as error:
            refused.append(str(error))
            everybody.wait()

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == len(got) == (1 if named else 8)
    assert refused == [f"--out {wanted}: already has settings.json; name another folder"] * (8 - len(got))
    assert named or (wanted in got) != there


@pytest.mark.parametrize("out", [".", "there", "new", None])
def test_a_failed_claim_leaves_nothing(out: str | None, folder: Path) -> None:
    (folder / "there").mkdir()
    options = argparse.Namespace(out=out and Path(out))
    with pytest.raises(KeyError), run_folder.claimed(options):
        assert [path.name for path in options.out.iterdir() if path.is_file()] == ["settings.json"]
        raise KeyError
    assert list(folder.rglob("*")) == [folder / "there"]


def shell(redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a shell that redirects its output."""
    words = [sys.executable, "-W", "error", "-m", "tinygrad_kr", *arguments]
    return subprocess.run(
        ["sh", "-c", f'"$0" "$@" {redirection}', *words], capture_output=True, text=True, env=ENVIRONMENT
    )


posix = pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX")


@posix
@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_output_does_not_matter(redirection: str, folder: Path) -> None:
    done = shell(redirection, *QUICK, "--out", "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in (folder / "out").iterdir()} == WRITTEN


@posix
@pytest.mark.parametrize(
    ("redirection", "reason"), [(">/dev/full", "No space left on device"), ("| true", "Broken pipe")]
)
def test_an_output_that_fails(redirection: str, reason: str, folder: Path) -> None:
    if "/dev/full" in redirection and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = shell(redirection, *QUICK, "--out", "out")
    assert done.stderr == f"tinygrad_kr: error: cannot print to the standard output: {reason}\n"
    assert not list(folder.iterdir())


def test_an_ascii_terminal_shows_a_korean_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, "PYTHONIOENCODING", "ascii")
    done = run(*QUICK, "--quiet", "--out", "한글")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == r"written to \ud55c\uae00"
    assert {path.name for path in (folder / "한글").iterdir()} == WRITTEN
    done = run("predict", "한글", "글.npy")
    assert (done.returncode, done.stderr) == (2, "tinygrad_kr: error: \\uae00.npy: no such file\n")


# The bad paths: one line on standard error, the right status, nothing written


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    _, err = capsys.readouterr()
    assert re.fullmatch(r"tinygrad_kr: error: .+\n", err), err
    return err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "command"),
        (["fly"], "invalid choice: 'fly'"),
        ([], "required"),
        (["--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["train", "--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["train", "--epoch", "3"], "unrecognized arguments: --epoch 3; did you mean --epochs?"),
        (["train", "--learning-rate", "3"], "unrecognized arguments: --learning-rate 3; did you mean --lr?"),
        (["train", "--learning_rate=3"], "unrecognized arguments: --learning_rate=3; did you mean --lr?"),
        (["train", "--batch_size", "3", "--sead", "1"], "--sead 1; did you mean --batch-size, --seed?"),
        (["predict", "a", "b", "--learning-rate", "3"], "unrecognized arguments: --learning-rate 3\n"),
        (["predict", "a", "b", "--inverted"], "unrecognized arguments: --inverted; did you mean --invert?"),
        (["train", "--epochs"], "expected one argument"),
        (["train", "--epochs", "0"], "argument --epochs: must be at least 1, got 0"),
        (["train", "--epochs", "-3"], "argument --epochs: must be at least 1, got -3"),
        (["train", "--epochs", "2.5"], "argument --epochs: expected a whole number, got '2.5'"),
        (["train", "--epochs", "two\nlines"], "expected a whole number"),
        (["train", "--epochs", "9" * 5000], "expected a whole number"),
        (["train", "--batch-size", "0"], "argument --batch-size: must be at least 1, got 0"),
        (["train", "--batch-size", "1" + "0" * 30], "argument --batch-size: must be at most"),
        (["train", "--hidden", "0"], "argument --hidden: must be at least 1, got 0"),
        (["train", "--lr", "0"], "argument --lr: must be a positive number, got 0"),
        (["train", "--lr", "-0.1"], "argument --lr: must be a positive number, got -0.1"),
        (["train", "--lr", "nan"], "argument --lr: must be a positive number, got nan"),
        (["train", "--lr", "inf"], "argument --lr: must be a positive number, got inf"),
        (["train", "--lr", "fast"], "argument --lr: expected a number, got 'fast'"),
        (["train", "--seed", "-1"], "argument --seed: must be at least 0, got -1"),
        (["train", "--activation", "softplus"], "argument --activation: invalid choice: 'softplus'"),
        (["train", "--activation", "step"], "argument --activation: invalid choice: 'step'"),
        (["train", "--loss", "hinge"], "argument --loss: invalid choice: 'hinge'"),
        (["train", "--dtype", "int8"], "argument --dtype: invalid choice: 'int8'"),
        (["train", "--data", "nowhere"], "--data nowhere: no such folder"),
        (["train", "--data", "a_file"], "--data a_file: no such folder"),
        (["train", "--data", "empty"], "lacks train-images-idx3-ubyte"),
        (["train", "--out", "a_file"], "--out a_file: cannot write there: Not a directory"),
        (["train", "--out", "a_file/below"], "--out a_file/below: cannot write there: Not a directory"),
        (["train", "--out", "new/" + "x" * 300], "cannot write there: File name too long"),
        (["train", "--out", "full"], "--out full: already has history.csv, curve.png; name another folder"),
    ],
)
def test_a_bad_option_is_refused(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a_file").touch()
    (folder / "empty").mkdir()
    (folder / "full").mkdir()
    (folder / "full" / "curve.png").touch()
    (folder / "full" / "history.csv").touch()
    before = sorted(folder.rglob("*"))
    assert cli.main(arguments) == 2
    assert message in error_line(capsys)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    "arguments", [["train", "--epochs", "0"], ["train", "--out", "a_file"], ["train", "--data", "nowhere"], []]
)
def test_a_refusal_as_the_user_sees_it(arguments: list[str], folder: Path) -> None:
    (folder / "a_file").touch()
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"tinygrad_kr: error: .+\n", done.stderr)


def header(*sizes: int) -> bytes:
    return bytes([0, 0, 8, len(sizes)]) + b"".join(size.to_bytes(4, "big") for size in sizes)


@pytest.fixture
def foreign_data(folder: Path) -> Path:
    """Four files with the names of MNIST: the sample's, which are not those of the whole data set."""
    sample = Path(tinygrad_kr.__file__).parent / "datasets" / "sample"
    for path in sample.glob("*-ubyte*"):
        shutil.copy(path, folder)
    return folder


@pytest.mark.parametrize(
    ("content", "compressed"),
    [
        (None, False),
        (b"", False),
        (b"P6 28 28 255 this is a picture", False),
        (header(60000, 28, 28) + bytes(1000), False),
        (header(60000, 28, 28) + bytes(1000), True),
        (b"\x1f\x8b this only begins like gzip", True),
    ],
)
def test_a_foreign_or_truncated_data_file_is_refused(
    content: bytes | None, compressed: bool, foreign_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        name = "train-images-idx3-ubyte"
        (foreign_data / f"{name}.gz").unlink(missing_ok=True)
        (foreign_data / name).unlink(missing_ok=True)
        if compressed and not content.startswith(b"\x1f\x8b"):
            content = gzip.compress(content)
        (foreign_data / (f"{name}.gz" if compressed else name)).write_bytes(content)
    assert cli.main(["train", "--data", str(foreign_data), "--out", "out"]) == 2
    assert "train-images-idx3-ubyte" in error_line(capsys)
    assert not (foreign_data / "out").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may write anywhere")
def test_a_read_only_folder_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "locked").mkdir(mode=0o500)
    assert cli.main([*QUICK, "--out", "locked/out"]) == 2
    assert "cannot write there: Permission denied" in error_line(capsys)


def test_a_folder_that_cannot_be_written_into_is_found_before_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    monkeypatch.setattr(Trainer, "fit", lambda *_, **__: pytest.fail("trained all the same"))
    assert cli.main([*QUICK, "--out", "out"]) == 2
    assert "--out out: cannot write there: Permission denied" in error_line(capsys)


@pytest.mark.parametrize("out", ["new/out", "there"])
def test_after_a_failure_while_writing_it_goes_on_from_the_checkpoint(
    out: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full_disk(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    (folder / "there").mkdir()
    monkeypatch.setattr(run_folder, "plot_digits", full_disk)
    assert cli.main([*QUICK, "--quiet", "--out", out]) == 2
    assert "No space left on device" in error_line(capsys)
    assert {path.name for path in Path(out).iterdir()} == {"settings.json", "checkpoint.safetensors"}
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert cli.main(["train", "--resume", out, "--quiet"]) == 0
    assert {path.name for path in Path(out).iterdir()} == WRITTEN


@pytest.mark.parametrize("error", [0.01, float("nan")])
def test_a_wrong_gradient_stops_it(
    error: float, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exact = TwoLayerNet.gradient

    def wrong(self: TwoLayerNet, x: Any, t: Any) -> dict[str, Any]:
        gradient = exact(self, x, t)
        gradient["b2"][4] += error
        return gradient

    monkeypatch.setattr(TwoLayerNet, "gradient", wrong)
    assert cli.main([*QUICK, "--out", "out"]) == 1
    assert re.search("exact and numerical gradient differ .*: b2 by ", error_line(capsys))
    assert not list(folder.iterdir())


def test_a_training_that_diverges_stops(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*QUICK, "--lr", "1e30", "--out", "out"]) == 1
    assert re.search(r"in epoch 1, step \d+ .* try a smaller lr than 1e\+30", error_line(capsys))
    assert not list(folder.iterdir())


def test_a_training_that_diverges_without_a_nan_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*QUICK, "--lr", "100", "--quiet", "--out", "out"]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(
        r"tinygrad_kr: note: Trainer: the training diverged with learning rate 100: .*lr than 100.*\n", err
    )
    assert out.startswith("final test accuracy 0.1")


@pytest.mark.parametrize("error", [0.0, 0.01])
def test_a_large_network_is_proven_along_directions(
    error: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exact = TwoLayerNet.gradient

    def wrong(self: TwoLayerNet, x: Any, t: Any) -> dict[str, Any]:
        gradient = exact(self, x, t)
        gradient["W2"][17, 4] += error
        return gradient

    monkeypatch.setattr(TwoLayerNet, "gradient", wrong)
    status = cli.main(["train", "--epochs", "1", "--hidden", "300", "--out", "out"])
    out, err = capsys.readouterr()
    assert "in float64 on 4 digits: 5 random directions for 238,510 elements\n" in out
    assert status == bool(error)
    assert ("differ by 1e-07 or more of the largest element: W2 by" in err) == bool(error)


def test_more_memory_than_there_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def greedy(*_: Any, **__: Any) -> Any:
        raise MemoryError("Unable to allocate 12.2 TiB")

    monkeypatch.setattr(networks, "TwoLayerNet", greedy)
    assert cli.main(QUICK) == 2
    assert "Unable to allocate 12.2 TiB" in error_line(capsys)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a single child")
def test_interrupted(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tinygrad_kr", "train", "--out", "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("MNIST sample")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert (process.returncode, err) == (130, "tinygrad_kr: error: interrupted; nothing was written\n")
    assert not list(folder.iterdir())
