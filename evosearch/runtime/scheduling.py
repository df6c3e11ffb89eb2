"""What is dispatched next, and in which order: longest first, one task per worker, alone where that is due."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop
from typing import TypeAlias

from evosearch.evaluation import FailureKind
from evosearch.runtime.costs import Timings
from evosearch.runtime.fleet import Fleet
from evosearch.runtime.policy import must_run_alone
from evosearch.runtime.pool import Worker
from evosearch.runtime.room import Need, Room
from evosearch.runtime.state import DriverState
from evosearch.search import Candidate

_Place: TypeAlias = tuple[bool, bool, float, int, str]
"""Not alone, early, minus seconds, number, search: the lowest is dispatched first."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A candidate to dispatch. `seconds`: predicted. `early`: it belongs to the next generation. `need`: of a device."""

    search: str
    candidate: Candidate
    seconds: float
    early: bool
    need: Need


def waiting(fleet: Fleet) -> Iterator[Waiting]:
    """What to dispatch, in order: what must run alone, then this generation's, then the longest, the lowest number.

    Of equal chromosomes of a search only the lowest number is trained; the others wait for its fitness. Only as much
    is sorted as is taken: thousands may wait for one free worker.
    """
    timings = sum((member.state.timings for member in fleet.members.values()), Timings())
    queue = [place for name in fleet.members for place in _places(fleet, name, timings)]
    heapify(queue)
    while queue:
        yield _at(fleet, heappop(queue))


def assignments(fleet: Fleet) -> tuple[tuple[Worker, Waiting], ...]:
    """What to dispatch now, each to a free worker; `Room` decides which of them suits it."""
    room = Room(fleet, _alone_on(fleet))
    chosen: list[tuple[Worker, Waiting]] = []
    for one in waiting(fleet) if room.open else ():
        worker = room.take(one.need)
        if worker is not None:
            chosen.append((worker, one))
        if not room.open:
            break
    return tuple(chosen)


def _places(fleet: Fleet, name: str, timings: Timings) -> Iterator[_Place]:
    state = fleet.members[name].state
    if state.halted:
        return
    predict, generation = timings.predictor(), state.search.generation
    first = _first_of_equals(state)
    for chromosome in {state.open[n].chromosome for n in state.running.values() if n in state.open}:
        del first[chromosome]
    for number in first.values():
        early = state.open[number].generation > generation
        yield not _is_alone(state, number), early, -predict(state.sizes[number].work), number, name


def _first_of_equals(state: DriverState) -> dict[object, int]:
    return {state.open[number].chromosome: number for number in sorted(state.open, reverse=True)}


def _at(fleet: Fleet, place: _Place) -> Waiting:
    _, early, minus_seconds, number, name = place
    state = fleet.members[name].state
    need = _need(state, number, fleet.shunned.get((name, number), ()))
    return Waiting(name, state.open[number], -minus_seconds, early, need)


def _need(state: DriverState, number: int, shunned: tuple[str, ...] = ()) -> Need:
    doubtful = FailureKind.OUT_OF_MEMORY in state.failures.get(number, ())
    return Need(state.sizes[number].peak, _is_alone(state, number), doubtful, shunned)


def _is_alone(state: DriverState, number: int) -> bool:
    return number in state.failures and must_run_alone(state.failures[number])


def _alone_on(fleet: Fleet) -> Mapping[str, Need]:
    """What runs, by worker name."""
    return {
        worker: _need(state, number)
        for state in (member.state for member in fleet.members.values())
        for worker, number in state.running.items()
        if number in state.open
    }
