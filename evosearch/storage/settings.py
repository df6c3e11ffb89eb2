"""Where a run keeps what it must not lose."""

from dataclasses import dataclass

from evosearch.storage.artifacts.store import check_artifacts
from evosearch.storage.journal.opening import parse_place
from evosearch.storage.urls import without_password


@dataclass(frozen=True)
class StorageSettings:
    """The `storage` section of a configuration."""

    journal: str | None = None
    """Where the journal is, as a file or URL (`postgresql://user@host/database`); None: HOME/journal.db."""
    artifacts: str | None = None
    """Where pictures and weights are, one folder per search inside: a folder, relative to HOME, or a URL such as
    `s3://bucket/folder`, without a password; None: HOME itself. A store with a URL gets backups of an SQLite journal
    too; `file://` gets none, since it counts as a folder of this machine.
    """

    def check(self) -> None:
        """See that each can name a place, as far as can be seen without touching it.

        Raises:
            InputError: as `parse_place` and `check_artifacts`.
        """
        if self.journal is not None:
            parse_place(self.journal)
        if self.artifacts is not None:
            check_artifacts(self.artifacts)

    @property
    def public(self) -> "StorageSettings":
        """The same without passwords, as it may be journaled and shown."""
        return StorageSettings(
            self.journal and without_password(self.journal),
            self.artifacts and without_password(self.artifacts),
        )
