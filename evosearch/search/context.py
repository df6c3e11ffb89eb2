"""What a strategy is made from besides its own settings: the space, the problem, how candidates are trained, the seed."""

from dataclasses import dataclass
from functools import cached_property

from evosearch.blueprint import Problem, Repaired, SizeLimits, infeasibility, repair_head, size_of
from evosearch.evaluation import TrainingSettings
from evosearch.genome import Chromosome, Conv, Network, SearchSpace


@dataclass(frozen=True)
class SearchContext:
    """The surroundings of a search, which never change while it lasts.

    `space`: what networks may look like. `problem`: images and classes. `training`: how every candidate is trained unless
    its trial says otherwise. `seed`: the search's, at least 0.
    """

    space: SearchSpace
    problem: Problem
    training: TrainingSettings
    seed: int

    @cached_property
    def limits(self) -> SizeLimits:
        """How big a network may be."""
        return SizeLimits.of(self.space)

    def repair(self, chromosome: Chromosome, convolution: Conv | None = None) -> Repaired:
        """As `repair_head`, within these limits."""
        return repair_head(chromosome, self.problem, self.limits, convolution)

    def infeasibility(self, network: Network) -> str | None:
        """Why `network`, once repaired, may not be trained; None where it may, or where its size is not known."""
        size = size_of(network, self.problem, self.training.dropout)
        if size is None:
            return None
        return infeasibility(size, self.limits, self.training.batch_size, self.training.optimizer)
