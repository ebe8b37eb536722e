"""The benchmarks: that they run and report, and refuse to compare what is not the same. No assertion on times."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pyperf = pytest.importorskip("pyperf")

from benchmarks import __main__ as command  # noqa: E402
from benchmarks.speed import report, runner  # noqa: E402
from benchmarks.speed.peers import OURS, PEERS, Peer  # noqa: E402
from benchmarks.speed.runner import Comparison, Mismatch, Table  # noqa: E402
from benchmarks.speed.worker import Worker  # noqa: E402
from benchmarks.speed.workloads import WORKLOADS, Answer  # noqa: E402

QUICK = ["--quick", "--workloads", "2-8-2", "--dtype", "float32"]
SMALL = ["64-32-10", "2-8-2", "lenet", "chain", "deep", "documents"]

WRONG_PEER = """
from benchmarks.speed.peers.by_hand import PROGRAMS, Training as Right, array

class Training(Right):
    def step(self, x, t):
        loss = super().step(x, t)
        self.parameters[2] -= {rate} * self.lr
        return loss
"""


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Make a peer of some source code."""

    def make(source: str) -> None:
        (tmp_path / "strange_peer.py").write_text(source)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setitem(PEERS, "stranger", Peer("stranger", "Stranger", "strange_peer", "strange_peer", ()))

    return make


def test_table_json_and_plot(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output = [tmp_path / "results.json", tmp_path / "ratios.png"]
    options = ["--json", str(output[0])]
    if has_matplotlib := command.find_spec("matplotlib") is not None:
        options += ["--plot", str(output[1])]
    assert command.main([*QUICK, "--peers", "numpy", *options]) == 0
    out, err = capsys.readouterr()
    assert "training step of 2-8-2, batch 4, float32" in out
    assert "numpy " + np.__version__ in out
    assert next(line for line in out.splitlines() if line.startswith("hand-written NumPy")).count("<= 1.60") == 1
    assert "2-8-2 float32 numpy" in err
    suite = pyperf.BenchmarkSuite.load(str(output[0]))
    ours, theirs = suite.get_benchmarks()
    assert ours.get_name() == "2-8-2/float32/tinygrad_kr beside numpy"
    assert theirs.get_name() == "2-8-2/float32/numpy"
    assert len(ours.get_values()) == len(theirs.get_values()) == 3
    assert ours.get_metadata()["threads"] == 2
    assert not has_matplotlib or output[1].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("peer", [OURS, PEERS["numpy"]], ids=lambda peer: peer.name)
def test_the_same_is_computed(peer: Peer, name: str, dtype: str) -> None:
    worker = Worker()
    worker.start(peer)
    answer = worker.build(WORKLOADS[name], dtype)
    runner.require_same(peer.title, answer, runner.reference_answer(WORKLOADS[name], dtype))
    assert worker.run(2, 0.0) > 0


def test_a_wrong_gradient_stops_the_run(stranger: Any, capsys: pytest.CaptureFixture[str]) -> None:
    stranger(WRONG_PEER.format(rate=0.01))
    assert command.main([*QUICK, "--peers", "stranger"]) == 1
    assert "Stranger on 2-8-2 in float32: the gradient of parameter 2 is off by" in capsys.readouterr().err


def test_rounding_does_not_stop_the_run(stranger: Any) -> None:
    stranger(WRONG_PEER.format(rate=1e-7))
    assert command.main([*QUICK, "--peers", "stranger"]) == 0


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(1.0, [np.ones(3)], {"float64"}), "become float64"),
        (Answer(1.1, [np.ones(3)], {"float32"}), "the loss is off"),
        (Answer(float("nan"), [np.ones(3)], {"float32"}), "the loss is off"),
        (Answer(1.0, [np.ones(1)], {"float32"}), "the gradient of parameter 0 is off by inf"),
    ],
)
def test_what_is_refused(answer: Answer, message: str) -> None:
    with pytest.raises(Mismatch, match=message):
        runner.require_same("someone", answer, Answer(1.0, [np.ones(3)], {"float32"}))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("raise RuntimeError('built for another NumPy')", "RuntimeError: built for another NumPy"),
        ("import os; os._exit(3)", "its process ended with status 3"),
    ],
)
def test_missing_peers_are_named(stranger: Any, capsys: pytest.CaptureFixture[str], source: str, reason: str) -> None:
    stranger(source)
    assert command.main([*QUICK, "--peers", "stranger", "numpy"]) == 0
    out = capsys.readouterr().out
    assert f"skipped: Stranger: {reason}\n" in out
    assert "hand-written NumPy" in out


def test_a_peer_without_the_program_is_named(stranger: Any, capsys: pytest.CaptureFixture[str]) -> None:
    stranger("from benchmarks.speed.peers.by_hand import Training, array\nPROGRAMS = {}")
    assert command.main([*QUICK, "--peers", "stranger"]) == 0
    assert "skipped: Stranger: NotImplementedError: it has no program for 2-8-2" in capsys.readouterr().out


def test_imports_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--quick", "--dtype", "float32", "--peers", "numpy", "--workloads", "import", "memory-epoch"]
    assert command.main(options) == 0
    out = capsys.readouterr().out
    assert "import in a fresh process\npeer" in out
    assert sys.platform != "linux" or "iB" in out


@pytest.mark.parametrize(
    "options",
    [
        ["--peers", "nobody"],
        ["--workloads", "nothing"],
        ["--dtype", "float16"],
        ["--threads", "0"],
        ["--json", "no/such/folder/file.json"],
    ],
)
def test_unknown_names_are_one_line_and_status_2(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(options)
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert options[0] in err and options[1].partition("/file")[0] in err


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in (*PEERS, *WORKLOADS))


def test_pairs_alternate() -> None:
    calls: list[str] = []
    pairs = list(runner.paired(lambda: calls.append("ours") or 1.0, lambda: calls.append("theirs") or 2.0, 3))
    assert pairs == [(1.0, 2.0)] * 3
    assert calls == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]


def test_calibration_fills_the_time() -> None:
    assert runner.calibrated(lambda loops: loops * 0.001, 0.1) == 100
    assert runner.calibrated(lambda loops: loops * 5.0, 0.1) == 1


def test_targets_are_judged_by_the_median() -> None:
    comparison = Comparison(PEERS["numpy"], [(1.0, 1.0), (3.0, 1.0), (1.0, 2.0)], 1.0)
    assert report.verdict(comparison) == "<= 1.00 met"
    table = report.text(Table(WORKLOADS["2-8-2"], "float32", [comparison]))
    last_line = " ".join(table.splitlines()[-1].split())
    assert last_line == "hand-written NumPy 1.00 s 1.00 s 0.50 1.00 3.00 <= 1.00 met"


def test_quantities() -> None:
    assert [report.quantity(s, "second") for s in (2.0, 0.0123, 4.5e-5, 1e-10)] == [
        "2.00 s",
        "12.3 ms",
        "45.0 µs",
        "0.100 ns",
    ]
    assert report.quantity(3 * 2**20, "byte") == "3.00 MiB"


def test_profile_shows_operations_and_engine() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed.profile_step", "2-8-2", "--seconds", "0.05"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        cwd=Path(__file__).parents[2],
    )
    assert "linear x2" in done.stdout
    assert "engine: recording, walking" in done.stdout
