"""Is this gradient right? A verdict with an error bar, for any callable of any framework.

``check_gradients`` reports, ``assert_gradients`` raises. For hypothesis there are ``gradcheck.strategies`` and
``gradcheck.properties``, for pytest the fixtures of ``gradcheck.pytest_plugin``; they are imported by name, since they
need more than NumPy.
"""

from tinygrad_kr.gradcheck.check import GradientMismatch, assert_gradients, check_gradients
from tinygrad_kr.gradcheck.report import Report
from tinygrad_kr.gradcheck.verdict import Companion, Finding, Verdict

__all__ = ["Companion", "Finding", "GradientMismatch", "Report", "Verdict", "assert_gradients", "check_gradients"]
