"""A network as the search sees it: a head of convolutions and poolings, and a tail of dense layers (EAVL-COVID, "Genotype")."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from evosearch.errors import InvalidChromosomeError

KERNEL = 3
"""Side of every convolution's kernel in pixels; the paper knows no other."""


@dataclass(frozen=True, slots=True)
class Conv:
    """A 3x3 convolution with 'same' padding, an optional batch norm, and a ReLU."""

    channels: int
    """Output channels, at least 1."""
    batch_norm: bool = False
    """Whether a batch norm comes before the ReLU."""

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
    """A fully connected layer with a ReLU (and dropout when trained)."""

    units: int
    """How many neurons it has, at least 1."""

    def __post_init__(self) -> None:
        if self.units < 1:
            raise InvalidChromosomeError(f"a fully connected layer needs at least 1 unit, found {self.units}")

    def __str__(self) -> str:
        return f"F{self.units}"


HeadGene: TypeAlias = Conv | Pool
TailGene: TypeAlias = Dense
Head: TypeAlias = tuple[HeadGene, ...]
Tail: TypeAlias = tuple[TailGene, ...]


@dataclass(frozen=True)
class Chromosome:
    """A variable-length chromosome (EAVL-COVID, "Genotype"); the class-count output layer is not a gene.

    Its text form is one line that a person can read and `parse` reads back, `C64 B99 P | F256 F100`: C is a
    convolution, B one with batch norm, P a pooling, F a fully connected layer.

    >>> str(Chromosome((Conv(64), Conv(99, batch_norm=True), Pool()), (Dense(256),)))
    'C64 B99 P | F256'
    """

    head: Head
    """At least one gene, convolutions and poolings in any order; a child fresh from crossover may still
    lack a convolution until it is repaired.
    """
    tail: Tail
    """Dense layers, possibly none."""

    def __post_init__(self) -> None:
        if not self.head:
            raise InvalidChromosomeError("a chromosome needs at least one gene before the '|', found none")
        for gene in self.head:
            if not isinstance(gene, HeadGene):
                raise InvalidChromosomeError(f"{gene!r} is no gene of a head")
        for unit in self.tail:
            if not isinstance(unit, TailGene):
                raise InvalidChromosomeError(f"{unit!r} is no gene of a tail")

    def __str__(self) -> str:
        return f"{' '.join(map(str, self.head))} | {' '.join(map(str, self.tail))}".rstrip()

    @cached_property
    def _hash(self) -> int:
        return hash((self.head, self.tail))

    def __hash__(self) -> int:
        """Worked out once: a driver looks chromosomes up again at every result."""
        return self._hash

    def __reduce__(self) -> tuple[type["Chromosome"], tuple[Head, Tail]]:
        """Without what is worked out."""
        return Chromosome, (self.head, self.tail)

    @cached_property
    def key(self) -> str:
        """Content key: equal for equal chromosomes on every machine, 20 hexadecimal digits."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:20]

    @property
    def convolutions(self) -> tuple[Conv, ...]:
        """The head's convolutions in order."""
        return tuple(gene for gene in self.head if isinstance(gene, Conv))

    @property
    def poolings(self) -> int:
        """How many poolings the head holds."""
        return sum(isinstance(gene, Pool) for gene in self.head)
