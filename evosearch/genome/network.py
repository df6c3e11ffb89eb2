"""What can be trained as a network: one that was bred, or one that people made; each with random weights or with given ones,
and with a text and a JSON form.
"""

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
    "inception_v3",
    "mobilenet_v2",
    "resnet18",
    "resnet50",
    "resnet152",
    "squeezenet1_1",
    "vgg16",
    "vgg16_bn",
)
"""The hand-made networks by their name in torchvision (EAVL-COVID, "Baselines"; GA-Dropout's InceptionV3 and ResNet-152)."""

_DIGEST = re.compile("[0-9a-f]{64}")
_STARTING_FROM = "@"


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
        if self.weights is not None:
            _check_digest(self.weights)

    def __str__(self) -> str:
        return self.name if self.weights is None else f"{self.name} {self.weights}"

    @cached_property
    def key(self) -> str:
        """Content key: equal for equal networks on every machine, 20 hexadecimal digits."""
        return _key(str(self))


@dataclass(frozen=True)
class Pretrained:
    """A chromosome whose training starts from given weights.

    >>> str(Pretrained(parse("C8 P | F4"), 64 * "0"))[:24]
    'C8 P | F4 @ 000000000000'
    """

    chromosome: Chromosome
    """What it is made of."""
    weights: str
    """sha256 of the file of weights, as in `HandMade`."""

    def __post_init__(self) -> None:
        _check_digest(self.weights)

    def __str__(self) -> str:
        return f"{self.chromosome} {_STARTING_FROM} {self.weights}"

    @cached_property
    def key(self) -> str:
        """Content key: equal for equal networks on every machine, 20 hexadecimal digits."""
        return _key(str(self))


Network: TypeAlias = Chromosome | Pretrained | HandMade


def is_hand_made(network: Network) -> bool:
    """Whether people made it."""
    match network:
        case Chromosome() | Pretrained():
            return False
        case HandMade():
            return True
    assert_never(network)


def weights_of(network: Network) -> str | None:
    """sha256 of the file of weights that the training of `network` starts from; None: they are drawn from the seed."""
    match network:
        case Chromosome():
            return None
        case Pretrained() | HandMade():
            return network.weights
    assert_never(network)


def starting_from(network: Network, weights: str) -> Network:
    """The same network, starting from the weights with the sha256 `weights`, whatever it started from.

    >>> str(starting_from(HandMade("resnet18"), 64 * "0")) == "resnet18 " + 64 * "0"
    True
    """
    match network:
        case Chromosome():
            return Pretrained(network, weights)
        case Pretrained(chromosome):
            return Pretrained(chromosome, weights)
        case HandMade(name):
            return HandMade(name, weights)
    assert_never(network)


def parse_network(text: str) -> Network:
    """Read a network from its text form: a chromosome's, or a name; with the sha256 of its weights, where it has given ones.

    Raises:
        InvalidChromosomeError: it is neither.

    >>> parse_network("C8 P | F4"), parse_network("resnet18")
    (Chromosome(head=(Conv(channels=8, batch_norm=False), Pool()), tail=(Dense(units=4),)), HandMade(name='resnet18', weights=None))
    """
    if "|" in text:
        genes, at, digest = text.partition(_STARTING_FROM)
        return Pretrained(parse(genes), digest.strip()) if at else parse(text)
    name, _, weights = text.partition(" ")
    return HandMade(name, weights or None)


def network_to_json(network: Network) -> dict[str, Any]:
    """The JSON form: a chromosome's, with the sha256 of its weights where it has given ones, or a name.

    >>> network_to_json(HandMade("resnet18"))
    {'hand_made': 'resnet18', 'weights': None}
    """
    match network:
        case Chromosome():
            return dict(to_json(network))
        case Pretrained(chromosome, weights):
            return {**to_json(chromosome), "weights": weights}
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
        case {"weights": str(weights)}:
            return Pretrained(from_json(document), weights)
        case _:
            return from_json(document)


def _check_digest(weights: str) -> None:
    if not _DIGEST.fullmatch(weights):
        raise InvalidChromosomeError(
            f"{weights!r} is no sha256 of weights; it has 64 hexadecimal digits, in small letters"
        )


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]
