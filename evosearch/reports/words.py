"""A network and a span of time in words for a person."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import assert_never

from rich.table import Table
from rich.text import Text

from evosearch.evaluation import Measure
from evosearch.genome import Chromosome, Conv, Dense, HeadGene, Pool, TailGene
from evosearch.printable import printable
from evosearch.storage import SearchRow


def describe(chromosome: Chromosome, classes: int) -> str:
    """The network in one sentence, runs of equal blocks counted.

    For instance "a 3x3 convolution to 64 channels with batch norm, a 2x2 max pooling, a fully connected layer
    of 100, and an output layer for 10 classes".
    """
    genes: tuple[HeadGene | TailGene, ...] = (*chromosome.head, *chromosome.tail)
    parts = [_block(gene, len(list(run))) for gene, run in groupby(genes)]
    return f"{', '.join(parts)}, and an output layer for {classes} classes"


def _block(gene: HeadGene | TailGene, count: int) -> str:
    article, plural = ("a", "") if count == 1 else (f"{count}", "s")
    match gene:
        case Conv(channels, batch_norm):
            norm = " with batch norm" if batch_norm else ""
            blocks = "a 3x3 convolution" if count == 1 else f"{count} convolutions of 3x3"
            return f"{blocks} to {channels} channels{norm}"
        case Pool():
            return "a 2x2 max pooling" if count == 1 else f"{count} max poolings of 2x2"
        case Dense(units):
            return f"{article} fully connected layer{plural} of {units}"
    assert_never(gene)


MEASURES: Mapping[Measure, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "auroc": "AUROC",
}
"""What a search may go by."""


def measure_of(row: SearchRow) -> Measure:
    """What a search goes by; older versions knew the accuracy alone."""
    strategy = row.configuration.get("strategy")
    found = strategy.get("fitness") if isinstance(strategy, Mapping) else None
    return next((measure for measure in MEASURES if measure == found), "accuracy")


def epoch_figures(loss: float, accuracy: float | None) -> str:
    """What an epoch came to, in words; `accuracy` None: nothing was left to validate with.

    >>> epoch_figures(0.5, 0.75), epoch_figures(0.5, None)
    ('loss 0.5000, accuracy 0.7500', 'loss 0.5000')
    """
    return f"loss {loss:.4f}" + ("" if accuracy is None else f", accuracy {accuracy:.4f}")


UNJUDGED = "the validation images were trained on too"
"""Why something that succeeded has no fitness."""


def is_unjudged(row: SearchRow) -> bool:
    """Whether trainings of a search use the validation images too, so that what succeeds has no fitness."""
    strategy = row.configuration.get("strategy")
    listed = strategy.get("trials", ()) if isinstance(strategy, Mapping) else ()
    each = [row.configuration.get("training"), *(one.get("settings") for one in listed)]
    fits = {training.get("fit", "train") for training in each if isinstance(training, Mapping)}
    return "train_validation" in fits


def precision_in(row: SearchRow) -> str | None:
    """How a search computes, as its configuration says; where it says auto, what that has come to mean, None as long as nobody knows."""
    said = _precision_said(row)
    return row.precision if said == "auto" else said


def precision_words(row: SearchRow) -> str:
    """The same for a person; of auto with who decided what it means."""
    if _precision_said(row) != "auto":
        return _precision_said(row)
    if row.precision is None:
        return "auto, which the first worker that joins decides"
    return f"{row.precision} (auto{f', by {row.precision_of}' if row.precision_of else ''})"


def _precision_said(row: SearchRow) -> str:
    training = row.configuration.get("training")
    return str(training.get("precision", "fp32")) if isinstance(training, Mapping) else "fp32"


def ended(evaluations: int, recalled: int, failed: int) -> str:
    """Evaluations that have ended: `810 evaluations, 771 trainings (3 failed)`; what was recalled was not trained."""
    trainings = f", {counted(evaluations - recalled, 'training')}" if recalled else ""
    return f"{counted(evaluations, 'evaluation')}{trainings}{f' ({failed} failed)' if failed else ''}"


def cells(*texts: str) -> tuple[Text, ...]:
    """A row of a table, each cell as `printable`; brackets in it are no markup."""
    return tuple(Text(printable(text)) for text in texts)


def fitting(
    columns: Mapping[str, Sequence[str]],
    left_out: Sequence[str],
    width: int | None,
    at_most: Mapping[str, int],
) -> tuple[str, ...]:
    """The headings of a table whose columns fit beside each other, two blanks between them.

    Args:
        columns: the texts of each column, by heading.
        left_out: headings that a narrow terminal does without, first to last.
        width: of the terminal; None: any.
        at_most: what a column that may be broken asks for at most, by heading.
    """
    if width is None:
        return tuple(columns)
    needs = {
        heading: min(
            max(len(printable(text)) for text in (heading, *texts)) + 2, at_most.get(heading, 10_000)
        )
        for heading, texts in columns.items()
    }
    for heading in left_out:
        if sum(needs.values()) - 2 <= width:
            break
        needs.pop(heading, None)
    return tuple(needs)


def left_out_at(columns: Mapping[str, Sequence[str]], shown: Sequence[str], where: str) -> str | None:
    """What is said below a table that does without some columns; `where`: what has them all."""
    missing = [heading for heading in columns if heading not in shown]
    return f"left out at this width: {', '.join(missing)}; {where}" if missing else None


def bare_table(caption: str | None) -> Table:
    """A terminal's table without lines, still without columns; `caption`: what is said below it."""
    return Table(box=None, pad_edge=False, header_style="bold", caption=caption, caption_justify="left")


def next_steps(label: str, *steps: tuple[str, str]) -> list[str]:
    """Commands that may come next, each with what it gives. `label`: what the first line begins with, blanks included."""
    width = max(len(command) for command, _ in steps)
    return [
        f"{label if not place else ' ' * len(label)}{command.ljust(width)}  {what}"
        for place, (command, what) in enumerate(steps)
    ]


def counted(count: int, noun: str) -> str:
    """A number with its noun: `1 epoch`, `1,000 epochs`, `2 searches`."""
    plural = "searches" if noun == "search" else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def scaled(value: float, unit: str) -> str:
    """A quantity with a prefix that leaves one to three digits before the point: `1.2 GB`, `488.7 PFLOP`, `24.2 k`."""
    prefixes = ("", "k", "M", "G", "T", "P", "E")
    step = 0
    while value >= 999.95 and step + 1 < len(prefixes):
        value, step = value / 1000, step + 1
    figure = f"{value:,.1f}" if step else f"{value:,.0f}"
    return f"{figure} {prefixes[step]}{unit}".rstrip()


def duration(seconds: float) -> str:
    """A span of time as a person says it: `48 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
