"""Every evaluated chromosome as a table, CSV or JSON (`evosearch results`)."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from statistics import fmean
from typing import Any, Literal, TypeVar

from rich.table import Table

from evosearch.printable import printable
from evosearch.reports.masks import subject_words
from evosearch.reports.words import bare_table, cells, fitting, left_out_at
from evosearch.search import scores_of
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


def best_first(rows: Sequence[AnyRow], leads: int | None = None) -> list[AnyRow]:
    """By fitness, or by the lowest loss of masks, ties to the lower number; what has neither comes last, by number. Trainings that
    came to a rung only follow whole ones, those of the latest rung first. Who was trained again stands where its score says, its
    further trainings below it; `leads`: number of the best by the search's verdict, which stands first there.
    """
    scores = _scores(rows) if any(row.again for row in rows) else {}

    order = {_whose(row)[0]: place for place, row in enumerate(rows)} if scores else {}

    def place(row: AnyRow) -> tuple[bool, float, bool, float, int, int, int]:
        (search, number), score = _whose(row), scores.get(_whose(row))
        figure = -score if score is not None else row.loss if row.fitness is None else -row.fitness
        unknown, short, behind = figure is None, -(row.until or inf), bool(scores) and number != leads
        return unknown, short, behind, figure or 0.0, number, order.get(search, 0), row.repeat * row.again

    return sorted(rows, key=place)


def only_best(rows: Sequence[AnyRow], count: int, leads: int | None = None) -> list[AnyRow]:
    """The first of `best_first`: so many, and the further trainings of these, which are not counted."""
    ranked = best_first(rows, leads)
    ends = [place for place, row in enumerate(ranked) if not row.again][count:]
    return ranked[: ends[0]] if ends else ranked


def _whose(row: EvaluationRow) -> tuple[str, int]:
    """Which candidate a training is of: the search where there are several, and its number."""
    search = row.search if isinstance(row, MemberEvaluation) else ""
    return search, row.candidate if row.again else row.number


def _trainings(rows: Sequence[EvaluationRow]) -> dict[tuple[str, int], list[float]]:
    """The fitness of each whole training, by candidate."""
    found: dict[tuple[str, int], list[float]] = {}
    for row in rows:
        if row.fitness is not None and not row.until:
            found.setdefault(_whose(row), []).append(row.fitness)
    return found


def _scores(rows: Sequence[EvaluationRow]) -> dict[tuple[str, int], float]:
    """Of each candidate what a search that repeats trainings goes by, as if all were of one generation."""
    trained = _trainings(rows)
    found: dict[tuple[str, int], float] = {}
    for search in {search for search, _ in trained}:
        found |= scores_of({whose: fitness for whose, fitness in trained.items() if whose[0] == search})
    return found


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
_NUMERIC = {"no.", "gen.", "fitness", "mean", "parameters", "MFLOPs", "seconds"}


LEFT_OUT = ("worker", "MFLOPs", "parents", "parameters", "seconds", "origin", "gen.")
"""What a narrow terminal does without, first to last; CSV and JSON have everything."""

LEAST_CHROMOSOME = 30
"""Columns that a long chromosome gets at least; it is broken between its genes."""


def results_table(rows: Sequence[EvaluationRow], *, grouped: bool = False, width: int | None = None) -> Table:
    """The same for a terminal of `width` columns (None: of any), without what a person seldom looks for first. What a narrow
    one does without is named below.
    """
    means = {
        whose: f"{fmean(found):.4f} of {len(found)}"
        for whose, found in _trainings(rows).items()
        if len(found) > 1
    }
    place = HEADINGS.index("fitness") + 1
    own = (*HEADINGS[:place], "mean", *HEADINGS[place:]) if means else HEADINGS
    headings = ("search", *own) if grouped else own
    lines = [
        {"search": _whose(row)[0], "mean": "" if row.again else means.get(_whose(row), "")} | _cells(row)
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


def _cells(row: EvaluationRow) -> dict[str, str]:
    return {
        "no.": str(row.number),
        "gen.": str(row.generation),
        "origin": f"again {row.candidate} ({_ordinal(row.repeat + 1)})" if row.again else row.origin,
        "parents": "+".join(map(str, row.parents)),
        "fitness": _verdict(row),
        "parameters": "" if row.parameters is None else f"{row.parameters:,}",
        "MFLOPs": "" if row.flops is None else f"{row.flops / 1e6:.1f}",
        "seconds": "recalled" if row.cached else f"{row.seconds:.1f}",
        "worker": row.worker or "",
        "chromosome": subject_words(row),
    }


def _ordinal(number: int) -> str:
    """As it is written.

    >>> [_ordinal(number) for number in (2, 3, 4, 11, 12, 21)]
    ['2nd', '3rd', '4th', '11th', '12th', '21st']
    """
    last = 0 if number % 100 in (11, 12, 13) else number % 10
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"


def _verdict(row: EvaluationRow) -> str:
    if row.fitness is not None:
        return f"{row.fitness:.4f}{f' at {row.until}' if row.until else ''}"
    if row.loss is not None:
        return f"loss {row.loss:.4f}"
    return row.failure or row.status
