"""Halving: most of a generation's own members are trained for a few epochs only, and what looks best is trained on.

Each *rung* is an epoch at which trainings wait until all of the generation's own members have come to it; then a share of
them goes on to the next rung, the best by their fitness there, and the others are dropped. The last rung is the end of a
training. Source: successive halving (Jamieson and Talwalkar, AISTATS 2016), here within each generation.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evosearch.errors import ConfigError
from evosearch.evaluation import Candidate, Trial, TrialId
from evosearch.search.state import Score, SearchState
from evosearch.search.survival import ranking


@dataclass(frozen=True)
class Halving:
    """At which epochs a generation's members are compared, and how many of them go on."""

    epochs: tuple[int, ...]
    """Rungs: after so many epochs each, the last of them the whole training."""
    keep: float = 0.4
    """Share of those that came to a rung which goes on to the next one, rounded up, at least one."""

    def __post_init__(self) -> None:
        if len(self.epochs) < 2:
            raise ConfigError(
                f"strategy.halving.epochs is {list(self.epochs)}; it needs two rungs at least, the last one training.epochs"
            )
        if self.epochs[0] < 1 or any(
            after <= before for before, after in zip(self.epochs, self.epochs[1:], strict=False)
        ):
            raise ConfigError(
                f"strategy.halving.epochs is {list(self.epochs)}; epochs must be at least 1 and rise from rung to rung"
            )
        if not 0 < self.keep < 1:
            raise ConfigError(
                f"strategy.halving.keep is {self.keep:g}; a share that goes on lies between 0 and 1, both excluded"
            )

    def sizes(self, count: int) -> tuple[int, ...]:
        """How many are trained at each rung, of `count` that are born together and none of which fails.

        >>> Halving((12, 35, 100), 0.4).sizes(50), Halving((12, 35, 100), 0.4).sizes(3)
        ((50, 20, 8), (3, 2, 1))
        """
        sizes = [count]
        for _ in self.epochs[1:]:
            sizes.append(self.kept(sizes[-1]))
        return tuple(sizes)

    def kept(self, count: int) -> int:
        """How many of `count` go on from a rung, if so many succeed there."""
        # a share as it is written: 0.1 of 30 are 3, not the 3.0000000000000004 of binary fractions
        return max(1, math.ceil(round(self.keep * count, 9))) if count else 0

    def until(self, rung: int) -> int | None:
        """The epochs after which a trial of this rung, from 0, is judged, as `Trial.until`."""
        return self.epochs[rung] if rung < self.last else None

    @property
    def last(self) -> int:
        """The last rung."""
        return len(self.epochs) - 1

    def trained(self, count: int) -> float:
        """How many whole trainings all rungs of `count` candidates take, none of which fails and each of which goes on where
        it was.

        >>> round(Halving((12, 35, 100), 0.4).trained(50), 2)
        15.8
        """
        steps = (after - before for before, after in zip((0, *self.epochs), self.epochs, strict=False))
        return sum(size * step for size, step in zip(self.sizes(count), steps, strict=True)) / self.epochs[-1]


def halving_of(settings: object) -> Halving | None:
    """That of a strategy's settings; None where every training goes to its end."""
    found = getattr(settings, "halving", None)
    return found if isinstance(found, Halving) else None


def whole_trainings(settings: object) -> float | None:
    """How many of these all rungs of a search take at most; None where every training goes to its end."""
    found: float | None = None if halving_of(settings) is None else getattr(settings, "trained_in_all", None)
    return found


def rungs_in_all(settings: object) -> tuple[tuple[int, int], ...]:
    """Of each rung of a search by these its epochs, and how many networks come to it at most; none where every training goes to its
    end.
    """
    found: tuple[tuple[int, int], ...] = getattr(settings, "rungs_in_all", ())
    return found


def rung_before(halving: Halving | None, trial: TrialId) -> int:
    """The epochs that a trial's candidate has behind it when its rung begins; 0: none."""
    if halving is None:
        return 0
    at = halving.last if trial.until is None else halving.epochs.index(trial.until)
    return halving.epochs[at - 1] if at else 0


def next_trial(state: SearchState, candidate: Candidate, halving: Halving | None) -> Trial:
    """The training of a candidate without a score: at the rung that its generation is at, the first one where that has not
    begun.
    """
    if halving is None:
        return Trial.of(candidate)
    rung = state.rung if candidate.generation <= state.generation else 0
    return Trial(candidate.number, candidate, until=halving.until(rung))


def with_rung_decided(state: SearchState, halving: Halving) -> SearchState:
    """The state at its next rung, where every member has a score and somebody goes on: those have none until they come to it.
    Else the state itself.
    """
    if not state.complete or state.rung == halving.last:
        return state
    going_on = promoted(state.members, state.scores, halving, state.rung)
    if not going_on:
        return state
    further = state.without_scores(frozenset(going_on))
    return replace(further, rung=state.rung + 1, continued=state.continued + len(going_on))


def promoted(
    members: Sequence[Candidate], scores: Mapping[int, Score], halving: Halving, rung: int
) -> tuple[int, ...]:
    """The numbers of those that go on from a rung, the best first: of all members that came to its end.

    How many is a matter of how many came to this rung, so that a failure leaves its place to the next best.
    """
    there = [one for one in members if scores[one.number].until == halving.until(rung)]
    judged = [one for one in there if scores[one.number].fitness is not None]
    return tuple(one.number for one in ranking(judged, scores)[: halving.kept(len(there))])
