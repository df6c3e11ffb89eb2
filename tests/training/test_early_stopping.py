"""`training.patience`: when a training ends early, what is kept of it, and that an interruption changes none of that."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from evosearch.data import SearchData, Split
from evosearch.evaluation import Checkpoint, EpochRecord, Success, TrainingTask, judged_epoch
from evosearch.training import Trainer
from evosearch.training.batches import ResidentData
from evosearch.training.fit import Fit

Ask = Callable[..., TrainingTask]
PATIENCE, EPOCHS = 3, 20


@pytest.fixture
def noise() -> SearchData:
    """Images without anything to learn: the validation loss falls a little, then rises."""
    rng = np.random.default_rng(3)

    def split(count: int) -> Split:
        images = rng.integers(0, 256, (count, 1, 6, 6), dtype=np.uint8)
        return Split(images, rng.integers(0, 2, count))

    return SearchData(split(21), split(30), ("no", "yes"), "key-of-the-data")


@pytest.fixture
def task(ask: Ask) -> TrainingTask:
    return ask("C6 B8 P | F8", epochs=EPOCHS, patience=PATIENCE, learning_rate=3e-3, augment="flip_crop")


def handled(data: SearchData, task: TrainingTask, device: str = "cpu") -> Success:
    outcome = Trainer(data, device).handle(task)
    assert isinstance(outcome, Success)
    return outcome


def by_hand(losses: list[float], patience: int) -> tuple[int, int]:
    """The epoch of the lowest loss and the one that ends it, from 1, by counting the epochs that brought nothing."""
    best, lowest, waited = 0, float("inf"), 0
    for epoch, loss in enumerate(losses, 1):
        waited += 1
        if loss < lowest:
            best, lowest, waited = epoch, loss, 0
        if waited == patience:
            return best, epoch
    return best, len(losses)


def test_it_ends_where_the_validation_loss_has_not_fallen_for_so_long_and_is_judged_by_its_lowest(
    noise: SearchData, task: TrainingTask, device: str, tmp_path: Path
) -> None:
    patient = replace(task, weights=str(tmp_path / "stopped"))
    endless = replace(task, settings=replace(task.settings, patience=None), weights=str(tmp_path / "endless"))
    whole = handled(noise, endless, device)
    best, end = by_hand([record.validation_loss or 0.0 for record in whole.curve], PATIENCE)
    assert 1 < best < end < EPOCHS
    stopped = handled(noise, patient, device)
    assert stopped.curve == whole.curve[:end]
    until_best = handled(noise, replace(endless, until=best, weights=str(tmp_path / "best")), device)
    assert (stopped.fitness, stopped.measures) == (until_best.fitness, until_best.measures)
    assert judged_epoch(stopped.curve, PATIENCE) == best - 1
    kept, expected = load_file(tmp_path / "stopped"), load_file(tmp_path / "best")
    assert kept.keys() == expected.keys()
    assert all(tensor.equal(kept[name]) for name, tensor in expected.items())


def test_a_search_that_keeps_no_weights_stops_at_the_same_epoch(
    noise: SearchData, task: TrainingTask, tmp_path: Path
) -> None:
    kept = handled(noise, replace(task, weights=str(tmp_path / "weights")))
    assert replace(handled(noise, task), seconds=0.0) == replace(kept, seconds=0.0)


def test_without_a_stop_the_lowest_is_kept_all_the_same(
    noise: SearchData, task: TrainingTask, tmp_path: Path
) -> None:
    patient = replace(task.settings, patience=EPOCHS)
    whole = handled(noise, replace(task, settings=patient))
    assert len(whole.curve) == EPOCHS
    best = judged_epoch(whole.curve, EPOCHS)
    assert best < EPOCHS - 1
    assert whole.fitness == whole.curve[best].accuracy


@pytest.mark.parametrize("steps", range(0, 50, 7))
def test_restored_at_any_step_it_ends_as_if_nothing_had_happened(
    noise: SearchData, task: TrainingTask, device: str, steps: int
) -> None:
    resident = ResidentData(noise, torch.device(device))
    undisturbed = Fit(task, resident)
    for _ in range(steps):
        undisturbed.step()
    saved = undisturbed.state()
    torch.rand(5)
    restored = Fit.restore(task, resident, saved)
    assert restored.state().tensors.keys() == saved.tensors.keys()
    for fit in (undisturbed, restored):
        while not fit.ended:
            fit.run_epoch()
    found, expected = restored.state(), undisturbed.state()
    assert found.curve == expected.curve
    assert len(found.curve) < EPOCHS
    assert all(tensor.equal(found.tensors[name]) for name, tensor in expected.tensors.items())
    assert restored.measures() == undisturbed.measures()


def test_one_that_had_ended_is_restored_as_ended_and_judged_alike(
    noise: SearchData, task: TrainingTask, tmp_path: Path
) -> None:
    rule = Checkpoint(str(tmp_path / "checkpoints"), "key", every_epochs=1)
    kept = replace(task, checkpoint=rule, weights=str(tmp_path / "first"))
    first = handled(noise, kept)
    again = handled(noise, replace(kept, weights=str(tmp_path / "again")))
    assert replace(again, seconds=0.0) == replace(first, seconds=0.0)
    found, expected = load_file(tmp_path / "again"), load_file(tmp_path / "first")
    assert all(tensor.equal(found[name]) for name, tensor in expected.items())


def test_a_rung_that_ends_before_is_judged_by_its_lowest_and_trained_on_from_where_it_was(
    noise: SearchData, task: TrainingTask, tmp_path: Path
) -> None:
    rule = Checkpoint(str(tmp_path / "checkpoints"), "key", every_epochs=1)
    whole = handled(noise, task)
    best = judged_epoch(whole.curve, PATIENCE)
    rung = replace(task, checkpoint=rule, until=best + 2)  # an epoch after the lowest
    judged = handled(noise, rung)
    assert judged.fitness == whole.curve[best].accuracy
    assert judged.curve == whole.curve[: best + 2]
    assert replace(handled(noise, replace(rung, until=None)), seconds=0.0) == replace(whole, seconds=0.0)


def test_judging_leaves_the_running_weights_in_their_place(noise: SearchData, task: TrainingTask) -> None:
    fit = Fit(task, ResidentData(noise, torch.device("cpu")))
    while not fit.ended:
        fit.run_epoch()
    before = fit.state().tensors
    with fit.judged() as module:
        inside = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert any(not inside[name].equal(before["module." + name]) for name in inside)
    assert all(inside[name].equal(before["best." + name]) for name in inside)
    after = fit.state().tensors
    assert all(tensor.equal(after[name]) for name, tensor in before.items())


def test_of_equal_losses_the_first_is_the_lowest_and_the_last_where_none_is_known() -> None:
    assert judged_epoch([EpochRecord(1, 0, 0.5), EpochRecord(1, 0, 0.4), EpochRecord(1, 0, 0.4)], 9) == 1
    assert judged_epoch([EpochRecord(1, 0.5), EpochRecord(1, 0.5)], 9) == 1
    assert judged_epoch([EpochRecord(1, 0, 0.5), EpochRecord(1, 0, 0.6)], None) == 1
