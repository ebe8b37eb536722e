"""Networks, written imperatively: those of the study notes, and two for images of digits."""

from tinygrad_kr.models.digits import cnn, mlp
from tinygrad_kr.models.study_notes import ACTIVATIONS, LOSSES, Perceptron, SimpleNet, TwoLayerNet

__all__ = ["ACTIVATIONS", "LOSSES", "Perceptron", "SimpleNet", "TwoLayerNet", "cnn", "mlp"]
