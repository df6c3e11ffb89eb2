import gc
import math
import pickle
import subprocess
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import nn

from evosearch.data import SearchData, Split
from evosearch.errors import EvaluationError, InvalidChromosomeError, TimedOutError
from evosearch.evaluation import (
    EpochRecord,
    Evaluator,
    Failure,
    FailureKind,
    Outcome,
    PredictionTask,
    Success,
    TrainingTask,
)
from evosearch.genome import parse
from evosearch.training import Trainer, step
from evosearch.training.trained import TrainedNetwork

Ask = Callable[..., TrainingTask]


def timeless(outcome: Outcome) -> Outcome:
    return replace(outcome, seconds=0.0)


def test_a_network_learns_and_its_fitness_is_its_last_validation_accuracy(
    data: SearchData, device: str, ask: Ask
) -> None:
    evaluator: Evaluator = Trainer(data, device)
    outcome = evaluator.handle(ask(epochs=15, dropout=0.0))
    assert isinstance(outcome, Success)
    assert outcome.fitness == 1.0 == outcome.curve[-1].accuracy
    assert len(outcome.curve) == 15
    assert outcome.curve[-1].loss < outcome.curve[0].loss / 4
    assert all(record.accuracy * 10 == round(record.accuracy * 10) for record in outcome.curve)


def test_equal_requests_have_equal_outcomes_in_any_order(data: SearchData, device: str, ask: Ask) -> None:
    tasks = [
        ask(),
        ask(seed=8),
        ask("P C5 | F9 F7", optimizer="sgd"),
        ask("B16 |", precision="bf16", normalize="standard"),
        ask(deterministic=False, threads=2, batch_size=16),
        ask(learning_rate=1e30),
    ]
    worker = Trainer(data, device)
    forward = [timeless(worker.handle(task)) for task in tasks]
    torch.rand(3)
    backward = [timeless(worker.handle(task)) for task in reversed(tasks)]
    alone = [timeless(Trainer(data, device).handle(task)) for task in tasks]
    assert forward == backward[::-1] == alone
    assert len({outcome.curve for outcome in forward}) == len(tasks)


FRESH_PROCESS = """
import pickle, sys
from evosearch.training import Trainer
data, tasks = pickle.load(sys.stdin.buffer)
sys.stdout.buffer.write(pickle.dumps([Trainer(data).handle(task) for task in tasks]))
"""


def test_a_fresh_process_gives_the_very_same_bits(data: SearchData, ask: Ask) -> None:
    tasks = [ask(), ask("B40 C30 P | F50", precision="bf16", optimizer="rmsprop", learning_rate=1e-3)]
    worker = Trainer(data)
    worker.handle(ask("C9 | F3"))
    here = [timeless(worker.handle(task)) for task in tasks]
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", FRESH_PROCESS],
        input=pickle.dumps((data, tasks)),
        capture_output=True,
        check=True,
    )
    assert [timeless(outcome) for outcome in pickle.loads(run.stdout)] == here


@pytest.mark.parametrize(
    "setting",
    [
        *("seed", "learning_rate", "dropout", "normalize", "precision", "batch_size"),
        *("class_weights", "augment", "fit", "class_dropout"),
    ],
)
def test_what_a_request_asks_for_reaches_the_training(data: SearchData, ask: Ask, setting: str) -> None:
    other = {
        "seed": 8,
        "learning_rate": 1e-3,
        "dropout": 0.1,
        "normalize": "standard",
        "precision": "bf16",
        "batch_size": 5,
        "class_weights": "balanced",
        "augment": "flip",
        "fit": "train_validation",
        "class_dropout": 0.1,
    }
    worker = Trainer(data)
    assert timeless(worker.handle(ask(**{setting: other[setting]}))) != timeless(worker.handle(ask()))


def test_a_single_image_left_over_does_not_break_batch_norm_at_one_pixel(data: SearchData, ask: Ask) -> None:
    assert isinstance(
        Trainer(data).handle(ask("B4 P P P |", batch_size=5, epochs=1)), Success
    )  # 21 = 4 * 5 + 1


def test_a_loss_that_explodes_is_diverged(data: SearchData, device: str, ask: Ask) -> None:
    outcome = Trainer(data, device).handle(ask("C6 | F8", optimizer="sgd", learning_rate=1e30))
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.DIVERGED
    assert outcome.message == "the training loss became nan in epoch 1 of 3 (sgd, learning rate 1e+30, fp32)"
    assert outcome.curve == ()


def poison(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let the weights become NaN after that many steps."""
    steps = count(1)

    train_step = step.train_step

    def poisoned(network: step.Classifier, *arguments: object) -> None:
        train_step(network, *arguments)
        if next(steps) == after:
            nn.init.constant_(next(network.module.parameters()), math.nan)

    monkeypatch.setattr(step, "train_step", poisoned)


def test_a_diverged_network_keeps_the_curve_of_the_epochs_before(
    data: SearchData, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Trainer(data).handle(ask())
    poison(monkeypatch, after=2 * 5 + 3)  # 21 images make 5 batches
    outcome = Trainer(data).handle(ask())
    assert isinstance(outcome, Failure)
    assert "the training loss became nan in epoch 3 of 3" in outcome.message
    assert outcome.curve == whole.curve[:2]


def test_logits_that_are_not_finite_after_the_last_step_are_diverged(
    data: SearchData, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, after=3 * 5)
    outcome = Trainer(data).handle(ask())
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.DIVERGED
    assert "a validation logit is not finite in epoch 3 of 3" in outcome.message


def test_a_network_that_no_memory_holds_is_out_of_memory(data: SearchData, device: str, ask: Ask) -> None:
    worker = Trainer(data, device)
    before = timeless(worker.handle(ask()))
    outcome = worker.handle(ask("C9999999 | F9999999"))  # 26 petabytes of weights
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.OUT_OF_MEMORY
    assert outcome.message.startswith("'C9999999 | F9999999' needs more memory than there is: ")
    assert "\n" not in outcome.message
    assert timeless(worker.handle(ask())) == before


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory.\nTried"), MemoryError()])
def test_an_allocator_that_fails_on_the_way_is_out_of_memory(
    data: SearchData, ask: Ask, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(step, "classify", fails)
    outcome = Trainer(data).handle(ask())
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.OUT_OF_MEMORY
    assert "\n" not in outcome.message


def test_a_bug_is_never_taken_for_a_failed_candidate(
    data: SearchData, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(step, "classify", fails)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        Trainer(data).handle(ask())


def test_a_chromosome_that_needs_repair_is_refused(data: SearchData, ask: Ask) -> None:
    with pytest.raises(InvalidChromosomeError, match="the pooling at gene 4"):
        Trainer(data).handle(ask("P P P P C8 |"))


def test_a_request_for_other_data_is_refused(data: SearchData, ask: Ask) -> None:
    with pytest.raises(
        EvaluationError, match="the task is for data other, this worker holds key-of-the-data"
    ):
        Trainer(data).handle(ask(data_key="other"))


def held(device: str) -> tuple[int, int]:
    """Modules and tensors alive, without help from the garbage collector, and bytes held on the device."""
    alive = sum(issubclass(type(value), nn.Module | torch.Tensor) for value in gc.get_objects())
    return alive, torch.cuda.memory_allocated() if device == "cuda" else 0


def test_nothing_of_an_evaluation_is_left_behind(data: SearchData, device: str, ask: Ask) -> None:
    worker = Trainer(data, device)
    worker.handle(ask())  # torch loads some of itself on first use
    gc.collect()
    gc.disable()
    try:
        before = held(device)
        for task in (ask(), ask(learning_rate=1e30), ask("C9999999 | F9999999")):
            worker.handle(task)
        after = held(device)
    finally:
        gc.enable()
    assert after == before


@dataclass
class Told:
    """A `Progress` that keeps what it is told, and has enough after so many epochs."""

    enough: int = 99
    told: list[str] = field(default_factory=list)
    curve: list[EpochRecord] = field(default_factory=list)

    def step(self) -> None:
        self.told.append("step")

    def epoch(self, record: EpochRecord) -> None:
        self.told.append("epoch")
        self.curve.append(record)
        if self.told.count("epoch") == self.enough:
            raise TimedOutError("took too long")


def test_every_batch_is_a_step_and_every_epoch_but_the_last_is_told_at_its_end(
    data: SearchData, ask: Ask
) -> None:
    progress = Told()
    outcome = Trainer(data).handle(ask(), progress)
    steps = ["step"] * (5 + 3)  # 21 training and 10 validation images, 4 at a time
    assert progress.told == [*steps, "epoch", *steps, "epoch", *steps]
    assert tuple(progress.curve) == outcome.curve[:-1]
    assert timeless(outcome) == timeless(Trainer(data).handle(ask()))


def test_a_time_limit_passes_through_between_two_epochs_and_the_next_evaluation_is_as_ever(
    data: SearchData, ask: Ask
) -> None:
    worker, progress = Trainer(data), Told(enough=2)
    before = timeless(worker.handle(ask()))
    with pytest.raises(TimedOutError, match="took too long"):
        worker.handle(ask(), progress)
    assert progress.told[-1] == "epoch"
    assert timeless(worker.handle(ask())) == before


def test_the_arrays_are_not_kept_beside_their_copies(data: SearchData, ask: Ask) -> None:
    own = SearchData(
        Split(data.train.images.copy(), data.train.labels), data.validation, data.classes, data.key
    )
    pixels = weakref.ref(own.train)
    worker = Trainer(own)
    del own
    assert pixels() is None
    settings: dict[str, str] = {"normalize": "standard"}
    assert timeless(worker.handle(ask(**settings))) == timeless(Trainer(data).handle(ask(**settings)))


def test_seconds_are_those_of_the_clock(data: SearchData, ask: Ask) -> None:
    ticks = iter([100.0, 107.5])
    assert Trainer(data, clock=lambda: next(ticks)).handle(ask()).seconds == 7.5


def test_read_only_arrays_as_ray_hands_them_out_are_accepted(data: SearchData, ask: Ask) -> None:
    frozen = pickle.loads(pickle.dumps(data))
    for split in (frozen.train, frozen.validation):
        split.images.setflags(write=False)
        split.labels.setflags(write=False)
    assert timeless(Trainer(frozen).handle(ask())) == timeless(Trainer(data).handle(ask()))


def kept(task: TrainingTask, split: Split) -> PredictionTask:
    assert task.weights
    return PredictionTask(task.network, task.settings, task.data_key, task.weights, split.images)


def test_a_reading_tells_of_each_batch_so_that_a_long_one_is_not_taken_for_hung(
    data: SearchData, ask: Ask, tmp_path: Path
) -> None:
    task = ask(weights=str(tmp_path / "best.safetensors"), batch_size=4)
    trainer, progress = Trainer(data, "cpu"), Mock()
    trainer.handle(task)
    trainer.handle(kept(task, data.validation), progress)
    assert progress.step.call_count == 3
    assert not progress.epoch.called


@pytest.mark.parametrize(
    "settings", [{}, {"normalize": "standard"}, {"precision": "bf16"}, {"normalize": "imagenet"}]
)
def test_saved_weights_predict_what_the_training_measured(
    data: SearchData, device: str, ask: Ask, tmp_path: Path, settings: dict[str, str]
) -> None:
    task = ask(weights=str(tmp_path / "deep" / "best.safetensors"), **settings)
    outcome = Trainer(data, device).handle(task)
    assert isinstance(outcome, Success)
    unkept = Trainer(data, device).handle(replace(task, weights=None))
    assert isinstance(unkept, Success)
    assert all(record.validation_loss is None for record in unkept.curve)
    curve = tuple(replace(record, validation_loss=None) for record in outcome.curve)
    assert timeless(replace(outcome, curve=curve)) == timeless(unkept)
    found = Trainer(data, device).handle(kept(task, data.validation)).probabilities
    assert found.shape == (10, 2)
    assert found.dtype == np.float32
    assert found.sum(axis=1) == pytest.approx(np.ones(10))
    assert (found.argmax(axis=1) == data.validation.labels).mean() == outcome.fitness
    losses = -np.log(found[np.arange(10), data.validation.labels])
    close = 1e-2 if task.settings.precision == "bf16" else 1e-5  # whose validation was in bf16, too
    assert outcome.curve[-1].validation_loss == pytest.approx(losses.mean(), rel=close)


@pytest.mark.parametrize("precision", ["bf16", "tf32"])
def test_a_trained_network_classifies_in_fp32_in_whatever_it_was_trained(
    data: SearchData, device: str, ask: Ask, tmp_path: Path, precision: str
) -> None:
    task = ask(weights=str(tmp_path / "best.safetensors"), precision=precision)
    trainer = Trainer(data, device)
    trainer.handle(task)
    asked = replace(kept(task, data.validation), with_validation=True)
    in_fp32 = replace(asked, settings=replace(asked.settings, precision="fp32"))
    found, expected = trainer.handle(asked), trainer.handle(in_fp32)
    assert (found.probabilities == expected.probabilities).all()
    assert (found.validation == expected.validation).all()


def test_the_validation_images_are_classified_beside_others_to_the_same_bits(
    data: SearchData, device: str, ask: Ask, tmp_path: Path
) -> None:
    task = ask(weights=str(tmp_path / "best.safetensors"), batch_size=4)
    trainer = Trainer(data, device)
    trainer.handle(task)
    few = Split(data.validation.images[:7], data.validation.labels[:7])
    alone = trainer.handle(kept(task, few))
    both = trainer.handle(replace(kept(task, few), with_validation=True))
    assert alone.validation is None
    assert (both.probabilities == alone.probabilities).all()
    assert (both.validation == trainer.handle(kept(task, data.validation)).probabilities).all()


@pytest.mark.parametrize("text", ["C6 B8 P | F8", "C6 B8 P |", "squeezenet1_1"])
@pytest.mark.parametrize("units", ["uniform", "weighted"])
def test_weights_trained_with_dropout_before_the_class_layer_are_any_networks(
    data: SearchData, device: str, ask: Ask, tmp_path: Path, text: str, units: str
) -> None:
    weights, how = str(tmp_path / "w"), {"epochs": 2, "learning_rate": 1e-3}
    task = ask(text, weights=weights, class_dropout=0.6, dropout_units=units, **how)
    outcome = Trainer(data, device).handle(task)
    assert isinstance(outcome, Success)
    found = Trainer(data, device).handle(kept(task, data.validation)).probabilities
    assert (found.argmax(axis=1) == data.validation.labels).mean() == outcome.fitness
    without = Trainer(data, device).handle(kept(ask(text, weights=weights, **how), data.validation))
    assert (found == without.probabilities).all()
    loaded = TrainedNetwork.load(Path(weights), task.settings.dropout)
    alone = loaded(torch.tensor(data.validation.images)).softmax(1).detach().numpy()
    assert alone == pytest.approx(found, abs=1e-5)


def test_the_rate_that_a_network_has_anyway_changes_no_bit_and_no_other_draw(
    data: SearchData, device: str, ask: Ask
) -> None:
    outcomes = [Trainer(data, device).handle(ask(dropout=0.4, class_dropout=rate)) for rate in (None, 0.4)]
    assert outcomes[0].curve == outcomes[1].curve


def test_predictions_need_the_right_data_images_and_network(
    data: SearchData, ask: Ask, tmp_path: Path
) -> None:
    worker, task = Trainer(data), ask(weights=str(tmp_path / "w"))
    worker.handle(task)
    right = kept(task, data.validation)
    with pytest.raises(EvaluationError, match="the task is for data other"):
        worker.handle(replace(right, data_key="other"))
    with pytest.raises(EvaluationError, match=r"takes images of shape \(3, 8, 8\), found \(3, 8, 4\)"):
        worker.handle(replace(right, images=right.images[..., :4]))
    with pytest.raises(EvaluationError, match=r"holds another network: tensor 0\.weight is 6 x"):
        worker.handle(replace(right, network=parse("C7 B8 P | F8")))


def test_a_failed_training_leaves_no_weights(data: SearchData, ask: Ask, tmp_path: Path) -> None:
    Trainer(data).handle(ask(learning_rate=1e30, weights=str(tmp_path / "w")))
    assert list(tmp_path.iterdir()) == []


def test_a_network_with_given_weights_never_begins_without_them(data: SearchData, ask: Ask) -> None:
    with pytest.raises(EvaluationError, match="starts from given weights, and the task does not say where"):
        Trainer(data).handle(ask("C6 B8 P | F8 @ " + "0" * 64))


def test_a_network_that_starts_from_given_weights_ends_elsewhere_than_one_that_does_not(
    data: SearchData, ask: Ask, tmp_path: Path
) -> None:
    text = "C6 B8 P | F8"
    Trainer(data).handle(ask(text, weights=str(tmp_path / "w")))
    task = ask(f"{text} @ " + "0" * 64, epochs=1)
    started = Trainer(data).handle(replace(task, start=str(tmp_path / "w")))
    fresh = Trainer(data).handle(replace(ask(text, epochs=1), seed=task.seed))
    assert started.curve[0].loss < fresh.curve[0].loss
