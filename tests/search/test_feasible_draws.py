"""Random individuals, from the EAVL-COVID paper ("a random individual, poolings repaired first, ...")."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.blueprint import ImageShape, Problem, blueprint_of, training_memory
from evosearch.errors import InfeasibleSpaceError
from evosearch.evaluation import TrainingSettings
from evosearch.genome import SearchSpace, sample
from evosearch.search import SearchContext, draw_feasible

SMALL = SearchSpace(convolutions=(1, 3), channels=(2, 9), poolings=(0, 5), dense=(1, 2), units=(2, 40))


def context_of(space: SearchSpace, side: int = 32) -> SearchContext:
    return SearchContext(space, Problem(ImageShape(1, side, side), 2), TrainingSettings(), 0)


def parameters(chromosome, context: SearchContext) -> int:
    return blueprint_of(chromosome, context.problem).parameters


def capped(most: int, **changes) -> SearchSpace:
    return SearchSpace(
        convolutions=(1, 3), channels=(2, 9), poolings=(0, 5), dense=(1, 2), units=(2, 40), max_parameters=most, **changes
    )  # fmt: skip # a line per item would say less


def test_a_feasible_first_draw_is_taken_as_it_is():
    context = context_of(SMALL)
    chromosome, repairs = draw_feasible(context, 0, np.random.default_rng(3))
    assert chromosome == sample(SMALL, np.random.default_rng(3))
    assert repairs == ()


@pytest.mark.parametrize("seed", range(5))
def test_a_draw_that_is_too_big_is_drawn_again_until_one_fits(seed):
    """The same generator, drawn from by hand, tells which draw is the first within 3,000 parameters."""
    space = capped(3000)
    context, rng = context_of(space), np.random.default_rng(seed)
    draws = [sample(space, rng) for _ in range(100)]
    first = next(place for place, drawn in enumerate(draws) if parameters(drawn, context) <= 3000)
    assert draw_feasible(context, first, np.random.default_rng(seed))[0] == draws[first]
    if first:
        with pytest.raises(InfeasibleSpaceError):
            draw_feasible(context, first - 1, np.random.default_rng(seed))


def test_a_draw_of_exactly_the_limit_is_feasible_and_of_one_more_is_not():
    drawn = sample(SMALL, np.random.default_rng(3))
    count = parameters(drawn, context_of(SMALL))
    exact = capped(count)
    assert draw_feasible(context_of(exact), 0, np.random.default_rng(3))[0] == drawn
    below = capped(count - 1)
    with pytest.raises(InfeasibleSpaceError, match=r"space\.max_parameters"):
        draw_feasible(context_of(below), 0, np.random.default_rng(3))


def test_a_space_without_room_is_refused_naming_the_limit_of_parameters():
    space = capped(5)
    with pytest.raises(InfeasibleSpaceError, match=r"space\.max_parameters.*\b5\b") as caught:
        draw_feasible(context_of(space), 100, np.random.default_rng(0))
    assert caught.value.exit_status == 2
    assert "\n" not in str(caught.value)


def test_a_space_without_room_is_refused_naming_the_limit_of_memory():
    space = capped(10**9, max_memory=1000)
    with pytest.raises(InfeasibleSpaceError, match=r"space\.max_memory"):
        draw_feasible(context_of(space), 100, np.random.default_rng(0))


def test_a_limit_of_memory_is_met_by_what_is_drawn():
    space = capped(10**9, max_memory=2_000_000)
    context, rng = context_of(space), np.random.default_rng(0)
    for _ in range(30):
        chromosome, _ = draw_feasible(context, 100, rng)
        blueprint = blueprint_of(chromosome, context.problem)
        assert training_memory(blueprint, 16, "adam").total <= 2_000_000


def test_poolings_are_repaired_before_the_size_is_judged_and_cost_no_redraw():
    """Five poolings do not fit 8 px (8, 4, 2, 1): the last two go, without a redraw."""
    space = SearchSpace(convolutions=(1, 3), channels=(2, 9), poolings=(5, 5), units=(2, 40))
    context = context_of(space, side=8)
    for seed in range(20):
        drawn = sample(space, np.random.default_rng(seed))
        chromosome, repairs = draw_feasible(context, 0, np.random.default_rng(seed))
        assert chromosome.poolings == 3
        assert chromosome.convolutions == drawn.convolutions and chromosome.tail == drawn.tail
        assert repairs
        places = [place for place, gene in enumerate(drawn.head) if str(gene) == "P"][:3]
        kept = [gene for place, gene in enumerate(drawn.head) if str(gene) != "P" or place in places]
        assert list(chromosome.head) == kept


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_what_is_drawn_can_be_decoded_and_meets_the_limit(seed, side):
    space = capped(60_000)
    context = context_of(space, side)
    chromosome, _ = draw_feasible(context, 100, np.random.default_rng(seed))
    assert parameters(chromosome, context) <= 60_000
    assert chromosome.convolutions
