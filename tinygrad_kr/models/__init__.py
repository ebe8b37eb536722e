"""Networks: those of the study notes, written imperatively."""

from tinygrad_kr.models.study_notes import ACTIVATIONS, LOSSES, Perceptron, SimpleNet, TwoLayerNet

__all__ = ["ACTIVATIONS", "LOSSES", "Perceptron", "SimpleNet", "TwoLayerNet"]
