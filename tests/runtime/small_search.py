"""A small search without I/O: its plan, a logbook in memory, and a way to drive it."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from evosearch.blueprint import ImageShape, Problem
from evosearch.evaluation import Evaluator, TrainingSettings
from evosearch.genome import SearchSpace
from evosearch.runtime import (
    Checkpointing,
    DriverState,
    Fleet,
    Member,
    Plan,
    Silence,
    Surroundings,
    TimeLimits,
    Watcher,
    drive,
    replay,
)
from evosearch.search import EavlSettings, SearchContext, halving_of
from evosearch.storage import DriverStarted, Event, LiveCurve
from evosearch.testing import FormulaEvaluator, Script, ScriptedPool

SMALL = SearchSpace(convolutions=(1, 4), channels=(4, 8), poolings=(0, 2), dense=(1, 2), units=(4, 8))
SETTINGS = EavlSettings(population=8, generations=4, elites=2, immigrants=2)


def make_plan(
    settings: EavlSettings = SETTINGS, space: SearchSpace = SMALL, seed: int = 0, name: str = "small"
) -> Plan:
    halving = halving_of(settings)
    training = TrainingSettings(epochs=halving.epochs[-1] if halving else 1, precision="fp32")
    context = SearchContext(space, Problem(ImageShape(1, 8, 8), 2), training, seed)
    return Plan(name, settings.make(context), context, "data", halving=halving)


def with_max_memory(plan: Plan, memory: int) -> Plan:
    space = replace(plan.context.space, max_memory=memory)
    return replace(plan, context=replace(plan.context, space=space))


@dataclass
class MemoryLogbook:
    """Transactions in a list; `beats` counts the heartbeats."""

    transactions: list[tuple[Event, ...]] = field(default_factory=list)
    beats: int = 0
    shown: list[tuple[LiveCurve, ...]] = field(default_factory=list)
    term: int = 1

    def append(self, facts: Sequence[Event]) -> None:
        self.transactions.append(tuple(facts))

    def beat(self) -> None:
        self.beats += 1

    def show(self, curves: Sequence[LiveCurve]) -> None:
        self.shown.append(tuple(curves))

    @property
    def facts(self) -> list[Event]:
        return list(itertools.chain(*self.transactions))

    def of(self, kind: type) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


@dataclass
class Drive:
    """Drives `plan` on a scripted pool; what was journaled before can be given, as a resume has it."""

    plan: Plan
    evaluator: Evaluator = field(default_factory=FormulaEvaluator)
    script: Script = field(default_factory=Script)
    logbook: MemoryLogbook = field(default_factory=MemoryLogbook)
    clock: Callable[[], float] = lambda: 0.0
    stop_reason: Callable[[], str | None] = lambda: None
    limits: TimeLimits = field(default_factory=TimeLimits)
    checkpointing: Mapping[str, Checkpointing] = field(default_factory=dict)
    watcher: Watcher = field(default_factory=Silence)
    make_pool: Callable[[Evaluator, Script], ScriptedPool] = ScriptedPool

    def __call__(self, before: Iterable[Event] = ()) -> DriverState:
        started = DriverStarted("host", 1, "local", {})
        self.logbook.append([*before, started])
        self.pool = self.make_pool(self.evaluator, self.script)
        self.pool.start()
        logbooks = {self.plan.name: self.logbook}
        world = Surroundings(
            self.pool,
            logbooks,
            self.clock,
            self.stop_reason,
            self.watcher,
            self.limits,
            self.checkpointing,
        )
        fleet = drive(Fleet.of(Member(self.plan, replay(self.plan, self.logbook.facts))), world)
        return fleet.members[self.plan.name].state


class OneByOne(ScriptedPool):
    """Its workers join one at a time, and some are still on their way after the first."""

    settled = False

    def start(self):
        super().start()
        self.joining, self._news = self._news, []

    def poll(self, timeout):
        if self.joining:
            self._news.append(self.joining.pop(0))
            self.settled = not self.joining
        return super().poll(timeout)
