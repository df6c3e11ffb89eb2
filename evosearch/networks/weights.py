"""The weights a network starts from."""

import torch
from torch import nn


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw every weight anew, in place and in the order of the layers.

    Convolutions and linear layers: Kaiming normal (fan in, ReLU gain), biases 0. Batch norm: scale 1, shift 0,
    fresh running statistics. `module` must be on the CPU, like `generator`, so that every device starts from the
    same bits; its old contents are never read (`to_empty` may have left garbage).

    Source: EAVL-COVID, "Kaiming weight initialisation"; the output layer is no exception.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
