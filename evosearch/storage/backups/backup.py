"""Copies of an SQLite journal in a remote store, for machines whose disk is gone after a preemption.

What came after the newest backup is lost with the disk, at most a minute of evaluations, and is trained again. How
backups are named is said in `evosearch.storage.backups.backup_folder`, how they come back in `evosearch.storage.backups.restoring`.
"""

import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from evosearch.errors import CannotRunError, EvosearchError, InputError, JournalError, StaleTermError
from evosearch.permissions import new_file
from evosearch.storage.artifacts.store import ArtifactStore
from evosearch.storage.backups.backup_folder import HolderRecord, Position, Shelf
from evosearch.storage.backups.compressed import compress, is_compressed
from evosearch.storage.journal.journal import Journal
from evosearch.storage.journal.sqlite import publish

EVERY_SECONDS = 60.0
"""Longest time between two backups while a search runs."""

KEPT = 3
"""Backups that stay: an older one is there where the newest was cut off."""


class Backup:
    """Keeps backups of one search or group in a store, and says there that this process drives it.

    `save` does one now. `begin` does it in a thread, so that neither a slow network nor a large journal keeps
    workers waiting; a thread that hangs ends with the process. What went wrong is a line to note, and the search goes
    on; but where the store shows a newer driver, nothing is written there, and `save` and `note` raise
    `StaleTermError`.
    """

    def __init__(self, file: Path, store: ArtifactStore, name: str) -> None:
        self._file = file
        self._shelf = Shelf.of(store, name)
        self._name = name
        self._last: float | None = None
        self._saved: Position | None = None
        self._thread: Thread | None = None
        self._note: str | None = None
        self._stale: StaleTermError | None = None

    @classmethod
    def of(cls, journal: Journal, store: ArtifactStore, name: str) -> "Backup | None":
        """The backups of the search or group `name`; None where there is nothing to back up: the journal is on a
        server, or the store on this machine.
        """
        return cls(journal.file, store, name) if journal.file and store.is_remote else None

    def due(self, now: float) -> bool:
        """Whether the last one was begun too long before `now`, seconds of any clock that does not jump."""
        return self._last is None or now - self._last >= EVERY_SECONDS

    def begin(self, now: float) -> None:
        """Begin one in the background; where the last is still under way, this one is left out."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._last = now
        self._start(released=False)

    def note(self) -> str | None:
        """What went wrong in the background since the last call."""
        if self._stale is not None:
            raise self._stale
        told, self._note = self._note, None
        return told

    def save(self, wait_seconds: float = 30.0, *, released: bool = False) -> str | None:
        """Do one now, for instance at the end of a search; what went wrong, if anything.

        Args:
            wait_seconds: longest wait for one under way in the background, and again for this one.
            released: this process drives no longer.
        """
        if self._thread is not None:
            self._thread.join(wait_seconds)
            if self._thread.is_alive():
                return f"no backup of the journal to {self._shelf.store.place}: the last is still under way"
        thread = self._start(released=released)
        thread.join(wait_seconds)
        if thread.is_alive():
            return f"no backup of the journal to {self._shelf.store.place} within {wait_seconds:.0f} s"
        return self.note()

    def _start(self, *, released: bool) -> Thread:
        self._thread = Thread(target=self._save, args=(released,), name="journal-backup", daemon=True)
        self._thread.start()
        return self._thread

    def _save(self, released: bool) -> None:
        try:
            self._claim(released)  # first: it is short, where the journal may take minutes
            with TemporaryDirectory(prefix="evosearch-backup-") as folder:
                copy = Path(folder, "journal.db")
                _copy(self._file, copy)
                reached = Position.of(copy, self._name)
                if reached != self._saved:  # else nothing happened since
                    self._shelf.put(copy, reached, KEPT)
                    self._saved = reached
        except StaleTermError as error:
            self._stale = error
        except (EvosearchError, OSError, sqlite3.Error) as error:
            self._note = f"no backup of the journal to {self._shelf.store.place}: {error}; the search goes on"

    def _claim(self, released: bool) -> None:
        """Say that this process drives, or no longer does, unless a newer driver said so."""
        backups, holder = self._shelf.backups(), self._shelf.holder()
        # only now: a driver of another member of the group may back up this very journal
        here = Position.of(self._file, self._name)
        claim = HolderRecord(here.terms, socket.gethostname(), os.getpid(), time.time(), released)
        ours = holder is None or (holder.host, holder.pid) == (claim.host, claim.pid)
        newer = bool(backups) and backups[0].terms > here.terms
        if newer or (holder and holder.terms >= here.terms and not (ours or holder.is_known_to(self._file))):
            driver = f" on {holder.host} (process {holder.pid})" if holder else ""
            raise StaleTermError(
                f"search {self._name!r} was taken over by a driver{driver} that keeps its backups in "
                f"{self._shelf.store.place} too; this one stops"
            )
        if ours or not released:  # else who spoke last still drives
            self._shelf.claim(claim)


def _copy(file: Path, copy: Path) -> None:
    """Copy the journal as it is at one instant."""
    with (
        closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(copy)) as to,
    ):
        source.backup(to)


def save_copy(journal: Journal, to: Path) -> None:
    """Keep a whole copy of a journal, as it is at one instant, as the new file `to`; who writes to it is not kept waiting.

    It is compressed where the name `to` ends in `.xz`.

    Raises:
        InputError: something is at `to`, its folder is not there, or the journal is on a server.
        JournalError: the journal is damaged.
        CannotRunError: it cannot be read, or the copy not be written.
    """
    if journal.file is None:
        raise InputError(
            f"the journal {journal.place} is on a server, which copies it: pg_dump --dbname={journal.place} --file={to}"
        )
    with new_copy(journal, to) as copy:
        new_file(copy)
        _copy(journal.file, copy)


@contextmanager
def new_copy(journal: Journal, to: Path) -> Iterator[Path]:
    """A path where a copy of `journal`, or of a part of it, is to be made; once that is done and found whole, it becomes the new
    file `to`, compressed where its name says so.

    Raises:
        InputError, JournalError, CannotRunError: as `save_copy`.
    """
    if os.path.lexists(to):
        raise InputError(f"{to} exists and is left as it is; name another file")
    if not to.parent.is_dir():
        raise InputError(f"{to.parent} is no folder that exists; make it, or name another file")
    try:
        with TemporaryDirectory(dir=to.parent, prefix=".evosearch-backup-") as folder:
            copy = Path(folder, "journal.db").resolve()
            yield copy
            with closing(sqlite3.connect(copy)) as copied:
                found = copied.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise JournalError(
                    f"the journal {journal.place} is damaged ({found}); restore it from a copy"
                )
            if is_compressed(to):
                compress(copy, copy.with_name("journal.xz"))
                copy = copy.with_name("journal.xz")
            publish(copy, to)
    except (OSError, sqlite3.Error) as error:
        raise CannotRunError(
            f"the journal {journal.place} cannot be copied to {to} ({error}); see to its disk and permissions"
        ) from error
