"""What waits for a worker in all searches of a fleet, as arrays, so that thousands are ranked at once after every result."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from evosearch.evaluation import TrialId
from evosearch.runtime.scheduling.costs import FEATURES, Timings, Work

FEW = 8
"""So many are looked for one by one; where more are asked for, all that are left are sorted."""

ROWS = 64
"""At first."""


class Place(NamedTuple):
    """Where a trial stands among all that wait: the lowest is dispatched first."""

    tier: int
    """As in `Backlog.add`."""
    minus_seconds: float
    """Predicted; minus infinity where nothing is known."""
    place: tuple[int, float]
    """Of the trial, as `TrialId.place`."""
    search: str
    """Whose it is."""
    trial: TrialId
    """Which one."""


class Backlog:
    """Trials to dispatch. Changed as they come and go: each has a row of its own, and the rows of those that went are dropped
    when there is no room for another one.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, TrialId], int] = {}
        self._used: list[tuple[str, TrialId]] = []
        self._waits = np.zeros(ROWS, np.bool_)
        self._tiers = np.zeros(ROWS, np.int8)
        self._works = np.zeros((FEATURES, ROWS))

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, search: str, trial: TrialId, tier: int, work: Work | None) -> None:
        """The trial waits. `tier`: lower ones go first, whatever they take. `work`: None where it is not known."""
        self.discard(search, trial)
        if len(self._used) == len(self._waits):
            self._make_room()
        row = self._rows[search, trial] = len(self._used)
        self._used.append((search, trial))
        self._waits[row], self._tiers[row] = True, tier
        self._works[:, row] = np.nan if work is None else work

    def discard(self, search: str, trial: TrialId) -> None:
        """It does not, or no more."""
        row = self._rows.pop((search, trial), None)
        if row is not None:
            self._waits[row] = False

    def ranked(self, timings: Timings) -> Iterator[Place]:
        """All that wait, the next one first: the lowest tier, the longest by what `timings` teach, the lowest number."""
        rows = np.flatnonzero(self._waits[: len(self._used)])
        if not rows.size:
            return
        seconds = timings.predicted(self._works[:, rows])
        seconds[np.isnan(seconds)] = np.inf
        tiers = self._tiers[rows]

        def place(at: int) -> Place:
            search, trial = self._used[rows[at]]
            return Place(int(tiers[at]), -float(seconds[at]), trial.place, search, trial)

        left = np.arange(rows.size)
        for _ in range(min(FEW, rows.size)):
            lowest = left[tiers[left] == tiers[left].min()]
            longest = lowest[seconds[lowest] == seconds[lowest].max()]
            first = min(longest.tolist(), key=place)
            yield place(first)
            left = left[left != first]
        yield from sorted(map(place, left.tolist()))

    def _make_room(self) -> None:
        kept = np.flatnonzero(self._waits)
        more = max(ROWS, kept.size)  # so that it is made once in as many additions as there are rows
        self._used = [self._used[row] for row in kept]
        self._rows = {owner: row for row, owner in enumerate(self._used)}
        self._waits, self._tiers, self._works = (
            np.concatenate([values[..., kept], np.zeros((*values.shape[:-1], more), values.dtype)], axis=-1)
            for values in (self._waits, self._tiers, self._works)
        )
