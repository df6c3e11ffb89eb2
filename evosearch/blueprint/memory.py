"""How much memory training a network takes."""

from dataclasses import dataclass

from evosearch.blueprint.plan import NetworkSize

FLOAT = 4
"""Bytes of an fp32 number."""

STATE_PER_PARAMETER = {"adam": 2, "adadelta": 2, "rmsprop": 1, "sgd": 0}
"""Numbers that each optimizer keeps per parameter (SGD here has no momentum)."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that training takes, in fp32, by purpose."""

    parameters: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """Sum in bytes; the framework's own workspace is not in it."""
        return self.parameters + self.gradients + self.optimizer + self.activations


def training_memory(size: NetworkSize, batch_size: int, optimizer: str) -> Memory:
    """Memory for one training step of `batch_size` images with `optimizer`, a key of `STATE_PER_PARAMETER`."""
    weights = FLOAT * size.parameters
    return Memory(
        parameters=weights,
        gradients=weights,
        optimizer=STATE_PER_PARAMETER[optimizer] * weights,
        activations=FLOAT * batch_size * size.activations,
    )
