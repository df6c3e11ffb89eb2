"""Is one arm of a study better than another, by more than chance? Figures, intervals and tests, from predictions alone.

Two things were left to chance: the seeds of the trainings and the images of the test split. So an arm is called better only
where three questions are answered alike: would other *images* say the same (exact tests, Holm over the table), would other
*seeds* (a t-test of few pairs, a permutation test of more), and would both together (the bootstrap's interval).

How often a difference is claimed where there is none, in 200 drawn tables each of two equal arms on 600 images at accuracy 0.8:
in 1.5 and 4 of 100 with 3 seeds whose trainings differ by 2 and by 3 points (standard deviation), in 3 and 2.5 with 5 such
seeds, in 0.5 with 8 that differ by 2; in 4 of 100 with one seed, of which it is said that seeds were not tested.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from evosearch.errors import SearchConflictError
from evosearch.evaluation import Labels
from evosearch.studies.intervals import Interval

DRAWS = 10_000
"""Bootstrap draws of a table."""

LEVEL = 0.05
"""A chance below this is called none."""

LEAST_SEEDS = 3
"""With fewer common seeds than this nothing is said of seeds."""

LEAST_PERMUTED = 6
"""With fewer no permutation of signs falls below `LEVEL`: of 5 pairs that agree one in 16 does so by chance."""

PERMUTATIONS = 9_999
"""Random permutations where there are more of them; with up to 13 seeds each is looked at."""

AT_ONCE = 2**24
"""Weights that are held in memory together."""

Verdict: TypeAlias = Literal["better", "worse", "no difference"]
Figures: TypeAlias = npt.NDArray[np.float64]
Reference: TypeAlias = str | Mapping[str, str]
"""The arm that all others are held against; or for each arm, by name, the one that it is held against, itself for none."""


class Purpose(IntEnum):
    """What a stream of a study's seed is for; never change or reuse one."""

    IMAGES = 101
    SEEDS = 102
    PERMUTATION = 103
    RATE = 104


@dataclass(frozen=True, eq=False)
class Arm:
    """What one arm of a study answered on the test images: a network for each seed."""

    name: str
    """The arm's, without the seed."""
    seeds: tuple[int, ...]
    """Of its networks, each once."""
    labels: Labels
    """(N,): the true class of each test image, from 0."""
    predicted: Labels
    """(seeds, N): the class that each network answered."""
    probabilities: npt.NDArray[np.floating] | None = None
    """(seeds, N, classes); None where they were not kept, and AUROC is unknown."""
    test_key: str = ""
    """Hash of the test split alone: only readings of one split are compared."""
    searches: tuple[int, ...] = ()
    """For each network the seed of the search that found it: several final trainings of one search share what chance did in it,
    and count as one seed. Empty: each is of its own."""
    believed: tuple[float | None, ...] = ()
    """For each seed, what the search thought of its winner: its validation accuracy there; empty: not known."""
    validation: tuple[float | None, ...] = ()
    """For each seed, the validation accuracy of the network that was read; empty: not known."""

    def __post_init__(self) -> None:
        shape = (len(self.seeds), len(self.labels))
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"{self.name!r} needs different seeds, at least one; found {self.seeds}")
        if not len(self.labels) or self.predicted.shape != shape:
            raise ValueError(f"{self.name!r} predicts {self.predicted.shape}, not {shape} (seeds, images)")
        if self.probabilities is not None and self.probabilities.shape[:2] != shape:
            raise ValueError(f"{self.name!r} has probabilities {self.probabilities.shape} for {shape} images")
        for known in (self.searches, self.believed, self.validation):
            if known and len(known) != len(self.seeds):
                raise ValueError(f"{self.name!r} has {len(known)} figures for {len(self.seeds)} seeds")

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """(seeds, N): whether the answer was right."""
        return np.asarray(self.predicted == self.labels)

    def groups_of(self, seeds: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Which of `seeds`, by their places in it, belong together since their networks are of one search."""
        found = dict(zip(self.seeds, self.searches or self.seeds, strict=True))
        groups: dict[int, list[int]] = {}
        for place, seed in enumerate(seeds):
            groups.setdefault(found[seed], []).append(place)
        return tuple(map(tuple, groups.values()))

    def places_of(self, seeds: Sequence[int]) -> list[int]:
        """Where the networks of `seeds` are in its arrays."""
        return [self.seeds.index(seed) for seed in seeds]


@dataclass(frozen=True)
class Comparison:
    """An arm against the reference, by pairs of equal seeds on the same images; differences are arm minus reference."""

    reference: str
    """The other arm's name."""
    seeds: tuple[int, ...]
    """Of the pairs: those that both have."""
    independent: int
    """How many of them say something of seeds: pairs of one search are one."""
    unpaired: tuple[int, ...]
    """Seeds that only one of them has; they count in its own figures and in no comparison."""
    difference: float
    """Of the mean accuracies over these seeds, to which each search counts alike."""
    interval: Interval
    """95 % of the bootstrap draws of that difference lie here."""
    not_better: float
    """Share of the bootstrap draws (seeds and test images drawn together, pairs kept) in which the arm is not better."""
    not_worse: float
    """Share in which it is not worse: in which the reference is not better."""
    mcnemar: tuple[float, ...]
    """Two-sided p of McNemar's exact test for each pair."""
    p: float
    """Two-sided, over the images, with these very networks: McNemar's for one pair; for more a permutation test in which an
    image changes sides with all of its pairs."""
    p_holm: float
    """The same, by Holm's method over all comparisons of the table."""
    seeds_p: float | None
    """Two-sided, over the seeds: a permutation test of the pairs' differences, exact up to 13 seeds; of 3 to 5 a t-test, which takes
    them for normally distributed; None below 3."""

    @property
    def verdict(self) -> Verdict:
        """What images, seeds and both together say alike; anything else is no difference."""
        low, high = self.interval
        by_seeds = 0.0 if self.seeds_p is None else self.seeds_p
        if self.p_holm >= LEVEL or low <= 0 <= high or by_seeds >= LEVEL:
            return "no difference"
        return "better" if self.difference > 0 else "worse"

    @property
    def sentence(self) -> str:
        """The verdict for a person, with what it does not say."""
        told = {
            "better": f"better than {self.reference}",
            "worse": f"worse than {self.reference}",
            "no difference": "no difference beyond chance",
        }[self.verdict]
        if self.seeds_p is None:
            found = "1 pair" if self.independent == 1 else f"{self.independent} pairs"
            if self.independent < len(self.seeds):
                found = f"{self.independent} {'search' if self.independent == 1 else 'searches'}"
            return f"{told}; seeds were not tested ({found}, {LEAST_SEEDS} are needed)"
        return told


@dataclass(frozen=True)
class ArmFigures:
    """What is known of an arm's accuracy, and how it compares."""

    name: str
    """The arm's."""
    seeds: tuple[int, ...]
    """Of its networks."""
    independent: int
    """How many of them say something of seeds: those of one search are one."""
    accuracies: tuple[float, ...]
    """Of each seed."""
    accuracy: float
    """Their mean, to which each search counts alike."""
    deviation: float | None
    """Their sample standard deviation; None of one seed."""
    interval: Interval
    """95 % of the bootstrap draws of the mean lie here: other seeds, where there are several, and other images."""
    comparison: Comparison | None
    """None: it is the reference, or has no seed in common with it, or the reference answered nothing."""


def references_of(names: Sequence[str], reference: Reference) -> dict[str, str]:
    """For each of `names` the name of the arm that it is held against; nothing for those of which `reference` says nothing.

    >>> references_of(["a", "b"], "b"), references_of(["a", "b"], {"b": "b"})
    ({'a': 'b', 'b': 'b'}, {'b': 'b'})
    """
    if isinstance(reference, str):
        return dict.fromkeys(names, reference)
    return {one: reference[one] for one in names if one in reference}


def compare(
    arms: Sequence[Arm], reference: Reference, seed: int, draws: int = DRAWS
) -> tuple[ArmFigures, ...]:
    """Compare every arm with its reference, on the same test images; in the order given.

    Args:
        arms: at least one, each name once.
        reference: of all, or of each; an arm of which it says nothing is not compared.
        seed: the study's, at least 0; all chance comes from it.
        draws: of the bootstrap.

    Raises:
        SearchConflictError: they were read on different test splits.

    >>> labels = np.zeros(100, int)
    >>> def answers(name, *wrong):
    ...     return Arm(name, tuple(range(len(wrong))), labels, np.array([np.arange(100) < count for count in wrong]).astype(int))
    >>> better, same = compare([answers("tuned", 2, 1, 3), answers("plain", 22, 24, 20)], "plain", seed=0)
    >>> better.accuracy, round(better.comparison.difference, 3), better.comparison.p_holm, same.comparison
    (0.98, 0.2, 0.0002, None)
    >>> better.comparison.sentence
    'better than plain'
    """
    references = references_of([arm.name for arm in arms], reference)
    by_name = {arm.name: arm for arm in arms}
    if len(by_name) != len(arms) or not {*references.values()} <= {*by_name}:
        raise ValueError(f"{reference!r} must be one of {[arm.name for arm in arms]}, each name once")
    for first, second in pairwise(arms):
        _check_same_images(first, second)
    drawn = _resampled_images(np.concatenate([arm.correct for arm in arms]), seed, draws)
    ends = np.cumsum([len(arm.seeds) for arm in arms])[:-1]
    accuracies = dict(zip(by_name, np.split(drawn, ends, axis=1), strict=True))
    compared = [
        replace(
            _figures(arm, accuracies[arm.name], seed),
            comparison=None
            if against in (None, arm.name)
            else _comparison(arm, by_name[against], accuracies[arm.name], accuracies[against], seed),
        )
        for arm in arms
        for against in [references.get(arm.name)]
    ]
    return _with_holm(compared)


def _check_same_images(first: Arm, second: Arm) -> None:
    if first.test_key != second.test_key or not np.array_equal(first.labels, second.labels):
        keys = [f"{arm.test_key[:12]} ({len(arm.labels)} images)" for arm in (first, second)]
        raise SearchConflictError(
            f"the test images of {first.name!r} are {keys[0]}, those of {second.name!r} {keys[1]}; only readings of one test "
            "split can be compared: read both on the same data"
        )


def _figures(arm: Arm, drawn: Figures, seed: int) -> ArmFigures:
    """Not compared yet. `drawn`: (draws, seeds), the accuracies on other images."""
    accuracies = arm.correct.mean(axis=1)
    return ArmFigures(
        name=arm.name,
        seeds=arm.seeds,
        independent=len(arm.groups_of(arm.seeds)),
        accuracies=tuple(accuracies.tolist()),
        accuracy=_mean(accuracies, arm.groups_of(arm.seeds)),
        deviation=float(accuracies.std(ddof=1)) if len(arm.seeds) > 1 else None,
        interval=_interval(_resampled_seeds(_means(drawn, arm.groups_of(arm.seeds)), seed)),
        comparison=None,
    )


def _comparison(
    arm: Arm, reference: Arm, drawn: Figures, of_reference: Figures, seed: int
) -> Comparison | None:
    """`drawn` and `of_reference`: as in `_figures`."""
    seeds = tuple(one for one in arm.seeds if one in reference.seeds)
    if not seeds:
        return None
    mine, others = arm.places_of(seeds), reference.places_of(seeds)
    pairs = arm.correct[mine].astype(np.int64) - reference.correct[others]
    groups = arm.groups_of(seeds)
    differences = _resampled_seeds(_means(drawn[:, mine] - of_reference[:, others], groups), seed)
    mcnemar = tuple(exact_mcnemar(pair) for pair in pairs)
    p = mcnemar[0] if len(seeds) == 1 else _permuted(pairs.sum(axis=0), seed)
    tested = len(groups) >= LEAST_SEEDS
    return Comparison(
        reference=reference.name,
        seeds=seeds,
        independent=len(groups),
        unpaired=tuple(sorted({*arm.seeds, *reference.seeds} - set(seeds))),
        difference=_mean(pairs.mean(axis=1), groups),
        interval=_interval(differences),
        not_better=float((differences <= _NOTHING).mean()),
        not_worse=float((differences >= -_NOTHING).mean()),
        mcnemar=mcnemar,
        p=p,
        p_holm=p,
        seeds_p=_over_seeds(np.array([pairs[list(one)].sum() for one in groups]), seed) if tested else None,
    )


def _with_holm(figures: Sequence[ArmFigures]) -> tuple[ArmFigures, ...]:
    from statsmodels.stats.multitest import multipletests  # noqa: PLC0415 - a second that only studies need

    found = [one.comparison for one in figures if one.comparison is not None]
    if not found:
        return tuple(figures)
    adjusted = iter(multipletests([one.p for one in found], method="holm")[1].tolist())
    return tuple(
        one
        if one.comparison is None
        else replace(one, comparison=replace(one.comparison, p_holm=next(adjusted)))
        for one in figures
    )


_NOTHING = 1e-9
"""Differences of draws are sums of fractions; what is smaller than this is a tie."""


def _resampled_images(correct: npt.NDArray[np.bool_], seed: int, draws: int) -> Figures:
    """Accuracy of each row of `correct` (rows, N) on `draws` samples of N images with replacement, the same for all rows.

    Returns: (draws, rows).
    """
    rng = np.random.default_rng([seed, Purpose.IMAGES])
    images = correct.shape[1]
    weighed = []
    for begin in range(0, draws, step := max(1, AT_ONCE // images)):
        count = min(step, draws - begin)
        drawn = rng.integers(0, images, size=(count, images)) + images * np.arange(count)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * images).reshape(count, images)
        weighed.append(times.astype(np.float64) @ correct.T / images)
    return np.concatenate(weighed)


def _means(drawn: Figures, groups: Sequence[Sequence[int]]) -> Figures:
    """`drawn` (draws, seeds) with the mean of those that belong together in the place of each: (draws, groups)."""
    if all(len(one) == 1 for one in groups):
        return drawn
    return np.stack([drawn[:, list(one)].mean(axis=1) for one in groups], axis=1)


def _mean(values: Figures, groups: Sequence[Sequence[int]]) -> float:
    """Of `values` (seeds,), those that belong together counted once: what the draws of the bootstrap lie around."""
    return float(_means(values[None], groups).mean())


def _resampled_seeds(drawn: Figures, seed: int) -> Figures:
    """The mean of `drawn` (draws, seeds) over as many seeds, drawn with replacement for each draw: (draws,)."""
    draws, seeds = drawn.shape
    rng = np.random.default_rng([seed, Purpose.SEEDS])
    chosen = rng.integers(0, seeds, size=(draws, seeds))
    return np.asarray(np.take_along_axis(drawn, chosen, axis=1).mean(axis=1))


def _interval(drawn: Figures) -> Interval:
    low, high = np.quantile(drawn, (LEVEL / 2, 1 - LEVEL / 2)).tolist()
    return low, high


def exact_mcnemar(pair: npt.NDArray[np.int64]) -> float:
    """Two-sided p that two networks are right on other images by chance alone. `pair` (N,): 1 where only the first is right, -1 where
    only the second is, 0 where they agree.

    Source: McNemar, Psychometrika 12, 1947.
    """
    from statsmodels.stats.contingency_tables import mcnemar  # noqa: PLC0415 - likewise

    table = [[0, int((pair > 0).sum())], [int((pair < 0).sum()), 0]]
    return float(mcnemar(table, exact=True).pvalue)


def _over_seeds(differences: npt.NDArray[np.int64], seed: int) -> float:
    """Two-sided p that paired `differences` of seeds have no direction."""
    from scipy.stats import ttest_1samp  # noqa: PLC0415 - likewise

    if len(differences) >= LEAST_PERMUTED:
        return _permuted(differences, seed)
    if not np.ptp(differences):  # no t-test is defined of what does not vary
        return 0.0 if differences[0] else 1.0
    return float(ttest_1samp(differences, 0).pvalue)


def _permuted(differences: npt.NDArray[np.int64], seed: int) -> float:
    """Two-sided p that paired `differences` (whole numbers) have no direction: each could as well have the other sign."""
    from scipy.stats import permutation_test  # noqa: PLC0415 - half a second that only studies need

    directed = differences[differences != 0]
    if len(directed) < 2:  # what differs once may have either sign, and nothing at all none
        return 1.0
    found = permutation_test(
        (directed,),
        lambda sample, axis: sample.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        batch=max(1, AT_ONCE // len(directed)),
        rng=np.random.default_rng([seed, Purpose.PERMUTATION]),
    )
    return float(found.pvalue)
