"""Which free worker takes which candidate: longest first, one task per worker, alone where that is due."""

from collections.abc import Iterator, Sequence
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
    `early`: it belongs to the next generation.
    """

    search: str
    candidate: Candidate
    seconds: float
    alone: bool
    peak: int
    early: bool


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
    running = fleet.running
    if not any(name not in running and w.node not in fleet.excluded for name, w in fleet.workers.items()):
        return ()
    room = _Room(fleet, frozenset(running), frozenset(_closed_devices(fleet)))
    chosen: list[tuple[Worker, Waiting]] = []
    for one in waiting(fleet):
        if not room.idle:
            break
        room, worker = room.take(one)
        if worker is not None:
            chosen.append((worker, one))
    return tuple(chosen)


@dataclass(frozen=True)
class _Room:
    """Where there is room. `closed`: devices on which one runs alone, or that are kept clear for one that shall."""

    fleet: Fleet
    busy: frozenset[str]
    closed: frozenset[str]
    keeps_clear: bool = False

    @property
    def idle(self) -> Sequence[Worker]:
        return [
            worker
            for name, worker in sorted(self.fleet.workers.items())
            if name not in self.busy
            and worker.device not in self.closed
            and worker.node not in self.fleet.excluded
        ]

    def take(self, one: Waiting) -> tuple["_Room", Worker | None]:
        """The room that is left, and the worker for `one`; None where it has to wait."""
        fitting = () if one.alone else [w for w in self.idle if one.peak <= _share(self.fleet, w)]
        if fitting:
            worker = fitting[0]
            return replace(self, busy=self.busy | {worker.name}), worker
        return self._whole_device()

    def _whole_device(self) -> tuple["_Room", Worker | None]:
        """The largest idle device; where none is idle, one is kept clear, but never a second one."""
        taken = {self.fleet.workers[name].device for name in self.busy if name in self.fleet.workers}
        largest_first = sorted(self.idle, key=lambda worker: -(worker.memory or 0))
        for worker in largest_first:
            if worker.device not in taken:
                closed = self.closed | {worker.device}
                return replace(self, busy=self.busy | {worker.name}, closed=closed), worker
        if self.keeps_clear:
            return self, None
        return replace(self, closed=self.closed | {largest_first[0].device}, keeps_clear=True), None


def _of_search(fleet: Fleet, name: str, timings: Timings) -> Iterator[Waiting]:
    plan, state = fleet.members[name].plan, fleet.members[name].state
    if state.halted:
        return
    first: dict[object, int] = {}
    for number in sorted(state.open):
        first.setdefault(state.open[number].chromosome, number)
    running = set(state.running.values())
    for number in first.values():
        if number not in running:
            candidate = state.open[number]
            yield Waiting(
                name,
                candidate,
                timings.predict(plan.work(candidate)),
                must_run_alone(state.failures.get(number, ())),
                plan.peak(candidate),
                candidate.generation > state.search.generation,
            )


def _closed_devices(fleet: Fleet) -> Iterator[str]:
    for name, (search, number) in fleet.running.items():
        member = fleet.members[search]
        worker = fleet.workers.get(name)
        if worker is None:
            continue
        peak = member.plan.peak(member.state.open[number])
        if must_run_alone(member.state.failures.get(number, ())) or peak > _share(fleet, worker):
            yield worker.device


def _share(fleet: Fleet, worker: Worker) -> float:
    """Bytes of its device that a worker may use while its siblings there do the same."""
    if worker.memory is None:
        return float("inf")
    siblings = sum(other.device == worker.device for other in fleet.workers.values())
    return worker.memory / max(1, siblings) - CONTEXT
