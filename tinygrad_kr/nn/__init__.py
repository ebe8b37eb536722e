"""Layers, written imperatively: a Module is a plain class whose attributes are Tensors and other Modules."""

from tinygrad_kr.nn import init
from tinygrad_kr.nn.activations import (
    ELU,
    GELU,
    SELU,
    Identity,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from tinygrad_kr.nn.containers import Flatten, Sequential
from tinygrad_kr.nn.convolution import AvgPool2d, Conv2d, MaxPool2d
from tinygrad_kr.nn.dropout import Dropout
from tinygrad_kr.nn.inspection import layer_outputs
from tinygrad_kr.nn.linear import Linear
from tinygrad_kr.nn.module import Module, unused_parameters
from tinygrad_kr.nn.normalization import BatchNorm, LayerNorm

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Module",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    "init",
    "layer_outputs",
    "unused_parameters",
]
