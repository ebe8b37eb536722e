"""Check a gradient of any callable of any framework against finite differences with error bars.

``check_gradients`` reports, ``assert_gradients`` raises. ``with_hypothesis`` and ``with_pytest`` are imported by name,
since they need more than NumPy. NumPy itself is loaded on first use of a name below: every pytest
session with this package installed imports this module.
"""

from typing import TYPE_CHECKING

from tinygrad_kr.common.lazy import on_demand

if TYPE_CHECKING:
    from tinygrad_kr.gradcheck.check import GradientMismatch, assert_gradients, check_gradients
    from tinygrad_kr.gradcheck.findings import ExactProperty, Finding, Verdict
    from tinygrad_kr.gradcheck.report import Report
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "check": ["GradientMismatch", "assert_gradients", "check_gradients"],
            "report": ["Report"],
            "findings": ["ExactProperty", "Finding", "Verdict"],
        },
    )

__all__ = ["ExactProperty", "Finding", "GradientMismatch", "Report", "Verdict", "assert_gradients", "check_gradients"]
