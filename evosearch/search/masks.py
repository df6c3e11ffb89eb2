"""The search for masks of a dropout layer (GA-Dropout): binary vectors over the layer's units, bred by a genetic algorithm.

Two strategies: `features` has one trial, which keeps what enters the layer; `masks` breeds vectors over them, a generation per
trial. The rate that is found is the share of zeros in the best vector.
"""

from dataclasses import dataclass
from typing import Literal



@dataclass(frozen=True, kw_only=True)
class FeatureKeys:
    """Of which features masks are searched, and how these are made."""

    network: str = ""
    """Text form of the network: a chromosome's, or a hand-made one's name."""
    beta: float = 0.5
    """Rate of dropout before the class layer while the features are learned, and what kept ones are scaled by."""
    sample: float = 0.1
    """Share of the training images that the features are of, drawn at random."""
    pretrain_epochs: int = 5
    """Passes over the sample by which the features are learned."""


@dataclass(frozen=True, kw_only=True)
class FeaturesSettings(FeatureKeys):
    """Keeps features for a search of masks. Each field is a key under `strategy`."""

    name: Literal["features"] = "features"
    """Which strategy."""


@dataclass(frozen=True, kw_only=True)
class MasksSettings(FeatureKeys):
    """A genetic search for a mask (GA-Dropout). Each field is a key under `strategy`."""

    name: Literal["masks"] = "masks"
    """Which strategy."""
    features: str = ""
    """sha256 of the features, as the search that kept them tells."""
    units: int = 1
    """Of the dropout layer, as that search tells: bits of a vector."""
    population: int = 30
    """Vectors in a generation."""
    cycle: int = 20
    """Generations that are bred after the first."""
    shares: tuple[float, float] = (0.1, 0.9)
    """Shares of zeros in the first generation, from the first vector to the last, evenly."""
    selected: float = 0.5
    """Share of a generation that roulette selects: they stay, with their losses, and are the parents of the others."""
    crossover: float = 0.9
    """Chance that a child is crossed, at one point, of two parents; else it is a copy of one."""
    mutation: float | None = None
    """Chance of each bit of a child to flip. null: 1 / units."""
    weight: float = 11.0
    """Fixed weight above ten that makes a fitness of a loss (equation 5); it cancels in roulette, and is kept for the record."""
    mask_epochs: int = 5
    """Passes over the sample by which the part behind the layer is trained for each vector."""
    objective: Literal["train", "validation"] = "train"
    """train: the sum over the epochs of the mean training loss. validation: of the mean loss over every fifth image of the sample, which is then not trained on; a training loss favours keeping every unit."""
    scale: Literal["beta", "kept"] = "beta"
    """What kept features are multiplied by. beta: 1 / (1 - beta). kept: units / kept units."""
    breeding: Literal["genetic", "random"] = "genetic"
    """random: every generation is drawn as the first, so many vectors of which as genetic breeding would train."""
