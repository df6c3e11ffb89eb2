"""How a search stands, for scripts and for a person (DESIGN, "The command line")."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from evosearch.reports.estimate import seconds_left
from evosearch.reports.words import cells, duration
from evosearch.storage import EvaluationRow, LiveRow, SearchRow, SearchState


@dataclass(frozen=True)
class Standing:
    """A search now. `state`: see `current_state`; `total`: evaluations of the whole search; `live`: the newest epoch of each
    training that has told of one.
    """

    row: SearchRow
    state: SearchState
    best: EvaluationRow | None
    total: int
    live: tuple[LiveRow, ...] = ()

    @property
    def done(self) -> int:
        """Evaluations with a fitness."""
        return self.row.counts.get("done", 0)

    @property
    def running(self) -> int:
        """Evaluations under way; what a killed driver left behind is not."""
        return self.row.counts.get("running", 0) if self.state == "running" else 0

    @property
    def trainings(self) -> tuple[LiveRow, ...]:
        """Those under way; what a killed driver left behind is not."""
        return self.live if self.state == "running" else ()

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds until the end; None while nothing is done."""
        return seconds_left(self.done + self.row.counts.get("failed", 0), self.total, self.row.seconds)


def status_document(standing: Standing) -> dict[str, Any]:
    """The JSON document of `status NAME --json`; its keys are stable."""
    row, best, left = standing.row, standing.best, standing.seconds_left
    return {
        "name": row.name,
        "state": standing.state,
        "generation": row.generation,
        "generations": row.generations,
        "evaluations": {
            "done": standing.done,
            "running": standing.running,
            "failed": dict(row.failed),
            "total": standing.total,
        },
        "best": best and {"number": best.number, "chromosome": best.chromosome, "fitness": best.fitness},
        "seconds": round(row.seconds, 1),
        "estimated_seconds_left": None if left is None else round(left, 1),
        "trainings": [asdict(training) for training in standing.trainings],
        "message": row.message,
        "environment": dict(row.environment),
    }


def status_lines(standing: Standing) -> list[str]:
    """The same for a person."""
    row, best = standing.row, standing.best
    lines = [
        f"{row.name}: {standing.state}{f' ({row.message})' if row.message else ''}",
        f"  generation   {_generation(row)}",
        f"  evaluations  {standing.done} done, {standing.running} running, failed: {_failed(row)}; {standing.total} in all",
        f"  elapsed      {duration(row.seconds)}",
    ]
    if standing.state == "running" and standing.seconds_left is not None:
        lines.append(f"  left         about {duration(standing.seconds_left)}")
    if best is not None and best.fitness is not None:
        lines.append(f"  best         {best.fitness:.4f}, candidate {best.number}: {best.chromosome}")
    return lines + [f"  training     {_told(training)}" for training in standing.trainings]


def _told(training: LiveRow) -> str:
    rung = "" if training.until is None else f" until epoch {training.until}"
    return (
        f"candidate {training.number}{rung} on {training.worker}: epoch {training.epoch} of {training.epochs}, "
        f"loss {training.loss:.4f}, accuracy {training.accuracy:.4f}"
    )


COLUMNS = ("search", "state", "gen.", "done", "running", "best", "elapsed", "left", "failed")
"""What varies most in width comes last."""

_TEXTS = {"search", "state", "failed"}


def status_table(standings: Sequence[Standing]) -> Table:
    """Searches, one a row, narrow enough for 100 columns; the last generation and all evaluations follow a slash."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in COLUMNS:
        table.add_column(heading, justify="left" if heading in _TEXTS else "right", no_wrap=True)
    for standing in standings:
        table.add_row(*cells(*_cells(standing)))
    return table


def _cells(standing: Standing) -> tuple[str, ...]:
    row, best, left = standing.row, standing.best, standing.seconds_left
    return (
        row.name,
        standing.state,
        f"{row.generation if row.generation >= 0 else '-'}/{row.generations - 1}",
        f"{standing.done}/{standing.total}",
        str(standing.running),
        f"{best.fitness:.4f}" if best is not None else "",
        _clock(row.seconds),
        _clock(left) if standing.state == "running" and left is not None else "",
        _failed(row),
    )


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds, as narrow as they can be read."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _failed(row: SearchRow) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in row.failed.items()) or "none"


def _generation(row: SearchRow) -> str:
    """Generations count from 0; a person reads which of how many."""
    return f"{row.generation} (0 to {row.generations - 1})" if row.generation >= 0 else "not begun"
