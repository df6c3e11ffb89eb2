"""What a finished search, and a reading of the test split, say to a person."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from evosearch.errors import JournalError
from evosearch.evaluation import FeaturesOf, HandMade, Masks, Pretrained, parse_subject
from evosearch.genome import Chromosome
from evosearch.reports.cost import has_rungs
from evosearch.reports.masks import found_mask, mask_words
from evosearch.reports.words import (
    MEASURES,
    UNJUDGED,
    counted,
    describe,
    duration,
    ended,
    is_unjudged,
    measure_of,
    next_steps,
)
from evosearch.storage import EvaluationRow, SearchRow, TestReading
from evosearch.studies import trained_otherwise


def search_lines(
    row: SearchRow,
    best: EvaluationRow | None,
    classes: int,
    folder: Path,
    place: str,
    largest: tuple[str, float] | None = None,
    kept: EvaluationRow | None = None,
) -> list[str]:
    """The end of a search: how much was done, the best chromosome in words, and where everything is.

    `classes`: how many the data have. `folder`: of the curve, on this machine; `place`: the path or URL of all its files.
    `largest`: the class that most validation images are of, and their share of all; None: not known. `kept`: the trial that kept
    features, of a search for these.
    """
    done, failed = row.counts.get("done", 0), row.counts.get("failed", 0)
    networks = f"{counted(row.candidates, 'network')}, " if has_rungs(row) else ""
    lines = [
        f"{row.name}: done, {counted(row.generations, 'generation')}, {networks}{ended(done + failed, row.recalled, failed)} "
        f"in {duration(row.seconds)}"
    ]
    if kept is not None:
        words = f"{counted(kept.units or 0, 'unit')}, sha256 {kept.features}"
        return [*lines, "", f"Features  {words}, of {kept.chromosome.removeprefix('features of ')}"]
    if (mask := found_mask(best)) is not None:
        each = next_steps(
            "Next  ", (f"evosearch results {row.name} --format json", "every mask with its loss")
        )
        return [*lines, "", f"Best  {mask_words(mask)}", *each]
    if best is None and done and is_unjudged(row):
        return [*lines, f"No best: {UNJUDGED}; `evosearch results {row.name} --format json` has every curve"]
    if best is None or best.fitness is None:
        kinds = ", ".join(f"{count} {kind}" for kind, count in row.failed.items())
        return [
            *lines,
            f"No evaluation succeeded ({kinds}); `evosearch results {row.name} --format csv` has every reason",
        ]
    return [
        *lines,
        "",
        f"Best: validation {best_figure(row, best)}, candidate {best.candidate} of generation {best.generation}",
        *_beside_a_constant_answer(row, best, classes, largest),
        f"  {best.chromosome}",
        *_in_words(best.chromosome, classes),
        *_size(best),
        "",
        f"Evolution curve  {folder / 'evolution.png'}",
        f"Everything else  {place}",
        *next_steps(
            "Next             ",
            (f"evosearch results {row.name}", "every chromosome"),
            (f"evosearch retrain {row.name}", "train and test the best"),
        ),
    ]


def best_figure(row: SearchRow, best: EvaluationRow) -> str:
    """The best's fitness with what it is: `accuracy 0.8750`, `F1 0.8123 (accuracy 0.8750)`, `accuracy 0.8750, mean of 3 trainings`."""
    measure = measure_of(row)
    alone = best.trainings == 1  # the accuracy is of one training
    accuracy = f" (accuracy {best.accuracy:.4f})" if alone and best.accuracy is not None else ""
    figure = f"{MEASURES[measure]} {best.fitness:.4f}{mean_words(best)}"
    return figure if measure == "accuracy" else f"{figure}{accuracy}"


def mean_words(best: EvaluationRow) -> str:
    """That its fitness is a mean, where it was trained several times; else nothing."""
    return "" if best.trainings == 1 else f", mean of {counted(best.trainings, 'training')}"


def _beside_a_constant_answer(
    row: SearchRow, best: EvaluationRow, classes: int, largest: tuple[str, float] | None
) -> list[str]:
    """What always giving the same answer reaches, by the measure that the search goes by. Nothing of F1: it depends on
    how many images are of the positive class, which is not known here.
    """
    match measure_of(row):
        case "accuracy" if largest is not None:
            answer, reached = f"{largest[0]!r}, the largest class", largest[1]
        case "balanced_accuracy":
            answer, reached = "one and the same class", 1 / classes
        case "auroc":
            answer, reached = "the same", 0.5
        case _:
            return []
    if best.fitness is not None and best.fitness > reached:
        return [f"  {reached:.4f} is reached by always answering {answer}"]
    return [f"  no better than always answering {answer}, which reaches {reached:.4f}"]


def _in_words(subject: str, classes: int) -> list[str]:
    match parse_subject(subject):
        case Chromosome() as chromosome:
            return [f"  In words: {describe(chromosome, classes)}"]
        case Pretrained(chromosome):
            return [f"  In words: {describe(chromosome, classes)}; it started from given weights"]
        case HandMade() | FeaturesOf() | Masks():
            return []


def _size(best: EvaluationRow) -> list[str]:
    if best.parameters is None or best.flops is None:
        return []
    return [f"  {best.parameters:,} parameters, {best.flops / 1e6:,.3g} MFLOPs per image"]


def reading_document(name: str, reading: TestReading, place: str) -> dict[str, Any]:
    """A reading of the test split as JSON: the network it was of, and the metrics. `place`: the search's own, a path
    or URL.
    """
    return {
        "name": name,
        "number": reading.number,
        "epochs": reading.epochs,
        "seed": reading.seed,
        "search": reading.search,
        "reading": reading.place,
        "readings": reading.total,
        "weights": f"{place}/{reading.weights}",
        **(reading.metrics or {}),
    }


def reading_lines(name: str, reading: TestReading, place: str) -> list[str]:
    """A reading of the test split for a person. `place`: the search's own, a path or URL.

    Raises:
        JournalError: the journal does not hold all that a reading gives.
    """
    try:
        return _reading_lines(name, reading, reading.metrics or {}, place)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise JournalError(
            f"the journal is damaged: the reading {reading.key} of {reading.search or name!r} is not whole ({error!r}); "
            "restore it from a copy"
        ) from error


def _reading_lines(name: str, reading: TestReading, metrics: Mapping[str, Any], place: str) -> list[str]:
    undefined = metrics["auroc_undefined"]
    auroc = f"undefined: {undefined}" if metrics["auroc"] is None else f"{metrics['auroc']:.4f}"
    confusion = metrics["confusion"]
    intervals: Mapping[str, Any] = metrics.get("intervals", {})
    between = partial(_between, intervals)
    specificity = (
        [f"  specificity        {metrics['specificity']:.4f}{between('specificity')}"]
        if "specificity" in metrics
        else []
    )
    balanced, constant = _balanced_accuracy(confusion), max(map(sum, confusion)) / metrics["images"]
    return [
        f"{name}: candidate {reading.number} after {_epochs(reading, metrics)}, "
        f"on {counted(metrics['images'], 'test image')}",
        f"  {count_of(reading)}",
        "",
        f"  accuracy           {metrics['accuracy']:.4f}{between('accuracy')}",
        f"  balanced accuracy  {balanced:.4f}{between('balanced_accuracy')}",
        f"  precision          {metrics['precision']:.4f}{between('precision')}",
        f"  recall             {metrics['recall']:.4f}{between('recall')}",
        *specificity,
        f"  F1                 {metrics['f1']:.4f}{between('f1')}",
        f"  AUROC              {auroc}{between('auroc')}",
        *([INTERVALS] if intervals else []),
        *_whose(len(metrics["classes"]), metrics.get("positive"), "specificity" in metrics),
        *_threshold(reading, metrics),
        f"  always answering the largest class would reach accuracy {constant:.4f}",
        f"  {_validated(metrics)}",
        "",
        *_confusion(metrics["classes"], confusion),
        *_parts(metrics.get("parts", {})),
        "",
        f"Weights  {place}/{reading.weights}",
    ]


INTERVALS = "  in brackets: 95 % intervals over which images the test split holds; of seeds they say nothing"


def _between(intervals: Mapping[str, Any], figure: str) -> str:
    """The interval of a figure; older versions journaled none."""
    found = intervals.get(figure)
    return "" if found is None else "  ({:.4f} to {:.4f})".format(*found)


def _parts(parts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each part of a test split that has several."""
    told = ["", "  by part of the test split"] if parts else []
    for name, metrics in parts.items():
        auroc = "undefined" if metrics["auroc"] is None else f"{metrics['auroc']:.4f}"
        told.append(
            f"    {name}: {counted(metrics['images'], 'image')}, "
            f"accuracy {metrics['accuracy']:.4f}{_between(metrics['intervals'], 'accuracy')}, "
            f"balanced {metrics['balanced_accuracy']:.4f}, AUROC {auroc}"
        )
    return told


def _epochs(reading: TestReading, metrics: Mapping[str, Any]) -> str:
    """How long its network was trained."""
    if "ended_after" not in metrics:
        return counted(reading.epochs, "epoch")
    most = f"{metrics['ended_after']} of at most {counted(reading.epochs, 'epoch')}"
    return f"{most}, by the weights of epoch {metrics['judged_epoch']}"


def _validated(metrics: Mapping[str, Any]) -> str:
    accuracy = metrics["validation_accuracy"]
    if accuracy is None:
        return f"no validation accuracy: {UNJUDGED}"
    where = "" if metrics.get("threshold") is None else ", where the more probable class is answered"
    return f"validation accuracy of the same network: {accuracy:.4f}{where}"


def _whose(classes: int, positive: str | None, with_specificity: bool) -> list[str]:
    """Which class precision, recall and F1 are of; what older versions read does not say it of two."""
    what = "precision, recall, specificity and F1" if with_specificity else "precision, recall and F1"
    if classes > 2:
        return [f"  {what} are means over the classes"]
    return [] if positive is None else [f"  {what} are of the class {positive}"]


def _threshold(reading: TestReading, metrics: Mapping[str, Any]) -> list[str]:
    """Above which probability of the positive class its network answered it, and by what that was chosen; nothing of one half."""
    if metrics.get("threshold") is None:
        return []
    share = trained_otherwise(reading.key).get("positive_share")
    chosen = (
        "chosen on the validation images" if share is None else f"for a share of {share} of positive images"
    )
    return [f"  {metrics['positive']} is answered above the probability {metrics['threshold']:.4g}, {chosen}"]


def _balanced_accuracy(confusion: Sequence[Sequence[int]]) -> float:
    """The mean share of rightly classified images of a class, over the classes that have any."""
    return fmean(row[label] / sum(row) for label, row in enumerate(confusion) if sum(row))


def count_of(reading: TestReading) -> str:
    """Which reading of the test split it is: every further one makes the best of them say less."""
    if reading.total == 1:
        return "reading 1 of this test split for this search"
    return f"reading {reading.place} of {reading.total} of this test split for this search"


def winner_lines(name: str, place: str, winner: Mapping[str, Any]) -> list[str]:
    """The trained network that a search has after a retraining. `place`: the search's own, a path or URL; `winner`: what
    `winner.json` in it holds.
    """
    return [
        f"Winner   {place}/winner.safetensors",
        f"         candidate {winner.get('candidate')}, of {winner.get('retraining')}; in Python "
        f'evosearch.open("{name}").load_network()',
    ]


def readings_lines(readings: Sequence[TestReading]) -> list[str]:
    """Several readings together, two at least: mean and (sample) standard deviation of their accuracy."""
    accuracies = [reading.metrics["accuracy"] for reading in readings if reading.metrics]
    mean, deviation = fmean(accuracies), stdev(accuracies)
    return [
        f"{len(accuracies)} of {counted(readings[0].total, 'reading')} of this test split for this search: accuracy "
        f"{mean:.4f} ± {deviation:.4f} (mean ± deviation)"
    ]


def reading_row(reading: TestReading) -> str:
    """One reading in a line, below the search that it belongs to; with how its network was trained and answered, where that is not by
    default: `fit`, `patience`, `threshold`, `positive_share`, and the beginning of the sha256 of the `weights` that it started from.
    """
    otherwise = "".join(f", {name} {one}" for name, one in trained_otherwise(reading.key).items())
    what = f"candidate {reading.number}, {counted(reading.epochs, 'epoch')}{otherwise}, {count_of(reading)}"
    if reading.metrics is None:
        return f"{what}: begun, and never ended"
    threshold = reading.metrics.get("threshold")
    above = "" if threshold is None else f" above {threshold:.4g}"
    return f"{what}: test accuracy {reading.metrics['accuracy']:.4f}{above}"


def _confusion(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> list[str]:
    width = max(6, *(len(name) for name in classes))
    cells = max(len(str(max(map(max, confusion)))), *(len(name) for name in classes)) + 2
    header = " " * (width + 4) + "".join(name.rjust(cells) for name in classes)
    rows = [
        f"    {name.ljust(width)}" + "".join(str(n).rjust(cells) for n in counts)
        for name, counts in zip(classes, confusion, strict=True)
    ]
    return ["  confusion (rows: true class, columns: predicted)", header, *rows]
