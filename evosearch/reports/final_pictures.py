"""Pictures of a retraining: how its networks learned, and the ROC curves of what they answered to the test images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from evosearch.printable import printable
from evosearch.reports.curve import FAILED, MOST_NAMED, POPULATION, line_style, save_figure, with_legend
from evosearch.storage import EvaluationRow, Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEARNING, ROC = "learning.png", "roc.png"
"""Names of the two pictures in the folder of a retraining."""

MOST_CLASSES = 10
"""Of more classes than this the mean of their ROC curves is drawn."""

_GRID = np.linspace(0, 1, 201)
"""False positive rates at which curves are averaged."""


def draw_learning(name: str, rows: Sequence[EvaluationRow], file: Path) -> None:
    """Draw `learning_figure` to `file`, a PNG of 1200 x 960 pixels."""
    save_figure(learning_figure(name, rows), file)


def draw_roc(
    name: str, readings: Mapping[str, Predictions], classes: Sequence[str], file: Path, positive: int = 1
) -> None:
    """Draw `roc_figure` to `file`, a PNG of 960 x 960 pixels."""
    save_figure(roc_figure(name, readings, classes, positive), file)


def learning_figure(name: str, rows: Sequence[EvaluationRow]) -> "Figure":
    """The trainings of the retraining `name`, as far as they have ended: the loss on the training images by epoch, the loss on
    the validation images where it was measured (dashed, its lowest marked), and the accuracy on the validation images.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only pictures need
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - likewise

    upper, lower = Figure(figsize=(10, 8), dpi=120, layout="constrained").subplots(2, sharex=True)
    upper.set_title(f"Learning curves of {printable(name)}", parse_math=False)
    upper.set(ylabel="loss (cross-entropy)")
    lower.set(xlabel="epoch", ylabel="validation accuracy")
    lower.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _plainly(upper, lower)
    ended = [row for row in rows if row.curve]
    named = len(ended) <= MOST_NAMED
    for place, (row, label) in enumerate(zip(ended, _labels(ended), strict=True)):
        color = f"C{place}" if named else POPULATION
        _draw_training(upper, lower, row, color, label if named else None if place else "each seed")
    told = "solid: training images"
    if any(row.validation_losses for row in ended):
        told += ", dashed: validation images, triangle: their lowest"
    upper.text(0.99, 0.97, told, ha="right", va="top", transform=upper.transAxes, color=FAILED)
    if not any(accuracy is not None for row in ended for _, accuracy in row.curve):
        lower.text(0.5, 0.5, "no image is left to validate with", ha="center", transform=lower.transAxes)
    return with_legend(upper)


def _draw_training(upper: "Axes", lower: "Axes", row: EvaluationRow, color: str, label: str | None) -> None:
    epochs = range(1, len(row.curve) + 1)
    style: dict[str, Any] = {"color": color, **line_style(len(epochs), 1.6)}
    losses, accuracies = zip(*row.curve, strict=True)
    upper.plot(epochs, losses, label=label, **style)
    validation = _known(row.validation_losses)
    if validation:
        upper.plot([*validation], [*validation.values()], linestyle="--", **style)
        lowest = min(validation, key=lambda epoch: validation[epoch])
        upper.plot([lowest], [validation[lowest]], marker="v", color=color, markersize=9)
    accuracy = _known(accuracies)
    lower.plot([*accuracy], [*accuracy.values()], **style)


def _known(figures: Sequence[float | None]) -> dict[int, float]:
    """By epoch, from 1."""
    return {epoch: figure for epoch, figure in enumerate(figures, 1) if figure is not None}


def _labels(rows: Sequence[EvaluationRow]) -> Iterator[str]:
    """What tells trainings of one retraining apart: seeds, and where there are several ways of training, their numbers."""
    several = len({row.candidate for row in rows}) > 1
    return (f"seed {row.repeat}{f' ({row.candidate})' if several else ''}" for row in rows)


@dataclass(frozen=True, eq=False)
class _Curve:
    """A ROC curve: one class against the rest."""

    false: npt.NDArray[np.float64]
    true: npt.NDArray[np.float64]
    area: float

    @classmethod
    def of(cls, is_class: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]) -> "_Curve | None":
        """None where one of the two kinds has no image."""
        from sklearn.metrics import auc, roc_curve  # noqa: PLC0415 - half a second that only pictures need

        if is_class.all() or not is_class.any():
            return None
        false, true, _ = roc_curve(is_class, score)
        return cls(false, true, float(auc(false, true)))

    @classmethod
    def mean(cls, curves: Sequence["_Curve"]) -> "_Curve":
        """By true positive rates at equal false positive rates; the area is the mean of theirs."""
        true = np.mean([np.interp(_GRID, one.false, one.true) for one in curves], axis=0)
        return cls(np.r_[0.0, _GRID], np.r_[0.0, true], float(np.mean([one.area for one in curves])))


def roc_figure(
    name: str, readings: Mapping[str, Predictions], classes: Sequence[str], positive: int = 1
) -> "Figure":
    """The ROC curves of `readings` on the test images, by what tells them apart, with their areas.

    Two classes: a curve for each reading, of the class `positive` against the other. Up to `MOST_CLASSES`: a colour for each class
    against the rest, a line for each reading, and the mean area. More: the mean over the classes, for each reading. A class
    without an image has none.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only pictures need

    axes = Figure(figsize=(8, 8), dpi=120, layout="constrained").subplots()
    axes.set_title(f"ROC of {printable(name)}, {_counted_images(readings)}", parse_math=False)
    of_two = f", positive: {_plain(classes[positive])}" if len(classes) == 2 else ""
    axes.set(
        xlabel=f"false positive rate{of_two}",
        ylabel="true positive rate",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
    )
    axes.set_aspect("equal")
    _plainly(axes)
    axes.plot([0, 1], [0, 1], color="#999999", linestyle=":", linewidth=1)
    by_class = 2 < len(classes) <= MOST_CLASSES
    lines = _by_class(readings, classes) if by_class else _by_reading(readings, classes, positive)
    for place, (label, curves) in enumerate(lines):
        told = f"{label}: AUROC {np.mean([one.area for one in curves]):.4f}"
        for number, one in enumerate(curves):
            axes.plot(
                one.false, one.true, color=f"C{place % 10}", linewidth=1.6, label=None if number else told
            )
    return with_legend(axes, 2)


def _by_reading(
    readings: Mapping[str, Predictions], classes: Sequence[str], positive: int
) -> Iterator[tuple[str, list[_Curve]]]:
    """A curve for each reading: of the positive class of two, else the mean of all."""
    for label, one in readings.items():
        numbers = [positive] if len(classes) == 2 else range(len(classes))
        found = [curve for number in numbers if (curve := _curve_of(one, number))]
        if found:
            yield label, [found[0] if len(classes) == 2 else _Curve.mean(found)]


def _by_class(
    readings: Mapping[str, Predictions], classes: Sequence[str]
) -> Iterator[tuple[str, list[_Curve]]]:
    """The curves of all readings for each class."""
    for number, name in enumerate(classes):
        found = [curve for one in readings.values() if (curve := _curve_of(one, number))]
        if found:
            yield _plain(name), found


def _curve_of(one: Predictions, number: int) -> _Curve | None:
    return _Curve.of(one.labels == number, one.odds(number))


def _counted_images(readings: Mapping[str, Predictions]) -> str:
    images = {len(one.labels) for one in readings.values()}
    networks = f", {len(readings)} networks" if len(readings) > 1 else ""
    return f"{', '.join(map(str, sorted(images)))} test images{networks}"


def _plain(text: str) -> str:
    """For a legend, which takes `$` for mathematics and a leading `_` for nothing."""
    return printable(text).replace("$", r"\$").lstrip("_") or "class"


def _plainly(*several: "Axes") -> None:
    for axes in several:
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
