"""What a worker is asked for and what comes back: outcomes that refuse nonsense, and seeds."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.evaluation import Measures, Success, TrainingSettings, evaluation_seed, trial_key
from evosearch.genome import parse


@pytest.mark.parametrize("fitness", [-0.1, 1.1, math.nan, math.inf])
def test_nothing_outside_0_to_1_is_ever_a_fitness(fitness):
    with pytest.raises(ValueError, match=f"a fitness lies between 0 and 1, found {fitness}"):
        Success(fitness, 1.0)


def test_a_training_that_nothing_judges_has_no_fitness_by_any_measure():
    assert Success(None, 1.0).by("accuracy") is Success(None, 1.0).by("auroc") is None
    with pytest.raises(ValueError, match="a training that is not judged has no measures either"):
        Success(None, 1.0, measures=Measures(0.5, 0.5, 0.5))


# Keys


def test_the_key_of_a_trial_never_changes_between_versions():
    """Checkpoints and what is remembered in a journal's replay go by it; those of version 0.1.0 to 0.3 had these."""
    network, plain = parse("C8 P | F4"), TrainingSettings(precision="fp32")  # their default
    sgd = replace(plain, normalize="standard", optimizer="sgd", epochs=5)
    assert trial_key(network, plain, 1, "data", 100) == "ab5bf6d2c84289d0089c134c3468f138"
    assert trial_key(network, sgd, 1, "data", 5) == "41be3120a949e8295bbfa9860669c99c"


@pytest.mark.parametrize(
    "change",
    [
        {"class_weights": "balanced"},
        {"augment": "flip"},
        {"augment": "flip_crop"},
        {"patience": 3},
        {"patience": 4},
        {"fit": "train_validation"},
        {"normalize": "imagenet"},
    ],
    ids=str,
)
def test_every_key_that_came_later_makes_another_trial_once_it_is_used(change):
    plain = trial_key(parse("C8 |"), TrainingSettings(), 1, "data", 100)
    assert trial_key(parse("C8 |"), TrainingSettings(**change), 1, "data", 100) != plain


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
