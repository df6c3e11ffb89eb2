"""`training.fit: train_validation`: the validation images are trained on too, and nothing judges the network."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evosearch.data import SearchData, Split
from evosearch.evaluation import Checkpoint, Success, TrainingTask
from evosearch.training import StepTimer, Trainer
from evosearch.training.batches import ResidentData
from evosearch.training.fit import Fit

Ask = Callable[..., TrainingTask]


def joined(data: SearchData) -> SearchData:
    """The same data cut so that all of its images are training images."""
    train = Split(
        np.concatenate([data.train.images, data.validation.images]),
        np.concatenate([data.train.labels, data.validation.labels]),
    )
    return SearchData(train, data.validation, data.classes, data.key)


@pytest.mark.parametrize(
    "settings",
    [{}, {"normalize": "standard"}, {"class_weights": "balanced"}, {"augment": "flip_crop"}],
    ids=str,
)
def test_it_is_the_training_of_a_data_set_whose_training_images_are_all_of_them(
    data: SearchData, device: str, ask: Ask, settings: dict[str, str]
) -> None:
    whole = Fit(ask(fit="train_validation", **settings), ResidentData(data, torch.device(device)))
    same = Fit(ask(**settings), ResidentData(joined(data), torch.device(device)))
    for fit in (whole, same):
        while not fit.ended:
            fit.run_epoch()
    found, expected = whole.state().tensors, same.state().tensors
    assert all(tensor.equal(found[name]) for name, tensor in expected.items())
    assert [record.loss for record in whole.curve] == [record.loss for record in same.curve]


def test_it_has_no_fitness_no_accuracy_and_no_measures(
    data: SearchData, device: str, ask: Ask, tmp_path: Path
) -> None:
    outcome = Trainer(data, device).handle(ask(fit="train_validation", weights=str(tmp_path / "weights")))
    assert isinstance(outcome, Success)
    assert (outcome.fitness, outcome.measures, outcome.by("auroc")) == (None, None, None)
    assert [(record.accuracy, record.validation_loss) for record in outcome.curve] == [(None, None)] * 3
    assert (tmp_path / "weights").is_file()


def test_it_goes_on_from_a_checkpoint(data: SearchData, ask: Ask, tmp_path: Path) -> None:
    rule = Checkpoint(str(tmp_path), "key", every_epochs=1)
    task = replace(ask(fit="train_validation"), checkpoint=rule)
    shorter = Trainer(data).handle(replace(task, until=2))
    again = Trainer(data).handle(task)
    undisturbed = Trainer(data).handle(replace(task, checkpoint=None))
    assert shorter.curve == undisturbed.curve[:2]
    assert replace(again, seconds=0.0) == replace(undisturbed, seconds=0.0)


def test_its_steps_are_measured_without_a_validation(data: SearchData, ask: Ask) -> None:
    now = iter(float(second) for second in range(10_000))
    timer = StepTimer(data, "cpu", seconds=1e9, clock=lambda: next(now))
    outcome = timer.handle(ask(fit="train_validation", epochs=4))
    assert isinstance(outcome, Success)
    assert outcome.seconds > 0
