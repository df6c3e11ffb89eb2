"""What is dispatched next, and in which order: longest first, one task per worker, alone where that is due."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from evosearch.evaluation import Trial, TrialId
from evosearch.runtime.machine.fleet import Fleet
from evosearch.runtime.pool import Worker
from evosearch.runtime.scheduling.backlog import Backlog
from evosearch.runtime.scheduling.costs import Timings
from evosearch.runtime.scheduling.placement import Demand, FreeDevices
from evosearch.runtime.scheduling.survey import demand_of


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
    return _ranked(fleet, fleet.surveyed().backlog)


def _ranked(fleet: Fleet, backlog: Backlog) -> Iterator[Waiting]:
    timings = Timings.of_all([member.state.timings for member in fleet.members.values()])
    for tier, minus_seconds, _, search, trial in backlog.ranked(timings):
        state = fleet.members[search].state
        name = search, trial
        need = demand_of(state, trial, fleet.shunned.get(name, ()), suspect=name in fleet.suspects)
        yield Waiting(search, state.open[trial].trial, -minus_seconds, tier % 2 == 1, need)


def assignments(fleet: Fleet) -> tuple[tuple[Worker, Waiting], ...]:
    """What to dispatch now, each to a free worker; `FreeDevices` decides which of them suits it. What waited at a rung goes to
    the worker that brought it there, and to others only where they have nothing else to do.
    """
    survey = fleet.surveyed()
    if not survey.backlog or not survey.devices.with_idle:
        return ()
    free = FreeDevices(survey.devices)
    chosen: list[tuple[Worker, Waiting]] = []
    held: list[Waiting] = []
    for one in _ranked(fleet, survey.backlog) if free.open else ():
        is_held = survey.devices.has(one.need.holder)
        worker = (free.take_holder if is_held else free.take)(one.need)
        if worker is not None:
            chosen.append((worker, one))
        elif is_held:
            held.append(one)
        if not free.open:
            break
    # begun again elsewhere it takes longer than where it is, but who would do it has nothing else to do
    for one in held:
        worker = free.take(one.need) if free.open else None
        if worker is not None:
            chosen.append((worker, one))
    return tuple(chosen)


def readings(fleet: Fleet) -> Iterator[tuple[Worker, str, TrialId]]:
    """Trained networks that may read the test split now, each with a free worker.

    A reading follows its training to the same machine, where its weights are. Anyone may read where all machines reach
    them, and where that machine is not there: then they are on a disk that it may share, or the reading fails and says so.
    What must run alone on its device is not disturbed.
    """
    if not any(member.state.unread and not member.state.halted for member in fleet.members.values()):
        return
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


def _running_demands(fleet: Fleet) -> Mapping[str, Demand]:
    """What runs, by worker name."""
    return {
        worker: demand_of(member.state, trial, suspect=(name, trial) in fleet.suspects)
        for name, member in fleet.members.items()
        for worker, trial in member.state.running.items()
        if trial in member.state.open
    }
