"""The command line: ``python -m tinygrad_kr train`` proves a gradient, trains a network, shows the result.

Each command has a module of its name, imported when the command runs.
"""

from tinygrad_kr.cli.main import main

__all__ = ["main"]
