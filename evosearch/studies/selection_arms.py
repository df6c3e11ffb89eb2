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

RANDOM = "random"
"""The strategy that an evolution has to win over."""

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
    def of(cls, figures: Sequence[Figure]) -> "MeanOfSearches":
        """Of the same figure of several searches, one at least."""
        from scipy.stats import sem, t  # noqa: PLC0415 - most of a second that only this needs

        known = [one.value for one in figures if one.value is not None]
        if not known:
            return cls(None, None, 0, None, figures[0].why)
        mean = float(np.mean(known))
        deviation = float(np.std(known, ddof=1)) if len(known) > 1 else None
        interval = None
        if len(known) >= LEAST and deviation:
            low, high = t.interval(1 - LEVEL, len(known) - 1, loc=mean, scale=sem(known))
            interval = float(low), float(high)
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
            one: MeanOfSearches.of([search.figures[one] for search in searches])
            for one in get_args(FigureName)
        }
        return cls(name, tuple(searches), means)

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


def search_sentences(one: SelectionFigures) -> list[str]:
    """What follows from the figures of one search, four sentences at most."""
    found = [
        _of_response(one),
        _of_noise(one.figures["own"].value, one.figures["own_bulk"].value, one),
        _of_winner(one),
    ]
    return [sentence for sentence in (*found, _of_depth(one.figures)) if sentence][:4]


def _of_response(one: SelectionFigures) -> str:
    selected, response, inherited = (one.figures[name] for name in ("selected", "response", "heritability"))
    if selected.value is None or response.value is None or response.p is None:
        return ""
    told = (
        f"response {response.value:+.2f} of {selected.value:.2f} deviations selected ({chance(response.p)})"
    )
    return _response_words(_sign(response), told) + _inherited_words(
        None if inherited.p is None else _sign(inherited) > 0,
        "" if inherited.value is None else f"{inherited.value:.2f} ({chance(inherited.p)}, n {inherited.n})",
    )


def _sign(figure: Figure) -> int:
    """Of a difference or correlation that is more than chance; else 0."""
    if figure.value is None or figure.p is None or figure.p >= LEVEL:
        return 0
    return 1 if figure.value > 0 else -1


def _response_words(sign: int, told: str) -> str:
    words = {1: "better than", 0: "not measurably better or worse than", -1: "worse than"}
    return f"Children are {words[sign]} the population that they were bred from: {told}"


def _inherited_words(takes_after: bool | None, told: str) -> str:
    if takes_after is None:
        return "."
    return f"; they {'take' if takes_after else 'do not measurably take'} after their parents: correlation {told}."


def _of_noise(own: float | None, bulk: float | None, *searches: SelectionFigures) -> str:
    if own is None or bulk is None:
        return f"How much of the spread is noise is not known: {next(one.figures['own'].why for one in searches)}."
    epochs = {(one.epochs, one.final_epochs) for one in searches if one.final_epochs is not None}
    otherwise = next(((search, final) for search, final in epochs if search != final), None)
    # Else the noise was measured on other trainings than those that selection saw.
    given = f"If {otherwise[0]} epochs are as noisy as the winner's {otherwise[1]}, at" if otherwise else "At"
    return (
        f"{given} least {1 - own:.0%} of the variance in a generation is noise of training, "
        f"and {1 - bulk:.0%} in its bulk, without the few that are far off."
    )


def _of_winner(one: SelectionFigures) -> str:
    winner = one.winner
    if winner is None:
        return ""
    if winner.origin in ("initial", "immigrant") and one.is_bred:
        return f"The winner was drawn at random ({winner.origin}, generation {winner.generation}): no operator made it."
    if winner.before is not None and winner.origin != "immigrant":
        kind = "a balanced child" if winner.origin == "balanced" else "a child"
        noise, gain = one.figures["noise"].value, winner.fitness - winner.before
        beside = (
            ""
            if noise is None
            else f", {'less' if gain < noise else 'more'} than one deviation of noise ({noise:.4f})"
        )
        return f"The winner is {kind} of generation {winner.generation}, {gain:+.4f} to the best before it{beside}."
    optimism, luck = one.figures["optimism"].value, one.figures["luck"].value
    if optimism is None or luck is None or one.epochs != one.final_epochs:
        return ""
    return f"The winner was believed {optimism:+.4f} against its fresh trainings; noise alone would give {luck:+.4f} at most."


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
    """What follows from the means of one arm."""
    if len(arm.searches) == 1:
        return search_sentences(arm.searches[0])
    means = arm.means
    found = [
        _arm_response(means),
        _of_noise(means["own"].value, means["own_bulk"].value, *arm.searches),
        _arm_winners(arm),
    ]
    return [one for one in found if one]


def _arm_response(means: Mapping[FigureName, MeanOfSearches]) -> str:
    selected, response, inherited = (means[name] for name in ("selected", "response", "heritability"))
    if selected.value is None or response.value is None:
        return ""
    told = f"response {response.value:+.2f}{_over(response)} of {selected.value:.2f} deviations selected"
    if response.interval is None:
        return f"With {response.n} searches nothing is claimed of children: {told}."
    low, high = response.interval
    after = None if inherited.interval is None else inherited.interval[0] > 0
    words = _response_words(1 if low > 0 else -1 if high < 0 else 0, told)
    return words + _inherited_words(
        after, "" if inherited.value is None else f"{inherited.value:.2f}{_over(inherited)}"
    )


def _over(one: MeanOfSearches) -> str:
    if one.interval is None:
        return ""
    return f" (95 % {one.interval[0]:+.2f} to {one.interval[1]:+.2f} over {one.n} searches)"


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
        p = float(ttest_ind(ours, theirs, equal_var=False).pvalue)
        difference = float(np.mean(ours) - np.mean(theirs))
        words = "not measurably better or worse" if p >= LEVEL else "better" if difference > 0 else "worse"
        yield (
            f"Trained afresh, winners of {arm.name} are {words} than those of {rival.name} on the validation images: "
            f"{difference:+.4f} ({chance(p)}, n {len(ours)} and {len(theirs)} searches)."
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
