"""``train --model``: networks of layers on the command line, interrupted and resumed."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_kr import cli
from tinygrad_kr.cli import networks, run_folder, train
from tinygrad_kr.cli.train_options import OPTIMIZERS, TrainOptions
from tinygrad_kr.common.files import locked
from tinygrad_kr.saving import load, load_weights

FACTORY = """
from tinygrad_kr import Primitive, nn

twice = Primitive("twice", lambda x: 2 * x, x=lambda g, x, y: 2.1 * g)

class Wrong(nn.Module):
    def __init__(self, rng):
        self.inner = small(rng)

    def forward(self, x):
        return twice(self.inner(x))

def small(rng):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 8, rng=rng), nn.BatchNorm(8), nn.Tanh(), nn.Dropout(0.1, rng=rng),
        nn.Linear(8, 10, rng=rng),
    )

def broken(rng):
    return 1 / 0

def narrow(rng):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 3, rng=rng))

def flat(rng):
    return nn.Linear(784, 10, rng=rng)

def number(rng):
    return 3
"""
WRITTEN = {"curve.png", "digits.png", "history.csv", "settings.json", "weights.safetensors", "checkpoint.safetensors"}
SMALL = ["train", "--model", "nets.py:small"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with some factories."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(FACTORY)
    return tmp_path


def without_seconds(folder: str) -> list[dict[str, str]]:
    with Path(folder, "history.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    _, err = capsys.readouterr()
    assert re.fullmatch(r"tinygrad_kr: error: .+\n", err), err
    return err


@pytest.mark.parametrize("model", ["mlp", "cnn", "nets.py:small"])
def test_it_checks_trains_and_writes(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--model", model, "--epochs", "1", "--out", "out"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert re.search(r"^(PASS|KINK): 100\.0% of it resolved, \d+\.\d seconds$", out, re.MULTILINE)
    (epoch,) = re.findall(r"^ +1 +\d\.\d+ +(\d\.\d{4}) +(\d\.\d{4}) +\d+\.\d+$", out, re.MULTILINE)
    assert float(epoch[1]) > 0.6
    assert out.splitlines()[-2:] == [f"final test accuracy {epoch[1]}", "written to out"]
    assert {path.name for path in Path("out").iterdir()} == WRITTEN
    settings = json.loads(Path("out", "settings.json").read_text())
    assert settings["options"]["optimizer"] == "adam"
    assert settings["options"]["lr"] == 0.002
    assert settings["gradient_check"]["coverage"] == 1
    assert f"{settings['final']['test_accuracy']:.4f}" == epoch[1]
    weights = load_weights(Path("out", "weights.safetensors"))
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}


def test_the_sizes_of_the_networks() -> None:
    sizes = {}
    for name in ("mlp", "cnn"):
        net = networks.NETWORKS[name].build(TrainOptions.from_arguments({"model": name}), np.random.default_rng(0))
        sizes[name] = sum(parameter.size for _, parameter in net.named_parameters())
    assert sizes == {"mlp": 235_146, "cnn": 61_706}  # LeNet-5 as it is usually built


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_each_optimizer_learns_with_its_default_rate(optimizer: str) -> None:
    assert cli.main([*SMALL, "--optimizer", optimizer, "--epochs", "2", "--quiet", "--out", "out"]) == 0
    assert float(without_seconds("out")[-1]["test_accuracy"]) > 0.7


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("none", [1, 1, 1]), ("step", [1, 0.1, 0.01]), ("cosine", [0.803, 0.282, 0.0000844])],
)
def test_a_schedule_lowers_the_learning_rate(schedule: str, expected: list[float]) -> None:
    arguments = [*SMALL, "--schedule", schedule, "--epochs", "3", "--lr", "1", "--optimizer", "sgd", "--quiet"]
    assert cli.main([*arguments, "--out", "out"]) == 0
    _, metadata = load(Path("out", "checkpoint.safetensors"))
    np.testing.assert_allclose([row["lr"] for row in metadata["history"]], expected, rtol=0.01)


def test_a_warm_up_raises_it() -> None:
    arguments = [*SMALL, "--schedule", "none", "--warm-up", "120", "--epochs", "2", "--lr", "0.2", "--optimizer", "sgd"]
    assert cli.main([*arguments, "--quiet", "--out", "out"]) == 0
    _, metadata = load(Path("out", "checkpoint.safetensors"))
    np.testing.assert_allclose([row["lr"] for row in metadata["history"]], [0.1, 0.2])


@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupted_run_resumes_to_the_same_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*SMALL, "--epochs", "3", "--seed", "5", "--out"]
    assert cli.main([*arguments, "whole"]) == 0
    assert cli.main([*arguments[:-1], "--quiet", "--out", "other", "--seed", "6"]) == 0
    assert without_seconds("whole") != without_seconds("other")
    with monkeypatch.context() as patch:
        line, lines = run_folder.line, []

        def interrupting(row: Any) -> str:
            lines.append(row)
            if len(lines) == 2:
                signal.raise_signal(signal.SIGINT)
            return line(row)

        patch.setattr(run_folder, "line", interrupting)
        capsys.readouterr()
        assert cli.main([*arguments, "parts"]) == 130
    assert error_line(capsys) == "tinygrad_kr: error: interrupted; go on with: train --resume parts\n"
    assert {path.name for path in Path("parts").iterdir()} == {"settings.json", "checkpoint.safetensors"}
    assert cli.main(["train", "--resume", "parts", "--model", "nets.py:small"]) == 0
    assert without_seconds("parts") == without_seconds("whole")
    assert Path("parts", "weights.safetensors").read_bytes() == Path("whole", "weights.safetensors").read_bytes()


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("where", ["write_history", "write_weights", "plot_history", "plot_digits"])
def test_ctrl_c_after_the_training_can_go_on_too(
    where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(run_folder, where, lambda *_: signal.raise_signal(signal.SIGINT))
        assert cli.main([*SMALL, "--epochs", "1", "--quiet", "--out", "out"]) == 130
    assert error_line(capsys) == "tinygrad_kr: error: interrupted; go on with: train --resume out\n"
    assert {path.name for path in Path("out").iterdir()} == {"settings.json", "checkpoint.safetensors"}
    assert cli.main(["train", "--resume", "out", "--model", "nets.py:small"]) == 0
    assert {path.name for path in Path("out").iterdir()} == WRITTEN
    with monkeypatch.context() as patch:
        patch.setattr(train, "network_of", lambda *_: signal.raise_signal(signal.SIGINT))
        assert cli.main(["train", "--resume", "out", "--model", "nets.py:small", "--epochs", "2"]) == 130
    assert "go on with: train --resume out" in error_line(capsys)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(
    ("when", "said", "left"),
    [
        ("plot_digits", "go on with: train --resume out", {"settings.json", "checkpoint.safetensors"}),
        ("replace", "go on with: train --resume out", WRITTEN),
    ],
)
def test_ctrl_c_at_the_end_of_a_run_of_two_layers(
    when: str, said: str, left: set[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replace = os.replace

    def interrupting(*paths: Any) -> None:
        if when == "plot_digits" or Path(paths[-1]).name == "history.csv":
            signal.raise_signal(signal.SIGINT)
        replace(*paths)

    monkeypatch.setattr(os if when == "replace" else run_folder, when, interrupting)
    assert cli.main(["train", "--hidden", "4", "--epochs", "1", "--quiet", "--out", "out"]) == 130
    assert error_line(capsys) == f"tinygrad_kr: error: interrupted; {said}\n"
    assert {path.name for path in Path(".").glob("out/*")} == left


def test_two_processes_do_not_resume_one_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*SMALL, "--epochs", "1", "--quiet", "--out", "out"]) == 0
    names = {path.name for path in Path("out").iterdir()}
    with locked("out"):
        assert cli.main(["train", "--resume", "out", "--model", "nets.py:small", "--epochs", "2", "--quiet"]) == 2
        assert "out: in use by another process; wait until it has ended" in error_line(capsys)
        assert cli.main(["plot", "out", "--model", "nets.py:small"]) == 2
    assert {path.name for path in Path("out").iterdir()} == names


def test_a_resumed_run_keeps_the_modes_of_its_files() -> None:
    assert cli.main([*SMALL, "--epochs", "1", "--quiet", "--out", "out"]) == 0
    for path in Path("out").iterdir():
        path.chmod(0o600)
    assert cli.main(["train", "--resume", "out", "--model", "nets.py:small", "--epochs", "2", "--quiet"]) == 0
    assert {stat.S_IMODE(path.stat().st_mode) for path in Path("out").iterdir()} == {0o600}


def test_a_training_that_diverges_without_a_nan_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*SMALL, "--optimizer", "sgd", "--lr", "3000", "--schedule", "none", "--epochs", "2"]
    assert cli.main([*arguments, "--quiet", "--out", "out"]) == 0
    _, err = capsys.readouterr()
    assert re.fullmatch(r"tinygrad_kr: note: Trainer: the training diverged with learning rate 3000: .*\n", err)


def test_a_finished_run_can_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*SMALL, "--epochs", "1", "--quiet", "--out", "out"]) == 0
    assert cli.main(["train", "--resume", "out", "--model", "nets.py:small", "--epochs", "2", "--quiet"]) == 0
    assert [row["epoch"] for row in without_seconds("out")] == ["1", "2"]
    capsys.readouterr()
    for arguments, message in [
        (["--model", "nets.py:small", "--epochs", "1"], "--epochs 1, but 2 are done already"),
        ([], "its network is code from"),
        (["--model", "mlp"], "its network is code from"),
        (["--lr", "0.1", "--seed", "3"], "leave out --lr, --seed"),
    ]:
        assert cli.main(["train", "--resume", "out", *arguments]) == 2
        assert message in error_line(capsys)


def test_a_wrong_gradient_stops_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--model", "nets.py:Wrong", "--out", "out"]) == 1
    assert "the gradient contradicts finite differences in " in error_line(capsys)
    assert not (folder / "out").exists()


def test_a_training_that_diverges_leaves_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*SMALL, "--optimizer", "sgd", "--lr", "1e38", "--schedule", "none", "--out", "out"]) == 1
    assert "is not finite in epoch 1" in error_line(capsys)
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "lenet"], "argument --model: expected two-layer, mlp, cnn or PATH.py:factory, got 'lenet'"),
        (["--model", "nowhere.py:net"], "nowhere.py: no such file"),
        (["--model", "nets.py:smal"], "has no smal; did you mean small?"),
        (
            ["--model", "nets.py:broken"],
            "nets.py:broken(rng) raised ZeroDivisionError: division by zero (nets.py, line",
        ),
        (["--model", "nets.py:narrow"], "expected scores of shape (2, 10), got (2, 3)"),
        (["--model", "nets.py:flat"], "raised ShapeError: Linear(784, 10)"),
        (["--model", "nets.py:number"], "nets.py:number(rng) must return an nn.Module, got int"),
        (["--model", "mlp", "--hidden", "5"], "--hidden is for --model two-layer only"),
        (["--model", "cnn", "--loss", "mean_squared_error"], "--loss is for --model two-layer only"),
        (["--optimizer", "adam"], "--optimizer is for --model mlp, cnn or PATH.py:factory only"),
        (["--model", "two-layer", "--warm-up", "5"], "--warm-up is for --model mlp, cnn or PATH.py:factory only"),
        (["--model", "mlp", "--optimizer", "newton"], "argument --optimizer: invalid choice: 'newton'"),
        (["--model", "mlp", "--warm-up", "0"], "argument --warm-up: must be at least 1, got 0"),
        (["--model", "mlp", "--batch-size", "6001"], "--batch-size 6001 is more than the 6,000 training digits"),
        (["--model", "mlp", "--data", "nowhere"], "--data nowhere: no such folder"),
        (["--model", "mlp", "--out", "full"], "--out full: already has checkpoint.npz"),
        (["--resume", "nowhere"], "nowhere: no run there: it has no settings.json"),
        (["--resume", "full"], "--resume full: no run there that can go on"),
        (["--resume", "damaged"], "is not what a run wrote"),
        (["--resume", "altered"], "argument --epochs: must be at least 1, got -1"),
        (["--resume", "helping"], "settings.json: train has no option 'help', 'no such'"),
    ],
)
def test_a_bad_option_is_refused(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = {"full": {"options": {}}, "altered": {"options": {"model": "mlp", "epochs": -1}}, "damaged": ["options"]}
    contents["helping"] = {"options": {"model": "mlp", "help": True, "no such": 1}}
    for name, content in contents.items():
        (folder / name).mkdir()
        (folder / name / "settings.json").write_text(json.dumps(content))
    (folder / "altered" / "checkpoint.npz").touch()
    (folder / "helping" / "checkpoint.npz").touch()
    if "--out" in arguments:
        (folder / "full" / "settings.json").rename(folder / "full" / "checkpoint.npz")
    before = {path for path in folder.rglob("*") if "__pycache__" not in path.parts}
    assert cli.main(["train", *arguments]) == 2
    assert message in error_line(capsys)
    assert {path for path in folder.rglob("*") if "__pycache__" not in path.parts} == before
