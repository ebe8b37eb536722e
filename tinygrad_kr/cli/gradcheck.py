"""``python -m tinygrad_kr gradcheck module:function``: check a gradient from the command line."""

from __future__ import annotations

import argparse
import ast
import inspect
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tinygrad_kr import errors
from tinygrad_kr.cli.options import UsageError
from tinygrad_kr.cli.user_code import function_at, importable, raised
from tinygrad_kr.common.extras import require
from tinygrad_kr.gradcheck.findings import Verdict, name_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tinygrad_kr.gradcheck.report import Report

__all__ = ["STATUS", "add_arguments", "run"]

STATUS = {Verdict.PASS: 0, Verdict.KINK: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 3}
"""The exit statuses; 2 is for what could not be checked."""
INPUTS = """\
an input is [NAME=]VALUE, where NAME is a parameter of the function; inputs without a name come first. VALUE is one of
  3x4                numbers drawn from the standard normal distribution, in an array of this shape
  normal:5           the same: any shape, among them those of one axis
  uniform:3x4        drawn between 0 and 1
  positive:3x4       drawn with a normal logarithm
  labels:3of10       3 whole numbers from 0 to 9, passed on as they are; also labels:2x3of10
  data.npy           an array from a file
  0.3 or '[0.5,-1]'  as in Python; a list is an array. Floats are checked; what holds none, such as 2, True, None,
                     "'mean'" or '[0,2,1]', is an option or a label, and passed on as it is

exit status: 0 the gradient is right (PASS, or KINK), 1 it is wrong, 2 it could not be checked, 3 finite differences
cannot tell

example: python -m tinygrad_kr gradcheck layers.py:softmax --gradient layers.py:softmax_backward --input x=3x4
"""
SHAPE = r"\d+(?:x\d+)*"

Draw = Callable[["np.random.Generator"], Any]


@dataclass(frozen=True)
class Input:
    """An input: its name, if it has one, and the function that draws its value."""

    name: str | None
    draw: Draw


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to a parser."""
    parser.description = "Check a gradient against finite differences that carry their own error bars."
    parser.epilog, parser.formatter_class = INPUTS, argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("function", metavar="MODULE:FUNCTION", help="what to differentiate; FILE.py:FUNCTION will do too")
    add(
        "--gradient",
        metavar="MODULE:FUNCTION",
        help="gradient(*inputs, cotangent) that returns the vector-Jacobian product: one array for each input, None "
        "for labels (default: this package's own gradient)",
    )
    add("--input", action="append", required=True, type=_input, metavar="[NAME=]VALUE", help="an input; see below")
    add("--cotangent", type=_array, metavar="FILE.npy", help="what the outputs are weighted with (default: random)")
    add("--seed", type=_whole(least=0), default=0, metavar="N", help="same seed, same inputs (default: 0)")
    add(
        "--mode",
        choices=("auto", "full", "directions", "numerical"),
        default="auto",
        help="full: every element; directions: along random directions; numerical: numerical_gradient of study "
        "note 002 (default: auto, which is full up to 200 elements and directions beyond)",
    )
    add("--order", type=int, choices=(1, 2), default=1, help="2 checks the gradient of the gradient (default: 1)")
    add("--max-evaluations", type=_whole(least=1), metavar="N", help="of the function, at most")
    add("--max-seconds", type=_seconds, metavar="SECONDS", help="what it may take")
    add("--html", type=Path, metavar="FILE", help="write the report as a page")
    add("--plot", type=Path, metavar="FILE", help="draw the errors, as .png, .svg, .pdf, ...")
    add("--quiet", action="store_true", help="print only the verdict")


def _input(text: str) -> Input:
    name, equals, value = text.partition("=")
    if equals and name.isidentifier():
        return Input(name, _draw(value))
    return Input(None, _draw(text))


def _draw(text: str) -> Draw:
    """Return a function that draws or returns the value of an input."""
    if text.endswith(".npy"):
        array = _array(text)
        return lambda rng: array
    if found := re.fullmatch(rf"({'|'.join(DISTRIBUTIONS)}):({SHAPE})|(\d+(?:x\d+)+)", text):
        return partial(DISTRIBUTIONS[found[1] or "normal"], shape=_shape(found[2] or found[3]))
    if found := re.fullmatch(rf"labels:({SHAPE})of0*([1-9]\d*)", text):
        shape, classes = _shape(found[1]), _whole(least=1)(found[2])
        return lambda rng: rng.integers(classes, size=shape)
    value = _literal(text)
    return lambda rng: value


def _lognormal(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    import numpy as np

    return np.exp(rng.standard_normal(shape))


DISTRIBUTIONS: dict[str, Callable[..., Any]] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "uniform": lambda rng, shape: rng.uniform(size=shape),
    "positive": _lognormal,
}


def _shape(text: str) -> tuple[int, ...]:
    return tuple(_whole(least=0)(length) for length in text.split("x"))


def _literal(text: str) -> Any:
    """Evaluate a literal; a list becomes an array."""
    import numpy as np

    try:
        value = ast.literal_eval(text)
        value = np.array(value) if isinstance(value, list) else value
        if isinstance(value, bool | int | float | str | tuple | None) or _is_real(value):
            return value
    except (ValueError, SyntaxError, TypeError, RecursionError):
        pass
    kinds = ", ".join(f"{name}:5" for name in DISTRIBUTIONS)
    raise argparse.ArgumentTypeError(
        f"expected a shape such as 3x4, {kinds}, labels:3of10, a file.npy or numbers such as [0.5,-1], got {text!r}"
    )


def _array(text: str) -> Any:
    """Load an array of numbers."""
    import numpy as np

    try:
        array = np.load(text, allow_pickle=False)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror or error}") from None
    except Exception as error:  # of a file that is no array
        raise argparse.ArgumentTypeError(f"{text}: not an array as np.save writes it: {error}") from None
    if not _is_real(array):
        got = getattr(array, "dtype", "an archive")
        raise argparse.ArgumentTypeError(f"{text}: expected an array of real numbers, got {got}")
    return array


def _is_real(value: Any) -> bool:
    return getattr(getattr(value, "dtype", None), "kind", "") in tuple("fiub")


def _whole(least: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        # The bound keeps a number within an index.
        if not re.fullmatch(r"\d{1,18}", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} on, got {text!r}")
        return int(text)

    return whole


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected a positive number of seconds, got {text!r}")
    return seconds


def run(options: argparse.Namespace) -> int:
    """Check a gradient, print the report, and write the files that were asked for.

    Parameters
    ----------
    options : argparse.Namespace
        What a parser returned to which ``add_arguments`` was applied.

    Returns
    -------
    int
        The exit status, by the verdict: 0 for PASS and KINK, 1 for FAIL, 3 for INCONCLUSIVE.

    Raises
    ------
    UsageError
        If the gradient cannot be checked; the message says why.
    """
    _check_files(options)
    with importable():
        files: dict[Path, ModuleType] = {}
        f = function_at(options.function, files)
        gradient = None if options.gradient is None else function_at(options.gradient, files)
        report = _report(f, gradient, _in_order(f, options.input), options)
        print(str(report).splitlines()[0] if options.quiet else report, flush=True)
        _write_files(report, options)
    return STATUS[report.verdict]


def _check_files(options: argparse.Namespace) -> None:
    """Raise if a file cannot be written or drawn, before the check runs."""
    from tinygrad_kr.gradcheck.pages import check_writable

    for name, path in (("--html", options.html), ("--plot", options.plot)):
        if path is not None:
            try:
                check_writable(path)
            except OSError as error:
                raise UsageError(f"{name} {path}: cannot write there: {error.strerror}") from error
    if options.plot is not None:
        kinds = require("matplotlib.backend_bases", "train", "--plot").FigureCanvasBase.get_supported_filetypes()
        if _kind(options.plot) not in kinds:
            raise UsageError(f"--plot {options.plot}: the name must end in one of {', '.join(sorted(kinds))}")


def _write_files(report: Report, options: argparse.Namespace) -> None:
    from tinygrad_kr.gradcheck.html import page
    from tinygrad_kr.gradcheck.pages import drawn, section, write

    if options.html is not None:
        title = f"Gradient check of {name_of(report.problem.f)}: {report.verdict}"
        write(options.html, page(title, section(report, picture=report.verdict is Verdict.FAIL)))
    if options.plot is not None:
        write(options.plot, drawn(report, _kind(options.plot)))
    if not options.quiet:
        for path in (options.html, options.plot):
            if path is not None:
                print(f"written to {path}")


def _kind(path: Path) -> str:
    return path.suffix[1:].lower()


def _report(
    f: Callable[..., Any], gradient: Callable[..., Any] | None, inputs: Sequence[Input], options: argparse.Namespace
) -> Report:
    import numpy as np

    from tinygrad_kr.gradcheck.check import check_gradients

    if options.order == 2 and gradient is not None:
        raise UsageError("--order 2 checks this package's own second derivatives; leave out --gradient")
    rng = np.random.default_rng(options.seed)
    try:
        values = [each.draw(rng) for each in inputs]
    except (ValueError, OverflowError, MemoryError) as error:
        raise UsageError(f"--input: {error}") from error
    try:
        return check_gradients(
            f,
            *values,
            gradient=gradient,
            mode=options.mode,
            cotangent=options.cotangent,
            order=options.order,
            seed=options.seed,
            max_evaluations=options.max_evaluations,
            max_seconds=options.max_seconds,
            progress=False if options.quiet else None,
        )
    except (errors.GraphError, errors.UnsupportedError) as error:
        hint = "" if gradient else "\n  --gradient names another gradient to check than this package's own"
        raise UsageError(f"{error}{hint}") from error
    except tuple(getattr(errors, name) for name in errors.__all__) as error:
        raise UsageError(str(error)) from error
    except (Exception, SystemExit) as error:
        raise UsageError(raised(error, f"checking {name_of(f)}")) from error


def _in_order(f: Callable[..., Any], inputs: Sequence[Input]) -> list[Input]:
    """Return the inputs in the order of f's parameters."""
    unnamed, named = [each for each in inputs if each.name is None], {each.name: each for each in inputs if each.name}
    if len(unnamed) + len(named) < len(inputs):
        raise UsageError("--input: the same name twice")
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        return list(inputs)
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if unknown := [name for name in named if name not in positional]:
        raise UsageError(f"--input {unknown[0]}: {name_of(f)} has no such parameter; it has {', '.join(positional)}")
    rest = positional[len(unnamed) : len(inputs)]
    if missing := [name for name in rest if name not in named]:
        raise UsageError(f"--input {missing[0]}: missing, and {name_of(f)} takes its inputs in order")
    return unnamed + [named[name] for name in rest]
