"""Copies of an SQLite journal in a remote store, for machines whose disk is gone after a preemption.

A backup belongs to one search or group and lies as `NAME/journal/TERM-EVENTS.db`: the whole journal, named after
how far that search is, with the terms and events of a group's members added up. Both only ever grow, so the
highest name is the newest backup. The term stands first: a driver that was superseded may write many events to
its own copy and is still lower. Many searches may share a store and not a journal, and each finds its own. What
came after the newest backup is lost with the disk, at most a minute of evaluations, and is trained again.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from evosearch.errors import CannotRunError, EvosearchError, JournalError
from evosearch.storage.artifacts import ArtifactStore
from evosearch.storage.header import read_journal_header
from evosearch.storage.journal import Journal
from evosearch.storage.sqlite import publish

EVERY_SECONDS = 60.0
"""Longest time between two backups while a search runs."""

KEPT = 3
"""Backups that stay: an older one is there where the newest was cut off."""

POINTER = "newest"
"""File beside the backups that holds the name of the newest, for people and scripts."""

_REACHED = """
    SELECT sum(term), sum(sequence) FROM searches WHERE name = :name OR substr(name, 1, length(:name) + 1) = :name || '/'
"""


class Backup:
    """Keeps backups of one search in a store.

    `save` does one now. `begin` does it in a thread, so that neither a slow network nor a large journal keeps
    workers waiting; a thread that hangs ends with the process. Neither ever fails: what went wrong is a line to note.
    """

    def __init__(self, file: Path, store: ArtifactStore, name: str) -> None:
        self._file = file
        self._store = _backups(store, name)
        self._name = name
        self._last: float | None = None
        self._saved = ""
        self._thread: Thread | None = None
        self._note: str | None = None

    @classmethod
    def of(cls, journal: Journal, store: ArtifactStore, name: str) -> "Backup | None":
        """The backups of the search or group `name`; None where there is nothing to back up: the journal lies on a
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
        self._thread = Thread(target=self._save, name="journal-backup", daemon=True)
        self._thread.start()

    def note(self) -> str | None:
        """What went wrong in the background since the last call."""
        told, self._note = self._note, None
        return told

    def save(self, wait_seconds: float = 30.0) -> str | None:
        """Do one now, for instance at the end of a search; what went wrong, if anything.

        `wait_seconds`: longest wait for one under way in the background, and again for this one.
        """
        if self._thread is not None:
            self._thread.join(wait_seconds)
            if self._thread.is_alive():
                return f"no backup of the journal to {self._store.place}: the last is still under way"
        self._thread = Thread(target=self._save, name="journal-backup", daemon=True)
        self._thread.start()
        self._thread.join(wait_seconds)
        if self._thread.is_alive():
            return f"no backup of the journal to {self._store.place} within {wait_seconds:.0f} s"
        return self.note()

    def _save(self) -> None:
        try:
            with TemporaryDirectory(prefix="evosearch-backup-") as folder:
                copy = Path(folder, "journal.db")
                name = _copy(self._file, copy, self._name)
                if name == self._saved:  # nothing happened since
                    return
                self._store.put(copy, name)
            self._store.write_bytes(POINTER, f"{name}\n".encode())
            self._saved = name
            for old in _names(self._store)[KEPT:]:
                self._store.remove(old)
        except (EvosearchError, OSError, sqlite3.Error) as error:
            self._note = f"no backup of the journal to {self._store.place}: {error}; the search goes on"


def restore_newest(store: ArtifactStore, name: str, path: Path) -> tuple[str, ...]:
    """Where the journal at `path` is missing, bring back the newest sound backup of the search or group `name`.

    Returns: what happened, one line each; nothing where there is no backup, or a journal.

    Raises:
        CannotRunError: the store cannot be used (to begin anew would be wrong where a backup may lie there), or
            the folder of the journal.
    """
    if path.exists() or not store.is_remote:
        return ()
    backups, notes = _backups(store, name), []
    for found in _names(backups):
        try:
            trouble = _bring(backups, found, path)
        except OSError as error:
            raise CannotRunError(
                f"no journal can be brought back to {path} ({error}); choose another home with EVOSEARCH_HOME"
            ) from error
        if trouble:
            notes.append(f"the backup {backups.place}/{found} cannot be used: {trouble}")
        else:
            return (*notes, f"the journal was not there and was brought back from {backups.place}/{found}")
    return tuple(notes)


def _backups(store: ArtifactStore, name: str) -> ArtifactStore:
    return store.within(f"{name}/journal")


def _names(backups: ArtifactStore) -> list[str]:
    """The names of all backups, the newest first."""
    return sorted((name for name in backups.list() if name.endswith(".db")), reverse=True)


def _copy(file: Path, copy: Path, name: str) -> str:
    """Copy the journal as it is at one instant; what the backup of search `name` is called then."""
    with (
        closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(copy)) as to,
    ):
        source.backup(to)
        term, events = to.execute(_REACHED, {"name": name}).fetchone()
    return f"{term or 0:010}-{events or 0:012}.db"


def _bring(backups: ArtifactStore, name: str, path: Path) -> str | None:
    """Put the backup at `path` where it is sound; else what is wrong with it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=".backup-") as folder:
        copy = Path(folder, path.name)
        try:
            backups.get(name, copy)
        except FileNotFoundError:  # removed since, as too old
            return "it is gone"
        try:
            read_journal_header(copy)
            with closing(sqlite3.connect(copy)) as connection:
                found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        except (JournalError, sqlite3.Error) as error:
            return " ".join(str(error).split())
        if found != "ok":
            return str(found)
        publish(copy, path)
    return None
