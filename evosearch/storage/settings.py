"""Where a run keeps what it must not lose."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StorageSettings:
    """The `storage` section of a configuration."""

    journal: str | None = None
    """Where the journal lies, as a SQLAlchemy URL (`sqlite:////folder/journal.db`); None: HOME/journal.db."""
    artifacts: str | None = None
    """Folder of pictures and weights, one folder per search inside, relative to HOME; None: HOME itself."""
