import pickle
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from evosearch.errors import TimedOutError
from evosearch.evaluation import (
    UNWATCHED,
    EpochRecord,
    Failure,
    FailureKind,
    Prediction,
    PredictionTask,
    Progress,
    Result,
    Success,
    Task,
)
from evosearch.runtime import WorkerSettings
from evosearch.testing.evaluators import (
    FailingEvaluator,
    FormulaEvaluator,
    RaisingEvaluator,
    Victims,
    WornEvaluator,
)
from evosearch.testing.pool_contract import tiny_data, training_task
from workers.worker import service
from workers.worker.service import UNLIMITED, Broken, Done, ProgressCounter, Service, Upkeep

ALL = Victims(every=1)
RECORD = EpochRecord(0.5, 0.75)


@dataclass(frozen=True)
class HeldMemory(FormulaEvaluator):
    """Takes one step, tells that it stands, and waits until it may go on."""

    stands: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Result:
        progress.step()
        self.stands.set()
        self.wait_for_the_test()
        return super().handle(task, progress)

    def wait_for_the_test(self) -> None:
        assert self.go_on.wait(60)


def _clock(*seconds: float) -> Callable[[], float]:
    ticks = iter(seconds)
    return lambda: next(ticks)


def test_upkeep_is_the_part_of_the_settings_that_a_worker_obeys_and_can_be_sent() -> None:
    settings = WorkerSettings(soft_seconds=10, recycle_after=3, recycle_growth=None)
    upkeep = Upkeep.of(settings)
    assert upkeep == Upkeep(10, 3, None, mps=True)
    assert not Upkeep.of(WorkerSettings(mps="off")).mps
    assert pickle.loads(pickle.dumps(upkeep)) == upkeep


def test_a_task_ends_with_its_result_and_the_process_may_go_on() -> None:
    worker = Service(FormulaEvaluator(), UNLIMITED)
    assert worker.run(training_task()) == Done(FormulaEvaluator().handle(training_task()))


def test_a_prediction_is_no_evaluation_and_wears_nothing_out() -> None:
    asked = training_task()
    task = PredictionTask(asked.network, asked.settings, "tiny", "", tiny_data().validation.images)
    reply = Service(FormulaEvaluator(), Upkeep(recycle_after=1)).run(task)
    assert isinstance(reply, Done)
    assert isinstance(reply.result, Prediction)
    assert not reply.leaves


def test_the_pulse_grows_where_a_task_begins_and_with_each_step() -> None:
    worker = Service(FormulaEvaluator(), UNLIMITED)
    pulses = [worker.pulse()]
    for _ in range(2):
        worker.run(training_task())
        pulses.append(worker.pulse())
    assert [later - earlier for earlier, later in pairwise(pulses)] == [2, 2]


def test_pulse_and_stack_are_told_to_another_thread_while_a_task_stands() -> None:
    evaluator = HeldMemory()
    worker = Service(evaluator, UNLIMITED)
    thread = threading.Thread(target=worker.run, args=(training_task(),))
    assert (worker.place(), worker.stack()) == ("no task", "no task is running\n")
    before = worker.pulse()
    thread.start()
    try:
        assert evaluator.stands.wait(60)
        assert worker.pulse() == worker.pulse() > before
        stack = worker.stack()
        assert stack.index("in run_task") < stack.index("in wait_for_the_test")
        assert worker.place().startswith("workers/worker/service.py:"), "the innermost line of this project"
    finally:
        evaluator.go_on.set()
        thread.join()
    assert worker.place() == "no task"


def test_a_task_beyond_its_soft_limit_is_timed_out_and_the_next_one_starts_afresh() -> None:
    worker = Service(FormulaEvaluator(seconds=600), Upkeep(soft_seconds=0.01))
    for _ in range(2):
        reply = worker.run(training_task())
        assert isinstance(reply, Done)
        assert isinstance(reply.result, Failure)
        assert reply.result.kind is FailureKind.TIMED_OUT
        assert reply.result.message.endswith("more than workers.soft_seconds = 0.01; stopped after epoch 1")


def test_the_soft_limit_is_looked_at_where_an_epoch_ends() -> None:
    watch = ProgressCounter(10, clock=_clock(100.0, 109.0, 110.0, 111.6))
    watch.begin()
    watch.epoch(RECORD)
    watch.epoch(RECORD)
    with pytest.raises(
        TimedOutError, match=r"^took 12 s, more than workers\.soft_seconds = 10; stopped after epoch 3$"
    ):
        watch.epoch(RECORD)


def test_the_curve_of_a_running_training_is_told_now_and_then_and_never_that_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(service.time, "monotonic", lambda: now[0])
    told: list[tuple[EpochRecord, ...]] = []

    @dataclass(frozen=True)
    class Training(FormulaEvaluator):
        def handle(self, task: Task, progress: Progress = UNWATCHED) -> Result:
            for seconds in (1, 4.5, 1, 4.5):
                told.append(worker.news())
                now[0] += seconds
                progress.epoch(RECORD)
                told.append(worker.news())
            return super().handle(task, progress)

    worker = Service(Training(), UNLIMITED)
    for _ in range(2):
        told.clear()
        worker.run(training_task())
        assert told == [(), (), (), (RECORD,) * 2, (), (), (), (RECORD,) * 4]
        now[0] += 100
        assert worker.news() == ()


def test_without_a_limit_no_task_takes_too_long() -> None:
    watch = ProgressCounter(None, clock=_clock(0.0, 1e9))
    watch.begin()
    watch.epoch(RECORD)


@pytest.mark.parametrize("error", [ValueError("raised on purpose"), TimedOutError("took 12 s")])
def test_an_exception_is_a_failure_and_counts_as_an_evaluation(error: Exception) -> None:
    worker = Service(RaisingEvaluator(ALL, error=error), Upkeep(recycle_after=1))
    reply = worker.run(training_task())
    assert isinstance(reply, Done)
    assert isinstance(reply.result, Failure)
    assert str(error) in reply.result.message
    assert reply.leaves == "recycled after 1 evaluation"


def test_a_process_that_a_task_has_worn_out_is_replaced_though_its_result_stands() -> None:
    worker = Service(WornEvaluator("a step could not be captured"), Upkeep(recycle_after=1))
    expected = FormulaEvaluator().handle(training_task())
    notice = "a step could not be captured"
    assert worker.run(training_task()) == Done(expected, f"recycled: {notice}", notice)


def test_of_several_reasons_the_first_is_told_and_none_after_the_task() -> None:
    watch = ProgressCounter(None)
    watch.begin()
    watch.worn("first")
    watch.worn("second")
    assert watch.wear == "first"
    watch.begin()
    assert not watch.wear


def test_an_error_that_ruins_the_process_makes_it_broken() -> None:
    error = RuntimeError("CUDA error: device-side assert triggered")
    assert isinstance(Service(RaisingEvaluator(ALL, error=error), UNLIMITED).run(training_task()), Broken)


def test_memory_of_a_failure_is_given_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[bool] = []
    monkeypatch.setattr(service, "release", lambda: released.append(True))
    Service(FailingEvaluator(Victims()), UNLIMITED).run(training_task())
    assert not released
    Service(FailingEvaluator(ALL), UNLIMITED).run(training_task())
    assert released


def test_an_error_of_the_device_after_an_evaluation_spares_its_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(_: object) -> str:
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr("workers.worker.recycling.Wear.evaluated", fails)
    reply = Service(FormulaEvaluator(), UNLIMITED).run(training_task())
    assert isinstance(reply, Done)
    assert isinstance(reply.result, Success)
    assert reply.leaves.startswith("recycled: RuntimeError: CUDA error: unspecified launch failure")


def test_a_step_costs_next_to_nothing() -> None:
    watch = ProgressCounter(10)
    start = time.perf_counter()
    for _ in range(100_000):
        watch.step()
    assert time.perf_counter() - start < 1, (
        "10 microseconds each; a training step takes a hundred times as long"
    )
