"""One peer in a process of its own: answers, over its standard input and output, what the runner asks."""

from __future__ import annotations

import ctypes
import importlib
import os
import pickle
import sys
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Any

from benchmarks.speed.peers import Peer
from benchmarks.speed.workloads import Answer, Problem, Workload

RATE = 1e-4  # so small that after many thousand steps all peers still work on about the same numbers
CHECK_RATE = 64.0  # so large that rounding the updated parameters does not hide the gradient


class Worker:
    """Its public methods are what can be asked."""

    def start(self, peer: Peer) -> dict[str, str]:
        """Import the peer; return the versions of what it is made of."""
        self.module: Any = importlib.import_module(peer.module)
        return {package: installed_version(package) for package in peer.packages}

    def build(self, workload: Workload, dtype: str) -> Answer:
        """Prepare a workload; return what one step computes.

        The gradients are read off the parameters before and after that very step which will be timed.
        """
        problem = workload.draw(dtype)
        self.batches = self._converted(problem)
        training = self._training(workload, problem.astype(dtype), CHECK_RATE)
        loss = training.step(*self.batches[0]).item()
        after = training.values()
        gradients = [
            (p.astype(float) - q.astype(float)) / CHECK_RATE for p, q in zip(problem.parameters, after, strict=True)
        ]
        self.step = self._training(workload, problem, RATE).step
        return Answer(loss, gradients, {q.dtype.name for q in after})

    def run(self, loops: int, warm_up_seconds: float) -> float:
        """Return the seconds that so many runs through the batches take, after a time of untimed steps."""
        start = perf_counter()
        while perf_counter() - start < warm_up_seconds:
            self.step(*self.batches[0])
        start = perf_counter()
        for _ in range(loops):
            for x, t in self.batches:
                self.step(x, t)
        return perf_counter() - start

    def added_memory(self, workload: Workload, dtype: str) -> int:
        """Return how many bytes one run adds at its peak to what libraries, data and parameters take."""
        problem = workload.draw(dtype)
        batches = self._converted(problem)
        step = self._training(workload, problem, RATE).step
        before = reset_peak_memory()
        for x, t in batches:
            step(x, t)
        return resident_bytes("VmHWM") - before

    def _training(self, workload: Workload, problem: Problem, lr: float) -> Any:
        if workload.program not in self.module.PROGRAMS:
            raise NotImplementedError(f"it has no program for {workload.name}")
        return self.module.Training(self.module.PROGRAMS[workload.program], problem.parameters, lr)

    def _converted(self, problem: Problem) -> list[tuple[Any, Any]]:
        return [(self.module.array(x), self.module.array(t)) for x, t in problem.batches]


def installed_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # imported from a working tree
        return getattr(sys.modules.get(package), "__version__", "unknown")


def reset_peak_memory() -> int:
    """Let Linux count the peak anew from what is resident now; return that.

    What was freed before is handed back first, or it would be used again without being counted.
    """
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return resident_bytes("VmRSS")


def resident_bytes(field: str) -> int:
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(field))
    return int(line.split()[1]) * 1024


def keep_to_cores(count: int) -> None:
    """Stay on the first cores, as many as there are threads, so that no pool of threads can spread further."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def claim_output() -> Any:
    """Keep standard output for answers; what libraries print goes to standard error."""
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return channel


def serve(requests: Any, replies: Any) -> None:
    """Carry out one request after the other, until the runner hangs up."""
    worker = Worker()
    while True:
        try:
            method, *arguments = pickle.load(requests)
        except EOFError:
            return
        try:
            reply = ("done", getattr(worker, method)(*arguments))
        except Exception as error:
            reply = ("failed", f"{type(error).__name__}: {error}".partition("\n")[0])
        pickle.dump(reply, replies)
        replies.flush()


if __name__ == "__main__":
    keep_to_cores(int(os.environ["OMP_NUM_THREADS"]))
    serve(sys.stdin.buffer, claim_output())
