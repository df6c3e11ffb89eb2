"""What passes between search and workers: settings that refuse nonsense, seeds, and outcomes as JSON."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.errors import ConfigError
from evosearch.evaluation import (
    FinalSettings,
    Success,
    TrainingSettings,
    evaluation_seed,
)


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


# Settings


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"epochs": 0}, "training.epochs is 0; it must be at least 1"),
        ({"batch_size": 0}, "training.batch_size is 0; it must be at least 1"),
        ({"threads": -1}, "training.threads is -1; it must be at least 1"),
        ({"batch_size": 1}, "training.batch_size is 1; batch norm needs at least 2 images"),
        ({"learning_rate": 0.0}, "training.learning_rate is 0.0; it must be above 0 and finite"),
        ({"learning_rate": math.nan}, "training.learning_rate is nan; it must be above 0 and finite"),
        ({"learning_rate": math.inf}, "training.learning_rate is inf; it must be above 0 and finite"),
        ({"weight_decay": -1e-8}, "training.weight_decay is -1e-08; it must be 0 or above, and finite"),
        ({"weight_decay": math.nan}, "training.weight_decay is nan; it must be 0 or above, and finite"),
        ({"dropout": 1.0}, "training.dropout is 1.0; a rate lies between 0 and 1, 1 excluded"),
        ({"dropout": -0.1}, "training.dropout is -0.1; a rate lies between 0 and 1, 1 excluded"),
        ({"dropout": math.nan}, "training.dropout is nan; a rate lies between 0 and 1, 1 excluded"),
    ],
)
def test_settings_that_cannot_train_are_refused(given_, message):
    with pytest.raises(ConfigError) as refused:
        TrainingSettings(**given_)
    assert str(refused.value) == message


def test_the_edges_of_what_can_train_are_taken():
    TrainingSettings(epochs=1, batch_size=2, threads=1, learning_rate=1e-12, weight_decay=0.0, dropout=0.0)


def test_the_defaults_are_the_papers():
    """FACTS, part A: 100 epochs, batch 16, Adam at 1e-4; 1000 epochs for the best."""
    settings = TrainingSettings()
    assert (settings.epochs, settings.batch_size, settings.optimizer, settings.learning_rate) == (
        *(100, 16, "adam", 1e-4),
    )
    assert FinalSettings().epochs == 1000


def test_a_final_training_of_no_epoch_is_refused():
    with pytest.raises(ConfigError, match=r"^final.epochs is 0; it must be at least 1$"):
        FinalSettings(0)
