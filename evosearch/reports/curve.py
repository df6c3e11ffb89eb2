"""Pictures of evolution: of one search every candidate by generation, of a group the best of each seed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from evosearch.evaluation import Measure
from evosearch.permissions import whole_file
from evosearch.printable import printable
from evosearch.reports.words import MEASURES
from evosearch.storage import GenerationRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BEST, POPULATION, FAILED, GROUP = "#E45756", "#4C78A8", "#555555", "#222222"
SPREAD = 0.32
"""How far to either side of its generation a candidate's dot may be, so that equal ones do not hide each other."""

MOST_MARKED = 30
"""With more generations than this a line's points are not marked."""

MOST_NAMED = 8
"""More seeds than this have one colour and one line in the legend."""


def draw_evolution(
    name: str,
    generations: Sequence[GenerationRow],
    file: Path,
    measure: Measure = "accuracy",
    *,
    halved: bool = False,
) -> None:
    """Draw `evolution_figure` to `file`, a PNG of 1200 x 720 pixels."""
    save_figure(evolution_figure(name, generations, measure, halved=halved), file)


def draw_group(
    name: str,
    members: Mapping[str, Sequence[GenerationRow]],
    file: Path,
    measure: Measure = "accuracy",
) -> None:
    """Draw `group_figure` to `file`, likewise."""
    save_figure(group_figure(name, members, measure), file)


def evolution_figure(
    name: str, generations: Sequence[GenerationRow], measure: Measure, *, halved: bool = False
) -> "Figure":
    """A search: its candidates as dots, their median with a band that holds the middle half of them, and the best.

    Failed candidates have no fitness: they are crosses below all others, and count in no line. `measure`: what fitness is.
    `halved`: only those count that were trained to their end, and the legend says how many these are.
    """
    axes = _new_axes(f"Evolution of {printable(name)}", generations[-1:], measure)
    rows = [row for row in generations if row.fitness]
    _draw_candidates(
        axes, generations, f"last rung only ({_came_to_the_end(rows)})" if halved else "candidates"
    )
    _draw_middle(axes, rows)
    x, best = [row.generation for row in rows], [max(row.fitness) for row in rows]
    axes.plot(x, best, color=BEST, label="best", **line_style(len(rows)), zorder=4)
    if rows:
        axes.annotate(
            f"{best[-1]:.4f}",
            (x[-1], best[-1]),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            color=BEST,
            zorder=5,
        )
    return with_legend(axes)


def group_figure(name: str, members: Mapping[str, Sequence[GenerationRow]], measure: Measure) -> "Figure":
    """A group: the best of each member by generation, and the median of these over the members that came so far."""
    longest = max(members.values(), key=len, default=())
    axes = _new_axes(f"Evolution of {printable(name)}, {len(members)} searches", longest[-1:], measure)
    bests = {
        member: {row.generation: max(row.fitness) for row in rows if row.fitness}
        for member, rows in members.items()
    }
    named = len(bests) <= MOST_NAMED
    for number, (member, best) in enumerate(bests.items()):
        label = printable(member.rpartition("/")[2]) if named else "best of each" if not number else None
        # matplotlib takes no label that begins with an underscore
        axes.plot(
            list(best),
            list(best.values()),
            color=f"C{number}" if named else POPULATION,
            alpha=0.75 if named else 0.35,
            label=label and label.lstrip("_"),
            **line_style(len(best) if named else MOST_MARKED + 1, 1.4),
        )
    x = sorted({generation for best in bests.values() for generation in best})
    middle = [median(best[at] for best in bests.values() if at in best) for at in x]
    label = f"median of the bests, at last {middle[-1]:.4f}" if middle else "median of the bests"
    axes.plot(x, middle, color=GROUP, label=label, **line_style(len(x), 3.0))
    return with_legend(axes)


def _new_axes(title: str, last: Sequence[GenerationRow], measure: Measure) -> "Axes":
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only this picture needs
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - likewise

    axes = Figure(figsize=(10, 6), dpi=120, layout="constrained").subplots()
    axes.set(xlabel="generation", ylabel=f"validation {MEASURES[measure]}")
    axes.set_title(title, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(-0.6, max((row.generation for row in last), default=0) + 0.6)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _came_to_the_end(rows: Sequence[GenerationRow]) -> str:
    """How many of a generation were trained to their end: `2 of 6`, `2 to 4 of 6`."""
    counts = [len(row.fitness) for row in rows] or [0]
    members = max((len(row.members) for row in rows), default=0)
    least, most = min(counts), max(counts)
    return f"{least if least == most else f'{least} to {most}'} of {members}"


def _draw_candidates(axes: "Axes", rows: Sequence[GenerationRow], label: str) -> None:
    dots = [point for row in rows for point in zip(_beside(row, len(row.fitness)), row.fitness, strict=True)]
    size = 22 if len(dots) < 400 else 7
    if dots:
        x, y = zip(*dots, strict=True)
        axes.scatter(x, y, s=size, color=POPULATION, alpha=0.4, linewidths=0, label=label, zorder=2)
    if crosses := [x for row in rows for x in _beside(row, row.failed)]:
        lowest, highest = (min(y), max(y)) if dots else (0.0, 1.0)
        below = lowest - max(0.08 * (highest - lowest), 0.01)
        failed = f"failed ({len(crosses)}), without fitness"
        axes.scatter(crosses, [below] * len(crosses), s=26, marker="x", color=FAILED, label=failed, zorder=2)


def _beside(row: GenerationRow, count: int) -> list[float]:
    """`count` places beside a generation; scattered, though always the same."""
    shift = np.random.default_rng([row.generation, count]).uniform(-SPREAD, SPREAD, count)
    return [row.generation + float(x) for x in (shift if count > 1 else np.zeros(count))]


def _draw_middle(axes: "Axes", rows: Sequence[GenerationRow]) -> None:
    x = [row.generation for row in rows]
    quarters = [np.quantile(row.fitness, (0.25, 0.5, 0.75)) for row in rows]
    low, middle, high = zip(*quarters, strict=True) if rows else ((), (), ())
    label = "middle half of them"
    if len(rows) == 1:  # a band needs two
        axes.bar(x, [high[0] - low[0]], 0.8, low[0], color=POPULATION, alpha=0.18, linewidth=0, label=label)
    else:
        axes.fill_between(x, low, high, color=POPULATION, alpha=0.18, linewidth=0, label=label)
    axes.plot(x, middle, color=POPULATION, label="median", **line_style(len(rows)), zorder=3)


def line_style(points: int, width: float = 2.0) -> dict[str, Any]:
    """Points are marked as long as they can be told apart."""
    return {"linewidth": width, "marker": "o" if 0 < points <= MOST_MARKED else None, "markersize": 5}


def with_legend(axes: "Axes", columns: int = 5) -> "Figure":
    """The figure of `axes`, with what is labelled there named below it."""
    figure = axes.get_figure(root=True)
    if figure is None:
        raise RuntimeError("axes that belong to no figure")
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=columns)
    return figure


def save_figure(figure: "Figure", file: Path) -> None:
    """As a PNG that is there whole or not at all."""
    with whole_file(file) as unfinished:
        figure.savefig(unfinished, format="png")
