"""Parents' chances worked out by hand from the EAVL-COVID paper: p_i ∝ (fitness_i - lowest)²."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.evaluation import FailureKind
from evosearch.search import Score, draw_pairs, parent_probabilities

FAILED = Score(failure=FailureKind.DIVERGED)


def scored(*fitness: float | None) -> list[Score]:
    """Scores in order; None is a failure."""
    return [FAILED if value is None else Score(fitness=value) for value in fitness]


@pytest.mark.parametrize(
    ("fitness", "expected"),
    [
        pytest.param((0.5, 0.7, 0.9), (0, 0.2, 0.8), id="shifts 0, .2, .4 squared are 0, .04, .16"),
        pytest.param((0.9, 0.7, 0.5), (0.8, 0.2, 0), id="places do not matter"),
        pytest.param((0.0, 0.5, 1.0), (0, 0.2, 0.8), id="a constant added to all changes nothing"),
        pytest.param((0.2, 0.3, 0.4, 0.5), (0, 1 / 14, 4 / 14, 9 / 14), id="1, 4 and 9 parts of 14"),
        pytest.param((0.3, 0.6), (0, 1), id="of two the worse one has no chance"),
        pytest.param((0.8, 0.6, 0.8), (0.5, 0, 0.5), id="equals have equal chances"),
        pytest.param((0.5, 0.5, 0.5), (1 / 3, 1 / 3, 1 / 3), id="all equal"),
        pytest.param((None, 0.5, 0.7, 0.9), (0, 0, 0.2, 0.8), id="a failure is not the lowest fitness"),
        pytest.param((0.5, None, 0.5), (0.5, 0, 0.5), id="all successes equal"),
        pytest.param((0.0, None, 0.0), (0.5, 0, 0.5), id="a fitness of 0 is a success"),
        pytest.param((None, 0.4, None), (0, 1, 0), id="one success"),
        pytest.param((None, None, None, None), (0.25, 0.25, 0.25, 0.25), id="all failed"),
        pytest.param((0.4,), (1,), id="alone"),
    ],
)
def test_chances_are_the_squared_distances_to_the_lowest_fitness(fitness, expected):
    np.testing.assert_allclose(parent_probabilities(scored(*fitness)), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("fitness", "expected"),
    [
        pytest.param((0.5, 0.7, 0.8), (0.25, 0.35, 0.4), id="5, 7 and 8 parts of 20"),
        pytest.param((None, 0.2, 0.6), (0, 0.25, 0.75), id="a failure has none while a success exists"),
        pytest.param((0.0, None, 0.0), (0.5, 0, 0.5), id="where all are 0 they are equal"),
        pytest.param((None, None), (0.5, 0.5), id="all failed"),
    ],
)
def test_by_the_papers_text_chances_are_proportionate_to_fitness(fitness, expected):
    np.testing.assert_allclose(parent_probabilities(scored(*fitness), "proportionate"), expected, atol=1e-12)


@pytest.mark.parametrize("kind", list(FailureKind))
def test_no_kind_of_failure_is_a_parent_while_a_success_exists(kind):
    chances = parent_probabilities([Score(failure=kind), Score(fitness=0.1)])
    np.testing.assert_array_equal(chances, [0, 1])


accuracies = st.integers(0, 118).map(lambda correct: correct / 118)  # of 118 validation images in COVID-CT


@given(st.lists(st.none() | accuracies, min_size=1, max_size=60))
def test_chances_sum_to_one_and_never_favour_a_worse_individual(fitness):
    chances = parent_probabilities(scored(*fitness))
    assert chances.shape == (len(fitness),) and chances.dtype == np.float64
    assert chances.sum() == pytest.approx(1)
    assert (chances >= 0).all()
    ordered = sorted(zip(fitness, chances, strict=True), key=lambda pair: -1 if pair[0] is None else pair[0])
    assert [chance for _, chance in ordered] == sorted(chances)


@given(st.lists(accuracies, min_size=2, max_size=20), st.floats(0.1, 1), st.floats(0, 1))
def test_chances_depend_on_relative_distances_alone(fitness, scale, shift):
    squeezed = [scale * value + (1 - scale) * shift for value in fitness]
    if len(set(fitness)) > 1:
        np.testing.assert_allclose(
            parent_probabilities(scored(*squeezed)), parent_probabilities(scored(*fitness)), atol=1e-6
        )


def test_pairs_are_drawn_independently_with_replacement():
    """20,000 pairs from chances (0, 1/14, 4/14, 9/14): every pair, an individual with itself too, as often as
    the product of its chances says; chi-square with 8 degrees of freedom passes 40 once in 300,000."""
    chances, draws = (0, 1 / 14, 4 / 14, 9 / 14), 20_000
    pairs = draw_pairs(scored(0.2, 0.3, 0.4, 0.5), draws, np.random.default_rng(0))
    seen = Counter(pairs)
    expected = {(i, j): draws * chances[i] * chances[j] for i, j in itertools.product(range(1, 4), repeat=2)}
    assert set(seen) == set(expected)
    assert sum((seen[pair] - count) ** 2 / count for pair, count in expected.items()) < 40


def test_failed_individuals_are_never_drawn():
    pairs = draw_pairs(scored(None, 0.4, None, 0.4), 500, np.random.default_rng(1))
    assert set(itertools.chain(*pairs)) == {1, 3}


def test_when_all_failed_everyone_is_drawn():
    pairs = draw_pairs(scored(None, None, None), 200, np.random.default_rng(1))
    assert set(itertools.chain(*pairs)) == {0, 1, 2}


def test_equal_generators_draw_equal_pairs_of_plain_integers():
    scores = scored(0.1, 0.5, 0.9)
    pairs = draw_pairs(scores, 15, np.random.default_rng(2))
    assert len(pairs) == 15
    assert pairs == draw_pairs(scores, 15, np.random.default_rng(2))
    assert {type(position) for pair in pairs for position in pair} == {int}
    assert draw_pairs(scores, 0, np.random.default_rng(2)) == []
