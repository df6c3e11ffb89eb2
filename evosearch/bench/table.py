"""Figures, and the Markdown table they stand in."""

from collections.abc import Iterable
from dataclasses import dataclass


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
