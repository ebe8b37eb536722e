"""The helpers that every part of the package uses: arguments, files, progress bars."""

from __future__ import annotations

import doctest
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_kr.common import arguments, files
from tinygrad_kr.common.files import locked, whole
from tinygrad_kr.common.progress import Hidden, bar
from tinygrad_kr.errors import MissingExtraError


@pytest.mark.parametrize("name", ["arguments", "extras", "files", "lazy", "progress"])
def test_the_examples_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"tinygrad_kr.common.{name}")).failed == 0


@pytest.mark.parametrize("value", [True, np.True_, 1.0, "3", None, np.ones(2)])
def test_what_is_no_count_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="fit: epochs must be an integer, got"):
        arguments.count(value, "epochs", "fit")


def test_counts_of_numpy_become_those_of_python() -> None:
    counted = arguments.count(np.int8(3), "epochs", "fit")
    assert counted == 3 and type(counted) is int
    assert arguments.count(0, "epochs", "fit", least=0) == 0
    with pytest.raises(ValueError, match="fit: epochs must be at least 1, got 0"):
        arguments.count(0, "epochs", "fit")


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("check", [arguments.number, arguments.fraction])
def test_numbers_outside_of_their_range_are_refused(check: Any, value: float) -> None:
    with pytest.raises(ValueError, match="SGD: momentum must be"):
        check(value, "momentum", "SGD")
    with pytest.raises(TypeError, match="SGD: momentum must be a number, got str"):
        check("0.1", "momentum", "SGD")
    assert check(np.float32(0.5), "momentum", "SGD") == 0.5


def test_a_folder_is_locked_for_other_processes_until_its_holder_ends(tmp_path: Path) -> None:
    code = (
        "import sys; from tinygrad_kr.common.files import locked\n"
        "with locked(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(BlockingIOError, match="in use by another process"), locked(tmp_path):
            raise AssertionError("two processes hold the lock")
        holder.kill()
        holder.wait()
        with locked(tmp_path):
            pass


def test_a_folder_cannot_be_locked_without_filelock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(MissingExtraError, match="locking a folder needs filelock"), locked(tmp_path):
        raise AssertionError("it is not locked")


def test_without_locks_of_posix_only_old_leftovers_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "fcntl", None)
    path, young, old = tmp_path / "net.npz", tmp_path / ".net.npz.1.part", tmp_path / ".net.npz.2.part"
    for part in (young, old):
        part.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * files.ABANDONED_SECONDS,) * 2)
    with whole(path) as file:
        file.write(b"all")
    assert path.read_bytes() == b"all"
    assert sorted(tmp_path.iterdir()) == sorted([path, young])


def test_a_bar_that_cannot_be_shown_still_passes_its_items_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    shown = bar(range(3), "epoch 1", total=3)
    assert isinstance(shown, Hidden)
    with shown as steps:
        assert list(steps) == [0, 1, 2]
        steps.update(1)


class Terminal:
    """A standard error that is a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal_counts_items_and_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with bar(range(2, 5), "epoch 1", "batch", initial=2, total=5, file=terminal) as steps:
        assert list(steps) == [2, 3, 4]
        assert steps.n == 5
    with bar(title="file.gz", unit="B", total=10, file=terminal) as shown:
        shown.update(4)
        assert shown.n == 4
    with bar(np.zeros(0), "nothing", file=terminal) as steps:
        assert list(steps) == []
    assert "epoch 1" in terminal.text and "file.gz" in terminal.text
