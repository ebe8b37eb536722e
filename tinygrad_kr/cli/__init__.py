"""The command line: ``python -m tinygrad_kr train`` proves a gradient, trains a network, shows the result.

Each command has a module of its own; what they share is in ``options``, ``results`` and ``runs``.
"""

from tinygrad_kr.cli.main import _parser, main
from tinygrad_kr.cli.two_layer import LEARNING_RATES

__all__ = ["LEARNING_RATES", "_parser", "main"]
