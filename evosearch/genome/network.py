"""What can be trained as a network: one that was bred, or one that people made; each with a text and a JSON form."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, assert_never

from evosearch.errors import InvalidChromosomeError
from evosearch.genome.chromosome import Chromosome
from evosearch.genome.text import from_json, parse, to_json

HAND_MADE = (
    "densenet121",
    "densenet169",
    "efficientnet_b0",
    "efficientnet_b1",
    "resnet18",
    "resnet50",
    "vgg16_bn",
)
"""The hand-made networks by their name in torchvision (EAVL-COVID, "Baselines")."""

_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class HandMade:
    """A network that people made, by name, with random weights or with given ones.

    >>> str(HandMade("resnet18")), len(HandMade("resnet18").key)
    ('resnet18', 20)
    """

    name: str
    """As it is registered."""
    weights: str | None = None
    """sha256 of the file of weights it starts from, 64 hexadecimal digits; None: drawn from the seed. The
    digest says which network it is; where the file is kept is a hint to whoever trains it.
    """

    def __post_init__(self) -> None:
        if self.name not in HAND_MADE:
            raise InvalidChromosomeError(f"{self.name!r} is no network; there are {', '.join(HAND_MADE)}")
        if self.weights is not None and not _DIGEST.fullmatch(self.weights):
            raise InvalidChromosomeError(
                f"{self.weights!r} is no sha256 of weights; it has 64 hexadecimal digits, in small letters"
            )

    def __str__(self) -> str:
        return self.name if self.weights is None else f"{self.name} {self.weights}"

    @cached_property
    def key(self) -> str:
        """Content key: equal for equal networks on every machine, 20 hexadecimal digits."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:20]


Network: TypeAlias = Chromosome | HandMade


def parse_network(text: str) -> Network:
    """Read a network from its text form: a chromosome's, or a name with or without the sha256 of its weights.

    Raises:
        InvalidChromosomeError: it is neither.

    >>> parse_network("C8 P | F4"), parse_network("resnet18")
    (Chromosome(head=(Conv(channels=8, batch_norm=False), Pool()), tail=(Dense(units=4),)), HandMade(name='resnet18', weights=None))
    """
    if "|" in text:
        return parse(text)
    name, _, weights = text.partition(" ")
    return HandMade(name, weights or None)


def network_to_json(network: Network) -> dict[str, Any]:
    """The JSON form: a chromosome's, or a name.

    >>> network_to_json(HandMade("resnet18"))
    {'hand_made': 'resnet18', 'weights': None}
    """
    match network:
        case Chromosome():
            return dict(to_json(network))
        case HandMade(name, weights):
            return {"hand_made": name, "weights": weights}
    assert_never(network)


def network_from_json(document: Mapping[str, Any]) -> Network:
    """Read a network from its JSON form.

    Raises:
        InvalidChromosomeError: the document is not of that form.

    >>> str(network_from_json({"hand_made": "resnet18", "weights": None}))
    'resnet18'
    """
    match document:
        case {"hand_made": str(name)}:
            return HandMade(name, document.get("weights"))
        case _:
            return from_json(document)
