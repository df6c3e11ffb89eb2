"""A picture of a study: for each arm its accuracy with the interval, and its difference to the reference."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from evosearch.printable import printable
from evosearch.reports.curve import save_figure
from evosearch.studies.comparison import Verdict
from evosearch.studies.comparison_table import ComparisonRow, ComparisonTable
from evosearch.studies.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REFERENCE, UNPAIRED, SEED = "#222222", "#8C8C8C", "#B8B8B8"
SHORTCUT, PIXELS = "#F58518", "#B279A2"
COLOURS: Mapping[Verdict, str] = {"better": "#54A24B", "worse": "#E45756", "no difference": "#4C78A8"}
"""Of an arm, by how it compares with the reference."""

ONE_LINE = 1 / 200
"""Lines nearer to each other than this share of the axis would hide one another: three pixels."""
MOST_LETTERS = 28
"""Of an arm's name; a longer one loses its middle."""


def draw_comparison(table: ComparisonTable, file: Path) -> None:
    """Draw `comparison_figure` to `file`, a PNG 1320 pixels wide, the higher the more arms there are."""
    save_figure(comparison_figure(table), file)


def comparison_figure(table: ComparisonTable) -> "Figure":
    """Left every arm's accuracy on the test images, a dot for the mean, small ones for each seed, with its interval and the
    figures of what never looked at what an image shows; right, where anything is compared, each one's difference to the reference.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only pictures need
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - likewise

    figure = Figure(figsize=(11, 2.1 + 0.42 * len(table.rows)), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    right.set_visible(any(row.figures.comparison for row in table.rows))
    for place, row in enumerate(table.rows):
        _draw_accuracy(left, place, row, _colour(row, table.references[row.figures.name]))
        _draw_difference(right, place, row, several=table.reference is None)
    _draw_constants(left, table)
    right.axvline(0, color=REFERENCE, linewidth=1, linestyle=":")
    left.set_yticks(
        range(len(table.rows)), [_short(row.figures.name) for row in table.rows], parse_math=False
    )
    left.set_ylim(len(table.rows) - 0.5, -0.5)
    left.set_xlabel(f"accuracy on {table.images:,} test images")
    other = "the arm that each is held against" if table.reference is None else _short(table.reference)
    right.set_xlabel(
        f"difference to {other}" if table.compares else "nothing to compare with", parse_math=False
    )
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(6))  # more of them touch each other
        axes.grid(axis="x", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{printable(table.facts.name)}: means over the seeds, 95 % intervals", parse_math=False)
    _add_legend(figure, table)
    return figure


def _colour(row: ComparisonRow, reference: str) -> str:
    found = row.figures.comparison
    if found is not None:
        return COLOURS[found.verdict]
    return REFERENCE if row.figures.name == reference else UNPAIRED


def _draw_accuracy(axes: "Axes", place: int, row: ComparisonRow, colour: str) -> None:
    figures = row.figures
    axes.scatter(figures.accuracies, [place] * len(figures.accuracies), s=14, color=SEED, zorder=2)
    _draw_point(axes, place, figures.accuracy, figures.interval, colour)


def _draw_difference(axes: "Axes", place: int, row: ComparisonRow, *, several: bool) -> None:
    """`several`: arms are held against different ones, so that each names its own."""
    found = row.figures.comparison
    if found is None:
        return
    _draw_point(axes, place, found.difference, found.interval, COLOURS[found.verdict])
    if several:
        axes.text(
            1,
            place - 0.15,
            f"to {_short(found.reference)}",
            transform=axes.get_yaxis_transform(),
            ha="right",
            fontsize=7,
            color=UNPAIRED,
            parse_math=False,
        )


def _draw_point(axes: "Axes", place: int, value: float, interval: Interval, colour: str) -> None:
    axes.plot(interval, (place, place), color=colour, linewidth=2, zorder=3)
    axes.plot(value, place, "o", color=colour, markersize=6, zorder=4)


def _draw_constants(axes: "Axes", table: ComparisonTable) -> None:
    """A dashed line for each; those that would hide one another are one, with all their names and the last one's colour."""
    facts = table.facts
    every = [
        ("largest class always", table.constant, SEED),
        ("file headers alone", facts.shortcut, SHORTCUT),
        ("ten pixel statistics alone", facts.pixels, PIXELS),
    ]
    known = [(name, value, colour) for name, value, colour in every if value is not None]
    ends = [*axes.get_xlim(), *(value for _, value, _ in known)]
    near = ONE_LINE * (max(ends) - min(ends))
    while known:
        _, place, _ = known[0]
        together = [one for one in known if abs(one[1] - place) <= near]
        known = [one for one in known if one not in together]
        names = ",\n".join(name for name, _, _ in together)
        axes.axvline(place, color=together[-1][2], linewidth=1.2, linestyle="--", label=names)


def _add_legend(figure: "Figure", table: ComparisonTable) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415 - likewise

    found = {_colour(row, table.references[row.figures.name]) for row in table.rows}
    words = {
        REFERENCE: "the reference",
        COLOURS["better"]: "better",
        COLOURS["worse"]: "worse",
        COLOURS["no difference"]: "no difference beyond chance",
        UNPAIRED: "not compared",
    }
    points = [
        Line2D([], [], color=colour, marker="o", linewidth=2, label=word)
        for colour, word in words.items()
        if colour in found
    ]
    seeds = [Line2D([], [], color=SEED, marker="o", markersize=4, linewidth=0, label="each seed")]
    lines, _ = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles=[*points, *seeds, *lines], frameon=False, loc="outside lower center", ncols=5)


def _short(name: str) -> str:
    text = printable(name)
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 10]}…{text[-9:]}"
