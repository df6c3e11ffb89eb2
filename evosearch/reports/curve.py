"""The evolution curve: best and mean fitness by generation (EAVL-COVID, study 4)."""

from collections.abc import Sequence
from pathlib import Path

from evosearch.evaluation import Measure
from evosearch.permissions import make_folder, new_file
from evosearch.printable import printable
from evosearch.reports.words import MEASURES
from evosearch.storage import GenerationRow


def draw_evolution(
    name: str, generations: Sequence[GenerationRow], file: Path, measure: Measure = "accuracy"
) -> None:
    """Draw the curve of a search that goes by `measure` to `file`, a PNG of 1200 x 720 pixels; the mean has a band of one
    deviation.

    Failed members have no fitness and stand in neither curve.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only this picture needs
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - likewise

    rows = [row for row in generations if row.best is not None and row.mean is not None]
    x = [row.generation for row in rows]
    mean = [row.mean or 0.0 for row in rows]
    spread = [row.deviation or 0.0 for row in rows]
    figure = Figure(figsize=(10, 6), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.fill_between(
        x,
        [m - s for m, s in zip(mean, spread, strict=True)],
        [min(1.0, m + s) for m, s in zip(mean, spread, strict=True)],
        color="#4C78A8",
        alpha=0.18,
        linewidth=0,
        label="mean ± deviation",
    )
    axes.plot(x, mean, color="#4C78A8", marker="o", label="mean of the population")
    axes.plot(
        x, [row.best or 0.0 for row in rows], color="#E45756", marker="o", label="best of the population"
    )
    if rows:
        axes.annotate(
            f"{rows[-1].best:.4f}",
            (x[-1], rows[-1].best or 0.0),
            xytext=(0, 9),
            textcoords="offset points",
            ha="right",
            color="#E45756",
        )
    axes.set(xlabel="generation", ylabel=f"validation {MEASURES[measure]}")
    axes.set_title(f"Evolution of {printable(name)}", parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    make_folder(file.parent)
    unfinished = file.with_suffix(".part")  # a picture that is there is whole
    new_file(unfinished)
    figure.savefig(unfinished, format="png")
    unfinished.replace(file)
