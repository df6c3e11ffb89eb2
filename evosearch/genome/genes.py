"""The blocks a chromosome is made of (EAVL-COVID, "Genotype")."""

from dataclasses import dataclass
from typing import TypeAlias

from evosearch.errors import InvalidChromosomeError

KERNEL = 3
"""Side of every convolution's kernel in pixels; the paper knows no other."""


@dataclass(frozen=True, slots=True)
class Conv:
    """A 3x3 convolution with 'same' padding, an optional batch norm, and a ReLU.

    `channels`: output channels, at least 1. `batch_norm`: whether a batch norm stands before the ReLU.
    """

    channels: int
    batch_norm: bool = False

    def __post_init__(self) -> None:
        if self.channels < 1:
            raise InvalidChromosomeError(
                f"a convolution needs at least 1 output channel, found {self.channels}"
            )

    def __str__(self) -> str:
        return f"{'B' if self.batch_norm else 'C'}{self.channels}"


@dataclass(frozen=True, slots=True)
class Pool:
    """A 2x2 max pooling with stride 2; an odd side loses its last row or column."""

    def __str__(self) -> str:
        return "P"


@dataclass(frozen=True, slots=True)
class Dense:
    """A fully connected layer of `units` neurons with a ReLU (and dropout when trained)."""

    units: int

    def __post_init__(self) -> None:
        if self.units < 1:
            raise InvalidChromosomeError(f"a fully connected layer needs at least 1 unit, found {self.units}")

    def __str__(self) -> str:
        return f"F{self.units}"


HeadGene: TypeAlias = Conv | Pool
TailGene: TypeAlias = Dense
Head: TypeAlias = tuple[HeadGene, ...]
Tail: TypeAlias = tuple[TailGene, ...]
