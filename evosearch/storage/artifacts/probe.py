"""How a worker finds out whether its artifact store is the driver's: by a mark that the driver leaves there."""

from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from threading import Thread
from typing import Self

from evosearch.errors import CannotRunError
from evosearch.storage.artifacts.store import ArtifactStore

_REMOVAL_SECONDS = 0.5
"""Longest wait for a removal: a process that is to stop has not the time for a slow network."""


@dataclass(frozen=True)
class StoreProbe:
    """One small file in an artifact store. Survives pickling."""

    store: ArtifactStore
    """Where it is."""
    name: str
    """The file's."""
    content: bytes
    """Says whose it is."""

    @classmethod
    def leave(cls, store: ArtifactStore, search: str) -> Self:
        """Leave the mark of a search's driver, in place of an older one.

        Raises:
            CannotRunError: the store does not take and give back what is written.
        """
        store.probe()
        mark = cls(store, f".reach-{search.replace('/', '-')}", token_hex(8).encode())
        store.write_bytes(mark.name, mark.content)
        return mark

    def find_problem(self) -> str | None:
        """For a worker elsewhere: why it cannot use the store in which the mark is; None where it can."""
        try:
            if not self.store.exists(self.name):
                return (
                    f"{self.store.place} does not hold there what the driver wrote to it; share that folder, or "
                    "give a URL"
                )
            self.store.probe()
        except CannotRunError as error:
            return str(error)
        return None

    def remove(self) -> None:
        """Take it away, unless a driver that superseded this one has left its own; never fails."""
        thread = Thread(target=self._remove, name="store-mark", daemon=True)
        thread.start()
        thread.join(_REMOVAL_SECONDS)

    def _remove(self) -> None:
        with suppress(CannotRunError, FileNotFoundError):
            if self.store.read_bytes(self.name) == self.content:
                self.store.remove(self.name)
