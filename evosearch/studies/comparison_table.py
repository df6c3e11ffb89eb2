"""The table of a study as a value: a row for each arm, and beside it everything without which its figures say little."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from evosearch.studies.comparison import DRAWS, Arm, ArmFigures, Reference, compare, references_of
from evosearch.studies.metrics import Metrics, classification_metrics

Known: TypeAlias = tuple[int | None, ...]
"""A whole number for each seed, None where it is not known; empty: not known of any."""

LEAST_FALL = 0.1
"""A network whose training loss fell by less than this share of its first value was not trained."""


@dataclass(frozen=True)
class ArmFacts:
    """What is known of an arm besides its answers. Of several networks: a value for each seed, in the order of its seeds."""

    networks: tuple[str | None, ...] = ()
    """As text: a chromosome, or the name of one that people made; None: not known."""
    parameters: Known = ()
    """Trainable numbers of its network."""
    flops: Known = ()
    """Forward, for one image."""
    depth: Known = ()
    """Layers with weights, or however the study counts them."""
    worker_seconds: float | None = None
    """Spent by workers on all of it: searches, retrainings, readings; None: not known."""
    losses: tuple[tuple[float, ...], ...] = ()
    """Training loss by epoch of what was read, for each seed; what did not fall is noted."""
    readings: tuple[int, ...] = ()
    """Which reading of the test split each figure is from, 1: the first of its search."""
    notes: tuple[str, ...] = ()
    """What else a reader has to know of this arm, each a few words."""
    rates: tuple[float | None, ...] = ()
    """Of dropout before the class layer, where the study is about it."""
    thresholds: tuple[float | None, ...] = ()
    """Above which probability of the positive class each network answered it; empty where all answered the most probable class."""


@dataclass(frozen=True)
class StudyFacts:
    """What a whole study was made with, as it stands above its table."""

    name: str
    """The study's."""
    kind: str
    """baselines, ablation and so on."""
    classes: tuple[str, ...]
    """Of the images, by number."""
    positive: int = 1
    """Number of the class, of two, that F1 is of."""
    budgets: tuple[str, ...] = ()
    """What each arm was allowed, a phrase each: `810 evaluations of 100 epochs`, `retrained for 1000 epochs`."""
    data_key: str = ""
    """Hash of all images and their splits."""
    test_key: str = ""
    """Hash of the test split alone."""
    test_readings: int = 0
    """How many networks of these searches have read that very split, with whatever final keys; more than the rows show where some of
    them are in no row. 0: not known."""
    versions: tuple[tuple[str, str], ...] = ()
    """Of what was computed with: name and version."""
    hardware: tuple[str, ...] = ()
    """Devices of the workers, each once."""
    worker_seconds: float | None = None
    """Of the whole study; None: not known."""
    shortcut: float | None = None
    """Accuracy on the same test images of what reads file headers alone, without one pixel; None: not measured."""
    pixels: float | None = None
    """The same of what reads ten statistics of each image alone; None: not measured."""
    caveats: tuple[str, ...] = ()
    """What the audit of the data found, a line each."""
    numbering: str = ""
    """How seeds are numbered where a search has several final trainings."""


@dataclass(frozen=True)
class ComparisonRow:
    """One arm."""

    figures: ArmFigures
    """Accuracy on the test images, and how it compares."""
    f1: float
    """Mean over the seeds; of the positive class of two, else the mean over the classes."""
    auroc: float | None
    """Mean over the seeds; None where probabilities were not kept, or it is undefined."""
    believed: float | None
    """What the searches thought of their winners, the mean of what is known; None: nothing is."""
    validation: float | None
    """Validation accuracy of what was read, likewise."""
    facts: ArmFacts
    """Sizes, cost, readings."""
    notes: tuple[str, ...]
    """Of `facts`, and what was noticed here: what was not trained, what answers one class only, what has no pair, what has the
    networks of its reference."""


@dataclass(frozen=True)
class UnreadArm:
    """An arm of which no network has read the test split: a row without figures."""

    name: str
    """The arm's."""
    failed: bool
    """Whether none ever will."""
    notes: tuple[str, ...]
    """Why not, each a few words."""


@dataclass(frozen=True)
class ComparisonTable:
    """A study's result."""

    facts: StudyFacts
    """Above the table."""
    references: Mapping[str, str]
    """By the name of an arm, that of the one that it is compared with, itself: it is a reference; with one of `unread` nothing is
    compared."""
    images: int
    """Of the test split."""
    seeds: tuple[int, ...]
    """Of any arm, in order."""
    draws: int
    """Of the bootstrap."""
    constant: float
    """Accuracy of always answering the class that most of these images are of."""
    rows: tuple[ComparisonRow, ...]
    """In the order in which the arms were given."""
    unread: tuple[UnreadArm, ...] = ()
    """Below them."""

    @property
    def shown_readings(self) -> int:
        """How many readings of the test split its figures are of."""
        return sum(len(row.figures.seeds) for row in self.rows)

    @property
    def compares(self) -> bool:
        """Whether a reference has figures that others can be held against."""
        return any(row.figures.name in self.references.values() for row in self.rows)

    @property
    def reference(self) -> str | None:
        """The arm that all others are compared with; None: there are several."""
        found = set(self.references.values())
        return found.pop() if len(found) == 1 else None


def comparison_table(
    arms: Sequence[Arm],
    reference: Reference,
    seed: int,
    study: StudyFacts,
    facts: Mapping[str, ArmFacts] | None = None,
    draws: int = DRAWS,
    unread: Sequence[UnreadArm] = (),
) -> ComparisonTable:
    """Everything a study says of its arms; nothing in it is of another origin than these arguments.

    Args:
        arms: at least one; their order is the table's.
        reference: of all, or of each; it may be an arm that was not read.
        seed: the study's, from which the bootstrap draws.
        study: what stands above the table.
        facts: what else is known of an arm, by its name.
        draws: of the bootstrap.
        unread: arms without figures.

    Raises:
        SearchConflictError: the arms were read on different test splits.
    """
    facts = facts or {}
    _check_facts(arms, facts)
    references = references_of([*(arm.name for arm in arms), *(one.name for one in unread)], reference)
    read = {arm.name for arm in arms}
    known = {arm: one for arm, one in references.items() if arm in read and one in read}
    figures = compare(arms, known, seed, draws)
    networks = {arm.name: _networks_of(arm, facts.get(arm.name, ArmFacts())) for arm in arms}
    labels = arms[0].labels
    return ComparisonTable(
        facts=study,
        references=references,
        images=len(labels),
        seeds=tuple(sorted({one for arm in arms for one in arm.seeds})),
        draws=draws,
        constant=max(float((labels == number).mean()) for number in range(len(study.classes))),
        rows=tuple(
            _row(arm, found, study, facts.get(arm.name, ArmFacts()), known.get(arm.name), networks)
            for arm, found in zip(arms, figures, strict=True)
        ),
        unread=tuple(unread),
    )


def _check_facts(arms: Sequence[Arm], facts: Mapping[str, ArmFacts]) -> None:
    seeds = {arm.name: len(arm.seeds) for arm in arms}
    for name, one in facts.items():
        for values in (
            one.networks,
            one.parameters,
            one.flops,
            one.depth,
            one.losses,
            one.readings,
            one.rates,
            one.thresholds,
        ):
            if values and len(values) != seeds.get(name):
                raise ValueError(f"facts of {name!r} hold {len(values)} values for {seeds.get(name)} seeds")


def is_trained(losses: Sequence[float]) -> bool:
    """Whether a training loss, epoch by epoch, fell by a tenth at least; one epoch alone cannot tell, and passes.

    >>> is_trained([0.69, 0.70, 0.66]), is_trained([0.69, 0.40]), is_trained([0.69, float("nan")])
    (False, True, False)
    """
    if len(losses) < 2:
        return True
    return isfinite(losses[-1]) and losses[-1] <= (1 - LEAST_FALL) * losses[0]


def _row(
    arm: Arm,
    figures: ArmFigures,
    study: StudyFacts,
    facts: ArmFacts,
    reference: str | None,
    networks: Mapping[str, Mapping[int, Any]],
) -> ComparisonRow:
    f1, auroc = _measures(arm, study)
    return ComparisonRow(
        figures=figures,
        f1=f1,
        auroc=auroc,
        believed=mean_of_known(arm.believed),
        validation=mean_of_known(arm.validation),
        facts=facts,
        notes=(
            *facts.notes,
            *_untrained(arm, facts),
            *_constant(arm),
            *_unpaired(arm, figures, reference),
            *_same(arm.name, figures, networks, by_rate=bool(facts.rates)),
        ),
    )


def _measures(arm: Arm, study: StudyFacts) -> tuple[float, float | None]:
    """Means of F1 and AUROC over the seeds.

    F1 goes by the classes that were answered: probabilities of 16 bits may have become equal, and their first would win.
    """
    certain = np.eye(len(study.classes), dtype=np.float32)
    f1 = fmean(_metrics(arm, certain[answers], study).f1 for answers in arm.predicted)
    if arm.probabilities is None:
        return f1, None
    whole = arm.probabilities.astype(np.float64)
    whole /= whole.sum(axis=2, keepdims=True)  # of 16 bits they add up to one only nearly
    known = [_metrics(arm, each.astype(np.float32), study).auroc for each in whole]
    return f1, fmean(one for one in known if one is not None) if None not in known else None


def _metrics(arm: Arm, probabilities: npt.NDArray[np.float32], study: StudyFacts) -> Metrics:
    return classification_metrics(arm.labels, probabilities, study.classes, study.positive)


def mean_of_known(known: Sequence[float | None]) -> float | None:
    """None where nothing is known."""
    values = [one for one in known if one is not None]
    return fmean(values) if values else None


def _untrained(arm: Arm, facts: ArmFacts) -> tuple[str, ...]:
    seeds = [
        seed
        for seed, losses in zip(arm.seeds, facts.losses, strict=False)
        if losses and not is_trained(losses)
    ]
    if not seeds:
        return ()
    return (f"not trained: the training loss did not fall by a tenth ({named_seeds(seeds)})",)


def _constant(arm: Arm) -> tuple[str, ...]:
    """Seeds whose network answers every test image alike, though the images are of several classes: it tells nothing apart, whatever
    its loss did.
    """
    if (arm.labels == arm.labels[0]).all():
        return ()
    alike = (arm.predicted == arm.predicted[:, :1]).all(axis=1)
    seeds = [seed for seed, one in zip(arm.seeds, alike, strict=True) if one]
    return (f"answers one class only ({named_seeds(seeds)})",) if seeds else ()


def _networks_of(arm: Arm, facts: ArmFacts) -> dict[int, tuple[str | None, float | None]]:
    """By seed the network, with the dropout before its class layer where the study is about that: it is another network then."""
    rates = facts.rates or (None,) * len(facts.networks)
    return dict(zip(arm.seeds, zip(facts.networks, rates, strict=True), strict=False))


def _same(
    name: str, figures: ArmFigures, networks: Mapping[str, Mapping[int, Any]], *, by_rate: bool
) -> tuple[str, ...]:
    """Where nothing but the training can make the difference to the reference, or, `by_rate`, nothing at all to an arm above: networks
    that differ by their dropout alone are trained alike from equal seeds.
    """
    own, found = networks[name], figures.comparison
    if found is None or not own or any(own[seed][0] is None for seed in found.seeds):
        return ()
    above = list(networks)[: list(networks).index(name)] if by_rate else []
    for other in (found.reference, *above):
        seeds = found.seeds if other == found.reference else tuple(own)
        if all(own[seed] == networks[other].get(seed) for seed in seeds):
            return (f"the same network{'s' * (len(seeds) > 1)} as {other}",)
    return ()


def _unpaired(arm: Arm, figures: ArmFigures, reference: str | None) -> tuple[str, ...]:
    if reference in (None, arm.name):
        return ()
    if figures.comparison is None:
        return (f"not compared: no seed in common with {reference}",)
    left = figures.comparison.unpaired
    return (f"compared without {named_seeds(left)}, which only one of both has",) if left else ()


def named_seeds(seeds: Sequence[int]) -> str:
    """`seed 3`, `seeds 0, 1`."""
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
