"""Captured steps come to the very bits of eager ones: on a CPU with a stand-in for the graph, on a GPU with the graph itself."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from evosearch.data import SearchData
from evosearch.evaluation import Checkpoint, Failure, FailureKind, Success, TrainingTask, Unwatched
from evosearch.training import captured, trainer
from evosearch.training.batches import ResidentData
from evosearch.training.captured import CapturedStepper, CudaRecorder, Recorder
from evosearch.training.fit import Fit, FitState
from evosearch.training.step import Classifier, Eager, Stepper
from evosearch.training.trainer import StepTimer, Trainer
from tests.training.stand_in import ReboundError, StandIn, Watched

Ask = Callable[..., TrainingTask]
ALL_LAYERS = "C6 B8 P | F8 F5"
"""Batch norm, dropout, and a fully connected layer behind the pooling; five batches an epoch, the last of one image more."""
EPOCH = 5


class KilledError(Exception):
    """A training's process has died."""


@pytest.fixture
def resident(data: SearchData, device: str) -> ResidentData:
    return ResidentData(data, torch.device(device))


def recorder(device: str | torch.device) -> Recorder:
    return StandIn() if torch.device(device).type == "cpu" else CudaRecorder(torch.device(device))


def capturing(made: Recorder, failures: list[str] | None = None) -> Callable[..., Stepper]:
    """What fails to be recorded is an error unless `failures` keep it."""

    def failed(why: str) -> None:
        assert failures is not None, why
        failures.append(why)

    return partial(CapturedStepper, recorder=made, failed=failed)


def watched(device: torch.device) -> AbstractContextManager[object]:
    return Watched() if device.type == "cpu" else nullcontext()


def stepped(fit: Fit, steps: int) -> Fit:
    for _ in range(steps):
        fit.step()
    return fit


def ended(fit: Fit) -> Fit:
    while not fit.ended:
        fit.run_epoch()
    return fit


def assert_same(found: FitState, expected: FitState) -> None:
    assert found.tensors.keys() == expected.tensors.keys()
    assert not [name for name in found.tensors if not found.tensors[name].equal(expected.tensors[name])]
    assert (found.curve, found.batch) == (expected.curve, expected.batch)


def assert_captured_is_eager(task: TrainingTask, resident: ResidentData) -> None:
    """After every step, and in what the training comes to."""
    eager, ours = Fit(task, resident), Fit(task, resident, capturing(recorder(resident.device)))
    while not eager.ended:
        eager.step()
        ours.step()
        assert_same(ours.state(), eager.state())
    assert ours.measures() == eager.measures()
    ours.close()


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adadelta", "rmsprop"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_captured_training_has_every_bit_of_an_eager_one(
    resident: ResidentData, ask: Ask, optimizer: str, precision: str
) -> None:
    assert_captured_is_eager(ask(ALL_LAYERS, optimizer=optimizer, precision=precision), resident)


@pytest.mark.parametrize(
    "settings",
    [
        {"augment": "flip_crop", "class_weights": "balanced"},
        {"augment": "flip", "batch_size": 5, "normalize": "standard"},
        {"class_dropout": 0.6, "dropout_units": "weighted"},
        {"class_dropout": 0.4, "dropout_units": "uniform", "precision": "bf16"},
        {"patience": 1, "epochs": 5, "learning_rate": 0.1},
        {"fit": "train_validation"},
        {"batch_size": 64},
        {"epochs": 1},
    ],
)
def test_so_it_has_with_all_that_a_step_can_do(
    resident: ResidentData, ask: Ask, settings: dict[str, Any]
) -> None:
    assert_captured_is_eager(ask(ALL_LAYERS, **settings), resident)


def test_so_it_has_where_modules_of_others_draw_random_numbers(resident: ResidentData, ask: Ask) -> None:
    task = ask("efficientnet_b0", epochs=2, batch_size=10)
    eager, ours = Fit(task, resident), Fit(task, resident, capturing(recorder(resident.device)))
    with watched(resident.device):
        assert_same(stepped(ours, 4).state(), stepped(eager, 4).state())


@pytest.mark.slow  # InceptionV3 has 25 million weights
def test_so_it_has_with_an_auxiliary_head(resident: ResidentData, ask: Ask) -> None:
    task = ask("inception_v3", epochs=2, batch_size=10)
    eager, ours = Fit(task, resident), Fit(task, resident, capturing(recorder(resident.device)))
    with watched(resident.device):
        assert_same(stepped(ours, 3).state(), stepped(eager, 3).state())


def test_each_size_of_batch_is_captured_before_its_second_time_and_validation_as_a_whole(
    data: SearchData, ask: Ask
) -> None:
    made = StandIn()
    fit = Fit(ask(epochs=3), ResidentData(data, torch.device("cpu")), capturing(made))
    counts = []
    for _ in range(2 * EPOCH):
        fit.step()
        counts.append(len(made.graphs))
    full, part, validation = made.graphs
    # in the first epoch full batches alone come twice; in the second the last batch, of one image more, and then the validation
    assert counts == [0, 1, 1, 1, 1, 1, 1, 1, 1, 3]
    assert (full.replays, part.replays, validation.replays) == (3 + 4, 1, 1)
    ended(fit)
    assert (full.replays, part.replays, validation.replays) == (3 + 4 + 4, 2, 2)


def test_every_batch_is_reported_whether_it_was_captured_or_not(data: SearchData, ask: Ask) -> None:
    steps = [Counted(), Counted()]
    Trainer(data).handle(ask(), steps[0])
    Trainer(data, make_recorder=StandIn).handle(ask(), steps[1])
    assert steps[0].count == steps[1].count > 3 * EPOCH


class Counted(Unwatched):
    """Counts steps; dies at one of them, keeps why the process is to be replaced."""

    def __init__(self, last: int = 0) -> None:
        self.count, self.wear, self._last = 0, list[str](), last

    def step(self) -> None:
        self.count += 1
        if self.count == self._last:
            raise KilledError

    def worn(self, why: str) -> None:
        self.wear.append(why)


def test_trainings_stepped_in_turn_equal_each_alone(resident: ResidentData, ask: Ask) -> None:
    tasks = [ask(ALL_LAYERS), ask(ALL_LAYERS, seed=8), ask("P C5 | F9 F7", optimizer="sgd", precision="bf16")]
    alone = [stepped(Fit(task, resident), 8).state() for task in tasks]
    together = [Fit(task, resident, capturing(recorder(resident.device))) for task in tasks]
    for _ in range(8):
        for fit in together:
            fit.step()
            torch.rand(3, device=resident.device)
    for fit, expected in zip(together, alone, strict=True):
        assert_same(fit.state(), expected)


@pytest.mark.parametrize("steps", [1, 2, EPOCH, EPOCH + 3, 2 * EPOCH + 1])
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_either_goes_on_from_what_the_other_has_saved(
    resident: ResidentData, ask: Ask, steps: int, optimizer: str
) -> None:
    task = ask(ALL_LAYERS, optimizer=optimizer, augment="flip")
    expected = ended(Fit(task, resident)).state()
    for first, second in ((True, False), (False, True), (True, True)):
        begun, gone_on = (capturing(recorder(resident.device)) if one else Eager for one in (first, second))
        saved = stepped(Fit(task, resident, begun), steps).state()
        torch.rand(5)
        assert_same(ended(Fit.restore(task, resident, saved, gone_on)).state(), expected)


@pytest.mark.parametrize("last", [EPOCH + 4, 2 * EPOCH + 10])
def test_a_worker_that_captures_goes_on_from_a_checkpoint_to_the_eager_result(
    data: SearchData, device: str, ask: Ask, tmp_path: Path, last: int
) -> None:
    rule = Checkpoint(str(tmp_path / "checkpoints"), "key", every_epochs=1)
    task = replace(ask(ALL_LAYERS, weights=str(tmp_path / "weights")), checkpoint=rule)
    expected = Trainer(data, device).handle(replace(task, checkpoint=None))
    kept = load_file(tmp_path / "weights")
    make = partial(recorder, device)
    with pytest.raises(KilledError):
        Trainer(data, device, make_recorder=make).handle(task, Counted(last))
    found = Trainer(data, device, make_recorder=make).handle(task, watch := Counted())
    assert isinstance(found, Success)
    assert isinstance(expected, Success)
    assert (found.curve, found.measures) == (expected.curve, expected.measures)
    weights = load_file(tmp_path / "weights")
    assert weights.keys() == kept.keys()
    assert all(weights[name].equal(kept[name]) for name in kept)
    assert 0 < watch.count < 3 * (EPOCH + 3), "it has gone on"


# What breaks it must be seen


def test_a_step_whose_rows_are_replaced_instead_of_filled_is_seen(
    data: SearchData, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rebind(step: Any, rows: Tensor, moves: Tensor | None) -> None:
        step.rows = rows.clone()

    monkeypatch.setattr(captured._Step, "take", rebind)
    with pytest.raises(ReboundError, match=r"a tensor \(4,\) that the capture saw is gone"):
        assert_captured_is_eager(ask(), ResidentData(data, torch.device("cpu")))


def test_a_step_that_is_captured_on_its_callers_rows_is_seen(
    data: SearchData, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tensor, "clone", lambda tensor, **_: tensor)
    monkeypatch.setattr(captured._Step, "take", lambda *_: None)
    with pytest.raises(AssertionError):
        assert_captured_is_eager(ask(), ResidentData(data, torch.device("cpu")))


def test_moves_that_are_not_handed_on_are_seen(
    data: SearchData, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows_alone(step: Any, rows: Tensor, moves: Tensor | None) -> None:
        step.rows.copy_(rows)

    monkeypatch.setattr(captured._Step, "take", rows_alone)
    with pytest.raises(AssertionError):
        assert_captured_is_eager(ask(augment="flip_crop"), ResidentData(data, torch.device("cpu")))


def test_a_weight_that_is_replaced_is_seen(data: SearchData, ask: Ask) -> None:
    fit = stepped(Fit(ask(), ResidentData(data, torch.device("cpu")), capturing(StandIn())), 3)
    weight = next(fit.network.module.parameters())
    weight.data = weight.data.clone()
    with pytest.raises(ReboundError):
        fit.step()


def test_logits_that_were_given_out_stay_as_they_were(data: SearchData, ask: Ask) -> None:
    resident = ResidentData(data, torch.device("cpu"))
    fit = ended(Fit(ask(), resident, capturing(StandIn())))
    stepper = fit._stepper
    first = stepper.classify(resident.validation.images, Unwatched())
    before = first.clone()
    with torch.no_grad():
        for weight in fit.network.module.parameters():
            weight.add_(1.0)
    assert not stepper.classify(resident.validation.images, Unwatched()).equal(before)
    assert first.equal(before)


# What cannot be captured


@pytest.mark.parametrize("number", [1, 2, 3])
def test_what_cannot_be_captured_goes_on_eagerly_to_the_same_bits_and_is_told_once(
    data: SearchData, ask: Ask, number: int
) -> None:
    resident, task, failures = ResidentData(data, torch.device("cpu")), ask(ALL_LAYERS), list[str]()
    made = StandIn(fails=number)
    fit = Fit(task, resident, capturing(made, failures))
    expected = Fit(task, resident)
    while not fit.ended:
        assert_same(stepped(fit, 1).state(), stepped(expected, 1).state())
    assert failures == [
        "a step could not be captured (RuntimeError: CUDA error: operation not permitted when stream is capturing and "
        "more); its training went on eagerly"
    ]
    assert len(made.graphs) == number - 1, "nothing more is tried"
    assert all(graph._calls is None for graph in made.graphs), "and what there was is destroyed"


class OfTheHost(StandIn):
    """Records a step that draws a number on the host, as a module may that decides there what to skip."""

    def record(self, work: Callable[[], None]) -> Any:
        graph = super().record(work)
        torch.rand(1)
        return graph


def test_a_step_that_draws_on_the_host_is_not_captured(data: SearchData, ask: Ask) -> None:
    resident, failures = ResidentData(data, torch.device("cpu")), list[str]()
    fit = ended(Fit(ask(ALL_LAYERS), resident, capturing(OfTheHost(), failures)))
    assert_same(fit.state(), ended(Fit(ask(ALL_LAYERS), resident)).state())
    (failure,) = failures
    assert "it draws random numbers on the host" in failure


def test_a_failed_capture_wears_its_worker_out(data: SearchData, ask: Ask) -> None:
    progress = Counted()
    found = Trainer(data, make_recorder=lambda: StandIn(fails=1)).handle(ask(), progress)
    expected = Trainer(data).handle(ask())
    assert isinstance(found, Success)
    assert isinstance(expected, Success)
    assert found.curve == expected.curve
    assert len(progress.wear) == 1


def test_memory_that_runs_out_in_the_first_step_is_out_of_memory(
    data: SearchData, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(Eager, "step", full)
    progress = Counted()
    found = Trainer(data, make_recorder=StandIn).handle(ask(), progress)
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.OUT_OF_MEMORY
    assert not progress.wear


def test_all_graphs_of_a_training_are_destroyed_when_it_ends_and_when_it_is_given_up(
    data: SearchData, ask: Ask
) -> None:
    for last in (0, 2 * EPOCH + 9):
        made = StandIn()
        worker = Trainer(data, make_recorder=lambda made=made: made)
        try:
            worker.handle(ask(), Counted(last))
        except KilledError:
            assert last
        assert len(made.graphs) == 3
        assert all(graph._calls is None for graph in made.graphs)


@pytest.mark.parametrize("images", [1, 21])
def test_what_a_training_takes_is_measured_on_captured_steps_too(
    data: SearchData, ask: Ask, images: int
) -> None:
    few = replace(
        data, train=replace(data.train, images=data.train.images[:images], labels=data.train.labels[:images])
    )
    made: list[StandIn] = []

    def make() -> StandIn:
        made.append(StandIn())
        return made[-1]

    ticks = iter(range(1000))
    timer = StepTimer(few, "cpu", seconds=5.0, clock=lambda: float(next(ticks)), make_recorder=make)
    found = timer.handle(ask("C4 | F5", epochs=4))
    assert isinstance(found, Success)
    assert found.seconds > 0
    assert made[0].graphs
    assert all(graph._calls is None for graph in made[0].graphs)


def test_on_a_cpu_steps_are_eager() -> None:
    assert trainer.stepper_of(None, Unwatched()) is Eager


# On a GPU


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")


@pytest.mark.gpu
@needs_gpu
def test_memory_of_a_training_is_free_when_it_is_closed(data: SearchData, ask: Ask) -> None:
    worker, reserved = Trainer(data, "cuda", make_recorder=partial(recorder, "cuda")), []
    for _ in range(4):
        worker.handle(ask(ALL_LAYERS))
        reserved.append(torch.cuda.memory_reserved())
    assert reserved[1:] == reserved[1:2] * 3


@pytest.mark.gpu
@needs_gpu
def test_a_step_that_waits_for_the_device_cannot_be_captured_and_leaves_all_as_it_was(
    data: SearchData, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident, failures = ResidentData(data, torch.device("cuda")), list[str]()
    expected = ended(Fit(ask(ALL_LAYERS), resident)).state()
    heads = Classifier.heads

    def waiting(network: Classifier, images: Tensor) -> tuple[Tensor, ...]:
        images.sum().item()
        return heads(network, images)

    monkeypatch.setattr(Classifier, "heads", waiting)
    fit = ended(Fit(ask(ALL_LAYERS), resident, capturing(recorder("cuda"), failures)))
    assert_same(fit.state(), expected)
    assert len(failures) == 1
    monkeypatch.undo()
    assert_captured_is_eager(ask(ALL_LAYERS), resident)
