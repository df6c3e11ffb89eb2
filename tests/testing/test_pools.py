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
from evosearch.testing.pool_contract import PoolContract, joined, request, ticket, tiny_data
from evosearch.testing.pools import Script, ScriptedPool


class TestScriptedPool(PoolContract):
    def make_pool(self, factory: EvaluatorFactory, workers: int) -> WorkerPool:
        return ScriptedPool(factory(tiny_data(), "cpu"), Script(workers))

    def worker_processes(self) -> set[int]:
        return set()


def _ended(script: Script, tasks: int) -> list[PoolEvent]:
    """Events of one task on each of as many workers."""
    pool = ScriptedPool(FormulaEvaluator(), script)
    pool.start()
    for number, worker in enumerate(joined(pool, tasks)):
        pool.submit(worker, ticket(number), request(seed=number))
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
    pool.submit(first, ticket(4, attempt=1), request())
    left, heir = pool.poll(0)
    assert left == WorkerLeft(first, FailureKind.WORKER_LOST, "lost by the script")
    assert isinstance(heir, WorkerJoined)
    pool.submit(heir.worker, ticket(4, attempt=2), request())
    (done,) = pool.poll(0)
    assert isinstance(done, TaskDone)
    assert pool.submitted == [Ticket("contract", 1, 4, 1), Ticket("contract", 1, 4, 2)]


def test_a_failure_of_the_evaluator_comes_back_as_it_is() -> None:
    pool = ScriptedPool(FailingEvaluator(Victims(every=1), kind=FailureKind.OUT_OF_MEMORY))
    pool.start()
    (worker,) = joined(pool, 1)
    pool.submit(worker, ticket(0), request())
    (done,) = pool.poll(0)
    assert isinstance(done, TaskDone)
    assert isinstance(done.result, Failure)
    assert done.result.kind is FailureKind.OUT_OF_MEMORY
