"""The driver's state, and how each fact changes it. A live driver and a replay go through the same fold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from evosearch.errors import JournalError
from evosearch.evaluation import (
    Failure,
    FailureKind,
    Features,
    Losses,
    Measured,
    Outcome,
    Precision,
    Success,
    Trial,
    TrialId,
)
from evosearch.genome import Operation
from evosearch.runtime.frozen import having, without
from evosearch.runtime.machine.plan import Plan, Size
from evosearch.runtime.pool import Worker
from evosearch.runtime.scheduling.costs import Timings
from evosearch.search import SearchProgress
from evosearch.storage import (
    Born,
    Completed,
    Dispatched,
    DriverStarted,
    Event,
    Extended,
    Failed,
    Finished,
    GenerationStarted,
    Interrupted,
    PrecisionResolved,
    ProcessorSeen,
    Recalled,
    Reopened,
    SearchCreated,
    Stopped,
    TestRead,
    TestReadingBegun,
    TestReadingFailed,
    VerdictReached,
)


@dataclass(frozen=True, slots=True)
class OpenTrial:
    """A trial that is born and has no outcome."""

    trial: Trial
    """Which one."""
    key: str
    """Equal trials have equal ones."""
    size: Size | None
    """What it has to do and to hold; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A trained network that has still to read the test split."""

    trial: Trial
    """Its training."""
    success: Success
    """What the training came to."""
    weights: str
    """The file that it left."""
    node: str | None
    """Where that is; None where it is not known."""
    attempt: int
    """The newest number given out, to its training or a reading."""
    failures: tuple[FailureKind, ...] = ()
    """Of readings, as in `DriverState`."""


@dataclass(frozen=True)
class DriverState:
    """All that decides what a driver does next. All but `running` is durable: a fold of the journal."""

    search: Any
    """The strategy's own state."""
    progress: SearchProgress
    """What the strategy shows of its state."""
    announced: int = -1
    """The newest generation whose population is journaled, -1 before the first."""
    population: tuple[int, ...] = ()
    """The numbers of that generation's members."""
    verdict: int | None = None
    """The best candidate's number as last journaled; None before the first."""
    births: int = 0
    """Trials that were ever born."""
    early: int = 0
    """How many of these belong to the generation that follows."""
    open: Mapping[TrialId, OpenTrial] = field(default_factory=dict)
    """Trials that are born and have no outcome."""
    alike: Mapping[str, tuple[TrialId, ...]] = field(default_factory=dict)
    """The same by key, in the order of their births. Follows from `open`."""
    known: frozenset[TrialId] = frozenset()
    """Those of them whose keys are remembered. Follows from `open` and `remembered`."""
    unproved: bool = False
    """Some of the open trials have not been held against what the strategy asks for."""
    attempts: Mapping[TrialId, int] = field(default_factory=dict)
    """Dispatches of trials without a success."""
    failures: Mapping[TrialId, tuple[FailureKind, ...]] = field(default_factory=dict)
    """Failed attempts in order, of open trials, but for those that went with their node."""
    failed: Mapping[TrialId, FailureKind] = field(default_factory=dict)
    """The trials that ended in a failure, and its kind."""
    unread: Mapping[TrialId, Unread] = field(default_factory=dict)
    """Trained networks that have still to read the test split."""
    remembered: Mapping[str, tuple[TrialId, Measured]] = field(default_factory=dict)
    """By key, the trial that finished it and what it came to."""
    ended: int = 0
    """Trials that have ended, in whatever way."""
    timings: Timings = field(default_factory=Timings)
    """What finished trials took."""
    concluded: int = 0
    """How many trials ended in training."""
    errors: int = 0
    """How many of the concluded ended in a final `error`."""
    halted: bool = False
    """The newest driver has ended or is ending the search."""
    stopped: bool = False
    """It did so because too many evaluations failed."""
    running: Mapping[str, TrialId] = field(default_factory=dict)
    """Trial by worker name, of the newest driver."""
    holders: Mapping[int, str] = field(default_factory=dict)
    """By number of a candidate that came to a rung, the worker of the newest driver that brought it there, by name: it may have the
    training still.
    """
    rules: int = 0
    """As in `SearchCreated`."""
    processors: tuple[str, ...] = ()
    """Kinds that workers were seen to compute on, in order."""
    barren: bool = False
    """All of the first generation diverged."""
    wanted: frozenset[str] = frozenset()
    """The precisions, or `auto`, that trials were born with."""
    precision: PrecisionResolved | None = None
    """What `auto` means; None: nobody has decided."""

    @property
    def undecided(self) -> bool:
        """Whether a trial says `auto`, and nobody knows yet what that means."""
        return self.precision is None and "auto" in self.wanted

    def refuses(self, worker: Worker) -> Precision | None:
        """The precision that some of its trials need and the device of `worker` has no instructions for; None: it suits. What is
        named bf16, and not decided so, is computed anywhere.
        """
        needed: list[Precision] = ["tf32"] if "tf32" in self.wanted else []
        if "auto" in self.wanted and self.precision is not None and self.precision.precision != "fp32":
            needed.append(self.precision.precision)
        has = worker.precisions
        return next((one for one in needed if has is not None and one not in has), None)

    @classmethod
    def start(cls, plan: Plan) -> "DriverState":
        """Nothing has happened yet.

        Raises:
            InfeasibleSpaceError: as `Strategy.start`.
        """
        search = plan.strategy.start()
        return cls(search, plan.strategy.progress(search))


def replay(plan: Plan, facts: Iterable[Event]) -> DriverState:
    """The state that `facts`, all events of a search in order, lead to.

    Raises:
        JournalError: the facts are not what this version's strategy leads to.
    """
    state = DriverState.start(plan)
    for fact in facts:
        state = evolve(plan, state, fact)
        plan = plan.at(state.precision)
    return _proved(plan, state)


def bred_again(plan: Plan, facts: Iterable[Event]) -> Mapping[int, tuple[Operation, ...]]:
    """What was done to make each candidate, by number, as the strategy of `plan` does it from the state that the facts
    before a birth lead to. `facts`: all events of the search, in order; what they keep of operators is not looked at.

    Raises:
        JournalError: as `replay`.
    """
    state, found, born = DriverState.start(plan), dict[int, tuple[Operation, ...] | None](), set[int]()
    for fact in facts:
        if isinstance(fact, Born):
            born.add(fact.candidate.number)
            if fact.candidate.number not in found:
                asked = plan.strategy.ask(state.search, early=True)
                found |= {trial.candidate.number: trial.candidate.operations for trial in asked}
        state = evolve(plan, state, fact)
        plan = plan.at(state.precision)
        if isinstance(
            fact, GenerationStarted
        ):  # the first version passed over generations that were trained early
            found |= _operations(state.progress)
    return {number: one for number in sorted(born) if (one := found.get(number)) is not None}


def _operations(progress: SearchProgress) -> Mapping[int, tuple[Operation, ...] | None]:
    return {member.number: member.operations for member in progress.members}


def evolve(plan: Plan, state: DriverState, fact: Event) -> DriverState:
    """The state after `fact`; facts that decide nothing leave it as it is.

    `Completed` may come twice: a driver that was about to take the search from one that was just ending it finds
    nothing to do, and says so again. The second one changes nothing.
    """
    plan = plan.at(state.precision)
    match fact:
        case Born() | Dispatched() | Finished() | Recalled() | Failed():
            return _with_trial(plan, state, fact)
        case Reopened():
            return _reopened(plan, state, frozenset(fact.trials))
        case GenerationStarted():
            return _announced(plan, state, fact)
        case VerdictReached(best):
            return replace(state, verdict=best)
        case DriverStarted():
            return replace(state, running={}, holders={}, halted=False)
        case Interrupted() | Completed():
            return replace(state, halted=True)
        case Stopped():
            return replace(state, halted=True, stopped=True)
        case TestReadingBegun() | TestReadingFailed() | TestRead():
            return _with_reading(state, fact)
        case SearchCreated(rules=rules):
            return replace(state, rules=rules)
        case ProcessorSeen(_, processor):
            return replace(state, processors=(*state.processors, processor))
        case PrecisionResolved():
            return _decided(plan.at(fact), state, fact)
        case Extended():
            return state
    assert_never(fact)


def _with_trial(
    plan: Plan, state: DriverState, fact: Born | Dispatched | Finished | Recalled | Failed
) -> DriverState:
    """The state after what happened to one trial."""
    match fact:
        case Born():
            return _born(plan, state, fact.trial)
        case Dispatched(_, attempt, worker):
            attempts = having(state.attempts, fact.trial, attempt)
            running = having(state.running, worker, fact.trial)
            # a search that goes on is no stopped one, also where a stop left nothing to reopen
            return replace(state, attempts=attempts, running=running, stopped=False)
        case Finished(_, _, worker, success):
            one, unread = state.open[fact.trial], state.unread
            if fact.weights and isinstance(success, Success):
                left = Unread(one.trial, success, fact.weights, fact.node, fact.attempt)
                unread = having(unread, fact.trial, left)
            freed = replace(
                state,
                running=without(state.running, worker),
                remembered=having(state.remembered, one.key, (fact.trial, without_details(success))),
                known=state.known.union(state.alike[one.key]),
                timings=state.timings.with_one(one.size.work, success.seconds) if one.size else state.timings,
                unread=unread,
                holders=_holders(state.holders, fact),
            )
            return _closed(plan, freed, fact.trial, success, trained=True)
        case Recalled():
            _, known = state.remembered[state.open[fact.trial].key]
            return _closed(plan, state, fact.trial, known)
        case Failed(_, _, worker, failure, final):
            freed = _freed(state, worker)
            if final:
                return _closed(plan, freed, fact.trial, failure, trained=True)
            return freed if failure.node_lost else _failed(freed, fact.trial, failure.kind)
    assert_never(fact)


def _holders(known: Mapping[int, str], fact: Finished) -> Mapping[int, str]:
    if fact.until is not None:
        return having(known, fact.number, fact.worker)
    return without(known, fact.number) if fact.number in known else known


def _with_reading(state: DriverState, fact: TestReadingBegun | TestReadingFailed | TestRead) -> DriverState:
    """The state after what happened to a reading; readings outside searches, of the first version, leave it as it is."""
    trial = fact.trial
    if trial is None or trial not in state.unread:
        return state
    one = state.unread[trial]
    match fact:
        case TestReadingBegun():
            begun = having(state.unread, trial, replace(one, attempt=fact.attempt))
            return replace(state, unread=begun, running=having(state.running, fact.worker, trial))
        case TestReadingFailed(_, _, _, worker, failure):
            kinds = one.failures if failure.node_lost else (*one.failures, failure.kind)
            failed = having(state.unread, trial, replace(one, failures=kinds))
            return replace(_freed(state, worker), unread=failed)
        case TestRead():
            return replace(_freed(state, fact.worker), unread=without(state.unread, trial))
    assert_never(fact)


def without_details(success: Measured) -> Measured:
    """What a trial came to, without what is not needed to recall it."""
    match success:
        case Success(fitness, measures=measures):
            return Success(fitness, 0.0, measures=measures)
        case Losses(losses):
            return Losses(losses, 0.0)
        case Features(digest, units):
            return Features(digest, units, 0.0)
    assert_never(success)


def _born(plan: Plan, state: DriverState, trial: Trial) -> DriverState:
    one = OpenTrial(trial, plan.key(trial), plan.size(trial))
    return replace(
        state,
        births=state.births + 1,
        early=state.early + (trial.candidate.generation > state.progress.generation),
        open=having(state.open, trial.id, one),
        alike=having(state.alike, one.key, (*state.alike.get(one.key, ()), trial.id)),
        known=state.known | {trial.id} if one.key in state.remembered else state.known,
        unproved=True,
        wanted=state.wanted | {(trial.settings or plan.context.training).precision},
    )


def _decided(plan: Plan, state: DriverState, fact: PrecisionResolved) -> DriverState:
    """The state once it is known what `auto` means, which belongs to the keys of the trials that say so."""
    open_ = {trial: replace(one, key=plan.key(one.trial)) for trial, one in state.open.items()}
    return indexed(replace(state, precision=fact, open=open_))


def indexed(state: DriverState) -> DriverState:
    """The state, with what follows from its other fields computed from nothing."""
    alike: dict[str, tuple[TrialId, ...]] = {}
    for trial, one in state.open.items():
        alike[one.key] = (*alike.get(one.key, ()), trial)
    known = frozenset(trial for trial, one in state.open.items() if one.key in state.remembered)
    return replace(state, alike=alike, known=known)


def _announced(plan: Plan, state: DriverState, fact: GenerationStarted) -> DriverState:
    state = _proved(plan, _caught_up(plan, state, fact.generation))
    progress, asked = state.progress, plan.strategy.ask(state.search)
    members = tuple(member.number for member in progress.members)
    if progress.may_grow:  # the journal may have been written when there was less of it
        members, asked = members[: len(fact.members)], ()
    born = all(trial.id in state.open for trial in asked)
    if (progress.generation, members) != (fact.generation, fact.members) or not born:
        raise _bred_otherwise(plan, fact.generation)
    barren = state.barren or (state.announced == 0 and fact.generation > 0 and all_diverged(state))
    return replace(state, announced=fact.generation, population=members, barren=barren)


def all_diverged(state: DriverState) -> bool:
    """Whether every member of the generation that is announced ended as diverged."""
    failed = {trial.number: kind for trial, kind in state.failed.items()}
    kinds = [failed.get(number) for number in state.population]
    return bool(kinds) and all(kind is FailureKind.DIVERGED for kind in kinds)


def gone_on(plan: Plan, state: DriverState) -> DriverState:
    """The state once the strategy is told nothing: in its next generation where the present one is complete."""
    search = plan.strategy.tell(state.search, {})
    progress = plan.strategy.progress(search)
    return replace(state, search=search, progress=progress, early=_early(state, progress))


def _early(state: DriverState, progress: SearchProgress) -> int:
    """As in `DriverState`, once a strategy shows `progress`: of the generation that follows none is asked for before."""
    return state.early if progress.generation == state.progress.generation else 0


def _caught_up(plan: Plan, state: DriverState, generation: int) -> DriverState:
    """The state in `generation`, if it can be; the first version passed over one of which all were trained early."""
    while state.progress.generation < generation:
        further = gone_on(plan, state)
        if further.progress.generation == state.progress.generation:
            break
        state = further
    return state


def _proved(plan: Plan, state: DriverState) -> DriverState:
    """The state, once what was born is known to be what the strategy asks for; words tell how, and are not compared.

    Raises:
        JournalError: it is not.
    """
    if not state.unproved:
        return state
    asked = {trial.id: trial for trial in plan.strategy.ask(state.search, early=True)}
    for name, one in state.open.items():
        if name not in asked or not one.trial.is_as(asked[name]):
            raise _bred_otherwise(plan, one.trial.candidate.generation)
    return replace(state, unproved=False)


def _bred_otherwise(plan: Plan, generation: int) -> JournalError:
    return JournalError(
        f"this version of evosearch would breed another generation {generation} than the journal of "
        f"{plan.name!r} holds; resume with the version that began it, or begin again under another name"
    )


def _closed(
    plan: Plan, state: DriverState, trial: TrialId, outcome: Outcome, *, trained: bool = False
) -> DriverState:
    state = _proved(plan, state)
    failure = outcome.kind if isinstance(outcome, Failure) else None
    search = plan.strategy.tell(state.search, {trial: outcome})
    progress = plan.strategy.progress(search)
    key = state.open[trial].key
    others = tuple(one for one in state.alike[key] if one != trial)
    return replace(
        state,
        search=search,
        progress=progress,
        early=_early(state, progress),
        open=without(state.open, trial),
        alike=having(state.alike, key, others) if others else without(state.alike, key),
        known=state.known - {trial},
        attempts=state.attempts if failure else without(state.attempts, trial),
        failures=without(state.failures, trial),
        failed=having(state.failed, trial, failure) if failure else state.failed,
        ended=state.ended + 1,
        concluded=state.concluded + trained,
        errors=state.errors + (failure is FailureKind.ERROR),
    )


def _failed(state: DriverState, trial: TrialId, kind: FailureKind) -> DriverState:
    failures = (*state.failures.get(trial, ()), kind)
    return replace(state, failures=having(state.failures, trial, failures))


def _reopened(plan: Plan, state: DriverState, trials: frozenset[TrialId]) -> DriverState:
    """Outcomes and failures are forgotten; attempts are not, so that each keeps a number of its own."""
    again = trials_again(plan, state, trials)
    search = plan.strategy.reopen(state.search, again.keys())
    # What could not read is trained again, and must not be recalled from itself.
    untrained = state.unread.keys() & again.keys()
    remembered = {key: one for key, one in state.remembered.items() if one[0] not in untrained}
    reopened = replace(
        state,
        search=search,
        progress=plan.strategy.progress(search),
        open={
            **state.open,
            **{one.id: OpenTrial(one, plan.key(one), plan.size(one)) for one in again.values()},
        },
        attempts={**state.attempts, **{trial: state.unread[trial].attempt for trial in untrained}},
        failures=without(state.failures, *trials),
        failed=without(state.failed, *trials),
        remembered=remembered if untrained else state.remembered,
        unread=without(state.unread, *trials),
        ended=state.ended - len(again),
        concluded=state.concluded - len(again),
        errors=state.errors - sum(state.failed.get(trial) is FailureKind.ERROR for trial in again),
        stopped=False,
    )
    return indexed(reopened)


def trials_again(plan: Plan, state: DriverState, trials: Iterable[TrialId]) -> Mapping[TrialId, Trial]:
    """Those of `trials` that failed, or left no weights that can read, and that the strategy would ask for again if they
    had not ended; others are history.
    """
    failed = frozenset(trials) & (state.failed.keys() | state.unread.keys())
    asked = plan.strategy.ask(plan.strategy.reopen(state.search, failed), early=True)
    return {trial.id: trial for trial in asked if trial.id in failed}


def _freed(state: DriverState, worker: str) -> DriverState:
    return replace(state, running=without(state.running, worker))
