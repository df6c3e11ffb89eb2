"""A thousand GPUs, which nobody has at hand: what the same queue code does there, by simulation."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from evosearch.bench.busy import OURS, bound, seeds
from evosearch.bench.durations import SMALL_IMAGES, Durations
from evosearch.bench.simulation import Cluster, Run, simulate
from evosearch.bench.table import Measure


@dataclass(frozen=True)
class Scale:
    """What is simulated; the unit of time is one mean training.

    `life` and `repair` are a day and ten minutes where a training takes five minutes.
    """

    nodes: int = 125
    per_node: int = 8
    searches: int = 40
    generations: int = 4
    life: float = 288.0
    repair: float = 2.0

    @property
    def slots(self) -> int:
        """GPUs."""
        return self.nodes * self.per_node


def measure_scale(scale: Scale) -> list[Measure]:
    """Busy share with and without lost nodes, and how many evaluations a second the driver can hand out."""
    steady = Cluster(scale.nodes, scale.per_node)
    failing = replace(steady, life=scale.life, repair=scale.repair)
    return [*_measures(scale, steady), *_measures(scale, failing)]


def _measures(scale: Scale, cluster: Cluster) -> Iterator[Measure]:
    plans = seeds(scale.searches, scale.generations)
    durations = Durations.of(plans[0], 1.0, SMALL_IMAGES)
    run = simulate(plans, cluster, durations.seconds)
    name = f"{scale.slots:,} GPUs, {scale.searches} seeds of {scale.generations} generations"
    if cluster.life is None:
        yield Measure(
            f"slots busy, simulated: {name}",
            OURS,
            (run.busy_percent,),
            "%",
            note=f"no order exceeds {_bound(run):.3g} %",
        )
        per = run.driver_milliseconds
        yield Measure(f"driver without its journal, per evaluation: {name}", OURS, (per,), "ms")
        yield Measure(
            f"evaluations that it can hand out, its journal not counted: {name}", OURS, (1e3 / per,), "per s"
        )
        return
    note = f"{run.lost} attempts lost with their nodes and made again, {100 * run.wasted / (run.busy + run.wasted):.2g} % of the work"
    yield Measure(f"slots busy, nodes lost, simulated: {name}", OURS, (run.busy_percent,), "%", note=note)


def _bound(run: Run) -> float:
    return 100 * bound(run.trained, run.born, run.slots)
