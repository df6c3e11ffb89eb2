"""Workers that die, hang, eat their host's memory, or whose replies are lost."""

import json
import signal
import time
from pathlib import Path

import psutil
import pytest

from evosearch.evaluation import FailureKind
from evosearch.storage import Dispatched, Failed, Finished
from evosearch.testing import FormulaEvaluator, HangingEvaluator, Victims
from tests.chaos.arena import Arena
from tests.chaos.evaluators import WATCHED, GreedyEvaluator
from tests.chaos.searches import Search

pytestmark = [pytest.mark.chaos, pytest.mark.ray]

GIB = 2**30


def test_the_evaluation_of_a_killed_worker_runs_again_within_a_second_on_a_free_one(
    arena: Arena, tmp_path: Path
) -> None:
    with Search(tmp_path, arena, FormulaEvaluator(seconds=1)) as search:
        driver = search.start()
        search.wait_for(Finished, 6)  # of 8; with two early immigrants four of the six workers are busy
        victim = arena.busy_worker()
        killed = time.time()
        victim.kill()
        (failed,) = search.wait_for(Failed)
        search.finish(driver)
        again = next(
            one.at
            for one in search.events()
            if isinstance(one.event, Dispatched)
            and (one.event.number, one.event.attempt) == (failed.number, 2)
        )
    assert failed.failure.kind is FailureKind.CRASHED
    assert again - killed < 1


def test_a_stopped_worker_is_given_up_and_its_evaluation_runs_elsewhere(arena: Arena, tmp_path: Path) -> None:
    with Search(tmp_path, arena, FormulaEvaluator(seconds=1), workers="{stall_seconds: 5}") as search:
        driver = search.start()
        search.wait_for(Finished)
        victim = arena.busy_worker()
        victim.send_signal(signal.SIGSTOP)
        (failed,) = search.wait_for(Failed)
        search.finish(driver)
    assert failed.failure.kind is FailureKind.WORKER_LOST
    assert "no progress for workers.stall_seconds = 5" in failed.failure.message
    assert "it did not answer when asked where it stood" in failed.failure.message


def test_a_hanging_evaluation_is_killed_and_it_is_known_where_it_stood(arena: Arena, tmp_path: Path) -> None:
    struck = tmp_path / "struck"
    struck.mkdir()
    once = Victims(every=4, once_in=str(struck))
    hanging = HangingEvaluator(once, inner=FormulaEvaluator(seconds=0.5))
    with Search(tmp_path, arena, hanging, workers="{stall_seconds: 5}") as search:
        driver = search.start()
        search.finish(driver)
        failed = search.all(Failed)
    assert len(failed) == len(list(struck.iterdir())) > 0
    for one in failed:
        assert one.failure.kind is FailureKind.WORKER_LOST
        assert "it stood at evosearch/testing/evaluators.py:" in one.failure.message


@pytest.mark.parametrize("lost", ["req_failure_prob", "resp_failure_prob", "in_flight_failure_prob"])
def test_an_evaluation_whose_reply_is_lost_is_recorded_once(arena: Arena, tmp_path: Path, lost: str) -> None:
    calls = "CoreWorkerService.grpc_client.PushTask"
    # Of 68 evaluations none is struck once in a thousand runs, and one of them five times, which would be too many,
    # as seldom.
    broken = {"RAY_testing_rpc_failure": json.dumps({calls: {"num_failures": -1, lost: 10}})}
    with Search(tmp_path, arena, FormulaEvaluator(seconds=0.2), generations=11) as search:
        driver = search.start(env=broken)
        search.finish(driver)
        failed = search.all(Failed)
    assert failed
    assert {one.failure.kind for one in failed} == {FailureKind.WORKER_LOST}


def test_an_evaluation_that_eats_its_hosts_memory_runs_again_alone(arena: Arena, tmp_path: Path) -> None:
    memory = psutil.virtual_memory()
    limit = 1 - (memory.available - 1.5 * GIB) / memory.total
    if memory.available < 5 * GIB:
        pytest.skip("5 GiB of memory must be free to be eaten, and are not")
    arena.add(env={WATCHED: f"{limit:.4f}", "RAY_memory_monitor_refresh_ms": "100"})
    greedy = GreedyEvaluator(str(tmp_path), 4096, FormulaEvaluator(seconds=0.5))
    with Search(tmp_path, arena, greedy) as search:
        driver = search.start()
        search.finish(driver)
        failed = search.all(Failed)
    assert (tmp_path / "struck").exists()
    assert {one.failure.kind for one in failed} == {FailureKind.OUT_OF_MEMORY}
    assert any("memory" in one.failure.message for one in failed)
