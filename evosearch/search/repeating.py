"""Repeats where they decide: some of a generation's slots go to further trainings of those that stand where elites are told from the
others, so that luck decides less.

A fitness is one draw of a noisy figure, and the best of many draws is the luckiest. With n trainings of a candidate its score
is their mean, drawn towards the generation's mean by n / (n + r): r is how much wider the noise of a training is than the
spread of what networks are worth (the variances' ratio), both as the search has seen them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import TypeVar

from evosearch.evaluation import Candidate, Subject
from evosearch.search.noise import Again, Fitness, Spread
from evosearch.search.state import Score, SearchState
from evosearch.search.survival import ranking

Whose = TypeVar("Whose")


def trials_of(state: SearchState) -> Mapping[int, Fitness]:
    """What each training came to, None where it failed, by number of the candidate: of all members, of those that are trained
    again in this generation, and of the best.
    """
    found = dict(state.trials)
    for member in state.members:
        found.setdefault(member.number, (state.scores[member.number].fitness,))
    for one in state.again:
        found[one.candidate.number] += (state.scores[one.number].fitness,)
    return found


def judged(state: SearchState, trials: Mapping[int, Fitness], noise: float) -> Mapping[int, Score]:
    """The scores of the candidates of `trials`, at the end of the generation: shrunk means of what succeeded. `noise`: r.

    Who failed each time has the score of its failure.
    """
    known = {number: [one for one in fitness if one is not None] for number, fitness in trials.items()}
    own = [fmean(known[member.number]) for member in state.members if known[member.number]]
    middle = fmean(own) if own else 0.0
    return {
        number: Score(fitness=shrunk(fitness, middle, noise)) if fitness else state.scores[number]
        for number, fitness in known.items()
    }


def shrunk(fitness: Sequence[float], middle: float, noise: float) -> float:
    """The mean of `fitness`, one at least, drawn towards `middle` by n / (n + `noise`).

    >>> shrunk([0.9], 0.5, 1.0), shrunk([0.9, 0.9, 0.9], 0.5, 1.0), shrunk([0.9], 0.5, 0.0)
    (0.7, 0.8, 0.9)
    """
    part = len(fitness) / (len(fitness) + noise)
    return min(1.0, max(0.0, middle + (fmean(fitness) - middle) * part))


def scores_of(trials: Mapping[Whose, Sequence[float]]) -> dict[Whose, float]:
    """What candidates are taken to be worth, whose trainings came to `trials`: scores as if all were of one generation.

    >>> {number: round(score, 3) for number, score in scores_of({0: [0.9], 1: [0.1], 2: [0.75, 0.25]}).items()}
    {0: 0.681, 1: 0.434, 2: 0.544}
    """
    spread = Spread().with_repeats({}, dict(enumerate(map(tuple, trials.values()))))
    firsts = [fitness[0] for fitness in trials.values()]
    noise, middle = spread.noise(firsts), fmean(firsts)
    return {whose: shrunk(fitness, middle, noise) for whose, fitness in trials.items()}


def at_the_cut(ranked: Sequence[Candidate], elites: int, count: int) -> tuple[Candidate, ...]:
    """The `count` that stand nearest to where the best `elites` are told from the others, the better first of two that are
    equally near; then the best.

    >>> from evosearch.evaluation import Origin
    >>> from evosearch.genome import parse
    >>> ranked = [Candidate(number, 0, parse("C1 |"), Origin.INITIAL) for number in range(6)]
    >>> [one.number for one in at_the_cut(ranked, 3, 3)], [one.number for one in at_the_cut(ranked[:2], 3, 3)]
    ([2, 3, 1], [1, 0])
    """
    near = sorted(range(len(ranked)), key=lambda place: (abs(place + 0.5 - elites), place))
    return tuple(ranked[place] for place in near[:count])


def with_repeats_counted(state: SearchState) -> tuple[SearchState, Mapping[int, Fitness]]:
    """A complete state whose scores are the shrunk means, and whose best is the best by them; and all trainings that are known."""
    trials = trials_of(state)
    spread = state.spread.with_repeats(state.trials, trials)
    firsts = (fitness for one in state.members if (fitness := trials[one.number][0]) is not None)
    scores = judged(state, trials, spread.noise(firsts))
    pool = contenders(state)
    known = [(one, score.fitness) for one in pool if (score := scores[one.number]).fitness is not None]
    best = max(known, key=lambda pair: (pair[1], -pair[0].number), default=None)
    return replace(state, scores=scores, best=best, spread=spread), trials


def contenders(state: SearchState) -> tuple[Candidate, ...]:
    """Who may live on: members, those that are trained again, and the best, each once."""
    best = () if state.best is None else (state.best[0],)
    pool = {one.number: one for one in (*state.members, *(one.candidate for one in state.again), *best)}
    return tuple(pool.values())


def chosen(
    counted: SearchState,
    trials: Mapping[int, Fitness],
    elites: int,
    numbers: Sequence[int],
) -> tuple[Again, ...]:
    """Who is trained again in the slots of these `numbers`, by the scores of `with_repeats_counted`; failed ones are not, and of
    equal networks only the best, as among the elites: the same training of another one would come to the same, and be none.
    """
    able = [one for one in contenders(counted) if counted.scores[one.number].fitness is not None]
    different: dict[Subject, Candidate] = {}
    for one in ranking(able, counted.scores):
        different.setdefault(one.subject, one)
    again = at_the_cut(tuple(different.values()), elites, len(numbers))
    return tuple(
        Again(number, one, len(trials[one.number])) for number, one in zip(numbers, again, strict=False)
    )
