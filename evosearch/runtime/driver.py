"""The loop around the state machine: pool events in, commands executed, the journal kept alive."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from evosearch.errors import InterruptedSearchError, TooManyFailuresError
from evosearch.runtime.machine import Assign, Begun, Command, DriverEvent, Record, StopAsked, step
from evosearch.runtime.plan import Plan
from evosearch.runtime.pool import Ticket, WorkerPool
from evosearch.runtime.state import DriverState
from evosearch.runtime.watcher import Watcher
from evosearch.storage import Event, Interrupted, Stopped

HEARTBEAT_SECONDS = 5.0
POLL_SECONDS = 0.25
"""Longest wait for a pool event: a stop signal is seen at least this often."""


class Logbook(Protocol):
    """Where a driver writes: one search's journal under one term."""

    def append(self, facts: Sequence[Event]) -> None:
        """Make the facts durable, all or none.

        Raises:
            StaleTermError: a newer driver has taken the search over.
        """
        ...

    def beat(self) -> None:
        """Say that this driver is alive."""
        ...


@dataclass(frozen=True)
class Surroundings:
    """What the loop touches of the world. `clock`: monotonic seconds. `stop_reason`: the name of the signal that
    asked for a stop, None as long as none did.
    """

    pool: WorkerPool
    logbook: Logbook
    clock: Callable[[], float]
    stop_reason: Callable[[], str | None]
    watcher: Watcher


def drive(plan: Plan, state: DriverState, term: int, world: Surroundings) -> DriverState:
    """Run the search from `state` to its end on a pool that has been started; the caller closes the pool.

    Returns: the final state, the search complete.

    Raises:
        InterruptedSearchError: a stop was asked for; journaled, resumable.
        TooManyFailuresError: a failure budget of the whole search is spent; journaled, resumable.
        StaleTermError: a newer driver has taken the search over.
        CannotRunError: the pool cannot keep a single worker.
    """
    state = _advance(plan, state, term, world, Begun())
    beaten = world.clock()
    while not state.halted:
        if reason := world.stop_reason():
            state = _advance(plan, state, term, world, StopAsked(reason))
            break
        for event in world.pool.poll(POLL_SECONDS):
            state = _advance(plan, state, term, world, event)
        if world.clock() - beaten >= HEARTBEAT_SECONDS:
            world.logbook.beat()
            beaten = world.clock()
    return state


def _advance(
    plan: Plan, state: DriverState, term: int, world: Surroundings, event: DriverEvent
) -> DriverState:
    state, commands = step(plan, state, event)
    for command in commands:
        _execute(plan, state, term, world, command)
    return state


def _execute(plan: Plan, state: DriverState, term: int, world: Surroundings, command: Command) -> None:
    match command:
        case Record(facts):
            world.logbook.append(facts)
            world.watcher.observe(state, facts)
            _raise_if_ended(plan, facts)
        case Assign(worker, number, attempt, request):
            world.pool.submit(worker, Ticket(plan.name, term, number, attempt), request)


def _raise_if_ended(plan: Plan, facts: Sequence[Event]) -> None:
    for fact in facts:
        match fact:
            case Interrupted(reason):
                raise InterruptedSearchError(
                    f"{plan.name!r} was stopped by {reason}; `evosearch resume {plan.name}` goes on where it stood"
                )
            case Stopped(message):
                raise TooManyFailuresError(
                    f"{plan.name!r} stopped: {message}; mend the cause, then `evosearch resume {plan.name}` tries them again"
                )
            case _:
                pass
