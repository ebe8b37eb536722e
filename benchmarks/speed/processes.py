"""Peers in processes of their own, and the pipes to them."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.speed.peers import Peer

ROOT = Path(__file__).parents[2]
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NPROC",  # the thread pool of XLA
)
TIMED_IMPORT = "from time import perf_counter as now; start = now(); import {}; print(now() - start)"


class PeerFailed(Exception):
    """A peer is missing, broken, or cannot compute a workload: it is named and skipped."""


class Process:
    """A peer in its own process: ``ask`` calls a method of its Worker."""

    def __init__(self, peer: Peer, threads: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.speed.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(threads),
            cwd=ROOT,
        )
        try:
            self.versions: dict[str, str] = self.ask("start", peer)
        except PeerFailed:
            self.close()
            raise

    def ask(self, method: str, *arguments: Any) -> Any:
        requests, replies = self._process.stdin, self._process.stdout
        assert requests and replies
        try:
            pickle.dump((method, *arguments), requests)
            requests.flush()
            outcome, value = pickle.load(replies)
        except (EOFError, BrokenPipeError):
            raise PeerFailed(f"its process ended with status {self._process.wait()}") from None
        if outcome == "failed":
            raise PeerFailed(value)
        return value

    def close(self) -> None:
        """Hang up, and wait until the process has ended."""
        self._process.communicate()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def environment(threads: int) -> dict[str, str]:
    return os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))


def import_seconds(peer: Peer, threads: int) -> float:
    """Import a peer in a fresh process."""
    command = [sys.executable, "-c", TIMED_IMPORT.format(peer.imports)]
    done = subprocess.run(command, env=environment(threads), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise PeerFailed(done.stderr.strip().rpartition("\n")[2])
    return float(done.stdout)
