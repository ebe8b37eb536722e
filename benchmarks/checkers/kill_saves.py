"""``python -m benchmarks.checkers.kill_saves --count 200``: kill processes that save, and check what they left.

Half of the processes train with a checkpoint after every epoch, half only save in a loop. Each gets SIGKILL at a random
moment. After each kill the file on disk must load, be whole, and be no older than the last one; a killed training run,
resumed again and again, must have the history and the parameters of an uninterrupted one, bit for bit.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_kr import functional as F
from tinygrad_kr import nn
from tinygrad_kr.optim import Adam
from tinygrad_kr.optim.schedules import cosine
from tinygrad_kr.saving import load, save
from tinygrad_kr.training import Row, Trainer

ROOT = Path(__file__).parents[2]
EPOCHS = 40
SECONDS = 0.15
"""A process lives for at most so long after it has begun to work."""


class Broken(Exception):
    """A file that is not as it must be."""


def trainer(checkpoint: Path | None, on_epoch: Callable[[Row], Any] | None = None) -> tuple[Trainer, dict[str, Any]]:
    """Make a Trainer with all that a checkpoint must hold, and what to hand to its fit."""
    rng = np.random.default_rng(7)
    x, t = rng.normal(size=(24, 6)), rng.integers(3, size=24)
    model = nn.Sequential(
        nn.Linear(6, 8, rng=rng), nn.BatchNorm(8), nn.ReLU(), nn.Dropout(0.3, rng=rng), nn.Linear(8, 3, rng=rng)
    )
    made = Trainer(
        model,
        F.softmax_cross_entropy,
        Adam(model, lr=0.01),
        rng=np.random.default_rng(8),
        schedule=cosine(6 * EPOCHS),
        clip=1.0,
        checkpoint=checkpoint,
        callbacks=[on_epoch] if on_epoch else [],
    )
    return made, {"train_set": (x, t), "validation": (x, t), "epochs": EPOCHS, "batch_size": 4}


def train(path: Path) -> None:
    made, arguments = trainer(path)
    if path.exists():
        made.resume()
    made.fit(**arguments)


def save_in_a_loop(path: Path) -> None:
    first = int(load(path)[1]["turn"]) if path.exists() else 0
    for turn in count(first + 1):
        save(path, {"a": np.full((200, 300), float(turn)), "b": np.full(1000, turn)}, {"turn": turn})


WORKERS = {"train": train, "save": save_in_a_loop}


def kill_one(kind: str, path: Path, random: random.Random) -> bool:
    """Start a process, and kill it at a random moment of its work; return whether it was done before."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.checkers.kill_saves", "--worker", kind, str(path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    with process:
        assert process.stdout
        process.stdout.readline()
        try:
            status = process.wait(timeout=random.uniform(0, SECONDS))
        except subprocess.TimeoutExpired:
            process.kill()
            return False
    if status != 0:
        raise Broken(f"a process that {kind}s ended with status {status}")
    return True


class Expected:
    """What an uninterrupted run has after each epoch."""

    def __init__(self) -> None:
        self.parameters: list[dict[str, np.ndarray]] = []
        made, arguments = trainer(None, lambda row: self.parameters.append(self.values(made)))
        self.history = made.fit(**arguments)

    @staticmethod
    def values(made: Trainer) -> dict[str, np.ndarray]:
        return {name: array.copy() for name, array in made.model.state().items()}

    def check(self, path: Path) -> int:
        """Resume from the file; compare all there is up to its epoch; return that."""
        made, _ = trainer(path)
        made.resume()
        if made.history != self.history[: made.epoch]:
            raise Broken(f"{path}: the history differs from the uninterrupted one up to epoch {made.epoch}")
        values = self.values(made)
        for name, array in self.parameters[made.epoch - 1].items():
            if not np.array_equal(array, values[name]):
                raise Broken(f"{path}: {name} differs from the uninterrupted run in epoch {made.epoch}")
        return made.epoch


def check_saved(path: Path) -> int:
    arrays, metadata = load(path)
    turn = metadata["turn"]
    if not (np.all(arrays["a"] == turn) and np.all(arrays["b"] == turn)):
        raise Broken(f"{path} is of two saves")
    return int(turn)


def kill(kills: int, folder: Path, seed: int = 0, progress: Callable[[int], Any] = lambda done: None) -> dict[str, int]:
    """Kill so many processes; return counts of what happened."""
    draw, expected = random.Random(seed), Expected()
    checks = {"train": expected.check, "save": check_saved}
    tally = {"kills": 0, "whole files": 0, "leftovers": 0, "finished runs": 0, "epochs": 0, "saves": 0}
    newest: dict[Path, int] = {}
    names = [f"{kind}.{ending}" for kind in checks for ending in ("npz", "safetensors")]
    while tally["kills"] < kills:
        path = folder / draw.choice(names)
        kind = path.stem
        done = kill_one(kind, path, draw)
        tally["kills"] += not done
        left = {name: set(folder.glob(f".{name}.*.part")) for name in names}
        tally["leftovers"] += len(left[path.name])
        if litter := {*folder.iterdir()} - {folder / name for name in names} - set[Path]().union(*left.values()):
            raise Broken(f"there is litter: {litter}")
        # A process that dies before it has written a byte leaves an empty file, which nobody removes.
        if crowded := [name for name in names if sum(file.stat().st_size > 0 for file in left[name]) > 1]:
            raise Broken(f"there is more than one leftover of {crowded}")
        if path.exists():
            reached = checks[kind](path)
            if reached < newest.get(path, 0):
                raise Broken(f"{path} is older than before: {reached}, {newest[path]}")
            tally["whole files"] += 1
            tally["epochs" if kind == "train" else "saves"] += reached - newest.get(path, 0)
            newest[path] = reached
        if done:
            if newest.pop(path) != EPOCHS:
                raise Broken(f"{path}: the run says that it is done, after {reached} of {EPOCHS} epochs")
            tally["finished runs"] += 1
            path.unlink()
        progress(tally["kills"])
    return tally


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checkers.kill_saves", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="how many processes to kill (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.worker:
        print("begun", flush=True)
        WORKERS[options.worker[0]](Path(options.worker[1]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            tally = kill(options.count, Path(folder), options.seed)
        except Broken as broken:
            print(f"python -m benchmarks.checkers.kill_saves: {broken}", file=sys.stderr)
            return 1
    print(", ".join(f"{number} {what}" for what, number in tally.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
