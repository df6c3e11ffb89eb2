"""Trainings that wait at a rung, in the memory of the worker that brought them there: who goes on need not begin again.

What is kept is the training's state, as a checkpoint has it, on the host: the device is free for others, and going on from it gives
the very same bits. It is a memory and nothing else: what has no room, or went with its worker, is found in a checkpoint or
begins at epoch 0.
"""

from collections.abc import Callable
from typing import NamedTuple

from evosearch.data.memory import available_memory
from evosearch.evaluation import Rung
from evosearch.training.fit import FitState

MOST_BYTES = 2**30
"""Of all of them: half of the growth after which a worker is replaced, where nobody says otherwise."""

SPARE_BYTES = 2**30
"""So much stays free on this machine."""

SLOW_BYTES = 20 * 2**20
"""So many can be written in a second, at least, wherever checkpoints lie."""


class _Waiting(NamedTuple):
    rung: Rung
    state: FitState


class WaitingFits:
    """Those of one worker, by the fingerprint of their trainings. `available`: bytes that this machine can still give."""

    def __init__(
        self, most: int = MOST_BYTES, available: Callable[[], int | None] = available_memory
    ) -> None:
        self._most = most
        self._available = available
        self._kept: dict[str, _Waiting] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def forget(self, rung: Rung) -> None:
        """A trial of `rung` shows which ones nobody will ask for again: those of generations that are over, and of its own
        generation those that stayed behind at the rungs before.
        """
        oldest = rung.generation if rung.since else rung.generation - 1  # a first rung may be early
        for training, (other, state) in list(self._kept.items()):
            behind = other.generation == rung.generation and len(state.curve) < rung.since
            if other.search == rung.search and (other.generation < oldest or behind):
                del self._kept[training]

    def find(self, training: str, last_epoch: int) -> FitState | None:
        """Where a training stands that goes no further than `last_epoch`; None where that is not known."""
        found = self._kept.get(training)
        return found.state if found and len(found.state.curve) <= last_epoch else None

    def keep(self, training: str, rung: Rung, state: FitState) -> bool:
        """Whether there is room for it, and it is kept, in the place of what there was of this training."""
        self._kept.pop(training, None)
        held = sum(size_of(one.state) for one in self._kept.values())
        size, available = size_of(state), self._available()
        if held + size > self._most or (available is not None and available < SPARE_BYTES):
            return False
        self._kept[training] = _Waiting(rung, state)
        return True


def size_of(state: FitState) -> int:
    """Bytes of its tensors."""
    return sum(tensor.nbytes for tensor in state.tensors.values())


def is_worth_writing(state: FitState, epoch_seconds: float, epochs: int) -> bool:
    """Whether to begin a training of so many epochs again may take longer than writing its state."""
    return epoch_seconds * epochs > size_of(state) / SLOW_BYTES
