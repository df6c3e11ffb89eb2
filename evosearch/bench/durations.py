"""How long trainings that never happen would take: by the cost model, over real chromosomes."""

from dataclasses import dataclass, replace
from statistics import fmean

from evosearch.blueprint import Problem, blueprint_of
from evosearch.genome import Chromosome
from evosearch.runtime import Plan
from evosearch.runtime.scheduling.costs import Work, work_of

LARGE_IMAGES: Work = (0.1, 0.01, 10.0, 0.02, 0.04)
"""What weighs how much in a training step: itself, each layer (kernels to launch), a GFLOP, a million of activations and of
parameters. Only the ratios count. Arithmetic makes 70 % of these steps; the longest of 50 trainings takes about ten times
as long as the shortest."""

SMALL_IMAGES: Work = (0.25, 0.035, 0.3, 0.02, 0.04)
"""The same where launching kernels is most of a step, as at 32 pixels: all take nearly the same."""


@dataclass(frozen=True)
class Durations:
    """Seconds of a training for each chromosome, of networks for `problem`.

    `scale`: seconds per unit of `weights`.
    """

    problem: Problem
    weights: Work = LARGE_IMAGES
    scale: float = 1.0

    @classmethod
    def of(cls, plan: Plan, mean: float, weights: Work = LARGE_IMAGES) -> "Durations":
        """Such that the plan's first generation takes `mean` seconds each, on average."""
        unscaled = cls(plan.problem, weights)
        first = [unscaled.seconds(one) for one in first_chromosomes(plan)]
        return replace(unscaled, scale=mean / fmean(first))

    def seconds(self, chromosome: Chromosome) -> float:
        """What its training takes."""
        work = work_of(blueprint_of(chromosome, self.problem).size)
        return self.scale * sum(weight * amount for weight, amount in zip(self.weights, work, strict=True))


def first_chromosomes(plan: Plan) -> list[Chromosome]:
    """Those of the plan's first generation."""
    return [trial.candidate.chromosome for trial in plan.strategy.ask(plan.strategy.start())]
