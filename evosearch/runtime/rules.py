"""What an event makes true in one search, and what follows from its state: facts, in the order they became true."""

from collections.abc import Iterator

from evosearch.evaluation import Failure, FailureKind, Success
from evosearch.runtime.plan import Plan
from evosearch.runtime.policy import (
    FIRST_ERRORS,
    POLICIES,
    REOPENED,
    is_spent,
    too_many_failed,
)
from evosearch.runtime.pool import TaskDone, Worker, WorkerLeft
from evosearch.runtime.state import DriverState
from evosearch.search import Candidate
from evosearch.storage import (
    Born,
    Completed,
    Event,
    Failed,
    Finished,
    GenerationStarted,
    Recalled,
    Reopened,
    Stopped,
)


def told(state: DriverState, event: TaskDone | WorkerLeft) -> Iterator[Event]:
    """What a pool's `event` makes true in a search; nothing where it concerns none of what runs here."""
    match event:
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
        case WorkerLeft(worker, kind, message, node_lost) if worker.name in state.running:
            failure = Failure(kind, message, node_lost=node_lost)
            yield from _failure(state, state.running[worker.name], worker, failure)


def reopened(state: DriverState) -> Iterator[Event]:
    """After exit 5, what may succeed now is opened anew: candidates that failed so, and open ones with failures."""
    failed = [number for number, score in state.search.scores.items() if score.failure in REOPENED]
    open_again = [number for number, kinds in state.failures.items() if REOPENED & set(kinds)]
    if state.stopped and (failed or open_again):
        yield Reopened(tuple(sorted({*failed, *open_again})))


def follows(plan: Plan, state: DriverState) -> tuple[Event, ...]:
    """What follows from the state itself: a generation to announce, a fitness to recall, or the end."""
    if state.search.generation > state.announced:
        members = tuple(member.number for member in state.search.members)
        born = _births(plan, state, plan.strategy.ask(state.search))
        # Too many of its immigrants may have failed already, when they were trained early.
        reason = _too_many(state, _failed(state))
        stopped = (Stopped(reason),) if reason else ()
        return (*born, GenerationStarted(state.search.generation, members), *stopped)
    known = [number for number, one in state.open.items() if one.chromosome in state.remembered]
    if recalled := sorted(set(known) - set(state.running.values())):
        return tuple(Recalled(n, state.remembered[state.open[n].chromosome][0]) for n in recalled)
    best = state.search.best_with_members()
    if plan.strategy.finished(state.search):
        return (Completed(best[0].number if best else None),)
    return ()


def early_births(plan: Plan, state: DriverState) -> tuple[Event, ...]:
    """The next generation's immigrants, to be trained while this one drains; none where they are born already."""
    return _births(plan, state, plan.strategy.ask(state.search, early=True))


def _births(plan: Plan, state: DriverState, candidates: tuple[Candidate, ...]) -> tuple[Event, ...]:
    return tuple(
        Born(candidate, blueprint.parameters, blueprint.flops)
        for candidate in candidates
        if candidate.number not in state.open
        for blueprint in (plan.blueprint(candidate),)
    )


def _failure(state: DriverState, number: int, worker: Worker, failure: Failure) -> Iterator[Event]:
    kinds = (*state.failures.get(number, ()), failure.kind)
    # Nodes come and go, preempted ones by the dozen: however often that hits one candidate, it says nothing about it.
    spent = is_spent(kinds) and not failure.node_lost
    reason = _reason_to_stop(state, number, kinds) if spent else None
    # The failure that stops a search is not final: no fitness is invented, and a resume tries it again.
    yield Failed(number, state.attempts[number], worker.name, failure, final=spent and reason is None)
    if reason is not None:
        yield Stopped(f"{reason}; the last one: {failure.message}")


def _reason_to_stop(state: DriverState, number: int, kinds: tuple[FailureKind, ...]) -> str | None:
    if POLICIES[kinds[-1]].stops:
        return f"candidate {number} lost its worker {kinds.count(kinds[-1])} times"
    if kinds[-1] not in REOPENED:
        return None
    size = len(state.search.members)
    first = min(FIRST_ERRORS, size)
    if kinds[-1] is FailureKind.ERROR and state.errors == state.concluded == first - 1:
        return f"the first {first} evaluations all ended as error"
    # An early immigrant is judged with its own generation: else the number of workers would decide.
    is_member = any(member.number == number for member in state.search.members)
    return _too_many(state, _failed(state) + 1) if is_member else None


def _failed(state: DriverState) -> int:
    """Of this generation's own: what an elite failed of was judged with the generation it was born into."""
    own = (member for member in state.search.members if member.generation == state.search.generation)
    scores = (state.search.scores.get(member.number) for member in own)
    return sum(score is not None and score.failure in REOPENED for score in scores)


def _too_many(state: DriverState, failed: int) -> str | None:
    size = len(state.search.members)
    if not too_many_failed(failed, size):
        return None
    return f"{failed} of generation {state.search.generation}'s {size} failed as error or crashed"
