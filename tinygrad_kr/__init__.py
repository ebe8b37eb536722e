"""tinygrad_kr: NumPy code you already wrote, differentiated exactly and proven right."""

__version__ = "0.1.0"
