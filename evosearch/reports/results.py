"""Every evaluated chromosome as a table, CSV or JSON (DESIGN, "The command line", `results`)."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from evosearch.storage import EvaluationRow

COLUMNS = (
    "number",
    "generation",
    "origin",
    "parents",
    "operators",
    "chromosome",
    "status",
    "fitness",
    "failure",
    "parameters",
    "flops",
    "seconds",
    "worker",
    "attempts",
    "reasons",
    "cached",
)
"""Columns of the CSV, and with `curve` the keys of the JSON, in order: scripts rely on them."""


def best_first(rows: Sequence[EvaluationRow]) -> list[EvaluationRow]:
    """By fitness, ties to the lower number; what has none comes last, by number."""
    return sorted(rows, key=lambda row: (row.fitness is None, -(row.fitness or 0.0), row.number))


def results_document(rows: Sequence[EvaluationRow]) -> list[dict[str, Any]]:
    """One JSON object per candidate with the keys of `COLUMNS` and `curve`.

    `flops`: forward, one image. `curve`: [training loss, validation accuracy] of each epoch of the last attempt, as
    far as the rows were read with it.
    """
    return [_values(row) | {"curve": [list(epoch) for epoch in row.curve]} for row in rows]


def _values(row: EvaluationRow) -> dict[str, Any]:
    values = {column: getattr(row, column) for column in COLUMNS}
    return {column: list(value) if isinstance(value, tuple) else value for column, value in values.items()}


def results_csv(rows: Sequence[EvaluationRow]) -> str:
    """The same as CSV with a header; lists are joined by "; ", what is unknown is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        values = _values(row).values()
        writer.writerow("; ".join(map(str, value)) if isinstance(value, list) else value for value in values)
    return text.getvalue()


def results_table(rows: Sequence[EvaluationRow]) -> Table:
    """The same for a terminal, without what a person seldom looks for first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    right = {"no.", "gen.", "fitness", "parameters", "MFLOPs", "seconds"}
    for heading in (
        "no.",
        "gen.",
        "origin",
        "parents",
        "fitness",
        "parameters",
        "MFLOPs",
        "seconds",
        "worker",
        "chromosome",
    ):
        table.add_column(
            heading, justify="right" if heading in right else "left", no_wrap=heading != "chromosome"
        )
    for row in rows:
        table.add_row(
            str(row.number),
            str(row.generation),
            row.origin,
            "+".join(map(str, row.parents)),
            _verdict(row),
            f"{row.parameters:,}",
            f"{row.flops / 1e6:.1f}",
            "recalled" if row.cached else f"{row.seconds:.1f}",
            row.worker or "",
            row.chromosome,
        )
    return table


def _verdict(row: EvaluationRow) -> str:
    if row.fitness is not None:
        return f"{row.fitness:.4f}"
    return row.failure or row.status
