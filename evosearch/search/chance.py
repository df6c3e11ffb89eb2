"""Where chance comes from: one independent stream per (search seed, generation, purpose, slot).

No generator state is ever stored: a resumed search makes its streams again.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is for. The numbers enter the seed: never change or reuse one."""

    RANDOM_INDIVIDUAL = 0
    """One stream per slot, so that immigrants can be drawn before their generation begins."""
    SELECTION = 1
    CROSSOVER = 2
    BALANCE = 3


def stream(seed: int, generation: int, purpose: Purpose, slot: int = 0) -> np.random.Generator:
    """A fresh generator; equal arguments give equal draws on every machine. All integers are at least 0."""
    return np.random.default_rng([seed, generation, int(purpose), slot])
