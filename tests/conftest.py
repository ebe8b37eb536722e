"""How many examples hypothesis draws, the profile "ci" or what HYPOTHESIS_PROFILE names ("few", "long"); and Ctrl-C."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, settings

# Every field is written out: what is left out would come from hypothesis' own profile, which is another one
# where the variable CI is set.
COMMON = {
    "backend": "hypothesis",
    "database": None,
    "deadline": None,  # a slow machine is not a failure
    "phases": tuple(Phase),
    "print_blob": True,
    "report_multiple_bugs": True,
    "stateful_step_count": 50,
    "suppress_health_check": (HealthCheck.too_slow,),
    "verbosity": Verbosity.normal,
}

settings.register_profile("few", max_examples=4, derandomize=True, **COMMON)
settings.register_profile("ci", max_examples=40, derandomize=True, **COMMON)
settings.register_profile("long", max_examples=1000, derandomize=False, **COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C interrupt this process and those that it starts, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
