"""Curves of trainings under way: from their workers to the journal and the watchers."""

from dataclasses import dataclass, field, replace

from evosearch.evaluation import (
    EpochRecord,
    FailureKind,
    PredictionTask,
    Success,
    TrainingSettings,
    TrainingTask,
    TrialId,
)
from evosearch.genome import parse
from evosearch.runtime import Silence, TaskDone, Ticket, Worker, WorkerLeft, WorkerProgressed
from evosearch.runtime.faults.stalls import LiveTrainings
from evosearch.storage import LiveCurve
from evosearch.testing import ScriptedPool
from tests.runtime.small_search import Drive

ONE, OTHER = Worker("one", "node/cpu"), Worker("other", "node/cpu")
TASK = TrainingTask(parse("C8 P | F8"), TrainingSettings(epochs=9), "data", 7)
CURVE = tuple(EpochRecord(1 / epoch, epoch / 9) for epoch in range(1, 6))


def trainings() -> LiveTrainings:
    begun = LiveTrainings().began(ONE, "small", TrialId(3), TASK)
    return begun.began(OTHER, "big", TrialId(3, 6), replace(TASK, until=6))


def test_a_curve_is_told_of_the_trial_that_its_worker_has():
    _, told = trainings().heard([WorkerProgressed(ONE, CURVE[:2]), WorkerProgressed(OTHER, CURVE[:1])])
    assert told == {
        "small": (LiveCurve(TrialId(3), 9, CURVE[:2]),),
        "big": (LiveCurve(TrialId(3, 6), 6, CURVE[:1]),),
    }


def test_what_was_told_before_is_known():
    live, _ = trainings().heard([WorkerProgressed(ONE, CURVE[:2])])
    _, told = live.heard([WorkerProgressed(ONE, CURVE[:5])])
    assert told == {"small": (LiveCurve(TrialId(3), 9, CURVE, known=2),)}


def test_a_worker_that_only_moves_tells_no_curve():
    assert trainings().heard([WorkerProgressed(ONE)])[1] == {}


def test_of_what_has_ended_nothing_is_told_any_more():
    done = TaskDone(ONE, Ticket("small", 1, 3, 1), Success(0.5, 1.0))
    for end in (done, WorkerLeft(ONE, FailureKind.CRASHED, "died")):
        live, told = trainings().heard([WorkerProgressed(ONE, CURVE), end])
        assert told == {}
        assert live.heard([WorkerProgressed(ONE, CURVE)])[1] == {}


def test_the_next_task_of_a_worker_begins_a_curve_of_its_own():
    live, _ = trainings().heard([WorkerProgressed(ONE, CURVE)])
    live = live.began(ONE, "small", TrialId(4), TASK)
    _, told = live.heard([WorkerProgressed(ONE, CURVE[:1])])
    assert told == {"small": (LiveCurve(TrialId(4), 9, CURVE[:1]),)}
    reading = PredictionTask(TASK.network, TASK.settings, "data", "weights", None)
    assert live.began(ONE, "small", TrialId(4), reading).heard([WorkerProgressed(ONE, CURVE)])[1] == {}


class TellingPool(ScriptedPool):
    """Tells a curve of each task before it ends."""

    def poll(self, timeout):
        running = [WorkerProgressed(worker, CURVE[:1]) for worker in self._running]
        return [*running, *super().poll(timeout)] if len(self.submitted) % 2 else super().poll(timeout)


@dataclass
class Follower(Silence):
    followed: list[tuple[LiveCurve, ...]] = field(default_factory=list)

    def follow(self, plan, curves):
        self.followed.append(tuple(curves))


def test_a_driver_shows_them_to_readers_and_watchers_and_no_fact_changes(plan):
    told, quiet, follower = Drive(plan), Drive(plan), Follower()
    told.make_pool, told.watcher = TellingPool, follower
    for drive in (told, quiet):
        drive.script = replace(drive.script, workers=2)
        drive()
    assert told.logbook.facts == quiet.logbook.facts
    assert follower.followed == told.logbook.shown
    assert {curve.curve for curves in told.logbook.shown for curve in curves} == {CURVE[:1]}
