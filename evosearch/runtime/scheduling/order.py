"""What is dispatched next, and in which order: longest first, one task per worker, alone where that is due."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop
from typing import TypeAlias

from evosearch.evaluation import FailureKind, Trial, TrialId
from evosearch.runtime.faults.policy import must_run_alone
from evosearch.runtime.machine.fleet import Fleet
from evosearch.runtime.machine.fold import DriverState
from evosearch.runtime.pool import Worker
from evosearch.runtime.scheduling.costs import Timings
from evosearch.runtime.scheduling.placement import Demand, FreeDevices

_Place: TypeAlias = tuple[bool, bool, float, tuple[int, float], str]
"""Not alone, early, minus seconds, trial, search: the lowest is dispatched first."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A trial to dispatch."""

    search: str
    """Whose trial it is."""
    trial: Trial
    """Which one."""
    seconds: float
    """Predicted; infinite where nothing is known."""
    early: bool
    """It belongs to the next generation."""
    need: Demand
    """What it asks of a device."""


def waiting(fleet: Fleet) -> Iterator[Waiting]:
    """What to dispatch, in order: what must run alone, then this generation's, then the longest, the lowest number.

    Of equal trials of a search only the lowest number is trained; the others wait for its fitness. Only as much
    is sorted as is taken: thousands may wait for one free worker.
    """
    timings = sum((member.state.timings for member in fleet.members.values()), Timings())
    queue = [place for name in fleet.members for place in _places(fleet, name, timings)]
    heapify(queue)
    while queue:
        yield _at(fleet, heappop(queue))


def assignments(fleet: Fleet) -> tuple[tuple[Worker, Waiting], ...]:
    """What to dispatch now, each to a free worker; `FreeDevices` decides which of them suits it."""
    free = FreeDevices(fleet, _running_demands(fleet))
    chosen: list[tuple[Worker, Waiting]] = []
    for one in waiting(fleet) if free.open else ():
        worker = free.take(one.need)
        if worker is not None:
            chosen.append((worker, one))
        if not free.open:
            break
    return tuple(chosen)


def readings(fleet: Fleet) -> Iterator[tuple[Worker, str, TrialId]]:
    """Trained networks that may read the test split now, each with a free worker.

    A reading follows its training to the same machine, where its weights are. Anyone may read where all machines reach
    them, and where that machine is not there: then they are on a disk that it may share, or the reading fails and says so.
    What must run alone on its device is not disturbed.
    """
    busy = set(fleet.running)
    alone = {
        fleet.workers[name].device
        for name, need in _running_demands(fleet).items()
        if need.alone and name in fleet.workers
    }
    idle = (worker for name, worker in sorted(fleet.workers.items()) if name not in busy)
    free = [worker for worker in idle if worker.device not in alone]
    nodes = {worker.node for worker in fleet.workers.values()}
    for name, member in fleet.members.items():
        state, shared = member.state, member.plan.reader is not None and member.plan.reader.shared
        waiting = () if state.halted else state.unread.keys() - set(state.running.values())
        for trial in sorted(waiting, key=lambda one: one.place):
            node = state.unread[trial].node
            anywhere = shared or node not in nodes
            worker = next((one for one in free if anywhere or one.node == node), None)
            if worker is not None:
                free.remove(worker)
                yield worker, name, trial


def _places(fleet: Fleet, name: str, timings: Timings) -> Iterator[_Place]:
    state = fleet.members[name].state
    if state.halted:
        return
    predict, generation = timings.predictor(), state.progress.generation
    first = _first_of_equals(state)
    for key in {state.open[trial].key for trial in state.running.values() if trial in state.open}:
        del first[key]
    for trial in first.values():
        one = state.open[trial]
        early = one.trial.candidate.generation > generation
        seconds = float("inf") if one.size is None else predict(one.size.work)
        yield not _is_alone(state, trial), early, -seconds, trial.place, name


def _first_of_equals(state: DriverState) -> dict[str, TrialId]:
    return {
        state.open[trial].key: trial
        for trial in sorted(state.open, key=lambda trial: trial.place, reverse=True)
    }


def _at(fleet: Fleet, place: _Place) -> Waiting:
    _, early, minus_seconds, (number, until), name = place
    state, trial = fleet.members[name].state, TrialId(number, None if until == float("inf") else int(until))
    need = _need(state, trial, fleet.shunned.get((name, trial), ()))
    return Waiting(name, state.open[trial].trial, -minus_seconds, early, need)


def _need(state: DriverState, trial: TrialId, shunned: tuple[str, ...] = ()) -> Demand:
    size = state.open[trial].size
    doubtful = size is None or FailureKind.OUT_OF_MEMORY in state.failures.get(trial, ())
    return Demand(size.peak if size else 0, _is_alone(state, trial), doubtful, shunned)


def _is_alone(state: DriverState, trial: TrialId) -> bool:
    return trial in state.failures and must_run_alone(state.failures[trial])


def _running_demands(fleet: Fleet) -> Mapping[str, Demand]:
    """What runs, by worker name."""
    return {
        worker: _need(state, trial)
        for state in (member.state for member in fleet.members.values())
        for worker, trial in state.running.items()
        if trial in state.open
    }
