"""What a driver does whose journal is taken away while it drives: it notices, and saves what its open files still hold.

A file that was deleted or replaced lives on for those who have it open: they would write to the end, and all would be
gone with them. So a driver looks after each write whether the journal is still in its place; where it is not, it
copies it to a new file and stops. The lost place is left as it is: what is there may be another's.
"""

import ctypes
import os
import shlex
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from evosearch.errors import InputError, JournalLostError
from evosearch.permissions import file_mode
from evosearch.storage.names import resumed_as

RESCUE_SECONDS = 60.0
"""Longest time for a copy: the disk that it is read from may be the reason for it."""

SHARE = 0.01
"""Of the time, at most, that is spent on reading through a journal that changed."""

_DEFINITE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_IOERR_SHORT_READ,
}
"""Codes of SQLite by which a journal is certainly no longer what it was; ERROR: a table is not there."""

_END = "SELECT term, sequence FROM searches WHERE name = ?"


_SEARCHES = "SELECT name, created FROM searches"


@dataclass(frozen=True)
class Written:
    """How far a driver has written."""

    name: str
    """Its search."""
    term: int
    """Of that driver."""
    sequence: int
    """Number of its last event."""

    @property
    def end(self) -> tuple[int, int]:
        """Grows with each write."""
        return self.term, self.sequence


Salvage = Callable[[sqlite3.Connection, Path, Written], int]
"""Puts what a connection can still read of a journal into a new one; how many events of the search are there."""


class Guard(Protocol):
    """Notices that a journal is lost."""

    @property
    def has_lost(self) -> bool:
        """Whether a look found it lost."""

    def look(self, written: Written, *, thorough: bool, error: Exception | None = None) -> None:
        """See that the journal is in its place with all that was written; `error`: why a write failed.

        Raises:
            JournalLostError: it is not; again at each later look.
        """

    def close(self) -> None:
        """Guard it no longer."""


class Unguarded:
    """Of a journal that can only be read."""

    has_lost = False

    def look(self, written: Written, *, thorough: bool, error: Exception | None = None) -> None:
        """As `Guard`."""

    def close(self) -> None:
        """As `Guard`."""


@dataclass(frozen=True)
class ServerGuard:
    """Of a journal on a server, which keeps its own files: only the answer to a write shows its loss."""

    place: str
    """Where the server is, for messages."""
    has_lost = False

    def look(self, written: Written, *, thorough: bool, error: Exception | None = None) -> None:  # noqa: ARG002 - of `Guard`
        """As `Guard`."""
        if not isinstance(error, InputError):
            return
        raise JournalLostError(
            f"the journal {self.place} was taken away while {written.name!r} ran ({error}); what it held is lost here: "
            f"bring it back from a backup of its server, then `evosearch resume {resumed_as(written.name)}`"
        ) from error

    def close(self) -> None:
        """As `Guard`."""


class FileGuard:
    """Of a journal in a file. Its own connection is open from the beginning, and can read what was deleted since."""

    def __init__(self, path: Path, salvage: Salvage) -> None:
        """`path`: of a journal that is in its place. `salvage`: for what cannot be copied."""
        self._path = path
        self._salvage = salvage
        self._connection = sqlite3.connect(
            f"{path.as_uri()}?mode=rw", uri=True, check_same_thread=False, isolation_level=None, timeout=30.0
        )
        try:
            self._connection.execute("SELECT * FROM meta").fetchall()  # opens the files beside it, too
            self._wal = self._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
            beside = [Path(f"{path}-wal"), Path(f"{path}-shm")] if self._wal else []
            self._identities = {file: _identity(file.stat()) for file in (path, *beside)}
        except BaseException:
            self._connection.close()
            raise
        self._sizes: dict[Path, int] = {}
        self._read_through = path.stat().st_ctime_ns
        self._due = 0.0
        self._lost: str | None = None

    def look(self, written: Written, *, thorough: bool, error: Exception | None = None) -> None:
        """As `Guard`."""
        if self._lost is None:
            happened = self._from_outside()
            if happened is None and _errorcode(error) == sqlite3.SQLITE_READONLY_DBMOVED:
                happened = "was replaced by another file"
            if happened is None and thorough:
                happened = self._from_inside(written, in_doubt=error is not None)
            if happened is None:
                return
            self._keep_open()
            self._lost = (
                f"the journal {self._path} {happened} while {written.name!r} ran; {self._save(written)}"
            )
        raise JournalLostError(self._lost) from error

    @property
    def has_lost(self) -> bool:
        """As `Guard`."""
        return self._lost is not None

    def close(self) -> None:
        """As `Guard`."""
        if self._lost is None and self._from_outside() is not None:
            self._keep_open()
        elif self._lost is None:
            self._connection.close()

    def _from_outside(self) -> str | None:
        """What happened to the files, as far as their names and sizes show; a few microseconds."""
        for file, identity in self._identities.items():
            own = file == self._path
            try:
                found = file.stat()
            except (FileNotFoundError, NotADirectoryError):
                return "was deleted or moved" if own else f"was robbed of {file.name}"
            except (
                OSError
            ):  # a network file system that is away, or a folder that is closed now, shows nothing
                return None
            if (
                self._wal and _identity(found) != identity
            ):  # on network file systems numbers may change by themselves
                return "was replaced by another file" if own else f"had its {file.name} replaced"
            if self._wal and own and found.st_size < self._sizes.get(file, 0):
                return "was truncated"
            self._sizes[file] = max(found.st_size, self._sizes.get(file, 0))
        return None

    def _from_inside(self, written: Written, *, in_doubt: bool) -> str | None:
        """What happened to the content, as one sees it who opens the journal now."""
        try:
            with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)) as connection:
                end = connection.execute(_END, (written.name,)).fetchone()
                if end is None or end < written.end:
                    return "was replaced or overwritten"
                return self._damage(connection, in_doubt=in_doubt)
        except UnicodeDecodeError:  # Python's driver fails to read SQLite's own message of damage
            return "was replaced or overwritten"
        except sqlite3.Error as error:
            code = _errorcode(error)
            return f"was replaced or overwritten ({error})" if {code, code & 0xFF} & _DEFINITE else None

    def _damage(self, connection: sqlite3.Connection, *, in_doubt: bool) -> str | None:
        """Read through all of it where something else than commits may have changed it, and time allows."""
        changed, now = self._path.stat().st_ctime_ns, time.monotonic()
        if not in_doubt and (changed == self._read_through or now < self._due):
            return None
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        alien = self._is_alien(connection)
        self._read_through, self._due = changed, now + (time.monotonic() - now) / SHARE
        if alien:
            return "was overwritten by another one"
        return None if found == "ok" else f"was damaged ({' '.join(str(found).split())})"

    def _is_alien(self, connection: sqlite3.Connection) -> bool:
        """Whether the file alone, without the log of commits beside it, holds searches that are not ours: pages
        of another journal fit between ours without a seam.
        """
        if not self._wal:
            return False
        with suppress(sqlite3.Error, UnicodeDecodeError):  # it may be written to just now
            with closing(sqlite3.connect(f"{self._path.as_uri()}?immutable=1", uri=True)) as file:
                found = file.execute(_SEARCHES).fetchall()
            return not set(found) <= set(connection.execute(_SEARCHES))
        return False

    def _keep_open(self) -> None:
        """Until the process ends: who closes the last connection deletes the files beside the journal by their
        names, and these may by now be another journal's.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))

    def _save(self, written: Written) -> str:
        """What is lost and what is not, and how to go on."""
        if moved := self._moved_to():
            return f"nothing is lost, it is in {moved} now: {_go_on(written, moved)}"
        troubles: list[str] = []
        for file in _new_files(self._path):
            if trouble := self._copy(file, written):
                file.unlink(missing_ok=True)
                troubles.append(trouble)
                events = self._salvage(self._connection, file, written)
            else:
                events = written.sequence
            if events:
                return f"{_saved(events, written)} to {file}: {_go_on(written, file)}{self._gone()}"
        told = f" ({troubles[0]})" if troubles else ""
        return (
            f"nothing of it could be rescued{told}: bring it back from a copy, or begin its searches again, which "
            "gives the same results"
        )

    def _gone(self) -> str:
        beside = self._path.parent.is_dir()
        return "" if beside else "; pictures and weights that were beside it are gone"

    def _copy(self, file: Path, written: Written) -> str | None:
        """Copy the journal to the empty `file`; what is wrong with that, if anything."""
        late = time.monotonic() + RESCUE_SECONDS

        def hurry(_status: int, _left: int, _total: int) -> None:
            if time.monotonic() > late:
                raise TimeoutError(f"it took longer than {RESCUE_SECONDS:.0f} s")

        try:
            with closing(sqlite3.connect(file)) as copy:
                self._connection.backup(copy, pages=1000, progress=hurry, sleep=0.05)
                found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
                if found != "ok":
                    return " ".join(str(found).split())
                end = copy.execute(_END, (written.name,)).fetchone()
            return None if end and end >= written.end else "its newest events cannot be read"
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            return str(error)

    def _moved_to(self) -> Path | None:
        """Where the journal is whole under another name; None where it is not, or this system does not say."""
        moved = _name_of(self._identities[self._path])
        if moved is None or moved == self._path:
            return None
        if not self._wal:
            return moved
        with suppress(OSError):
            beside = Path(f"{moved}-wal")
            if _identity(beside.stat()) == self._identities[Path(f"{self._path}-wal")]:
                return moved
        return None


def _go_on(written: Written, file: Path) -> str:
    return f"`evosearch resume {resumed_as(written.name)} --storage {shlex.quote(str(file))}` goes on"


def _errorcode(error: BaseException | None) -> int:
    """SQLite's, with its extension, of `error` or of what it was raised from; 0 where there is none."""
    causes = (error, error and error.__cause__)
    return next((code for cause in causes if (code := getattr(cause, "sqlite_errorcode", 0))), 0)


def _saved(events: int, written: Written) -> str:
    if events >= written.sequence:
        return "all that it held was copied"
    return f"the first {events:,} of its {written.sequence:,} events were copied (what came after is trained again)"


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _new_files(path: Path) -> Iterator[Path]:
    """New empty files for what was at `path`: beside it, or as near as a file can be made."""
    folders = [path.parent, path.parent.parent]
    with suppress(OSError):  # it may have been deleted, too
        folders.append(Path.cwd())
    folders.append(Path(tempfile.gettempdir()))
    for folder in folders:
        with suppress(OSError):
            yield _new_file(folder, path)


def _new_file(folder: Path, path: Path) -> Path:
    for number in range(1, 1000):
        file = folder / f"{path.stem}-rescued-{number}{path.suffix}"
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, file_mode(folder)))
            return file
    raise FileExistsError(str(folder))


def _name_of(identity: tuple[int, int]) -> Path | None:
    """The name that a file which this process has open has now; Linux alone says."""
    with suppress(OSError):
        for descriptor in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if (
                    _identity(descriptor.stat()) == identity
                    and _identity((name := descriptor.readlink()).stat()) == identity
                ):
                    return name
    return None
