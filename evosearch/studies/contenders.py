"""Contenders for the final step: the few best of a search are trained some times afresh, and these trainings alone say which one is its
winner. What a search believes of its best is the luckiest of hundreds of draws; a mean of fresh ones is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from evosearch.search import ListedTrial
from evosearch.storage import EvaluationRow, Home, SearchRow

FRESH = 1_000_001
"""The first repeat: no training of a search or of its retrainings has one so high, so that no seed chooses and confirms."""


def contenders_name(parent: str) -> str:
    """What the search is called in which the contenders of `parent` are trained, below its parent.

    >>> contenders_name("digits"), contenders_name("digits/seed-3")
    ('digits/contenders', 'digits/seed-3-contenders')
    """
    return f"{parent}{'-' if '/' in parent else '/'}contenders"


@dataclass(frozen=True)
class Contender:
    """A candidate, and what it came to afresh."""

    row: EvaluationRow
    """Its training in the search."""
    believed: float
    """Its fitness there, over all whole trainings."""
    fresh: tuple[float, ...]
    """The fitness of each fresh training that succeeded."""


@dataclass(frozen=True)
class Contest:
    """Contenders, all of whose fresh trainings have ended."""

    contenders: tuple[Contender, ...]
    """The one that the search believes best first."""

    @property
    def winner(self) -> Contender:
        """The best mean of fresh trainings, of equal ones the one that was believed better; whoever never succeeded does not win
        while another did.
        """
        return max(self.contenders, key=lambda one: fmean(one.fresh) if one.fresh else -1.0)


def contenders_of(
    rows: Sequence[EvaluationRow], best: EvaluationRow | None, count: int
) -> tuple[tuple[EvaluationRow, float], ...]:
    """The `count` fittest candidates of different networks with their fitness, the search's own best first.

    `rows`: its evaluations.
    """
    trained: dict[int, list[EvaluationRow]] = {}
    for row in rows:
        if row.fitness is not None and row.until == 0:
            trained.setdefault(row.candidate, []).append(row)
    means = {number: fmean(one.fitness or 0.0 for one in some) for number, some in trained.items()}
    leads = None if best is None else best.candidate
    ranked = sorted(means, key=lambda number: (number != leads, -means[number], number))
    different: dict[str, int] = {}
    for number in ranked:
        different.setdefault(trained[number][0].chromosome, number)
    chosen = list(different.values())[:count]
    return tuple((min(trained[number], key=lambda one: one.repeat), means[number]) for number in chosen)


def contender_trials(numbered: Mapping[int, str], trainings: int) -> tuple[ListedTrial, ...]:
    """So many fresh trainings of each candidate, by number its network's text form."""
    return tuple(
        ListedTrial(network, FRESH + place, source=number)
        for number, network in numbered.items()
        for place in range(trainings)
    )


def contest_of(home: Home, row: SearchRow) -> Contest | None:
    """That of a search as its configuration asks for it; None where it asks for none, or not all of it has ended."""
    final = row.configuration.get("final")
    asked = final if isinstance(final, Mapping) else {}
    count, trainings = asked.get("contenders", 1), asked.get("contender_trainings", 3)
    child = home.journal.find(contenders_name(row.name))
    if count == 1 or child is None or child.parent != row.name:
        return None
    known = contenders_of(home.journal.evaluations(row.name), home.journal.best(row.name), count)
    listed = child.configuration.get("strategy")
    trials = listed.get("trials", ()) if isinstance(listed, Mapping) else ()
    ended = {
        (trials[one.number].get("source"), trials[one.number].get("repeat")): one.fitness
        for one in home.journal.evaluations(child.name)
        if one.status in {"done", "failed"} and one.number < len(trials)
    }
    repeats = range(FRESH, FRESH + trainings)
    if not known or any((one.candidate, repeat) not in ended for one, _ in known for repeat in repeats):
        return None
    found = [
        Contender(
            one,
            believed,
            tuple(value for repeat in repeats if (value := ended[one.candidate, repeat]) is not None),
        )
        for one, believed in known
    ]
    return Contest(tuple(found)) if any(one.fresh for one in found) else None


def winner_of(home: Home, name: str) -> EvaluationRow | None:
    """The training in the search `name` of its winner: of the best, or of the contender that won; None where nothing succeeded."""
    contest = contest_of(home, home.find_search(name))
    return home.journal.best(name) if contest is None else contest.winner.row
