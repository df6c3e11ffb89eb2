"""What a worker is asked for and what comes back: outcomes that refuse nonsense, and seeds."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.evaluation import Success, evaluation_seed


@pytest.mark.parametrize("fitness", [-0.1, 1.1, math.nan, math.inf])
def test_nothing_outside_0_to_1_is_ever_a_fitness(fitness):
    with pytest.raises(ValueError, match=f"a fitness lies between 0 and 1, found {fitness}"):
        Success(fitness, 1.0)


# Seeds

keys = st.text("0123456789abcdef", min_size=20, max_size=20)


@given(st.integers(0), keys, st.integers(0, 9))
def test_a_seed_is_one_that_torch_and_sql_take(search_seed, key, repeat):
    seed = evaluation_seed(search_seed, key, repeat)
    assert 0 <= seed < 2**63
    assert seed == evaluation_seed(search_seed, key, repeat)


def test_a_seed_differs_by_search_seed_chromosome_and_repeat():
    seeds = {
        evaluation_seed(search_seed, key, repeat)
        for search_seed in (0, 1, 11)
        for key in ("a", "b", "1/a")
        for repeat in (0, 1)
    }
    assert len(seeds) == 3 * 3 * 2


def test_a_seed_never_changes_between_versions():
    """A journal does not hold these seeds: a resumed search trains by the ones computed anew."""
    assert evaluation_seed(3, "0123456789abcdef") == 8541708621581630325
    assert evaluation_seed(3, "0123456789abcdef", repeat=1) == 8065419877142898939
