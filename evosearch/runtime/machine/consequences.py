"""What an event makes true in one search, and what follows from its state: facts, in the order they became true."""

from collections.abc import Iterator

from evosearch.evaluation import (
    Failure,
    FailureKind,
    Features,
    Losses,
    Prediction,
    Result,
    Success,
    Trial,
    TrialId,
)
from evosearch.runtime.faults.policy import (
    FIRST_ERRORS,
    REOPENED,
    is_spent,
    policy_of,
    too_many_failed,
)
from evosearch.runtime.machine.fold import DriverState, all_diverged, gone_on, trials_again
from evosearch.runtime.machine.plan import Plan
from evosearch.runtime.pool import TaskDone, Ticket, Worker, WorkerLeft
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
    TestRead,
    TestReadingBegun,
    TestReadingFailed,
    VerdictReached,
)


def facts_from(
    plan: Plan, state: DriverState, event: TaskDone | WorkerLeft, term: int = 0
) -> Iterator[Event]:
    """What a pool's `event` makes true in a search; nothing where it concerns none of what runs here. `term`: the driver's."""
    match event:
        case TaskDone(worker, ticket, result):
            # A result that nobody waits for any more (its driver stopped, its attempt was given up) changes nothing.
            if state.running.get(worker.name) == ticket.trial and _newest(state, ticket) == ticket.attempt:
                yield from _came_to(plan, state, worker, ticket, result, term)
        case WorkerLeft(worker, kind, message, node_lost):
            if (trial := state.running.get(worker.name)) is not None:
                failure = Failure(kind, message, node_lost=node_lost)
                yield from _failure(plan, state, trial, worker, failure)


def _newest(state: DriverState, ticket: Ticket) -> int | None:
    """The newest attempt at what the ticket is for."""
    unread = state.unread.get(ticket.trial)
    return unread.attempt if unread else state.attempts.get(ticket.trial)


def _came_to(
    plan: Plan, state: DriverState, worker: Worker, ticket: Ticket, result: Result, term: int
) -> Iterator[Event]:
    trial, attempt = ticket.trial, ticket.attempt
    match result:
        case Success() | Losses() | Features():
            left = weights = None
            if plan.reader and isinstance(result, Success):
                weights = plan.reader.weights(plan, state.open[trial].trial, term, attempt)
                left = worker.node
            yield Finished(
                trial.number, attempt, worker.name, result, trial.until, weights, left, plan.measure
            )
        case Prediction():
            yield from _read(plan, state, trial, worker, result)
        case Failure():
            yield from _failure(plan, state, trial, worker, result)


def reopened(plan: Plan, state: DriverState) -> Iterator[Event]:
    """After exit 5, what may succeed now is begun again: trials that failed so, and open ones with failures."""
    if not state.stopped:
        return
    failed = trials_again(plan, state, (one for one, kind in state.failed.items() if kind in REOPENED))
    unread = trials_again(plan, state, (trial for trial, one in state.unread.items() if one.failures))
    open_again = {trial for trial, kinds in state.failures.items() if REOPENED & set(kinds)}
    if again := failed.keys() | unread.keys() | open_again:
        yield Reopened.of(again)


def retried(plan: Plan, state: DriverState) -> tuple[Event, ...]:
    """What is begun again of a search that has ended, when somebody asks for its readings again: each of these networks is
    wanted and none takes its place, so what may succeed on another machine or with fixed code is tried again.
    """
    if plan.reader is None:
        return ()
    failed = (one for one, kind in state.failed.items() if not policy_of(kind).of_itself)
    again = trials_again(plan, state, failed)
    return (Reopened.of(again),) if again else ()


def consequences(plan: Plan, state: DriverState) -> tuple[Event, ...]:
    """What follows from the state itself: births and their generation, a verdict, an outcome to recall, or the end."""
    progress = state.progress
    if born := _newcomers(plan, state):
        return born
    if progress.best is not None and progress.best[0].number != state.verdict:
        return (VerdictReached(progress.best[0].number),)
    recalled = min(_recallable(state), key=lambda one: one.place, default=None)
    if recalled:  # one at a time: with it a generation may end, and what follows from that comes first
        return (_recalled(state, recalled),)
    if plan.strategy.finished(state.search):
        if state.unread:
            return ()
        # of a list nothing else was ever to come; and who resumes a search that stopped so wants its end
        ends = state.announced == 0 and not progress.may_grow and not state.stopped
        if ends and (reason := _barren(plan, state)):
            return (Stopped(reason),)
        return (Completed(progress.best[0].number if progress.best else None),)
    if progress.members and all(member.number in progress.scores for member in progress.members):
        return _newcomers(plan, gone_on(plan, state))  # all of this generation were trained early
    return ()


def _recallable(state: DriverState) -> frozenset[TrialId]:
    """Open trials whose outcome is known, and that nobody trains."""
    return state.known.difference(state.running.values()) if state.known else state.known


def _newcomers(plan: Plan, state: DriverState) -> tuple[Event, ...]:
    """Births, and the generation that starts with them; nothing where all that are asked for are born."""
    progress = state.progress
    asked_for = progress.asked > state.births - state.early
    born = _births(plan, state, plan.strategy.ask(state.search)) if asked_for else ()
    if progress.generation == state.announced and not born:
        return born
    members = tuple(member.number for member in progress.members)
    if progress.generation == state.announced and members == state.population:
        return born
    # Too many of its immigrants may have failed already, when they were trained early.
    reason = _too_many(state, _failed(state))
    if reason is None and state.announced == 0 and progress.generation > 0:
        reason = _barren(plan, state)
    stopped = (Stopped(reason),) if reason else ()
    return (*born, GenerationStarted(progress.generation, members), *stopped)


RULES = 1
"""Those of `SearchCreated` that searches begin under now."""

ALL_DIVERGED = "every evaluation of the first generation diverged"
"""How the reason begins."""


def _barren(plan: Plan, state: DriverState) -> str | None:
    """Why a search stops whose first generation taught it nothing; None where it did, or began before there was this rule."""
    if state.rules < 1 or not all_diverged(state):
        return None
    return barren_reason(plan)


def barren_reason(plan: Plan) -> str:
    """That all of a first generation diverged, and what to change."""
    lower = f"a lower training.learning_rate ({plan.training.learning_rate:g} now)"
    precise = ", or training.precision: fp32" if plan.training.precision == "bf16" else ""
    return f"{ALL_DIVERGED} (a loss or an output became infinite or no number); begin another search with {lower}{precise}"


def early_births(plan: Plan, state: DriverState) -> tuple[Event, ...]:
    """The next generation's immigrants, to be trained while this one drains; none where they are born already."""
    return _births(plan, state, plan.strategy.ask(state.search, early=True))


def reading_begun(plan: Plan, state: DriverState, trial: TrialId, worker: Worker) -> TestReadingBegun:
    """The intent to let a trained network read the test split, which is journaled before it does."""
    assert plan.reader is not None  # noqa: S101 - else nothing would be unread
    one = state.unread[trial]
    name = plan.reader.name(plan, one.trial)
    return TestReadingBegun(
        name.key, name.number, name.epochs, name.seed, trial, one.attempt + 1, worker.name
    )


def _read(
    plan: Plan, state: DriverState, trial: TrialId, worker: Worker, prediction: Prediction
) -> Iterator[Event]:
    if plan.reader is None or trial not in state.unread:
        return
    one = state.unread[trial]
    reader = plan.reader
    metrics = reader.measure(plan, one.trial, one.success, prediction)
    key, kept = reader.name(plan, one.trial).key, reader.keep(plan, one.trial, prediction)
    yield TestRead(key, metrics, one.weights, kept, trial, worker.name, reader.test_key)


def _births(plan: Plan, state: DriverState, trials: tuple[Trial, ...]) -> tuple[Event, ...]:
    return tuple(
        Born.of(trial, size.parameters if size else None, size.flops if size else None)
        for trial in trials
        if trial.id not in state.open
        for size in (plan.network_size(trial),)
    )


def _recalled(state: DriverState, trial: TrialId) -> Recalled:
    source, _ = state.remembered[state.open[trial].key]
    return Recalled(trial.number, source.number, trial.until, source.until)


def _failure(
    plan: Plan, state: DriverState, trial: TrialId, worker: Worker, failure: Failure
) -> Iterator[Event]:
    if trial in state.unread:
        yield from _reading_failure(plan, state, trial, worker, failure)
        return
    kinds = (*state.failures.get(trial, ()), failure.kind)
    # Nodes come and go, preempted ones by the dozen: however often that hits one candidate, it says nothing about it.
    spent = is_spent(kinds) and not failure.node_lost
    reason = _reason_to_stop(state, trial, kinds) if spent else None
    final, attempt = spent and reason is None, state.attempts[trial]
    # The failure that stops a search is not final: no fitness is invented, and a resume tries it again.
    yield Failed(trial.number, attempt, worker.name, failure, final, trial.until)
    if reason is not None:
        yield Stopped(f"{reason}; the last one: {failure.message}")


def _reading_failure(
    plan: Plan, state: DriverState, trial: TrialId, worker: Worker, failure: Failure
) -> Iterator[Event]:
    """A reading that fails for good stops the search: a resume trains its network again.

    Weights that went with their machine are nobody's fault: their network is trained again at once, on another one.
    """
    assert plan.reader is not None  # noqa: S101 - else nothing would be unread
    one = state.unread[trial]
    away = one.node is not None and (failure.node_lost or worker.node != one.node)
    gone = away and not plan.reader.shared
    spent = is_spent((*one.failures, failure.kind)) and not failure.node_lost and not gone
    key = plan.reader.name(plan, one.trial).key
    yield TestReadingFailed(key, trial, one.attempt, worker.name, failure, spent)
    if gone:
        yield Reopened.of([trial])
    if spent:
        yield Stopped(
            f"the reading of the test split by trial {trial} failed; the last reason: {failure.message}"
        )


def _reason_to_stop(state: DriverState, trial: TrialId, kinds: tuple[FailureKind, ...]) -> str | None:
    members = state.progress.members
    if policy_of(kinds[-1]).stops:
        return f"candidate {trial} lost its worker {kinds.count(kinds[-1])} times"
    if kinds[-1] not in REOPENED:
        return None
    first = min(FIRST_ERRORS, len(members))
    if kinds[-1] is FailureKind.ERROR and state.errors == state.concluded == first - 1:
        return f"the first {first} evaluations all ended as error"
    # An early immigrant is judged with its own generation: else the number of workers would decide.
    number = state.open[trial].trial.candidate.number
    is_member = any(member.number == number for member in members)
    return _too_many(state, _failed(state) + 1) if is_member else None


def _failed(state: DriverState) -> int:
    """Of this generation's own: what an elite failed of was judged with the generation it was born into."""
    progress = state.progress
    own = (member for member in progress.members if member.generation == progress.generation)
    scores = (progress.scores.get(member.number) for member in own)
    return sum(score is not None and score.failure in REOPENED for score in scores)


def _too_many(state: DriverState, failed: int) -> str | None:
    size = len(state.progress.members)
    if not too_many_failed(failed, size):
        return None
    return f"{failed} of generation {state.progress.generation}'s {size} failed as error or crashed"
