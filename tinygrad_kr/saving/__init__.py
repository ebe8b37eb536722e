"""Weights on disk: named arrays in a file that holds no code, written whole or not at all."""

from tinygrad_kr.saving.files import load, load_weights, save, save_weights

__all__ = ["load", "load_weights", "save", "save_weights"]
