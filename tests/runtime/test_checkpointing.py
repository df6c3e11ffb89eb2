"""Which trainings leave checkpoints, where, and how much room that takes."""

from dataclasses import dataclass, field, replace

import pytest

from evosearch.blueprint import Memory
from evosearch.errors import CannotRunError, InterruptedSearchError
from evosearch.evaluation import UNWATCHED, Checkpoint, FailureKind, Rung, TrainingSettings, TrainingTask
from evosearch.genome import parse
from evosearch.runtime import Checkpointing, checkpoint_room
from evosearch.storage import Finished, check_space
from evosearch.testing import FormulaEvaluator, Script
from tests.bucket import make_bucket
from tests.runtime.small_search import Drive

TASK = TrainingTask(parse("C8 P | F8"), TrainingSettings(epochs=25), "data", 7)


@dataclass
class Recorder:
    """A worker that keeps its tasks."""

    tasks: list[TrainingTask] = field(default_factory=list)

    def handle(self, task, progress=UNWATCHED):
        self.tasks.append(task)
        return FormulaEvaluator().handle(task, progress)


def test_an_evolving_search_leaves_them_by_the_clock_and_a_given_list_at_each_tenth_too():
    rule = Checkpointing("/home/small/checkpoints", 10.0).apply(TASK, 1).checkpoint
    assert rule == Checkpoint("/home/small/checkpoints", rule.key, None, 10.0, begun=False)
    listed = Checkpointing("/home/small/checkpoints", None, listed=True)
    assert listed.apply(TASK, 2).checkpoint == replace(rule, every_epochs=3, every_minutes=None, begun=True)
    assert listed.apply(replace(TASK, until=5), 1).checkpoint.every_epochs == 1


def test_where_they_are_turned_off_a_task_asks_for_none():
    assert Checkpointing("/home/small/checkpoints", None).apply(TASK, 1) == TASK


def test_each_training_has_a_key_of_its_own():
    others = [
        replace(TASK, seed=8),
        replace(TASK, network=parse("C9 P | F8")),
        replace(TASK, settings=TrainingSettings(epochs=26)),
        replace(TASK, data_key="other"),
        replace(TASK, until=5),
    ]
    keys = {Checkpointing("", 1.0).apply(task, 1).checkpoint.key for task in (TASK, *others)}
    assert len(keys) == 6
    assert Checkpointing("", 1.0).apply(replace(TASK, weights="w"), 3).checkpoint.key in keys


def test_all_rungs_of_a_training_have_one_key_and_may_find_what_the_one_before_left():
    rule = Checkpointing("", 1.0)
    first = replace(TASK, until=5, rung=Rung("small", 0))
    second = replace(TASK, rung=Rung("small", 0, since=5))
    before, after = (rule.apply(task, 1).checkpoint for task in (first, second))
    assert before.key == after.key == rule.apply(TASK, 1).checkpoint.key
    assert (before.begun, after.begun) == (False, True)


def test_a_driver_asks_for_them_and_says_whether_there_may_be_some(plan):
    recorder = Recorder()
    drive = Drive(plan, recorder, Script(losses={(3, 1): FailureKind.WORKER_LOST}))
    drive.checkpointing = {plan.name: Checkpointing("/home/small/checkpoints", 10.0)}
    drive()
    rules = [task.checkpoint for task in recorder.tasks]
    assert {rule.place for rule in rules} == {"/home/small/checkpoints"}
    assert len({rule.key for rule in rules}) == len(drive.logbook.of(Finished))
    assert [rule.begun for rule in rules].count(True) == 1


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_what_is_left_goes_with_the_end_of_the_search_and_not_before(plan, tmp_path, kind):
    place = tmp_path / kind / "small" / "checkpoints"
    left = place / ("0123456789abcdef" * 2) / "epoch-000010.safetensors"
    # the first version let a search be called `small/checkpoints`
    foreign = place / "final" / "candidate-1" / "term-1-attempt-1.safetensors"
    for file in (left, foreign):
        file.parent.mkdir(parents=True)
        file.touch()
    drive = Drive(plan, stop_reason=lambda: "SIGTERM" if len(drive.logbook.of(Finished)) == 3 else None)
    url = str(place) if kind == "folder" else f"{make_bucket(tmp_path)}/small/checkpoints"
    drive.checkpointing = {plan.name: Checkpointing(url, 10.0)}
    with pytest.raises(InterruptedSearchError):
        drive()
    assert left.exists()
    drive.stop_reason = lambda: None
    drive()
    assert not left.exists()
    assert foreign.exists()


def test_the_largest_trainings_at_once_are_counted():
    sizes = [Memory(10, 99, 20, 99), Memory(1, 99, 2, 99), Memory(100, 99, 200, 99)]
    assert checkpoint_room(sizes, slots=2) == 3 * (30 + 300)
    assert checkpoint_room(sizes, slots=9) == 3 * (30 + 300 + 3)


def test_a_disk_that_does_not_hold_them_is_told(tmp_path):
    with pytest.raises(
        CannotRunError, match=r"MiB of them checkpoints \(workers.checkpoint_minutes\); make room"
    ):
        check_space([tmp_path], 10, checkpoints=10**18)
    check_space([tmp_path], 10)
