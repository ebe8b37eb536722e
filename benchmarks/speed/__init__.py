"""The speed of this package beside that of its peers: ``python -m benchmarks``."""
