"""Offspring: from the scored population of one generation to the children of the next."""

from dataclasses import dataclass

from evosearch.evaluation import Candidate
from evosearch.genome import Chromosome, Operation, Replaced
from evosearch.search.balance import balance
from evosearch.search.context import Purpose, SearchContext, stream
from evosearch.search.crossover import crossover
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


@dataclass(frozen=True, slots=True)
class Breeding:
    """How children are made: the thresholds of EAVL, and the search's surroundings."""

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


def breed(state: SearchState, count: int, breeding: Breeding) -> tuple[Child, ...]:
    """Make `count` children for the generation after `state`'s, all of whose members have a score.

    Each pair gives two children; with an odd count the last pair's second child is dropped. Every child is
    balanced, copied ones too (the released code balances crossed ones only), then repaired.
    """
    generation = state.generation + 1
    scores = [state.scores[member.number] for member in state.members]
    rng = stream(breeding.context.seed, generation, Purpose.SELECTION)
    pairs = draw_pairs(scores, (count + 1) // 2, rng, breeding.selection)
    best = _reference(state)
    children: list[Child] = []
    for pair, (first, second) in enumerate(pairs):
        parents = (state.members[first], state.members[second])
        crossed = crossover(
            parents[0].chromosome,
            parents[1].chromosome,
            breeding.crossover_probability,
            stream(breeding.context.seed, generation, Purpose.CROSSOVER, pair),
        )
        fitter = ranking(parents, state.scores)[0]
        for chromosome in (crossed.first, crossed.second):
            rng = stream(breeding.context.seed, generation, Purpose.BALANCE, len(children))
            balanced, steps = balance(
                chromosome,
                best.chromosome.head,
                breeding.phi,
                breeding.shrink_deviation,
                rng,
                reference=best.number,
            )
            repaired, repairs = _repair(balanced, best.chromosome, fitter, breeding.context)
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
