"""A study's table as Markdown, CSV, JSON and for a terminal. Nothing is computed here but means of what is shown."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from evosearch.printable import printable
from evosearch.reports.results import csv_cell
from evosearch.reports.words import bare_table, cells, counted, duration, fitting, left_out_at, scaled
from evosearch.studies.comparison import LEAST_PERMUTED, LEAST_SEEDS, ArmFigures, Comparison
from evosearch.studies.comparison_table import (
    ComparisonRow,
    ComparisonTable,
    StudyFacts,
    UnreadArm,
    named_seeds,
)
from evosearch.studies.intervals import Interval

LEFT_OUT = (
    "FLOPs",
    "reading",
    "depth",
    "parameters",
    "worker time",
    "validation",
    "believed",
    "AUROC",
    "F1",
    "rate",
    "not better / not worse",
    "95 %",
    "seeds",
    "p (Holm)",
    "95 % of it",
)
"""What a narrow terminal does without, first to last; no p stands without the interval beside it, without which it is read as a claim."""


def comparison_document(table: ComparisonTable) -> dict[str, Any]:
    """The whole table as JSON: the fields of `ComparisonTable`, of each comparison also `verdict` and `sentence`, and as
    `reference` the arm that all others are held against; null: each comparison names its own.
    """
    rows = []
    for row in table.rows:
        found = row.figures.comparison
        document = asdict(row)
        if not _has_rates(table):
            del document["facts"]["rates"]
        if not _has_thresholds(table):
            del document["facts"]["thresholds"]
        if found is not None:
            document["figures"]["comparison"] |= {"verdict": found.verdict, "sentence": found.sentence}
        rows.append(document)
    facts = asdict(table.facts) | {"versions": dict(table.facts.versions)}
    whole = asdict(table) | {"facts": facts, "rows": rows, "references": table.reference}
    return {"reference" if key == "references" else key: value for key, value in whole.items()}


def _has_thresholds(table: ComparisonTable) -> bool:
    return any(row.facts.thresholds for row in table.rows)


def _has_rates(table: ComparisonTable) -> bool:
    return any(row.facts.rates for row in table.rows)


def comparison_csv(table: ComparisonTable) -> str:
    """A line for each arm, numbers unrounded; what belongs to the whole table is repeated in each, so that a line alone is
    complete. Several values are joined by "; ", what is unknown is empty.
    """
    text = io.StringIO()
    lines = [_csv_values(row, table) | _csv_facts(row.figures.name, table) for row in table.rows]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(lines[0])
    for one in table.unread:
        lines.append(
            dict.fromkeys(lines[0])
            | {"arm": one.name, "notes": list(one.notes)}
            | _csv_facts(one.name, table)
        )
    for line in lines:
        writer.writerow(map(csv_cell, line.values()))
    return text.getvalue()


def _csv_values(row: ComparisonRow, table: ComparisonTable) -> dict[str, Any]:
    figures, facts, found = row.figures, row.facts, row.figures.comparison
    return {
        "arm": figures.name,
        "seeds": list(figures.seeds),
        "accuracies": list(figures.accuracies),
        "accuracy": figures.accuracy,
        "deviation": figures.deviation,
        "low": figures.interval[0],
        "high": figures.interval[1],
        "f1": row.f1,
        "auroc": row.auroc,
        "believed": row.believed,
        "validation": row.validation,
        **_csv_comparison(found),
        "worker_seconds": facts.worker_seconds,
        "networks": list(facts.networks),
        "parameters": list(facts.parameters),
        "flops": list(facts.flops),
        "depth": list(facts.depth),
        **({"rates": list(facts.rates)} if _has_rates(table) else {}),
        "readings": list(facts.readings),
        **({"thresholds": list(facts.thresholds)} if _has_thresholds(table) else {}),
        "notes": list(row.notes),
    }


def _csv_comparison(found: Comparison | None) -> dict[str, Any]:
    names = (
        "difference",
        "not_better",
        "not_worse",
        "p",
        "p_holm",
        "seeds_p",
        "verdict",
        "sentence",
    )
    return {
        "pairs": [] if found is None else list(found.seeds),
        "difference_low": None if found is None else found.interval[0],
        "difference_high": None if found is None else found.interval[1],
        "mcnemar": [] if found is None else list(found.mcnemar),
        **{name: None if found is None else getattr(found, name) for name in names},
    }


def _csv_facts(arm: str, table: ComparisonTable) -> dict[str, Any]:
    facts = table.facts
    return {
        "study": facts.name,
        "kind": facts.kind,
        "reference": table.references.get(arm),
        "images": table.images,
        "draws": table.draws,
        "constant": table.constant,
        "shortcut": facts.shortcut,
        "pixels": facts.pixels,
        "budgets": list(facts.budgets),
        "data_key": facts.data_key,
        "test_key": facts.test_key,
        "test_readings": facts.test_readings or None,
        "numbering": facts.numbering,
        "versions": [" ".join(one) for one in facts.versions],
        "hardware": list(facts.hardware),
        "study_worker_seconds": facts.worker_seconds,
        "caveats": list(facts.caveats),
    }


def comparison_markdown(table: ComparisonTable) -> str:
    """The table with its facts above it and how it is read below it."""
    lines = _all_texts(table)
    bars = [lines[0].keys(), ["---"] * len(lines[0]), *(line.values() for line in lines)]
    return "\n".join(
        [
            f"# {inert(table.facts.name)}",
            "",
            *(f"- {inert(line)}" for line in fact_lines(table)),
            "",
            *(f"| {' | '.join(map(inert, bar))} |" for bar in bars),
            "",
            *(f"- {inert(line)}" for line in (*legend_lines(table), *network_lines(table))),
            "",
        ]
    )


def comparison_grid(table: ComparisonTable, width: int | None = None) -> Table:
    """The same rows for a terminal of `width` columns (None: of any); what a narrow one does without is named below. Notes
    are no column of it: `note_lines`.
    """
    lines = _all_texts(table)
    columns = {heading: [line[heading] for line in lines] for heading in lines[0] if heading != "notes"}
    shown = fitting(columns, LEFT_OUT, width, {"verdict": 28})
    grid = bare_table(left_out_at(columns, shown, "--format csv has all"))
    for heading in shown:
        grid.add_column(heading, no_wrap=heading != "verdict")
    for line in lines:
        grid.add_row(*cells(*(line[heading] for heading in shown)))
    return grid


def note_lines(table: ComparisonTable) -> list[str]:
    """What a reader has to know of each arm, a line for each of which there is something: below a terminal's table."""
    noted = [(row.figures.name, row.notes) for row in table.rows] + [
        (one.name, one.notes) for one in table.unread
    ]
    return [f"{name}: {'; '.join(notes)}" for name, notes in noted if notes]


def network_lines(table: ComparisonTable) -> list[str]:
    """What the networks of each arm are, a line for each one; nothing of an arm that has the very name of its network."""
    lines = []
    for row in table.rows:
        seeds: dict[str, list[int]] = {}
        for seed, network in zip(row.figures.seeds, row.facts.networks, strict=False):
            seeds.setdefault(network or "not known", []).append(seed)
        for network, those in seeds.items():
            if network != row.figures.name:
                which = f" ({named_seeds(those)})" if len(seeds) > 1 else ""
                lines.append(f"network of {row.figures.name}{which}: {network}")
    return lines


def fact_lines(table: ComparisonTable) -> list[str]:
    """What a study was made with, a line each; what is not known is left out."""
    return [line for line in _facts(table, table.facts) if line]


def _facts(table: ComparisonTable, facts: StudyFacts) -> Iterator[str]:
    several = ", ".join(dict.fromkeys(table.references.values()))
    if table.compares:
        held = table.reference or f"the one that is named beside its difference, one of {several}"
        yield f"{facts.kind}, every arm held against {held}"
    else:
        yield f"{facts.kind}, no arm compared with another: {several}, which all are held against, failed"
    numbering = f" ({facts.numbering})" if facts.numbering else ""
    yield f"seeds {', '.join(map(str, table.seeds))}{numbering}; {counted(table.images, 'test image')} of {', '.join(facts.classes)}"
    yield _named("budgets", facts.budgets)
    yield f"always answering the largest class reaches accuracy {table.constant:.4f}"
    if facts.shortcut is not None:
        yield f"file headers alone, without one pixel, reach accuracy {facts.shortcut:.4f} on the same test images"
    if facts.pixels is not None:
        yield f"ten statistics of the pixels alone reach accuracy {facts.pixels:.4f} on the same test images"
    yield from (f"caveat: {line}" for line in facts.caveats)
    if facts.data_key or facts.test_key:
        yield f"data {facts.data_key[:20] or 'unknown'}, test split {facts.test_key[:20] or 'unknown'}"
    if facts.test_readings > table.shown_readings:
        shown = f"{table.shown_readings} of these readings {'is' if table.shown_readings == 1 else 'are'} in this table"
        yield f"this test split was read {facts.test_readings} times for these searches; {shown}"
    yield _named("versions", [" ".join(one) for one in facts.versions])
    yield _named("hardware", facts.hardware)
    if facts.worker_seconds is not None:
        yield f"{duration(facts.worker_seconds)} of workers in all"


def _named(what: str, values: Sequence[str]) -> str:
    return f"{what}: {', '.join(values)}" if values else ""


def legend_lines(table: ComparisonTable) -> list[str]:
    """How the columns are read."""
    unread = any(reading > 1 for row in table.rows for reading in row.facts.readings)
    compared = [
        "not better / not worse: shares of these draws in which the arm is not better, or not worse, than "
        f"{table.reference or 'the one that it is held against'}",
        "p (Holm): two-sided, over the test images with these very networks (McNemar's exact test for one pair, a permutation "
        "test for more), by Holm's method over the table",
        f"a difference is claimed where p is below 0.05, the interval leaves out 0, and, from {LEAST_SEEDS} seeds on, that of a "
        f"test over the seeds is too (a t-test of up to {LEAST_PERMUTED - 1} pairs, a permutation test of more)",
    ]
    lines = [
        "accuracy: mean over the seeds ± their deviation; 95 %: of the bootstrap's draws, in which seeds and test images are "
        f"drawn together, with replacement, pairs kept ({table.draws:,} draws)",
        *(compared if table.compares else ()),
        "believed: accuracy of the searches' winners on the validation images, there; validation: of the networks that were read",
    ]
    if _has_rates(table):
        lines.append("rate: of the dropout before the class layer, of each seed where they differ")
    return [*lines, "reading: above 1 the test split had been looked at before"] if unread else lines


def _all_texts(table: ComparisonTable) -> list[dict[str, str]]:
    """Cells by heading, of each line; what compares is left out where nothing does."""
    lines = [_texts(row, table) for row in table.rows]
    shown = [heading for heading in lines[0] if table.compares or heading not in _compared(table)]
    lines += [dict.fromkeys(shown, "") | _unread_texts(one) for one in table.unread]
    return [{heading: line[heading] for heading in shown} for line in lines]


def _compared(table: ComparisonTable) -> tuple[str, ...]:
    return _against(table), "95 % of it", "not better / not worse", "p (Holm)"


def _against(table: ComparisonTable) -> str:
    return f"against {table.reference or 'its reference'}"


def _unread_texts(one: UnreadArm) -> dict[str, str]:
    verdict = "failed" if one.failed else "not read yet"
    return {"arm": one.name, "verdict": verdict, "notes": "; ".join(one.notes)}


def _texts(row: ComparisonRow, table: ComparisonTable) -> dict[str, str]:
    """Cells by heading."""
    figures, facts, found = row.figures, row.facts, row.figures.comparison
    deviation = "" if figures.deviation is None else f" ± {figures.deviation:.4f}"
    whose = "" if table.reference or found is None else f" to {found.reference}"
    return {
        "arm": figures.name,
        "seeds": _seeds(figures),
        "accuracy": f"{figures.accuracy:.4f}{deviation}",
        "95 %": _span(figures.interval),
        "F1": f"{row.f1:.4f}",
        "AUROC": _figure(row.auroc),
        **({"rate": _rates(facts.rates)} if _has_rates(table) else {}),
        "believed": _figure(row.believed),
        "validation": _figure(row.validation),
        _against(table): "" if found is None else f"{found.difference:+.4f}{whose}",
        "95 % of it": "" if found is None else _span(found.interval, "+"),
        "not better / not worse": "" if found is None else f"{found.not_better:.4f} / {found.not_worse:.4f}",
        "p (Holm)": "" if found is None else _chance(found.p_holm),
        "verdict": _verdict(row, table),
        "worker time": "" if facts.worker_seconds is None else duration(facts.worker_seconds),
        "parameters": _sizes(facts.parameters),
        "FLOPs": _sizes(facts.flops),
        "depth": ", ".join("?" if one is None else str(one) for one in facts.depth),
        "reading": ", ".join(map(str, facts.readings)),
        "notes": "; ".join(row.notes),
    }


def _seeds(figures: ArmFigures) -> str:
    """How many networks, and of how many searches where they are fewer."""
    networks, searches = len(figures.seeds), figures.independent
    if searches == networks:
        return str(networks)
    return f"{networks} of {searches} {'search' if searches == 1 else 'searches'}"


def _verdict(row: ComparisonRow, table: ComparisonTable) -> str:
    if row.figures.comparison is not None:
        return row.figures.comparison.sentence
    return "the reference" if table.references[row.figures.name] == row.figures.name else "not compared"


def _rates(values: Sequence[float | None]) -> str:
    """One figure where all are equal, else each seed's."""
    texts = ["?" if one is None else f"{one:.3f}" for one in values]
    return ", ".join(texts if len(set(texts)) > 1 else texts[:1])


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _span(interval: Interval, sign: str = "") -> str:
    return " to ".join(f"{end:{sign}.4f}" for end in interval)


def _chance(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def _sizes(values: Sequence[int | None]) -> str:
    """One figure where all are equal, else the least and the greatest."""
    known = sorted({one for one in values if one is not None})
    return " to ".join(scaled(one, "") for one in ([known[0], known[-1]] if len(known) > 1 else known))


_MARKUP: Mapping[int, str] = str.maketrans({mark: f"\\{mark}" for mark in "\\|`*[]<"})


def inert(text: str) -> str:
    """One line in which nothing is Markdown."""
    return printable(text).translate(_MARKUP)
