"""Save named arrays to a file that holds no code, and load them."""

from tinygrad_kr.saving.files import load, load_weights, save, save_weights

__all__ = ["load", "load_weights", "save", "save_weights"]
