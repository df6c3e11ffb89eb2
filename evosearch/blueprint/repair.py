"""Repair of a head that cannot be decoded; deterministic, and told for the record."""

from dataclasses import dataclass

from evosearch.blueprint.feasibility import SizeLimits
from evosearch.blueprint.plan import Problem
from evosearch.genome import Chromosome, Conv, ConvolutionGiven, Head, Pool, PoolingsDropped, Repair


@dataclass(frozen=True, slots=True)
class Repaired:
    """A chromosome that can be decoded, and what was done to it (empty: nothing)."""

    chromosome: Chromosome
    repairs: tuple[Repair, ...]


def allowed_poolings(problem: Problem, limits: SizeLimits) -> int:
    """How many poolings a head may hold: the configured limit, or fewer where a side would fall below 1 pixel."""
    halvings = min(problem.image.height, problem.image.width).bit_length() - 1
    return min(limits.max_poolings, halvings)


def repair_head(
    chromosome: Chromosome, problem: Problem, limits: SizeLimits, convolution: Conv | None = None
) -> Repaired:
    """Drop surplus poolings, the last ones first, and give a head without a convolution one.

    Args:
        chromosome: may hold too many poolings, or poolings only.
        problem: decides, with `limits`, how many poolings are too many.
        limits: see `problem`.
        convolution: what becomes the first gene of a head without any, the best individual's first one; not
            needed for random chromosomes, which always hold a convolution.

    Returns: a chromosome with at least one convolution and at most `allowed_poolings(problem, limits)` poolings; the
    tail is untouched. Source: EAVL-COVID, repair; the released code drops random poolings.
    """
    repairs: list[Repair] = []
    surplus = chromosome.poolings - allowed_poolings(problem, limits)
    head = chromosome.head
    if surplus > 0:
        head = _drop_last_poolings(head, surplus)
        repairs.append(PoolingsDropped(surplus))
    if convolution is not None and not chromosome.convolutions:
        head = (convolution, *head[1:])
        repairs.append(ConvolutionGiven(convolution))
    return Repaired(Chromosome(head, chromosome.tail), tuple(repairs))


def _drop_last_poolings(head: Head, count: int) -> Head:
    poolings = [position for position, gene in enumerate(head) if isinstance(gene, Pool)]
    dropped = set(poolings[len(poolings) - count :])
    return tuple(gene for position, gene in enumerate(head) if position not in dropped)
