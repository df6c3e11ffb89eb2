"""Whether a network may be trained under the configuration's limits (no device is asked), and the repair of a head that
cannot be decoded; deterministic.
"""

from dataclasses import dataclass

from evosearch.blueprint.plan import NetworkSize, Problem, training_memory
from evosearch.genome import (
    Chromosome,
    Conv,
    ConvolutionGiven,
    Head,
    Pool,
    PoolingsDropped,
    Repair,
    SearchSpace,
)


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """How big a network may be: keys of the search space."""

    max_parameters: int
    """Trainable numbers of a network, at most."""
    max_memory: int | None
    """Bytes of one training step, at most; None: no limit."""
    max_poolings: int
    """The upper end of `space.poolings`."""

    @classmethod
    def of(cls, space: SearchSpace) -> "SizeLimits":
        """The limits of `space`."""
        return cls(space.max_parameters, space.max_memory, space.poolings[1])


def infeasibility(size: NetworkSize, limits: SizeLimits, batch_size: int, optimizer: str) -> str | None:
    """Why a network of that size exceeds a limit when trained so, naming the limit's key; None where it is feasible.

    Poolings and missing convolutions are repaired rather than judged: see `repair_head`.
    """
    if size.parameters > limits.max_parameters:
        return f"{size.parameters:,} parameters exceed space.max_parameters = {limits.max_parameters:,}"
    if limits.max_memory is None:
        return None
    memory = training_memory(size, batch_size, optimizer).total
    if memory > limits.max_memory:
        return f"{memory:,} bytes of memory exceed space.max_memory = {limits.max_memory:,}"
    return None


@dataclass(frozen=True, slots=True)
class Repaired:
    """A chromosome that can be decoded, and what was done to it."""

    chromosome: Chromosome
    """After the repairs."""
    repairs: tuple[Repair, ...]
    """In the order in which they were made; empty: none was needed."""


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

    >>> from evosearch.blueprint.layers import ImageShape
    >>> from evosearch.genome import parse
    >>> problem, limits = Problem(ImageShape(1, 8, 8), classes=2), SizeLimits(10**6, max_memory=None, max_poolings=2)
    >>> str(repair_head(parse("P C8 P P | F4"), problem, limits).chromosome)
    'P C8 P | F4'
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
