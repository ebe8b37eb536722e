"""``python -m benchmarks``: this package beside its peers."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from benchmarks.progress import Progress
from benchmarks.speed import report
from benchmarks.speed.peers import PEERS
from benchmarks.speed.processes import PeerFailed
from benchmarks.speed.runner import Mismatch, Plan, Session, Table
from benchmarks.speed.workloads import WORKLOADS

QUICK = {"rounds": 3, "batch_seconds": 0.01}


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


def output_file(text: str) -> Path:
    """Refuse early what would fail only after a long run."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent}")
    return path


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--dtype", choices=("float32", "float64", "both"), default="both")
    parser.add_argument("--threads", type=positive, default=Plan.threads, help="of every BLAS and pool (%(default)s)")
    parser.add_argument("--rounds", type=positive, help=f"pairs of measurements ({Plan.rounds})")
    parser.add_argument("--quick", action="store_true", help="few and short batches: to see that it runs")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="save what was measured, for python -m pyperf")
    parser.add_argument("--plot", type=output_file, metavar="FILE.png", help="draw the ratios")
    parser.add_argument("--list", action="store_true", help="show the names of peers and workloads, and stop")
    options = parser.parse_args(argv)
    if options.plot and find_spec("matplotlib") is None:
        parser.error("argument --plot: it needs matplotlib, which is not installed")
    return options


def plan(options: argparse.Namespace) -> Plan:
    settings = QUICK if options.quick else {}
    rounds = {"rounds": options.rounds} if options.rounds else {}
    return Plan(**{"threads": options.threads, **settings, **rounds})


def listing() -> str:
    rows = [(entry.name, entry.title) for entry in (*PEERS.values(), *WORKLOADS.values())]
    return "\n".join(f"{name:18}{title}" for name, title in rows)


def run(options: argparse.Namespace) -> None:
    dtypes = ["float32", "float64"] if options.dtype == "both" else [options.dtype]
    workloads = [WORKLOADS[name] for name in options.workloads]
    cases = [(workload, dtype) for workload in workloads for dtype in (dtypes if workload.problem else [""])]
    tables: list[Table] = []
    with Session([PEERS[name] for name in options.peers], plan(options)) as session:
        print(report.head(session.plan, session.versions, session.missing), flush=True)
        progress = Progress(len(cases) * len(session.peers))
        for workload, dtype in cases:
            tables.append(session.compare(workload, dtype, progress.advance))
            progress.write(report.text(tables[-1]))
        progress.close()
    if options.json:
        report.save_json(tables, session.plan, session.versions, options.json)
    if options.plot:
        report.save_plot(tables, options.plot)


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    if options.list:
        print(listing())
        return 0
    try:
        run(options)
    except (Mismatch, PeerFailed) as error:
        print(f"python -m benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
