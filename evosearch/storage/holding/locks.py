"""How the driver of a search is known to live: a lock for each term, of three kinds.

On a local file system the operating system's lock on a file, freed by the death of its process. In PostgreSQL
an advisory lock (`evosearch.storage.holding.advisory`), freed by the end of its connection. On a network file system
no lock can be trusted; there a driver counts as alive until it says farewell or its heartbeat stops
(`evosearch.storage.holding.holder`).
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from filelock import FileLock, Timeout

from evosearch.errors import StaleTermError
from evosearch.permissions import file_mode, make_folder, new_file

_LOCK_SECONDS = 0.3  # for a driver that is just starting to become the holder, or to die
_PROBE_SECONDS = 0.05  # for another process's probe to end

LockState = Literal["free", "held", "unknown"]
"""`free`: certainly nobody drives. `held`: certainly a living process on this machine does. `unknown`: the lock does
not show it, and only the heartbeat does.
"""


class Lock(Protocol):
    """The lock of one term, owned by this process."""

    def keep(self) -> None:
        """See that it is still owned, and take it again where its server has forgotten it.

        Raises:
            StaleTermError: another process owns it now.
            JournalAwayError: the server does not answer.
        """

    def release(self, *, driven: bool) -> None:
        """Let go; may be called twice. `driven`: the term was begun, so this process was its one driver."""


class Locks(Protocol):
    """The locks of one search."""

    def state(self, term: int) -> LockState:
        """What the lock says of a driver under `term`."""

    def acquire(self, term: int) -> Lock | None:
        """Own the lock of `term` until it is released or this process dies; None where another process does."""

    def forget(self, before: int) -> None:
        """Remove what is left of the terms below `before`: who still gets one of their locks, gets nothing."""


@dataclass(frozen=True)
class FileLocks:
    """Locks on the files `lock-TERM` in a search's own folder; never inherited by child processes."""

    folder: Path
    """The search's own."""

    def state(self, term: int) -> LockState:
        """As `Locks`."""
        if not self._path(term).exists():
            return "free"
        lock = self._lock(term)
        try:
            lock.acquire(timeout=_PROBE_SECONDS, poll_interval=_PROBE_SECONDS / 5)
        except Timeout:
            return "held"
        except OSError:  # of another user's search, or on a read-only disk
            return "unknown"
        lock.release()
        return "free"

    def acquire(self, term: int) -> "OwnedFile | None":
        """As `Locks`.

        Raises:
            OSError: the folder cannot hold a lock.
        """
        make_folder(self.folder)
        lock = self._lock(term)
        try:
            lock.acquire(timeout=_LOCK_SECONDS)
        except Timeout:
            return None
        return OwnedFile(self, term, lock)

    def forget(self, before: int) -> None:
        """As `Locks`."""
        for older in range(1, before):
            self._path(older).unlink(missing_ok=True)

    def _path(self, term: int) -> Path:
        return self.folder / f"lock-{term}"

    def _lock(self, term: int) -> FileLock:
        # filelock from 4.0 on closes the lock in forked children; one that outlives its parent would keep it else.
        return FileLock(
            self._path(term), thread_local=False, fallback_to_soft=False, mode=file_mode(self.folder)
        )


class OwnedFile:
    """A lock file that this process owns."""

    def __init__(self, locks: FileLocks, term: int, lock: FileLock) -> None:
        self._locks = locks
        self._term = term
        self._lock = lock
        self._file = Path(lock.lock_file)
        self._identity = _identity(self._file)

    def keep(self) -> None:
        """As `Lock`: the operating system forgets none, but the file may have been deleted."""
        if _identity(self._file) == self._identity:
            return
        with suppress(OSError):  # the heartbeat still shows that this driver is alive
            owned = self._locks.acquire(self._term)
            if owned is None:
                raise StaleTermError(
                    f"another driver owns the lock {self._file} of term {self._term}; this one stops"
                )
            self._lock, self._identity = owned._lock, owned._identity

    def release(self, *, driven: bool) -> None:
        """As `Lock`."""
        if not self._lock.is_locked:
            return
        # Not where another process may be waiting for this very file, nor what has its name by now.
        if driven and _identity(self._file) == self._identity:
            self._file.unlink(missing_ok=True)
        self._lock.release()


def _identity(file: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        found = file.stat()
        return found.st_dev, found.st_ino
    return None


@dataclass(frozen=True)
class Farewells:
    """No locks: the files `released-TERM` in a search's own folder say that a driver left on its own accord.

    Any number of processes "own" the lock of a term; that the term begins once decides between them.
    """

    folder: Path
    """The search's own."""

    def state(self, term: int) -> LockState:
        """As `Locks`: before the first term nobody drives; a driver that was killed said no farewell."""
        return "free" if term == 0 or self._path(term).exists() else "unknown"

    def acquire(self, term: int) -> "Farewell":
        """As `Locks`.

        Raises:
            OSError: the folder cannot be made.
        """
        make_folder(self.folder)
        return Farewell(self._path(term))

    def forget(self, before: int) -> None:
        """As `Locks`."""
        for older in range(1, before):
            self._path(older).unlink(missing_ok=True)

    def _path(self, term: int) -> Path:
        return self.folder / f"released-{term}"


@dataclass(frozen=True)
class Farewell:
    """The file with which a driver will say that it left."""

    path: Path
    """Where the file will be."""

    def keep(self) -> None:
        """As `Lock`: there is none to lose."""

    def release(self, *, driven: bool) -> None:
        """As `Lock`."""
        if driven:
            with suppress(OSError):  # the next driver waits until the heartbeat is old, as after a crash
                new_file(self.path)
