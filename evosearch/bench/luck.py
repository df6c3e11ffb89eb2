"""What a second look is worth: our evolution on a table of cells whose fitness is drawn with noise, once, with repeats, and with contenders
for the final step.

A search believes what it drew; what its winner is worth is known from the table. All ways of a repeat see the same draws as far as
they ask for the same trainings, and begin with the same cells.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from evosearch.bench.cell_search import CellEvolution
from evosearch.bench.cells import Cell, Landscape, read_table
from evosearch.bench.strategies import MOST_REPEATS, Effort, Regrets, mean_and_half
from evosearch.blueprint import ImageShape, Problem
from evosearch.errors import InputError
from evosearch.evaluation import Success, TrainingSettings, Trial
from evosearch.genome import SearchSpace
from evosearch.search import EavlSettings, SearchContext

GENERATIONS = 5
"""Of each search, of the paper's population."""

MOST_NOISE = 20.0
"""Percentage points; beyond this nothing but noise is searched."""

TRAININGS = 3
"""Fresh ones of each contender."""


@dataclass(frozen=True)
class Way:
    """How a search and its end look a second time."""

    repeats: int = 0
    """As `strategy.repeats`."""
    contenders: int = 1
    """As `final.contenders`."""

    @property
    def extra(self) -> int:
        """Trainings on top of the search's."""
        return self.contenders * TRAININGS if self.contenders > 1 else 0


ONCE = "once"
WAYS: Mapping[str, Way] = {
    ONCE: Way(),
    "2 repeats": Way(repeats=2),
    "5 repeats": Way(repeats=5),
    "10 repeats": Way(repeats=10),
    "3 contenders": Way(contenders=3),
    "5 contenders": Way(contenders=5),
}
"""All there are, by the names that the table gives them; the first is what the others are held against."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What came of all ways on one data set with one noise."""

    data_set: str
    noise: float
    """Standard deviation of a draw, in percentage points."""
    found: Mapping[str, Regrets]
    """By way (repeats, 1, 3): regret in the fitness and in the judge, and how much too high the winner was believed."""

    def less_once(self, name: str) -> Regrets:
        """A way less a search that looks once, in the same repeat: below 0 where it is better."""
        return self.found[name] - self.found[ONCE]


@dataclass(frozen=True, eq=False)
class Report:
    """What a run came to."""

    effort: Effort
    evaluations: int
    """Of each search."""
    seen: tuple[Seen, ...]

    def to_json(self) -> dict[str, Any]:
        """One document; `docs/benchmarks.md` has its form."""
        return {
            "evosearch": version("evosearch"),
            "repeats": self.effort.repeats,
            "seed": self.effort.seed,
            "evaluations": self.evaluations,
            "seen": [
                {
                    "data_set": one.data_set,
                    "noise": one.noise,
                    "ways": {
                        name: {
                            "extra": WAYS[name].extra,
                            **_figures(one.found[name]),
                            f"less {ONCE}": _figures(one.less_once(name)),
                        }
                        for name in one.found
                    },
                }
                for one in self.seen
            ],
        }

    def to_markdown(self) -> str:
        """A table, a way a row."""
        head = ("data set", "noise", "looks", "more trainings", *_HEADINGS, f"judge less {ONCE}")
        rows = [head, ("---",) * len(head)]
        for one in self.seen:
            for name, found in one.found.items():
                mean, _ = mean_and_half(found)
                less, half = mean_and_half(one.less_once(name))
                against = "" if name == ONCE else f"{less[0, 1]:+z.2f} ± {half[0, 1]:.2f}"
                figures = (f"{mean[0, 0]:.2f}", f"{mean[0, 1]:.2f}", f"{mean[0, 2]:+z.2f}")
                rows.append((one.data_set, f"{one.noise:g}", name, str(WAYS[name].extra), *figures, against))
        line = (
            f"evosearch {version('evosearch')}, searches of {self.evaluations} evaluations, {self.effort.repeats} repeats, "
            f"seed {self.effort.seed}"
        )
        return "\n".join((line, "", *(f"| {' | '.join(row)} |" for row in rows)))


_HEADINGS = ("regret in the fitness", "in the judge", "believed too high by")


def measure_luck(table: Path, effort: Effort, noises: Sequence[float], tell: Callable[[str], None]) -> Report:
    """Search every data set with every noise in every way; `tell` is told how far that is.

    Raises:
        InputError: the table is none, or a noise is.
    """
    for noise in noises:
        if not 0 < noise <= MOST_NOISE:
            raise InputError(
                f"--noise {noise:g}: it must be above 0 and at most {MOST_NOISE:g} percentage points"
            )
    settings = EavlSettings(generations=GENERATIONS)
    seen = []
    for landscape in read_table(table):
        for noise in noises:
            tell(f"{landscape.name} with noise {noise:g}")
            found = {name: np.zeros((effort.repeats, 1, 3)) for name in WAYS}
            for repeat in range(effort.repeats):
                seed = effort.seed * MOST_REPEATS + repeat
                for name, way in WAYS.items():
                    found[name][repeat, 0] = looked(landscape, settings, way, noise, seed)
            seen.append(Seen(landscape.name, noise, found))
    return Report(effort, settings.evaluations_in_all, tuple(seen))


def looked(
    landscape: Landscape, settings: EavlSettings, way: Way, noise: float, seed: int
) -> tuple[float, float, float]:
    """A search with this noise: the regret of its winner in the fitness and in the judge, and how much too high it was believed."""
    context = SearchContext(SearchSpace(), Problem(ImageShape(3, 32, 32), 2), TrainingSettings(), seed)
    strategy = CellEvolution(replace(settings, repeats=way.repeats), context, landscape.operations)
    state, drawn = strategy.start(), dict[Cell, float]()

    def train(trial: Trial) -> Success:
        cell = _cell(trial)
        fitness = draw(landscape, cell, noise, seed, trial.repeat)
        drawn.setdefault(cell, fitness)
        return Success(min(1.0, max(0.0, fitness / 100)), 0.0)

    while not strategy.finished(state):
        state = strategy.tell(state, {trial.id: train(trial) for trial in strategy.ask(state)})
    best = strategy.progress(state).best
    assert best is not None  # noqa: S101 - nothing fails
    winner, believed = _cell(Trial.of(best[0])), 100 * best[1]
    if way.contenders > 1:
        fittest = sorted(drawn, key=lambda cell: -drawn[cell])[: way.contenders]
        fresh = {
            cell: fmean(draw(landscape, cell, noise, seed, MOST_REPEATS + n) for n in range(TRAININGS))
            for cell in fittest
        }
        winner = max(fittest, key=fresh.__getitem__)
        believed = fresh[winner]
    return (*landscape.regrets(winner), believed - landscape.fitness[winner])


def draw(landscape: Landscape, cell: Cell, noise: float, seed: int, repeat: int) -> float:
    """What one training of a cell comes to, in percent; equal arguments, equal draws."""
    rng = np.random.default_rng([seed, zlib.crc32(str(cell).encode()), repeat])
    return float(landscape.fitness[cell] + noise * rng.standard_normal())


def _cell(trial: Trial) -> Cell:
    cell: Any = trial.candidate.subject
    found: Cell = cell
    return found


def _figures(found: Regrets) -> dict[str, Any]:
    mean, half = mean_and_half(found)
    names = ("fitness", "judge", "believed")
    return {
        name: {"mean": mean[0, at], "low": mean[0, at] - half[0, at], "high": mean[0, at] + half[0, at]}
        for at, name in enumerate(names)
    }
