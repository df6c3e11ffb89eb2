"""What a remote store keeps of one search or group: backups of its journal, and who drives it.

A backup is called `NAME/journal/TERMS-EVENTS.db`, named after how far the search is, with the terms and events of a
group's members added up. Both only ever grow, so the highest name is the newest backup. The terms come first: a
driver that was superseded may write many events to its own copy and is still lower.

Beside them are `holder`, by which drivers on machines that share no lock know of each other, and `newest`, the
highest name, for people and scripts.
"""

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from evosearch.storage.artifacts.store import ArtifactStore

ALIVE_SECONDS = 150.0
"""A holder counts as alive for so long after its last word, which comes with each backup, every 60 s: by the store's
clock, or as long as one has watched.
"""

_FORM = re.compile(r"(\d{10})-(\d{12})\.db")

_REACHED = """
    SELECT sum(term), sum(sequence) FROM searches WHERE name = :name OR substr(name, 1, length(:name) + 1) = :name || '/'
"""


@dataclass(frozen=True, order=True)
class Position:
    """How far a search or group is; 0 where it is not there."""

    terms: int
    """Drivers that it had; of a group, those of all members."""
    events: int
    """In its journal; of a group, those of all members."""

    @classmethod
    def of(cls, file: Path, name: str) -> "Position":
        """What is in the journal `file`, which is only read.

        Raises:
            sqlite3.Error: it cannot be read.
        """
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            terms, events = connection.execute(_REACHED, {"name": name}).fetchone()
        return cls(terms or 0, events or 0)

    @property
    def file(self) -> str:
        """The name of its backup."""
        return f"{self.terms:010}-{self.events:012}.db"


@dataclass(frozen=True)
class HolderRecord:
    """A driver's word that it drives."""

    terms: int
    """As in `Position`."""
    host: str
    """The driver's machine."""
    pid: int
    """The driver's process there."""
    at: float
    """Seconds since 1970 by its own clock, different each time."""
    released: bool
    """It has ended."""

    def is_known_to(self, file: Path) -> bool:
        """Whether its driver wrote into the journal `file`, or into what that was brought back from."""
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute(
                "SELECT 1 FROM drivers WHERE host = ? AND pid = ?", (self.host, self.pid)
            )
            return found.fetchone() is not None


@dataclass(frozen=True)
class Shelf:
    """The place in a store that belongs to one search or group. Every method raises `CannotRunError` as the store."""

    store: ArtifactStore
    """Only its files."""

    @classmethod
    def of(cls, store: ArtifactStore, name: str) -> "Shelf":
        """That of the search or group `name`."""
        return cls(store.within(f"{name}/journal"))

    def backups(self) -> list[Position]:
        """All there are, the newest first."""
        found = filter(None, map(_FORM.fullmatch, self.store.list()))
        return sorted((Position(int(one[1]), int(one[2])) for one in found), reverse=True)

    def put(self, copy: Path, reached: Position, kept: int) -> None:
        """Keep the journal `copy`; of those before it, only so many that `kept` stay. A higher one is another's."""
        self.store.put(copy, reached.file)
        backups = self.backups()
        if backups:
            self.store.write_bytes("newest", f"{backups[0].file}\n".encode())
        for old in [one for one in backups if one < reached][kept - 1 :]:
            self.store.remove(old.file)

    def holder(self) -> HolderRecord | None:
        """Who said last that it drives; None where nobody did, or nothing that can be read."""
        try:
            return HolderRecord(**json.loads(self.store.read_bytes("holder")))
        except (FileNotFoundError, TypeError, ValueError):
            return None

    def silence(self) -> float | None:
        """Seconds since the holder's last word by the store's own clock; None where that is not known."""
        return self.store.age("holder")

    def claim(self, claim: HolderRecord) -> None:
        """Say who drives."""
        self.store.write_bytes("holder", json.dumps(asdict(claim)).encode())

    def forget_holder(self) -> None:
        """Nobody drives, as far as this folder shows."""
        self.store.remove("holder")

    def clear(self) -> None:
        """Keep no backup and no word of a driver any more."""
        for one in self.backups():
            self.store.remove(one.file)
        self.store.remove("newest")
        self.forget_holder()
