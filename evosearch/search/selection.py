"""Parent selection: in proportion to fitness, as the paper says, or to the square of what it is above the lowest, as the
authors' released code does.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from evosearch.search.state import Score

Selection = Literal["squared", "proportionate"]
"""How chances grow with fitness."""


def parent_probabilities(
    scores: Sequence[Score], selection: Selection = "squared"
) -> npt.NDArray[np.float64]:
    """Chance of each individual to be drawn as a parent: p_i ∝ (fitness_i - lowest fitness)² where `selection`
    is squared, p_i ∝ fitness_i where it is proportionate.

    The lowest fitness is that of the successes; a failed individual has weight 0 while a success exists.
    Where every weight is 0 (all equal, or one success only) the successes are equally likely; where all
    failed, everyone is.

    Returns: (len(scores),) float64, summing to 1. Source: EAVL-COVID, "fitness proportionate selection";
    the authors' released code shifts and squares, and that is the default.

    >>> scores = Score(0.5), Score(0.75), Score(1.0)
    >>> parent_probabilities(scores).tolist(), parent_probabilities(scores, "proportionate").round(3).tolist()
    ([0.0, 0.2, 0.8], [0.222, 0.333, 0.444])
    """
    succeeded = np.array([score.fitness is not None for score in scores])
    if not succeeded.any():
        return np.full(len(scores), 1 / len(scores))
    fitness = _weighed(scores)
    distance = (fitness - np.nanmin(fitness)) ** 2 if selection == "squared" else fitness
    weights = np.where(succeeded, distance, 0.0)
    if not weights.any():
        weights = succeeded.astype(np.float64)
    probabilities: npt.NDArray[np.float64] = weights / weights.sum()
    return probabilities


def _weighed(scores: Sequence[Score]) -> npt.NDArray[np.float64]:
    """The fitness of each, NaN where it failed: who was dropped at a rung weighs no more than the least of those that came
    further, whatever it promised there.

    >>> _weighed([Score(0.9, until=12), Score(0.8, until=35), Score(0.7), Score(0.6, until=12)]).tolist()
    [0.7, 0.7, 0.7, 0.6]
    """
    fitness = np.array([np.nan if score.fitness is None else score.fitness for score in scores])
    rungs = np.array([np.inf if score.until is None else score.until for score in scores])
    least = np.inf
    for rung in sorted(set(rungs[~np.isnan(fitness)]), reverse=True):
        there = (rungs == rung) & ~np.isnan(fitness)
        fitness[there] = np.minimum(fitness[there], least)
        least = fitness[there].min()
    return fitness


def draw_pairs(
    scores: Sequence[Score], pairs: int, rng: np.random.Generator, selection: Selection = "squared"
) -> list[tuple[int, int]]:
    """Draw `pairs` pairs of parents with replacement; a pair may be one individual twice.

    Returns: positions in `scores`.

    >>> draw_pairs([Score(0.5), Score(1.0)], 2, np.random.default_rng(0))
    [(1, 1), (1, 1)]
    """
    drawn = rng.choice(len(scores), size=(pairs, 2), p=parent_probabilities(scores, selection))
    return [(int(first), int(second)) for first, second in drawn]
