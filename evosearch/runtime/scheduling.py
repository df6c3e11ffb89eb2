"""Which free worker takes which candidate: longest first, one task per worker, alone where that is due."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from evosearch.runtime.costs import Timings
from evosearch.runtime.fleet import Fleet
from evosearch.runtime.policy import must_run_alone
from evosearch.runtime.pool import Worker
from evosearch.search import Candidate

CONTEXT = 768 * 2**20
"""Bytes that a process takes of a GPU before it has a network: CUDA's context, kernels, workspaces."""


@dataclass(frozen=True)
class Waiting:
    """A candidate to dispatch. `seconds`: predicted. `alone`: after what happened to it. `peak`: bytes, predicted.
    `early`: it belongs to the next generation. `shunned`: nodes on which it lost a worker.
    """

    search: str
    candidate: Candidate
    seconds: float
    alone: bool
    peak: int
    early: bool
    shunned: frozenset[str] = frozenset()


def waiting(fleet: Fleet) -> list[Waiting]:
    """What to dispatch, in order: what must run alone, then this generation's, then the longest, the lowest number.

    Of equal chromosomes of a search only the lowest number is trained; the others wait for its fitness.
    """
    timings = sum((member.state.timings for member in fleet.members.values()), Timings())
    found = [one for name in fleet.members for one in _of_search(fleet, name, timings)]
    return sorted(found, key=lambda w: (not w.alone, w.early, -w.seconds, w.candidate.number))


def assignments(fleet: Fleet) -> tuple[tuple[Worker, Waiting], ...]:
    """What to dispatch now.

    A candidate that must run alone waits until every worker of one device is free, and that device takes
    nothing else until it has ended: the others' wait is what "alone" costs. So does one whose predicted peak does not
    fit the share of any worker: it is not rejected, the prediction may be wrong.
    """
    busy = fleet.running
    idle = tuple(
        w for n, w in sorted(fleet.workers.items()) if n not in busy and w.node not in fleet.excluded
    )
    if not idle:
        return ()
    shares = _shares(fleet)
    closed = frozenset(_closed_devices(fleet, busy, shares))
    taken = frozenset(fleet.workers[name].device for name in busy if name in fleet.workers)
    room = _Room(tuple(worker for worker in idle if worker.device not in closed), taken, shares)
    chosen: list[tuple[Worker, Waiting]] = []
    for one in waiting(fleet) if room.idle else ():
        room, worker = room.take(one)
        if worker is not None:
            chosen.append((worker, one))
        if not room.idle:
            break
    return tuple(chosen)


@dataclass(frozen=True)
class _Room:
    """Where there is room: `idle` workers, on no device that is closed. `taken`: devices on which something runs.
    `shares`: bytes that each worker of a device may use. `keeps_clear`: a device is already kept clear for one that
    must run alone.
    """

    idle: tuple[Worker, ...]
    taken: frozenset[str]
    shares: Mapping[str, float]
    keeps_clear: bool = False

    def take(self, one: Waiting) -> tuple["_Room", Worker | None]:
        """The room that is left, and the worker for `one`; None where it has to wait."""
        fits = [worker for worker in self.idle if one.peak <= self.shares[worker.device]]
        if fits and not one.alone:
            worker = min(fits, key=lambda worker: worker.node in one.shunned)  # elsewhere first
            idle = tuple(other for other in self.idle if other != worker)
            return replace(self, idle=idle, taken=self.taken | {worker.device}), worker
        return self._whole_device()

    def _whole_device(self) -> tuple["_Room", Worker | None]:
        """The largest idle device; where none is idle, one is kept clear, but never a second one."""
        largest_first = sorted(self.idle, key=lambda worker: -(worker.memory or 0))
        for worker in largest_first:
            if worker.device not in self.taken:
                return self._without(worker.device), worker
        if self.keeps_clear:
            return self, None
        return replace(self._without(largest_first[0].device), keeps_clear=True), None

    def _without(self, device: str) -> "_Room":
        return replace(self, idle=tuple(worker for worker in self.idle if worker.device != device))


def _of_search(fleet: Fleet, name: str, timings: Timings) -> Iterator[Waiting]:
    state = fleet.members[name].state
    if state.halted:
        return
    first: dict[object, int] = {}
    for number in sorted(state.open):
        first.setdefault(state.open[number].chromosome, number)
    running = {state.open[n].chromosome for n in state.running.values() if n in state.open}
    for chromosome, number in first.items():
        if chromosome not in running:
            candidate = state.open[number]
            yield Waiting(
                name,
                candidate,
                timings.predict(state.sizes[number].work),
                number in state.failures and must_run_alone(state.failures[number]),
                state.sizes[number].peak,
                candidate.generation > state.search.generation,
                fleet.shunned.get((name, number), frozenset()),
            )


def _closed_devices(
    fleet: Fleet, running: Mapping[str, tuple[str, int]], shares: Mapping[str, float]
) -> Iterator[str]:
    """Those on which something runs alone."""
    for name, (search, number) in running.items():
        worker, member = fleet.workers.get(name), fleet.members[search]
        if worker is None or number not in member.state.open:
            continue
        failures = member.state.failures.get(number)
        crowded = worker.memory is not None and member.state.sizes[number].peak > shares[worker.device]
        if crowded or (failures and must_run_alone(failures)):
            yield worker.device


def _shares(fleet: Fleet) -> dict[str, float]:
    """Bytes of each device that one worker may use while its siblings there do the same."""
    siblings = Counter(worker.device for worker in fleet.workers.values())
    return {
        worker.device: float("inf")
        if worker.memory is None
        else worker.memory / siblings[worker.device] - CONTEXT
        for worker in fleet.workers.values()
    }
