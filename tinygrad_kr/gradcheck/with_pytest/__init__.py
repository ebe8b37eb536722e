"""Gradient checks in pytest: a plugin with two fixtures, and the report of a session."""
