"""How big a network is that only building it tells: built without memory, and asked for one image."""

from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from evosearch.blueprint import NetworkSize, Problem

VIEWS = (nn.Flatten, nn.Identity)
"""Modules that hold no output of their own."""


def measure(module: nn.Module, problem: Problem) -> NetworkSize:
    """The size of a network on torch's `meta` device, as a blueprint counts it, in evaluation mode.

    FLOPs are those of convolutions and products of matrices, two per multiply-add. Activations are the outputs of all
    modules that have none inside, rectifiers that overwrite their input among them; joined maps are counted where the next
    module reads them. What runs in training alone (InceptionV3's auxiliary head) has parameters and nothing else.
    """
    outputs: list[int] = []

    def note(layer: nn.Module, _arguments: Any, output: Tensor) -> None:
        outputs.append(0 if isinstance(layer, VIEWS) else prod(output.shape[1:]))

    leaves = [one for one in module.modules() if not list(one.children())]
    handles = [one.register_forward_hook(note) for one in leaves]
    image = problem.image
    images = torch.zeros(1, image.channels, image.height, image.width, device="meta")
    try:
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            module.eval()(images)
    finally:
        for handle in handles:
            handle.remove()
    parameters = sum(one.numel() for one in module.parameters())
    return NetworkSize(len(outputs), parameters, counter.get_total_flops(), sum(outputs))
