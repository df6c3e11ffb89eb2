"""What a finished search, and a reading of the test split, say to a person."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evosearch.genome import parse
from evosearch.reports.words import counted, describe, duration
from evosearch.storage import EvaluationRow, SearchRow, TestReading


def search_lines(row: SearchRow, best: EvaluationRow | None, classes: int, folder: Path) -> list[str]:
    """The end of a search: how much was done, the best chromosome in words, and where everything lies."""
    done, failed = row.counts.get("done", 0), row.counts.get("failed", 0)
    lines = [
        f"{row.name}: done, {counted(row.generations, 'generation')}, {counted(done + failed, 'evaluation')}"
        f"{f' ({failed} failed)' if failed else ''} in {duration(row.seconds)}"
    ]
    if best is None or best.fitness is None:
        kinds = ", ".join(f"{count} {kind}" for kind, count in row.failed.items())
        return [
            *lines,
            f"No evaluation succeeded ({kinds}); `evosearch results {row.name} --format csv` has every reason",
        ]
    return [
        *lines,
        "",
        f"Best: validation accuracy {best.fitness:.4f}, candidate {best.number} of generation {best.generation}",
        f"  {best.chromosome}",
        f"  In words: {describe(parse(best.chromosome), classes)}",
        f"  {best.parameters:,} parameters, {best.flops / 1e6:,.3g} MFLOPs per image",
        "",
        f"Evolution curve  {folder / 'evolution.png'}",
        f"Everything else  {folder}",
        f"Next             evosearch results {row.name}    every chromosome",
        f"                 evosearch retrain {row.name}    train the best anew, read the test split once",
    ]


def reading_document(name: str, reading: TestReading, folder: Path) -> dict[str, Any]:
    """A reading of the test split as JSON: the network it was of, and the metrics. `folder`: the search's own."""
    return {
        "name": name,
        "number": reading.number,
        "epochs": reading.epochs,
        "seed": reading.seed,
        "weights": str(folder / (reading.weights or "")),
        **(reading.metrics or {}),
    }


def reading_lines(name: str, reading: TestReading, folder: Path) -> list[str]:
    """A reading of the test split for a person. `folder`: the search's own."""
    metrics = reading.metrics or {}
    undefined = metrics["auroc_undefined"]
    auroc = f"undefined: {undefined}" if metrics["auroc"] is None else f"{metrics['auroc']:.4f}"
    return [
        f"{name}: candidate {reading.number} after {counted(reading.epochs, 'epoch')}, "
        f"on {counted(metrics['images'], 'test image')}",
        "",
        f"  accuracy   {metrics['accuracy']:.4f}",
        f"  precision  {metrics['precision']:.4f}",
        f"  recall     {metrics['recall']:.4f}",
        f"  F1         {metrics['f1']:.4f}",
        f"  AUROC      {auroc}",
        f"  validation accuracy of the same network: {metrics['validation_accuracy']:.4f}",
        "",
        *_confusion(metrics["classes"], metrics["confusion"]),
        "",
        f"Weights  {folder / (reading.weights or '')}",
    ]


def _confusion(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> list[str]:
    width = max(6, *(len(name) for name in classes))
    cells = max(len(str(max(map(max, confusion)))), *(len(name) for name in classes)) + 2
    header = " " * (width + 4) + "".join(name.rjust(cells) for name in classes)
    rows = [
        f"    {name.ljust(width)}" + "".join(str(n).rjust(cells) for n in counts)
        for name, counts in zip(classes, confusion, strict=True)
    ]
    return ["  confusion (rows: true class, columns: predicted)", header, *rows]
