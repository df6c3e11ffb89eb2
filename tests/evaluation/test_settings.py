"""Settings that refuse nonsense."""

import math

import pytest

from evosearch.errors import ConfigError
from evosearch.evaluation import FinalSettings, TrainingSettings


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
        ({"patience": 0}, "training.patience is 0; it must be at least 1, or null for none"),
        (
            {"patience": 5, "fit": "train_validation"},
            "training.patience is 5 while training.fit is train_validation: no image is left to see the validation loss by; "
            "leave one of the two out",
        ),
    ],
)
def test_settings_that_cannot_train_are_refused(given_, message):
    with pytest.raises(ConfigError) as refused:
        TrainingSettings(**given_)
    assert str(refused.value) == message


def test_the_edges_of_what_can_train_are_taken():
    TrainingSettings(epochs=1, batch_size=2, threads=1, learning_rate=1e-12, weight_decay=0.0, dropout=0.0)


def test_the_defaults_are_the_papers():
    """EAVL-COVID: 100 epochs, batch 16, Adam at 1e-4; 1000 epochs for the best."""
    settings = TrainingSettings()
    assert (settings.epochs, settings.batch_size, settings.optimizer, settings.learning_rate) == (
        *(100, 16, "adam", 1e-4),
    )
    assert FinalSettings().epochs == 1000


def test_a_final_training_of_no_epoch_is_refused():
    with pytest.raises(ConfigError, match=r"^final.epochs is 0; it must be at least 1$"):
        FinalSettings(0)
