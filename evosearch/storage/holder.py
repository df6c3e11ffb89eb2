"""Who drives a search: one process at a time, known by a lock that dies with it and by its last sign of life.

A driver of term T owns the lock of term T of its search for as long as it lives (`evosearch.storage.locks`). To
follow it, a driver takes the lock of T+1 and then the term T+1, which succeeds for one driver only.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import Connection

from evosearch.errors import CannotRunError, HeldError, SearchConflictError, StaleTermError
from evosearch.storage.events import DriverStarted
from evosearch.storage.journal import Journal
from evosearch.storage.locks import Lock
from evosearch.storage.places import files_folder
from evosearch.storage.readers import newest_drivers
from evosearch.storage.rows import SearchRow, SearchState
from evosearch.storage.upgrade import Check

STALE_SECONDS = 60.0
"""A driver without a sign of life for longer hangs, whatever its lock says."""

_TRIES = 3


@dataclass(frozen=True)
class Held:
    """A search that this process may write to, under `term`, until it releases it or ends."""

    term: int
    lock: Lock

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
) -> Held:
    """Become the driver of search `name`.

    Args:
        journal: where the search is.
        folder: the search's own folder, HOME/NAME; made where a lock needs it.
        name: the search.
        event: who takes it.
        clock: seconds since 1970.
        takeover: supersede a driver that lives; its next commit fails, and it ends.

    Raises:
        HeldError: a driver that lives has it; the message says which and what to do.
        SearchConflictError: there is no such search.
        CannotRunError: the folder cannot hold a lock.
    """
    try:
        for attempt in range(_TRIES):
            # only who was there before is superseded: of two that take over at once, one wins
            if held := _try(journal, folder, name, event, clock(), takeover=takeover and attempt == 0):
                return held
    except OSError as error:
        raise CannotRunError(f"no lock can be kept in {folder} ({error}); choose another home") from error
    raise HeldError(f"search {name!r} is just being started by another driver; look with 'evosearch status'")


def _try(
    journal: Journal, folder: Path, name: str, event: DriverStarted, now: float, *, takeover: bool
) -> Held | None:
    row = journal.find(name)
    if row is None:
        raise SearchConflictError(f"there is no search named {name!r} in {journal.place}")
    locks = journal.locks(folder, name)
    if not (takeover or is_stale(row, now) or locks.is_free(row.term, row.heartbeat)):
        raise HeldError(
            f"search {name!r} is held by a driver on {row.host} (process {row.pid}, term {row.term}, last "
            f"sign of life {max(0.0, now - row.heartbeat):.0f} s ago); wait until it ends, stop it, or "
            "supersede it with --takeover"
        )
    lock = locks.acquire(row.term + 1)
    if lock is None:
        return None
    try:
        held = Held(journal.begin_term(name, row.term, event, now), lock)
    except StaleTermError:
        lock.release(driven=False)
        return None
    except BaseException:
        lock.release(driven=False)
        raise
    locks.forget(held.term)
    return held


def current_state(row: SearchRow, lock_is_free: bool, now: float) -> SearchState:
    """The state of a search at `now`: one that its driver left running by dying or hanging is interrupted."""
    return "interrupted" if row.state == "running" and (lock_is_free or is_stale(row, now)) else row.state


def is_stale(row: SearchRow, now: float) -> bool:
    """Whether its driver's last sign of life is too old at `now` for one that lives."""
    return now - row.heartbeat > STALE_SECONDS


def undriven(journal: Journal, clock: Callable[[], float] = time.time) -> Check:
    """See that no driver of any search in `journal` lives, which would not know what to do with an upgraded one.

    `clock`: seconds since 1970. Returns: what sees it again within the upgrade's transaction.

    Raises:
        HeldError: one lives.
    """

    def check(connection: Connection) -> None:
        for name, driver in newest_drivers(connection):
            folder = files_folder(journal.file) / name if journal.file else Path()
            is_silent = clock() - driver.last > STALE_SECONDS
            if not (is_silent or journal.locks(folder, name).is_free(driver.term, driver.last)):
                raise HeldError(
                    f"search {name!r} is held by an older evosearch on {driver.host} (process {driver.pid}, term "
                    f"{driver.term}), so the journal {journal.place} cannot be upgraded; wait until it ends, or stop it"
                )

    return check
