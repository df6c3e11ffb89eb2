"""Checkpoints inside a training: which are left, which are continued, and what comes of it."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from evosearch.data import SearchData
from evosearch.evaluation import (
    Checkpoint,
    EpochRecord,
    Failure,
    Success,
    TrainingSettings,
    TrainingTask,
)
from evosearch.training import Trainer
from evosearch.training.batches import ResidentData
from evosearch.training.checkpoints import Checkpoints, fingerprint, read_state, write_state
from evosearch.training.fit import Fit
from tests.bucket import make_bucket

Ask = Callable[..., TrainingTask]
EPOCHS = 6
VALIDATED = 3
BATCHES = 5 + VALIDATED
"""Of an epoch: 21 training and 10 validation images, 4 at a time."""


class Killed(BaseException):
    """Stands for the end of the process."""


@dataclass
class Until:
    """A `Progress` that counts batches, and kills at one of them."""

    last: int | None = None
    batches: int = 0
    epochs: list[EpochRecord] = field(default_factory=list)

    def step(self) -> None:
        self.batches += 1
        if self.batches == self.last:
            raise Killed

    def epoch(self, record: EpochRecord) -> None:
        self.epochs.append(record)


@pytest.fixture
def task(ask: Ask, tmp_path: Path) -> TrainingTask:
    rule = Checkpoint(str(tmp_path / "checkpoints"), "key", every_epochs=1)
    return replace(ask("C6 B8 P | F8 F5", epochs=EPOCHS, weights=str(tmp_path / "weights")), checkpoint=rule)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / "key"


@pytest.fixture
def undisturbed(data: SearchData, task: TrainingTask, device: str, tmp_path: Path) -> Success:
    outcome = Trainer(data, device).handle(
        replace(task, checkpoint=None, weights=str(tmp_path / "undisturbed"))
    )
    assert isinstance(outcome, Success)
    return outcome


def killed_at(batch: int, data: SearchData, task: TrainingTask, device: str = "cpu") -> None:
    with pytest.raises(Killed):
        Trainer(data, device).handle(task, Until(batch))


def trained(
    data: SearchData, task: TrainingTask, device: str = "cpu"
) -> tuple[Success | Failure, int, torch.device]:
    progress = Until()
    return Trainer(data, device).handle(task, progress), progress.batches, device


def assert_ends_as(undisturbed: Success, outcome: Success, tmp_path: Path) -> None:
    assert replace(outcome, seconds=0.0) == replace(undisturbed, seconds=0.0)
    found, expected = load_file(tmp_path / "weights"), load_file(tmp_path / "undisturbed")
    assert all(tensor.equal(found[name]) for name, tensor in expected.items())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_training_goes_on_from_its_newest_checkpoint_to_the_same_end(
    data: SearchData, task: TrainingTask, device: str, undisturbed: Success, tmp_path: Path
) -> None:
    killed_at(3 * BATCHES + 2, data, task, device)
    outcome, batches, _ = trained(data, task, device)
    assert batches == (EPOCHS - 3) * BATCHES
    assert_ends_as(undisturbed, outcome, tmp_path)


def test_the_epochs_before_a_checkpoint_are_told_as_it_goes_on(
    data: SearchData, task: TrainingTask, device: str, undisturbed: Success
) -> None:
    killed_at(3 * BATCHES + 2, data, task, device)
    progress = Until(1)
    with pytest.raises(Killed):
        Trainer(data, device).handle(task, progress)
    assert tuple(progress.epochs) == undisturbed.curve[:3]


def test_the_two_newest_are_left_until_another_task_comes(
    data: SearchData, task: TrainingTask, ask: Ask, folder: Path
) -> None:
    worker = Trainer(data)
    worker.handle(task)
    assert names(folder) == ["epoch-000005.safetensors", "epoch-000006.safetensors"]
    worker.handle(ask(epochs=1))
    assert not folder.exists()


def test_one_that_ended_before_its_result_was_safe_is_not_trained_again(
    data: SearchData, task: TrainingTask, device: str, undisturbed: Success, tmp_path: Path
) -> None:
    Trainer(data, device).handle(task)
    outcome, batches, _ = trained(data, task, device)
    assert batches == VALIDATED, "for what it came to besides its accuracy"
    assert outcome.measures is not None
    assert_ends_as(undisturbed, outcome, tmp_path)


def test_a_restored_training_has_the_curve_and_the_seconds_of_before(
    data: SearchData, task: TrainingTask, device: str, undisturbed: Success
) -> None:
    seconds = iter(range(1000))
    clock: Callable[[], float] = lambda: float(next(seconds))  # noqa: E731 - a clock is no more
    with pytest.raises(Killed):
        Trainer(data, device, clock=clock).handle(task, Until(2 * BATCHES + 1))
    kept = read_state(
        Path(task.checkpoint.place, "key", "epoch-000002.safetensors"), fingerprint(task, device)
    ).seconds
    assert kept > 0
    stood = iter([10.0, 17.5])
    ended = replace(task, until=2)
    outcome = Trainer(data, device, clock=lambda: next(stood, 17.5)).handle(ended)
    assert outcome.seconds == kept + 7.5
    assert outcome.curve == undisturbed.curve[:2]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def overwrite(path: Path) -> None:
    path.write_bytes(b"no checkpoint at all")


def make_unreadable(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [cut, flip, overwrite, make_unreadable])
def test_a_damaged_checkpoint_means_the_one_before(
    data: SearchData,
    task: TrainingTask,
    device: str,
    undisturbed: Success,
    folder: Path,
    tmp_path: Path,
    damage: Callable[[Path], None],
) -> None:
    killed_at(4 * BATCHES + 2, data, task, device)
    damage(folder / "epoch-000004.safetensors")
    outcome, batches, _ = trained(data, task, device)
    assert batches == (EPOCHS - 3) * BATCHES
    assert_ends_as(undisturbed, outcome, tmp_path)


def test_where_all_are_damaged_it_begins_anew(
    data: SearchData, task: TrainingTask, device: str, undisturbed: Success, folder: Path, tmp_path: Path
) -> None:
    killed_at(4 * BATCHES + 2, data, task, device)
    for path in folder.iterdir():
        cut(path)
    outcome, batches, _ = trained(data, task, device)
    assert batches == EPOCHS * BATCHES
    assert_ends_as(undisturbed, outcome, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"optimizer": "sgd"},
        {"learning_rate": 1e-3},
        {"text": "C6 B8 P | F8 F6"},
        {"precision": "bf16"},
        {"augment": "flip"},
        {"class_weights": "balanced"},
        {"patience": 9},
    ],
)
def test_a_checkpoint_of_another_training_is_never_continued(
    data: SearchData, task: TrainingTask, ask: Ask, change: dict[str, object]
) -> None:
    killed_at(4 * BATCHES + 2, data, task)
    other = replace(
        ask(**{"text": "C6 B8 P | F8 F5", "epochs": EPOCHS, **change}), checkpoint=task.checkpoint
    )
    outcome, batches, _ = trained(data, other)
    assert batches == EPOCHS * BATCHES
    expected = Trainer(data).handle(replace(other, checkpoint=None))
    assert replace(outcome, seconds=0.0) == replace(expected, seconds=0.0)


def test_one_that_goes_beyond_the_end_is_passed_over(
    data: SearchData, task: TrainingTask, device: str, undisturbed: Success
) -> None:
    killed_at(4 * BATCHES + 2, data, task, device)
    outcome, batches, _ = trained(data, replace(task, until=3), device)
    assert batches == VALIDATED
    assert outcome.curve == undisturbed.curve[:3]
    outcome, batches, _ = trained(data, replace(task, until=2), device)
    assert batches == 2 * BATCHES
    assert outcome.curve == undisturbed.curve[:2]


@pytest.mark.parametrize(
    ("epochs", "minutes", "left"),
    [
        (None, None, []),
        (4, None, [4]),
        (2, None, [4, 6]),
        (None, 1.0, [3, 6]),
        (5, 1.0, [3, 5]),
    ],
)
def test_they_come_every_so_many_epochs_or_minutes(
    data: SearchData,
    task: TrainingTask,
    folder: Path,
    epochs: int | None,
    minutes: float | None,
    left: list[int],
) -> None:
    class Clock:
        now = 0.0

        def __call__(self) -> float:
            return self.now

        def step(self) -> None:
            self.now += 22 / BATCHES

        def epoch(self, record: EpochRecord) -> None:
            pass

    clock = Clock()
    rule = replace(task.checkpoint, every_epochs=epochs, every_minutes=minutes)
    Trainer(data, clock=clock).handle(replace(task, checkpoint=rule), clock)
    found = names(folder) if folder.exists() else []
    assert found == [f"epoch-{epoch:06}.safetensors" for epoch in left]


def test_what_cannot_be_kept_is_told_once_and_ends_nothing(
    data: SearchData,
    task: TrainingTask,
    device: str,
    undisturbed: Success,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "checkpoints").write_text("a file where a folder should be")
    with caplog.at_level(logging.WARNING):
        outcome, _, _ = trained(data, task, device)
    assert_ends_as(undisturbed, outcome, tmp_path)
    told = [record.getMessage() for record in caplog.records if "could be kept" in record.getMessage()]
    assert len(told) == 1
    assert told[0].startswith("no checkpoint could be kept: [Errno ")


def test_memory_that_is_missing_for_a_checkpoint_is_not_held_against_the_network(
    data: SearchData,
    task: TrainingTask,
    device: str,
    undisturbed: Success,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(Fit, "state", fails)
    outcome, _, _ = trained(data, task, device)
    assert_ends_as(undisturbed, outcome, tmp_path)


def test_nobody_else_may_read_them(data: SearchData, task: TrainingTask, folder: Path) -> None:
    Trainer(data).handle(task)
    modes = {path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}
    assert modes == {0o700, 0o600}


def test_what_a_killed_writer_left_is_swept_by_the_next(
    data: SearchData, task: TrainingTask, folder: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / ".epoch-000001.safetensors.1234.part").write_bytes(b"half")
    Trainer(data).handle(task)
    assert names(folder) == ["epoch-000005.safetensors", "epoch-000006.safetensors"]


def test_they_may_lie_in_an_artifact_store(
    data: SearchData, task: TrainingTask, ask: Ask, device: str, undisturbed: Success, tmp_path: Path
) -> None:
    task = replace(task, checkpoint=replace(task.checkpoint, place=f"{make_bucket(tmp_path)}/tiny"))
    killed_at(3 * BATCHES + 2, data, task, device)
    left = tmp_path / "bucket" / "tiny" / "key"
    assert names(left) == ["epoch-000002.safetensors", "epoch-000003.safetensors"]
    cut(left / "epoch-000003.safetensors")
    worker, progress = Trainer(data, device), Until()
    outcome = worker.handle(task, progress)
    assert progress.batches == (EPOCHS - 2) * BATCHES
    assert_ends_as(undisturbed, outcome, tmp_path)
    worker.handle(ask(epochs=1))
    assert not names(left)


def test_a_file_is_safetensors_and_says_what_it_is(data: SearchData, ask: Ask, tmp_path: Path) -> None:
    fit = Fit(ask(), ResidentData(data, torch.device("cpu")))
    fit.run_epoch()
    fit.step()
    write_state(tmp_path / "file", fit.state(12.5), "a fingerprint")
    with safe_open(tmp_path / "file", framework="pt") as file:
        document = json.loads(file.metadata()["evosearch"])
        dtypes = {str(file.get_tensor(name).dtype) for name in file.keys() if name.startswith("random.")}  # noqa: SIM118 - no mapping
    assert dtypes == {"torch.uint8"}
    (record,) = fit.curve
    assert document["curve"] == [[record.loss, record.accuracy]]
    assert (document["format"], document["training"]) == (1, "a fingerprint")
    assert (document["batch"], document["seconds"]) == (1, 12.5)


def test_a_training_that_was_begun_by_an_earlier_version_is_found_and_goes_on(
    data: SearchData, ask: Ask, tmp_path: Path
) -> None:
    settings = TrainingSettings(epochs=5, precision="fp32")
    task = replace(ask("C8 P | F4", seed=1, data_key="data"), settings=settings)
    assert fingerprint(task, "cpu") == "ac2fae40f07caceb6721f7ddfac80de7570515c479bacb3a5240e0b244bb57fb"
    curve = (EpochRecord(0.5, 0.75), EpochRecord(0.25, 1.0, 0.125), EpochRecord(0.125, None))
    fit = Fit(ask(), ResidentData(data, torch.device("cpu")))
    write_state(tmp_path / "file", replace(fit.state(), curve=curve), "a fingerprint")
    assert read_state(tmp_path / "file", "a fingerprint").curve == curve


def test_a_worker_that_holds_none_of_a_key_begins_anew(data: SearchData, task: TrainingTask) -> None:
    checkpoints = Checkpoints.of(task, "cpu")
    assert checkpoints
    assert checkpoints.resume(task, ResidentData(data, torch.device("cpu"))) is None
    assert Checkpoints.of(replace(task, checkpoint=None), "cpu") is None
