"""Search strategies on a table of what every cell reaches: no training, many repeats, and a judge that no search has seen.

Each contender is run once per data set and repeat, for as many evaluations as the largest budget; a smaller budget is read off
the same run. After a budget it stands by the fittest cell that it has asked for, of equal ones by the first.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from evosearch.bench.cell_search import CONTENDERS, OURS
from evosearch.bench.cells import DATA_SETS, FITNESS, JUDGE, Cell, Landscape, read_table
from evosearch.errors import InputError
from evosearch.studies.intervals import LEVEL

MOST_REPEATS = 10_000

Regrets: TypeAlias = npt.NDArray[np.float64]
"""(repeats, budgets, 2): in percentage points, in the fitness and in the judge."""


@dataclass(frozen=True)
class Effort:
    """How much is measured, a minute as it is. `budgets`: evaluations, ascending. `seed`: all chance comes from it."""

    repeats: int = 300
    budgets: tuple[int, ...] = (50, 200, 810)
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.repeats <= MOST_REPEATS:
            raise InputError(f"--repeats {self.repeats}: it must be from 2 to {MOST_REPEATS:,}")


@dataclass(frozen=True, eq=False)
class Compared:
    """What came of all contenders on one data set."""

    name: str
    bounds: tuple[float, ...]
    """As the landscape's."""
    regrets: Mapping[str, Regrets]
    """By contender."""

    def less_ours(self) -> Mapping[str, Regrets]:
        """Of the others, less that of ours in the same repeat: above 0 where ours is better."""
        return {name: one - self.regrets[OURS] for name, one in self.regrets.items() if name != OURS}


@dataclass(frozen=True, eq=False)
class Report:
    """What a run came to."""

    effort: Effort
    digest: str
    """sha256 of the table's file."""
    operations: tuple[str, ...]
    cells: int
    data_sets: tuple[Compared, ...]

    def to_json(self) -> dict[str, Any]:
        """One document; `docs/benchmarks.md` has its form."""
        return {
            "evosearch": version("evosearch"),
            "table": {"sha256": self.digest, "cells": self.cells, "operations": list(self.operations)},
            "repeats": self.effort.repeats,
            "seed": self.effort.seed,
            "budgets": list(self.effort.budgets),
            "data_sets": {
                one.name: {
                    "fitness": f"{DATA_SETS[one.name]}{FITNESS}",
                    "judge": f"{DATA_SETS[one.name]}{JUDGE}",
                    "fittest": {"judge": list(one.bounds)},
                    "contenders": _documents(one.regrets),
                    f"less {OURS}": _documents(one.less_ours()),
                }
                for one in self.data_sets
            },
        }

    def to_markdown(self) -> str:
        """Two tables, and above them of what."""
        line = f"evosearch {version('evosearch')}, {self.cells:,} cells, {self.effort.repeats} repeats, seed {self.effort.seed}"
        regrets, differences = self._head(), self._head()
        for one in self.data_sets:
            regrets += [_row(one.name, name, _cells(found, "")) for name, found in one.regrets.items()]
            regrets.append(_row(one.name, "the fitness's own best", self._bound(one.bounds)))
            differences += [
                _row(one.name, name, _cells(found, "+")) for name, found in one.less_ours().items()
            ]
        told = f"The same less that of {OURS} in the same repeat; above 0 {OURS} is better:"
        return "\n".join((line, "", *regrets, "", told, "", *differences))

    def _head(self) -> list[str]:
        columns = [f"{kind}, {budget}" for kind in ("fitness", "judge") for budget in self.effort.budgets]
        return [_row("data set", "contender", columns), "|---" * (2 + len(columns)) + "|"]

    def _bound(self, bounds: tuple[float, ...]) -> list[str]:
        """The same at every budget."""
        text = f"{np.mean(bounds):.2f}"
        if len(bounds) > 1:
            text += f" ({len(bounds)} cells: {bounds[0]:.2f} to {bounds[-1]:.2f})"
        budgets = len(self.effort.budgets)
        return ["0.00"] * budgets + [text] * budgets


def measure_strategies(table: Path, effort: Effort, tell: Callable[[str], None]) -> Report:
    """Run every contender; `tell` is told how far that is.

    Raises:
        InputError: the table is none, or has fewer cells than there are evaluations.
    """
    landscapes = read_table(table)
    first = landscapes[0]
    if effort.budgets[-1] > len(first.fitness):
        raise InputError(
            f"--budgets {effort.budgets[-1]}: --table {table} has {len(first.fitness):,} cells; ask for no more"
        )
    shape = (effort.repeats, len(effort.budgets), 2)
    found = {one.name: {name: np.zeros(shape) for name in CONTENDERS} for one in landscapes}
    for repeat in range(effort.repeats):
        if repeat % 50 == 0:
            tell(f"repeat {repeat + 1} of {effort.repeats}")
        seed = effort.seed * MOST_REPEATS + repeat
        for landscape in landscapes:
            for name, contender in CONTENDERS.items():
                asked = contender(landscape, effort.budgets[-1], seed)
                found[landscape.name][name][repeat] = regrets_of(asked, landscape, effort.budgets)
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    compared = tuple(Compared(one.name, one.bounds, found[one.name]) for one in landscapes)
    return Report(effort, digest, first.operations, len(first.fitness), compared)


def regrets_of(asked: Sequence[Cell], landscape: Landscape, budgets: Sequence[int]) -> Regrets:
    """(budgets, 2): the regrets of the fittest among the first so many of `asked`, of equal ones of the first."""
    return np.array(
        [landscape.regrets(max(asked[:budget], key=landscape.fitness.__getitem__)) for budget in budgets]
    )


def mean_and_half(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Over the repeats (the first axis): the mean, and half of its 95 % interval by Student's t."""
    from scipy.stats import t  # noqa: PLC0415 - most of a second that the commands beside it do not need

    count = len(values)
    half = t.ppf((1 + LEVEL) / 2, count - 1) * values.std(axis=0, ddof=1) / np.sqrt(count)
    return values.mean(axis=0), half


def _documents(found: Mapping[str, Regrets]) -> dict[str, Any]:
    documents = {}
    for name, regrets in found.items():
        mean, half = mean_and_half(regrets)
        documents[name] = {
            kind: {
                "mean": mean[:, place].tolist(),
                "low": (mean - half)[:, place].tolist(),
                "high": (mean + half)[:, place].tolist(),
            }
            for place, kind in enumerate(("fitness", "judge"))
        }
    return documents


def _cells(regrets: Regrets, sign: str) -> list[str]:
    """First the fitness at each budget, then the judge."""
    pairs = zip(*(one.T.ravel() for one in mean_and_half(regrets)), strict=True)
    return [f"{mean:{sign}z.2f} ± {half:.2f}" for mean, half in pairs]


def _row(data_set: str, contender: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join((data_set, contender, *cells))} |"
