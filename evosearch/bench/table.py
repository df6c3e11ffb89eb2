"""Figures, and the Markdown tables they stand in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measurement. `floor`: what was promised, in the same unit, not to be exceeded; None: no promise."""

    what: str
    value: float
    unit: str
    floor: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the floor holds; empty without one."""
        if self.floor is None:
            return ""
        return "holds" if self.value <= self.floor else "MISSED"


def markdown(figures: Iterable[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = ["| what | measured | floor | |", "|---|---|---|---|"]
    for figure in figures:
        floor = f"{figure.floor:g} {figure.unit}" if figure.floor is not None else ""
        lines.append(f"| {figure.what} | {figure.value:.3g} {figure.unit} | {floor} | {figure.verdict} |")
    return "\n".join(lines)


@dataclass(frozen=True)
class Measure:
    """One measure of one contender, once per round. `rounds` is empty where it could not be taken, and `note` says why.

    `at_most`, `at_least`: the target in the same unit, if there is one. `detail`: too much for a table that people read.
    """

    what: str
    contender: str
    rounds: tuple[float, ...]
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""
    detail: bool = False

    @property
    def value(self) -> float | None:
        """The median."""
        return median(self.rounds) if self.rounds else None

    @property
    def holds(self) -> bool | None:
        """Whether the target is met; None without one, or without a value."""
        if self.value is None or (self.at_most is None and self.at_least is None):
            return None
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    def to_json(self) -> dict[str, Any]:
        """For a document."""
        return {
            "measure": self.what,
            "contender": self.contender,
            "value": self.value,
            "unit": self.unit,
            "rounds": list(self.rounds),
            "at_most": self.at_most,
            "at_least": self.at_least,
            "holds": self.holds,
            "note": self.note,
        }


def measures_markdown(measures: Sequence[Measure]) -> str:
    """The measures as a Markdown table, details left out."""
    lines = ["| measure | value | target | contender |", "|---|---|---|---|"]
    for measure in measures:
        if not measure.detail:
            cells = measure.what, _value(measure), _target(measure), measure.contender
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _value(measure: Measure) -> str:
    if measure.value is None:
        return f"not measured: {measure.note}"
    low, high = min(measure.rounds), max(measure.rounds)
    spread = f" ({_number(low)} to {_number(high)})" if len(measure.rounds) > 1 else ""
    note = f"; {measure.note}" if measure.note else ""
    return f"{_number(measure.value)} {measure.unit}{spread}{note}"


def _number(value: float) -> str:
    """Three digits, and no powers of ten."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _target(measure: Measure) -> str:
    if measure.at_most is None and measure.at_least is None:
        return ""
    relation, limit = (
        ("at most", measure.at_most) if measure.at_most is not None else ("at least", measure.at_least)
    )
    verdict = {True: "holds", False: "MISSED", None: ""}[measure.holds]
    return f"{relation} {limit:g} {measure.unit}: {verdict}".rstrip(": ")
