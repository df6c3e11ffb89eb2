"""The driver's state, and how each fact changes it. A live driver and a replay go through the same fold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from evosearch.errors import JournalError
from evosearch.evaluation import FailureKind
from evosearch.genome import Chromosome
from evosearch.runtime.costs import Timings
from evosearch.runtime.plan import Plan, Size
from evosearch.search import Candidate, Score, SearchState
from evosearch.storage import (
    Born,
    Completed,
    Dispatched,
    DriverStarted,
    Event,
    Failed,
    Finished,
    GenerationStarted,
    Interrupted,
    Recalled,
    Reopened,
    Stopped,
)

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True)
class DriverState:
    """All that decides what a driver does next.

    The durable part is a fold of the journal. `search`: the strategy's. `announced`: the newest generation whose
    population is journaled, -1 before the first. `open`: candidates that are born and have no score, by number.
    `sizes`: what each of these has to do and to hold. `attempts`: dispatches by number, of candidates without a fitness. `failures`: failed attempts in order, of
    open ones, but for those that went with their node.
    `ended`: evaluations that have ended, in whatever way. `timings`: what finished ones took. `remembered`: the number that finished each chromosome, with its fitness. `concluded` and `errors`: how many
    evaluations ended in training, and how many of them in a final `error`.

    `halted`: the newest driver has ended or is ending the search; `stopped`: it did so because too many
    evaluations failed.

    `running`: candidate number by worker name, of the newest driver.
    """

    search: SearchState
    announced: int = -1
    open: Mapping[int, Candidate] = field(default_factory=dict)
    sizes: Mapping[int, Size] = field(default_factory=dict)
    attempts: Mapping[int, int] = field(default_factory=dict)
    failures: Mapping[int, tuple[FailureKind, ...]] = field(default_factory=dict)
    remembered: Mapping[Chromosome, tuple[int, float]] = field(default_factory=dict)
    ended: int = 0
    timings: Timings = field(default_factory=Timings)
    concluded: int = 0
    errors: int = 0
    halted: bool = False
    stopped: bool = False
    running: Mapping[str, int] = field(default_factory=dict)


def replay(plan: Plan, facts: Iterable[Event]) -> DriverState:
    """The state that `facts`, all events of a search in order, lead to.

    Raises:
        JournalError: the facts are not what this version's strategy leads to.
    """
    state = DriverState(plan.strategy.start())
    for fact in facts:
        state = evolve(plan, state, fact)
    early = {c.number: c for c in state.open.values() if c.generation > state.search.generation}
    if (
        early
        and not early.items() <= {c.number: c for c in plan.strategy.ask(state.search, early=True)}.items()
    ):
        raise _bred_otherwise(plan, state.search.generation + 1)
    return state


def evolve(plan: Plan, state: DriverState, fact: Event) -> DriverState:
    """The state after `fact`; facts that decide nothing leave it as it is.

    `Completed` may stand twice: a driver that was about to take the search from one that was just ending it finds
    nothing to do, and says so again. The second one changes nothing.
    """
    match fact:
        case DriverStarted():
            return replace(state, running={}, halted=False)
        case Born(candidate):
            return _born(plan, state, candidate)
        case GenerationStarted():
            return _announced(plan, state, fact)
        case Dispatched(number, attempt, worker):
            attempts = {**state.attempts, number: attempt}
            return replace(state, attempts=attempts, running={**state.running, worker: number})
        case Finished(number, _, worker, success):
            candidate = state.open[number]
            remembered = {**state.remembered, candidate.chromosome: (number, success.fitness)}
            timings = state.timings.with_one(state.sizes[number].work, success.seconds)
            freed = replace(_freed(state, worker), remembered=remembered, timings=timings)
            return _closed(plan, freed, number, Score(fitness=success.fitness), trained=True)
        case Recalled(number):
            _, fitness = state.remembered[state.open[number].chromosome]
            return _closed(plan, state, number, Score(fitness=fitness))
        case Failed(number, _, worker, failure, final):
            freed = _freed(state, worker)
            if final:
                return _closed(plan, freed, number, Score(failure=failure.kind), trained=True)
            return freed if failure.node_lost else _failed(freed, number, failure.kind)
        case Reopened(numbers):
            return _reopened(plan, state, frozenset(numbers))
        case Interrupted() | Completed():
            return replace(state, halted=True)
        case Stopped():
            return replace(state, halted=True, stopped=True)
        case _:
            return state


def _born(plan: Plan, state: DriverState, candidate: Candidate) -> DriverState:
    sizes = {**state.sizes, candidate.number: plan.size(candidate)}
    return replace(state, open={**state.open, candidate.number: candidate}, sizes=sizes)


def _announced(plan: Plan, state: DriverState, fact: GenerationStarted) -> DriverState:
    expected = state.search.generation, tuple(member.number for member in state.search.members)
    asked = plan.strategy.ask(state.search)
    born = tuple(state.open.get(candidate.number) for candidate in asked)
    if expected != (fact.generation, fact.members) or born != asked:
        raise _bred_otherwise(plan, fact.generation)
    return replace(state, announced=fact.generation)


def _bred_otherwise(plan: Plan, generation: int) -> JournalError:
    return JournalError(
        f"this version of evosearch would breed another generation {generation} than the journal of "
        f"{plan.name!r} holds; resume with the version that began it, or begin anew under another name"
    )


def _closed(
    plan: Plan, state: DriverState, number: int, score: Score, *, trained: bool = False
) -> DriverState:
    return replace(
        state,
        search=plan.strategy.tell(state.search, {number: score}),
        open=_without(state.open, {number}),
        sizes=_without(state.sizes, {number}),
        attempts=state.attempts if score.failure else _without(state.attempts, {number}),
        failures=_without(state.failures, {number}),
        ended=state.ended + 1,
        concluded=state.concluded + trained,
        errors=state.errors + (score.failure is FailureKind.ERROR),
    )


def _failed(state: DriverState, number: int, kind: FailureKind) -> DriverState:
    failures = (*state.failures.get(number, ()), kind)
    return replace(state, failures={**state.failures, number: failures})


def _reopened(plan: Plan, state: DriverState, numbers: frozenset[int]) -> DriverState:
    """Scores and failures are forgotten; attempts are not, so that each keeps a number of its own."""
    search = state.search.without_scores(numbers)
    again = {c.number: c for c in plan.strategy.ask(search, early=True) if c.number in numbers}
    undone = [state.search.scores[number] for number in numbers if number in state.search.scores]
    return replace(
        state,
        search=search,
        open={**state.open, **again},
        sizes={**state.sizes, **{number: plan.size(c) for number, c in again.items()}},
        failures=_without(state.failures, numbers),
        ended=state.ended - len(undone),
        concluded=state.concluded - len(undone),
        errors=state.errors - sum(score.failure is FailureKind.ERROR for score in undone),
        stopped=False,
    )


def _freed(state: DriverState, worker: str) -> DriverState:
    return replace(state, running=_without(state.running, {worker}))


def _without(mapping: Mapping[Key, Value], keys: Iterable[Key]) -> dict[Key, Value]:
    dropped = set(keys)
    return {key: value for key, value in mapping.items() if key not in dropped}
