import operator
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from evosearch.errors import CannotRunError
from evosearch.evaluation import FailureKind
from evosearch.runtime import EvaluatorFactory, TaskDone, Worker, WorkerJoined, WorkerLeft, WorkerPool
from evosearch.testing.evaluators import ExitingEvaluator, FormulaEvaluator, RaisingEvaluator, Victims
from evosearch.testing.pool_contract import PoolContract, gather, joined, request, ticket, tiny_data
from tests.workers.sent import FirstOnly, Sent
from workers.process_pool import ProcessPool
from workers.slots import Slot

ALL = Victims(every=1)
DRIVER = Path(__file__).with_name("driver_program.py")


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def _pool(factory: EvaluatorFactory, workers: int = 1, threads: int = 1) -> ProcessPool:
    return ProcessPool(factory, tiny_data(), [Slot("cpu", threads)] * workers)


class TestProcessPool(PoolContract):
    def make_pool(self, factory: EvaluatorFactory, workers: int) -> WorkerPool:
        return _pool(factory, workers)

    def worker_processes(self) -> set[int]:
        return _children()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_worker_killed_by_a_signal_says_which(number: signal.Signals) -> None:
    with closing(_pool(ExitingEvaluator(ALL, signal=number))) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        pool.submit(worker, ticket(0), request())
        left, *_ = gather(pool, bool)
    assert isinstance(left, WorkerLeft)
    assert f"killed by {number.name}" in left.message


def test_a_worker_that_exits_says_with_which_status() -> None:
    with closing(_pool(ExitingEvaluator(ALL))) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        pool.submit(worker, ticket(0), request())
        left, *_ = gather(pool, bool)
    assert isinstance(left, WorkerLeft)
    assert left.message == "the worker process ended with exit status 3"


def test_a_task_for_a_worker_that_just_died_ends_with_the_news_of_its_death() -> None:
    with closing(_pool(FormulaEvaluator())) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        (number,) = _children()
        psutil.Process(number).kill()
        pool.submit(worker, ticket(0), request())
        left, *_ = gather(pool, bool)
    assert isinstance(left, WorkerLeft)
    assert (left.worker, left.kind) == (worker, FailureKind.CRASHED)


def test_an_idle_worker_that_dies_is_told_and_replaced() -> None:
    with closing(_pool(FormulaEvaluator())) as pool:
        pool.start()
        joined(pool, 1)
        (number,) = _children()
        psutil.Process(number).kill()
        left, heir = gather(pool, lambda events: len(events) == 2)
    assert isinstance(left, WorkerLeft)
    assert isinstance(heir, WorkerJoined)


def test_a_lost_cuda_context_ends_the_worker_and_its_message_is_kept() -> None:
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    with closing(_pool(RaisingEvaluator(ALL, error=error))) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        pool.submit(worker, ticket(0), request())
        left, *_ = gather(pool, bool)
    assert isinstance(left, WorkerLeft)
    assert "illegal memory access" in left.message


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_leaves_workers_to_the_driver(number: signal.Signals) -> None:
    with closing(_pool(FormulaEvaluator())) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        for child in _children():
            os.kill(child, number)
        pool.submit(worker, ticket(0), request())
        (done,) = gather(pool, bool)
    assert done.worker == worker
    assert not isinstance(done, WorkerLeft)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (operator.truediv, "TypeError: unsupported operand"),  # called with (data, device)
        (Sent(operator.truediv, (1, 0)), "ZeroDivisionError: division by zero"),
        (Sent(signal.raise_signal, (signal.SIGKILL,)), "killed by SIGKILL"),
        (Sent(os._exit, (7,)), "exit status 7"),
    ],
)
def test_a_worker_that_never_becomes_ready_ends_the_pool_and_says_why(
    factory: EvaluatorFactory, message: str
) -> None:
    with closing(_pool(factory)) as pool:
        pool.start()
        with pytest.raises(
            CannotRunError, match=f"no worker process became ready, 3 times in a row: .*{message}"
        ):
            gather(pool, bool)
    assert not _children()


def test_numeric_libraries_of_a_worker_are_held_to_its_threads() -> None:
    with closing(_pool(FormulaEvaluator(), threads=3)) as pool:
        pool.start()
        joined(pool, 1)
        (number,) = _children()
        assert psutil.Process(number).environ()["OMP_NUM_THREADS"] == "3"


def test_no_descriptor_is_left_open_after_many_workers_came_and_went() -> None:
    before = psutil.Process().num_fds()
    with closing(_pool(ExitingEvaluator(ALL))) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        for number in range(5):
            pool.submit(worker, ticket(number), request())
            *_, last = gather(pool, lambda events: len(events) == 2)
            worker = last.worker
        assert isinstance(worker, Worker)
    assert psutil.Process().num_fds() == before


def test_the_workers_of_a_killed_driver_are_gone_at_once_though_they_train() -> None:
    driver = subprocess.Popen([sys.executable, str(DRIVER)], stdout=subprocess.PIPE, text=True)
    assert driver.stdout
    with driver, driver.stdout:
        workers = [psutil.Process(int(number)) for number in driver.stdout.readline().split()]
        assert len(workers) == 2
        driver.kill()
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert not alive


def test_a_slot_that_cannot_start_is_given_up_with_a_warning_while_another_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(_pool(FirstOnly(str(tmp_path)), workers=2)) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        gather(pool, lambda _: "gave up a slot" in caplog.text)
        assert "died 3 times while it started: FileExistsError" in caplog.text
        pool.submit(worker, ticket(0), request())
        assert [type(event) for event in gather(pool, bool)] == [TaskDone]
