"""Ranking and elites worked out by hand from the EAVL-COVID paper."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.evaluation import FailureKind
from evosearch.genome import parse
from evosearch.search import Candidate, Origin, Score, elites, ranking

Rows = list[tuple[int, str, float | None]]


def population(rows: Rows) -> tuple[list[Candidate], dict[int, Score]]:
    """Members and scores from (number, head, fitness or None for a failure)."""
    members = [Candidate(number, 0, parse(f"{head} | F9"), Origin.INITIAL) for number, head, _ in rows]
    failed = Score(failure=FailureKind.CRASHED)
    scores = {number: failed if fitness is None else Score(fitness=fitness) for number, _, fitness in rows}
    return members, scores


def numbers(candidates) -> list[int]:
    return [candidate.number for candidate in candidates]


def test_ranking_puts_the_fittest_first_ties_by_number_and_failed_ones_last_by_number():
    members, scores = population(
        [(9, "C1", None), (4, "C2", 0.5), (7, "C3", 0.9), (2, "C4", 0.5), (1, "C5", None), (5, "C6", 0.0)]
    )
    assert numbers(ranking(members, scores)) == [7, 2, 4, 5, 1, 9]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        pytest.param(1, [3], id="the best"),
        pytest.param(2, [3, 0], id="its duplicate 5 is passed over"),
        pytest.param(3, [3, 0, 8], id="ties to the lower number"),
        pytest.param(4, [3, 0, 8, 5], id="no distinct one left: the next best duplicate"),
        pytest.param(5, [3, 0, 8, 5, 9], id="then the worse duplicate"),
        pytest.param(6, [3, 0, 8, 5, 9, 1], id="then a failed one, by number"),
        pytest.param(7, [3, 0, 8, 5, 9, 1, 6], id="then all"),
        pytest.param(0, [], id="none"),
    ],
)
def test_elites_are_the_best_distinct_chromosomes_then_duplicates_then_failed_ones(count, expected):
    members, scores = population(
        [
            (0, "C1", 0.8),
            (1, "C7", None),
            (3, "C2", 0.9),
            (5, "C2", 0.9),
            (6, "C6", None),
            (8, "C3", 0.4),
            (9, "C3", 0.4),
        ]
    )
    assert set(numbers(elites(members, scores, count))) == set(expected)
    assert numbers(elites(reversed(members), scores, count)) == numbers(elites(members, scores, count))


def test_the_best_of_equal_chromosomes_is_the_elite():
    """Equal chromosomes share one outcome in a search; a strategy does not rely on it."""
    members, scores = population([(0, "C1", 0.2), (1, "C1", 0.6), (2, "C2", 0.5)])
    assert set(numbers(elites(members, scores, 2))) == {1, 2}


def test_a_failed_twin_of_an_elite_waits_behind_every_success():
    members, scores = population([(0, "C1", None), (1, "C1", 0.6), (2, "C1", 0.6), (3, "C2", None)])
    assert set(numbers(elites(members, scores, 2))) == {1, 2}
    assert set(numbers(elites(members, scores, 3))) == {0, 1, 2}


def test_chromosomes_that_differ_in_the_tail_or_in_a_batch_norm_are_distinct():
    texts = ("C1 P | F9", "B1 P | F9", "C1 P | F8", "C1 P | F9 F9", "P C1 | F9")
    members = [Candidate(number, 0, parse(text), Origin.INITIAL) for number, text in enumerate(texts)]
    scores = {number: Score(fitness=0.5) for number in range(len(texts))}
    assert numbers(elites(members, scores, 5)) == [0, 1, 2, 3, 4]


def test_when_all_failed_elites_are_the_lowest_numbers():
    members, scores = population([(7, "C1", None), (3, "C2", None), (5, "C3", None)])
    assert set(numbers(elites(members, scores, 2))) == {3, 5}


rows = st.lists(
    st.tuples(
        st.sampled_from(["C1", "C2", "C3", "P C4"]), st.none() | st.sampled_from([0.0, 0.5, 0.75, 1.0])
    ),
    min_size=1,
    max_size=12,
)


@given(rows, st.integers(0, 12), st.randoms(use_true_random=False))
def test_elites_are_a_function_of_the_set_of_members(drawn, count, chance):
    members, scores = population([(number, *row) for number, row in enumerate(drawn)])
    count = min(count, len(members))
    kept = elites(members, scores, count)
    assert len(set(numbers(kept))) == count
    chance.shuffle(members)
    assert elites(members, scores, count) == kept


@given(rows, st.integers(0, 12))
def test_no_failed_elite_while_a_success_is_left_out_and_no_twin_while_a_distinct_success_is(drawn, count):
    members, scores = population([(number, *row) for number, row in enumerate(drawn)])
    kept = elites(members, scores, min(count, len(members)))
    left_out = [member for member in members if member not in kept and scores[member.number].failure is None]
    texts = [str(member.chromosome) for member in kept]
    if left_out:
        assert all(scores[member.number].failure is None for member in kept)
    if len(set(texts)) < len(texts):
        assert all(str(member.chromosome) in texts for member in left_out)
