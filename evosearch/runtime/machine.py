"""The driver as a state machine: `step(plan, state, event) -> (state, commands)`, without I/O, clock or chance.

Read `step` first: an event is turned into facts; the facts change the state by the same fold that a replay
uses; what then becomes possible (a new generation, a remembered fitness, a dispatch) follows at once. Commands are
to be executed in order: a fact is durable before anything that rests on it happens.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from evosearch.evaluation import EvaluationRequest, Failure, FailureKind, Success
from evosearch.runtime.plan import Plan
from evosearch.runtime.policy import FIRST_ERRORS, POLICIES, REOPENED, is_spent
from evosearch.runtime.pool import PoolEvent, TaskDone, Worker, WorkerJoined, WorkerLeft
from evosearch.runtime.scheduling import assignments
from evosearch.runtime.state import DriverState, evolve
from evosearch.storage import (
    Born,
    Completed,
    Dispatched,
    Event,
    Failed,
    Finished,
    GenerationStarted,
    Interrupted,
    Recalled,
    Reopened,
    Stopped,
)


@dataclass(frozen=True)
class Begun:
    """The driver holds the search, and its state is replayed."""


@dataclass(frozen=True)
class StopAsked:
    """A signal asked the search to stop; `reason` is its name."""

    reason: str


@dataclass(frozen=True)
class Record:
    """Write these facts to the journal in one transaction."""

    facts: tuple[Event, ...]


@dataclass(frozen=True)
class Assign:
    """Give `worker` attempt `attempt` at candidate `number`."""

    worker: Worker
    number: int
    attempt: int
    request: EvaluationRequest


DriverEvent: TypeAlias = Begun | StopAsked | PoolEvent
Command: TypeAlias = Record | Assign


def step(plan: Plan, state: DriverState, event: DriverEvent) -> tuple[DriverState, tuple[Command, ...]]:
    """The state after `event`, and what to do about it."""
    if state.halted:  # whatever still arrives is trained again on resume
        return state, ()
    facts: list[Event] = []
    state = _with_workers(state, event)
    for fact in _facts(state, event):
        facts.append(fact)
        state = evolve(plan, state, fact)
    while not state.halted and (news := _next_facts(plan, state)):
        facts += news
        for fact in news:
            state = evolve(plan, state, fact)
    assigned: list[Assign] = []
    for worker, candidate in () if state.halted else assignments(plan, state):
        dispatched = Dispatched(candidate.number, state.attempts.get(candidate.number, 0) + 1, worker.name)
        facts.append(dispatched)
        state = evolve(plan, state, dispatched)
        request = plan.request(candidate.chromosome)
        assigned.append(Assign(worker, candidate.number, dispatched.attempt, request))
    return state, (*((Record(tuple(facts)),) if facts else ()), *assigned)


def _with_workers(state: DriverState, event: DriverEvent) -> DriverState:
    match event:
        case WorkerJoined(worker):
            return replace(state, workers={**state.workers, worker.name: worker})
        case WorkerLeft(worker):
            return replace(state, workers={n: w for n, w in state.workers.items() if n != worker.name})
        case _:
            return state


def _facts(state: DriverState, event: DriverEvent) -> Iterator[Event]:
    """What `event` alone makes true."""
    match event:
        case Begun():
            yield from _reopen(state)
        case StopAsked(reason):
            yield Interrupted(reason)
        case TaskDone(worker, ticket, result):
            # A result that nobody waits for any more (its driver stopped, its attempt was given up) changes nothing.
            if (
                state.running.get(worker.name) != ticket.number
                or state.attempts.get(ticket.number) != ticket.attempt
            ):
                return
            if isinstance(result, Success):
                yield Finished(ticket.number, ticket.attempt, worker.name, result)
            elif isinstance(result, Failure):
                yield from _failure(state, ticket.number, worker, result)
        case WorkerLeft(worker, kind, message) if worker.name in state.running:
            yield from _failure(state, state.running[worker.name], worker, Failure(kind, message))


def _failure(state: DriverState, number: int, worker: Worker, failure: Failure) -> Iterator[Event]:
    kinds = (*state.failures.get(number, ()), failure.kind)
    spent = is_spent(kinds)
    reason = _reason_to_stop(state, number, kinds) if spent else None
    # The failure that stops a search is not final: no fitness is invented, and a resume tries it again.
    yield Failed(number, state.attempts[number], worker.name, failure, final=spent and reason is None)
    if reason is not None:
        yield Stopped(f"{reason}; the last one: {failure.message}")


def _reason_to_stop(state: DriverState, number: int, kinds: tuple[FailureKind, ...]) -> str | None:
    if POLICIES[kinds[-1]].stops:
        return f"candidate {number} lost its worker {kinds.count(kinds[-1])} times"
    first = min(FIRST_ERRORS, len(state.search.members))
    if kinds[-1] is FailureKind.ERROR and state.errors == state.concluded == first - 1:
        return f"the first {first} evaluations all ended as error"
    return None


def _reopen(state: DriverState) -> Iterator[Event]:
    """After exit 5, what may succeed now is opened anew: such failed members, and what is open with failures."""
    scores = state.search.scores
    failed = [
        m.number for m in state.search.members if m.number in scores and scores[m.number].failure in REOPENED
    ]
    open_again = [number for number, kinds in state.failures.items() if REOPENED & set(kinds)]
    if state.stopped and (failed or open_again):
        yield Reopened(tuple(sorted({*failed, *open_again})))


def _next_facts(plan: Plan, state: DriverState) -> tuple[Event, ...]:
    """What follows from the state itself: a generation to announce, a fitness to recall, or the end."""
    if state.search.generation > state.announced:
        born = (
            Born(candidate, blueprint.parameters, blueprint.flops)
            for candidate in plan.strategy.ask(state.search)
            if candidate.number not in state.open
            for blueprint in (plan.blueprint(candidate),)
        )
        members = tuple(member.number for member in state.search.members)
        return (*born, GenerationStarted(state.search.generation, members))
    recalled = tuple(
        Recalled(number, state.remembered[candidate.chromosome][0])
        for number, candidate in sorted(state.open.items())
        if candidate.chromosome in state.remembered and number not in state.running.values()
    )
    if recalled:
        return recalled
    best = state.search.best_with_members()
    if plan.strategy.finished(state.search):
        return (Completed(best[0].number if best else None),)
    return ()
