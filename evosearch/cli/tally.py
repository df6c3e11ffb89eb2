"""What every display shows, counted from the driver's states: of one search, and of all that run side by side."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from evosearch.evaluation import TrialId
from evosearch.reports import Ahead, duration, epoch_figures, time_left
from evosearch.runtime import ENOUGH, DriverState, Plan, Timings, Work
from evosearch.search import FixedListStrategy
from evosearch.storage import Event, Finished, LiveCurve

TYPICAL = 2
"""So many generations' networks, the newest, are what those to come are taken to be like."""


@dataclass
class Tally:
    """One search, as last seen."""

    plan: Plan
    """What it runs."""
    state: DriverState
    """Its driver's state."""
    now: float
    """Monotonic seconds at which it was last seen."""
    history: list[float] = field(default_factory=list)
    """The best fitness of all after each generation seen to end."""
    since: dict[str, tuple[TrialId, float]] = field(default_factory=dict)
    """What each worker does, and when it began, monotonic seconds."""
    trained: float = 0.0
    """Seconds that all trainings took that were seen to end well."""
    works: dict[TrialId, Work] = field(default_factory=dict)
    """What each training has to do that was seen waiting, the newest last."""

    def __post_init__(self) -> None:
        self.done_before = self.done
        self._look(self.now)

    def see(self, state: DriverState, facts: Sequence[Event], now: float) -> None:
        """Go on to `state`, to which `facts` led, at `now` by the monotonic clock."""
        progress = state.progress
        if progress.generation > self.state.progress.generation and progress.best_before:
            self.history.append(progress.best_before[1])
        self.state, self.now = state, now
        self.trained += sum(fact.success.seconds for fact in facts if isinstance(fact, Finished))
        self._look(now)

    def _look(self, now: float) -> None:
        self.since = {
            worker: self.since[worker] if self.since.get(worker, (None,))[0] == trial else (trial, now)
            for worker, trial in self.state.running.items()
        }
        if new := self.state.open.keys() - self.works.keys():
            sizes = {trial: self.state.open[trial].size for trial in sorted(new, key=lambda one: one.place)}
            added = {trial: size.work for trial, size in sizes.items() if size}
            self.works = {**self.works, **added}  # the display's thread may be reading the old one

    def ahead(self, now: float) -> Ahead:
        """What it has still to train. Of equal networks one is trained."""
        state = self.state
        under_way = {trial for trial in state.running.values() if trial in state.open}
        keys = {state.open[trial].key for trial in under_way}
        waiting = {one.key: one for trial, one in state.open.items() if one.key not in keys}
        unknown = sum(one.size is None for one in waiting.values())
        unborn = self.total - self.done - len(state.open)
        new = state.concluded / self.done if self.done else 1.0  # the others are equal to earlier ones
        return Ahead(
            [one.size.work for one in waiting.values() if one.size],
            [
                (self.works[trial], now - began)
                for trial, began in self.since.values()
                if trial in under_way and trial in self.works
            ],
            unknown + max(0, unborn) * new,
            list(self.works.values())[-TYPICAL * max(1, len(state.progress.members)) :],
        )

    @property
    def training_since(self) -> list[float]:
        """When each training under way began, monotonic seconds; readings of the test split are none."""
        return [began for trial, began in self.since.values() if trial in self.state.open]

    @property
    def is_list(self) -> bool:
        """Whether a list of networks is trained, as in a retraining: that has no generations."""
        return isinstance(self.plan.strategy, FixedListStrategy)

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
        """Members of this generation that are evaluated, and how many there are; with rungs, of those that came to this one."""
        progress = self.state.progress
        found = [(one, progress.scores.get(one.number)) for one in progress.members]
        if progress.until is not None or any(score and score.until is not None for _, score in found):
            found = [
                (one, score)
                for one, score in found
                if one.generation == progress.generation and (not score or score.until == progress.until)
            ]
        return sum(score is not None for _, score in found), len(found)

    @property
    def rung(self) -> str:
        """To which rung this generation's members are being trained, in words; nothing where they go to their end."""
        until = self.state.progress.until
        return "" if until is None else f" to epoch {until}"

    @property
    def lowest(self) -> str:
        """The lowest loss of all so far and what there is to say of it, where that is what the search goes by; else nothing."""
        progress = self.state.progress
        if progress.by != "loss" or progress.best is None:
            return ""
        return f", lowest loss {progress.best[1]:.4f}{f', {progress.note}' if progress.note else ''}"

    @property
    def fitness(self) -> list[float]:
        """Fitness of this generation's members so far."""
        return self.state.progress.fitness


@dataclass
class Tallies:
    """The searches of one driver, by name, in the order in which they began."""

    clock: Callable[[], float] = time.monotonic
    """Monotonic seconds."""
    by_name: dict[str, Tally] = field(default_factory=dict)
    """What is known of each."""
    waits: tuple[str, float] | None = None
    """What is waited for before the first training, and since when."""
    curves: dict[tuple[str, TrialId], LiveCurve] = field(default_factory=dict)
    """The newest of each training that has reported an epoch."""
    heard: dict[tuple[str, TrialId], float] = field(default_factory=dict)
    """When it was reported, monotonic seconds."""
    _first: float | None = None
    """When the first training was seen to begin."""

    def begin(self, plan: Plan, state: DriverState) -> Tally:
        """Count one more search, from `state` on."""
        if not self.by_name:
            self.begun = self.clock()
        tally = Tally(plan, state, self.clock())
        self.by_name = {**self.by_name, plan.name: tally}  # the display's thread may be reading the old one
        return tally

    def follow(self, plan: Plan, curves: Sequence[LiveCurve]) -> None:
        """Trainings of the search of `plan` got on."""
        self.curves |= {(plan.name, one.trial): one for one in curves}
        self.heard |= {(plan.name, one.trial): self.clock() for one in curves}

    def told(self, name: str, trial: TrialId) -> str:
        """How a training gets on, in words; nothing where it has not told yet."""
        one = self.curves.get((name, trial))
        if one is None:
            return ""
        newest = one.curve[-1]
        return f"epoch {len(one.curve)} of {one.epochs}, {epoch_figures(newest.loss, newest.accuracy)}"

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

    def wait(self, text: str) -> None:
        """Something is waited for."""
        self.waits = text, self.waits[1] if self.waits and self.waits[0] == text else self.clock()

    @property
    def waiting(self) -> str:
        """What is waited for, in words; nothing where nothing was told."""
        if self.waits is None:
            return ""
        text, since = self.waits
        return f"{text}, {duration(self.clock() - since)}"

    @property
    def has_begun(self) -> bool:
        """Whether a training was seen to begin."""
        return any(tally.since or tally.done > tally.done_before for tally in self.by_name.values())

    @property
    def left(self) -> str:
        """When all will have ended, in words."""
        now, members = self.clock(), self.by_name.values()
        known = sum((tally.state.timings for tally in members), Timings())
        if known.count < ENOUGH:  # those under way show something too
            known = sum(map(self._projected, members), known)
        ahead = [tally.ahead(now) for tally in members]
        together = Ahead(
            [work for one in ahead for work in one.waiting],
            [pair for one in ahead for pair in one.running],
            sum(one.unborn for one in ahead),
            [work for one in ahead for work in one.typical],
        )
        estimate = time_left(together, known, self._speed(now))
        return "time left unknown" if estimate is None else str(estimate)

    def _speed(self, now: float) -> float:
        """Seconds of training in a second since the first one began; as many as run where none has ended."""
        members = self.by_name.values()
        began = [at for tally in members for at in tally.training_since]
        self._first = min([*began, *([self._first] if self._first is not None else [])], default=None)
        if self._first is None or now <= self._first:
            return float(self.running)
        busy = sum(tally.trained + sum(now - at for at in tally.training_since) for tally in members)
        return busy / (now - self._first)

    def _projected(self, tally: Tally) -> Timings:
        """What the trainings under way will have taken, by the epochs that each has reported."""
        timings = Timings()
        for trial, began in tally.since.values():
            name = tally.plan.name, trial
            if trial in tally.works and name in self.curves and self.heard[name] > began:
                one = self.curves[name]
                seconds = (self.heard[name] - began) * one.epochs / len(one.curve)
                timings = timings.with_one(tally.works[trial], seconds)
        return timings
