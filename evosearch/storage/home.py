"""Where searches lie: one folder with the journal, and a folder of its own for each search's files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from evosearch.errors import SearchConflictError
from evosearch.storage.journal import Journal
from evosearch.storage.opening import open_journal
from evosearch.storage.rows import SearchRow


@dataclass(frozen=True)
class Home:
    """`folder` holds the journal and each search's folder; all paths inside are relative, so it can be moved.

    As a context it closes the journal at its end.
    """

    folder: Path
    journal_path: Path
    journal: Journal

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
                f"there is no search {name!r} in {self.journal_path}; it holds {others}"
            )
        return row


def open_home(storage: str | None, *, env: Mapping[str, str], cwd: Path, create: bool) -> Home:
    """The home whose journal is `storage` (a file or SQLAlchemy URL; None: `journal.db` in the default folder).

    Raises:
        JournalError: there is no journal (unless `create`), or this version cannot read it.
    """
    journal = open_journal(storage or default_folder(env, cwd) / "journal.db", must_exist=not create)
    path = Path(journal.place)
    return Home(path.parent, path, journal)


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
