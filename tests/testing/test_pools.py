from pathlib import Path
from typing import Any

import pytest

from evosearch.evaluation import Failure, FailureKind
from evosearch.runtime import (
    EvaluatorFactory,
    PoolEvent,
    TaskDone,
    Ticket,
    WorkerJoined,
    WorkerLeft,
    WorkerPool,
)
from evosearch.testing.evaluators import FailingEvaluator, FormulaEvaluator, Victims
from evosearch.testing.pool_contract import PoolContract, joined, ticket, tiny_data, training_task
from evosearch.testing.pools import Script, ScriptedPool


class TestScriptedPool(PoolContract):
    def make_pool(self, factory: EvaluatorFactory, workers: int, **changes: Any) -> WorkerPool:
        script = Script(workers, recycle_after=changes.get("recycle_after"))
        return ScriptedPool(factory(tiny_data(), "cpu"), script)

    def worker_processes(self) -> set[int]:
        return set()

    @pytest.mark.skip(reason="a scripted task takes no time")
    def test_progress_is_told_while_a_task_goes_on_and_none_before_it(self) -> None: ...

    @pytest.mark.skip(reason="a scripted task takes no time")
    def test_the_curve_of_a_running_training_is_told_on_its_way(self) -> None: ...

    @pytest.mark.skip(reason="a scripted task takes no time")
    def test_a_soft_limit_ends_a_task_as_timed_out_and_the_worker_lives_on(self) -> None: ...

    @pytest.mark.skip(reason="a scripted task hangs by its script, tested below")
    def test_a_worker_that_hangs_is_stopped_with_the_place_where_it_stood_and_replaced(
        self, tmp_path: Path
    ) -> None: ...

    @pytest.mark.skip(reason="a scripted worker is no process that could grow")
    def test_a_worker_that_grows_leaves_and_says_by_how_much(self) -> None: ...


def _ended(script: Script, tasks: int) -> list[PoolEvent]:
    """Events of one task on each of as many workers."""
    pool = ScriptedPool(FormulaEvaluator(), script)
    pool.start()
    for number, worker in enumerate(joined(pool, tasks)):
        pool.submit(worker, ticket(number), training_task(seed=number))
    return [event for _ in range(tasks) for event in pool.poll(0)]


def _order(events: list[PoolEvent]) -> list[int]:
    return [event.ticket.number for event in events if isinstance(event, TaskDone)]


def test_tasks_end_in_order_of_submission_unless_they_are_shuffled() -> None:
    assert _order(_ended(Script(workers=8), 8)) == list(range(8))
    shuffled = _order(_ended(Script(workers=8, shuffle=1), 8))
    assert shuffled != list(range(8))
    assert sorted(shuffled) == list(range(8))


def test_a_shuffle_is_the_same_each_time_and_another_one_by_another_seed() -> None:
    first, again, other = (_order(_ended(Script(workers=8, shuffle=seed), 8)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_an_attempt_loses_its_worker_when_the_script_says_so_and_another_attempt_does_not() -> None:
    pool = ScriptedPool(FormulaEvaluator(), Script(losses={(4, 1): FailureKind.WORKER_LOST}))
    pool.start()
    (first,) = joined(pool, 1)
    pool.submit(first, ticket(4, attempt=1), training_task())
    left, heir = pool.poll(0)
    assert left == WorkerLeft(first, FailureKind.WORKER_LOST, "lost by the script")
    assert isinstance(heir, WorkerJoined)
    pool.submit(heir.worker, ticket(4, attempt=2), training_task())
    (done,) = pool.poll(0)
    assert isinstance(done, TaskDone)
    assert pool.submitted == [Ticket("contract", 1, 4, 1), Ticket("contract", 1, 4, 2)]


def test_a_failure_of_the_evaluator_comes_back_as_it_is() -> None:
    pool = ScriptedPool(FailingEvaluator(Victims(every=1), kind=FailureKind.OUT_OF_MEMORY))
    pool.start()
    (worker,) = joined(pool, 1)
    pool.submit(worker, ticket(0), training_task())
    (done,) = pool.poll(0)
    assert isinstance(done, TaskDone)
    assert isinstance(done.result, Failure)
    assert done.result.kind is FailureKind.OUT_OF_MEMORY


def test_a_task_hangs_by_the_script_until_its_worker_is_stopped() -> None:
    pool = ScriptedPool(FormulaEvaluator(), Script(workers=2, hangs=frozenset({(0, 1)})))
    pool.start()
    hung, other = joined(pool, 2)
    pool.submit(hung, ticket(0), training_task())
    pool.submit(other, ticket(1), training_task())
    assert _order([*pool.poll(0), *pool.poll(0)]) == [1]
    pool.stop(hung, FailureKind.WORKER_LOST, "made no step for 600 s")
    left, heir = pool.poll(0)
    message = "made no step for 600 s; it was at a place of the script"
    assert left == WorkerLeft(hung, FailureKind.WORKER_LOST, message)
    assert isinstance(heir, WorkerJoined)
    pool.submit(heir.worker, ticket(0, attempt=2), training_task())
    assert _order(list(pool.poll(0))) == [0]


def test_workers_are_spread_over_nodes_in_turn_and_replaced_where_they_were() -> None:
    script = Script(workers=3, nodes=2, losses={(0, 1): FailureKind.CRASHED})
    pool = ScriptedPool(FormulaEvaluator(), script)
    pool.start()
    workers = joined(pool, 3)
    assert [worker.node for worker in workers] == ["scripted-0", "scripted-1", "scripted-0"]
    pool.submit(workers[1], ticket(0), training_task())
    _, heir = pool.poll(0)
    assert isinstance(heir, WorkerJoined)
    assert heir.worker.device == "scripted-1/cpu"


def test_on_an_excluded_node_of_several_the_idle_are_gone_and_the_busy_leave_with_their_task() -> None:
    pool = ScriptedPool(FormulaEvaluator(), Script(workers=4, nodes=2))
    pool.start()
    busy, elsewhere, idle, _ = joined(pool, 4)
    pool.submit(busy, ticket(0), training_task())
    pool.exclude("scripted-0")
    pool.submit(idle, ticket(1), training_task())
    pool.submit(elsewhere, ticket(2), training_task())
    events = [event for _ in range(4) for event in pool.poll(0)]
    assert _order(events) == [0, 2]
    assert [bool(event.leaves) for event in events if isinstance(event, TaskDone)] == [True, False]
    assert len(events) == 2
