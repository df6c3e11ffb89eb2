"""The one thing that ordinary loops take from here: the network of a chromosome, its weights drawn."""

import torch
from torch import nn

from evosearch.blueprint import ImageShape
from evosearch.genome import parse
from evosearch.networks import build_network, initialise


def network_of(chromosome: str, size: int, classes: int, seed: int) -> nn.Module:
    """The network of `chromosome` for images (3, size, size), on the CPU; it returns logits (B, classes).

    As `decode` makes it, but built with weights at once: by way of empty ones a process takes half a second longer to its
    first network.
    """
    network = build_network(parse(chromosome), ImageShape(3, size, size), classes, 0.5)
    initialise(network, torch.manual_seed(seed))
    return network
