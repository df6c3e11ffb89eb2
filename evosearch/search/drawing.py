"""Random individuals that can be trained: drawn, repaired, and drawn again where they are too big."""

from collections.abc import Sequence

import numpy as np

from evosearch.errors import InfeasibleSpaceError
from evosearch.genome import Chromosome, Operation, Redrawn, sample
from evosearch.search.context import SearchContext

MOST_REDRAWS = 10_000
"""More than a space needs that holds anything; of one that holds nothing it is told within minutes."""


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
