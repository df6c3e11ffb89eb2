"""What a second look is worth: our evolution where a fitness is drawn with noise, once, with repeats, and with contenders for the final
step: on a table of cells, and on chromosomes whose fitness is made by a formula.

A search believes what it drew; what its winner is worth is known. All ways of a repeat see the same draws as far as they ask for the
same trainings, and begin with the same networks. Nothing is judged by a draw that a search has seen.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from math import sqrt
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol, cast

import numpy as np

from evosearch.bench.cell_search import CellEvolution
from evosearch.bench.cells import Cell, Landscape, read_table
from evosearch.bench.strategies import MOST_REPEATS, Effort, Regrets, mean_and_half
from evosearch.blueprint import ImageShape, Problem
from evosearch.errors import InputError
from evosearch.evaluation import Subject, Success, TrainingSettings, Trial, evaluation_seed
from evosearch.genome import Network, SearchSpace
from evosearch.search import EavlSettings, EavlStrategy, SearchContext
from evosearch.testing import formula_fitness, formula_worth

SEARCHED = EavlSettings(generations=5)
"""Each search, of the paper's population."""

MOST_NOISE = 20.0
"""Percentage points; beyond this nothing but noise is searched."""

TRAININGS = 3
"""Fresh ones of each contender."""

FRESH, HELD_OUT = MOST_REPEATS, 2 * MOST_REPEATS
"""The first repeats of contenders' trainings, and of those that judge where there is no table: no search comes near."""

JUDGES = 100
"""Trainings that judge a winner there."""

SYNTHETIC = "synthetic"
"""What the tables call chromosomes whose fitness is made by a formula."""


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


class Ground(Protocol):
    """Where is searched: what is there, and what it is worth, in percent."""

    @property
    def name(self) -> str:
        """In tables and documents."""
        ...

    @property
    def noise(self) -> float:
        """Standard deviation of a draw, in percentage points."""
        ...

    def strategy(self, settings: EavlSettings, seed: int) -> EavlStrategy:
        """Our evolution there."""
        ...

    def draw(self, subject: Subject, seed: int, repeat: int) -> float:
        """What one training comes to; equal arguments, equal draws."""
        ...

    def worth(self, subject: Subject) -> float:
        """The mean of all draws."""
        ...

    def regrets(self, subject: Subject, seed: int) -> tuple[float, float]:
        """By how many points it is below the best there is, in the fitness and in the judge."""
        ...


@dataclass(frozen=True, eq=False)
class Table:
    """Cells; a draw is normal around what the table has."""

    landscape: Landscape
    noise: float

    @property
    def name(self) -> str:
        """The data set's."""
        return self.landscape.name

    def strategy(self, settings: EavlSettings, seed: int) -> EavlStrategy:
        """As `CellEvolution`."""
        return CellEvolution(settings, _context(seed), self.landscape.operations)

    def draw(self, subject: Subject, seed: int, repeat: int) -> float:
        """As the function."""
        return draw(self.landscape, cast(Cell, subject), self.noise, seed, repeat)

    def worth(self, subject: Subject) -> float:
        """The fitness."""
        return self.landscape.fitness[cast(Cell, subject)]

    def regrets(self, subject: Subject, seed: int) -> tuple[float, float]:  # noqa: ARG002 - the table draws no judge
        """As the landscape's; the judge is another figure, of trainings that are not drawn."""
        return self.landscape.regrets(cast(Cell, subject))


@dataclass(frozen=True)
class Formula:
    """Chromosomes of the paper's space, bred and balanced as in every search; what one comes to is `formula_fitness` by network and
    seed: as deep as can be is best, and the noise is as much as two genes.
    """

    name: str = SYNTHETIC
    noise: float = 25 / sqrt(12)
    best: float = 87.5

    def strategy(self, settings: EavlSettings, seed: int) -> EavlStrategy:
        """Ours itself."""
        return settings.make(_context(seed))

    def draw(self, subject: Subject, seed: int, repeat: int) -> float:
        """By the seed that this training would have in a search."""
        return 100 * formula_fitness(cast(Network, subject), evaluation_seed(seed, subject.key, repeat))

    def worth(self, subject: Subject) -> float:
        """Over all seeds."""
        return 100 * formula_worth(cast(Network, subject))

    def regrets(self, subject: Subject, seed: int) -> tuple[float, float]:
        """In what it is worth, and by trainings from held-out seeds."""
        judged = fmean(self.draw(subject, seed, HELD_OUT + number) for number in range(JUDGES))
        return self.best - self.worth(subject), self.best - judged


def _context(seed: int) -> SearchContext:
    return SearchContext(SearchSpace(), Problem(ImageShape(3, 32, 32), 2), TrainingSettings(), seed)


@dataclass(frozen=True, eq=False)
class Seen:
    """What came of all ways on one ground."""

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
                rows.append(
                    (one.data_set, f"{one.noise:.3g}", name, str(WAYS[name].extra), *figures, against)
                )
        line = (
            f"evosearch {version('evosearch')}, searches of {self.evaluations} evaluations, {self.effort.repeats} repeats, "
            f"seed {self.effort.seed}"
        )
        return "\n".join((line, "", *(f"| {' | '.join(row)} |" for row in rows)))


_HEADINGS = ("regret in the fitness", "in the judge", "believed too high by")


def measure_luck(table: Path, effort: Effort, noises: Sequence[float], tell: Callable[[str], None]) -> Report:
    """Search every data set with every noise in every way, and by the formula; `tell` is told how far that is.

    Raises:
        InputError: the table is none, or a noise is.
    """
    for noise in noises:
        if not 0 < noise <= MOST_NOISE:
            raise InputError(
                f"--noise {noise:g}: it must be above 0 and at most {MOST_NOISE:g} percentage points"
            )
    grounds: list[Ground] = [Table(one, noise) for one in read_table(table) for noise in noises]
    seen = []
    for ground in (*grounds, Formula()):
        tell(f"{ground.name} with noise {ground.noise:.3g}")
        found = {name: np.zeros((effort.repeats, 1, 3)) for name in WAYS}
        for repeat in range(effort.repeats):
            seed = effort.seed * MOST_REPEATS + repeat
            searches = {
                repeats: searched(ground, SEARCHED, repeats, seed)
                for repeats in {way.repeats for way in WAYS.values()}
            }
            for name, way in WAYS.items():
                found[name][repeat, 0] = looked(ground, searches[way.repeats], way, seed)
        seen.append(Seen(ground.name, ground.noise, found))
    return Report(effort, SEARCHED.evaluations_in_all, tuple(seen))


@dataclass(frozen=True)
class Searched:
    """What a search came to: its winner, what it believes of it in percent, and what the first training of each network came to."""

    winner: Subject
    believed: float
    drawn: Mapping[Subject, float]


def searched(ground: Ground, settings: EavlSettings, repeats: int, seed: int) -> Searched:
    """A search with so many repeats."""
    strategy = ground.strategy(replace(settings, repeats=repeats), seed)
    state, drawn = strategy.start(), dict[Subject, float]()

    def train(trial: Trial) -> Success:
        subject = trial.candidate.subject
        fitness = ground.draw(subject, seed, trial.repeat)
        drawn.setdefault(subject, fitness)
        return Success(min(1.0, max(0.0, fitness / 100)), 0.0)

    while not strategy.finished(state):
        state = strategy.tell(state, {trial.id: train(trial) for trial in strategy.ask(state)})
    best = strategy.progress(state).best
    assert best is not None  # noqa: S101 - nothing fails
    return Searched(best[0].subject, 100 * best[1], drawn)


def looked(ground: Ground, search: Searched, way: Way, seed: int) -> tuple[float, float, float]:
    """How a search ends: the regret of its winner in the fitness and in the judge, and how much too high it was believed."""
    winner, believed = search.winner, search.believed
    if way.contenders > 1:
        fittest = sorted(search.drawn, key=lambda one: -search.drawn[one])[: way.contenders]
        fresh = {
            one: fmean(ground.draw(one, seed, FRESH + number) for number in range(TRAININGS))
            for one in fittest
        }
        winner = max(fittest, key=fresh.__getitem__)
        believed = fresh[winner]
    return (*ground.regrets(winner, seed), believed - ground.worth(winner))


def draw(landscape: Landscape, cell: Cell, noise: float, seed: int, repeat: int) -> float:
    """What one training of a cell comes to, in percent; equal arguments, equal draws."""
    rng = np.random.default_rng([seed, zlib.crc32(str(cell).encode()), repeat])
    return float(landscape.fitness[cell] + noise * rng.standard_normal())


def _figures(found: Regrets) -> dict[str, Any]:
    mean, half = mean_and_half(found)
    names = ("fitness", "judge", "believed")
    return {
        name: {"mean": mean[0, at], "low": mean[0, at] - half[0, at], "high": mean[0, at] + half[0, at]}
        for at, name in enumerate(names)
    }
