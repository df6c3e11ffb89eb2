import pytest

from evosearch.bench.queue import StandingPool
from evosearch.errors import CannotRunError
from evosearch.evaluation import FailureKind
from evosearch.runtime import WorkerJoined, WorkerLeft
from evosearch.testing import FormulaEvaluator, Script, ScriptedPool


def standing(workers=3):
    pool = StandingPool(ScriptedPool(FormulaEvaluator(), Script(workers)))
    pool.start()
    pool.gather(workers)
    return pool


def test_each_driver_is_told_who_is_there():
    pool = standing()
    told = []
    for _ in range(2):
        pool.introduce()
        told.append(pool.poll(0.0))
        assert pool.poll(0.0) == []
    assert told[0] == told[1]
    assert [type(event) for event in told[0]] == [WorkerJoined] * 3


def test_a_worker_that_has_left_is_not_introduced_again_and_its_heir_is():
    pool = standing(1)
    pool.introduce()
    (joined,) = pool.poll(0.0)
    pool.stop(joined.worker, FailureKind.TIMED_OUT, "too long")
    left, heir = pool.poll(0.0)
    assert isinstance(left, WorkerLeft)
    pool.introduce()
    assert pool.poll(0.0) == [heir]


def test_workers_that_do_not_come_up_in_time_are_counted(monkeypatch):
    monkeypatch.setattr("evosearch.bench.queue.START_SECONDS", 0.0)
    pool = StandingPool(ScriptedPool(FormulaEvaluator(), Script(1)))
    pool.start()
    with pytest.raises(CannotRunError, match="1 of 2 workers were up"):
        pool.gather(2)
