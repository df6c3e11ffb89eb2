"""Whether a chromosome may be trained under the configuration's limits; no device is asked."""

from dataclasses import dataclass

from evosearch.blueprint.layers import ImageShape
from evosearch.blueprint.memory import training_memory
from evosearch.blueprint.plan import draw_up
from evosearch.genome import Chromosome, SearchSpace


@dataclass(frozen=True)
class Limits:
    """What a search allows, and the images and training that decide what a chromosome costs.

    `image` and `classes` come from the data; `batch_size`, `optimizer` and `dropout` from the training;
    `max_parameters`, `max_memory` (bytes) and `max_poolings` from the search space.
    """

    image: ImageShape
    classes: int
    batch_size: int
    optimizer: str
    dropout: float
    max_parameters: int
    max_memory: int | None
    max_poolings: int

    @classmethod
    def of(
        cls,
        space: SearchSpace,
        image: ImageShape,
        classes: int,
        batch_size: int,
        optimizer: str,
        dropout: float,
    ) -> "Limits":
        """The limits of `space` for these images and this training."""
        return cls(
            image,
            classes,
            batch_size,
            optimizer,
            dropout,
            space.max_parameters,
            space.max_memory,
            space.poolings[1],
        )


def infeasibility(chromosome: Chromosome, limits: Limits) -> str | None:
    """Why a repaired chromosome exceeds a size limit, naming the limit's key; None where it is feasible.

    Poolings and missing convolutions are repaired rather than judged: see `repair_head`.
    """
    blueprint = draw_up(chromosome, limits.image, limits.classes, limits.dropout)
    if blueprint.parameters > limits.max_parameters:
        return f"{blueprint.parameters:,} parameters exceed space.max_parameters = {limits.max_parameters:,}"
    if limits.max_memory is None:
        return None
    memory = training_memory(blueprint, limits.batch_size, limits.optimizer).total
    if memory > limits.max_memory:
        return f"{memory:,} bytes of memory exceed space.max_memory = {limits.max_memory:,}"
    return None
