"""What a run came to, told from its facts alone, and the rules that every journal keeps.

The one place of the simulation that knows what stands in an event: nothing here looks at a driver's or a strategy's
state, so that neither can talk the other into a mistake.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from statistics import fmean
from typing import Any, TypeAlias

from evosearch.evaluation import Candidate, Failure, Features, Losses, Measured, Success, TrialId
from evosearch.search import Halving, rung_before
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
    Recorded,
    Reopened,
    SearchCreated,
    Stopped,
    TestRead,
    TestReadingBegun,
    TestReadingFailed,
    VerdictReached,
)

Score: TypeAlias = float | tuple[float, ...] | str
"""A fitness, losses, the sha256 of features, or the kind of a failure."""


class BrokenPromiseError(AssertionError):
    """A promise was broken; the message says which, where, and by what."""


@dataclass(frozen=True)
class Observation:
    """What must be equal however a search was disturbed, as plain values.

    `births`: generation, origin, subject, parents, operators in words, settings and repeat by trial. `scores`: what each came to;
    equal ones share one, whoever of them was trained. `generations`: members by generation. `readings`: of the test
    split, by key. `best`: as the search said at its end.
    """

    births: Mapping[Any, tuple[Any, ...]] = field(default_factory=dict)
    scores: Mapping[Any, Score] = field(default_factory=dict)
    generations: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    readings: Mapping[str, Any] = field(default_factory=dict)
    best: int | None = None

    def differences(self, expected: "Observation") -> Iterator[str]:
        """What is otherwise than expected, a line each."""
        for name in (one.name for one in fields(self)):
            found, wanted = getattr(self, name), getattr(expected, name)
            if not isinstance(found, Mapping):
                if found != wanted:
                    yield f"{name} is {found}, undisturbed {wanted}"
                continue
            for key in sorted({*found, *wanted}, key=str):
                if found.get(key) != wanted.get(key):
                    yield f"{name}[{key}] is {found.get(key)}, undisturbed {wanted.get(key)}"


def observe(facts: Iterable[Event]) -> Observation:
    """What `facts`, all of a search, came to."""
    births: dict[Any, tuple[Any, ...]] = {}
    scores: dict[Any, Score] = {}
    generations: dict[int, tuple[int, ...]] = {}
    readings: dict[str, Any] = {}
    best = None
    for fact in facts:
        match fact:
            case Born(candidate):
                births[_key(fact.trial.id)] = _birth(candidate, fact)
            case GenerationStarted(generation, members):
                generations[generation] = members
            case Finished():
                scores[_key(fact.trial)] = _score(fact.success)
            case Recalled():
                scores[_key(fact.trial)] = scores[_key(_source(fact))]
            case Failed() if fact.final:
                scores[_key(fact.trial)] = _score(fact.failure)
            case Reopened():
                for trial in fact.trials:
                    scores.pop(_key(trial), None)
            case TestRead():
                readings[fact.key] = fact.metrics
            case Completed(number):
                best = number
            case _:
                pass
    return Observation(births, scores, generations, readings, best)


def _key(trial: TrialId) -> Any:
    return trial.number if trial.until is None else (trial.number, trial.until)


def _source(fact: Recalled) -> TrialId:
    return TrialId(fact.source, fact.source_until)


def _birth(candidate: Candidate, fact: Born) -> tuple[Any, ...]:
    words = (candidate.origin.value, str(candidate.subject), candidate.parents, candidate.words)
    return (
        candidate.generation,
        *words,
        *((fact.settings, fact.repeat) if fact.settings or fact.repeat else ()),
    )


def _score(outcome: Measured | Failure) -> Score:
    match outcome:
        case Success(fitness):
            return "unjudged" if fitness is None else fitness
        case Losses(losses):
            return losses
        case Features(digest):
            return digest
        case Failure(kind):
            return kind.value


def broken_rules(
    recorded: Sequence[Recorded],
    elites: int,
    *,
    grows: bool = False,
    halving: Halving | None = None,
    repeats: bool = False,
) -> Iterator[str]:
    """Which rules a journal breaks, a line each, with the event's number.

    `elites`: how many members of a generation were born before it. `grows`: whether members may still come to a generation
    that has begun. `halving`: at which epochs its trainings wait for each other. `repeats`: whether candidates are trained again,
    so that who is best is a matter of all trainings.
    """
    audit = _Audit(elites, grows=grows, halving=halving, repeats=repeats)
    for expected, one in enumerate(recorded, 1):
        if one.sequence != expected:
            yield f"event {expected} is missing"
        for complaint in audit.take(one):
            yield f"event {one.sequence} (term {one.term}), {one.event}: {complaint}"


class _Audit:
    """The rules, event by event; each complaint is a sentence."""

    def __init__(self, elites: int, *, grows: bool, halving: Halving | None, repeats: bool) -> None:
        self._halving = halving
        self._repeats = repeats
        self._elites = elites
        self._grows = grows
        self._term = 0
        self._born: dict[TrialId, Born] = {}
        self._generation = -1
        self._members: tuple[int, ...] = ()
        self._newest = -1
        """The highest number of a trial as the generation began."""
        self._attempts: dict[TrialId, int] = {}
        self._running: dict[str, tuple[TrialId, int]] = {}
        self._scores: dict[TrialId, Score] = {}
        self._trained: dict[tuple[Any, ...], TrialId] = {}
        self._unread: set[TrialId] = set()
        self._read: set[str] = set()
        self._verdict: int | None = None
        self._ended = ""
        """What ended the newest driver."""
        self._completed = False
        self._precision = ""
        """What auto means."""

    def take(self, recorded: Recorded) -> Iterator[str]:
        """What `recorded` breaks."""
        event = recorded.event
        if isinstance(event, DriverStarted):
            if recorded.term != self._term + 1:
                yield f"follows term {self._term}"
            self._term, self._running, self._ended = recorded.term, {}, ""
            return
        if recorded.term != self._term:
            yield f"was written under another term than the newest, {self._term}"
        if self._ended:
            yield f"stands after {self._ended} of the same driver"
        if self._completed and not isinstance(event, Completed | Extended):
            yield "stands after the search was completed"
        yield from self._of(event)

    def _of(self, event: Event) -> Iterator[str]:
        match event:
            case Born():
                yield from self._birth(event)
            case GenerationStarted():
                yield from self._turn(event)
            case Dispatched() | Finished() | Failed() | Recalled():
                yield from self._training(event)
            case TestReadingBegun() | TestReadingFailed() | TestRead():
                yield from self._reading(event)
            case Reopened():
                yield from self._reopen(event)
            case Extended():
                self._completed = False
            case Interrupted() | Stopped():
                self._ended = type(event).__name__
            case VerdictReached(best):
                yield from self._judge(best)
                self._verdict = best
            case Completed(best):
                yield from self._complete(best)
            case PrecisionResolved():
                if self._precision or self._attempts:
                    yield "comes after the first dispatch, or a second time"
                self._precision = event.precision
            case SearchCreated() | DriverStarted() | ProcessorSeen():
                pass

    def _birth(self, event: Born) -> Iterator[str]:
        candidate = event.candidate
        if event.trial.id in self._born:
            yield "was born before"
        if self._halving and event.until != self._halving.epochs[0]:
            yield from self._goes_on(event, self._halving)
            self._born[event.trial.id] = event
            return
        if self._repeats and event.repeat:
            yield from self._again(event)
            self._born[event.trial.id] = event
            return
        if candidate.generation != self._generation + 1 and not self._grows:
            yield f"is born while generation {self._generation} is the newest"
        if not set(candidate.parents) <= {one.candidate.number for one in self._born.values()}:
            yield "has parents that were never born"
        if candidate.parents and self._unscored():
            yield "is bred before its parents' generation has ended"
        self._born[event.trial.id] = event

    def _again(self, event: Born) -> Iterator[str]:
        """A candidate is to be trained again."""
        candidate, waits = event.candidate, self._unscored(before=True)
        own = {one.repeat: trial for trial, one in self._born.items() if one.candidate == candidate}
        if sorted(own) != list(range(event.repeat)):
            yield f"is training {event.repeat} of a candidate that has {sorted(own)}"
        if waits or any(trial not in self._scores for trial in own.values()):
            yield f"is born before generation {self._generation} has ended"
        if not any(isinstance(self._scores.get(trial), float) for trial in own.values()):
            yield "trains again what never succeeded"

    def _goes_on(self, event: Born, halving: Halving) -> Iterator[str]:
        """A candidate begins another rung than the first."""
        candidate, before = event.candidate, rung_before(halving, event.trial.id)
        there = [
            trial
            for trial, one in self._born.items()
            if one.candidate.generation == candidate.generation and trial.until == before
        ]
        scores = {trial.number: self._scores.get(trial) for trial in there}
        mine = scores.get(candidate.number)
        if candidate.number not in self._members and candidate.generation != self._generation + 1:
            yield f"goes on while generation {self._generation} is the newest"
        if waiting := [number for number, score in scores.items() if score is None]:
            yield f"goes on while {waiting} have not come to epoch {before}"
        if not isinstance(mine, float):
            yield f"goes on from epoch {before}, where it has {mine}"
            return
        known = {number: score for number, score in scores.items() if isinstance(score, float)}
        better = sum((-score, number) < (-mine, candidate.number) for number, score in known.items())
        if better >= halving.kept(len(there)):
            yield f"goes on from epoch {before}, where {better} of {len(there)} were better"

    def _turn(self, event: GenerationStarted) -> Iterator[str]:
        known = {one.candidate.number: one.candidate.generation for one in self._born.values()}
        if self._grows and event.generation == self._generation:
            if event.members[: len(self._members)] != self._members:
                yield f"does not begin with {self._members}"
        elif event.generation != self._generation + 1:
            yield f"follows generation {self._generation}"
        elif unscored := self._unscored(before=self._repeats):
            yield f"begins while {unscored} have no score"
        if not set(event.members) <= known.keys():
            yield "has members that were never born"
        older = [number for number in event.members if known.get(number, event.generation) < event.generation]
        if len(older) > self._elites or not (self._repeats or set(older) <= set(self._members)):
            yield f"has {older} of earlier generations"
        if self._halving and not set(older) <= self._fitness().keys():
            yield f"has some of {older} that were not trained to their end"
        self._generation, self._members = event.generation, event.members
        self._newest = max((trial.number for trial in self._born), default=-1)

    def _training(self, event: Dispatched | Finished | Failed | Recalled) -> Iterator[str]:
        if event.trial not in self._born:
            yield "was never born"
            return
        if event.trial in self._scores:
            yield f"has its score already, {self._scores[event.trial]}"
        match event:
            case Dispatched():
                yield from self._dispatch(event)
            case Finished() | Failed():
                yield from self._end(event)
            case Recalled():
                yield from self._recall(event)

    def _dispatch(self, event: Dispatched) -> Iterator[str]:
        training = self._kind(event.trial)
        if training in self._trained:
            yield f"trains anew what trial {self._trained[training]} has come to"
        if any(training == self._kind(other) for other, _ in self._running.values()):
            yield "trains what is being trained"
        yield from self._give(event.trial, event.attempt, event.worker)

    def _give(self, trial: TrialId, attempt: int, worker: str) -> Iterator[str]:
        """A worker has something to do from now on."""
        if attempt != self._attempts.get(trial, 0) + 1:
            yield f"follows attempt {self._attempts.get(trial, 0)}"
        if worker in self._running:
            yield f"goes to a worker that has {self._running[worker]}"
        self._attempts[trial] = attempt
        self._running[worker] = trial, attempt

    def _take_back(self, trial: TrialId, worker: str, attempt: int | None) -> Iterator[str]:
        """And now no longer."""
        has = self._running.pop(worker, None)
        if has is None or has[0] != trial or attempt not in (None, has[1]):
            yield f"ends what its worker does not have, which is {has}"

    def _end(self, event: Finished | Failed) -> Iterator[str]:
        yield from self._take_back(event.trial, event.worker, event.attempt)
        if isinstance(event, Finished):
            self._scores[event.trial] = _score(event.success)
            self._trained[self._kind(event.trial)] = event.trial
            if event.weights:
                self._unread.add(event.trial)
        elif event.final:
            self._scores[event.trial] = _score(event.failure)

    def _recall(self, event: Recalled) -> Iterator[str]:
        source = _source(event)
        if any(event.trial == trial for trial, _ in self._running.values()):
            yield "is recalled while it is being trained"
        if source not in self._born or self._kind(event.trial) != self._kind(source):
            yield "recalls what another training came to"
        score = self._scores.get(source, "nothing")
        if isinstance(score, str):
            yield f"recalls {score}"
        self._scores[event.trial] = score

    def _reading(self, event: TestReadingBegun | TestReadingFailed | TestRead) -> Iterator[str]:
        if event.trial is None or event.trial not in self._unread:
            yield "reads with what was not trained, or has read"
            return
        if event.key in self._read:
            yield "was read before"
        match event:
            case TestReadingBegun(attempt=attempt, worker=worker):
                yield from self._give(event.trial, attempt, worker)
            case TestReadingFailed(worker=worker, attempt=attempt):
                yield from self._take_back(event.trial, worker, attempt)
            case TestRead(worker=worker):
                yield from self._take_back(event.trial, worker, None)
                self._unread.discard(event.trial)
                self._read.add(event.key)

    def _reopen(self, event: Reopened) -> Iterator[str]:
        for trial in event.trials:
            score = self._scores.pop(trial, "")
            if not isinstance(score, str) and trial not in self._unread:
                yield f"reopens {trial}, which has succeeded"
            self._unread.discard(trial)
            self._trained = {kind: one for kind, one in self._trained.items() if one != trial}

    def _judge(self, best: int | None) -> Iterator[str]:
        fitness = self._fitness()
        if self._repeats:
            if best is not None and best not in fitness:
                yield "names a best that never succeeded"
            return
        fittest = min(fitness, key=lambda number: (-fitness[number], number), default=None)
        if best != fittest:
            yield "invents a best" if fittest is None else f"{fittest} is better, with {fitness[fittest]}"

    def _complete(self, best: int | None) -> Iterator[str]:
        if unscored := self._unscored():
            yield f"leaves {unscored} without a score"
        if self._unread:
            yield f"leaves {sorted(trial.number for trial in self._unread)} unread"
        yield from self._judge(best)
        if best != self._verdict:
            yield f"names another best than the last verdict, {self._verdict}"
        generations = {one.candidate.number: one.candidate.generation for one in self._born.values()}
        if beyond := [number for number, one in generations.items() if one > self._generation]:
            yield f"has {beyond} of generations beyond the last"
        self._completed, self._ended = True, "Completed"

    def _unscored(self, *, before: bool = False) -> list[int]:
        """Members of the generation that has begun, some of whose trials have not ended. `before`: of those alone that were born when
        it began.
        """
        waiting = {
            one.candidate.number
            for trial, one in self._born.items()
            if trial not in self._scores and (not before or trial.number <= self._newest)
        }
        return sorted(waiting & set(self._members))

    def _fitness(self) -> dict[int, float]:
        """Of the candidates of all generations that have begun: the mean of their whole trainings that succeeded."""
        found: dict[int, list[float]] = {}
        for trial, one in self._born.items():
            score = self._scores.get(trial)
            if (
                isinstance(score, float)
                and one.candidate.generation <= self._generation
                and one.until is None
            ):
                found.setdefault(one.candidate.number, []).append(score)
        return {number: fmean(scores) for number, scores in found.items()}

    def _kind(self, trial: TrialId) -> tuple[Any, ...]:
        """Equal for trials that train the same."""
        one = self._born[trial]
        return str(one.candidate.subject), one.settings, one.repeat, one.until
