"""From a blueprint to the network it describes, one module per layer."""

from typing import assert_never

from torch import nn

from evosearch.blueprint import (
    BatchNormLayer,
    Blueprint,
    ConvLayer,
    DropoutLayer,
    FlattenLayer,
    Layer,
    LinearLayer,
    PoolLayer,
    ReluLayer,
)


def build(blueprint: Blueprint) -> nn.Sequential:
    """Decode `blueprint`; the module at position i is its layer i.

    The network takes images (B, C, H, W) float32, normalised, and returns logits (B, classes). It is made on
    torch's default device; under `torch.device("meta")` it costs no memory and no random numbers, and
    `initialise` then gives it weights.
    """
    return nn.Sequential(*(_module(layer) for layer in blueprint.layers))


def _module(layer: Layer) -> nn.Module:
    match layer:
        case ConvLayer():
            return nn.Conv2d(layer.inputs, layer.outputs, layer.kernel, padding=layer.kernel // 2)
        case BatchNormLayer():
            return nn.BatchNorm2d(layer.channels)
        case ReluLayer():
            return nn.ReLU()
        case PoolLayer():
            return nn.MaxPool2d(2)
        case FlattenLayer():
            return nn.Flatten()
        case LinearLayer():
            return nn.Linear(layer.inputs, layer.outputs)
        case DropoutLayer():
            return nn.Dropout(layer.rate)
    assert_never(layer)
