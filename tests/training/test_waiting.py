"""Trainings that wait at a rung: who goes on comes to the same bits, and as far as it was kept trains no epoch twice."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from evosearch.data import SearchData
from evosearch.evaluation import Checkpoint, EpochRecord, Rung, Success, TrainingTask
from evosearch.training import Trainer
from evosearch.training.fit import FitState
from evosearch.training.waiting import WaitingFits, is_worth_writing, size_of
from tests.training.test_checkpoints import BATCHES, Until, names

Ask = Callable[..., TrainingTask]
EPOCHS = 6
FIRST, SECOND = 2, 3


@pytest.fixture
def whole(ask: Ask) -> TrainingTask:
    """With all that draws: dropout, batch norm, moved images."""
    return ask("C6 B8 P | F8 F5", epochs=EPOCHS, augment="flip_crop")


@pytest.fixture
def undisturbed(data: SearchData, whole: TrainingTask, device: str) -> Success:
    outcome = Trainer(data, device).handle(whole)
    assert isinstance(outcome, Success)
    return outcome


def rung_of(task: TrainingTask, since: int, until: int, generation: int = 0) -> TrainingTask:
    ends = None if until == EPOCHS else until
    return replace(task, until=ends, rung=Rung("small", generation, since))


def trained(trainer: Trainer, task: TrainingTask) -> tuple[Success, int]:
    progress = Until()
    outcome = trainer.handle(task, progress)
    assert isinstance(outcome, Success)
    return outcome, progress.batches


def test_a_training_in_rungs_comes_to_the_bits_of_one_at_one_go_and_trains_each_epoch_once(
    data: SearchData, whole: TrainingTask, device: str, undisturbed: Success
) -> None:
    trainer = Trainer(data, device)
    since = 0
    for until in (FIRST, SECOND, EPOCHS):
        found, batches = trained(trainer, rung_of(whole, since, until))
        assert found.curve == undisturbed.curve[:until], "the first part of the whole curve"
        assert batches == (until - since) * BATCHES
        since = until
    assert replace(found, seconds=0.0) == replace(undisturbed, seconds=0.0)


def test_others_may_be_trained_between_two_rungs(
    data: SearchData, whole: TrainingTask, device: str, undisturbed: Success
) -> None:
    trainer, other = Trainer(data, device), replace(whole, seed=8)
    trained(trainer, rung_of(whole, 0, FIRST))
    trained(trainer, rung_of(other, 0, FIRST))
    found, batches = trained(trainer, rung_of(whole, FIRST, EPOCHS))
    assert (found.curve, batches) == (undisturbed.curve, (EPOCHS - FIRST) * BATCHES)


def test_a_lost_one_begins_at_epoch_0_and_gives_the_same_bits(
    data: SearchData, whole: TrainingTask, device: str, undisturbed: Success
) -> None:
    trained(Trainer(data, device), rung_of(whole, 0, FIRST))
    found, batches = trained(Trainer(data, device), rung_of(whole, FIRST, EPOCHS))
    assert (found.curve, found.measures, batches) == (
        undisturbed.curve,
        undisturbed.measures,
        EPOCHS * BATCHES,
    )


def test_seconds_are_those_of_the_rung(data: SearchData, whole: TrainingTask) -> None:
    now = [0.0]

    class Ticking(Until):
        def step(self) -> None:
            super().step()
            now[0] += 1.0

    trainer = Trainer(data, clock=lambda: now[0])
    for since, until in ((0, FIRST), (FIRST, EPOCHS)):
        outcome = trainer.handle(rung_of(whole, since, until), Ticking())
        assert outcome.seconds == (until - since) * BATCHES


def test_what_has_no_room_waits_where_checkpoints_are(
    data: SearchData,
    whole: TrainingTask,
    device: str,
    undisturbed: Success,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And any worker goes on with it, without the seconds of the rung before."""
    monkeypatch.setattr(WaitingFits, "keep", lambda *_: False)
    monkeypatch.setattr("evosearch.training.waiting.SLOW_BYTES", 1e12)
    rule = Checkpoint(str(tmp_path), "key", every_minutes=60.0, begun=False)
    first, last = (
        replace(rung_of(whole, since, until), checkpoint=replace(rule, begun=since > 0))
        for since, until in ((0, FIRST), (FIRST, EPOCHS))
    )
    before = Trainer(data, device)
    trained(before, first)
    trained(before, rung_of(replace(whole, seed=8), 0, FIRST))
    assert names(tmp_path / "key") == [f"epoch-{FIRST:06}.safetensors"], "it is still there"
    after = Trainer(data, device, clock=lambda: 0.0)
    found, batches = trained(after, last)
    assert (found.curve, batches) == (undisturbed.curve, (EPOCHS - FIRST) * BATCHES)
    assert found.seconds == 0.0
    trained(after, rung_of(replace(whole, seed=9), 0, FIRST))
    assert not (tmp_path / "key").exists(), "it has come to its end"


def state(epochs: int, elements: int = 1) -> FitState:

    return FitState({"weights": torch.zeros(elements)}, (EpochRecord(0.1, 0.5),) * epochs)


def test_there_is_room_for_so_many_bytes_while_the_machine_has_more() -> None:
    waiting = WaitingFits(most=12, available=lambda: None)
    assert waiting.keep("a", Rung("s", 0), state(1, 2))
    assert not waiting.keep("b", Rung("s", 0), state(1, 2))
    assert waiting.keep("c", Rung("s", 0), state(1))
    assert waiting.keep("a", Rung("s", 0), state(2, 2)), "in the place of what there was"
    assert waiting.find("a", 2) is not None
    assert waiting.find("a", 1) is None, "it is further than that"
    assert not WaitingFits(most=12, available=lambda: 0).keep("a", Rung("s", 0), state(1))


def test_what_nobody_will_ask_for_again_is_forgotten() -> None:
    waiting = WaitingFits(available=lambda: None)
    for name, search, generation, epochs in (
        ("over", "s", 2, 5),
        ("dropped", "s", 3, 2),
        ("goes on", "s", 3, 5),
        ("early", "s", 4, 2),
        ("of another search", "t", 0, 2),
    ):
        waiting.keep(name, Rung(search, generation), state(epochs))
    waiting.forget(Rung("s", 3))
    assert waiting.find("over", 9), "an immigrant of generation 3 may be early"
    waiting.forget(Rung("s", 4))
    assert (waiting.find("over", 9), len(waiting)) == (None, 4)
    waiting.forget(Rung("s", 3, since=5))
    assert (waiting.find("dropped", 9), len(waiting)) == (None, 3)
    waiting.forget(Rung("s", 4, since=2))
    assert (waiting.find("goes on", 9), len(waiting)) == (None, 2)


def test_writing_pays_where_training_again_takes_longer() -> None:
    assert size_of(state(1, 5 * 2**20)) == 20 * 2**20
    assert is_worth_writing(state(1, 5 * 2**20), epoch_seconds=0.11, epochs=10)
    assert not is_worth_writing(state(1, 5 * 2**20), epoch_seconds=0.09, epochs=10)
