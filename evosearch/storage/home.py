"""Where searches are: a journal, and one folder with a folder of its own for each search's files."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from sqlalchemy import URL, select

from evosearch.errors import EvosearchError, InputError, SearchConflictError
from evosearch.permissions import whole_file
from evosearch.storage.artifacts.store import ArtifactStore
from evosearch.storage.backups.compressed import decompress, is_compressed
from evosearch.storage.holding.holder import Onlooker, current_state, undriven
from evosearch.storage.journal.events import PrecisionResolved
from evosearch.storage.journal.journal import Journal
from evosearch.storage.journal.opening import open_journal, parse_place
from evosearch.storage.journal.rows import SearchRow, SearchStatus
from evosearch.storage.journal.tables import searches
from evosearch.storage.names import group_of, members_of
from evosearch.storage.urls import files_folder, real_path, user_folder, user_path, without_password

MOST_LISTED = 10
"""Names that a message lists at most."""


@dataclass(frozen=True)
class Home:
    """Where searches are kept. Paths inside are relative, so it can be moved.

    As a context it closes the journal at its end.
    """

    folder: Path
    """Holds each search's folder, and the journal where that is a file."""
    journal: Journal
    """Of all searches here."""
    notes: tuple[str, ...] = ()
    """What the user should know of it, one line each."""
    is_default: bool = True
    """It is found without `--storage`."""
    forget: Callable[[], None] = lambda: None
    """Removes what is there for as long as it is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.journal.close()
        self.forget()

    def folder_of(self, name: str) -> Path:
        """The search's own folder, absolute: its locks, pictures and weights."""
        return self.folder / name

    def find_search(self, name: str) -> SearchRow:
        """The search `name`.

        Raises:
            SearchConflictError: there is none; the message lists those there are.
        """
        row = self.journal.find(name)
        if row is None:
            raise SearchConflictError(
                f"there is no search {without_password(name)!r} in {self.journal.place}; it holds {self._held(name)}"
            )
        return row

    def _held(self, name: str) -> str:
        """What there is in place of `name`, in words: members of its group, else searches, groups and studies by themselves."""
        rows = [row for row in self.journal.searches() if row.parent is None]
        members = [row.name for row in members_of(group_of(name), rows)]
        names = members or sorted({group_of(row.name) for row in rows})
        more = len(names) - MOST_LISTED
        told = ", ".join(names[:MOST_LISTED]) or "none at all"
        return f"{told} and {more} more, which `evosearch status` lists" if more > 0 else told

    def store_of(self, row: SearchRow) -> ArtifactStore:
        """Where the files of all searches are, as `row` is journaled, also where nothing else of its configuration can be
        read.
        """
        storage = row.configuration.get("storage")
        artifacts = storage.get("artifacts") if isinstance(storage, dict) else None
        return ArtifactStore.of(artifacts if isinstance(artifacts, str) else None, self.folder)

    def members_of(self, name: str) -> tuple[SearchRow, ...]:
        """The searches of the group `name`; nothing where there is no such group, see `evosearch.storage.names`."""
        return members_of(name, self.journal.searches())

    def precision_of(self, name: str) -> PrecisionResolved | None:
        """What `auto` as `training.precision` means for the search `name`, as one of its group, or it itself, has it: all of a group
        and their retrainings compute alike. None: nobody has decided.
        """
        known = self.journal.precision_of(group_of(name))
        return None if known is None else PrecisionResolved(*known)

    def children_of(self, name: str) -> tuple[SearchRow, ...]:
        """The retrainings of the search `name`, in order of creation."""
        return self.journal.children(name)

    def current_state(self, row: SearchRow, host: str, now: float) -> SearchStatus:
        """The state of a search at `now`, seconds since 1970, as seen on `host`: see `evosearch.storage.current_state`."""
        if row.state != "running":
            return row.state
        lock = self.journal.locks(self.folder_of(row.name), row.name).state(row.term)
        return current_state(row, lock, host, now)

    def is_held(self, row: SearchRow, onlooker: Onlooker) -> bool:
        """Whether a driver that is alive holds the search, be it to retrain; takes a minute where only that shows it."""
        return onlooker.finds_alive(self.journal, self.folder_of(row.name), row.name)

    def upgrade(self, onlooker: Onlooker) -> bool:
        """As `Journal.upgrade`; `onlooker`: how a driver is watched whose lock does not show whether it is alive."""
        return self.journal.upgrade(partial(undriven, onlooker=onlooker))


def open_home(
    storage: str | None,
    *,
    env: Mapping[str, str],
    cwd: Path,
    create: bool,
    note: Callable[[str], None] = lambda _: None,
    reads: bool = False,
) -> Home:
    """The home whose journal is `storage`, a file or SQLAlchemy URL; None: `journal.db` in the default folder.

    The folder is the one that holds `journal.db`; beside a file of another name it is `FILE.files`, so that several
    journals in one folder share neither locks nor pictures; the default folder where the journal is on a server.

    Args:
        storage: the journal.
        env: the environment.
        cwd: the working directory.
        create: whether a journal that is not there is made.
        note: called with a line where a journal of an older version is upgraded, which its first write does.
        reads: nothing is going to be written, so that a compressed journal will do, `FILE.xz`.

    Raises:
        JournalError: there is no journal (unless `create`), or this version cannot read it.
        InputError: it is a compressed one, and something may be written.
        CannotRunError: it cannot be reached.
    """
    default = default_folder(env, cwd)
    place = parse_place(default / "journal.db" if storage is None else storage)
    if isinstance(place, Path) and is_compressed(place):
        if not reads:
            raise InputError(
                f"{place} is a compressed copy, which status, results and explain read; to go on from it: "
                f"`evosearch resume NAME --from {place}`"
            )
        return _open_compressed(real_path(place), note)
    folder = home_folder(storage, env=env, cwd=cwd)
    journal = open_journal(place, must_exist=not create, cache=folder / "cache", note=note)
    is_default = journal.file == (default / "journal.db").resolve()
    return Home(folder, journal, (journal.advice,) if journal.advice else (), is_default)


def _open_compressed(file: Path, note: Callable[[str], None]) -> Home:
    """A home of its own, which is gone when it is closed, with the journal in `file` and the files that it brings."""
    folder = TemporaryDirectory(prefix="evosearch-")
    copy = Path(folder.name).resolve() / "journal.db"
    try:
        decompress(file, copy)
        journal = open_journal(copy, must_exist=True, note=note)
        try:
            journal.check()
            journal.place = str(file)
            for name, content in unpacked_files(journal):
                target = (copy.parent / name).resolve()
                if target.is_relative_to(copy.parent) and not target.exists():
                    with whole_file(target) as unfinished:
                        unfinished.write_bytes(content)
        except BaseException:
            journal.close()
            raise
    except BaseException as error:
        folder.cleanup()
        if isinstance(error, EvosearchError):
            error.args = (str(error).replace(str(copy), str(file)), *error.args[1:])
        raise
    return Home(copy.parent, journal, is_default=False, forget=folder.cleanup)


def unpacked_files(journal: Journal) -> Sequence[tuple[str, bytes]]:
    """The files that a published journal brings, by their names in a home; none of any other journal."""
    if journal.file is None:
        return ()
    with closing(sqlite3.connect(f"{journal.file.as_uri()}?mode=ro", uri=True)) as connection:
        try:
            found = connection.execute("SELECT name, content FROM files ORDER BY name").fetchall()
        except sqlite3.Error:  # no published one
            return ()
    return [
        (name, content) for name, content in found if isinstance(name, str) and isinstance(content, bytes)
    ]


def home_folder(storage: str | None, *, env: Mapping[str, str], cwd: Path) -> Path:
    """The folder of the home whose journal is `storage`, as for `open_home`; neither need be there.

    Raises:
        InputError: `storage` can be none.
    """
    default = default_folder(env, cwd)
    place = parse_place(default / "journal.db" if storage is None else storage)
    return default if isinstance(place, URL) else files_folder(real_path(place))


def search_names(storage: str | None, *, env: Mapping[str, str], cwd: Path) -> tuple[str, ...]:
    """The names of all searches in a journal file, in order; none of one on a server.

    For whoever is in a hurry and changes nothing: the journal is not opened as such, so that nothing is locked,
    upgraded, copied or left beside it. `storage` and the rest: as for `open_home`.

    Raises:
        InputError: `storage` is none.
        sqlite3.Error: there is no journal, or none that can be read now.
    """
    place = parse_place(default_folder(env, cwd) / "journal.db" if storage is None else storage)
    if isinstance(place, URL):
        return ()
    file = place.expanduser().resolve()
    # Without a write-ahead file the journal is whole by itself; a reader of one that may have it would leave an empty one.
    how = "mode=ro" if file.with_name(f"{file.name}-wal").exists() else "mode=ro&immutable=1"
    with closing(sqlite3.connect(f"{file.as_uri()}?{how}", uri=True, timeout=0.2)) as connection:
        rows = connection.execute(str(select(searches.c.name).order_by(searches.c.name)))
        return tuple(name for (name,) in rows)


def default_folder(env: Mapping[str, str], cwd: Path) -> Path:
    """`$EVOSEARCH_HOME`, else `./runs`; in a Ray job `~/evosearch-runs`.

    A job's working directory changes with every edit of what is submitted, so a resubmitted job would not find
    its search there.

    Raises:
        InputError: the variable names no folder, or the user of the job has no home folder.
    """
    if folder := env.get("EVOSEARCH_HOME"):
        return (cwd / user_folder(folder, "EVOSEARCH_HOME")).absolute()
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in env:  # set by Ray for a job's entry point
        return user_path("~/evosearch-runs")
    return (cwd / "runs").absolute()
