"""What every display shows, counted from the driver's states: of one search, and of all that run side by side."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from evosearch.evaluation import TrialId
from evosearch.reports import duration, seconds_left
from evosearch.runtime import DriverState, Plan
from evosearch.storage import LiveCurve


@dataclass
class Tally:
    """One search, as last seen. `history`: the best fitness of all after each generation seen to end."""

    plan: Plan
    state: DriverState
    history: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.done_before = self.done

    def see(self, state: DriverState) -> None:
        """Go on to `state`."""
        progress = state.progress
        if progress.generation > self.state.progress.generation and progress.best_before:
            self.history.append(progress.best_before[1])
        self.state = state

    @property
    def short_name(self) -> str:
        """The member's own part of the name: `seed-3` of `digits/seed-3`."""
        return self.plan.name.rpartition("/")[2]

    @property
    def total(self) -> int:
        """Evaluations of the whole search."""
        return self.plan.strategy.evaluations

    @property
    def done(self) -> int:
        """Evaluations that have ended, in all generations, those of the next one's immigrants too."""
        return self.state.ended

    @property
    def done_here(self) -> tuple[int, int]:
        """Members of this generation that are evaluated, and how many there are."""
        progress = self.state.progress
        return sum(m.number in progress.scores for m in progress.members), len(progress.members)

    @property
    def fitness(self) -> list[float]:
        """Fitness of this generation's members so far."""
        return self.state.progress.fitness


@dataclass
class Tallies:
    """The searches of one driver, by name, in the order in which they began."""

    clock: Callable[[], float] = time.monotonic
    by_name: dict[str, Tally] = field(default_factory=dict)
    curves: dict[tuple[str, TrialId], LiveCurve] = field(default_factory=dict)
    """The newest of each training that has told of an epoch."""

    def begin(self, plan: Plan, state: DriverState) -> Tally:
        """Count one more search, from `state` on."""
        if not self.by_name:
            self.begun = self.clock()
        tally = Tally(plan, state)
        self.by_name = {**self.by_name, plan.name: tally}  # the display's thread may be reading the old one
        return tally

    def follow(self, plan: Plan, curves: Sequence[LiveCurve]) -> None:
        """Trainings of the search of `plan` got on."""
        self.curves |= {(plan.name, one.trial): one for one in curves}

    def told(self, name: str, trial: TrialId) -> str:
        """How a training gets on, in words; nothing where it has not told yet."""
        one = self.curves.get((name, trial))
        if one is None:
            return ""
        newest = one.curve[-1]
        return (
            f"epoch {len(one.curve)} of {one.epochs}, loss {newest.loss:.4f}, accuracy {newest.accuracy:.4f}"
        )

    @property
    def elapsed(self) -> str:
        """Since this driver began to search, in words."""
        return duration(self.clock() - self.begun)

    @property
    def several(self) -> bool:
        """Whether a search has to be named."""
        return len(self.by_name) > 1

    @property
    def done(self) -> int:
        """Evaluations of all searches that have ended."""
        return sum(tally.done for tally in self.by_name.values())

    @property
    def total(self) -> int:
        """Evaluations of all searches."""
        return sum(tally.total for tally in self.by_name.values())

    @property
    def running(self) -> int:
        """Evaluations of all searches that are under way."""
        return sum(len(tally.state.running) for tally in self.by_name.values())

    @property
    def left(self) -> str:
        """When all will have ended, in words."""
        before = sum(tally.done_before for tally in self.by_name.values())
        seconds = seconds_left(self.done - before, self.total - before, self.clock() - self.begun)
        return "time left unknown" if seconds is None else f"{duration(seconds)} left"
