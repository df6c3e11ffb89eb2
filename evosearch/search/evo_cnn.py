"""EVO-CNN: evolution in a static space, the competitor of EAVL's ablation.

The paper names it and gives no rule. Here it is EAVL but for three things: crossover exchanges genes of the same kind at equal
positions, so that no length ever changes; genes are drawn anew, each with a small chance, in place of balance; and every
convolution has a batch norm.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeVar, assert_never

import numpy as np

from evosearch.evaluation import Candidate
from evosearch.genome import (
    Chromosome,
    Conv,
    Copied,
    Dense,
    Exchanged,
    HeadGene,
    Mutated,
    Operation,
    Pool,
    SearchSpace,
    TailGene,
)
from evosearch.search.context import SearchContext
from evosearch.search.crossover import Crossed
from evosearch.search.eavl import EavlStrategy
from evosearch.search.evolution import EvolutionKeys
from evosearch.search.selection import Selection

Gene = TypeVar("Gene")


@dataclass(frozen=True)
class EvoCnnSettings(EvolutionKeys):
    """The evolution's size and chances. Each field is a key under `strategy`; what EAVL has too has its defaults."""

    name: Literal["evo_cnn"] = "evo_cnn"
    """Which strategy."""
    exchange_probability: float = 0.5
    """Chance that two genes of the same kind at equal positions of a crossed pair are exchanged. With 1 all of them are, and
    parents of equal structure only change places."""
    mutation_probability: float = 0.1
    """Chance of each gene of a child to be drawn anew: a convolution's channels, a fully connected layer's neurons."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_chances("exchange_probability", "mutation_probability")

    def operators(self, context: SearchContext) -> "StaticBreeding":
        """Those of a static space."""
        return StaticBreeding(
            self.crossover_probability,
            self.exchange_probability,
            self.mutation_probability,
            context,
            self.selection,
        )

    def make(self, context: SearchContext) -> "EvoCnnStrategy":
        """The evolution with these settings, whose random individuals have a batch norm after every convolution."""
        return EvoCnnStrategy(self, replace(context, space=replace(context.space, batch_norm=1.0)))


@dataclass(frozen=True)
class EvoCnnStrategy(EavlStrategy):
    """EVO-CNN as ask/tell: EAVL's generations with operators that change no length."""

    settings: EvoCnnSettings
    """The size and chances of the evolution."""


@dataclass(frozen=True, slots=True)
class StaticBreeding:
    """How children are made in a static space."""

    crossover_probability: float
    """Chance that a pair of parents is crossed, 0 to 1."""
    exchange_probability: float
    """Chance that two genes are exchanged, where they may be."""
    mutation_probability: float
    """Chance of each gene to be drawn anew."""
    context: SearchContext
    """The search's surroundings."""
    selection: Selection
    """How a parent's chance grows with its fitness."""

    def cross(self, a: Chromosome, b: Chromosome, rng: np.random.Generator) -> Crossed:
        """Genes exchanged, or both copied."""
        if rng.random() >= self.crossover_probability:
            return Crossed(a, b, Copied())
        return exchange(a, b, self.exchange_probability, rng)

    def alter(
        self,
        child: Chromosome,
        best: Candidate,  # noqa: ARG002 - nothing is held against it
        rng: np.random.Generator,
    ) -> tuple[Chromosome, tuple[Operation, ...]]:
        """Genes drawn anew, of every child."""
        return mutate(child, self.context.space, self.mutation_probability, rng)


def exchange(a: Chromosome, b: Chromosome, probability: float, rng: np.random.Generator) -> Crossed:
    """Exchange genes of the same kind at equal positions, each such pair with `probability`.

    Returns: children with the lengths of `a` and of `b`, and at each position a gene of the kind that was there; of the
    exchanged ones those are told that differ.

    >>> from evosearch.genome import in_words, parse
    >>> crossed = exchange(parse("B1 P B2 | F1 F2"), parse("B7 B8 B9 P | F7"), 1.0, np.random.default_rng(0))
    >>> str(crossed.first), str(crossed.second), in_words(crossed.operation)
    ('B7 P B9 | F7 F2', 'B1 B8 B2 P | F1', 'exchanged genes 1 3 | 1')
    """
    head = _drawn_places(a.head, b.head, probability, rng)
    tail = _drawn_places(a.tail, b.tail, probability, rng)
    first = Chromosome(_with(a.head, b.head, head), _with(a.tail, b.tail, tail))
    second = Chromosome(_with(b.head, a.head, head), _with(b.tail, a.tail, tail))
    return Crossed(first, second, Exchanged(head, tail))


def mutate(
    child: Chromosome, space: SearchSpace, probability: float, rng: np.random.Generator
) -> tuple[Chromosome, tuple[Mutated, ...]]:
    """Draw each gene anew from `space` with `probability`; it stays of its kind, and a convolution has a batch norm then.

    Returns: the child, and which genes have become others (empty: none; a pooling never does).

    >>> from evosearch.genome import in_words, parse
    >>> child, (done,) = mutate(parse("B7 P B9 | F7"), SearchSpace(), 0.6, np.random.default_rng(1))
    >>> str(child), in_words(done)
    ('B88 P B9 | F481', 'redrew genes 1 | 1')
    """
    head = tuple(_head_gene(gene, space, rng) if rng.random() < probability else gene for gene in child.head)
    tail = tuple(_tail_gene(gene, space, rng) if rng.random() < probability else gene for gene in child.tail)
    changed = Mutated(_changes(child.head, head), _changes(child.tail, tail))
    return Chromosome(head, tail), (changed,) if changed.head or changed.tail else ()


def _drawn_places(
    a: tuple[Gene, ...], b: tuple[Gene, ...], probability: float, rng: np.random.Generator
) -> tuple[int, ...]:
    """Positions, from 1, of the genes that are exchanged."""
    same = (place for place, (one, other) in enumerate(zip(a, b, strict=False)) if type(one) is type(other))
    drawn = [place for place in same if rng.random() < probability]
    return tuple(place + 1 for place in drawn if a[place] != b[place])


def _with(genes: tuple[Gene, ...], others: tuple[Gene, ...], places: tuple[int, ...]) -> tuple[Gene, ...]:
    return tuple(others[at - 1] if at in places else gene for at, gene in enumerate(genes, 1))


def _changes(before: tuple[Gene, ...], after: tuple[Gene, ...]) -> tuple[int, ...]:
    return tuple(at for at, (old, new) in enumerate(zip(before, after, strict=True), 1) if old != new)


def _head_gene(gene: HeadGene, space: SearchSpace, rng: np.random.Generator) -> HeadGene:
    match gene:
        case Conv():
            return Conv(int(rng.integers(*space.channels, endpoint=True)), batch_norm=True)
        case Pool():
            return gene
    assert_never(gene)


def _tail_gene(gene: TailGene, space: SearchSpace, rng: np.random.Generator) -> TailGene:
    match gene:
        case Dense():
            return Dense(int(rng.integers(*space.units, endpoint=True)))
    assert_never(gene)
