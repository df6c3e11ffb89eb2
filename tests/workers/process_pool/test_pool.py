import errno
import operator
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from evosearch.data import SearchData, Split
from evosearch.errors import CannotRunError
from evosearch.evaluation import FailureKind
from evosearch.runtime import (
    EvaluatorFactory,
    PoolChanged,
    PoolEvent,
    TaskDone,
    Worker,
    WorkerJoined,
    WorkerLeft,
    WorkerPool,
    WorkerSettings,
)
from evosearch.testing.evaluators import (
    ExitingEvaluator,
    FormulaEvaluator,
    HangingEvaluator,
    RaisingEvaluator,
    Victims,
)
from evosearch.testing.pool_contract import (
    BAD,
    BAD_ONES,
    PoolContract,
    gather,
    joined,
    ticket,
    tiny_data,
    training_task,
)
from tests.workers.memory import ComeAndGone, LargeLayer, median_faults
from tests.workers.sent import FirstOnly, Sent, WithStandIn, stand_in
from workers.allocator import c_library
from workers.packing import Packing, Sharing
from workers.process_pool import pool as process_pool
from workers.process_pool.pool import ProcessPool
from workers.slots import Slot
from workers.worker.service import Upkeep

ALL = Victims(every=1)
DRIVER = Path(__file__).parents[1] / "driver_program.py"


OTHERS: set[int] = set()
"""Processes of this one before a test: a Ray cluster may stand for the whole session."""


@pytest.fixture(autouse=True)
def _others() -> None:
    OTHERS.clear()
    OTHERS.update(_children())


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)} - OTHERS


def _pool(factory: EvaluatorFactory, workers: int = 1, threads: int = 1, **changes: Any) -> ProcessPool:
    upkeep = Upkeep.of(WorkerSettings(**changes))
    return ProcessPool(factory, tiny_data(), [Slot("cpu", threads)] * workers, upkeep)


class TestProcessPool(PoolContract):
    def make_pool(self, factory: EvaluatorFactory, workers: int, **changes: Any) -> WorkerPool:
        return _pool(factory, workers, **changes)

    def worker_processes(self) -> set[int]:
        return _children()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_worker_killed_by_a_signal_says_which(number: signal.Signals) -> None:
    with closing(_pool(ExitingEvaluator(ALL, signal=number))) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        pool.submit(worker, ticket(0), training_task())
        left, *_ = gather(pool, bool)
    assert isinstance(left, WorkerLeft)
    assert f"killed by {number.name}" in left.message


def test_a_worker_that_exits_says_with_which_status() -> None:
    with closing(_pool(ExitingEvaluator(ALL))) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        pool.submit(worker, ticket(0), training_task())
        left, *_ = gather(pool, bool)
    assert isinstance(left, WorkerLeft)
    assert left.message == "the worker process ended with exit status 3"


def test_a_task_for_a_worker_that_just_died_ends_with_the_news_of_its_death() -> None:
    with closing(_pool(FormulaEvaluator())) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        (number,) = _children()
        psutil.Process(number).kill()
        pool.submit(worker, ticket(0), training_task())
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
        pool.submit(worker, ticket(0), training_task())
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
        pool.submit(worker, ticket(0), training_task())
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


@pytest.mark.skipif(c_library() != "glibc", reason="only glibc can be told to keep memory")
def test_a_worker_keeps_the_memory_of_a_large_layer_from_one_step_to_the_next() -> None:
    with closing(_pool(LargeLayer())) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        pool.submit(worker, ticket(0), training_task())
        (done,) = (event for event in gather(pool, _is_done) if isinstance(event, TaskDone))
    assert median_faults(done.result) < 1000


def test_a_users_own_setting_of_the_allocator_is_that_of_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "7")
    with closing(_pool(FormulaEvaluator())) as pool:
        pool.start()
        joined(pool, 1)
        (number,) = _children()
        assert psutil.Process(number).environ()["MALLOC_ARENA_MAX"] == "7"


def test_memory_that_was_kept_goes_back_before_growth_is_judged() -> None:
    with closing(_pool(ComeAndGone(), recycle_growth=128)) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        for number, mebibytes in enumerate((1, 512, 512)):
            pool.submit(worker, ticket(number), training_task(seed=mebibytes))
            (done,) = (event for event in gather(pool, _is_done) if isinstance(event, TaskDone))
            assert (done.worker, done.leaves) == (worker, "")


def _is_done(events: list[PoolEvent]) -> bool:
    return any(isinstance(event, TaskDone) for event in events)


def test_no_descriptor_is_left_open_after_many_workers_came_and_went() -> None:
    before = psutil.Process().num_fds()
    with closing(_pool(ExitingEvaluator(ALL))) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        for number in range(5):
            pool.submit(worker, ticket(number), training_task())
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


def test_a_worker_whose_driver_is_gone_ends_without_a_word_also_where_it_notices_by_sending() -> None:
    here, there = socket.socketpair()
    with here, there, tempfile.TemporaryFile() as payload:
        pickle.dump((FormulaEvaluator(), tiny_data(), Upkeep.of(WorkerSettings())), payload)
        payload.flush()
        here.shutdown(socket.SHUT_RD)  # sending is refused, and yet nobody who listens is told
        descriptors = (there.fileno(), payload.fileno())
        program = process_pool.PROGRAM.format(*descriptors, "cpu", 1, False)
        ended = subprocess.run(
            (sys.executable, "-c", program), pass_fds=descriptors, capture_output=True, text=True, check=False
        )
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "")


def test_a_slot_that_cannot_start_is_given_up_with_a_word_while_another_works(tmp_path: Path) -> None:
    with closing(_pool(FirstOnly(str(tmp_path)), workers=2)) as pool:
        pool.start()
        events = gather(pool, lambda events: len(events) == 2)
        (worker,) = (event.worker for event in events if isinstance(event, WorkerJoined))
        (told,) = (event.text for event in events if isinstance(event, PoolChanged))
        assert "gave up a slot whose worker died 3 times while it started: FileExistsError" in told
        pool.submit(worker, ticket(0), training_task())
        assert [type(event) for event in gather(pool, bool)] == [TaskDone]


def test_a_stopped_worker_leaves_its_whole_stack_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(_pool(HangingEvaluator(Victims(every=1, once_in=str(tmp_path))))) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        pool.submit(worker, ticket(0), training_task())
        gather(pool, lambda _: any(tmp_path.iterdir()))
        assert not pool.poll(2.5), "it makes no progress"
        pool.stop(worker, FailureKind.WORKER_LOST, "made no step for 600 s")
    assert f"{worker.name} is stopped (made no step for 600 s); its stack:" in caplog.text
    assert 'evosearch/testing/evaluators.py", line' in caplog.text
    assert "in run_task" in caplog.text


def _states(number: int) -> list[str]:
    """Of the threads of a process, as Linux tells them: T is stopped."""
    stats = (task / "stat" for task in Path(f"/proc/{number}/task").iterdir())
    return [stat.read_text().rpartition(")")[2].split()[0] for stat in stats]


def test_a_frozen_worker_is_stopped_within_seconds_and_replaced() -> None:
    with closing(_pool(FormulaEvaluator(seconds=600))) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        pool.submit(worker, ticket(0), training_task())
        (number,) = _children()
        psutil.Process(number).suspend()
        while set(_states(number)) != {"T"}:  # the signal reaches one thread after the other
            time.sleep(0.01)
        start = time.monotonic()
        pool.stop(worker, FailureKind.WORKER_LOST, "made no step for 600 s")
        assert time.monotonic() - start < process_pool.STACK_SECONDS + process_pool.KILL_SECONDS
        assert not psutil.pid_exists(number)
        left, heir = gather(pool, lambda events: len(events) == 2)
    end = "made no step for 600 s; it did not answer when asked where it was"
    assert left == WorkerLeft(worker, FailureKind.WORKER_LOST, end)
    assert isinstance(heir, WorkerJoined)


def test_a_worker_stopped_between_two_tasks_says_so() -> None:
    with closing(_pool(FormulaEvaluator())) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        pool.stop(worker, FailureKind.WORKER_LOST, "asked for")
        (left,) = gather(pool, bool)
    assert left == WorkerLeft(worker, FailureKind.WORKER_LOST, "asked for; it was at no task")


def test_a_worker_that_died_and_is_stopped_before_that_was_told_leaves_once() -> None:
    with closing(_pool(FormulaEvaluator())) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        (number,) = _children()
        psutil.Process(number).kill()
        pool.stop(worker, FailureKind.WORKER_LOST, "asked for")
        left, heir = gather(pool, lambda events: len(events) == 2)
    assert isinstance(left, WorkerLeft)
    assert isinstance(heir, WorkerJoined)


def test_a_worker_that_hangs_while_it_starts_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_pool, "START_SECONDS", 0.01)
    with closing(_pool(Sent(time.sleep, (600,)))) as pool:
        pool.start()
        with pytest.raises(
            CannotRunError, match="3 times in a row: the worker process was not ready after 0 s"
        ):
            gather(pool, bool)
    assert not _children()


def test_two_workers_that_share_a_device_are_told_apart() -> None:
    with closing(_pool(FormulaEvaluator(), workers=2)) as pool:
        pool.start()
        one, other = joined(pool, 2)
    assert one.device == other.device
    assert one.name != other.name
    assert one.memory is None


def test_a_worker_process_holds_only_what_its_evaluator_keeps_of_the_data() -> None:
    pixels = np.full((8192, 1, 128, 128), 7, np.uint8)  # 128 MiB
    split = Split(pixels, np.arange(8192) % 2)
    data = SearchData(split, tiny_data().validation, ("no", "yes"), "large")
    with closing(ProcessPool(FormulaEvaluator(), data, [Slot("cpu", 1)])) as pool:
        pool.start()
        joined(pool, 1)
        (number,) = _children()
        assert psutil.Process(number).memory_info().rss < pixels.nbytes


def test_a_temporary_folder_without_room_for_the_data_is_told_with_the_repair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("workers.process_pool.pool.pickle.dump", full)
    with (
        closing(_pool(FormulaEvaluator())) as pool,
        pytest.raises(CannotRunError, match="No space left on device; make room there, or set TMPDIR"),
    ):
        pool.start()


def _sharing(
    tmp_path: Path,
    factory: EvaluatorFactory,
    workers: int = 3,
    sharing: Sharing | None = None,
    **changes: Any,
) -> ProcessPool:
    """Workers that share a GPU, through a stand-in for NVIDIA's MPS; none of them needs the GPU."""
    (tmp_path / "base").mkdir()
    sent = WithStandIn(factory, str(stand_in(tmp_path / "bin")), str(tmp_path / "base"))
    slots = [Slot("cuda:0", 1)] * workers
    return ProcessPool(sent, tiny_data(), slots, Upkeep.of(WorkerSettings(**changes)), sharing)


FAULT = RuntimeError("CUDA error: an illegal memory access was encountered")


def test_what_ends_one_worker_amidst_its_task_ends_all_that_share_its_gpu_at_the_same_moment(
    tmp_path: Path,
) -> None:
    factory = RaisingEvaluator(BAD_ONES, inner=FormulaEvaluator(seconds=600), error=FAULT)
    with closing(_sharing(tmp_path, factory)) as pool:
        pool.start()
        guilty, innocent, idle = joined(pool, 3)
        assert all(worker.mps for worker in (guilty, innocent, idle))
        pool.submit(innocent, ticket(0), training_task())
        pool.submit(guilty, ticket(1), training_task(BAD))
        left = [event for event in gather(pool, _somebody_left) if isinstance(event, WorkerLeft)]
        heirs = joined(pool, 3)
    assert {one.worker: one.kind for one in left} == {
        guilty: FailureKind.CRASHED,
        innocent: FailureKind.WORKER_LOST,
        idle: FailureKind.WORKER_LOST,
    }
    (message,) = {one.message for one in left if one.worker != guilty}
    assert message.startswith(
        f"it went with {guilty.name}, which shared its GPU: RuntimeError: CUDA error: an illegal"
    )
    assert not {worker.name for worker in heirs} & {worker.name for worker in (guilty, innocent, idle)}


def _somebody_left(events: list[PoolEvent]) -> bool:
    return any(isinstance(event, WorkerLeft) for event in events)


def test_what_a_worker_had_said_when_its_gpu_was_lost_holds(tmp_path: Path) -> None:
    factory = RaisingEvaluator(BAD_ONES, error=FAULT)
    with closing(_sharing(tmp_path, factory)) as pool:
        pool.start()
        stopped, done, claiming = joined(pool, 3)
        pool.submit(done, ticket(1), training_task())
        pool.submit(claiming, ticket(2), training_task(BAD))
        for worker in (done, claiming):
            assert pool._processes[worker.name].channel.poll(60)
        pool._processes[stopped.name].ticket = ticket(0)  # it works on, and says nothing
        pool.stop(stopped, FailureKind.TIMED_OUT, "took 60 s")
        events = pool.poll(0)
    assert [event.ticket for event in events if isinstance(event, TaskDone)] == [ticket(1)]
    assert {event.worker: event.kind for event in events if isinstance(event, WorkerLeft)} == {
        stopped: FailureKind.TIMED_OUT,
        done: FailureKind.WORKER_LOST,
        claiming: FailureKind.CRASHED,
    }


def test_a_worker_that_mps_let_go_is_lost_by_its_own_words(tmp_path: Path) -> None:
    error = RuntimeError("CUDA error: the MPS client has been terminated by the MPS server")
    with closing(_sharing(tmp_path, RaisingEvaluator(ALL, error=error), workers=2)) as pool:
        pool.start()
        worker, _ = joined(pool, 2)
        pool.submit(worker, ticket(0), training_task())
        left, *_ = gather(pool, _somebody_left)
    assert isinstance(left, WorkerLeft)
    assert (left.worker, left.kind) == (worker, FailureKind.WORKER_LOST)


def test_where_mps_is_off_workers_that_share_a_gpu_die_one_by_one(tmp_path: Path) -> None:
    factory = RaisingEvaluator(BAD_ONES, inner=FormulaEvaluator(seconds=600), error=FAULT)
    with closing(_sharing(tmp_path, factory, workers=2, mps="off")) as pool:
        pool.start()
        guilty, innocent = joined(pool, 2)
        assert not innocent.mps
        pool.submit(innocent, ticket(0), training_task())
        pool.submit(guilty, ticket(1), training_task(BAD))
        left = [event for event in gather(pool, _somebody_left) if isinstance(event, WorkerLeft)]
        assert [(one.worker, one.kind) for one in left] == [(guilty, FailureKind.CRASHED)]
        assert innocent.name in pool._processes
    assert not (tmp_path / "bin" / "started").exists()


def test_workers_that_take_turns_on_a_gpu_say_so_once(tmp_path: Path) -> None:
    with closing(_sharing(tmp_path, FormulaEvaluator(), workers=2)) as pool:
        (tmp_path / "bin" / "mood").write_text("broken")
        pool.start()
        events = gather(pool, lambda events: sum(isinstance(event, WorkerJoined) for event in events) == 2)
    (told,) = (event.text for event in events if isinstance(event, PoolChanged))
    assert told.startswith(
        f"{socket.gethostname()}: the workers of a GPU take turns, without MPS: nvidia-cuda-mps-control ended"
    )


def test_a_worker_that_others_may_follow_on_its_gpu_uses_mps_from_the_start(tmp_path: Path) -> None:
    sharing = Sharing(Packing(8, None, 1, {}), cores=2, gpus=["cuda:0"])
    with closing(_sharing(tmp_path, FormulaEvaluator(), workers=1, sharing=sharing)) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
    assert worker.mps


def test_a_worker_that_has_its_gpu_alone_starts_no_mps(tmp_path: Path) -> None:
    with closing(_sharing(tmp_path, FormulaEvaluator(), workers=1)) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
    assert not worker.mps
    assert not (tmp_path / "bin" / "started").exists()
