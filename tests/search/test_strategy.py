"""Settings refuse nonsense at birth, naming key, value and repair; they make, extend and count their strategy."""

import re

import pytest

from evosearch.blueprint import ImageShape, Problem
from evosearch.errors import ConfigError, SearchConflictError
from evosearch.evaluation import TrainingSettings
from evosearch.genome import SearchSpace
from evosearch.search import (
    EavlSettings,
    EavlStrategy,
    RandomSearchSettings,
    RandomSearchStrategy,
    SearchContext,
    repeats_of,
)
from evosearch.search.balance import draw_cut_length
from evosearch.search.context import Purpose, stream


def test_the_defaults_are_the_papers():
    settings = EavlSettings()
    assert (settings.population, settings.generations, settings.elites, settings.immigrants) == (
        50,
        20,
        10,
        10,
    )
    assert (settings.crossover_probability, settings.phi, settings.shrink_deviation) == (0.9, 4, 1.0)
    assert settings.redraws == 100
    assert RandomSearchSettings() == RandomSearchSettings("random", 1000, 100)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"population": 1}, "strategy.population is 1; it must be at least 2"),
        ({"generations": 0}, "strategy.generations is 0; it must be at least 1"),
        ({"elites": -1}, "strategy.elites is -1; it must be at least 0"),
        ({"immigrants": -1}, "strategy.immigrants is -1; it must be at least 0"),
        ({"phi": 0}, "strategy.phi is 0; it must be at least 1"),
        ({"redraws": -1}, "strategy.redraws is -1; it must be at least 0"),
        (
            {"population": 19},
            "strategy.population is 19, smaller than elites + immigrants = 10 + 10; raise the population or lower "
            "the others",
        ),
        (
            {"population": 10, "immigrants": 0},
            "strategy.elites is 10, the whole population; nothing new would be born",
        ),
        (
            {"crossover_probability": 1.5},
            "strategy.crossover_probability is 1.5; a chance lies between 0 and 1",
        ),
        (
            {"crossover_probability": -0.1},
            "strategy.crossover_probability is -0.1; a chance lies between 0 and 1",
        ),
        (
            {"crossover_probability": float("nan")},
            "strategy.crossover_probability is nan; a chance lies between 0 and 1",
        ),
        (
            {"shrink_deviation": 1e-200},
            "strategy.shrink_deviation is 1e-200; it must lie between 0.01 and 100 genes",
        ),
        (
            {"shrink_deviation": 0.0},
            "strategy.shrink_deviation is 0.0; it must lie between 0.01 and 100 genes",
        ),
        (
            {"shrink_deviation": float("inf")},
            "strategy.shrink_deviation is inf; it must lie between 0.01 and 100 genes",
        ),
        (
            {"shrink_deviation": float("nan")},
            "strategy.shrink_deviation is nan; it must lie between 0.01 and 100 genes",
        ),
    ],
)
def test_nonsense_in_the_evolutions_settings_is_refused(change, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        EavlSettings(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evaluations": 0}, "strategy.evaluations is 0; it must be at least 1 and at most 100,000"),
        ({"redraws": -1}, "strategy.redraws is -1; it must be at least 0"),
    ],
)
def test_nonsense_in_random_searchs_settings_is_refused(change, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        RandomSearchSettings(**change)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"population": 20}, id="elites and immigrants alone"),
        pytest.param({"elites": 0, "immigrants": 0}, id="children alone"),
        pytest.param({"elites": 0, "immigrants": 50}, id="immigrants alone"),
        pytest.param({"generations": 1}, id="one generation"),
        pytest.param({"crossover_probability": 0}, id="copies only"),
        pytest.param({"redraws": 0}, id="no redraw"),
    ],
)
def test_what_lies_on_a_bound_is_allowed(change):
    EavlSettings(**change)


@pytest.mark.parametrize("deviation", [0.01, 1.0, 100.0])
def test_every_deviation_that_the_settings_accept_can_be_drawn_with(deviation):
    accepted = EavlSettings(shrink_deviation=deviation).shrink_deviation
    assert 1 <= draw_cut_length(5, accepted, stream(0, 1, Purpose.BALANCE)) <= 5


CONTEXT = SearchContext(SearchSpace(), Problem(ImageShape(1, 8, 8), 2), TrainingSettings(), 3)


def test_settings_make_their_strategy_and_count_its_trials():
    assert EavlSettings().make(CONTEXT) == EavlStrategy(EavlSettings(), CONTEXT)
    assert EavlSettings().evaluations_in_all == EavlSettings().make(CONTEXT).evaluations == 810
    settings = RandomSearchSettings(evaluations=2)
    assert settings.make(CONTEXT) == RandomSearchStrategy(settings, CONTEXT)
    assert settings.evaluations_in_all == settings.make(CONTEXT).evaluations == 2


def test_an_evolution_can_have_other_generations_and_a_random_search_or_a_list_but_one():
    assert EavlSettings().with_generations(3) == EavlSettings(generations=3)
    for settings, noun in (
        (RandomSearchSettings(), "random search"),
        (repeats_of("C8 |", (1,)), "fixed list"),
    ):
        assert settings.generations == 1
        assert settings.with_generations(1) == settings
        with pytest.raises(SearchConflictError, match=f"a {noun} is all one generation, not 2; leave --gen"):
            settings.with_generations(2)
