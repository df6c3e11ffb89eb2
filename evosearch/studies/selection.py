"""Does a search's selection find anything? Noise, pressure, response, diversity and origins, from a journal's rows alone.

Selection moves a population where three things hold: networks differ by more than the noise of their trainings, the better
ones are chosen, and children are like their parents. Each is a `Figure` here, with the number that it rests on, or with the
words why there is none. An equal network is not trained twice in a search but remembered; what was remembered says nothing new
of a network, and is left out wherever children are held against parents.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from evosearch.evaluation import Origin, parse_subject
from evosearch.genome import Chromosome
from evosearch.storage import EvaluationRow, GenerationRow, SearchRow, TestReading
from evosearch.studies.retraining import has_given_weights, protocol_of

LEAST = 3
"""Of fewer values no spread, correlation or test is told."""

LEVEL = 0.05
"""A chance below this is called none; intervals leave out as much."""

Values: TypeAlias = npt.NDArray[np.float64]

FigureName: TypeAlias = Literal[
    "noise",
    "spread",
    "bulk",
    "own",
    "own_bulk",
    "believed",
    "fresh",
    "optimism",
    "luck",
    "selected",
    "response",
    "beats",
    "heritability",
    "by_rank",
    "slope",
    "distinct",
    "distance",
    "parents",
    "recalled",
    "children_elite",
    "immigrants_elite",
    "inside",
    "outside",
    "depth",
]
"""What is told of a search, in this order."""


@dataclass(frozen=True)
class Figure:
    """One number of a search, or why there is none."""

    value: float | None
    """None where it is not known."""
    n: int
    """How many values it rests on."""
    p: float | None = None
    """Two-sided, against no difference or no correlation; None where nothing is tested."""
    why: str = ""
    """Why there is no value, in words."""
    interval: tuple[float, float] | None = None
    """95 % of the noise, by the chi-square distribution, and of what follows from it; None of other figures."""


@dataclass(frozen=True)
class GenerationFigures:
    """One generation: who is in it, and whom the next one was bred from."""

    generation: int
    """Its number, from 0."""
    members: int
    """How many there are."""
    distinct: int
    """Different chromosomes among them."""
    distance: float | None
    """Mean over pairs of members of how many convolutions without batch norm, ones with it, poolings and dense layers one has
    more or less than the other, summed; None below two of them.
    """
    parents: int
    """Different parents of the next generation's children; 0: it has none yet."""
    effective: float | None
    """The same, each counted by its share p of places as a parent: 1 / sum of p²; None without children."""
    selected: float | None
    """Mean fitness of these parents, each as often as it was chosen, minus the members' mean, in the members' deviations."""
    response: float | None
    """Mean fitness of the trained children minus the members' mean, in the members' deviations."""
    children: int
    """Trained children with a fitness."""


@dataclass(frozen=True)
class OriginFigures:
    """What came into a search in one way."""

    origin: str
    """initial, crossover, balanced (those of crossover that balance changed) or immigrant."""
    number: int
    """Candidates."""
    mean: float | None
    """Fitness of those that have one; None: none has."""
    best: float | None
    """The highest."""
    became_elite: int
    """How many were elites of the generation after the one that they were born into."""
    could: int
    """How many there were of whom that is known."""
    places: int
    """How many places of elites they took over all generations, one that stays counted each time."""
    of_places: int
    """Places of elites there were."""


@dataclass(frozen=True)
class WinnerFigures:
    """The best of a search."""

    candidate: int
    """Its number."""
    generation: int
    """The one it was born into."""
    origin: str
    """As in `OriginFigures`."""
    fitness: float
    """In the search."""
    before: float | None
    """The highest fitness in the generation before its own; None where it was born into the first."""


@dataclass(frozen=True)
class SelectionFigures:
    """All of that, of one search."""

    name: str
    """The search's."""
    state: str
    """As journaled."""
    strategy: str
    """By name; empty where the journal does not say."""
    done: int
    """Evaluations with a fitness."""
    trained: int
    """Those of them that were trained, not remembered."""
    epochs: int | None
    """Of a training in the search, at most; None where the journal does not say."""
    final_epochs: int | None
    """Of a fresh training of the winner, at most; None where there is none."""
    space: Mapping[str, Any]
    """The ranges of random networks, as journaled."""
    figures: Mapping[FigureName, Figure]
    """Each of `FigureName`."""
    generations: tuple[GenerationFigures, ...]
    """In order; nothing where networks were not bred in generations."""
    origins: tuple[OriginFigures, ...]
    """Those there are."""
    winner: WinnerFigures | None
    """None where nothing has a fitness."""
    missing: str = ""
    """What does not apply to this search, in words."""
    by_repeats: bool = False
    """Whether the noise is that of trainings which the search itself repeated, as the winner was not trained afresh twice."""
    is_search: bool = True
    """Whether networks were looked for: not in a list of trials, nor where masks are."""

    @property
    def is_bred(self) -> bool:
        """Whether networks in it have children."""
        return self.is_search and any(one.origin == Origin.CROSSOVER for one in self.origins)


def selection_figures(
    row: SearchRow,
    evaluations: Sequence[EvaluationRow],
    generations: Sequence[GenerationRow],
    readings: Sequence[TestReading],
    best: EvaluationRow | None,
) -> SelectionFigures:
    """Of the search `row`, finished or not, by what its journal has of it.

    Args:
        row: the search.
        evaluations: all of it.
        generations: likewise.
        readings: of its retrainings; of the winner's the newest way of training counts.
        best: its winner so far.
    """
    known = [one for one in evaluations if one.fitness is not None and one.until == one.repeat == 0]
    trained = [one for one in known if not one.cached]
    fresh, epochs = _fresh(row, best, readings)
    repeated = _repeated(evaluations)
    bred = _Bred.of(evaluations, generations)
    figures: dict[FigureName, Figure] = {
        **_noise(row.name, fresh, repeated, [one.fitness for one in generations], len(trained), best),
        **bred.figures,
        "recalled": _share(len(known) - len(trained), len(known), "nothing has a fitness yet"),
        **_depth(trained, row.configuration.get("space")),
    }
    is_search = not any(one.origin == Origin.LISTED or one.losses for one in evaluations)
    training, strategy = row.configuration.get("training"), row.configuration.get("strategy")
    searched = training.get("epochs") if isinstance(training, Mapping) else None
    name = strategy.get("name") if isinstance(strategy, Mapping) else None
    return SelectionFigures(
        name=row.name,
        state=row.state,
        strategy=name if isinstance(name, str) else "",
        done=len(known),
        trained=len(trained),
        epochs=searched if isinstance(searched, int) else None,
        final_epochs=epochs,
        space=found if isinstance(found := row.configuration.get("space"), Mapping) else {},
        figures=figures,
        generations=bred.rows,
        origins=bred.origins,
        winner=bred.winner(best),
        missing=_missing(evaluations, is_search),
        by_repeats=len(fresh) < 2 and bool(repeated),
        is_search=is_search,
    )


def _missing(evaluations: Sequence[EvaluationRow], is_search: bool) -> str:
    if any(one.losses for one in evaluations):
        return "masks over one network go by their loss, and no figure here is of them"
    if not is_search:
        return "in a list of trials nothing is selected; only noise is told"
    if any(one.origin == Origin.CROSSOVER for one in evaluations):
        return ""
    return "without children, as in a random search, there is no selection, response, heritability or parents"


# Noise


def _fresh(
    row: SearchRow, best: EvaluationRow | None, readings: Sequence[TestReading]
) -> tuple[list[float], int | None]:
    """Validation fitness of fresh trainings of the winner, all alike, and their epochs."""
    ended = [one for one in readings if best and one.metrics and one.number == best.candidate]
    ended = [one for one in ended if not has_given_weights(one)]
    if not ended:
        return [], None
    strategy = row.configuration.get("strategy")
    by = strategy.get("fitness", "accuracy") if isinstance(strategy, Mapping) else "accuracy"
    found = []
    for one in ended:
        metrics = one.metrics or {}
        fitness = metrics.get("validation_fitness")
        if fitness is None and by == "accuracy":
            fitness = metrics.get("validation_accuracy")
        if fitness is not None and protocol_of(one) == protocol_of(ended[-1]):
            found.append(float(fitness))
    return found, ended[-1].epochs


def _repeated(evaluations: Sequence[EvaluationRow]) -> list[list[float]]:
    """The fitness of all trainings of each candidate that the search itself trained several times."""
    again = {one.candidate for one in evaluations if one.again}
    found: dict[int, list[float]] = {number: [] for number in again}
    for one in evaluations:
        if one.candidate in again and one.fitness is not None and not one.until:
            found[one.candidate].append(one.fitness)
    return [fitness for fitness in found.values() if len(fitness) > 1]


def _noise(
    name: str,
    fresh: Sequence[float],
    repeated: Sequence[Sequence[float]],
    populations: Sequence[Sequence[float]],
    trained: int,
    best: EvaluationRow | None,
) -> dict[FigureName, Figure]:
    whole = [np.array(one) for one in populations if len(one) >= LEAST]
    members = sum(map(len, whole))
    few = Figure(None, members, why=f"no generation has {LEAST} fitness values")
    spread = few if not whole else Figure(_pooled(one.std(ddof=1) for one in whole), members)
    bulk = few if not whole else Figure(_pooled(map(_bulk, whole)), members)
    noise, fresh_mean = (
        Figure(None, len(fresh), why=_unrepeated(name, len(fresh))),
        _mean(fresh, _unrepeated(name, 0)),
    )
    if len(fresh) > 1:
        noise = _deviation([fresh])
    elif repeated:
        noise = _deviation(repeated)
    believed = _mean([] if best is None or best.fitness is None else [best.fitness], "nothing has a fitness")
    optimism, luck = Figure(None, len(fresh), why=fresh_mean.why), Figure(None, trained, why=noise.why)
    if believed.value is not None and fresh_mean.value is not None:
        optimism = Figure(believed.value - fresh_mean.value, len(fresh))
    if noise.value is not None and trained:
        luck = Figure(noise.value * best_of_normal(trained), trained)
    return {
        "noise": noise,
        "spread": spread,
        "bulk": bulk,
        "own": _own(noise, spread),
        "own_bulk": _own(noise, bulk),
        "believed": believed,
        "fresh": fresh_mean,
        "optimism": optimism,
        "luck": luck,
    }


def _unrepeated(name: str, trainings: int) -> str:
    found = (
        "trained afresh only once" if trainings else "never trained afresh"
    )  # what a search repeats, it chooses by
    return f"the winner was {found}; `evosearch retrain {name} --seeds 1..5` does"


def _pooled(deviations: Iterable[float]) -> float:
    return float(np.sqrt(np.mean(np.square(list(deviations)))))


def _bulk(values: Values) -> float:
    from scipy.stats import iqr  # noqa: PLC0415 - here and below: most of a second that only this needs

    return float(iqr(values, scale="normal"))


def _deviation(samples: Sequence[Sequence[float]]) -> Figure:
    """Of several samples of one deviation, of two values each at least, with the interval that draws of a normal distribution give it."""
    from scipy.stats import chi2  # noqa: PLC0415 - see above

    free = sum(len(one) - 1 for one in samples)
    found = float(np.sqrt(sum(np.var(one, ddof=1) * (len(one) - 1) for one in samples) / free))
    low, high = found * np.sqrt(free / chi2.ppf([1 - LEVEL / 2, LEVEL / 2], free))
    return Figure(found, sum(map(len, samples)), interval=(float(low), float(high)))


def _own(noise: Figure, spread: Figure) -> Figure:
    if noise.value is None or spread.value is None:
        return Figure(None, spread.n, why=noise.why or spread.why)
    if not spread.value:
        return Figure(None, spread.n, why="all members of a generation have one fitness")
    own, low, high = (
        max(0.0, 1 - (one / spread.value) ** 2) for one in (noise.value, *(noise.interval or ())[::-1])
    )
    return Figure(own, noise.n, interval=(low, high))


def best_of_normal(n: int) -> float:
    """The expected highest of `n` draws of a standard normal distribution: the mean of its quantiles at the highest of n
    uniform draws.

    >>> round(best_of_normal(2), 3), round(best_of_normal(60), 2)
    (0.564, 2.32)
    """
    from scipy.stats import beta, norm  # noqa: PLC0415 - see above

    return float(beta(n, 1).expect(norm.ppf))


# Parents, children and generations


@dataclass(frozen=True)
class _Bred:
    rows: tuple[GenerationFigures, ...]
    origins: tuple[OriginFigures, ...]
    figures: Mapping[FigureName, Figure]
    by_number: Mapping[int, EvaluationRow]
    best: Mapping[int, float]
    """Of each generation."""

    @classmethod
    def of(cls, evaluations: Sequence[EvaluationRow], generations: Sequence[GenerationRow]) -> "_Bred":
        fitness = _fitness_of(evaluations)
        by_number = {one.candidate: one for one in evaluations}
        members = {one.generation: one.members for one in generations}
        children = defaultdict(list)
        for one in by_number.values():
            if one.parents and one.generation - 1 in members:
                children[one.generation - 1].append(one)
        places = {
            number: _Place(number, members[number], children[number], by_number, fitness)
            for number in members
        }
        origins = _origins(by_number, members, fitness)
        bred = [one for one in places.values() if one.children]
        figures = {
            **_pressure(bred),
            **_inheritance(bred),
            **_diversity(list(places.values()), bred),
            **_elites(origins),
        }
        best = {number: max(one.values) for number, one in places.items() if len(one.values)}
        rows = tuple(one.figures for one in places.values())
        return cls(rows, origins, figures, by_number, best)

    def winner(self, best: EvaluationRow | None) -> WinnerFigures | None:
        if best is None or best.fitness is None:
            return None
        origin = "balanced" if _is_balanced(best) else str(best.origin)
        before = self.best.get(best.generation - 1)
        return WinnerFigures(best.candidate, best.generation, origin, best.fitness, before)


def _fitness_of(evaluations: Sequence[EvaluationRow]) -> dict[int, float]:
    """Of each candidate, the mean over its whole trainings."""
    found = defaultdict(list)
    for one in evaluations:
        if one.fitness is not None and one.until == one.repeat == 0:
            found[one.candidate].append(one.fitness)
    return {candidate: float(np.mean(values)) for candidate, values in found.items()}


class _Place:
    """One generation as a population to breed from, and the children that were bred of it."""

    def __init__(
        self,
        generation: int,
        members: Sequence[int],
        children: Sequence[EvaluationRow],
        by_number: Mapping[int, EvaluationRow],
        fitness: Mapping[int, float],
    ) -> None:
        self.generation, self.members, self.children = generation, members, children
        self.values = np.array([fitness[one] for one in members if one in fitness])
        self.chosen = Counter(parent for child in children for parent in child.parents)
        places = [fitness[parent] for parent in self.chosen.elements() if parent in fitness]
        both = [
            (fitness[one.candidate], np.mean([fitness[parent] for parent in one.parents]))
            for one in children
            if one.candidate in fitness
            and not one.cached
            and all(parent in fitness for parent in one.parents)
        ]
        self.born = np.array([child for child, _ in both])
        self.bred_from = np.array([parents for _, parents in both])
        middle = np.median(self.values) if len(self.values) else 0.0
        self.above, self.born_above = self.values - middle, self.born - middle
        self.selected = self.standard(np.array(places))
        self.responded = self.standard(self.born)
        self.texts = [by_number[one].chromosome for one in members if one in by_number]

    def standard(self, values: Values) -> Values:
        """`values` above the population's mean, in its deviations; nothing where it has none."""
        spread = self.values.std() if len(self.values) > 1 else 0.0
        return (values - self.values.mean()) / spread if spread > 0 else np.array([])

    @cached_property
    def figures(self) -> GenerationFigures:
        """For a reader."""
        shares = np.array(list(self.chosen.values())) / max(1, self.chosen.total())
        return GenerationFigures(
            generation=self.generation,
            members=len(self.members),
            distinct=len(set(self.texts)),
            distance=mean_distance(self.texts),
            parents=len(self.chosen),
            effective=float(1 / np.sum(shares**2)) if self.chosen else None,
            selected=_mean(self.selected, "").value,
            response=_mean(self.responded, "").value,
            children=len(self.born),
        )


def _pressure(bred: Sequence[_Place]) -> dict[FigureName, Figure]:
    """Selection differential and response, each the mean over all of whom it is, whatever their generation; and how often a
    child beats a member of its parents' population, which a few networks that did not train at all cannot decide.
    """
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - see above

    selected, responded = (
        _joined([getattr(one, name) for one in bred]) for name in ("selected", "responded")
    )
    response = _mean(responded, "no child was trained")
    population = _joined([one.standard(one.values) for one in bred])
    if len(responded) >= LEAST and len(population) >= LEAST:
        response = Figure(response.value, response.n, _welch(responded, population))
    children, members = (_joined([getattr(one, name) for one in bred]) for name in ("born_above", "above"))
    beats = Figure(None, len(children), why="no child was trained")
    if len(children) and len(members):
        found = mannwhitneyu(children, members)
        p = float(found.pvalue) if len(children) >= LEAST else None
        beats = Figure(float(found.statistic) / (len(children) * len(members)), len(children), p)
    return {"selected": _mean(selected, "no parents were chosen"), "response": response, "beats": beats}


def _inheritance(bred: Sequence[_Place]) -> dict[FigureName, Figure]:
    """Correlation and slope of children's fitness with their parents' mean within generations: both as they differ from the
    means of their generation, so that a population which gets better by and by is not taken for inheritance. `by_rank`: the same
    of the ranks within generations.
    """
    from scipy.stats import linregress, rankdata  # noqa: PLC0415 - see above

    some = [one for one in bred if len(one.born) > 1]
    children, parents = (
        _joined([_centred(getattr(one, name)) for one in some]) for name in ("born", "bred_from")
    )
    free, n = len(children) - len(some) - 1, len(children)
    none = ""
    if free < LEAST:
        none = f"{n} trained children in generations of two at least, too few"
    elif np.allclose(children, 0) or np.allclose(parents, 0):
        none = "all children, or all pairs of parents, have one fitness"
    if none:
        without = Figure(None, n, why=none)
        return {"heritability": without, "by_rank": without, "slope": without}
    ranks = [
        _joined([_centred(rankdata(getattr(one, name))) for one in some]) for name in ("born", "bred_from")
    ]
    line, ranked = linregress(parents, children), linregress(*ranks).rvalue
    return {
        "heritability": Figure(float(line.rvalue), n, _chance_of(line.rvalue, free)),
        "by_rank": Figure(float(ranked), n, _chance_of(ranked, free)),
        "slope": Figure(float(line.slope), n, _chance_of(line.rvalue, free)),
    }


def _chance_of(correlation: float, free: int) -> float:
    """P of a correlation, as for any of `free` + 2 pairs: each generation's mean has cost a degree of freedom."""
    from scipy.stats import beta  # noqa: PLC0415 - see above

    return float(min(1.0, 2 * beta(free / 2, free / 2, loc=-1, scale=2).sf(abs(correlation))))


def _centred(values: Values) -> Values:
    centred: Values = values - values.mean()
    return centred


def _diversity(every: Sequence[_Place], bred: Sequence[_Place]) -> dict[FigureName, Figure]:
    """Of the last generation, and of parents the mean over generations."""
    last = every[-1].figures if every else None
    none = Figure(None, 0, why="there are no generations")
    effective = [one for place in bred if (one := place.figures.effective) is not None]
    return {
        "distinct": _share(last.distinct, last.members, "") if last else none,
        "distance": Figure(
            last.distance, last.members, why="" if last.distance is not None else "no two networks to compare"
        )
        if last
        else none,
        "parents": _mean(effective, "no parents were chosen"),
    }


def mean_distance(texts: Sequence[str]) -> float | None:
    """As `GenerationFigures.distance`, of chromosomes as text; what is no chromosome is left out.

    >>> mean_distance(["C8 P | F4", "B9 P P | F5"]), mean_distance(["C8 P |"])
    (3.0, None)
    """
    counts = np.sort([_genes(one) for text in texts if (one := _chromosome(text)) is not None], axis=0)
    n = len(counts)
    if n < 2:
        return None
    # Of the sorted values of a gene's kind, the i-th is the higher one in i pairs and the lower one in n - 1 - i.
    return float((2 * np.arange(n) - n + 1) @ counts.sum(axis=1) / (n * (n - 1) / 2))


def _chromosome(text: str) -> Chromosome | None:
    found = parse_subject(text)
    return found if isinstance(found, Chromosome) else None


def _genes(one: Chromosome) -> tuple[int, int, int, int]:
    normed = sum(gene.batch_norm for gene in one.convolutions)
    return len(one.convolutions) - normed, normed, one.poolings, len(one.tail)


# Origins


def _is_balanced(row: EvaluationRow) -> bool:
    if row.operations is None:  # an older version kept words only
        return any(word.startswith(("shrink", "grow")) for word in row.operators)
    return any(one.get("kind") in ("shrunk", "grown") for one in row.operations)


def _origins(
    by_number: Mapping[int, EvaluationRow], members: Mapping[int, Sequence[int]], fitness: Mapping[int, float]
) -> tuple[OriginFigures, ...]:
    elites = {
        generation: [one for one in found if one in by_number and by_number[one].generation < generation]
        for generation, found in members.items()
    }
    every = [one for found in elites.values() for one in found]

    def figures(origin: str, rows: Sequence[EvaluationRow]) -> OriginFigures:
        own = {one.candidate for one in rows}
        values = [fitness[one] for one in own if one in fitness]
        could = [one for one in rows if one.generation + 1 in members]
        return OriginFigures(
            origin=origin,
            number=len(rows),
            mean=float(np.mean(values)) if values else None,
            best=max(values, default=None),
            became_elite=sum(one.candidate in elites[one.generation + 1] for one in could),
            could=len(could),
            places=sum(one in own for one in every),
            of_places=len(every),
        )

    found = []
    for origin in Origin:
        rows = [one for one in by_number.values() if one.origin == origin]
        balanced = [one for one in rows if _is_balanced(one)]
        found += [figures(origin, rows)] if rows else []
        found += [figures("balanced", balanced)] if balanced else []
    return tuple(found)


def _elites(origins: Sequence[OriginFigures]) -> dict[FigureName, Figure]:
    found: dict[FigureName, Figure] = {}
    names: tuple[tuple[FigureName, Origin], ...] = (
        ("children_elite", Origin.CROSSOVER),
        ("immigrants_elite", Origin.IMMIGRANT),
    )
    for name, origin in names:
        one = next((one for one in origins if one.origin == origin), None)
        found[name] = _share(
            one.became_elite if one else 0, one.could if one else 0, "none had a next generation"
        )
    return found


# Depth


def _depth(trained: Sequence[EvaluationRow], space: object) -> dict[FigureName, Figure]:
    """Fitness of networks with a depth that random ones have, and of the others."""
    ranges = [space.get(name) for name in ("convolutions", "dense")] if isinstance(space, Mapping) else []
    bounds = [
        (one[0], one[1])
        for one in ranges
        if isinstance(one, list | tuple) and len(one) == 2 and all(isinstance(end, int) for end in one)
    ]
    if len(bounds) < 2:
        none = Figure(None, 0, why="the journal does not say which depths random networks have")
        return {"inside": none, "outside": none, "depth": none}
    within: dict[bool, list[float]] = {True: [], False: []}
    for row in trained:
        if row.fitness is not None and (one := _chromosome(row.chromosome)) is not None:
            depths = len(one.convolutions), len(one.tail)
            within[
                all(low <= depth <= high for depth, (low, high) in zip(depths, bounds, strict=True))
            ].append(row.fitness)
    inside, outside = (_mean(within[where], "no such network was trained") for where in (True, False))
    fewest = min(inside.n, outside.n)
    few = f"{inside.n} and {outside.n} such networks were trained; {LEAST} of each are needed"
    depth = Figure(None, fewest, why=few if fewest else "no such network was trained")
    if fewest >= LEAST and inside.value is not None and outside.value is not None:
        depth = Figure(outside.value - inside.value, fewest, _welch(within[False], within[True]))
    return {"inside": inside, "outside": outside, "depth": depth}


def _welch(first: Sequence[float] | Values, second: Sequence[float] | Values) -> float | None:
    """P of Welch's t-test; None where neither varies."""
    from scipy.stats import ttest_ind  # noqa: PLC0415 - see above

    if np.ptp(first) == 0 and np.ptp(second) == 0:
        return None
    return float(ttest_ind(first, second, equal_var=False).pvalue)


def _joined(parts: Sequence[Values]) -> Values:
    return np.concatenate(parts) if parts else np.array([])


def _mean(values: Sequence[float] | Values, why: str) -> Figure:
    return Figure(float(np.mean(values)), len(values)) if len(values) else Figure(None, 0, why=why)


def _share(part: int, whole: int, why: str) -> Figure:
    return Figure(part / whole, whole) if whole else Figure(None, 0, why=why)
