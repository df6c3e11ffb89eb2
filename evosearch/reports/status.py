"""How far a search is, for scripts and for a person (`evosearch status`)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from statistics import fmean
from typing import Any

from rich.table import Table

from evosearch.config import config_from_json
from evosearch.errors import PluginError
from evosearch.evaluation import Measure
from evosearch.reports.confirmation import Confirmation, confirmation_lines, confirmation_of
from evosearch.reports.cost import Estimate, has_rungs, saved_by_halving, search_left
from evosearch.reports.masks import found_mask, mask_words
from evosearch.reports.outcome import best_figure, reading_row
from evosearch.reports.words import (
    MEASURES,
    bare_table,
    cells,
    counted,
    duration,
    epoch_figures,
    fitting,
    left_out_at,
    measure_of,
    precision_in,
    precision_words,
)
from evosearch.search import STRATEGIES
from evosearch.storage import EvaluationRow, Home, LiveRow, SearchRow, SearchStatus, TestReading
from evosearch.studies import Contest, contenders_name, contest_of


@dataclass(frozen=True)
class SearchSnapshot:
    """A search now."""

    row: SearchRow
    """As the journal has it."""
    state: SearchStatus
    """See `current_state`."""
    best: EvaluationRow | None
    """The best candidate so far; None until one succeeded."""
    total: int | None
    """Evaluations of the whole search; None where its plugin is not installed here, or cannot say."""
    heard: str = ""
    """When its driver gave its last heartbeat, see `last_heard`."""
    children: tuple["SearchSnapshot", ...] = ()
    """Its retrainings."""
    readings: tuple[TestReading, ...] = ()
    """Of the test split, by it or its retrainings."""
    live: tuple[LiveRow, ...] = ()
    """The newest epoch of each training that has reported one."""
    left: Estimate | None = None
    """Until its end; None where nothing is known of that."""
    saved: float | None = None
    """As of `saved_by_halving`."""
    contest: Contest | None = None
    """Of the contenders for its final step."""

    @classmethod
    def of(cls, home: Home, row: SearchRow, host: str, now: float) -> "SearchSnapshot":
        """The search `row` of `home`, as seen on `host` at `now`, seconds since 1970."""
        total = _evaluations_in_all(row)
        state = home.current_state(row, host, now)
        return cls(
            row,
            state,
            home.journal.best(row.name),
            total,
            last_heard(row, host, now),
            tuple(cls.of(home, child, host, now) for child in home.children_of(row.name)),
            home.journal.test_readings(row.name),
            home.journal.live(row.name),
            _left(home, row, state, total),
            saved_by_halving(row, home.journal.evaluations(row.name)) if has_rungs(row) else None,
            None if row.parent else contest_of(home, row),
        )

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
    def confirmation(self) -> Confirmation | None:
        """What is known of its best since it was trained again; None: nothing, or it is a retraining itself."""
        return None if self.row.parent else confirmation_of(self.row, self.best, self.readings, self.contest)

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds until the end; None while nothing is known."""
        return None if self.left is None else self.left.seconds


def _evaluations_in_all(row: SearchRow) -> int | None:
    """Of the whole search, which is shown also where its plugin is not here or is broken: then nobody here knows (None)."""
    try:
        strategy = config_from_json(row.configuration).strategy
    except PluginError:
        return None
    try:
        return strategy.with_generations(row.generations).evaluations_in_all
    except Exception:  # a plugin's code is a stranger's
        if STRATEGIES.origin(strategy.name) is None:
            raise
        return None


def _left(home: Home, row: SearchRow, state: SearchStatus, total: int | None) -> Estimate | None:
    if total is None:
        return None
    if state == "done":
        return Estimate(0.0, sure=True)
    return search_left(row, total, home.journal.evaluations(row.name))


def last_heard(row: SearchRow, host: str, now: float) -> str:
    """When a search's driver gave its last heartbeat: an age only where the clock that wrote it is at hand.

    Args:
        row: the search.
        host: this machine.
        now: seconds since 1970 by its clock.
    """
    if row.host == host:
        return f"{duration(max(0.0, now - row.heartbeat))} ago"
    try:
        at = datetime.fromtimestamp(row.heartbeat, UTC)
    except (OverflowError, ValueError, OSError):  # a clock far from any calendar
        return f"{row.heartbeat} s after 1970 by its own clock"
    return f"at {at:%Y-%m-%d %H:%M:%S} UTC by its own clock"


def status_document(snapshot: SearchSnapshot) -> dict[str, Any]:
    """The JSON document of `status NAME --json`; its keys are stable."""
    row, best, left = snapshot.row, snapshot.best, snapshot.seconds_left
    confirmed, mask = snapshot.confirmation, found_mask(best)
    return {
        "name": row.name,
        "state": snapshot.state,
        "generation": row.generation,
        "generations": row.generations,
        "evaluations": {
            "done": snapshot.done,
            "running": snapshot.running,
            "failed": dict(row.failed),
            "total": snapshot.total,
            "recalled": row.recalled,
        },
        "best": best
        and {
            "number": best.number,
            "chromosome": best.chromosome,
            "fitness": best.fitness,
            **({} if best.trainings == 1 else {"trainings": best.trainings}),
            **({} if mask is None else {"mask": mask.vector, "loss": mask.loss, "rate": mask.rate}),
        },
        "seconds": round(row.seconds, 1),
        "heartbeat": round(row.heartbeat, 3),
        "estimated_seconds_left": None if left is None else round(left, 1),
        "trainings": [asdict(training) for training in snapshot.trainings],
        "message": row.message,
        "environment": dict(row.environment),
        "precision": precision_in(row),
        "parent": row.parent,
        "retrainings": [status_document(child) for child in snapshot.children],
        "readings": [_reading_document(reading) for reading in snapshot.readings],
        "confirmation": None if confirmed is None else confirmed.to_json(),
        **({} if snapshot.contest is None else {"winner": _winner_document(snapshot.contest)}),
        **({} if snapshot.saved is None else {"halving": {"saved": round(snapshot.saved, 4)}}),
    }


def _winner_document(contest: Contest) -> dict[str, Any]:
    """Whom the final step trains, where contenders were tried: what the search believed of it, and its fresh trainings."""
    won = contest.winner
    return {
        "number": won.row.candidate,
        "chromosome": won.row.chromosome,
        "believed": won.believed,
        "fresh": list(won.fresh),
        "contenders": len(contest.contenders),
    }


def _reading_document(reading: TestReading) -> dict[str, Any]:
    accuracy = None if reading.metrics is None else reading.metrics["accuracy"]
    chosen = ("threshold", "threshold_by")
    return {
        "search": reading.search,
        "number": reading.number,
        "epochs": reading.epochs,
        "seed": reading.seed,
        "reading": reading.place,
        "readings": reading.total,
        "accuracy": accuracy,
        **{key: reading.metrics[key] for key in chosen if reading.metrics and key in reading.metrics},
    }


def status_lines(snapshot: SearchSnapshot) -> list[str]:
    """The same for a person."""
    row, best = snapshot.row, snapshot.best
    lines = [
        f"{row.name}: {snapshot.state}{f' ({row.message})' if row.message else ''}",
        *([] if _is_list(row) else [f"  generation   {_generation(row)}"]),
        f"  evaluations  {snapshot.done} done{_recalled(row)}, {snapshot.running} running, failed: {_failed(row)}"
        f"{_of_all(snapshot)}",
        *(_networks(row) if has_rungs(row) else []),
        f"  elapsed      {duration(row.seconds)}",
        f"  precision    {precision_words(row)}",
    ]
    if snapshot.saved is not None:
        lines.append(f"  halving      saves {snapshot.saved:.0%} of the workers' seconds so far")
    if row.parent is not None:
        whom = "contenders" if row.name == contenders_name(row.parent) else "the best"
        lines.append(f"  retrains     {whom} of {row.parent}")
    if snapshot.state == "running" and snapshot.heard:
        lines.append(f"  driver       process {row.pid} on {row.host}, last heard of {snapshot.heard}")
    if snapshot.state == "running" and snapshot.left is not None:
        lines.append(
            f"  left         {'' if snapshot.left.sure else 'about '}{duration(snapshot.left.seconds)}"
        )
    if best is not None and best.fitness is not None:
        figure = best_figure(row, best).removeprefix("accuracy ")
        lines.append(f"  best         {figure}, candidate {best.candidate}: {best.chromosome}")
    lines += _winner(snapshot.contest)
    lines += (f"  training     {_training_line(training)}" for training in snapshot.trainings)
    if (mask := found_mask(best)) is not None:
        lines.append(f"  best         {mask_words(mask)}")
    for child in snapshot.children:
        lines.append(f"  retraining   {_child_line(child)}")
        lines += (f"               {_training_line(training)}" for training in child.trainings)
    lines += (f"  reading      {reading_row(reading)}" for reading in snapshot.readings)
    return [*lines, *(f"  {line}" for line in confirmation_lines(snapshot.confirmation))]


def _winner(contest: Contest | None) -> list[str]:
    """Who took the place of the best, by fresh trainings."""
    if contest is None:
        return []
    won = contest.winner
    return [
        f"  winner       candidate {won.row.candidate}: {fmean(won.fresh):.4f}, mean of "
        f"{counted(len(won.fresh), 'fresh training')}, the best of {counted(len(contest.contenders), 'contender')} by these: "
        f"{won.row.chromosome}"
    ]


def _networks(row: SearchRow) -> list[str]:
    """Of a search with rungs, where each of these counts as an evaluation."""
    return [f"  networks     {row.candidates:,}, {row.trained_candidates:,} of them trained to their end"]


def _training_line(training: LiveRow) -> str:
    rung = "" if training.until is None else f" until epoch {training.until}"
    return (
        f"candidate {training.number}{rung} on {training.worker}: epoch {training.epoch} of {training.epochs}, "
        f"{epoch_figures(training.loss, training.accuracy)}"
    )


def _child_line(child: SearchSnapshot) -> str:
    message = f" ({child.row.message})" if child.row.message else ""
    failed = f", failed: {_failed(child.row)}" if child.row.failed else ""
    return f"{child.row.name}: {child.state}{message}, {child.done} of {_known(child.total)} trained{failed}"


COLUMNS = ("search", "state", "gen.", "done", "running", "best", "elapsed", "left", "failed")
"""What varies most in width comes last."""

_TEXTS = {"search", "state", "failed"}


LEFT_OUT = ("running", "elapsed", "failed", "left", "gen.")
"""What a narrow terminal does without, first to last."""


def status_table(snapshots: Sequence[SearchSnapshot], width: int | None = None) -> Table:
    """Searches, one a row, for a terminal of `width` columns (None: of any); the last generation and all evaluations
    follow a slash. What a narrow one does without, and what `best` is where it is no accuracy, is said below.
    """
    rows = [
        (f"  {one.row.name}" if one is not snapshot else one.row.name, *_cells(one, snapshot))
        for snapshot in snapshots
        for one in (snapshot, *snapshot.children)
    ]
    columns = {heading: [row[place] for row in rows] for place, heading in enumerate(COLUMNS)}
    shown = fitting(columns, LEFT_OUT, width, {})
    notes = [
        *_measures(snapshots),
        _means(snapshots),
        left_out_at(columns, shown, "evosearch status NAME has all"),
    ]
    caption = "\n".join(note for note in notes if note)
    table = bare_table(caption or None)
    for heading in shown:
        table.add_column(heading, justify="left" if heading in _TEXTS else "right", no_wrap=True)
    for texts in zip(*(columns[heading] for heading in shown), strict=True):
        table.add_row(*cells(*texts))
    return table


def _measures(snapshots: Sequence[SearchSnapshot]) -> list[str]:
    """What the best is of searches that go by something else than the accuracy."""
    names: dict[Measure, list[str]] = {}
    for snapshot in snapshots:
        names.setdefault(measure_of(snapshot.row), []).append(snapshot.row.name)
    return [
        f"best: {MEASURES[measure]}{' of ' + ', '.join(of) if len(names) > 1 else ''}"
        for measure, of in names.items()
        if measure != "accuracy"
    ]


def _means(snapshots: Sequence[SearchSnapshot]) -> str:
    """Whose best is a mean, where that is so."""
    names = [one.row.name for one in snapshots if one.best is not None and one.best.trainings > 1]
    return f"best of {', '.join(names)}: mean of its trainings" if names else ""


def _cells(snapshot: SearchSnapshot, above: SearchSnapshot) -> tuple[str, ...]:
    """`above`: the search that it belongs to, or itself."""
    row, best, left = snapshot.row, snapshot.best, snapshot.seconds_left
    return (
        snapshot.state,
        "-" if _is_list(row) else f"{row.generation if row.generation >= 0 else '-'}/{row.generations - 1}",
        f"{snapshot.done}/{_known(snapshot.total)}",
        str(snapshot.running),
        _mean_of_winner(above.contest) if row.name == contenders_name(above.row.name) else _figure(best),
        _clock(row.seconds),
        _clock(left) if snapshot.state == "running" and left is not None else "",
        _failed(row),
    )


def _mean_of_winner(contest: Contest | None) -> str:
    """Of contenders their means count, and no single training; nothing before all have ended."""
    return "" if contest is None else f"{fmean(contest.winner.fresh):.4f}"


def _figure(best: EvaluationRow | None) -> str:
    if best is None or best.fitness is not None:
        return "" if best is None else f"{best.fitness:.4f}"
    return "" if best.loss is None else f"loss {best.loss:.4f}"


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds, as narrow as they can be read."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _failed(row: SearchRow) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in row.failed.items()) or "none"


def _recalled(row: SearchRow) -> str:
    return f" ({row.recalled} as copies of equal networks, untrained)" if row.recalled else ""


def _generation(row: SearchRow) -> str:
    """Generations count from 0; a person reads which of how many."""
    return f"{row.generation} (0 to {row.generations - 1})" if row.generation >= 0 else "not begun"


def _is_list(row: SearchRow) -> bool:
    """Whether it trains a list of networks, as a retraining does: that has no generations."""
    strategy = row.configuration.get("strategy")
    return isinstance(strategy, Mapping) and strategy.get("name") == "list"


def _known(total: int | None) -> str:
    return "?" if total is None else str(total)


def _of_all(snapshot: SearchSnapshot) -> str:
    return (
        "; its plugin is not installed here, or cannot say of how many"
        if snapshot.total is None
        else f"; {snapshot.total} in all"
    )
