"""What every `WorkerPool` promises, as tests to inherit."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from evosearch.data import SearchData, Split
from evosearch.evaluation import (
    EpochRecord,
    Failure,
    FailureKind,
    Prediction,
    PredictionTask,
    Success,
    TrainingSettings,
    TrainingTask,
)
from evosearch.genome import parse
from evosearch.runtime import (
    EvaluatorFactory,
    PoolChanged,
    PoolEvent,
    TaskDone,
    Ticket,
    Worker,
    WorkerJoined,
    WorkerLeft,
    WorkerPool,
    WorkerProgressed,
)
from evosearch.testing.evaluators import (
    ExitingEvaluator,
    FormulaEvaluator,
    HangingEvaluator,
    LeakingEvaluator,
    RaisingEvaluator,
    Victims,
    WornEvaluator,
)

PATIENCE = 60.0
"""Seconds until a pool that tells nothing has failed the test; a Ray actor needs a few to start."""

GOOD = "C8 P | F16"
BAD = "C16 P | F16"
BAD_ONES = Victims(frozenset({BAD}))


def tiny_data() -> SearchData:
    """8 training and 4 validation images of 8 x 8 pixels in two classes, the same each time."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 1, 8, 8), np.uint8)
    labels = np.arange(12) % 2
    return SearchData(Split(pixels[:8], labels[:8]), Split(pixels[8:], labels[8:]), ("no", "yes"), "tiny")


def training_task(network: str = GOOD, seed: int = 1) -> TrainingTask:
    """A task for `tiny_data`."""
    return TrainingTask(parse(network), TrainingSettings(epochs=1, batch_size=4), "tiny", seed)


def ticket(number: int, attempt: int = 1) -> Ticket:
    """An attempt of a search named "contract"."""
    return Ticket("contract", 1, number, attempt)


def gather(pool: WorkerPool, enough: Callable[[list[PoolEvent]], bool]) -> list[PoolEvent]:
    """All events until they are `enough`; fails after `PATIENCE` seconds with what came until then."""
    events: list[PoolEvent] = []
    deadline = time.monotonic() + PATIENCE
    while not enough(events):
        assert time.monotonic() < deadline, f"the pool told nothing more after {events}"
        events += pool.poll(0.2)
    return events


def joined(pool: WorkerPool, count: int) -> list[Worker]:
    """The first `count` workers of a pool that was just started."""
    events = gather(pool, lambda events: len(_newcomers(events)) >= count)
    return _newcomers(events)


class PoolContract:
    """Inherit this and say how to make a pool; see `WorkerPool` for the contract in words."""

    def make_pool(self, factory: EvaluatorFactory, workers: int, **changes: Any) -> WorkerPool:
        """A pool of `workers` workers that hold `tiny_data`, not started. `changes`: fields of `WorkerSettings`, where
        they differ from its defaults.
        """
        raise NotImplementedError

    def worker_processes(self) -> set[int]:
        """Ids of all worker processes of this kind of pool that run now."""
        raise NotImplementedError

    @contextmanager
    def running(self, factory: EvaluatorFactory, workers: int = 1, **changes: Any) -> Iterator[WorkerPool]:
        pool = self.make_pool(factory, workers, **changes)
        try:
            pool.start()
            yield pool
        finally:
            pool.close()

    def test_each_worker_is_announced_once_under_a_name_of_its_own(self) -> None:
        with self.running(FormulaEvaluator(), 2) as pool:
            workers = joined(pool, 2)
            assert len({worker.name for worker in workers}) == 2
            assert {worker.device.endswith("/cpu") for worker in workers} == {pool.device == "cpu"}
            assert not pool.poll(0.1)

    def test_each_task_ends_in_exactly_one_result(self) -> None:
        with self.running(FormulaEvaluator(), 2) as pool:
            free = joined(pool, 2)
            waiting = [ticket(number) for number in range(12)]
            told: list[PoolEvent] = []
            while len(told) < 12:
                for worker, one in zip(free, waiting, strict=False):
                    pool.submit(worker, one, training_task(seed=one.number))
                del waiting[: len(free)]
                news = gather(pool, bool)
                told += news
                free = [event.worker for event in news if isinstance(event, TaskDone)]
            assert not pool.poll(0.1)
        assert sorted(_tickets(told), key=lambda one: one.number) == [ticket(number) for number in range(12)]

    def test_equal_requests_give_equal_results_on_every_worker(self) -> None:
        with self.running(FormulaEvaluator(), 2) as pool:
            for number, worker in enumerate(joined(pool, 2)):
                pool.submit(worker, ticket(number), training_task(seed=7))
            events = gather(pool, lambda events: len(events) == 2)
        expected = FormulaEvaluator().handle(training_task(seed=7))
        assert [event.result for event in events if isinstance(event, TaskDone)] == [expected, expected]

    def test_a_prediction_comes_back_with_a_row_per_image(self) -> None:
        with self.running(FormulaEvaluator()) as pool:
            (worker,) = joined(pool, 1)
            images = np.zeros((5, 1, 8, 8), np.uint8)
            asked = training_task()
            task = PredictionTask(asked.network, asked.settings, "tiny", "weights", images)
            pool.submit(worker, ticket(0), task)
            (event,) = gather(pool, bool)
        assert isinstance(event, TaskDone)
        assert isinstance(event.result, Prediction)
        assert event.result.probabilities.shape == (5, 2)

    def test_an_exception_is_a_failure_and_the_worker_lives_on(self) -> None:
        with self.running(RaisingEvaluator(BAD_ONES, error=KeyError("no such gene"))) as pool:
            (worker,) = joined(pool, 1)
            pool.submit(worker, ticket(0), training_task(BAD))
            (failed,) = gather(pool, bool)
            pool.submit(worker, ticket(1), training_task(GOOD))
            (done,) = gather(pool, bool)
        assert isinstance(failed, TaskDone)
        assert isinstance(failed.result, Failure)
        assert failed.result.kind is FailureKind.ERROR
        assert "KeyError" in failed.result.message
        assert "no such gene" in failed.result.message
        assert isinstance(done, TaskDone)
        assert (done.worker, done.ticket) == (worker, ticket(1))
        assert isinstance(done.result, Success)

    def test_a_worker_that_dies_takes_its_task_along_and_is_replaced_under_another_name(self) -> None:
        with self.running(ExitingEvaluator(BAD_ONES), 2) as pool:
            doomed, other = joined(pool, 2)
            pool.submit(doomed, ticket(0), training_task(BAD))
            pool.submit(other, ticket(1), training_task(GOOD))
            events = gather(pool, lambda events: len(events) == 3)
            (heir,) = (event.worker for event in events if isinstance(event, WorkerJoined))
            pool.submit(heir, ticket(2), training_task(GOOD))
            (last,) = gather(pool, bool)
        (left,) = (event for event in events if isinstance(event, WorkerLeft))
        assert (left.worker, left.kind) == (doomed, FailureKind.CRASHED)
        assert left.message
        assert "\n" not in left.message
        assert heir.name not in (doomed.name, other.name)
        assert _tickets([*events, last]) == [ticket(1), ticket(2)]

    def test_a_task_for_a_worker_that_left_is_no_error_and_changes_nothing(self) -> None:
        with self.running(ExitingEvaluator(BAD_ONES)) as pool:
            (doomed,) = joined(pool, 1)
            pool.submit(doomed, ticket(0), training_task(BAD))
            gather(pool, lambda events: any(isinstance(event, WorkerJoined) for event in events))
            pool.submit(doomed, ticket(1), training_task(GOOD))
            assert not pool.poll(0.1)

    def test_a_poll_without_news_ends_at_about_its_timeout(self) -> None:
        with self.running(FormulaEvaluator()) as pool:
            joined(pool, 1)
            start = time.monotonic()
            assert not pool.poll(0.1)
            assert time.monotonic() - start < 2

    def test_progress_is_told_while_a_task_goes_on_and_none_before_it(self) -> None:
        with self.running(FormulaEvaluator(seconds=600)) as pool:
            (worker,) = joined(pool, 1)
            assert not pool.poll(1.5)
            pool.submit(worker, ticket(0), training_task())
            assert gather(pool, lambda events: len(events) == 2) == [WorkerProgressed(worker)] * 2

    def test_the_curve_of_a_running_training_is_told_on_its_way(self) -> None:
        with self.running(FormulaEvaluator(seconds=600)) as pool:
            (worker,) = joined(pool, 1)
            pool.submit(worker, ticket(0), training_task())
            events = gather(pool, lambda events: bool(_told(events)))
        result = FormulaEvaluator().handle(training_task())
        assert isinstance(result, Success)
        assert set(_told(events)) == set(result.curve)

    def test_a_worker_that_hangs_is_stopped_with_the_place_where_it_stood_and_replaced(
        self, tmp_path: Path
    ) -> None:
        begun = Victims(frozenset({BAD}), once_in=str(tmp_path))
        with self.running(HangingEvaluator(begun)) as pool:
            (worker,) = joined(pool, 1)
            pool.submit(worker, ticket(0), training_task(BAD))
            assert not gather(pool, lambda _: any(tmp_path.iterdir())), "what hangs tells nothing"
            pool.stop(worker, FailureKind.TIMED_OUT, "took 60 s")
            left, heir = gather(pool, lambda events: len(events) == 2)
            assert isinstance(left, WorkerLeft)
            assert (left.worker, left.kind) == (worker, FailureKind.TIMED_OUT)
            assert left.message.startswith("took 60 s; it was at evosearch/testing/evaluators.py:")
            assert "\n" not in left.message
            assert isinstance(heir, WorkerJoined)
            assert heir.worker.name != worker.name
            pool.submit(heir.worker, ticket(0, attempt=2), training_task(BAD))
            assert _tickets(gather(pool, bool)) == [ticket(0, attempt=2)]

    def test_a_worker_that_left_may_be_stopped_and_nothing_happens(self) -> None:
        with self.running(ExitingEvaluator(BAD_ONES)) as pool:
            (doomed,) = joined(pool, 1)
            pool.submit(doomed, ticket(0), training_task(BAD))
            gather(pool, lambda events: any(isinstance(event, WorkerJoined) for event in events))
            pool.stop(doomed, FailureKind.WORKER_LOST, "made no step for 600 s")
            assert not pool.poll(0.1)

    def test_a_soft_limit_ends_a_task_as_timed_out_and_the_worker_lives_on(self) -> None:
        with self.running(FormulaEvaluator(seconds=600), soft_seconds=0.1) as pool:
            (worker,) = joined(pool, 1)
            pool.submit(worker, ticket(0), training_task())
            (done,) = gather(pool, bool)
        assert isinstance(done, TaskDone)
        assert isinstance(done.result, Failure)
        assert done.result.kind is FailureKind.TIMED_OUT
        assert "more than workers.soft_seconds = 0.1; stopped after epoch 1" in done.result.message
        assert not done.leaves

    def test_a_worker_leaves_with_its_last_evaluation_and_is_replaced_under_another_name(self) -> None:
        with self.running(FormulaEvaluator(), recycle_after=2) as pool:
            (worker,) = joined(pool, 1)
            pool.submit(worker, ticket(0), training_task())
            (first,) = gather(pool, bool)
            pool.submit(worker, ticket(1), training_task())
            second, heir = gather(pool, lambda events: len(events) == 2)
            assert isinstance(heir, WorkerJoined)
            pool.submit(heir.worker, ticket(2), training_task())
            (third,) = gather(pool, bool)
        done = [event for event in (first, second, third) if isinstance(event, TaskDone)]
        assert [event.leaves for event in done] == ["", "recycled after 2 evaluations", ""]
        assert all(isinstance(event.result, Success) for event in done)
        assert heir.worker.name != worker.name

    def test_a_worker_that_grows_leaves_and_says_by_how_much(self) -> None:
        with self.running(LeakingEvaluator(mebibytes=128), recycle_growth=64) as pool:
            (worker,) = joined(pool, 1)
            pool.submit(worker, ticket(0), training_task())
            (first,) = gather(pool, bool)
            pool.submit(worker, ticket(1), training_task())
            second, *_ = gather(pool, bool)
        assert isinstance(first, TaskDone)
        assert not first.leaves
        assert isinstance(second, TaskDone)
        assert isinstance(second.result, Success)
        assert "0.1 GiB more than after its first evaluation" in second.leaves

    def test_a_worker_that_is_worn_out_by_a_task_is_replaced_and_a_person_is_told_why(self) -> None:
        with self.running(WornEvaluator("a step could not be captured")) as pool:
            (worker,) = joined(pool, 1)
            pool.submit(worker, ticket(0), training_task())
            events = gather(pool, lambda events: bool(_newcomers(events)))
        (done,) = (event for event in events if isinstance(event, TaskDone))
        assert isinstance(done.result, Success)
        assert done.leaves == "recycled: a step could not be captured"
        assert [event for event in events if isinstance(event, PoolChanged)] == [
            PoolChanged(
                f"{worker.name}: a step could not be captured; a fresh process takes its place (1 so far)"
            )
        ]

    def test_on_an_excluded_node_tasks_end_and_nobody_starts(self) -> None:
        before = self.worker_processes()
        with self.running(FormulaEvaluator(), 2) as pool:
            busy, _ = joined(pool, 2)
            pool.submit(busy, ticket(0), training_task())
            pool.exclude(busy.node)
            (done,) = gather(pool, bool)
            assert isinstance(done, TaskDone)
            assert isinstance(done.result, Success)
            assert done.leaves
            assert all(isinstance(event, PoolChanged) for event in pool.poll(0.5))
            _await_end(self.worker_processes, before)

    def test_a_worker_that_is_dismissed_goes_without_a_word_and_leaves_its_place_empty(self) -> None:
        before = self.worker_processes()
        with self.running(FormulaEvaluator(), 2) as pool:
            gone, other = joined(pool, 2)
            pool.dismiss(gone)
            pool.dismiss(gone)
            pool.submit(other, ticket(0), training_task())
            (done,) = gather(pool, bool)
            assert isinstance(done, TaskDone)
            assert not done.leaves
            assert not pool.poll(0.5)
            assert pool.settled
            pool.dismiss(other)
            assert all(isinstance(event, PoolChanged) for event in pool.poll(0.5))
            assert pool.settled
            _await_end(self.worker_processes, before)

    def test_excluding_another_node_changes_nothing(self) -> None:
        with self.running(FormulaEvaluator()) as pool:
            (worker,) = joined(pool, 1)
            pool.exclude("another-node")
            pool.submit(worker, ticket(0), training_task())
            (done,) = gather(pool, bool)
        assert isinstance(done, TaskDone)
        assert not done.leaves

    def test_close_ends_every_process_in_the_middle_of_its_task_and_may_come_twice(self) -> None:
        before = self.worker_processes()
        pool = self.make_pool(FormulaEvaluator(seconds=600), 2)
        pool.start()
        for worker in joined(pool, 2):
            pool.submit(worker, ticket(0), training_task())
        pool.close()
        _await_end(self.worker_processes, before)
        pool.close()

    def test_a_pool_that_was_never_started_can_be_closed(self) -> None:
        self.make_pool(FormulaEvaluator(), 1).close()


def _newcomers(events: Sequence[PoolEvent]) -> list[Worker]:
    return [event.worker for event in events if isinstance(event, WorkerJoined)]


def _tickets(events: Sequence[PoolEvent]) -> list[Ticket]:
    return [event.ticket for event in events if isinstance(event, TaskDone)]


def _await_end(worker_processes: Callable[[], set[int]], before: set[int]) -> None:
    deadline = time.monotonic() + 60
    while remaining := worker_processes() - before:
        assert time.monotonic() < deadline, f"worker processes {remaining} are still there"


def _told(events: Sequence[PoolEvent]) -> list[EpochRecord]:
    return [record for event in events if isinstance(event, WorkerProgressed) for record in event.curve]
