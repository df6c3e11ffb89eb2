"""What a worker tells while it trains."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class EpochRecord:
    """One pass over the training images: mean training loss, and validation accuracy after it (0 to 1)."""

    loss: float
    accuracy: float


class Progress(Protocol):
    """Told by an evaluator how it gets on; a worker that tells nothing for long is taken for hung."""

    def step(self) -> None:
        """A batch is done. Costs next to nothing and may be called from the innermost loop."""
        ...

    def epoch(self, record: EpochRecord) -> None:
        """A pass over the training images is done, and another one follows. Of a training that goes on from a
        checkpoint, all its passes are told as it begins.

        Raises:
            TimedOutError: the evaluation has passed its soft time limit.
        """
        ...


class Unwatched:
    """A `Progress` that nobody looks at."""

    def step(self) -> None:
        """Nothing."""

    def epoch(self, record: EpochRecord) -> None:
        """Nothing."""


UNWATCHED = Unwatched()
