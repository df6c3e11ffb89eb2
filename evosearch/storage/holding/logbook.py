"""What a driver writes with: one search's journal under one term, its lock, and the backups that are due."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Literal, assert_never

from evosearch.errors import EvosearchError, InterruptedSearchError, JournalAwayError, JournalBusyError
from evosearch.storage.artifacts.predictions import set_aside
from evosearch.storage.artifacts.store import ArtifactStore
from evosearch.storage.backups.backup import Backup
from evosearch.storage.holding.holder import Held
from evosearch.storage.journal.events import (
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
from evosearch.storage.journal.journal import Journal
from evosearch.storage.journal.rows import LiveCurve

AWAY_SECONDS = 60.0
"""Longest wait for a journal's server that is away, for instance while it is restarted."""

PAUSE_SECONDS = 0.5
"""Between two tries."""


def _moment(fact: Event) -> Literal["end", "reading", "turn"] | None:
    """What `fact` is to who keeps the journal: the end of a driver, a reading of the test split, a new generation."""
    match fact:
        case Completed() | Interrupted() | Stopped():
            return "end"
        case TestReadingBegun() | TestRead():
            return "reading"
        case GenerationStarted():
            return "turn"
        case Born() | Dispatched() | Finished() | Recalled() | Failed() | Reopened() | TestReadingFailed():
            return None
        case SearchCreated() | DriverStarted() | ProcessorSeen() | PrecisionResolved():
            return None
        case Extended() | VerdictReached():
            return None
    assert_never(fact)


class JournalLogbook:
    """The driver's own; keeps to `evosearch.runtime.Logbook`.

    A server that is away is waited for. A commit whose answer is lost may have happened or not: only this driver
    writes under its term, so that the number of the last event shows it.
    """

    def __init__(
        self,
        journal: Journal,
        name: str,
        held: Held,
        stop_reason: Callable[[], str | None],
        note: Callable[[str], None],
        backup: Backup | None = None,
        store: ArtifactStore | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`stop_reason`: the signal that asked this process to stop. `note`: takes a line for the user. `store`: the search's
        own, for what is too large for an event; None: all is in events. `pause`: waits.
        """
        self._journal = journal
        self._name = name
        self._held = held
        self._stop_reason = stop_reason
        self._note = note
        self._backup = backup
        self._store = store
        self._pause = pause
        self._end = journal.end(name)[1]

    @property
    def term(self) -> int:
        """The driver's."""
        return self._held.term

    def append(self, facts: Sequence[Event]) -> None:
        """Make the facts durable, all or none.

        Raises:
            StaleTermError: a newer driver has taken the search over, here or as the backups show.
            JournalAwayError: the server stayed away.
            JournalLostError: the journal is no longer in its place; the message says what was rescued.
            InterruptedSearchError: a stop was asked for meanwhile.
            CannotRunError: what is too large for an event cannot be kept beside it.
        """
        facts = [self._in_few_bytes(fact) for fact in facts]
        end = self._end + len(facts)

        def write() -> None:
            self._journal.append(self._name, self.term, facts, self._held.clock())

        def write_unless_there() -> None:
            if self._journal.end(self._name) != (self.term, end):
                write()

        self._patiently(write, write_unless_there)
        self._end = end
        moments = {_moment(fact) for fact in facts}
        self._look(thorough="end" in moments)
        if moments & {"turn", "end"}:  # else a plain copy of a journal's file would hold next to nothing
            self._journal.checkpoint()
        if "reading" in moments:
            self._back_up_now()
        else:
            self._back_up("turn" in moments)

    def _in_few_bytes(self, fact: Event) -> Event:
        if self._store is None or not isinstance(fact, TestRead):
            return fact
        return replace(fact, predictions=set_aside(fact.predictions, fact.weights, self._store))

    def beat(self) -> None:
        """Say that this driver is alive; errors as `append`."""
        self._patiently(self._beat, self._beat)
        self._look(thorough=True)
        self._back_up(False)

    def show(self, curves: Sequence[LiveCurve]) -> None:
        """Let readers see how trainings get on; a server that is away is not waited for.

        Raises:
            StaleTermError: a newer driver has taken the search over.
        """
        with suppress(JournalAwayError):
            self._journal.show(self._name, self.term, curves)

    def _beat(self) -> None:
        self._look(thorough=False)  # a lock that is taken again makes its folder again
        self._held.lock.keep()
        self._journal.beat(self._name, self.term, self._held.clock())

    def _patiently(self, write: Callable[[], None], again: Callable[[], None]) -> None:
        """`write`, and `again` as long as the server is away, or, however long that takes, another program has locked the
        file: who did may be at lunch, and what was trained is worth more than an hour of waiting.
        """
        until, waits = time.monotonic() + AWAY_SECONDS, False
        while True:
            try:
                write()
            except JournalAwayError as error:
                if reason := self._stop_reason():
                    raise InterruptedSearchError(
                        f"{self._name!r} was stopped by {reason}; {error}"
                    ) from error
                if time.monotonic() >= until and not isinstance(error, JournalBusyError):
                    raise
                if not waits:
                    self._note(f"{error}; {self._name!r} waits")
                waits = True
            except EvosearchError as error:  # what a journal that was overwritten answers is not the reason
                self._look(thorough=True, error=error)
                raise
            else:
                if waits:
                    self._note(f"the journal takes what {self._name!r} writes again")
                return
            self._pause(PAUSE_SECONDS)
            write = again

    def _look(self, *, thorough: bool, error: Exception | None = None) -> None:
        """A journal that was deleted takes what is written to its open file for as long as this process lives."""
        self._journal.look(self._name, self.term, self._end, thorough=thorough, error=error)

    def _back_up_now(self) -> None:
        """A lost disk must not let the test split be read a second time."""
        if self._backup and (trouble := self._backup.save()):
            self._note(trouble)

    def _back_up(self, turned: bool) -> None:
        if self._backup is None:
            return
        if turned or self._backup.due(time.monotonic()):
            self._backup.begin(time.monotonic())
        if trouble := self._backup.note():
            self._note(trouble)
