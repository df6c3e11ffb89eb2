"""Networks: what can be trained, as a PyTorch module.

To *decode* a chromosome is to turn each layer of its blueprint into a module of its own, in the same order, so that a
position in the blueprint is a position in the network; a hand-made network is torchvision's. This room knows no data and
no training; it may import `errors`, `genome`, `blueprint` and `evaluation`, and torch.
"""

from evosearch.networks.class_dropout import class_layer_of, drop_before_classes
from evosearch.networks.decode import build, build_network, decode, initialise
from evosearch.networks.first_version import build_as_first
from evosearch.networks.hand_made import build_hand_made
from evosearch.networks.starting import start_from

__all__ = [
    "build",
    "build_as_first",
    "build_hand_made",
    "build_network",
    "class_layer_of",
    "decode",
    "drop_before_classes",
    "initialise",
    "start_from",
]
