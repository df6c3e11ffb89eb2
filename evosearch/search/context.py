"""What a strategy is given besides its own settings: the space, the problem, streams of chance, and feasible draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

from evosearch.blueprint import Problem, Repaired, SizeLimits, infeasibility, repair_head, size_of
from evosearch.errors import InfeasibleSpaceError
from evosearch.evaluation import TrainingSettings
from evosearch.genome import Chromosome, Conv, Network, Operation, Redrawn, SearchSpace, sample


class Purpose(IntEnum):
    """What a stream is for. The numbers enter the seed: never change or reuse one."""

    RANDOM_INDIVIDUAL = 0
    """One stream per slot, so that immigrants can be drawn before their generation begins."""
    SELECTION = 1
    CROSSOVER = 2
    BALANCE = 3
    """Or what an evolution does to each child in its place."""


def stream(seed: int, generation: int, purpose: Purpose, slot: int = 0) -> np.random.Generator:
    """A fresh generator; equal arguments give equal draws on every machine. All integers are at least 0."""
    return np.random.default_rng([seed, generation, int(purpose), slot])


@dataclass(frozen=True)
class SearchContext:
    """The surroundings of a search, which never change while it lasts."""

    space: SearchSpace
    """What networks may look like."""
    problem: Problem
    """Images and classes."""
    training: TrainingSettings
    """How every candidate is trained unless its trial says otherwise."""
    seed: int
    """The search's, at least 0."""

    @cached_property
    def limits(self) -> SizeLimits:
        """How big a network may be."""
        return SizeLimits.of(self.space)

    def repair(self, chromosome: Chromosome, convolution: Conv | None = None) -> Repaired:
        """As `repair_head`, within these limits."""
        return repair_head(chromosome, self.problem, self.limits, convolution)

    def infeasibility(self, network: Network) -> str | None:
        """Why `network`, once repaired, may not be trained; None where it may, or where its size is not known."""
        size = size_of(network, self.problem, self.training.dropout)
        if size is None:
            return None
        return infeasibility(size, self.limits, self.training.batch_size, self.training.optimizer)


MOST_REDRAWS = 10_000
"""More than a space needs that holds anything; of one that holds nothing it is said within minutes."""


def too_many_redraws(redraws: int) -> Sequence[str]:
    """Why no search may be begun with so many, as an objection of a strategy's settings; nothing where it may."""
    if redraws <= MOST_REDRAWS:
        return ()
    return (f"strategy.redraws is {redraws}; it must be at most {MOST_REDRAWS:,}",)


def draw_feasible(
    context: SearchContext, redraws: int, rng: np.random.Generator
) -> tuple[Chromosome, tuple[Operation, ...]]:
    """Draw a random chromosome within the limits of `context`; surplus poolings are repaired before its size is judged.

    Returns: the chromosome, and what was done to it (empty: nothing).

    Raises:
        InfeasibleSpaceError: the first draw and `redraws` further ones were all too big; names the limit.
    """
    reason = None
    for redrawn in range(redraws + 1):
        repaired = context.repair(sample(context.space, rng))
        too_big = context.infeasibility(repaired.chromosome)
        if too_big is None:
            drawn = () if reason is None else (Redrawn(redrawn, reason),)
            return repaired.chromosome, (*drawn, *repaired.repairs)
        reason = too_big
    raise InfeasibleSpaceError(
        f"none of {redraws + 1} random chromosomes is feasible: in the last one {reason}; "
        "raise that limit or lower the ranges under space"
    )
