"""Is this gradient right? A verdict with an error bar, for any callable of any framework.

``check_gradients`` reports, ``assert_gradients`` raises. For hypothesis there are ``gradcheck.strategies`` and
``gradcheck.properties``, for pytest the fixtures of ``gradcheck.pytest_plugin``; they are imported by name, since they
need more than NumPy. NumPy itself is loaded when the first of the names below is asked for: every pytest session of
everyone who installed the package imports this module.
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
