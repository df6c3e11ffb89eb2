"""The scheduler's benchmark: one run, one table, one document (issue 3)."""

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

from evosearch.bench.busy import GENERATIONS, Crowd, measure_busy_share, measure_crowd
from evosearch.bench.journal import measure_memory
from evosearch.bench.overhead import Track, measure_overhead
from evosearch.bench.recovery import measure_recovery
from evosearch.bench.scale import Scale, measure_scale
from evosearch.bench.table import Measure, measures_markdown


@dataclass(frozen=True)
class Size:
    """How much is measured; the default takes minutes. `evaluations`: of the driver whose memory is watched. `quick`: no
    target can be judged by it.
    """

    track: Track = field(default_factory=Track)
    recovery_rounds: int = 3
    crowds: tuple[Crowd, ...] = (Crowd(8, 1), Crowd(40, 4))
    evaluations: int = 10_000
    generations: int = GENERATIONS
    scale: Scale = field(default_factory=Scale)
    quick: bool = False


QUICK = Size(
    Track(slots=(2,), rounds=1, mean=0.2, waves=3),
    recovery_rounds=1,
    crowds=(Crowd(2, 2, generations=2, mean=0.05),),
    evaluations=600,
    generations=2,
    scale=Scale(nodes=5, searches=2, generations=2, life=30.0),
    quick=True,
)
"""Everything once and small, within a minute."""


@dataclass(frozen=True)
class Report:
    """What a run measured, and where."""

    measures: tuple[Measure, ...]
    quick: bool = False

    def to_json(self) -> dict[str, Any]:
        """One document."""
        return {**_here(), "quick": self.quick, "measures": [measure.to_json() for measure in self.measures]}

    def to_markdown(self) -> str:
        """The table, and above it where it was made."""
        here = _here()
        line = f"evosearch {here['evosearch']}, Ray {here['ray']}, Python {here['python']}, {here['cores']} cores"
        line += " (a quick run: it judges no target)" if self.quick else ""
        return f"{line}\n\n{measures_markdown(self.measures)}"


def measure_scheduler(size: Size, tell: Callable[[str], None]) -> Report:
    """Measure all; `tell` is told on the way what is being done.

    Raises:
        CannotRunError: this machine cannot hold the workers.
    """
    measures = measure_overhead(size.track, tell)
    tell("killed workers")
    measures += measure_recovery(size.recovery_rounds)
    for crowd in size.crowds:
        tell(f"busy slots, {crowd.what}")
        measures.append(measure_crowd(crowd))
    tell("busy slots, simulated")
    measures += measure_busy_share(size.generations)
    tell(f"{size.scale.slots:,} GPUs, simulated")
    measures += measure_scale(size.scale)
    tell(f"a driver's memory over {size.evaluations:,} evaluations")
    measures += measure_memory(size.evaluations)
    if size.quick:
        measures = [replace(measure, at_most=None, at_least=None) for measure in measures]
    return Report(tuple(measures), size.quick)


def _here() -> dict[str, Any]:
    return {
        "evosearch": version("evosearch"),
        "ray": version("ray"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
