"""What a search believed of its winner beside what was confirmed: the best of many was chosen for its luck too."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from evosearch.reports.words import MEASURES, counted, measure_of
from evosearch.storage import EvaluationRow, SearchRow, TestReading
from evosearch.studies import Contest, has_given_weights, protocol_of, wilson

MOST_IMAGES = 1_000_000_000
"""More are no count of images but a damaged journal."""


@dataclass(frozen=True)
class Mean:
    """Accuracies of several networks."""

    mean: float
    """0 to 1."""
    deviation: float | None
    """The sample's standard deviation; None of one network."""

    @classmethod
    def of(cls, values: Sequence[float]) -> "Mean":
        """Of one value at least."""
        return cls(fmean(values), stdev(values) if len(values) > 1 else None)

    def __str__(self) -> str:
        spread = "" if self.deviation is None else f" ± {self.deviation:.4f}"
        return f"{self.mean:.4f}{spread}"


@dataclass(frozen=True)
class Confirmation:
    """The winner of a search in the search, and trained again. All figures are accuracies, 0 to 1."""

    candidate: int
    """The winner's number."""
    believed: float | None
    """On the validation images, in the search; None where that is not known."""
    believed_epochs: int | None
    """Of its training in the search, at most; None where the journal does not say."""
    candidates: int
    """How many were trained to their end and have a fitness, whose best it is."""
    measure: str
    """What it is the best by."""
    search: str
    """The retraining."""
    epochs: int
    """Of each training in it, at most."""
    ends_early: bool
    """Whether a training could end before."""
    trainings: int
    """How many networks were trained again, each from a fresh seed, and have read the test split."""
    given_weights: bool
    """Whether they started from given weights: these may be of a training on the same images."""
    validation: Mean | None
    """On the validation images; None where these were trained on too."""
    test: Mean
    """On the test images."""
    images: int | None
    """How many test images there are; None where the journal does not say."""
    interval: tuple[float, float] | None
    """95 % (Wilson) of the mean test accuracy over which images the split happens to hold; nothing of seeds."""
    contenders: int = 1
    """Of how many it is the winner by fresh trainings; 1: it is the search's own best."""
    fresh: tuple[float, ...] = ()
    """Fitness of each of these, by what the search goes by; none where there were none."""

    def to_json(self) -> dict[str, Any]:
        """JSON form, keys as the fields; those of contenders where there were several."""
        found = asdict(self) | {"interval": self.interval and list(self.interval)}
        return {
            key: one
            for key, one in found.items()
            if self.contenders > 1 or key not in ("contenders", "fresh")
        }


def confirmation_of(
    row: SearchRow,
    best: EvaluationRow | None,
    readings: Sequence[TestReading],
    contest: Contest | None = None,
) -> Confirmation | None:
    """Of the search `row` with this `best`, by those of its `readings` that are of it and were trained as the newest one.
    `contest`: whose winner takes the place of the best; None: there was none.

    None where it has no best, or that was not retrained yet.
    """
    won = None if contest is None else contest.winner
    best = best if won is None else won.row
    ended = [one for one in readings if best is not None and one.metrics and one.number == best.candidate]
    if best is None or not ended:
        return None
    alike = [one for one in ended if protocol_of(one) == protocol_of(ended[-1])]
    metrics = [one.metrics or {} for one in alike]
    validated = [one["validation_accuracy"] for one in metrics if one.get("validation_accuracy") is not None]
    test, images = Mean.of([one["accuracy"] for one in metrics]), _images(metrics[-1])
    known = best.fitness if measure_of(row) == "accuracy" else best.accuracy
    if won is not None and measure_of(row) == "accuracy":
        known = won.believed
    return Confirmation(
        best.candidate,
        known,
        _epochs(row),
        row.trained_candidates,
        measure_of(row),
        alike[-1].search,
        alike[-1].epochs,
        any("ended_after" in one for one in metrics),
        len(alike),
        has_given_weights(alike[-1]),
        Mean.of(validated) if validated else None,
        test,
        images,
        wilson(round(test.mean * images), images) if images and 0 <= test.mean <= 1 else None,
        1 if contest is None else len(contest.contenders),
        () if won is None else won.fresh,
    )


def _images(metrics: Mapping[str, Any]) -> int | None:
    found = metrics.get("images")
    return found if isinstance(found, int) and 0 < found <= MOST_IMAGES else None


def _epochs(row: SearchRow) -> int | None:
    training = row.configuration.get("training")
    found = training.get("epochs") if isinstance(training, dict) else None
    return found if isinstance(found, int) else None


def _which(found: Confirmation) -> str:
    if found.contenders == 1:
        return f"the best of {found.candidates}"
    return f"one of the best {found.contenders} of {found.candidates}"


def _fresh_lines(found: Confirmation) -> list[str]:
    """By what it won over other contenders."""
    if not found.fresh:
        return []
    trainings = counted(len(found.fresh), "fresh training")
    mean = f"{fmean(found.fresh):.4f}"
    return [
        f"  contenders         {mean} in {trainings} like it, the best of {found.contenders} by these alone"
    ]


def confirmation_lines(found: Confirmation | None) -> list[str]:
    """The same for a person; nothing where nothing is confirmed yet."""
    if found is None:
        return []
    images = "the test images" if found.images is None else counted(found.images, "test image")
    by = MEASURES[next(one for one in MEASURES if one == found.measure)]
    believed = "not known" if found.believed is None else f"{found.believed:.4f}"
    short = "" if found.believed_epochs is None else f" after {counted(found.believed_epochs, 'epoch')}"
    most = "at most " if found.ends_early else ""
    start = "given weights and " if found.given_weights else ""
    how = f"after {most}{counted(found.epochs, 'epoch')} from {start}{counted(found.trainings, 'fresh seed')}"
    interval = (
        ""
        if found.interval is None
        else "; 95 % {:.4f} to {:.4f} over the images alone".format(*found.interval)
    )
    validated = (
        "not known: the validation images were trained on too"
        if found.validation is None
        else f"{found.validation} on the same images {how}"
    )
    return [
        f"Accuracy of candidate {found.candidate}",
        f"  believed           {believed} on the validation images in the search{short}, {_which(found)} by {by}",
        *_fresh_lines(found),
        f"  confirmed          {validated}",
        f"  test               {found.test} on {images} {how}{interval}",
    ]
