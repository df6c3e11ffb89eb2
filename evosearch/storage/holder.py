"""Who drives a search: one process at a time, known by a lock that dies with it and by its last sign of life.

A driver of term T owns the lock file `lock-T` of its search for as long as it lives. To follow it, a driver
takes `lock-(T+1)` and then the term T+1, which succeeds for one driver only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from evosearch.errors import CannotRunError, HeldError, SearchConflictError, StaleTermError
from evosearch.storage.events import DriverStarted
from evosearch.storage.journal import Journal
from evosearch.storage.rows import SearchRow, SearchState

STALE_SECONDS = 60.0
"""A driver without a sign of life for longer hangs, whatever its lock says."""

_TRIES = 3
_LOCK_SECONDS = 0.3  # for a driver that is just starting to become the holder, or to die
_PROBE_SECONDS = 0.05  # for another process's probe to end


@dataclass(frozen=True)
class Held:
    """A search that this process may write to, under `term`, until it releases it or ends."""

    term: int
    lock: FileLock

    def release(self) -> None:
        """Let go; may be called twice."""
        if self.lock.is_locked:
            Path(self.lock.lock_file).unlink(missing_ok=True)  # only an older term could still ask for it
            self.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def take(journal: Journal, folder: Path, name: str, event: DriverStarted, clock: Callable[[], float]) -> Held:
    """Become the driver of search `name`.

    Args:
        journal: where the search is.
        folder: the search's own folder, HOME/NAME; made where it is missing.
        name: the search.
        event: who takes it.
        clock: seconds since 1970.

    Raises:
        HeldError: a driver that lives has it; the message says which and what to do.
        SearchConflictError: there is no such search.
        CannotRunError: the folder cannot hold a lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            if held := _try(journal, folder, name, event, clock()):
                return held
    except OSError as error:
        raise CannotRunError(f"no lock can be kept in {folder} ({error}); choose another home") from error
    raise HeldError(f"search {name!r} is just being started by another driver; look with 'evosearch status'")


def _try(journal: Journal, folder: Path, name: str, event: DriverStarted, now: float) -> Held | None:
    row = journal.find(name)
    if row is None:
        raise SearchConflictError(f"there is no search named {name!r} in {journal.place}")
    if not (lock_is_free(folder, row.term) or _is_stale(row, now)):
        raise HeldError(
            f"search {name!r} is held by a driver on {row.host} (process {row.pid}, term {row.term}, last "
            f"sign of life {max(0.0, now - row.heartbeat):.0f} s ago); wait until it ends, or stop it and try again"
        )
    lock = _lock(folder, row.term + 1)
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
        held = Held(journal.begin_term(name, row.term, event, now), lock)
    except (Timeout, StaleTermError):
        lock.release()
        return None
    except BaseException:
        lock.release()
        raise
    for older in range(1, held.term):  # whoever still gets one of these locks does not get the search
        _path(folder, older).unlink(missing_ok=True)
    return held


def lock_is_free(folder: Path, term: int) -> bool:
    """Whether no living process has the lock of `term` in a search's folder."""
    if not _path(folder, term).exists():
        return True
    lock = _lock(folder, term)
    try:
        lock.acquire(timeout=_PROBE_SECONDS, poll_interval=_PROBE_SECONDS / 5)
    except (Timeout, PermissionError):  # of another user's search, only the heartbeat can tell
        return False
    lock.release()
    return True


def current_state(row: SearchRow, lock_is_free: bool, now: float) -> SearchState:
    """The state of a search at `now`: one that its driver left running by dying or hanging is interrupted."""
    return "interrupted" if row.state == "running" and (lock_is_free or _is_stale(row, now)) else row.state


def _is_stale(row: SearchRow, now: float) -> bool:
    return now - row.heartbeat > STALE_SECONDS


def _path(folder: Path, term: int) -> Path:
    return folder / f"lock-{term}"


def _lock(folder: Path, term: int) -> FileLock:
    # filelock from 4.0 on closes the lock in forked children; one that outlives its parent would keep it else.
    return FileLock(_path(folder, term), thread_local=False, fallback_to_soft=False)
