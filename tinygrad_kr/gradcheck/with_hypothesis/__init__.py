"""Gradient checks with hypothesis: a declaration that becomes property tests, and strategies for array functions."""
