"""A study as far as it has come: its comparison, beside what is known of each of its members."""

import json
from typing import Any

from rich.table import Table

from evosearch.reports.study import (
    comparison_csv,
    comparison_document,
    comparison_grid,
    comparison_markdown,
    fact_lines,
    inert,
    legend_lines,
    note_lines,
)
from evosearch.reports.words import bare_table, cells
from evosearch.studies import ArmRow, ComparisonTable, MemberRecord, StudyTable


def study_document(table: StudyTable, comparison: ComparisonTable | None) -> dict[str, Any]:
    """The JSON document of a study; its keys are stable. `comparison`: None before anything was read."""
    return {
        "name": table.name,
        "kind": table.kind,
        "finished": table.finished,
        "fingerprint": table.fingerprint,
        "seeds": list(table.seeds),
        "arms": [_arm_document(row, table.has_rates) for row in table.rows],
        "comparison": comparison and comparison_document(comparison),
    }


def _arm_document(row: ArmRow, with_rates: bool) -> dict[str, Any]:
    members = [_member_document(one) | ({"rate": one.rate} if with_rates else {}) for one in row.members]
    return {"arm": row.arm, "notes": list(row.notes), "members": members}


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
        "readings": [f"{reading.place} of {reading.total}" for reading in one.read],
        **_thresholds(one),
        "worker_seconds": round(one.seconds + one.basis_seconds, 1),
        "failures": list(one.failures),
    }


def _thresholds(one: MemberRecord) -> dict[str, Any]:
    """Above which probability of the positive class each network that was read answered it; nothing where none was chosen."""
    found = [(reading.metrics or {}).get("threshold") for reading in one.read]
    return {"thresholds": found} if set(found) - {None} else {}


def study_json(table: StudyTable, comparison: ComparisonTable | None) -> str:
    """`study_document` as it is in `table.json`."""
    return json.dumps(study_document(table, comparison), indent=2) + "\n"


def study_csv(comparison: ComparisonTable | None) -> str:
    """As `comparison_csv`."""
    return "arm\n" if comparison is None else comparison_csv(comparison)


def study_markdown(table: StudyTable, comparison: ComparisonTable | None) -> str:
    """As `comparison_markdown`; before anything was read, what is known of each arm."""
    whole = f"# {inert(table.name)}\n\n" if comparison is None else comparison_markdown(comparison)
    told = [*(unread_lines(table) if comparison is None else ()), fingerprint_line(table)]
    return whole + "\n".join([*(f"- {inert(line)}" for line in told), ""])


def study_grid(table: StudyTable, comparison: ComparisonTable | None, width: int | None) -> Table:
    """The table for a terminal of `width` columns; None: of any."""
    if comparison is not None:
        return comparison_grid(comparison, width)
    grid = bare_table(None)
    grid.add_column("arm")
    for row in table.rows:
        grid.add_row(*cells(row.arm))
    return grid


def study_notes(table: StudyTable, comparison: ComparisonTable | None) -> list[str]:
    """What is said below the table, a line each."""
    if comparison is None:
        return [*unread_lines(table), fingerprint_line(table)]
    return [
        *note_lines(comparison),
        *fact_lines(comparison),
        *legend_lines(comparison),
        fingerprint_line(table),
    ]


def unread_lines(table: StudyTable) -> list[str]:
    """Why arms have no figures."""
    return [
        *(f"{row.arm}: {row.failure}" for row in table.bases if row.failure),
        *(f"{row.arm}: {'; '.join(row.notes)}" for row in table.rows if not row.read),
    ]


def fingerprint_line(table: StudyTable) -> str:
    """By what two runs of one study are compared."""
    return f"fingerprint {table.fingerprint}: equal where the same networks gave the same figures"


def failed_lines(table: StudyTable) -> list[str]:
    """Arms of which something failed, with what is known of each, after the searches that they rest on."""
    return [
        *(f"{row.arm}: {row.failure}" for row in table.bases if row.failure),
        *(f"{row.arm}: {'; '.join(row.notes)}" for row in table.rows if row.failure),
    ]
