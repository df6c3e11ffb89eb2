"""What `bench better` found: each look as a row of a table and as an object, and all of them as a picture."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from evosearch.printable import printable
from evosearch.reports import counted, duration
from evosearch.reports.curve import save_figure
from evosearch.studies import exact_mcnemar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CORES = 2
"""What a minute of a look is a minute of: so many worker-seconds pass in a second."""

LEVEL = 0.01
"""Both tests have to be below."""

INTERVAL = 0.95
"""Of the difference."""

EVOLVED_COLOUR, HAND_MADE_COLOUR, REACHED, OPEN = "#4C78A8", "#F58518", "#54A24B", "#222222"


@dataclass(frozen=True)
class Position:
    """What a side has trained, and the best of it on validation."""

    seconds: float
    """Of workers, in all."""
    trainings: int
    """Those remembered of an equal network included."""
    generations: int
    """A list is one."""
    candidate: int
    """The best's number."""
    network: str
    """Its text."""
    learning_rate: float
    """It was trained with."""


@dataclass(frozen=True)
class Side:
    """One side at a look: where it stands, and what its best came to, trained again from several seeds."""

    position: Position
    """Where it stands."""
    accuracies: tuple[float, ...]
    """On the test images, of each of its networks, at least two, each 0 to 1."""
    aurocs: tuple[float | None, ...]
    """Of the same; None where it is undefined."""
    seconds: float
    """Of workers, for these trainings."""
    failed: int = 0
    """Trainings from further seeds, of which nothing came."""

    @property
    def median(self) -> int:
        """Place of the network of the median accuracy, of an even number the lower one, of equals the first.

        >>> Side(Position(1.0, 1, 1, 0, "C8 |", 1e-3), (0.9, 0.7, 0.8), (None,) * 3, 1.0).median
        2
        """
        return sorted(range(len(self.accuracies)), key=self.accuracies.__getitem__)[
            (len(self.accuracies) - 1) // 2
        ]


@dataclass(frozen=True)
class Compared:
    """The search's networks against the hand-made ones."""

    difference: float
    """Of the mean accuracies; above 0 the search's are better."""
    interval: tuple[float, float]
    """Welch's, at `INTERVAL`."""
    welch: float
    """Two-sided p of Welch's t-test over the seeds."""
    mcnemar: float
    """Two-sided p of McNemar's exact test over the images, of both sides' median networks."""
    only: tuple[int, int]
    """Images that only the search's median network has right, and only the other one."""

    @property
    def is_reached(self) -> bool:
        """Whether the search's are better beyond chance, by both tests."""
        wins, loses = self.only
        return self.difference > 0 and wins > loses and max(self.welch, self.mcnemar) < LEVEL


def compare_sides(evolved: Side, hand_made: Side, pairs: npt.NDArray[np.int64]) -> Compared:
    """Compare two sides. `pairs` (N,): for each test image 1 where only the search's median network is right, -1 where only the other
    one is, 0 where they agree.

    >>> where = Position(1.0, 1, 1, 0, "C8 |", 1e-3)
    >>> one, other = (Side(where, accuracies, (None,) * 3, 1.0) for accuracies in ((0.9, 0.91, 0.92), (0.7, 0.71, 0.72)))
    >>> found = compare_sides(one, other, np.array([1] * 9 + [0]))
    >>> round(found.difference, 3), found.is_reached, round(found.mcnemar, 4)
    (0.2, True, 0.0039)
    """
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW  # noqa: PLC0415 - a second that only looks need

    mine, others = np.array(evolved.accuracies), np.array(hand_made.accuracies)
    difference = float(mine.mean() - others.mean())
    if np.ptp(mine) or np.ptp(others):
        means = CompareMeans(DescrStatsW(mine), DescrStatsW(others))
        welch = float(means.ttest_ind(usevar="unequal")[1])
        low, high = map(float, means.tconfint_diff(alpha=1 - INTERVAL, usevar="unequal"))
    else:  # no t-test is defined of what does not vary
        welch, low, high = 0.0 if difference else 1.0, difference, difference
    only = int((pairs > 0).sum()), int((pairs < 0).sum())
    return Compared(difference, (low, high), welch, exact_mcnemar(pairs), only)


@dataclass(frozen=True)
class Look:
    """Both sides after equal worker-seconds."""

    budget: float
    """Worker-seconds after which it is looked."""
    evolved: Side
    """The search: at the end of the first generation after so many."""
    hand_made: Side
    """The hand-made networks, once they had what the search took."""
    compared: Compared
    """The one against the other."""


@dataclass(frozen=True)
class Log:
    """All looks so far."""

    name: str
    """Of both sides' group."""
    looks: tuple[Look, ...]
    """In order; at the first that is reached it ends."""
    budgets: tuple[float, ...]
    """Of all looks, worker-seconds."""
    hardware: tuple[str, ...]
    """What computed."""
    begun: int
    """Readings of the test split that were begun."""
    unfinished: int
    """Those among them that never ended."""
    epochs: tuple[int, int, int]
    """Of a training; of one in the end; and from how many seeds these are."""
    now: tuple[tuple[str, Sequence[Position]], ...] = ()
    """While it is unfinished, by side where it stands; nothing before anything succeeded."""

    @property
    def state(self) -> Literal["reached", "not reached", "unfinished"]:
        """What the looks say together."""
        if self.looks and self.looks[-1].compared.is_reached:
            return "reached"
        return "not reached" if len(self.looks) == len(self.budgets) else "unfinished"

    def spent(self, count: int) -> tuple[float, int]:
        """Worker-seconds of the final trainings until the look `count`, from 1, and how many networks have read the test split: a best that
        stays the best is not trained again.
        """
        sides = {
            (place, side.position.candidate): side
            for look in self.looks[:count]
            for place, side in enumerate((look.evolved, look.hand_made))
        }
        return sum(one.seconds for one in sides.values()), sum(len(one.accuracies) for one in sides.values())

    @property
    def verdict(self) -> str:
        """In a sentence, with the interval."""
        if not self.looks:
            return "No look yet."
        last, many = self.looks[-1], f"{counted(len(self.looks), 'look')} of {len(self.budgets)}"
        low, high = last.compared.interval
        interval = f"{last.compared.difference:+.4f}, {INTERVAL:.0%} {low:+.4f} to {high:+.4f}"
        seconds = last.evolved.position.seconds
        text, exact = duration(seconds), f"{seconds:,.0f} s"
        searched = f"{text} of workers in the search{'' if text == exact else f' ({exact})'}"
        if self.state == "reached":
            again = self.spent(len(self.looks))[0]
            return (
                f"**Reached** after {searched}, {duration(again)} of final trainings of "
                f"both sides beside it: {interval}, at the last of {many}."
            )
        told = "**Not reached**" if self.state == "not reached" else "Not reached so far"
        return f"{told} in {searched}: {interval}, after {many}."

    def to_json(self) -> dict[str, Any]:
        """One document; `docs/benchmarks.md` has its form."""
        looks = []
        for count, look in enumerate(self.looks, 1):
            again, read = self.spent(count)
            looks.append(
                {
                    **asdict(look),
                    "reached": look.compared.is_reached,
                    "final_seconds": again,
                    "readings": read,
                }
            )
        reached = self.looks[-1].evolved.position.seconds if self.state == "reached" else None
        return {
            "evosearch": version("evosearch"),
            "name": self.name,
            "hardware": list(self.hardware),
            "state": self.state,
            "seconds": reached,
            "budgets": list(self.budgets),
            "looks": looks,
            "readings": {"begun": self.begun, "unfinished": self.unfinished},
            "now": {side: asdict(one[0]) if one else None for side, one in self.now},
        }

    def to_markdown(self) -> str:
        """A table, a look a row, and what it says."""
        hardware = f", {', '.join(self.hardware)}" if self.hardware else ""
        head = (
            f"minutes of {CORES} cores",
            "search",
            "its winner",
            "hand-made",
            "the best of them",
            "accuracy, search",
            "accuracy, hand-made",
            "difference",
            f"{INTERVAL:.0%}",
            "p, Welch",
            "p, McNemar",
            "AUROC, medians",
            "final trainings",
            "readings",
        )
        rows = [_cells(look, *self.spent(count)) for count, look in enumerate(self.looks, 1)]
        lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
        return "\n".join(
            (
                f"evosearch {version('evosearch')}, {printable(self.name)}{hardware}",
                "",
                *((lines[0], "|---" * len(head) + "|", *lines[1:], "") if rows else ()),
                self.verdict,
                "",
                *self._notes,
            )
        )

    @property
    def _notes(self) -> tuple[str, ...]:
        trained, final, seeds = self.epochs
        read = f"{counted(self.begun, 'reading')} of the test split in all, each by another network"
        return (
            f"- trainings of {counted(trained, 'epoch')}, final ones of {counted(final, 'epoch')} from {seeds} fresh seeds; accuracy: mean ± "
            "deviation over these",
            f"- reached: both p below {LEVEL:g}, in the search's favour; each look is tested for itself, so that by chance alone one of "
            f"{len(self.budgets)} would be in at most {min(1.0, len(self.budgets) * LEVEL):.0%} of such logs",
            f"- {read}{f', {self.unfinished} of them never ended' if self.unfinished else ''}",
            *(self._where if self.state == "unfinished" else ()),
        )

    @property
    def _where(self) -> tuple[str, ...]:
        told = [f"{side} at {one[0].seconds:,.0f} s" for side, one in self.now if one]
        due = self.budgets[len(self.looks)]
        return (
            f"- unfinished: {', '.join(told) or 'nothing trained yet'}; the next look is at {due:,.0f} s",
        )


def _cells(look: Look, again: float, read: int) -> tuple[str, ...]:
    found, sides = look.compared, (look.evolved, look.hand_made)
    evolved, hand_made = (one.position for one in sides)
    low, high = found.interval
    return (
        f"{look.budget / 60 / CORES:g}",
        f"{evolved.seconds:,.0f} s, {counted(evolved.generations, 'generation')}, {counted(evolved.trainings, 'training')}",
        _cell(evolved.network),
        f"{hand_made.seconds:,.0f} s, {counted(hand_made.trainings, 'training')}",
        f"{_cell(hand_made.network)} at {hand_made.learning_rate:g}",
        *map(_accuracy, sides),
        f"{found.difference:+.4f}",
        f"{low:+.4f} to {high:+.4f}",
        _p(found.welch),
        f"{_p(found.mcnemar)} ({found.only[0]} to {found.only[1]})",
        " / ".join(_auroc(one.aurocs[one.median]) for one in sides),
        f"{again:,.0f} s",
        str(read),
    )


def _cell(text: str) -> str:
    return printable(text).replace("|", r"\|")


def _accuracy(side: Side) -> str:
    failed = f", {side.failed} failed" if side.failed else ""
    return f"{fmean(side.accuracies):.4f} ± {stdev(side.accuracies):.4f}{failed}"


def _auroc(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _p(value: float) -> str:
    return "below 0.0001" if value < 0.0001 else f"{value:.4f}"


def draw_log(log: Log, file: Path) -> None:
    """Draw `log_figure` to `file`, a PNG of 1080 x 840 pixels."""
    save_figure(log_figure(log), file)


def log_figure(log: Log) -> "Figure":
    """Above the difference of the mean accuracies with its interval, below the accuracies themselves, by the worker-seconds of the search;
    at least one look.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only pictures need

    figure = Figure(figsize=(9, 7), dpi=120, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for look in log.looks:
        place, found = look.evolved.position.seconds, look.compared
        colour = REACHED if found.is_reached else OPEN
        above.plot((place, place), found.interval, color=colour, linewidth=2)
        above.plot(place, found.difference, "o", color=colour, markersize=6)
        above.annotate(
            f"Welch {_p(found.welch)}\nMcNemar {_p(found.mcnemar)}",
            (place, max(found.interval)),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )
    above.axhline(0, color=OPEN, linewidth=1, linestyle=":")
    above.margins(x=0.1, y=0.2)
    above.set_ylabel(f"search less hand-made, {INTERVAL:.0%} interval")
    sides = (
        ("search's winner", EVOLVED_COLOUR, [one.evolved for one in log.looks]),
        ("best hand-made", HAND_MADE_COLOUR, [one.hand_made for one in log.looks]),
    )
    places = [one.evolved.position.seconds for one in log.looks]
    for label, colour, found_sides in sides:
        for place, side in zip(places, found_sides, strict=True):
            below.scatter([place] * len(side.accuracies), side.accuracies, s=12, color=colour, alpha=0.5)
        means = [fmean(side.accuracies) for side in found_sides]
        below.plot(places, means, "o-", color=colour, label=label)
    below.set_ylabel("accuracy on the test images")
    below.set_xlabel("worker-seconds of the search, and as many of the hand-made networks")
    below.set_xscale("log")
    below.set_xticks(places, [f"{one:,.0f}" for one in places])
    below.minorticks_off()
    below.legend(frameon=False)
    for axes in (above, below):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{printable(log.name)}: {log.state}", parse_math=False)
    return figure
