"""What several searches say together of their selection, and the sentences that follow from the figures, each by its rule.

A sentence claims no more than its figure: "not measurably" stands where chance explains a difference (p from `LEVEL` up, or an
interval over searches that holds 0), and where fewer than `LEAST` searches are there nothing is claimed of them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from evosearch.studies.selection import LEAST, LEVEL, Figure, FigureName, SelectionFigures

FIGURES: tuple[FigureName, ...] = get_args(FigureName)

RANDOM = "random"
"""The strategy that an evolution has to win over."""

_BOUNDS: Mapping[FigureName, tuple[float, float]] = {
    "own": (0, 1),
    "own_bulk": (0, 1),
    "beats": (0, 1),
    "heritability": (-1, 1),
    "by_rank": (-1, 1),
    "distinct": (0, 1),
    "recalled": (0, 1),
    "children_elite": (0, 1),
    "immigrants_elite": (0, 1),
}

_SPACE = ("convolutions", "channels", "batch_norm", "poolings", "dense", "units")


@dataclass(frozen=True)
class MeanOfSearches:
    """A figure over the searches of an arm."""

    value: float | None
    """The mean; None where no search has it."""
    deviation: float | None
    """Over the searches, the sample's; None below two."""
    n: int
    """Searches that have it."""
    interval: tuple[float, float] | None
    """95 % of the mean, by the t distribution; None below `LEAST` searches, or where they do not differ."""
    why: str = ""
    """Why there is no value, as the first search says."""

    @classmethod
    def of(
        cls, figures: Sequence[Figure], bounds: tuple[float, float] = (-np.inf, np.inf)
    ) -> "MeanOfSearches":
        """Of the same figure of several searches, one at least; `bounds`: what it cannot leave."""
        from scipy.stats import sem, t  # noqa: PLC0415 - most of a second that only this needs

        known = [one.value for one in figures if one.value is not None]
        if not known:
            return cls(None, None, 0, None, figures[0].why)
        mean = float(np.mean(known))
        deviation = float(np.std(known, ddof=1)) if len(known) > 1 else None
        interval = None
        if len(known) >= LEAST and deviation:
            low, high = t.interval(1 - LEVEL, len(known) - 1, loc=mean, scale=sem(known))
            interval = float(max(low, bounds[0])), float(min(high, bounds[1]))
        return cls(mean, deviation, len(known), interval)


@dataclass(frozen=True)
class ArmSelection:
    """Searches of one strategy that differ by their seeds."""

    name: str
    """The arm's, or the group's."""
    searches: tuple[SelectionFigures, ...]
    """One at least, in the order of their seeds."""
    means: Mapping[FigureName, MeanOfSearches]
    """Of each figure."""

    @classmethod
    def of(cls, name: str, searches: Sequence[SelectionFigures]) -> "ArmSelection":
        """Of one search at least."""
        means = {
            one: MeanOfSearches.of(
                [search.figures[one] for search in searches], _BOUNDS.get(one, (-np.inf, np.inf))
            )
            for one in FIGURES
        }
        return cls(name, tuple(searches), means)

    @property
    def is_search(self) -> bool:
        """Whether networks were looked for."""
        return any(one.is_search for one in self.searches)

    @property
    def is_random(self) -> bool:
        """Whether it is random search."""
        return all(one.strategy == RANDOM for one in self.searches)


def chance(p: float | None) -> str:
    """A p in words; nothing where nothing was tested.

    >>> chance(0.0123), chance(0.00001), chance(None)
    ('p 0.012', 'p < 0.0001', '')
    """
    return "" if p is None else "p < 0.0001" if p < 0.0001 else f"p {p:.2g}"


def _tested(figure: Figure) -> str:
    """Its p in brackets; nothing where nothing was tested."""
    return "" if figure.p is None else f" ({chance(figure.p)})"


def search_sentences(one: SelectionFigures) -> list[str]:
    """What follows from the figures of one search, four sentences at most; of what is no search, nothing."""
    if not one.is_search:
        return []
    own, bulk = (_shown_share(one.figures[name]) for name in ("own", "own_bulk"))
    optimism, luck = (one.figures[name].value for name in ("optimism", "luck"))
    found = [
        _of_response(one.figures),
        _of_noise(own, bulk, [one]),
        _of_winner(one),
        _of_depth(one.figures) or _of_optimism(optimism, luck, [one]),
    ]
    return [sentence for sentence in found if sentence]


def _of_response(figures: Mapping[FigureName, Figure]) -> str:
    selected, response, beats = (figures[name] for name in ("selected", "response", "beats"))
    if selected.value is None or response.value is None or beats.value is None:
        return ""
    told = (
        f"response {response.value:+.2f} of {selected.value:.2f} deviations selected{_tested(response)}, "
        f"and a child beats a member of it in {beats.value:.0%} of pairs{_tested(beats)}"
    )
    if response.p is None or beats.p is None:
        return f"Children are too few to be judged: {told}."
    inherited = [figures[name] for name in ("heritability", "by_rank")]
    return _response_words(_sign(response), _sign(beats, 0.5), told) + _inherited_words(
        [_sign(one) for one in inherited if one.value is not None],
        " and by ranks ".join(f"{one.value:.2f}{_tested(one)}" for one in inherited if one.value is not None),
    )


def _sign(figure: Figure, middle: float = 0.0) -> int:
    """Of a difference or correlation that is more than chance; else 0."""
    if figure.value is None or figure.p is None or figure.p >= LEVEL:
        return 0
    return 1 if figure.value > middle else -1


def _sign_of(mean: MeanOfSearches, middle: float = 0.0) -> int:
    """Likewise of a mean whose interval leaves `middle` out."""
    if mean.interval is None or mean.interval[0] <= middle <= mean.interval[1]:
        return 0
    return 1 if mean.interval[0] > middle else -1


def _response_words(in_mean: int, mostly: int, told: str) -> str:
    words = {1: "better than", 0: "not measurably better or worse than", -1: "worse than"}
    if in_mean == -mostly != 0:
        judged = f"mostly {words[mostly]}, and in the mean {words[in_mean]}"
    else:
        judged = words[in_mean or mostly]
    return f"Children are {judged} the population that they were bred from: {told}"


def _inherited_words(signs: Sequence[int], told: str) -> str:
    if not signs:
        return "."
    takes = "take" if max(signs) > 0 else "do not measurably take"
    return f"; they {takes} after their parents: correlation {told}."


def _shown_share(one: Figure | MeanOfSearches) -> str:
    """A share in words, with the doubt that there is about it; nothing where it is not known."""
    if one.value is None:
        return ""
    if isinstance(one, MeanOfSearches):
        return f"{one.value:.0%}" + ("" if one.deviation is None else f" ± {one.deviation:.0%}")
    return f"{one.value:.0%}" + _over(one, ".0%")


def _of_noise(own: str, bulk: str, searches: Sequence[SelectionFigures]) -> str:
    if not own or not bulk:
        return f"How much of the spread is noise is not known: {searches[0].figures['own'].why}."
    return (
        f"{_given(searches)}t most {own} of the variance in a generation is the networks' own, "
        f"and {bulk} in its bulk, without the few that are far off; the rest is noise of training."
    )


def _given(searches: Sequence[SelectionFigures]) -> str:
    """The noise may have been measured on other trainings than those that selection saw."""
    epochs = {
        (one.epochs, one.final_epochs)
        for one in searches
        if one.final_epochs is not None and not one.by_repeats
    }
    otherwise = next(((search, final) for search, final in epochs if search != final), None)
    return f"If {otherwise[0]} epochs are as noisy as the winner's {otherwise[1]}, a" if otherwise else "A"


def _of_winner(one: SelectionFigures) -> str:
    winner = one.winner
    if winner is None or not one.is_bred:
        return ""
    if winner.before is None or winner.origin == "immigrant":
        return (
            f"The winner was drawn at random ({winner.origin}, generation {winner.generation}): "
            "no operator made it."
        )
    kind = "a balanced child" if winner.origin == "balanced" else "a child"
    noise, gain = one.figures["noise"].value, winner.fitness - winner.before
    size = (
        ""
        if noise is None
        else f", {'less' if gain < noise else 'more'} than a deviation of noise ({noise:.4f})"
    )
    return (
        f"The winner is {kind}, of generation {winner.generation}, {gain:+.4f} to the best before it{size}."
    )


def _of_optimism(optimism: float | None, luck: float | None, searches: Sequence[SelectionFigures]) -> str:
    if optimism is None or luck is None:
        return ""
    alike = all(one.epochs == one.final_epochs for one in searches if one.final_epochs is not None)
    other = "" if alike else ", which had other epochs"
    return (
        f"The winner's fitness is {abs(optimism):.4f} {'above' if optimism >= 0 else 'below'} that of its fresh "
        f"trainings{other}; were all networks equal, the best of as many would seem {luck:.4f} too good by noise alone."
    )


def _of_depth(figures: Mapping[FigureName, Figure]) -> str:
    depth = figures["depth"]
    sign = _sign(depth)
    if not sign or depth.value is None:
        return ""
    return (
        f"Networks of other depths than random ones have are {'better' if sign > 0 else 'worse'}: "
        f"{depth.value:+.4f} ({chance(depth.p)}, n {figures['outside'].n} and {figures['inside'].n})."
    )


def arm_sentences(arm: ArmSelection) -> list[str]:
    """What follows from the means of one arm, four sentences at most."""
    if len(arm.searches) == 1 or not arm.is_search:
        return search_sentences(arm.searches[0])
    means, searches = arm.means, arm.searches
    found = [
        _arm_response(means),
        _of_noise(_shown_share(means["own"]), _shown_share(means["own_bulk"]), searches),
        _arm_winners(arm),
        _of_optimism(means["optimism"].value, means["luck"].value, searches),
    ]
    return [one for one in found if one]


def _arm_response(means: Mapping[FigureName, MeanOfSearches]) -> str:
    selected, response, beats = (means[name] for name in ("selected", "response", "beats"))
    if selected.value is None or response.value is None or beats.value is None:
        return ""
    told = (
        f"response {response.value:+.2f}{_over(response, '+.2f')} of {selected.value:.2f} deviations selected, "
        f"and a child beats a member of it in {beats.value:.0%} of pairs{_over(beats, '.0%')}"
    )
    if min(response.n, beats.n) < LEAST:
        return f"{response.n} searches are too few to judge children: {told}."
    inherited = [one for name in ("heritability", "by_rank") if (one := means[name]).value is not None]
    return _response_words(_sign_of(response), _sign_of(beats, 0.5), told) + _inherited_words(
        list(map(_sign_of, inherited)),
        " and by ranks ".join(f"{one.value:.2f}{_over(one, '+.2f')}" for one in inherited),
    )


def _over(one: Figure | MeanOfSearches, form: str) -> str:
    return (
        ""
        if one.interval is None
        else " (95 % {} to {})".format(*(format(end, form) for end in one.interval))
    )


def _arm_winners(arm: ArmSelection) -> str:
    winners = Counter(one.winner.origin for one in arm.searches if one.winner is not None)
    if not winners or not any(one.is_bred for one in arm.searches):
        return ""
    told = ", ".join(f"{count} {origin}" for origin, count in winners.most_common())
    return f"Winners by origin: {told}."


def against_random(arms: Sequence[ArmSelection]) -> list[str]:
    """Each arm with children beside random search, by fresh trainings of their winners; nothing without both."""
    rivals = [one for one in arms if one.is_random]
    bred = [one for one in arms if any(search.is_bred for search in one.searches)]
    return [sentence for rival in rivals for arm in bred for sentence in _beside(arm, rival)]


def _beside(arm: ArmSelection, rival: ArmSelection) -> Iterator[str]:
    from scipy.stats import ttest_ind  # noqa: PLC0415 - see above

    ours, theirs = (
        [value for search in one.searches if (value := search.figures["fresh"].value) is not None]
        for one in (arm, rival)
    )
    if min(len(ours), len(theirs)) >= LEAST:
        p = (
            None
            if np.ptp(ours) == np.ptp(theirs) == 0
            else float(ttest_ind(ours, theirs, equal_var=False).pvalue)
        )
        difference = float(np.mean(ours) - np.mean(theirs))
        words = (
            "not measurably better or worse"
            if p is None or p >= LEVEL
            else "better"
            if difference > 0
            else "worse"
        )
        yield (
            f"Trained afresh, winners of {arm.name} are {words} than those of {rival.name} on the validation images: "
            f"{difference:+.4f} ({chance(p) or 'not tested'}, n {len(ours)} and {len(theirs)} searches){_believed(arm, rival)}."
        )
    else:
        yield (
            f"Whether {arm.name} beats {rival.name} is not tested: {len(ours)} and {len(theirs)} searches have fresh "
            f"trainings of their winner, {LEAST} of each are needed."
        )
    one, other = (found.searches[0].space for found in (arm, rival))
    if differing := [
        f"{key} {other.get(key)}, not {one.get(key)}" for key in _SPACE if one.get(key) != other.get(key)
    ]:
        yield (
            f"{rival.name} draws from another space than {arm.name} ({'; '.join(differing)}): "
            "a difference between them is not selection's alone."
        )


def _believed(arm: ArmSelection, rival: ArmSelection) -> str:
    ours, theirs = (one.means["believed"].value for one in (arm, rival))
    return "" if ours is None or theirs is None else f"; in the searches they seemed {ours - theirs:+.4f}"
