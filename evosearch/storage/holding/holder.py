"""Who drives a search: one process at a time, known by a lock that dies with it and by its heartbeat.

A driver of term T owns the lock of term T of its search for as long as it lives (`evosearch.storage.holding.locks`). To
follow it, a driver takes the lock of T+1 and then the term T+1, which succeeds for one driver only.

Where the lock does not show it, the newcomer watches the heartbeat: a driver is alive if it changes. Only the newcomer's
own monotonic clock says for how long it did not; the clocks of two machines are never compared.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import Connection

from evosearch.errors import CannotRunError, HeldError, SearchConflictError, StaleTermError
from evosearch.storage.holding.locks import Lock, LockState
from evosearch.storage.journal.events import DriverStarted
from evosearch.storage.journal.journal import Journal
from evosearch.storage.journal.readers import heartbeats, process
from evosearch.storage.journal.rows import Heartbeat, SearchRow, SearchStatus
from evosearch.storage.journal.upgrade import Check
from evosearch.storage.urls import files_folder

STALE_SECONDS = 60.0
"""A driver whose heartbeat did not change for so long is dead or hangs."""

WATCH_SECONDS = 1.0
"""Between two looks at a heartbeat."""

_TRIES = 3


def _silence(_: str) -> None:
    """For who wants no word of it."""


class Onlooker:
    """Watches heartbeats, and remembers since when each has not changed: the members of a group are waited for once."""

    def __init__(
        self,
        note: Callable[[str], None] = _silence,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`note`: called once, when it watches. `clock`: monotonic seconds. `sleep`: obeys signals."""
        self.clock = clock
        self._note = note
        self._sleep = sleep
        self._seen: dict[str, tuple[Heartbeat, float]] = {}

    def finds_alive(self, journal: Journal, folder: Path, name: str) -> bool:
        """Whether a process drives the search `name`, whose own folder is `folder`; takes up to `STALE_SECONDS`."""
        locks = journal.locks(folder, name)
        first = self._look(journal)[name]
        told = False
        while True:
            now, since = self._look(journal)[name], self._seen[name][1]
            state = locks.state(now.term)
            if state != "unknown" or now != first:
                return state != "free"
            if self.clock() - since >= STALE_SECONDS:
                return False
            if not told:
                self.tell(f"whether a driver of {name!r} is alive is not known: its heartbeat", STALE_SECONDS)
                told = True
            self._sleep(WATCH_SECONDS)

    def tell(self, what: str, seconds: float) -> None:
        """Say what is watched, and for how long at most."""
        self._note(
            f"{what} is watched for up to {seconds:.0f} s; Ctrl-C ends this command and changes nothing"
        )

    def wait(self, seconds: float) -> None:
        """Sleep; a signal ends it."""
        self._sleep(seconds)

    def _look(self, journal: Journal) -> dict[str, Heartbeat]:
        found, now = journal.heartbeats(), self.clock()
        for name, heartbeat in found.items():
            if name not in self._seen or self._seen[name][0] != heartbeat:
                self._seen[name] = heartbeat, now
        return found


@dataclass(frozen=True)
class Held:
    """A search that this process may write to, until it releases it or ends."""

    term: int
    """Under which it writes."""
    lock: Lock
    """Kept until then."""
    clock: Callable[[], float]
    """Seconds since 1970 as this machine's clock was when the term began, and from then on by its
    monotonic clock, so that what is written under the term shows how much time passed, also where the
    clock is set meanwhile.
    """

    def release(self) -> None:
        """Let go; may be called twice."""
        self.lock.release(driven=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def take(
    journal: Journal,
    folder: Path,
    name: str,
    event: DriverStarted,
    clock: Callable[[], float],
    *,
    takeover: bool = False,
    onlooker: Onlooker | None = None,
    check: Callable[[SearchRow], None] = lambda _: None,
) -> Held:
    """Become the driver of search `name`.

    Args:
        journal: where the search is.
        folder: the search's own folder, HOME/NAME; made where a lock needs it.
        name: the search.
        event: who takes it.
        clock: seconds since 1970.
        takeover: supersede a driver that lives; its next commit fails, and it ends.
        onlooker: how a driver is watched whose lock does not show whether it is alive.
        check: raises where the search may not be taken as it is under the term that is followed; nothing is
            journaled then.

    Raises:
        HeldError: a driver that lives has it; the message says which and what to do.
        SearchConflictError: there is no such search.
        CannotRunError: the folder cannot hold a lock.
    """
    onlooker = onlooker or Onlooker()
    try:
        for attempt in range(_TRIES):
            # only who was there before is superseded: of two that take over at once, one wins
            superseding = takeover and attempt == 0
            if held := _try(journal, folder, name, event, clock, onlooker, check, takeover=superseding):
                return held
    except OSError as error:
        raise CannotRunError(f"no lock can be kept in {folder} ({error}); choose another home") from error
    raise HeldError(f"search {name!r} is just being started by another driver; look with 'evosearch status'")


def _try(
    journal: Journal,
    folder: Path,
    name: str,
    event: DriverStarted,
    clock: Callable[[], float],
    onlooker: Onlooker,
    check: Callable[[SearchRow], None],
    *,
    takeover: bool,
) -> Held | None:
    row = _found(journal, name)
    if not takeover and onlooker.finds_alive(journal, folder, name):
        row = _found(journal, name)
        raise HeldError(
            f"search {name!r} is held by a driver on {row.host} (process {row.pid}, term {row.term}), which lives; wait "
            "until it ends, stop it, or supersede it with --takeover"
        )
    check(row)
    lock = journal.locks(folder, name).acquire(row.term + 1)
    if lock is None:
        return None
    at, begun = clock(), onlooker.clock()
    try:
        held = Held(
            journal.begin_term(name, row.term, event, at), lock, lambda: at + (onlooker.clock() - begun)
        )
    except StaleTermError:
        lock.release(driven=False)
        return None
    except BaseException:
        lock.release(driven=False)
        raise
    journal.locks(folder, name).forget(held.term)
    return held


def _found(journal: Journal, name: str) -> SearchRow:
    row = journal.find(name)
    if row is None:
        raise SearchConflictError(f"there is no search named {name!r} in {journal.place}")
    return row


def current_state(row: SearchRow, lock: LockState, host: str, now: float) -> SearchStatus:
    """The state of a search for whoever has no time to watch.

    A search that its driver left running by dying is interrupted. Where the lock does not show it, the age of the
    heartbeat does, but only of a driver on this machine, by whose clock it was given.

    Args:
        row: the search.
        lock: what its lock says.
        host: this machine.
        now: seconds since 1970 by its clock.
    """
    is_silent = lock == "unknown" and row.host == host and now - row.heartbeat > STALE_SECONDS
    return "interrupted" if row.state == "running" and (lock == "free" or is_silent) else row.state


def undriven(journal: Journal, onlooker: Onlooker) -> Check:
    """See that no driver of any search in `journal` lives, which would not know what to do with an upgraded one.

    `onlooker`: watches those whose locks do not show it. Returns: what sees within the upgrade's transaction that
    none came meanwhile.

    Raises:
        HeldError: one lives.
    """
    for name in journal.heartbeats():
        if onlooker.finds_alive(journal, _folder(journal, name), name):
            row = _found(journal, name)
            raise _driven(journal, name, row.host, row.pid)
    seen = journal.heartbeats()

    def check(connection: Connection) -> None:
        for name, now in heartbeats(connection).items():
            lock = journal.locks(_folder(journal, name), name).state(now.term)
            if lock == "held" or (lock == "unknown" and seen.get(name) != now):
                raise _driven(journal, name, *process(connection, name))

    return check


def _folder(journal: Journal, name: str) -> Path:
    return files_folder(journal.file) / name if journal.file else Path()


def _driven(journal: Journal, name: str, host: str | None, pid: int | None) -> HeldError:
    return HeldError(
        f"search {name!r} is held by an older evosearch on {host} (process {pid}), so the journal {journal.place} cannot "
        "be upgraded; wait until it ends, or stop it"
    )
