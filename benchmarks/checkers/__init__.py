"""Benchmarks of checkers: wrong gradients found, mutants caught by the tests, files left by killed processes."""
