"""What is asked of a fleet at every step, and costs what has changed since the last one: who is idle where, and what waits.

A survey is a memory of what follows from a fleet, and nothing else: it decides nothing, and of a fleet that it does not
know it looks at everything.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import assert_never

from evosearch.evaluation import FailureKind, TrialId
from evosearch.runtime.faults.policy import must_run_alone
from evosearch.runtime.machine.fold import DriverState
from evosearch.runtime.pool import Worker
from evosearch.runtime.scheduling.backlog import Backlog
from evosearch.runtime.scheduling.placement import Demand, Devices
from evosearch.storage import (
    Born,
    Completed,
    Dispatched,
    DriverStarted,
    Event,
    Extended,
    Failed,
    Finished,
    GenerationStarted,
    Interrupted,
    PrecisionResolved,
    ProcessorSeen,
    Recalled,
    Reopened,
    SearchCreated,
    Stopped,
    TestRead,
    TestReadingBegun,
    TestReadingFailed,
    VerdictReached,
)


@dataclass
class _Change:
    """What is to be looked at again of a search that came to another state."""

    state: DriverState
    """The newest."""
    trials: set[TrialId] = field(default_factory=set)
    """To which something happened, but for those that went to a worker or came from one."""
    workers: set[str] = field(default_factory=set)
    """Names of those that may do something else now."""


class Survey:
    """Of one fleet, from step to step."""

    def __init__(self) -> None:
        self.devices = Devices({})
        """And what their workers do."""
        self.backlog = Backlog()
        """The trials of searches that go on which wait for a worker; of equal ones the lowest number."""
        self._workers: Mapping[str, Worker] = {}
        self._excluded: Set[str] = frozenset()
        self._suspects: Set[tuple[str, TrialId]] = frozenset()
        self._seen: dict[str, DriverState] = {}
        self._changes: dict[str, _Change] = {}
        self._training: dict[str, set[TrialId]] = {}
        self._waiting: dict[str, dict[str, TrialId]] = {}

    def note(self, search: str, before: DriverState, after: DriverState, facts: Iterable[Event]) -> None:
        """`facts` led a search from one state to another."""
        change = self._changes.setdefault(search, _Change(before))
        if (
            change.state is not before
        ):  # something else led there: at the next look it is not the state that is found
            return
        change.state = after
        for fact in facts:
            trials, workers = _concerned(fact)
            change.trials.update(trials)
            change.workers.update(workers)

    def look(
        self,
        states: Mapping[str, DriverState],
        workers: Mapping[str, Worker],
        excluded: Set[str],
        suspects: Set[tuple[str, TrialId]] = frozenset(),
    ) -> None:
        """Know a fleet: the states of its searches, its workers by name, the nodes that are closed, and, as search and trial, what
        else must run alone: it came to be that with a fact about it.
        """
        self._suspects = suspects
        changes = {
            search: self._change(search, state)
            for search, state in states.items()
            if self._seen.get(search) is not state
        }
        if workers is not self._workers or excluded is not self._excluded:
            self._workers, self._excluded, self.devices = workers, excluded, Devices(workers, excluded)
            for search, state in states.items():
                self._give(search, state, state.running)
        for change in changes.values():  # all before any: one search may have freed what another one took
            for name in change.workers:
                self.devices.free(name)
        for search, change in changes.items():
            self._give(search, change.state, change.workers)
            self._queue(search, change)
            self._seen[search] = change.state

    def _change(self, search: str, state: DriverState) -> _Change:
        before, change = self._seen.get(search), self._changes.pop(search, None)
        if before is None:
            return _Change(state, set(state.open), set(state.running))
        turned = (before.progress.generation, before.halted) != (state.progress.generation, state.halted)
        turned |= before.precision is not state.precision  # it belongs to the keys
        if turned or change is None or change.state is not state:
            return _Change(state, {*before.open, *state.open}, {*before.running, *state.running})
        return change

    def _give(self, search: str, state: DriverState, workers: Iterable[str]) -> None:
        for name in workers:
            if (trial := state.running.get(name)) is not None:
                suspect = (search, trial) in self._suspects
                self.devices.give(
                    name, demand_of(state, trial, suspect=suspect) if trial in state.open else None
                )

    def _queue(self, search: str, change: _Change) -> None:
        state, before = change.state, self._seen.get(search, change.state)
        training = self._training.setdefault(search, set())
        left = {before.running[name] for name in change.workers if name in before.running}
        got = {state.running[name] for name in change.workers if name in state.running}
        training -= left
        training |= got
        concerned = change.trials | left | got
        opened = (
            states.open[trial] for trial in concerned for states in (before, state) if trial in states.open
        )
        keys, waiting = {one.key for one in opened}, self._waiting.setdefault(search, {})
        for key in keys:  # all before any: a trial may have another key than before
            if (former := waiting.pop(key, None)) is not None:
                self.backlog.discard(search, former)
        for key in keys:
            self._queue_first(search, state, key)

    def _queue_first(self, search: str, state: DriverState, key: str) -> None:
        """Of equal trials only the lowest number waits to be trained; the others wait for its fitness."""
        waiting, training = self._waiting[search], self._training[search]
        alike = () if state.halted else state.alike.get(key, ())
        if not alike or not training.isdisjoint(alike):
            return
        first = waiting[key] = min(alike, key=lambda trial: trial.place)
        one = state.open[first]
        early = one.trial.candidate.generation > state.progress.generation
        alone = (search, first) in self._suspects or is_alone(state, first)
        tier = 2 * (not alone) + early
        self.backlog.add(search, first, tier, one.size.work if one.size else None)


def _concerned(fact: Event) -> tuple[tuple[TrialId, ...], tuple[str, ...]]:
    """Trials that a fact says something of, and names of workers."""
    match fact:
        case Born():
            return (fact.trial.id,), ()
        case Dispatched() | Finished() | Failed():
            return (fact.trial,), (fact.worker,)
        case Recalled():
            return (fact.trial,), ()
        case Reopened():
            return tuple(fact.trials), ()
        case TestReadingBegun() | TestReadingFailed() | TestRead():
            return (), (fact.worker,) if fact.worker else ()
        case GenerationStarted() | VerdictReached() | Stopped() | Completed() | Interrupted():
            return (), ()
        case DriverStarted() | SearchCreated() | ProcessorSeen() | PrecisionResolved() | Extended():
            return (), ()
    assert_never(fact)


def demand_of(
    state: DriverState, trial: TrialId, shunned: tuple[str, ...] = (), *, suspect: bool = False
) -> Demand:
    """What an open trial asks of a device. `suspect`: as in `Fleet`."""
    size = state.open[trial].size
    doubtful = size is None or FailureKind.OUT_OF_MEMORY in state.failures.get(trial, ())
    holder = state.holders.get(trial.number, "")
    alone = suspect or is_alone(state, trial)
    return Demand(size.peak if size else 0, alone, doubtful, shunned, holder)


def is_alone(state: DriverState, trial: TrialId) -> bool:
    """Whether it must have its device for itself."""
    return trial in state.failures and must_run_alone(state.failures[trial])
