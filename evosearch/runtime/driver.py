"""The loop around the state machine: pool events in, commands executed, journals kept alive, workers watched."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from evosearch.errors import CannotRunError, InterruptedSearchError, TooManyFailuresError
from evosearch.evaluation import Precision, PredictionTask
from evosearch.runtime.faults.stalls import LiveTrainings, StallDetector, TimeLimits
from evosearch.runtime.machine.consequences import ALL_DIVERGED, barren_reason
from evosearch.runtime.machine.fleet import Fleet, Member
from evosearch.runtime.machine.step import (
    Assign,
    Begun,
    Command,
    DriverEvent,
    Exclude,
    Record,
    StopAsked,
    TurnAway,
    step,
)
from evosearch.runtime.pool import (
    PoolChanged,
    PoolEvent,
    Ticket,
    Worker,
    WorkerJoined,
    WorkerLeft,
    WorkerPool,
)
from evosearch.runtime.scheduling.placement import check_limits, check_readings
from evosearch.runtime.settings import Checkpointing
from evosearch.runtime.watcher import Watcher, Watchers
from evosearch.storage import Completed, Event, GenerationStarted, LiveCurve, PrecisionResolved, Stopped

HEARTBEAT_SECONDS = 5.0
POLL_SECONDS = 0.25
"""Longest wait for a pool event: a stop signal is seen at least this often."""


class Logbook(Protocol):
    """Where a driver writes: one search's journal under one term."""

    @property
    def term(self) -> int:
        """The driver's term; every task it gives out carries it."""
        ...

    def append(self, facts: Sequence[Event]) -> None:
        """Make the facts durable, all or none.

        Raises:
            StaleTermError: a newer driver has taken the search over.
        """
        ...

    def beat(self) -> None:
        """Say that this driver is alive."""
        ...

    def show(self, curves: Sequence[LiveCurve]) -> None:
        """Let readers see how trainings get on; nothing rests on it.

        Raises:
            StaleTermError: a newer driver has taken the search over.
        """
        ...


@dataclass(frozen=True)
class Surroundings:
    """What the loop touches of the world."""

    pool: WorkerPool
    """The workers."""
    logbooks: Mapping[str, Logbook]
    """By search: where its driver writes."""
    clock: Callable[[], float]
    """Monotonic seconds."""
    stop_reason: Callable[[], str | None]
    """The name of the signal that asked for a stop; None as long as none did."""
    watcher: Watcher
    """Learns what happens, after it is durable."""
    limits: TimeLimits = field(default_factory=TimeLimits)
    """How long a worker may take."""
    checkpointing: Mapping[str, Checkpointing] = field(default_factory=dict)
    """By search, of those whose trainings leave checkpoints."""


def drive(fleet: Fleet, world: Surroundings) -> Fleet:
    """Run the searches of `fleet` to their ends on a pool that has been started; the caller closes the pool.

    Returns: the final fleet, every search complete.

    Raises:
        InterruptedSearchError: a stop was asked for; journaled, resumable.
        TooManyFailuresError: a failure budget of a whole search is spent; journaled, resumable. The others of its
            fleet have ended by then.
        StaleTermError: a newer driver has taken a search over.
        CannotRunError: the pool cannot keep a single worker, no device holds what the limits allow, or every worker was turned
            away.
    """
    return _Loop(fleet, world).run()


class _Loop:
    """One driver at work. `stalls`: who has been busy since when; it dies with the driver."""

    def __init__(self, fleet: Fleet, world: Surroundings) -> None:
        self._fleet = fleet
        self._world = world
        self._stalls = StallDetector()
        self._stopped: list[str] = []
        self._other: set[tuple[str, str]] = set()
        self._turned_away: dict[tuple[str, str], str] = {}
        """Why workers were, by machine and kind of processor."""
        self._unsaid: list[str] = []
        """Those of them that were not told yet: where no other worker comes, one is the reason of the end."""
        self._lacking: set[Precision] = set()
        """What those that were turned away have no instructions for."""
        self._precision_told = False
        self._held_back: list[PoolEvent] = []
        self._may_begin = False
        self._joined: set[Worker] = set()
        self._worked = False
        self._live = LiveTrainings()
        self._watchers = Watchers.of(world.watcher)

    def run(self) -> Fleet:
        world = self._world
        self._advance(Begun())
        beaten = world.clock()
        while not self._fleet.halted:
            if reason := world.stop_reason():
                self._stop(reason)
            news = world.pool.poll(POLL_SECONDS)
            now = world.clock()
            self._hear(news, now)
            self._end_without_workers()
            self._tell_who_is_there(news)
            self._stop_the_overdue(now)
            if world.clock() - beaten >= HEARTBEAT_SECONDS:
                self._beat()
                beaten = world.clock()
        if self._stopped:
            raise TooManyFailuresError("; ".join(self._stopped))
        return self._fleet

    def _hear(self, news: Sequence[PoolEvent], now: float) -> None:
        """Act on what the pool reported; held back until it is known that the devices hold what the limits allow."""
        self._stalls = self._stalls.listened(now)
        for event in news:
            self._stalls = self._stalls.saw(event, now)
            if isinstance(event, PoolChanged):
                self._watchers.note(event.text)
        self._held_back += news
        if self._may_begin or self._devices_suffice():
            self._may_begin = True
            held, self._held_back = self._held_back, []
            self._live, told = self._live.heard(held)
            self._advance(*held)
            for event in held:
                if isinstance(event, WorkerJoined) and event.worker.name not in self._fleet.turned_away:
                    self._compare_processor(event.worker)
            for search, curves in told.items():
                self._show(search, curves)

    def _end_without_workers(self) -> None:
        """Where every worker that there is was turned away, nothing more will ever be trained."""
        if (
            self._turned_away
            and not self._fleet.workers
            and not self._fleet.halted
            and self._world.pool.settled
        ):
            reason = [*self._turned_away.values()][-1]
            self._advance(StopAsked(reason))
            raise CannotRunError(reason)

    def _tell_who_is_there(self, news: Sequence[PoolEvent]) -> None:
        """As long as nothing was given out, whoever watches waits for workers; who was turned away is told once one was not."""
        if self._fleet.workers:
            for text in self._unsaid:
                self._watchers.note(text)
            self._unsaid.clear()
        before = len(self._joined)
        for event in news:
            if isinstance(event, WorkerJoined):
                self._joined.add(event.worker)
            elif isinstance(event, WorkerLeft):
                self._joined.discard(event.worker)
        if len(self._joined) != before and not self._worked:
            away = sum(worker.name in self._fleet.turned_away for worker in self._joined)
            ready, ordered = len(self._joined) - away, self._world.pool.ordered
            why = f", {away} turned away for want of {' and '.join(sorted(self._lacking))}" if away else ""
            self._watchers.wait(f"{starting(ready, ordered)}{why}")

    def _show(self, search: str, curves: Sequence[LiveCurve]) -> None:
        member = self._fleet.members[search]
        if not member.state.halted:
            self._world.logbooks[search].show(curves)
            self._watchers.follow(member.plan, curves)

    def _compare_processor(self, worker: Worker) -> None:
        """Say once of each kind of processor that it is another one than a search began on."""
        for name, member in self._fleet.members.items():
            first = next(iter(member.state.processors), worker.processor)
            if worker.processor and worker.processor != first and (name, worker.processor) not in self._other:
                self._other.add((name, worker.processor))
                self._watchers.note(
                    f"{worker.name} computes on {worker.processor}, and {name!r} began on {first}: its bits may differ"
                )

    def _devices_suffice(self) -> bool:
        left = {event.worker for event in self._held_back if isinstance(event, WorkerLeft)}
        joined = [event.worker for event in self._held_back if isinstance(event, WorkerJoined)]
        there = tuple(worker for worker in joined if worker not in left)
        plans, settled = [member.plan for member in self._fleet.members.values()], self._world.pool.settled
        checks = [check_limits(plan.context.limits, there, all_there=settled) for plan in plans]
        checks += [check_readings(plan, there, all_there=settled) for plan in plans]
        return all(checks)

    def _beat(self) -> None:
        for name, member in self._fleet.members.items():
            if not member.state.halted:
                self._world.logbooks[name].beat()

    def _stop_the_overdue(self, now: float) -> None:
        """`now`: when workers were last listened to."""
        # One at a time: each may take seconds, and signals and heartbeats come between.
        for late in self._stalls.overdue(self._world.limits, now)[:1]:
            self._stalls = self._stalls.without(late.worker)
            self._world.pool.stop(late.worker, late.kind, late.message)

    def _advance(self, *events: DriverEvent) -> None:
        self._fleet, commands = step(self._fleet, *events)
        for command in commands:
            self._execute(command)

    def _stop(self, reason: str) -> NoReturn:
        names = [name for name, member in self._fleet.members.items() if not member.state.halted]
        self._advance(StopAsked(reason))
        told = (
            f"{' and '.join(map(repr, names))} {'was' if len(names) == 1 else 'were'} stopped by {reason}; "
            f"`evosearch resume {_common(list(self._fleet.members))}` goes on where it stopped"
        )
        raise InterruptedSearchError("; ".join([*self._stopped, told]))

    def _execute(self, command: Command) -> None:
        world = self._world
        match command:
            case Record(search, facts):
                world.logbooks[search].append(facts)
                member = self._fleet.members[search]
                self._watchers.observe(member.plan, member.state, facts)
                self._tell_precision(facts)
                if text := _barren_beginning(member, facts):
                    self._watchers.note(text)
                self._stopped += [
                    _stopped(search, fact.message) for fact in facts if isinstance(fact, Stopped)
                ]
                if any(isinstance(fact, Completed) for fact in facts) and search in world.checkpointing:
                    world.checkpointing[search].clear()
            case Assign(search, worker, trial, attempt, task):
                self._worked = True
                self._stalls = self._stalls.began(worker, world.clock())
                self._live = self._live.began(worker, search, trial, task)
                checkpointing = world.checkpointing.get(search)
                if checkpointing and not isinstance(task, PredictionTask):
                    task = checkpointing.apply(task, attempt)
                term = world.logbooks[search].term
                ticket = Ticket(search, term, trial.number, attempt, trial.until)
                world.pool.submit(worker, ticket, task)
            case Exclude(node, message):
                self._watchers.note(message)
                world.pool.exclude(node)
            case TurnAway(worker, lacks, message):
                world.pool.dismiss(worker)
                self._lacking.add(lacks)
                kind = worker.node, worker.processor
                if kind not in self._turned_away:
                    self._turned_away[kind] = message
                    self._unsaid.append(message)

    def _tell_precision(self, facts: Sequence[Event]) -> None:
        """Say once what `auto` has come to mean, where a worker of this fleet decided it."""
        for fact in facts:
            if isinstance(fact, PrecisionResolved) and fact.worker and not self._precision_told:
                self._precision_told = True
                has = "has instructions" if fact.precision == "bf16" else "has no instructions"
                cpu = (worker := self._fleet.workers.get(fact.worker)) and worker.device.endswith("/cpu")
                named = " (avx512_bf16 or AMX)" if cpu else ""
                why = f": {fact.processor} {has} for bf16{named}" if fact.processor else ""
                self._watchers.note(f"training.precision: auto means {fact.precision} from here on{why}")


def starting(ready: int, ordered: int) -> str:
    """What is waited for while workers start.

    >>> starting(1, 2)
    'starting workers: 1 of 2 ready'
    """
    return f"starting workers: {ready} of {max(ready, ordered)} ready"


def _barren_beginning(member: Member, facts: Sequence[Event]) -> str | None:
    """A word on a search that goes on although all of its first generation diverged, once, as the second one starts."""
    begins = any(isinstance(fact, GenerationStarted) and fact.generation == 1 for fact in facts)
    if not (begins and member.state.barren) or any(isinstance(fact, Stopped) for fact in facts):
        return None
    return f"{member.plan.name}: {barren_reason(member.plan)}"


def _stopped(search: str, message: str) -> str:
    if message.startswith(ALL_DIVERGED):
        return (
            f"{search!r} stopped: {message}; `evosearch resume {search}` goes on with this one all the same"
        )
    return f"{search!r} stopped: {message}; fix the cause, then `evosearch resume {search}` tries them again"


def _common(names: Sequence[str]) -> str:
    """The search, or the group whose members they are."""
    return names[0] if len(names) == 1 else names[0].partition("/")[0]
