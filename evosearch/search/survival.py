"""Who is best, and who survives. A failed evaluation never wins."""

from collections.abc import Iterable, Mapping
from math import inf

from evosearch.evaluation import Candidate, Subject
from evosearch.search.state import Score


def ranking(members: Iterable[Candidate], scores: Mapping[int, Score]) -> list[Candidate]:
    """All members, best first: successes by fitness, ties to the lower number; then those that were dropped at a rung, of the
    latest one first; then failed ones by number.

    >>> from evosearch.evaluation import FailureKind, Origin
    >>> from evosearch.genome import parse
    >>> members = [Candidate(number, 0, parse(f"C{number + 1} |"), Origin.INITIAL) for number in range(4)]
    >>> scores = {0: Score(failure=FailureKind.DIVERGED), 1: Score(0.8), 2: Score(0.9), 3: Score(0.9)}
    >>> [member.number for member in ranking(members, scores)]
    [2, 3, 1, 0]
    """

    def key(member: Candidate) -> tuple[bool, float, float, int]:
        score = scores[member.number]
        if score.fitness is None:  # however far it came
            return True, 0.0, 0.0, member.number
        rung = inf if score.until is None else score.until
        return False, -rung, -score.fitness, member.number

    return sorted(members, key=key)


def elites(members: Iterable[Candidate], scores: Mapping[int, Score], count: int) -> tuple[Candidate, ...]:
    """The `count` members that live on with number and fitness.

    The best *distinct* chromosomes first; where those are too few, the next best duplicates, then failed
    ones by number. Source: EAVL-COVID, survival (the released code lets a tie duplicate one).

    >>> from evosearch.evaluation import Origin
    >>> from evosearch.genome import parse
    >>> members = [Candidate(number, 0, parse(text), Origin.INITIAL) for number, text in enumerate(("C1 |", "C1 |", "C2 |"))]
    >>> [member.number for member in elites(members, {0: Score(0.9), 1: Score(0.9), 2: Score(0.5)}, 2)]
    [0, 2]
    """
    distinct: list[Candidate] = []
    duplicates: list[Candidate] = []
    failed: list[Candidate] = []
    seen: set[Subject] = set()
    for member in ranking(members, scores):
        if scores[member.number].fitness is None:
            failed.append(member)
        elif member.subject in seen:
            duplicates.append(member)
        else:
            seen.add(member.subject)
            distinct.append(member)
    return tuple((distinct + duplicates + failed)[:count])
