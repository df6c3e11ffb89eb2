"""Weights that a training starts from: which tensors of a file go where, and what does not fit."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor, nn

from evosearch.errors import EvaluationError
from evosearch.evaluation import Network
from evosearch.genome import Chromosome, HandMade, Pretrained
from evosearch.networks.hand_made import OUTPUTS

MOST_NAMED = 20
"""Tensors that a message names; of another network's file hundreds may not fit."""


@dataclass(frozen=True, slots=True)
class TensorKind:
    """What is known of a tensor before it is read."""

    shape: tuple[int, ...]
    """Its sides."""
    is_float: bool = True
    """Whether it holds floating-point numbers, of any width."""

    def __str__(self) -> str:
        sides = " x ".join(map(str, self.shape)) or "a number"
        return sides if self.is_float else f"{sides} of whole numbers"


def kinds(tensors: Mapping[str, Tensor]) -> dict[str, TensorKind]:
    """What each tensor is."""
    return {name: TensorKind(tuple(one.shape), one.is_floating_point()) for name, one in tensors.items()}


def outputs_of(network: Network, module: nn.Module) -> tuple[str, ...]:
    """The layers of `module`, which was decoded from `network`, whose outputs are logits."""
    match network:
        case Chromosome() | Pretrained():
            return (list(module._modules)[-1],)
        case HandMade(name):
            return OUTPUTS[name]
    assert_never(network)


def placed(
    found: Mapping[str, TensorKind], expected: Mapping[str, TensorKind], outputs: Collection[str]
) -> dict[str, str]:
    """For each tensor of a file that is used, its name in the network.

    A file may name some of the network's tensors alone. Of an output layer that does not fit none is used. The layers of a
    chromosome's file are counted with those that drop where it had such: they go in order.

    Raises:
        EvaluationError: a tensor of the file does not fit, or none is of the network; each is named.
    """
    names = _in_order(found, expected)
    wrong = {name for name in names if found[name] != expected.get(names[name])}
    refit = {layer for layer in outputs if any(_is_of(names[name], layer) for name in wrong)}
    names = {name: own for name, own in names.items() if not any(_is_of(own, layer) for layer in refit)}
    if misfits := sorted(wrong & names.keys()):
        told = [_told(name, found[name], expected.get(names[name])) for name in misfits]
        more = f"; and {len(told) - MOST_NAMED} more" if len(told) > MOST_NAMED else ""
        raise EvaluationError(f"it does not fit: {'; '.join(told[:MOST_NAMED])}{more}")
    if not names:
        raise EvaluationError("it holds no tensor of the network but of its output layer")
    return names


def start_from(module: nn.Module, tensors: Mapping[str, Tensor], outputs: Collection[str]) -> None:
    """Copy weights into `module`, cast to its types; what they do not name, or another number of classes, stays as drawn.

    Raises:
        EvaluationError: as `placed`.
    """
    own = module.state_dict()
    with torch.no_grad():
        for name, place in placed(kinds(tensors), kinds(own), outputs).items():
            own[place].copy_(tensors[name])


def _in_order(found: Collection[str], expected: Collection[str]) -> dict[str, str]:
    """The names of `found` in the network: the same, or where both count layers, and as many, the same in order."""
    theirs, ours = _positions(found), _positions(expected)
    if len(theirs) != len(ours):
        return {name: name for name in found}
    renamed = dict(zip(theirs, ours, strict=True))
    return {name: _renamed(name, renamed) for name in found}


def _positions(names: Collection[str]) -> list[str]:
    """Those of the layers that have weights, in order."""
    return sorted({first for name in names if (first := name.partition(".")[0]).isdecimal()}, key=int)


def _renamed(name: str, positions: Mapping[str, str]) -> str:
    first, dot, rest = name.partition(".")
    return f"{positions.get(first, first)}{dot}{rest}"


def _is_of(name: str, layer: str) -> bool:
    return name.startswith(f"{layer}.")


def _told(name: str, found: TensorKind, expected: TensorKind | None) -> str:
    if expected is None:
        return f"{name} is not in the network"
    return f"{name} is {found} in the file, {expected} in the network"
