"""What a search would cost, from its first population, and when it will end, judged by how fast it has gone so far."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from evosearch.blueprint import NetworkSize, training_memory
from evosearch.evaluation import TrainingSettings
from evosearch.reports.words import counted, scaled


def seconds_left(done: int, total: int, seconds: float) -> float | None:
    """Estimated seconds until `total` evaluations are done, `done` of which took `seconds` of wall time.

    Returns: None while nothing is done; 0 where nothing is left. Generations' barriers are in it, as they were
    in the past.
    """
    if done >= total:
        return 0.0
    return seconds / done * (total - done) if done else None


BACKWARD = 2
"""The backward pass costs about twice the forward one: gradients for weights and for inputs."""


@dataclass(frozen=True)
class Spread:
    """Least, median and greatest of a figure over the first population."""

    least: float
    median: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of `values`, at least one."""
        return cls(min(values), median(values), max(values))


@dataclass(frozen=True)
class Cost:
    """A search's cost, estimated.

    `trainings`: how many, at most (equal chromosomes are trained once). `steps`: optimizer steps of each.
    `parameters`, `training_flops` (one training, forward and backward) and `memory` (bytes, one training step):
    over the first population; later ones may grow beyond it. `total_flops`: trainings times the mean.
    """

    trainings: int
    epochs: int
    steps: int
    parameters: Spread
    training_flops: Spread
    memory: Spread
    total_flops: float

    def to_json(self) -> dict[str, Any]:
        """JSON form, keys as the fields."""
        return asdict(self)


def estimate_cost(
    sizes: Sequence[NetworkSize], trainings: int, images: int, training: TrainingSettings
) -> Cost:
    """Cost of `trainings` networks of `sizes` (the first population) on `images` training images."""
    epochs, batch_size = training.epochs, training.batch_size
    flops = [float(b.flops) * (1 + BACKWARD) * images * epochs for b in sizes]
    # A single left-over image joins the batch before it, so it makes no step of its own.
    steps = max(1, -(-images // batch_size) - (images % batch_size == 1))
    return Cost(
        trainings=trainings,
        epochs=epochs,
        steps=steps * epochs,
        parameters=Spread.of([b.parameters for b in sizes]),
        training_flops=Spread.of(flops),
        memory=Spread.of([training_memory(b, batch_size, training.optimizer).total for b in sizes]),
        total_flops=trainings * sum(flops) / len(flops),
    )


def cost_lines(cost: Cost) -> list[str]:
    """The estimate for a person."""
    return [
        f"{counted(cost.trainings, 'training')} of {counted(cost.epochs, 'epoch')}, {counted(cost.steps, 'step')} each",
        f"  parameters        {_three(cost.parameters, '')}",
        f"  memory per step   {_three(cost.memory, 'B')}",
        f"  one training      {_three(cost.training_flops, 'FLOP')}",
        f"  the whole search  {scaled(cost.total_flops, 'FLOP')}",
        "  (least / median / greatest over the first population; children may grow beyond it)",
    ]


def _three(spread: Spread, unit: str) -> str:
    return " / ".join(scaled(value, unit) for value in (spread.least, spread.median, spread.greatest))
