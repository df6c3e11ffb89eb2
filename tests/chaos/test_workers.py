"""Workers that die, hang, eat their host's memory, or whose replies are lost."""

import json
import signal
from pathlib import Path

import psutil
import pytest

from evosearch.evaluation import FailureKind
from evosearch.storage import Dispatched, Failed, Finished
from evosearch.testing import FormulaEvaluator, HangingEvaluator, Victims
from tests.chaos.arena import GPUS, Arena
from tests.chaos.evaluators import WATCHED, GreedyEvaluator
from tests.chaos.missing import cannot_run
from tests.chaos.searches import Search

pytestmark = [pytest.mark.chaos, pytest.mark.ray, pytest.mark.timeout(240, func_only=True)]

GIB = 2**30


def test_the_evaluation_of_a_killed_worker_is_given_to_a_free_one_in_the_turn_that_notices(
    arena: Arena, tmp_path: Path
) -> None:
    with Search(tmp_path, arena, FormulaEvaluator(seconds=2)) as search:
        driver = search.start()
        search.wait_for(Finished, 6)  # of 8; with two early immigrants four of the six workers are busy
        arena.busy_worker().kill()
        (failed,) = search.wait_for(Failed)
        search.finish(driver)
        again = next(one for one in search.all(Dispatched) if (one.number, one.attempt) == (failed.number, 2))
        lost, given = search.recorded(failed), search.recorded(again)
    assert failed.failure.kind is FailureKind.CRASHED
    assert again.worker != failed.worker
    assert given.at == lost.at  # a transaction has one time, and a turn one transaction


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
    assert "it did not answer when asked where it was" in failed.failure.message


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
        assert "it was at evosearch/testing/evaluators.py:" in one.failure.message


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


def test_an_evaluation_that_eats_its_hosts_memory_runs_again_alone_on_a_device(
    arena: Arena, tmp_path: Path
) -> None:
    memory = psutil.virtual_memory()
    limit = 1 - (memory.available - 1.5 * GIB) / memory.total
    if memory.available < 5 * GIB:
        cannot_run("5 GiB of memory must be free to be eaten, and are not")
    for node in arena.nodes[1:]:
        arena.remove(node)
    # four workers on two devices: others wait while it runs alone
    watched = arena.add(env={WATCHED: f"{limit:.4f}", "RAY_memory_monitor_refresh_ms": "100"}, cores=2 * GPUS)
    greedy = GreedyEvaluator(str(tmp_path), 4096, FormulaEvaluator(seconds=1.5))
    with Search(tmp_path, arena, greedy, workers="{per_gpu: 2}") as search:
        driver = search.start()
        search.finish(driver)
        failed = search.all(Failed)
        runs = search.runs()
    arena.remove(watched)
    assert (tmp_path / "struck").exists()
    assert all("memory" in one.failure.message for one in failed)
    # Ray may kill the worker beside it too: lost where it was idle, since its next task did it no harm
    assert {one.failure.kind for one in failed} <= {FailureKind.OUT_OF_MEMORY, FailureKind.WORKER_LOST}
    struck = {one.number for one in failed if one.failure.kind is FailureKind.OUT_OF_MEMORY}
    again = [run for run in runs if run.number in struck and run.attempt > 1]
    assert {run.number for run in again} == struck != set()
    assert not [(run, other) for run in again for other in runs if run.overlaps(other)]
    assert any(run.overlaps(other) for run in runs for other in runs)  # what need not be alone shares
