"""The driver as a state machine: `step(fleet, *events) -> (fleet, commands)`, without I/O, clock or chance.

Read `step` first: each event is turned into facts of the searches it concerns; the facts change their states by the
same fold that a replay uses; what then becomes possible (a new generation, a remembered fitness, a dispatch) follows at
once. Commands are to be executed in order: a fact is durable before anything that rests on it happens.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass, replace
from typing import TypeAlias

from evosearch.evaluation import Precision, Task, TrialId
from evosearch.runtime.faults.breaker import LOSSES, claims, closed, node_to_close, with_pool
from evosearch.runtime.frozen import without
from evosearch.runtime.machine.consequences import (
    consequences,
    early_births,
    facts_from,
    reading_begun,
    reopened,
)
from evosearch.runtime.machine.fleet import Fleet, Member, TaskName
from evosearch.runtime.machine.fold import evolve
from evosearch.runtime.pool import (
    PoolChanged,
    PoolEvent,
    TaskDone,
    Worker,
    WorkerJoined,
    WorkerLeft,
    WorkerProgressed,
    auto_on,
)
from evosearch.runtime.scheduling.order import assignments, readings
from evosearch.storage import Dispatched, Event, Interrupted, PrecisionResolved, ProcessorSeen


@dataclass(frozen=True)
class Begun:
    """The driver holds the searches, and their states are replayed."""


@dataclass(frozen=True)
class StopAsked:
    """The searches are to stop and may be resumed: a signal asked for it, or no worker suits them."""

    reason: str
    """The signal's name; else why the workers were turned away."""


@dataclass(frozen=True)
class Record:
    """Write facts to a journal in one transaction."""

    search: str
    """Whose journal."""
    facts: tuple[Event, ...]
    """In order."""


@dataclass(frozen=True)
class Assign:
    """Give a worker one attempt at a trial."""

    search: str
    """Whose trial it is."""
    worker: Worker
    """Who gets it."""
    trial: TrialId
    """Which one."""
    attempt: int
    """Its number, from 1."""
    task: Task
    """What is to be done."""


@dataclass(frozen=True)
class Exclude:
    """Let the pool start no worker on a node any more."""

    node: str
    """Which one."""
    message: str
    """Why, for a person."""


@dataclass(frozen=True)
class TurnAway:
    """Let a worker go that cannot do what is asked, and start no other in its place."""

    worker: Worker
    """Which one; it is idle."""
    lacks: Precision
    """What it has no instructions for."""
    message: str
    """Why, for a person."""


DriverEvent: TypeAlias = Begun | StopAsked | PoolEvent
Command: TypeAlias = Record | Assign | Exclude | TurnAway


def step(fleet: Fleet, *events: DriverEvent) -> tuple[Fleet, tuple[Command, ...]]:
    """The fleet after `events`, and what to do about it.

    What came to be known at one moment is reported at once: else what a dead node had would be given to its next dead
    worker, whose death has not been reported yet.
    """
    if fleet.halted:  # whatever still arrives is trained again on resume
        return fleet, ()
    turn = _Turn(fleet, events)
    for event in events:
        turn.take(event)
    turn.close_node()
    turn.decide_precision()
    turn.assign()
    if turn.workers_idle:  # a generation drains: its successor's immigrants fill the gap
        turn.bear_early()
        turn.decide_precision()
        turn.assign()
    return turn.fleet, turn.commands()


class _Turn:
    """One step being taken: the fleet so far, and the commands that brought it there."""

    def __init__(self, fleet: Fleet, events: Iterable[DriverEvent]) -> None:
        self.fleet = fleet
        self._claims = claims(fleet, events)
        self._facts: dict[str, list[Event]] = {}
        self._assigned: list[Assign] = []
        self._excluded: list[Exclude | TurnAway] = []
        self._joined: list[Worker] = []
        """Who has, and was not asked yet whether it can do what is trained."""
        self._needed = self._precisions()

    def take(self, event: DriverEvent) -> None:
        """Turn `event` into facts of the searches it concerns, and these into what follows from them; then let the fleet
        know of it.
        """
        match event:
            case Begun():
                for name, member in self._going_on():
                    self._tell(name, reopened(member.plan, member.state))
            case StopAsked(reason):
                for name, _ in self._going_on():
                    self._tell(name, [Interrupted(reason)])
            case TaskDone(worker):
                self._free(event, self.fleet.task_of(worker))
            case WorkerLeft(worker):
                task, claim = self.fleet.task_of(worker), self._claims.get(worker.name)
                if task and claim:
                    self.fleet = replace(self.fleet, suspects=self.fleet.suspects | {task})
                self._free(claim or event, task)
            case WorkerJoined(worker):
                self.fleet = with_pool(self.fleet, event, None)
                self._joined.append(worker)
            case WorkerProgressed() | PoolChanged():
                self.fleet = with_pool(self.fleet, event, None)

    def close_node(self) -> None:
        """Close a node that loses worker after worker."""
        if node := node_to_close(self.fleet):
            self.fleet = closed(self.fleet, node)
            message = (
                f"{node} lost workers {LOSSES} times and finished nothing in between; it gets no more work"
            )
            self._excluded.append(Exclude(node, message))

    def decide_precision(self) -> None:
        """Before anything is given out, let it be known what `auto` means: what another search of the same group has, in this
        fleet or beside it; else what the first worker can do. Then turn away who cannot do what is trained.
        """
        undecided = [(name, member) for name, member in self._going_on() if member.state.undecided]
        for name, member in undecided:
            if (decided := member.told or self._decided or self._by_first_worker()) is not None:
                self._add(name, [decided])
        needed = self._precisions()
        asked = self._joined if needed == self._needed else self.fleet.workers.values()
        for worker in tuple(asked):
            if worker.name in self.fleet.workers and worker.name not in self.fleet.turned_away:
                self._turn_away_unless_able(worker)
        for worker in self._joined:
            if worker.name in self.fleet.workers:
                self._see_processor(worker)
        self._joined, self._needed = [], needed

    def _see_processor(self, worker: Worker) -> None:
        for name, member in self._going_on():
            if worker.processor and worker.processor not in member.state.processors:
                self._add(name, [ProcessorSeen(worker.name, worker.processor)])

    @property
    def _decided(self) -> PrecisionResolved | None:
        """As a search of this fleet has it."""
        known = (one.state.precision or one.told for one in self.fleet.members.values())
        found = next((one for one in known if one is not None), None)
        return None if found is None else replace(found, worker="")

    def _by_first_worker(self) -> PrecisionResolved | None:
        worker = next(iter(self.fleet.workers.values()), None)
        if worker is None:
            return None
        return PrecisionResolved(auto_on(worker), worker.processor, worker.name)

    def _precisions(self) -> tuple[tuple[str, Set[str], PrecisionResolved | None], ...]:
        """All that decides which workers suit this fleet."""
        return tuple((name, one.state.wanted, one.state.precision) for name, one in self._going_on())

    def _turn_away_unless_able(self, worker: Worker) -> None:
        refused = ((one, one.state.refuses(worker)) for _, one in self._going_on())
        member, lacking = next(((one, found) for one, found in refused if found is not None), (None, None))
        if member is None or lacking is None:
            return
        busy = self.fleet.task_of(worker) is not None  # it may end what it has
        left = self.fleet.workers if busy else without(self.fleet.workers, worker.name)
        turned_away = self.fleet.turned_away | {worker.name}
        self.fleet = replace(self.fleet, workers=left, turned_away=turned_away)
        if not busy:
            self._excluded.append(TurnAway(worker, lacking, _lacks(worker, lacking, member)))

    @property
    def workers_idle(self) -> bool:
        """Whether somebody has nothing to do."""
        busy = sum(len(member.state.running) for member in self.fleet.members.values())
        return not self.fleet.halted and busy < len(self.fleet.workers)

    def bear_early(self) -> None:
        """Let every search's next immigrants be born now, unless they were asked for already."""
        for name, member in self._going_on():
            asked = member.state.progress.generation, member.state.progress.asked
            if asked != member.asked_early:
                self._tell(name, early_births(member.plan, member.state))
                self.fleet = self.fleet.having_asked_early(name, asked)

    def assign(self) -> None:
        """Give free workers what waits: readings first, which take seconds, then trainings."""
        for worker, name, trial in readings(self.fleet):
            member = self.fleet.members[name]
            one, reader = member.state.unread[trial], member.plan.reader
            assert reader is not None  # noqa: S101 - else nothing would be unread
            begun = reading_begun(member.plan, member.state, trial, worker)
            self._add(name, [begun])
            task = reader.task(member.plan, one.trial, one.weights)
            self._assigned.append(Assign(name, worker, trial, begun.attempt, task))
        for worker, waiting in assignments(self.fleet):
            trial, member = waiting.trial.id, self.fleet.members[waiting.search]
            attempt = member.state.attempts.get(trial, 0) + 1
            self._add(waiting.search, [Dispatched(trial.number, attempt, worker.name, trial.until)])
            training = member.plan.task(waiting.trial, member.term, attempt)
            self._assigned.append(Assign(waiting.search, worker, trial, attempt, training))

    def commands(self) -> tuple[Command, ...]:
        """What was decided; every fact before anything that rests on it."""
        records = (Record(name, tuple(facts)) for name, facts in self._facts.items() if facts)
        return (*records, *self._excluded, *self._assigned)

    def _going_on(self) -> list[tuple[str, Member]]:
        return [(name, member) for name, member in self.fleet.members.items() if not member.state.halted]

    def _free(self, event: TaskDone | WorkerLeft, task: TaskName | None) -> None:
        """A worker has nothing to do any more, which had `task`."""
        if task:
            self._end(task[0], event)
        self.fleet = with_pool(self.fleet, event, task)

    def _end(self, name: str, event: TaskDone | WorkerLeft) -> None:
        """What a worker had to do for the search `name` has ended."""
        member = self.fleet.members[name]
        if member.state.halted:  # only its worker matters still
            running = {w: trial for w, trial in member.state.running.items() if w != event.worker.name}
            self.fleet = self.fleet.with_state(name, replace(member.state, running=running))
            return
        self._tell(name, facts_from(member.plan, member.state, event, member.term))

    def _tell(self, name: str, facts: Iterable[Event]) -> None:
        """These facts, and what follows from them."""
        self._add(name, facts)
        self._settle(name)

    def _settle(self, name: str) -> None:
        """Draw every conclusion that the state of a search allows."""
        while not (member := self.fleet.members[name]).state.halted:
            news = consequences(member.plan, member.state)
            if not news:
                return
            self._add(name, news)

    def _add(self, name: str, facts: Iterable[Event]) -> None:
        member = self.fleet.members[name]
        state, added = member.state, []
        for fact in facts:
            added.append(fact)
            state = evolve(member.plan, state, fact)
        self._facts.setdefault(name, []).extend(added)
        self.fleet = self.fleet.with_state(name, state, added)


def _lacks(worker: Worker, precision: Precision, member: Member) -> str:
    """Why a worker is turned away, and what to do about it."""
    what, decided, name = worker.processor or worker.device, member.state.precision, member.plan.name
    if decided is None or decided.precision != precision:
        return (
            f"{worker.name} is turned away: {what} has no {precision}, which training.precision of {name!r} names; "
            f"use GPUs that have it (compute capability 8.0 on), or {_in_fp32(member)}"
        )
    return (
        f"{worker.name} is turned away: {what} has no instructions for {precision}, which auto as training.precision means for "
        f"{name!r}{f' since it began on {decided.processor}' if decided.processor else ''}; go on where there are some, "
        f"or {_in_fp32(member)}"
    )


def _in_fp32(member: Member) -> str:
    """How the same is searched in fp32: the name is taken, also by a search that has trained nothing."""
    name = member.plan.name
    if "/" in name or member.state.ended:  # a member's group, a retraining's search: others have trained
        return "begin another search, under another name, with training.precision: fp32"
    return f"`evosearch delete {name}` and begin it again with training.precision: fp32"
