"""What a study trains as values: its steps, the members of each, and what those that have ended came to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from evosearch.evaluation import Features, TrainingSettings
from evosearch.genome import SearchSpace
from evosearch.search import StrategySettings, TrainedMasks


@dataclass(frozen=True)
class Basis:
    """Searches of the same seed that an arm rests on: their worker-seconds are its own too."""

    arm: str
    """Theirs."""
    first: bool = False
    """Whether it rests on their first generation alone."""


@dataclass(frozen=True)
class ArmPlan:
    """One row of the table: how its members search."""

    name: str
    """Unique within the study; part of its members' names."""
    strategy: StrategySettings
    """An evolution, a random search, or a list of one network."""
    space: SearchSpace
    """What a random network of it may look like."""
    training: TrainingSettings
    """How its candidates are trained."""
    is_row: bool = True
    """Whether its best is trained again and compared; if not, others rest on it."""
    bases: tuple[Basis, ...] = ()
    """What it rests on."""


@dataclass(frozen=True)
class MemberPlan:
    """An arm from one seed."""

    arm: ArmPlan
    """Which arm."""
    seed: int
    """The search's."""

    def name(self, study: str) -> str:
        """What the search is called.

        >>> from evosearch.search import EavlSettings
        >>> MemberPlan(ArmPlan("eavl", EavlSettings(), SearchSpace(), TrainingSettings()), 3).name("ablation")
        'ablation/eavl-seed-3'
        """
        return member_name(study, self.arm.name, self.seed)


@dataclass(frozen=True)
class Spent:
    """What a member that has ended took."""

    seconds: float
    """Of its workers, over all trainings."""
    first: tuple[float, ...]
    """Of each training of its first generation, which are random networks."""
    succeeded: tuple[float, ...] = ()
    """Of each training that succeeded."""
    features: Features | None = None
    """What was kept, where that is what it did."""
    masks: tuple[TrainedMasks, ...] = ()
    """Of a search for masks, the generations that were trained."""


Ended: TypeAlias = Mapping[tuple[str, int], Spent]
"""The members that have ended, by arm and seed."""


@dataclass(frozen=True)
class Step:
    """Searches that are driven side by side."""

    name: str
    """In a word, for people."""
    members: Callable[[Ended], tuple[MemberPlan, ...]]
    """Its searches, given what ended in the steps before."""


@dataclass(frozen=True)
class Common:
    """What the study's file says for all arms."""

    strategy: StrategySettings
    """Of what is evolved; what it goes by holds for every arm."""
    space: SearchSpace
    """See `ArmPlan`."""
    training: TrainingSettings
    """See `ArmPlan`."""


def member_name(study: str, arm: str, seed: int) -> str:
    """What the search of an arm from a seed is called."""
    return f"{study}/{arm}-seed-{seed}"
