"""The search space's ranges, and the draw of a random chromosome from them (EAVL-COVID, "Initialisation")."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evosearch.errors import ConfigError
from evosearch.genome.chromosome import Chromosome, Conv, Dense, HeadGene, Pool

Range = tuple[int, int]
"""Lowest and highest value, both included."""

MOST_GENES = 1_000
"""Genes of a kind in a random network; drawing and judging many more takes minutes for each."""

MOST_WIDTH = 100_000
"""Channels or neurons of a layer; a dense layer between two such has more weights than a GPU holds."""

MOST_PARAMETERS = 10**11
"""More than any device trains; with these the operations of a network are still a number that the journal holds."""

MOST_MEMORY = 2**50
"""Bytes: a pebibyte, likewise."""


@dataclass(frozen=True)
class SearchSpace:
    """What a random chromosome may look like; crossover and balance may leave these lengths (a dynamic space).

    Each field is a key under `space` of the configuration. Defaults are the paper's.
    """

    convolutions: Range = (5, 8)
    """How many convolutions a random head holds."""
    channels: Range = (50, 100)
    """Output channels of each convolution."""
    batch_norm: float = 0.5
    """Chance that a convolution has a batch norm, 0 to 1."""
    poolings: Range = (1, 5)
    """How many poolings a random head holds; the highest is also the limit that repair enforces. The paper
    gives no least number (here 1)."""
    dense: Range = (1, 4)
    """How many fully connected layers a random tail holds."""
    units: Range = (100, 500)
    """Neurons of each fully connected layer."""
    max_parameters: int = 200_000_000
    """Largest number of parameters a network may have."""
    max_memory: int | None = None
    """Largest memory for training a network in bytes: parameters, gradients, optimizer state and activations
    at the batch size in fp32. None: no limit."""

    def __post_init__(self) -> None:
        for name, least in (
            ("convolutions", 1),
            ("channels", 1),
            ("poolings", 0),
            ("dense", 0),
            ("units", 1),
        ):
            _check_range(f"space.{name}", getattr(self, name), least)
        if not 0 <= self.batch_norm <= 1:
            raise ConfigError(f"space.batch_norm is {self.batch_norm}; a chance lies between 0 and 1")
        if self.max_parameters < 1:
            raise ConfigError(f"space.max_parameters is {self.max_parameters}; it must be at least 1")
        if self.max_memory is not None and self.max_memory < 1:
            raise ConfigError(
                f"space.max_memory is {self.max_memory}; give bytes, at least 1, or leave it out"
            )

    def objections(self) -> Sequence[str]:
        """Why no search may be begun with these ranges, one line each; one that was begun before goes on."""
        most = {
            "convolutions": MOST_GENES,
            "channels": MOST_WIDTH,
            "poolings": MOST_GENES,
            "dense": MOST_GENES,
            "units": MOST_WIDTH,
        }
        ranges = [
            f"space.{name} is {list(getattr(self, name))}; its upper bound must be at most {limit:,}"
            for name, limit in most.items()
            if getattr(self, name)[1] > limit
        ]
        sizes = [
            f"space.{name} is {value}; it must be at most {limit:,}"
            for name, limit in (("max_parameters", MOST_PARAMETERS), ("max_memory", MOST_MEMORY))
            if (value := getattr(self, name)) is not None and value > limit
        ]
        return (*ranges, *sizes)


def _check_range(name: str, bounds: Range, least: int) -> None:
    low, high = bounds
    if low > high:
        raise ConfigError(f"{name} is [{low}, {high}]; the lower bound comes first: [{high}, {low}]")
    if low < least:
        raise ConfigError(f"{name} is [{low}, {high}]; its lower bound must be at least {least}")


def sample(space: SearchSpace, rng: np.random.Generator) -> Chromosome:
    """Draw a random chromosome.

    The numbers of convolutions, poolings and dense layers are drawn first; a fair coin then decides each
    position of the head between convolution and pooling until both are used up (a pooling may come first).

    Returns: a chromosome within every range of `space`; its feasibility for an image size is the blueprint's
    to judge. Source: EAVL-COVID, "Initialisation".

    >>> str(sample(SearchSpace(), np.random.default_rng(0)))
    'B63 P P P P C82 C77 C84 B50 B89 C87 B51 | F317 F292 F269'
    """
    convolutions, poolings, dense = (
        _draw(bounds, rng) for bounds in (space.convolutions, space.poolings, space.dense)
    )
    head: list[HeadGene] = []
    while convolutions or poolings:
        if convolutions and (not poolings or rng.random() < 0.5):
            head.append(Conv(_draw(space.channels, rng), bool(rng.random() < space.batch_norm)))
            convolutions -= 1
        else:
            head.append(Pool())
            poolings -= 1
    return Chromosome(tuple(head), tuple(Dense(_draw(space.units, rng)) for _ in range(dense)))


def _draw(bounds: Range, rng: np.random.Generator) -> int:
    return int(rng.integers(bounds[0], bounds[1], endpoint=True))
