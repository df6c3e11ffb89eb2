"""A group: the searches whose names begin with `GROUP/`, one a seed, and what they say together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Self

from evosearch.reports.masks import found_mask, mask_words
from evosearch.reports.outcome import mean_words
from evosearch.reports.status import SearchSnapshot, status_document
from evosearch.reports.words import UNJUDGED, counted, ended, is_unjudged, next_steps
from evosearch.storage import EvaluationRow, SearchRow


@dataclass(frozen=True)
class MeanDeviation:
    """The best fitness of each member, taken together."""

    mean: float | None
    """Over the members with a success; None where none has one."""
    deviation: float | None
    """The sample standard deviation (divided by n - 1); None below two members with a success."""
    successful: int
    """How many members have a success."""
    unsuccessful: int
    """How many have none."""
    unfinished: int = 0
    """How many of all may yet find a better one."""

    @classmethod
    def of(cls, bests: Iterable[EvaluationRow | None], unfinished: int = 0) -> Self:
        """The spread of the members' best candidates, None where a member has none."""
        known = list(bests)
        fitness = [best.fitness for best in known if best is not None and best.fitness is not None]
        return cls(
            mean=fmean(fitness) if fitness else None,
            deviation=stdev(fitness) if len(fitness) > 1 else None,
            successful=len(fitness),
            unsuccessful=len(known) - len(fitness),
            unfinished=unfinished,
        )

    def __str__(self) -> str:
        """For a person: `mean ± deviation of the best: 0.9100 ± 0.0040 over 4 members, 1 without a success`."""
        unfinished = f", {self.unfinished} unfinished" if self.unfinished else ""
        if self.mean is None:
            return f"no success in {counted(self.unsuccessful, 'member')}{unfinished}"
        head = f"mean of the best: {self.mean:.4f}"
        if self.deviation is not None:
            head = f"mean ± deviation of the best: {self.mean:.4f} ± {self.deviation:.4f}"
        without = f", {self.unsuccessful} without a success" if self.unsuccessful else ""
        return f"{head} over {counted(self.successful, 'member')}{without}{unfinished}"


def snapshots_spread(snapshots: Sequence[SearchSnapshot]) -> MeanDeviation:
    """The spread of a group as its members are now."""
    unfinished = sum(snapshot.state != "done" for snapshot in snapshots)
    return MeanDeviation.of((snapshot.best for snapshot in snapshots), unfinished)


def best_member(members: Iterable[tuple[SearchRow, EvaluationRow | None]]) -> SearchRow | None:
    """The member whose best candidate has the highest fitness, of equals the first; None where none has a success."""
    successful = [
        (best.fitness, row) for row, best in members if best is not None and best.fitness is not None
    ]
    return max(successful, key=lambda pair: pair[0])[1] if successful else None


def group_document(name: str, snapshots: Sequence[SearchSnapshot]) -> dict[str, Any]:
    """The JSON document of `status GROUP --json`; its keys are stable. The figures: see `MeanDeviation`."""
    spread = snapshots_spread(snapshots)
    return {
        "name": name,
        "members": [status_document(snapshot) for snapshot in snapshots],
        "mean": spread.mean,
        "deviation": spread.deviation,
        "unfinished": spread.unfinished,
    }


def group_lines(
    name: str, members: Sequence[tuple[SearchRow, EvaluationRow | None]], folder: Path
) -> list[str]:
    """The end of a group: one line a member with its best, mean ± deviation, and what may come next. `folder`: where the
    picture of all is, on this machine.
    """
    done = sum(row.counts.get("done", 0) for row, _ in members)
    failed = sum(row.counts.get("failed", 0) for row, _ in members)
    recalled = sum(row.recalled for row, _ in members)
    width = max((len(row.name) for row, _ in members), default=0)
    lines = [
        f"{name}: done, {counted(len(members), 'member')}, {ended(done + failed, recalled, failed)}",
        "",
        *(f"{row.name.ljust(width)}  {_best(row, best)}" for row, best in members),
        "",
        str(MeanDeviation.of(best for _, best in members)),
        "",
        *([f"Evolution curves  {folder / 'evolution.png'}"] if len(members) > 1 else []),
    ]
    steps = [(f"evosearch results {name}", "every chromosome")]
    if (winner := best_member(members)) is not None:
        steps.append((f"evosearch retrain {winner.name}", "train and test the best"))
    return [*lines, *next_steps("Next              ", *steps)]


def _best(row: SearchRow, best: EvaluationRow | None) -> str:
    if best is None and row.counts.get("done") and is_unjudged(row):
        return f"no best: {UNJUDGED}"
    if (mask := found_mask(best)) is not None:
        return mask_words(mask)
    if best is None or best.fitness is None:
        return "no evaluation succeeded"
    return f"{best.fitness:.4f}{mean_words(best)}  {best.chromosome}"
