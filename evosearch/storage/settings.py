"""Where a run keeps what it must not lose."""

from dataclasses import dataclass

from evosearch.storage.passwords import without_password


@dataclass(frozen=True)
class StorageSettings:
    """The `storage` section of a configuration."""

    journal: str | None = None
    """Where the journal lies, as a file or URL (`postgresql://user@host/database`); None: HOME/journal.db."""
    artifacts: str | None = None
    """Where pictures and weights lie, one folder per search inside: a folder, relative to HOME, or a URL such as
    `s3://bucket/folder`, without a password; None: HOME itself. A store with a URL gets backups of an SQLite journal
    too; `file://` gets none, since it counts as a folder of this machine.
    """

    @property
    def public(self) -> "StorageSettings":
        """The same without passwords, as it may be journaled and shown."""
        return StorageSettings(
            self.journal and without_password(self.journal),
            self.artifacts and without_password(self.artifacts),
        )
