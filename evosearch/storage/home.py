"""Where searches lie: a journal, and one folder with a folder of its own for each search's files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import URL

from evosearch.errors import SearchConflictError
from evosearch.storage.artifacts import ArtifactStore
from evosearch.storage.backup import restore_newest
from evosearch.storage.groups import group_of, members_of
from evosearch.storage.holder import current_state
from evosearch.storage.journal import Journal
from evosearch.storage.opening import exists, open_journal, parse_place
from evosearch.storage.passwords import without_password
from evosearch.storage.rows import SearchRow, SearchState


@dataclass(frozen=True)
class Home:
    """`folder` holds each search's folder, and the journal where that is a file; paths inside are relative, so
    it can be moved. `notes`: what the user should know of it, one line each.

    As a context it closes the journal at its end.
    """

    folder: Path
    journal: Journal
    notes: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.journal.close()

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
            others = ", ".join(sorted(other.name for other in self.journal.searches())) or "none at all"
            raise SearchConflictError(
                f"there is no search {without_password(name)!r} in {self.journal.place}; it holds {others}"
            )
        return row

    def members_of(self, name: str) -> tuple[SearchRow, ...]:
        """The searches of the group `name`; nothing where there is no such group, see `evosearch.storage.groups`."""
        return members_of(name, self.journal.searches())

    def current_state(self, row: SearchRow, now: float) -> SearchState:
        """The state of a search at `now`, seconds since 1970: see `evosearch.storage.current_state`."""
        if row.state != "running":
            return row.state
        locks = self.journal.locks(self.folder_of(row.name), row.name)
        return current_state(row, locks.is_free(row.term), now)


def open_home(
    storage: str | None,
    *,
    env: Mapping[str, str],
    cwd: Path,
    create: bool,
    artifacts: str | None = None,
    name: str | None = None,
) -> Home:
    """The home whose journal is `storage`, a file or SQLAlchemy URL; None: `journal.db` in the default folder.

    The folder is the one that holds the file, the default folder where the journal lies on a server.

    Args:
        storage: the journal.
        env: the environment.
        cwd: the working directory.
        create: whether a journal that is not there is made.
        artifacts: `storage.artifacts` of a configuration. Where it is remote and the journal's file is not there,
            the newest backup of `name` is brought back first.
        name: the search, or the group, that is to be found.

    Raises:
        JournalError: there is no journal (unless `create`), or this version cannot read it.
        CannotRunError: journal or artifacts cannot be reached.
    """
    default = default_folder(env, cwd)
    place = parse_place(default / "journal.db" if storage is None else storage)
    notes: tuple[str, ...] = ()
    if not isinstance(place, URL):
        place = place.expanduser().resolve()
        if artifacts is not None and name is not None and not exists(place):
            notes = restore_newest(ArtifactStore.of(artifacts, place.parent), group_of(name), place)
    journal = open_journal(place, must_exist=not create)
    folder = default if journal.file is None else journal.file.parent
    return Home(folder, journal, (*notes, journal.advice) if journal.advice else notes)


def default_folder(env: Mapping[str, str], cwd: Path) -> Path:
    """`$EVOSEARCH_HOME`, else `./runs`; in a Ray job `~/evosearch-runs`.

    A job's working directory changes with every edit of what is submitted, so a resubmitted job would not find
    its search there.
    """
    if folder := env.get("EVOSEARCH_HOME"):
        return (cwd / folder).absolute()
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in env:  # set by Ray for a job's entry point
        return Path.home() / "evosearch-runs"
    return (cwd / "runs").absolute()
