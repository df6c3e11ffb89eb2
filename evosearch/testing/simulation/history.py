"""One seed from beginning to end: driver after driver, until the searches are done."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol, TypeVar, cast

from evosearch.errors import InterruptedSearchError, JournalAwayError, StaleTermError, TooManyFailuresError
from evosearch.evaluation import FailureKind, Precision
from evosearch.runtime import (
    Checkpointing,
    DriverState,
    Fleet,
    Member,
    Plan,
    Surroundings,
    Ticket,
    WorkerPool,
    drive,
    replay,
)
from evosearch.storage import (
    Born,
    Completed,
    DriverStarted,
    Event,
    Extended,
    Failed,
    Held,
    Journal,
    JournalLogbook,
    LiveCurve,
    PrecisionResolved,
    Recorded,
    Reopened,
    SearchCreated,
    Stopped,
    TestReadingFailed,
)
from evosearch.testing.simulation.ledger import Ledger
from evosearch.testing.simulation.machines import Cluster, Disks
from evosearch.testing.simulation.observation import BrokenPromiseError, observe
from evosearch.testing.simulation.pool import VirtualPool
from evosearch.testing.simulation.scenario import Scenario, Troubles
from evosearch.testing.simulation.searches import final_plan_of, plan_of

Result = TypeVar("Result")

ENOUGH = 20
"""After so many drivers nothing goes wrong any more, so that every history ends."""

STUCK = 400
"""Turns of a driver's loop without a fact after which none can come any more: hundreds of virtual seconds."""


MOST_EVENTS = 2500
"""Of a search that still comes to an end: more than twice what the most troubled ones have."""


class Killed(BaseException):
    """The driver's process is gone, here and now, and nothing of it runs on."""


class Writing(Protocol):
    """The half of `evosearch.storage.Journal` that drivers need; see there."""

    def create_search(self, name: str, event: SearchCreated, at: float) -> None: ...
    def begin_term(self, name: str, expected: int, event: DriverStarted, at: float) -> int: ...
    def append(self, name: str, term: int, facts: Sequence[Event], at: float) -> int: ...
    def beat(self, name: str, term: int, at: float) -> None: ...
    def show(self, name: str, term: int, curves: Sequence[LiveCurve]) -> None: ...
    def end(self, name: str) -> tuple[int, int]: ...
    def replay(self, name: str, after: int = 0) -> Iterator[Recorded]: ...


def _same(pool: WorkerPool) -> WorkerPool:
    return pool


def _unheard(_line: str) -> None:
    pass


@dataclass(frozen=True)
class Doubles:
    """Where a test puts something else in the place of the real thing.

    `journal`: makes one. `pool`: makes what a driver gets for its pool. `trace`: takes a line for all that happens.
    """

    journal: Callable[[], Writing] = Ledger
    pool: Callable[[WorkerPool], WorkerPool] = _same
    trace: Callable[[str], None] = _unheard


REAL = Doubles()


class History:
    """What happens to the searches of a scenario.

    `lives`: drivers so far. `finals`: the retraining of the first search's best, once that is known.
    """

    def __init__(self, scenario: Scenario, doubles: Doubles = REAL) -> None:
        self.scenario = scenario
        self.doubles = doubles
        self.lives = 0
        self.chance = Random(f"history {scenario.seed}")
        self.cluster = Cluster(scenario.machines, Random(f"nodes {scenario.seed}"))
        self.journal = doubles.journal()
        self.finals: tuple[str, ...] = ()
        self._best: tuple[int, str] | None = None
        self._known: dict[str, list[Recorded]] = {}
        self._superseding = False

    def run(self) -> None:
        """Let driver follow driver until all that was asked for is done.

        Raises:
            BrokenPromiseError: something did not happen as promised.
        """
        names = self.scenario.configuration.names
        self._run(names)
        self._best = self._find_best(names[0])
        if self.scenario.repeats and self._best:
            self.finals = (f"{names[0]}-final",)
            self._run(self.finals)

    def _run(self, names: Sequence[str]) -> None:
        while unfinished := self._unfinished(names):
            self._live(unfinished)
        while self.chance.random() < self.troubles.again:
            self._live(names)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all searches."""
        return (*self.scenario.configuration.names, *self.finals)

    def supersede(self, names: Sequence[str]) -> None:
        """While a driver stands still, a second one takes its searches over, for as long as that one lives."""
        if not self._superseding and (unfinished := self._unfinished(names)):
            self._superseding = True
            self._live(unfinished)
            self._superseding = False

    def _live(self, names: Sequence[str]) -> None:
        self.lives += 1
        if self.lives > 2 * ENOUGH:
            raise BrokenPromiseError(f"{self.lives} drivers do not bring {' and '.join(names)} to an end")
        driver, number = Driver(self), self.lives
        self.tell(f"driver {number} takes {' and '.join(names)}")
        try:
            driver.drive(names)
        except Killed:
            self.tell(f"driver {number} dies")
        except (InterruptedSearchError, JournalAwayError, StaleTermError, TooManyFailuresError) as error:
            self.tell(f"driver {number} ends: {error}")
            driver.justify(error)
        finally:
            driver.close()

    def tell(self, line: str) -> None:
        """For whoever reads along."""
        self.doubles.trace(f"{self.cluster.now:8.2f} {line}")

    # What the journal says

    def recorded(self, search: str) -> Sequence[Recorded]:
        """All events of a search so far."""
        known = self._known.get(search, [])
        known += self.journal.replay(search, len(known)) if search in self._known else ()
        return known

    def create(self, search: str, event: SearchCreated) -> None:
        """Begin a search."""
        self.journal.create_search(search, event, 0.0)
        self._known[search] = []

    def total(self, search: str) -> int:
        """Generations as journaled; of a retraining, how often its last driver was to train."""
        first = self._totals(search)[0]
        for event in self._backwards(search):
            match event:
                case DriverStarted() if search in self.finals:
                    return int(event.configuration["trials"])
                case Extended(generations) if search not in self.finals:
                    return generations
        return first

    def wanted(self, search: str) -> int:
        """What the next driver is asked for: see `total`."""
        now = self.total(search)
        further = next((total for total in self._totals(search) if total > now), now)
        asked = self._is_done(search) or self.chance.random() < self.troubles.extended
        return further if asked else now

    def must_extend(self, search: str, total: int) -> bool:
        """Whether a driver that is asked for `total` has to journal an extension before it goes on."""
        if search not in self.finals:
            return total > self.total(search)
        return self._is_completed(search) and total > self._births(search)

    def plan(self, search: str, total: int) -> Plan:
        """A search with so many generations, or a retraining that trains so often."""
        configuration = self.scenario.configuration
        if search not in self.finals:
            return plan_of(configuration, search, total)
        assert self._best is not None
        shared = self.scenario.machines.shared_disk
        return final_plan_of(configuration, search, self._best, total, shared=shared)

    def _totals(self, search: str) -> tuple[int, ...]:
        return self.scenario.repeats if search in self.finals else self.scenario.totals

    def _find_best(self, search: str) -> tuple[int, str] | None:
        """Number and network of the candidate that came out best."""
        observed = observe(one.event for one in self.recorded(search))
        return None if observed.best is None else (observed.best, observed.births[observed.best][2])

    def _unfinished(self, names: Sequence[str]) -> list[str]:
        return [
            name for name in names if not (self._is_done(name) and self.total(name) == self._totals(name)[-1])
        ]

    def _is_done(self, search: str) -> bool:
        """Whether all is done that it was asked for."""
        all_born = search not in self.finals or self._births(search) == self.total(search)
        return self._is_completed(search) and all_born

    def _births(self, search: str) -> int:
        return sum(isinstance(event, Born) for event in self._backwards(search))

    def _is_completed(self, search: str) -> bool:
        decisive = (event for event in self._backwards(search) if isinstance(event, Extended | Completed))
        return isinstance(next(decisive, None), Completed)

    def _backwards(self, search: str) -> Iterator[Event]:
        return (one.event for one in reversed(self.recorded(search)))

    # What the fates of attempts rest on

    @property
    def troubles(self) -> Troubles:
        """How often what goes wrong now."""
        return self.scenario.troubles if self.lives < ENOUGH else Troubles()

    def failures(self, ticket: Ticket, *, reading: bool) -> Mapping[FailureKind, int]:
        """How often a trial has failed by its own or its worker's fault since it was last opened, by kind; or its reading."""
        counted: Counter[FailureKind] = Counter()
        for one in self.recorded(ticket.search):
            match one.event:
                case Failed() | TestReadingFailed() as failed if failed.trial == ticket.trial:
                    if isinstance(failed, TestReadingFailed) == reading and not failed.failure.node_lost:
                        counted[failed.failure.kind] += 1
                case Reopened() as opened if ticket.trial in opened.trials:
                    counted.clear()
        return counted

    def is_plagued(self, search: str) -> bool:
        """Whether a search still has the plague before it that stops it."""
        return self.most_stops(search) == 1 and not self.stops(search)

    def decided(self, search: str) -> PrecisionResolved | None:
        """What the journal of a search says that `auto` means."""
        return next(
            (event for event in self._backwards(search) if isinstance(event, PrecisionResolved)), None
        )

    def precision(self, search: str) -> Precision | None:
        """The same."""
        decided = self.decided(search)
        return None if decided is None else decided.precision

    def told(self) -> PrecisionResolved | None:
        """As any of the searches has it."""
        known = (self.decided(name) for name in self.names if self.recorded(name))
        return next((one for one in known if one is not None), None)

    def most_stops(self, search: str) -> int:
        """How often it has to stop for its failures."""
        return int(self.scenario.plague != "none" and search in self.scenario.configuration.names)

    def stops(self, search: str) -> int:
        """How often it has stopped for its failures."""
        return sum(isinstance(event, Stopped) for event in self._backwards(search))


class _Lock:
    """Nobody but the drivers of one history asks for it, and the journal's term decides between them."""

    def keep(self) -> None:
        """It is never lost."""

    def release(self, *, driven: bool) -> None:
        """Nobody waits."""


@dataclass(frozen=True)
class _Checkpointing(Checkpointing):
    """On virtual disks, not on this machine's."""

    disks: Disks = field(default_factory=lambda: Disks(shared=True))

    def clear(self) -> None:
        self.disks.clear(self.place)


class Driver:
    """One process: the real loop and the real logbook, on a pool of its own, with what befalls them."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._chance = history.chance
        self._pool = VirtualPool(history.cluster, history.scenario, history, self._submitting)
        self._signal: str | None = None
        self._quiet = 0
        """Turns of the loop since it last had something to write."""
        self._terms: dict[str, int] = {}
        self._told_too_early = ""

    def drive(self, names: Sequence[str]) -> None:
        """Take the searches and run them to their ends, as a command does.

        Raises:
            Killed: it died on the way.
        """
        history, machines = self._history, self._history.scenario.machines
        totals = {name: history.wanted(name) for name in names}
        logbooks = {name: self._take(name, totals[name]) for name in names}
        pool = history.doubles.pool(self._pool)
        pool.start()
        members = [self._member(name, logbooks[name], totals[name]) for name in names]
        checkpointing = {name: self._checkpointing(name) for name in names}
        world = Surroundings(
            pool, logbooks, lambda: history.cluster.now, self._turn, self, machines.limits, checkpointing
        )
        fleet = drive(Fleet.of(*members), world)
        self._check_told()
        for name, member in fleet.members.items():
            if self._is_newest(name) and replay(member.plan, self._facts(name)) != member.state:
                raise BrokenPromiseError(
                    f"a replay of {name} leads to another state than its driver had at the end"
                )

    def close(self) -> None:
        """The process and its workers are gone."""
        self._pool.close()

    def justify(self, error: Exception) -> None:
        """See that a driver that ended before its searches were done had to.

        Raises:
            BrokenPromiseError: it had not.
        """
        match error:
            case InterruptedSearchError() if self._signal is None:
                raise BrokenPromiseError(f"it was stopped without a signal: {error}")
            case StaleTermError() if all(self._is_newest(name) for name in self._terms):
                raise BrokenPromiseError(f"it gave up although nobody superseded it: {error}")
            case TooManyFailuresError():
                history = self._history
                if any(history.stops(name) > history.most_stops(name) for name in self._terms):
                    raise BrokenPromiseError(f"it stopped for failures that a search has to bear: {error}")
            case _:
                pass

    def _take(self, name: str, total: int) -> JournalLogbook:
        history, journal = self._history, self._history.journal
        configuration = {"trials": total}
        if not history.recorded(name):
            created = SearchCreated(configuration, "data", {}, generations=total)
            self._commit(lambda: history.create(name, created))
        started = DriverStarted("host", history.lives, "local", configuration)
        before = journal.end(name)[0]
        self._terms[name] = self._commit(lambda: journal.begin_term(name, before, started, 0.0))
        held, self_as_journal = Held(self._terms[name], _Lock(), lambda: 0.0), cast(Journal, self)
        return JournalLogbook(self_as_journal, name, held, lambda: self._signal, self.note, pause=self._wait)

    def _member(self, name: str, logbook: JournalLogbook, total: int) -> Member:
        plan = self._history.plan(name, total)
        state = replay(plan, self._facts(name))
        if self._history.must_extend(name, total):
            logbook.append([Extended(total if plan.reader is None else 1)])
        return Member(plan, state, self._terms[name], self._history.told())

    def _checkpointing(self, name: str) -> Checkpointing:
        history = self._history
        minutes, listed = history.scenario.machines.checkpoint_minutes, name in history.finals
        return _Checkpointing(f"checkpoints of {name}", minutes, listed, history.cluster.disks)

    def _facts(self, name: str) -> list[Event]:
        return [one.event for one in self._history.recorded(name)]

    def _is_newest(self, name: str) -> bool:
        return self._history.journal.end(name)[0] == self._terms[name]

    # What befalls it

    def _commit(self, write: Callable[[], Result]) -> Result:
        troubles, lot = self._history.troubles, self._chance.random
        if lot() < troubles.dies_before:
            raise Killed
        if lot() < troubles.away:
            raise JournalAwayError("the server went away before")
        result = write()
        if lot() < troubles.dies_after:
            raise Killed
        if lot() < troubles.away:
            raise JournalAwayError("the server went away behind")
        return result

    def _fenced(self, name: str, write: Callable[[], Result]) -> Result:
        """A commit under this driver's term, which may meet a newer one."""
        history = self._history
        if self._chance.random() < history.troubles.pauses:
            self._wait(self._chance.uniform(6, 30))
        if self._chance.random() < history.troubles.superseded:
            history.supersede(list(self._terms))
        if self._is_newest(name):
            return self._commit(write)
        write()
        raise BrokenPromiseError(
            f"a driver of {name} wrote under term {self._terms[name]} although a newer one had begun"
        )

    def _turn(self) -> str | None:
        """Asked at each turn of the loop: the signal that was sent, if one was."""
        self._check_told()
        self._quiet += 1
        if self._quiet > STUCK:
            raise BrokenPromiseError(
                f"a driver of {' and '.join(self._terms)} waits for something that never comes"
            )
        if self._chance.random() < self._history.troubles.stopped:
            self._signal = "SIGTERM"
        return self._signal

    def _submitting(self) -> None:
        if self._chance.random() < self._history.troubles.dies_submitting:
            raise Killed

    def _wait(self, seconds: float) -> None:
        self._history.cluster.now += seconds

    # Its journal

    def append(self, name: str, term: int, facts: Sequence[Event], at: float) -> int:
        """As `Journal.append`."""
        journal = self._history.journal
        self._quiet = 0
        if journal.end(name)[1] > MOST_EVENTS:
            raise BrokenPromiseError(f"{name} goes on and on: {facts[-1]}")
        for fact in facts:
            self._history.tell(f"  {name} {term}: {fact}")
        return self._fenced(name, lambda: journal.append(name, term, facts, at))

    def beat(self, name: str, term: int, at: float) -> None:
        """As `Journal.beat`."""
        self._fenced(name, lambda: self._history.journal.beat(name, term, at))

    def show(self, name: str, term: int, curves: Sequence[LiveCurve]) -> None:
        """As `Journal.show`."""
        self._fenced(name, lambda: self._history.journal.show(name, term, curves))

    def end(self, name: str) -> tuple[int, int]:
        """As `Journal.end`."""
        return self._history.journal.end(name)

    def checkpoint(self) -> None:
        """Nothing: this journal is no file that somebody copies."""

    def look(self, *_: object, **__: object) -> None:
        """As `Journal.look`: it is in its place."""

    # Its watcher

    def note(self, text: str) -> None:
        """As `Watcher.note`."""
        self._history.tell(f"  note: {text}")

    def wait(self, text: str) -> None:
        """As `Watcher.wait`."""

    def begin(self, plan: Plan, state: DriverState) -> None:
        """As `Watcher.begin`."""

    def observe(self, plan: Plan, state: DriverState, facts: Sequence[Event]) -> None:  # noqa: ARG002 - of `Watcher`
        """As `Watcher.observe`; what a watcher raises would not reach anybody."""
        if self._facts(plan.name)[-len(facts) :] != list(facts):
            self._told_too_early = plan.name

    def follow(self, plan: Plan, curves: Sequence[LiveCurve]) -> None:
        """As `Watcher.follow`."""

    def _check_told(self) -> None:
        if self._told_too_early:
            raise BrokenPromiseError(f"{self._told_too_early} is told of facts that are not in its journal")
