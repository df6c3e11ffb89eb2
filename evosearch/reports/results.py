"""Every evaluated chromosome as a table, CSV or JSON (`evosearch results`)."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Literal, TypeVar

from rich.table import Table

from evosearch.printable import printable
from evosearch.reports.masks import subject_words
from evosearch.reports.words import bare_table, cells, fitting, left_out_at
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
    "candidate",
    "repeat",
    "until",
    "accuracy",
    "balanced_accuracy",
    "f1",
    "auroc",
)
"""Columns of the CSV, and with `operations` and `curve` the keys of the JSON, in order: scripts rely on them; of a group `search` is the first."""


@dataclass(frozen=True)
class MemberEvaluation(EvaluationRow):
    """A candidate of one member of a group."""

    search: str = ""
    """The member's name."""

    @classmethod
    def of(cls, search: str, row: EvaluationRow) -> "MemberEvaluation":
        """`row` as one of the search `search`."""
        return cls(**vars(row), search=search)


AnyRow = TypeVar("AnyRow", bound=EvaluationRow)


def best_first(rows: Sequence[AnyRow]) -> list[AnyRow]:
    """By fitness, or by the lowest loss of masks, ties to the lower number; what has neither comes last, by number. Trainings that
    came to a rung only follow whole ones, those of the latest rung first.
    """

    def place(row: AnyRow) -> tuple[bool, float, float, int]:
        figure = row.loss if row.fitness is None else -row.fitness
        return figure is None, -(row.until or inf), figure or 0.0, row.number

    return sorted(rows, key=place)


def results_document(rows: Sequence[EvaluationRow], *, grouped: bool = False) -> list[dict[str, Any]]:
    """One JSON object per candidate with the keys of `COLUMNS`, `operations`, `curve` and `epochs`.

    `fitness`: by what the search goes by. `operations`: what `operators` says in words, as data; None where an older version
    kept words only. `flops`: forward, one image. `curve`: [training loss, validation accuracy] of each epoch of the last attempt, as
    far as the rows were read with it, and `epochs` the same with its names and the `validation_loss` where it is known. Of masks there are `losses`, in their order, and the
    lowest as `loss`; of kept features their sha256 as `features`, and the `units`. `grouped`: the rows are `MemberEvaluation`s, and `search` is named too.
    """
    return [
        _values(row, grouped)
        | {
            "operations": None if row.operations is None else [dict(one) for one in row.operations],
            "curve": [[*map(_finite, epoch)] for epoch in row.curve],
            "epochs": _epochs(row),
        }
        | ({"losses": [*map(_finite, row.losses)], "loss": row.loss} if row.losses else {})
        | ({"features": row.features, "units": row.units} if row.features else {})
        for row in rows
    ]


def _epochs(row: EvaluationRow) -> list[dict[str, float | None]]:
    losses = row.validation_losses or (None,) * len(row.curve)
    return [
        {"epoch": number, "loss": _finite(loss), "accuracy": _finite(accuracy)}
        | ({} if known is None else {"validation_loss": _finite(known)})
        for number, ((loss, accuracy), known) in enumerate(zip(row.curve, losses, strict=True), 1)
    ]


def _finite(value: float | None) -> float | None:
    """JSON has no other numbers."""
    return value if value is not None and isfinite(value) else None


def _columns(grouped: bool) -> tuple[str, ...]:
    return ("search", *COLUMNS) if grouped else COLUMNS


def _values(row: EvaluationRow, grouped: bool) -> dict[str, Any]:
    values = {column: getattr(row, column) for column in _columns(grouped)}
    return {column: list(value) if isinstance(value, tuple) else value for column, value in values.items()}


def results_csv(rows: Sequence[EvaluationRow], *, grouped: bool = False) -> str:
    """The same as CSV with a header; lists are joined by "; ", what is unknown is empty.

    One line a row: texts are `printable`. One that a spreadsheet would take for a formula has a `'` before it.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_columns(grouped))
    for row in rows:
        writer.writerow(map(csv_cell, _values(row, grouped).values()))
    return text.getvalue()


_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a cell a formula (OWASP, "CSV Injection"), the full-width forms too; tab and line feeds are written out before."""


def csv_cell(value: Any) -> Any:
    """A value as a cell of CSV: numbers stay numbers, negative ones too; a text that begins a formula has a `'` before it."""
    if isinstance(value, list):
        value = "; ".join(map(str, value))
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


HEADINGS = (
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
)
_NUMERIC = {"no.", "gen.", "fitness", "parameters", "MFLOPs", "seconds"}


LEFT_OUT = ("worker", "MFLOPs", "parents", "parameters", "seconds", "origin", "gen.")
"""What a narrow terminal does without, first to last; CSV and JSON have everything."""

LEAST_CHROMOSOME = 30
"""Columns that a long chromosome gets at least; it is broken between its genes."""


def results_table(rows: Sequence[EvaluationRow], *, grouped: bool = False, width: int | None = None) -> Table:
    """The same for a terminal of `width` columns (None: of any), without what a person seldom looks for first. What a narrow
    one does without is named below.
    """
    headings = ("search", *HEADINGS) if grouped else HEADINGS
    lines = [
        dict(
            zip(
                headings, (*([_values(row, grouped)["search"]] if grouped else []), *_cells(row)), strict=True
            )
        )
        for row in rows
    ]
    columns = {heading: [line[heading] for line in lines] for heading in headings}
    shown = fitting(columns, LEFT_OUT, width, {"chromosome": LEAST_CHROMOSOME})
    table = bare_table(left_out_at(columns, shown, "--format csv has all"))
    for heading in shown:
        justify: Literal["left", "right"] = "right" if heading in _NUMERIC else "left"
        table.add_column(heading, justify=justify, no_wrap=heading != "chromosome")
    for line in lines:
        table.add_row(*cells(*(line[heading] for heading in shown)))
    return table


def _cells(row: EvaluationRow) -> tuple[str, ...]:
    return (
        str(row.number),
        str(row.generation),
        row.origin,
        "+".join(map(str, row.parents)),
        _verdict(row),
        "" if row.parameters is None else f"{row.parameters:,}",
        "" if row.flops is None else f"{row.flops / 1e6:.1f}",
        "recalled" if row.cached else f"{row.seconds:.1f}",
        row.worker or "",
        subject_words(row),
    )


def _verdict(row: EvaluationRow) -> str:
    if row.fitness is not None:
        return f"{row.fitness:.4f}{f' at {row.until}' if row.until else ''}"
    if row.loss is not None:
        return f"loss {row.loss:.4f}"
    return row.failure or row.status
