"""How long trainings that never happen would take, and from the notes that sleepers left to what their scheduler cost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from evosearch.blueprint import Problem, blueprint_of
from evosearch.errors import InputError
from evosearch.genome import Chromosome
from evosearch.runtime import Plan
from evosearch.runtime.scheduling.costs import Work, work_of
from workers.benchmarks.sleepers import Slept

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


@dataclass(frozen=True)
class Overhead:
    """What it costs to give a slot its next training. `seconds`: slot-seconds per candidate. `share`: of a mean training."""

    seconds: float
    share: float


def overhead(naps: Sequence[Slept], slots: int) -> Overhead:
    """Slot-seconds in which nobody slept although somebody could have, per candidate.

    The *window* begins with the nap number `slots`, whether or not the first ones have ended, so that the start of workers and the first wave are not counted, and
    ends when the last nap begins: until then the queue is not empty, and every idle slot is the scheduler's doing; how
    the last ones drain is not counted, since that is the order's (see `evosearch.bench.busy`). In the window,

        overhead = (window x slots - sum of the seconds asked for, as far as they fall into it) / naps begun in it.

    A nap counts from its begin for as long as was asked for: that a process wakes up late, writes its note and
    sends its answer is overhead too.

    Args:
        naps: all of one round.
        slots: how many were allowed at once.

    Raises:
        InputError: not one nap began after all slots were taken.
    """
    ordered = sorted(naps, key=lambda nap: nap.begin)
    begun = ordered[slots:]
    if not begun:
        raise InputError(f"{len(naps)} trainings on {slots} slots show no overhead; take more than {slots}")
    opened, closed = ordered[slots - 1].begin, ordered[-1].begin
    slept = sum(max(0.0, min(nap.begin + nap.seconds, closed) - max(nap.begin, opened)) for nap in ordered)
    seconds = ((closed - opened) * slots - slept) / len(begun)
    return Overhead(seconds, seconds / fmean(nap.seconds for nap in ordered))
