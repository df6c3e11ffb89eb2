"""Whether a network may be trained under the configuration's limits; no device is asked."""

from dataclasses import dataclass

from evosearch.blueprint.memory import training_memory
from evosearch.blueprint.plan import NetworkSize
from evosearch.genome import SearchSpace


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """How big a network may be: keys of the search space.

    `max_memory`: bytes of one training step; None: no limit. `max_poolings`: the upper end of `space.poolings`.
    """

    max_parameters: int
    max_memory: int | None
    max_poolings: int

    @classmethod
    def of(cls, space: SearchSpace) -> "SizeLimits":
        """The limits of `space`."""
        return cls(space.max_parameters, space.max_memory, space.poolings[1])


def infeasibility(size: NetworkSize, limits: SizeLimits, batch_size: int, optimizer: str) -> str | None:
    """Why a network of that size exceeds a limit when trained so, naming the limit's key; None where it is feasible.

    Poolings and missing convolutions are repaired rather than judged: see `repair_head`.
    """
    if size.parameters > limits.max_parameters:
        return f"{size.parameters:,} parameters exceed space.max_parameters = {limits.max_parameters:,}"
    if limits.max_memory is None:
        return None
    memory = training_memory(size, batch_size, optimizer).total
    if memory > limits.max_memory:
        return f"{memory:,} bytes of memory exceed space.max_memory = {limits.max_memory:,}"
    return None
