"""How long the same computation takes here and elsewhere: ``python -m benchmarks``."""
