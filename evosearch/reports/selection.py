"""Why a search finds more than chance, or not, as a table for a terminal, Markdown and JSON. Nothing is computed here."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from evosearch.reports.study import inert
from evosearch.reports.words import bare_table, cells, counted
from evosearch.studies import (
    ArmSelection,
    Figure,
    FigureName,
    MeanOfSearches,
    SelectionFigures,
    against_random,
    arm_sentences,
    chance,
    search_sentences,
)

AT_ONCE = 2
"""Arms that stand beside each other in 80 columns."""

MOST_GENERATIONS = 5
"""Lines of generations for a terminal: the first, the last and some between; JSON has all."""

_WORDS: Mapping[FigureName, tuple[str, str]] = {
    "noise": ("deviation of fresh trainings", ".4f"),
    "spread": ("deviation within generations", ".4f"),
    "bulk": ("  of their bulk (by quartiles)", ".4f"),
    "own": ("variance of networks' own, at most", ".0%"),
    "own_bulk": ("  in the bulk", ".0%"),
    "believed": ("winner's fitness in the search", ".4f"),
    "fresh": ("  of its fresh trainings", ".4f"),
    "optimism": ("  believed too high by", "+.4f"),
    "luck": ("  best of n draws of noise alone", "+.4f"),
    "selected": ("parents above population (sd)", "+.2f"),
    "response": ("children above population (sd)", "+.2f"),
    "beats": ("  pairs where the child is better", ".0%"),
    "heritability": ("correlation of child and parents", "+.2f"),
    "by_rank": ("  by ranks", "+.2f"),
    "distinct": ("distinct chromosomes at the end", ".0%"),
    "distance": ("  genes two of them differ by", ".1f"),
    "parents": ("parents in effect, each generation", ".1f"),
    "recalled": ("evaluations that were remembered", ".0%"),
    "children_elite": ("children that became elites", ".0%"),
    "immigrants_elite": ("immigrants that became elites", ".0%"),
    "inside": ("fitness at random networks' depths", ".4f"),
    "outside": ("  at other depths", ".4f"),
    "depth": ("  difference", "+.4f"),
}


@dataclass(frozen=True)
class Part:
    """A table, for whatever it is printed as."""

    headings: tuple[str, ...]
    """Of its columns; all but the first hold numbers."""
    rows: tuple[tuple[str, ...], ...]
    """Their texts."""


def selection_document(arms: Sequence[ArmSelection], *, name: str, grouped: bool) -> dict[str, Any]:
    """The JSON document: of one search `search`, of several `arms` with means and all their searches; keys are stable."""
    if not grouped:
        return {"name": name, "search": _search_document(arms[0].searches[0])}
    return {
        "name": name,
        "arms": [
            {
                "arm": arm.name,
                "means": {key: asdict(one) for key, one in arm.means.items()},
                "sentences": arm_sentences(arm),
                "searches": [_search_document(one) for one in arm.searches],
            }
            for arm in arms
        ],
        "sentences": against_random(arms),
    }


def _search_document(one: SelectionFigures) -> dict[str, Any]:
    return asdict(one) | {"space": dict(one.space), "sentences": search_sentences(one)}


def selection_parts(
    arms: Sequence[ArmSelection], *, grouped: bool, at_once: int | None = AT_ONCE
) -> list[Part]:
    """The tables: of one search its figures, generations and origins; of several the means of each arm, so many arms beside
    each other (None: all).
    """
    if not grouped:
        one = arms[0].searches[0]
        return [part for part in (_figures(one), _generations(one), _origins(one)) if part.rows]
    searched = [arm for arm in arms if arm.is_search]
    size = at_once or max(1, len(searched))
    return [_means(searched[first : first + size]) for first in range(0, len(searched), size)]


def _figures(one: SelectionFigures) -> Part:
    told = {key: one.figures[key] for key in _WORDS if key not in _BY_ORIGIN and _applies(key, one)}
    rows = [
        (_WORDS[key][0], _shown(key, figure.value), str(figure.n), _doubt(key, figure))
        for key, figure in told.items()
        if figure.value is not None
    ]
    return Part(("", "value", "n", "chance or 95 %"), tuple(rows))


def _doubt(key: FigureName, figure: Figure) -> str:
    if figure.interval is None:
        return chance(figure.p)
    return " to ".join(_shown(key, end) for end in figure.interval)


def _shown(key: FigureName, value: float | None, form: str = "") -> str:
    return "" if value is None else format(value, form or _WORDS[key][1])


def _means(arms: Sequence[ArmSelection]) -> Part:
    known = [key for key in _WORDS if any(arm.means[key].value is not None for arm in arms)]
    rows = [(_WORDS[key][0], *(_mean(key, arm.means[key]) for arm in arms)) for key in known]
    return Part(("mean ± deviation (n searches)", *(arm.name for arm in arms)), tuple(rows))


def _mean(key: FigureName, one: MeanOfSearches) -> str:
    if one.value is None:
        return "-"
    spread = "" if one.deviation is None else f" ± {_shown(key, one.deviation, _WORDS[key][1].lstrip('+'))}"
    return f"{_shown(key, one.value)}{spread} ({one.n})"


def _generations(one: SelectionFigures) -> Part:
    every = one.generations if one.is_bred else ()
    last = len(every) - 1
    lines = min(len(every), MOST_GENERATIONS)
    places = (
        sorted({round(step * last / (lines - 1)) for step in range(lines)}) if lines > 1 else range(lines)
    )
    headings = ("generation", "distinct", "genes apart", "parents", "in effect", "selected", "response")
    return Part(
        headings,
        tuple(
            (
                str(row.generation),
                f"{row.distinct} of {row.members}",
                _number(row.distance, ".1f"),
                str(row.parents or ""),
                _number(row.effective, ".1f"),
                _number(row.selected, "+.2f"),
                _number(row.response, "+.2f"),
            )
            for row in (every[place] for place in places)
        ),
    )


def _origins(one: SelectionFigures) -> Part:
    return Part(
        ("origin", "number", "mean", "best", "became elites", "places of elites"),
        tuple(
            (
                f"  of these {row.origin}" if row.origin == "balanced" else row.origin,
                str(row.number),
                _number(row.mean, ".4f"),
                _number(row.best, ".4f"),
                f"{row.became_elite} of {row.could}" if row.could else "",
                f"{row.places} of {row.of_places}" if row.of_places else "",
            )
            for row in (one.origins if one.is_search else ())
        ),
    )


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def selection_grid(part: Part) -> Table:
    """A part for a terminal."""
    table = bare_table(None)
    for place, heading in enumerate(part.headings):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True)
    for row in part.rows:
        table.add_row(*cells(*row))
    return table


def selection_title(arms: Sequence[ArmSelection], *, name: str, grouped: bool) -> str:
    """The first line."""
    if grouped:
        return f"{name}: {counted(sum(len(arm.searches) for arm in arms), 'search')}, {counted(len(arms), 'arm')}"
    one = arms[0].searches[0]
    winner = one.winner
    told = (
        ""
        if winner is None
        else f"; winner {winner.candidate}, {winner.origin}, generation {winner.generation}"
    )
    return f"{name}: {one.state}, {one.strategy}, {counted(one.done, 'evaluation')} with a fitness{told}"


def selection_lines(arms: Sequence[ArmSelection], *, grouped: bool) -> list[str]:
    """What is said below the tables: notes on what there is no figure of, then the sentences."""
    if not grouped:
        one = arms[0].searches[0]
        return [*_notes(one), *search_sentences(one)]
    found = [
        f"{arm.name}: {line}"
        for arm in arms
        if arm.is_search
        for line in (*_missing(arm), *arm_sentences(arm))
    ]
    others: dict[str, list[str]] = {}
    for arm in arms:
        if not arm.is_search:
            others.setdefault(arm.searches[0].missing, []).append(arm.name)
    return [
        *found,
        *against_random(arms),
        *(f"Left out: {', '.join(names)} ({why})." for why, names in others.items()),
    ]


def _missing(arm: ArmSelection) -> list[str]:
    return [f"{one}." for one in dict.fromkeys(one.missing for one in arm.searches if one.missing)]


def _notes(one: SelectionFigures) -> list[str]:
    """Where no value is, by reason; what does not apply to the search at all is said once."""
    lines = [f"Not applicable: {one.missing}."] if one.missing else []
    if not one.done:
        return [*lines, "Nothing has a fitness."]
    said = one.figures["own"].why if one.is_search else ""  # a sentence says it
    reasons: dict[str, list[str]] = {}
    for key in _WORDS:
        figure = one.figures[key]
        if figure.value is None and figure.why != said and key not in _BY_ORIGIN and _applies(key, one):
            reasons.setdefault(figure.why, []).append(_WORDS[key][0].strip())
    return [*lines, *(f"Not known: {'; '.join(names)} ({why})." for why, names in reasons.items())]


def _applies(key: FigureName, one: SelectionFigures) -> bool:
    if not one.is_search:
        return key in _OF_ANY
    return not one.missing or key not in _OF_CHILDREN


_OF_ANY: frozenset[FigureName] = frozenset({"noise", "believed", "fresh", "optimism", "luck", "recalled"})
"""What there is of a list too."""

_BY_ORIGIN: frozenset[FigureName] = frozenset({"children_elite", "immigrants_elite"})
"""The table of origins has them where one search is shown."""

_OF_CHILDREN: frozenset[FigureName] = frozenset(
    {"selected", "response", "beats", "heritability", "by_rank", "slope", "parents", *_BY_ORIGIN}
)
"""What there is none of without children."""


def selection_markdown(arms: Sequence[ArmSelection], *, name: str, grouped: bool) -> str:
    """The same as Markdown, all arms beside each other."""
    lines = [f"# {inert(selection_title(arms, name=name, grouped=grouped))}", ""]
    for part in selection_parts(arms, grouped=grouped, at_once=None):
        bars = [part.headings, ["---"] * len(part.headings), *part.rows]
        lines += [*(f"| {' | '.join(map(inert, bar))} |" for bar in bars), ""]
    return "\n".join([*lines, *(f"- {inert(line)}" for line in selection_lines(arms, grouped=grouped)), ""])
