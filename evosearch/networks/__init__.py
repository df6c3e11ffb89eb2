"""Networks: a blueprint as a PyTorch module.

To *decode* is to turn each layer of a blueprint into a module of its own, in the same order, so that a
position in the blueprint is a position in the network. This room knows no data and no training; it may
import `errors`, `genome` and `blueprint`, and torch.
"""

from evosearch.networks.decode import build
from evosearch.networks.weights import initialise

__all__ = ["build", "initialise"]
