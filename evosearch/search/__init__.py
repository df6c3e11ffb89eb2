"""Search: strategies that propose chromosomes and learn their fitness.

A *strategy* is ask/tell on frozen state: `ask` answers with trials of candidates, `tell` takes their outcomes
and, once a *generation* is complete, breeds the next *population* from *elites* (kept with number and
fitness), *offspring* (selection, crossover, balance, repair) and *immigrants* (new random individuals).
The one rule of this room: no clock, no I/O, no torch, no ray; all chance comes from (seed, generation,
purpose). It may import `errors`, `genome`, `blueprint` and `evaluation`.
"""

from evosearch.evaluation import Candidate, Origin
from evosearch.search.balance import balance, grow, shrink
from evosearch.search.context import SearchContext, draw_feasible
from evosearch.search.crossover import cross_heads, cross_tails, crossover
from evosearch.search.eavl import EavlSettings, EavlStrategy
from evosearch.search.evo_cnn import EvoCnnSettings, EvoCnnStrategy
from evosearch.search.evolution import EvolutionKeys
from evosearch.search.fixed_list import FixedListSettings, FixedListStrategy, ListedTrial, repeats_of
from evosearch.search.halving import Halving, halving_of, rung_before, rungs_in_all, whole_trainings
from evosearch.search.masks import (
    BreedingKeys,
    FeaturesSettings,
    FeaturesStrategy,
    Mask,
    MasksSettings,
    MasksStrategy,
    OverFeatures,
    SampleKeys,
    TrainedMasks,
    best_mask,
    check_breeding,
    check_sample,
)
from evosearch.search.random_search import RandomSearchSettings, RandomSearchStrategy
from evosearch.search.repeating import scores_of
from evosearch.search.selection import draw_pairs, parent_probabilities
from evosearch.search.state import Score, SearchProgress, SearchState, score_of
from evosearch.search.strategy import (
    STRATEGIES,
    AnyStrategy,
    Strategy,
    StrategySettings,
    features_of,
    hand_made_rule,
    measure_of,
    sizes_of,
)
from evosearch.search.survival import elites, ranking

__all__ = [
    "STRATEGIES",
    "AnyStrategy",
    "BreedingKeys",
    "Candidate",
    "EavlSettings",
    "EavlStrategy",
    "EvoCnnSettings",
    "EvoCnnStrategy",
    "EvolutionKeys",
    "FeaturesSettings",
    "FeaturesStrategy",
    "FixedListSettings",
    "FixedListStrategy",
    "Halving",
    "ListedTrial",
    "Mask",
    "MasksSettings",
    "MasksStrategy",
    "Origin",
    "OverFeatures",
    "RandomSearchSettings",
    "RandomSearchStrategy",
    "SampleKeys",
    "Score",
    "SearchContext",
    "SearchProgress",
    "SearchState",
    "Strategy",
    "StrategySettings",
    "TrainedMasks",
    "balance",
    "best_mask",
    "check_breeding",
    "check_sample",
    "cross_heads",
    "cross_tails",
    "crossover",
    "draw_feasible",
    "draw_pairs",
    "elites",
    "features_of",
    "grow",
    "halving_of",
    "hand_made_rule",
    "measure_of",
    "parent_probabilities",
    "ranking",
    "repeats_of",
    "rung_before",
    "rungs_in_all",
    "score_of",
    "scores_of",
    "shrink",
    "sizes_of",
    "whole_trainings",
]
