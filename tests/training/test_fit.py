"""A training as a value: stepped, saved, restored, beside others and in other processes, always to the same bits."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import zip_longest

import pytest
import torch

from evosearch.data import SearchData
from evosearch.evaluation import TrainingTask
from evosearch.training.batches import ResidentData
from evosearch.training.fit import Fit, FitState
from evosearch.training.trainer import Trainer

Ask = Callable[..., TrainingTask]
ALL_LAYERS = "C6 B8 P | F8 F5"
"""Batch norm, dropout, and a fully connected layer behind the pooling; five batches an epoch, the last of one image more."""
STOCHASTIC_DEPTH = "efficientnet_b0"
"""Draws inside torchvision's own modules."""
STEPS = 5 + 3
"""Into the second epoch."""


@pytest.fixture
def resident(data: SearchData, device: str) -> ResidentData:
    return ResidentData(data, torch.device(device))


def stepped(fit: Fit, steps: int = STEPS) -> Fit:
    for _ in range(steps):
        fit.step()
    return fit


def assert_same(found: FitState, expected: FitState) -> None:
    assert found.tensors.keys() == expected.tensors.keys()
    different = [
        name for name in found.tensors if not torch.equal(found.tensors[name], expected.tensors[name])
    ]
    assert not different
    assert (found.curve, found.batch) == (expected.curve, expected.batch)


def test_steps_one_by_one_come_to_what_the_trainer_comes_to(
    data: SearchData, resident: ResidentData, device: str, ask: Ask
) -> None:
    fit = stepped(Fit(ask(ALL_LAYERS), resident), 3 * 5)
    assert fit.ended
    assert tuple(fit.curve) == Trainer(data, device).handle(ask(ALL_LAYERS)).curve


def test_trainings_stepped_in_turn_equal_each_alone(resident: ResidentData, ask: Ask) -> None:
    tasks = [ask(ALL_LAYERS), ask(ALL_LAYERS, seed=8), ask("P C5 | F9 F7", optimizer="sgd", precision="bf16")]
    alone = [stepped(Fit(task, resident)).state() for task in tasks]
    torch.manual_seed(99)
    together = [Fit(task, resident) for task in tasks]
    for _ in range(STEPS):
        for fit in together:
            fit.step()
            torch.rand(3, device=resident.device)
    for fit, expected in zip(together, alone, strict=True):
        assert_same(fit.state(), expected)


def test_even_those_whose_modules_draw_numbers_of_their_own(resident: ResidentData, ask: Ask) -> None:
    tasks = [ask(STOCHASTIC_DEPTH, seed=seed) for seed in (1, 2)]
    alone = [stepped(Fit(task, resident), 6).state() for task in tasks]
    one, other = (Fit(task, resident) for task in tasks)
    for _ in range(6):
        stepped(one, 1)
        stepped(other, 1)
    assert_same(one.state(), alone[0])
    assert_same(other.state(), alone[1])
    assert not torch.equal(alone[0].tensors["random.cpu"], alone[1].tensors["random.cpu"])


def test_a_network_with_stochastic_depth_goes_on_from_where_it_was_saved(
    resident: ResidentData, ask: Ask
) -> None:
    task = ask(STOCHASTIC_DEPTH)
    saved = stepped(Fit(task, resident), 3).state()
    torch.rand(5)
    restored = Fit.restore(task, resident, saved)
    assert_same(stepped(restored, 3).state(), stepped(Fit(task, resident), 6).state())


@pytest.mark.parametrize("text", [ALL_LAYERS, "squeezenet1_1", "resnet18"])
@pytest.mark.parametrize("units", ["uniform", "weighted"])
def test_one_that_drops_before_its_class_layer_goes_on_from_where_it_was_saved(
    resident: ResidentData, ask: Ask, text: str, units: str
) -> None:
    task = ask(text, class_dropout=0.6, dropout_units=units, learning_rate=1e-3)
    saved = stepped(Fit(task, resident), 3).state()
    torch.rand(5)
    restored = stepped(Fit.restore(task, resident, saved), 3).state()
    assert_same(restored, stepped(Fit(task, resident), 6).state())
    other = stepped(Fit(replace(task, settings=replace(task.settings, class_dropout=0.2)), resident), 6)
    assert not torch.equal(other.state().tensors["loss_sum"], restored.tensors["loss_sum"])


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adadelta", "rmsprop"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_restored_training_ends_bit_for_bit_as_an_undisturbed_one(
    resident: ResidentData, ask: Ask, optimizer: str, precision: str
) -> None:
    task = ask(ALL_LAYERS, optimizer=optimizer, precision=precision)
    undisturbed = stepped(Fit(task, resident))
    saved = undisturbed.state(seconds=12.5)
    torch.rand(5)
    restored = Fit.restore(task, resident, saved)
    assert restored.seconds == 12.5
    assert_same(restored.state(12.5), saved)
    for fit in (undisturbed, restored):
        while not fit.ended:
            fit.run_epoch()
    assert_same(restored.state(), undisturbed.state())


def test_every_moment_lies_in_memory_as_its_weight_does(resident: ResidentData, ask: Ask) -> None:
    saved = stepped(Fit(ask(), resident), 1).state()
    restored = Fit.restore(ask(), resident, saved)
    weights = list(restored.network.module.parameters())
    assert any(not weight.is_contiguous() for weight in weights), "channels last"
    for weight in weights:
        for name in ("exp_avg", "exp_avg_sq"):
            assert restored._optimizer.state[weight][name].stride() == weight.stride()


def test_a_state_is_not_touched_by_what_is_trained_from_it_or_on(resident: ResidentData, ask: Ask) -> None:
    fit = stepped(Fit(ask(), resident), 3)
    saved, kept = fit.state(), fit.state()
    stepped(fit, 2)
    stepped(Fit.restore(ask(), resident, saved), 2)
    assert_same(saved, kept)


CONTINUE = """
import pickle, sys
import torch
from evosearch.training.fit import Fit
from evosearch.training.batches import ResidentData
torch.set_num_threads(1)
data, saved = pickle.load(sys.stdin.buffer)
ended = []
for task, state in saved:
    fit = Fit.restore(task, ResidentData(data, torch.device("cpu")), state)
    while not fit.ended:
        fit.run_epoch()
    ended.append(fit.state())
sys.stdout.buffer.write(pickle.dumps(ended))
"""


def test_what_one_process_saved_another_ends_bit_for_bit(data: SearchData, ask: Ask) -> None:
    here = ResidentData(data, torch.device("cpu"))
    tasks = [
        ask(ALL_LAYERS, epochs=2, optimizer=optimizer, precision=precision)
        for optimizer in ("adam", "sgd", "adadelta", "rmsprop")
        for precision in ("fp32", "bf16")
    ]
    tasks += [ask("B40 C30 P | F50", epochs=2), ask(ALL_LAYERS, epochs=2, batch_size=8)]  # 21 = 8 + 8 + 5
    fits = [stepped(Fit(task, here), 2) for task in tasks]
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", CONTINUE],
        input=pickle.dumps((data, [(fit.task, fit.state()) for fit in fits])),
        capture_output=True,
        check=True,
    )
    for fit, found in zip_longest(fits, pickle.loads(run.stdout)):
        while not fit.ended:
            fit.run_epoch()
        assert_same(found, fit.state())


def test_a_training_ends_at_the_epoch_that_its_task_names_and_can_be_trained_on(
    data: SearchData, resident: ResidentData, ask: Ask
) -> None:
    task = ask(ALL_LAYERS)
    short = replace(task, until=1)
    fit = Fit(short, resident)
    fit.run_epoch()
    assert fit.ended
    outcome = Trainer(data, str(resident.device)).handle(short)
    assert outcome.curve == tuple(fit.curve)
    longer = Fit.restore(task, resident, fit.state())
    assert not longer.ended
    while not longer.ended:
        longer.run_epoch()
    assert tuple(longer.curve) == Trainer(data, str(resident.device)).handle(task).curve


def test_a_state_of_another_network_is_refused(resident: ResidentData, ask: Ask) -> None:
    saved = stepped(Fit(ask(), resident), 1).state()
    with pytest.raises(RuntimeError, match="Error"):
        Fit.restore(ask("C7 B8 P | F8"), resident, saved)


@pytest.mark.slow  # InceptionV3 has 25 million weights
def test_a_network_with_an_auxiliary_head_goes_on_bit_for_bit(resident: ResidentData, ask: Ask) -> None:
    task = ask("inception_v3", epochs=1, batch_size=7)
    undisturbed = stepped(Fit(task, resident), 1)
    saved = undisturbed.state()
    assert any(name.startswith("module.AuxLogits.") for name in saved.tensors)
    restored = Fit.restore(task, resident, saved)
    assert_same(stepped(restored, 1).state(), stepped(undisturbed, 1).state())
