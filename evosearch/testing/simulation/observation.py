"""What a run came to, told from its facts alone, and the rules that every journal keeps.

The one place of the simulation that knows what stands in an event: nothing here looks at a driver's or a strategy's
state, so that neither can talk the other into a mistake.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

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
    Recalled,
    Recorded,
    Reopened,
    Stopped,
)


class BrokenPromiseError(AssertionError):
    """A promise was broken; the message says which, where, and by what."""


@dataclass(frozen=True)
class Observation:
    """What must be equal however a search was disturbed, as plain values.

    `births`: generation, origin, network, parents and operators by number. `scores`: fitness or kind of failure by
    number; equal networks share one, whoever of them was trained. `generations`: members by generation. `best`: as the
    search said at its end.
    """

    births: Mapping[int, tuple[Any, ...]] = field(default_factory=dict)
    scores: Mapping[int, float | str] = field(default_factory=dict)
    generations: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
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
    births: dict[int, tuple[Any, ...]] = {}
    scores: dict[int, float | str] = {}
    generations: dict[int, tuple[int, ...]] = {}
    best = None
    for fact in facts:
        match fact:
            case Born(candidate):
                births[candidate.number] = (
                    candidate.generation,
                    candidate.origin.value,
                    str(candidate.chromosome),
                    candidate.parents,
                    candidate.operators,
                )
            case GenerationStarted(generation, members):
                generations[generation] = members
            case Finished(number, _, _, success):
                scores[number] = success.fitness
            case Recalled(number, source):
                scores[number] = scores[source]
            case Failed(number, _, _, failure, True):
                scores[number] = failure.kind.value
            case Reopened(numbers):
                scores = {number: score for number, score in scores.items() if number not in numbers}
            case Completed(number):
                best = number
    return Observation(births, scores, generations, best)


def broken_rules(recorded: Sequence[Recorded], elites: int) -> Iterator[str]:
    """Which rules a journal breaks, a line each, with the event's number.

    `elites`: how many members of a generation were born before it.
    """
    audit = _Audit(elites)
    for expected, one in enumerate(recorded, 1):
        if one.sequence != expected:
            yield f"event {expected} is missing"
        for complaint in audit.take(one):
            yield f"event {one.sequence} (term {one.term}), {one.event}: {complaint}"


class _Audit:
    """The rules, event by event; each complaint is a sentence."""

    def __init__(self, elites: int) -> None:
        self._elites = elites
        self._term = 0
        self._born: dict[int, Born] = {}
        self._generation = -1
        self._members: tuple[int, ...] = ()
        self._attempts: dict[int, int] = {}
        self._running: dict[str, tuple[int, int]] = {}
        self._scores: dict[int, float | str] = {}
        self._trained: set[str] = set()
        self._ended = ""
        """What ended the newest driver."""
        self._completed = False

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
            case Dispatched():
                yield from self._dispatch(event)
            case Finished() | Failed():
                yield from self._end(event)
            case Recalled():
                yield from self._recall(event)
            case Reopened(numbers):
                yield from self._reopen(numbers)
            case Extended():
                self._completed = False
            case Interrupted() | Stopped():
                self._ended = type(event).__name__
            case Completed(best):
                yield from self._complete(best)

    def _birth(self, event: Born) -> Iterator[str]:
        candidate = event.candidate
        if candidate.number in self._born:
            yield "was born before"
        if candidate.generation != self._generation + 1:
            yield f"is born while generation {self._generation} is the newest"
        if not set(candidate.parents) <= self._born.keys():
            yield "has parents that were never born"
        if candidate.parents and not set(self._members) <= self._scores.keys():
            yield "is bred before its parents' generation has ended"
        self._born[candidate.number] = event

    def _turn(self, event: GenerationStarted) -> Iterator[str]:
        if event.generation != self._generation + 1:
            yield f"follows generation {self._generation}"
        if not set(self._members) <= self._scores.keys():
            yield f"begins while {sorted(set(self._members) - self._scores.keys())} have no score"
        if not set(event.members) <= self._born.keys():
            yield "has members that were never born"
        older = [
            n
            for n in event.members
            if n in self._born and self._born[n].candidate.generation < event.generation
        ]
        if len(older) > self._elites or not set(older) <= set(self._members):
            yield f"has {older} of earlier generations"
        self._generation, self._members = event.generation, event.members

    def _dispatch(self, event: Dispatched) -> Iterator[str]:
        number = event.number
        if number not in self._born:
            yield "was never born"
            return
        if event.attempt != self._attempts.get(number, 0) + 1:
            yield f"follows attempt {self._attempts.get(number, 0)}"
        if number in self._scores:
            yield f"has its score already, {self._scores[number]}"
        if self._network(number) in self._trained:
            yield "has a network that was trained with success before"
        if event.worker in self._running:
            yield f"goes to a worker that has {self._running[event.worker]}"
        if any(self._network(number) == self._network(other) for other, _ in self._running.values()):
            yield "has a network that is being trained"
        self._attempts[number] = event.attempt
        self._running[event.worker] = number, event.attempt

    def _end(self, event: Finished | Failed) -> Iterator[str]:
        has = self._running.pop(event.worker, None)
        if has != (event.number, event.attempt):
            yield f"ends what its worker does not have, which is {has}"
        if event.number in self._scores:
            yield f"has its score already, {self._scores[event.number]}"
        if isinstance(event, Finished):
            self._scores[event.number] = event.success.fitness
            self._trained.add(self._network(event.number))
        elif event.final:
            self._scores[event.number] = event.failure.kind.value

    def _recall(self, event: Recalled) -> Iterator[str]:
        if event.number in self._scores:
            yield f"has its score already, {self._scores[event.number]}"
        if any(event.number == number for number, _ in self._running.values()):
            yield "is recalled while it is being trained"
        if self._network(event.number) != self._network(event.source):
            yield f"recalls another network's fitness, {self._network(event.source)}"
        if not isinstance(self._scores.get(event.source), float):
            yield "recalls a fitness that there is not"
        self._scores[event.number] = self._scores.get(event.source, "none")

    def _reopen(self, numbers: Iterable[int]) -> Iterator[str]:
        for number in numbers:
            if isinstance(self._scores.pop(number, ""), float):
                yield f"reopens {number}, which has succeeded"

    def _complete(self, best: int | None) -> Iterator[str]:
        if not set(self._members) <= self._scores.keys():
            yield f"leaves {sorted(set(self._members) - self._scores.keys())} without a score"
        of_members = [n for n, one in self._born.items() if one.candidate.generation <= self._generation]
        fitness = {n: self._scores[n] for n in of_members if isinstance(self._scores.get(n), float)}
        fittest = min(fitness, key=lambda n: (-float(fitness[n]), n), default=None)
        if best != fittest:
            yield (
                f"names another best than {fittest}, with {fitness.get(fittest)}"
                if fittest is not None
                else "invents a best"
            )
        beyond = [n for n, one in self._born.items() if one.candidate.generation > self._generation]
        if beyond:
            yield f"has {beyond} of generations beyond the last"
        self._completed, self._ended = True, "Completed"

    def _network(self, number: int) -> str:
        return str(self._born[number].candidate.chromosome)
