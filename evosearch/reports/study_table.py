"""A study's table: for a terminal, and as Markdown, CSV and JSON."""

import csv
import json
from collections.abc import Sequence
from io import StringIO
from typing import Any

from rich.table import Table

from evosearch.printable import printable
from evosearch.reports.words import cells, counted, duration
from evosearch.studies import ArmRow, MemberRecord, StudyTable

COLUMNS = ("arm", "seeds", "accuracy", "F1", "AUROC", "believed", "parameters", "depth", "worker time")
"""Of the table for people; accuracy, F1 and AUROC are on the test images."""


def study_document(table: StudyTable) -> dict[str, Any]:
    """The JSON document of a study; its keys are stable."""
    return {
        "name": table.name,
        "kind": table.kind,
        "finished": table.finished,
        "seeds": list(table.seeds),
        "budgets": list(table.budgets),
        "data_key": table.data_key,
        "environment": dict(table.environment),
        "worker_seconds": round(table.seconds, 1),
        "fingerprint": table.fingerprint,
        "arms": [_arm_document(row) for row in table.rows],
    }


def _arm_document(row: ArmRow) -> dict[str, Any]:
    return {
        "arm": row.arm,
        "accuracy": row.mean("accuracy"),
        "deviation": row.deviation,
        "f1": row.mean("f1"),
        "auroc": row.mean("auroc"),
        "validation_accuracy": row.mean("validation_accuracy"),
        "believed_accuracy": row.believed,
        "worker_seconds": round(row.seconds, 1),
        "notes": list(row.notes),
        "members": [_member_document(one) for one in row.members],
    }


def _member_document(one: MemberRecord) -> dict[str, Any]:
    best = one.best
    return {
        "seed": one.seed,
        "search": one.search,
        "state": one.state,
        "evaluations": one.evaluations,
        "network": best and best.chromosome,
        "generation": best and best.generation,
        "parameters": best and best.parameters,
        "flops": best and best.flops,
        "depth": one.depth,
        "believed_accuracy": best and best.accuracy,
        **{key: one.metric(key) for key in ("validation_accuracy", "accuracy", "f1", "auroc")},
        "readings": [f"{reading.place} of {reading.total}" for reading in one.readings],
        "worker_seconds": round(one.seconds, 1),
        "failures": list(one.failures),
    }


def study_json(table: StudyTable) -> str:
    """`study_document` as it is in `table.json`."""
    return json.dumps(study_document(table), indent=2) + "\n"


def study_csv(table: StudyTable) -> str:
    """A line for each member."""
    out = StringIO()
    rows = [{"arm": row.arm, **_member_document(one)} for row in table.rows for one in row.members]
    writer = csv.DictWriter(out, list(rows[0]) if rows else ["arm"], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: "; ".join(v) if isinstance(v, list) else v for key, v in row.items()})
    return out.getvalue()


def study_markdown(table: StudyTable) -> str:
    """Heading, table, and what has to be known of it."""
    head = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    body = [f"| {' | '.join(_inert(text) for text in _texts(row))} |" for row in table.rows]
    notes = [f"- {_inert(line)}" for line in study_notes(table)]
    return "\n".join([f"# {table.name}: {table.kind}", "", *head, *body, "", *notes]) + "\n"


def study_grid(table: StudyTable) -> Table:
    """The table for a terminal."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in COLUMNS:
        grid.add_column(heading, justify="left" if heading == "arm" else "right", no_wrap=True)
    for row in table.rows:
        grid.add_row(*cells(*_texts(row)))
    return grid


def study_notes(table: StudyTable) -> list[str]:
    """What is said below the table, a line each."""
    notes = [f"{row.arm}: {note}" for row in table.rows for note in row.notes]
    few = len(table.seeds) < 3
    return [
        *notes,
        f"{counted(len(table.seeds), 'seed')}: {', '.join(map(str, table.seeds))}"
        + ("; below 3 nothing is said of chance in training" if few else ""),
        *table.budgets,
        f"data {table.data_key or 'not read yet'}; worker time in all {duration(table.seconds)}",
        f"fingerprint {table.fingerprint}",
    ]


def _texts(row: ArmRow) -> Sequence[str]:
    accuracy = _figure(row.mean("accuracy"))
    deviation = "" if row.deviation is None else f" ± {row.deviation:.4f}"
    bests = [one.best for one in row.members if one.best is not None]
    return (
        row.arm,
        str(len(row.accuracies)),
        f"{accuracy}{deviation}",
        _figure(row.mean("f1")),
        _figure(row.mean("auroc")),
        _figure(row.believed),
        _span([one.parameters for one in bests]),
        _span([one.depth for one in row.members]),
        duration(row.seconds),
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _span(values: Sequence[int | None]) -> str:
    known = sorted({one for one in values if one is not None})
    return "-" if not known else "..".join(f"{one:,}" for one in dict.fromkeys((known[0], known[-1])))


def _inert(text: str) -> str:
    return printable(text).replace("|", "\\|")
