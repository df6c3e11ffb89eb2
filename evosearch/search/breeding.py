"""Offspring: from the scored population of one generation to the children of the next."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evosearch.evaluation import Candidate
from evosearch.genome import Chromosome, Operation, Replaced
from evosearch.search.balance import balance
from evosearch.search.context import Purpose, SearchContext, stream
from evosearch.search.crossover import Crossed, crossover
from evosearch.search.selection import Selection, draw_pairs
from evosearch.search.state import SearchState
from evosearch.search.survival import ranking


@dataclass(frozen=True, slots=True)
class Child:
    """What came of two parents."""

    chromosome: Chromosome
    """The child's."""
    parents: tuple[int, int]
    """Their numbers."""
    operations: tuple[Operation, ...]
    """What was done to make it, in order."""


class Operators(Protocol):
    """How children are made of chosen parents: what one evolution has and another has not."""

    @property
    def context(self) -> SearchContext:
        """The search's surroundings."""
        ...

    @property
    def selection(self) -> Selection:
        """How a parent's chance grows with its fitness."""
        ...

    def cross(self, a: Chromosome, b: Chromosome, rng: np.random.Generator) -> Crossed:
        """Two children of two parents."""
        ...

    def alter(
        self, child: Chromosome, best: Candidate, rng: np.random.Generator
    ) -> tuple[Chromosome, tuple[Operation, ...]]:
        """What becomes of each child before it is repaired, and what was done; `best`: of all finished generations."""
        ...


@dataclass(frozen=True, slots=True)
class Breeding:
    """How EAVL's children are made: its thresholds, and the search's surroundings."""

    crossover_probability: float
    """Chance that a pair of parents is crossed, 0 to 1."""
    phi: int
    """Balance threshold in genes, at least 1."""
    shrink_deviation: float
    """Spread of the number of genes that a shrink removes."""
    context: SearchContext
    """The search's surroundings."""
    selection: Selection = "squared"
    """How a parent's chance grows with its fitness."""
    balance: bool = True
    """Whether children are balanced."""

    def cross(self, a: Chromosome, b: Chromosome, rng: np.random.Generator) -> Crossed:
        """Heads cut and exchanged, tails gene by gene."""
        return crossover(a, b, self.crossover_probability, rng)

    def alter(
        self, child: Chromosome, best: Candidate, rng: np.random.Generator
    ) -> tuple[Chromosome, tuple[Operation, ...]]:
        """Balance: every child, copied ones too (the released code balances crossed ones only)."""
        if not self.balance:
            return child, ()
        head = best.chromosome.head
        return balance(child, head, self.phi, self.shrink_deviation, rng, reference=best.number)


def breed(state: SearchState, count: int, operators: Operators) -> tuple[Child, ...]:
    """Make `count` children for the generation after `state`'s, all of whose members have a score.

    Each pair gives two children; with an odd count the last pair's second child is dropped. Every child is
    altered, copied ones too, then repaired.
    """
    generation, seed = state.generation + 1, operators.context.seed
    scores = [state.scores[member.number] for member in state.members]
    rng = stream(seed, generation, Purpose.SELECTION)
    pairs = draw_pairs(scores, (count + 1) // 2, rng, operators.selection)
    best = _reference(state)
    children: list[Child] = []
    for pair, (first, second) in enumerate(pairs):
        parents = (state.members[first], state.members[second])
        rng = stream(seed, generation, Purpose.CROSSOVER, pair)
        crossed = operators.cross(parents[0].chromosome, parents[1].chromosome, rng)
        fitter = ranking(parents, state.scores)[0]
        for chromosome in (crossed.first, crossed.second):
            rng = stream(seed, generation, Purpose.BALANCE, len(children))
            altered, steps = operators.alter(chromosome, best, rng)
            repaired, repairs = _repair(altered, best.chromosome, fitter, operators.context)
            operations = (crossed.operation, *steps, *repairs)
            children.append(Child(repaired, (parents[0].number, parents[1].number), operations))
    return tuple(children[:count])


def _reference(state: SearchState) -> Candidate:
    best = state.best_with_members()
    # Where nothing has ever succeeded there is no best; the lowest number takes its place, so that breeding goes on.
    return best[0] if best else ranking(state.members, state.scores)[0]


def _repair(
    child: Chromosome, best: Chromosome, fitter: Candidate, context: SearchContext
) -> tuple[Chromosome, tuple[Operation, ...]]:
    repaired = context.repair(child, best.convolutions[0])
    too_big = context.infeasibility(repaired.chromosome)
    if too_big is None:
        return repaired.chromosome, repaired.repairs
    return fitter.chromosome, (*repaired.repairs, Replaced(fitter.number, too_big))
