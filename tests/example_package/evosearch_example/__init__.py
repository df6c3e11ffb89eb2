"""A source and a strategy that evosearch knows nothing of: all that a user writes to add them."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from evosearch.blueprint import ImageShape
from evosearch.data import CutKeys, Gathered, Places, gather_arrays
from evosearch.errors import ConfigError, SearchConflictError
from evosearch.search import AnyStrategy, FixedListSettings, ListedTrial, SearchContext


@dataclass(frozen=True)
class StripesSettings(CutKeys):
    """Lying and standing stripes with noise, drawn from a seed."""

    name: Literal["stripes"] = "stripes"
    """Which source."""
    count: int = 60
    """Images of each class."""

    default_image: ClassVar = ImageShape(1, 8, 8)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.count < 3:
            raise ConfigError(
                f"data.count is {self.count}; each split needs an image of each class: at least 3"
            )

    def read(self, places: Places) -> Gathered:
        """Classes lying and standing, by turns."""
        shape, rng = self.image, np.random.default_rng(0)
        noise = rng.integers(0, 64, (2 * self.count, shape.channels, shape.height, shape.width))
        stripes = 160 * (np.arange(shape.width) // 2 % 2)
        standing = np.broadcast_to(stripes, noise.shape[1:])
        images = noise + np.where(
            (np.arange(len(noise)) % 2)[:, None, None, None], standing, standing.swapaxes(1, 2)
        )
        labels = np.arange(len(noise)) % 2
        return gather_arrays(self, "stripes", images.astype(np.uint8), labels, ("lying", "standing"))


@dataclass(frozen=True)
class LadderSettings:
    """One convolution, wider at each rung."""

    name: Literal["ladder"] = "ladder"
    """Which strategy."""
    rungs: int = 3
    """How many networks."""
    step: int = 4
    """Output channels that each rung adds."""

    @property
    def generations(self) -> int:
        """One."""
        return 1

    @property
    def evaluations_in_all(self) -> int:
        """One for each rung."""
        return self.rungs

    @property
    def has_time_limits(self) -> bool:
        """As of every candidate."""
        return True

    def make(self, context: SearchContext) -> AnyStrategy:
        """A list, which is a strategy already."""
        rungs = range(self.step, self.step * (self.rungs + 1), self.step)
        return FixedListSettings(trials=tuple(ListedTrial(f"C{width} |") for width in rungs)).make(context)

    def with_generations(self, generations: int) -> "LadderSettings":
        """Itself."""
        if generations != 1:
            raise SearchConflictError("a ladder is all one generation")
        return self
