"""Nodes that die, freeze, are taken away or come."""

import re
from pathlib import Path

import pytest

from evosearch.evaluation import FailureKind
from evosearch.storage import Dispatched, Failed, Finished
from evosearch.testing import FormulaEvaluator
from tests.chaos.arena import BUSY, Arena, until
from tests.chaos.evaluators import TracingEvaluator, traces
from tests.chaos.searches import Search

pytestmark = [pytest.mark.chaos, pytest.mark.ray, pytest.mark.timeout(240, func_only=True)]


def _node_of(worker: str) -> str:
    return worker.rpartition("-gpu")[0]


@pytest.mark.parametrize("at_once", [True, False], ids=["of a power cut", "of its raylet's crash"])
def test_what_a_killed_node_evaluated_runs_on_the_others(arena: Arena, tmp_path: Path, at_once: bool) -> None:
    with Search(tmp_path, arena, FormulaEvaluator(seconds=1)) as search:
        driver = search.start()
        search.wait_for(Finished, 2)
        arena.kill(arena.busy_node(), at_once=at_once)
        failed = search.wait_for(Failed)
        search.finish(driver)
        failed = search.all(Failed)
    assert {one.failure.kind for one in failed} == {FailureKind.WORKER_LOST}
    assert len({_node_of(one.worker) for one in failed}) == 1
    assert all(one.failure.node_lost for one in failed)


def test_a_frozen_node_that_thaws_and_ends_what_others_have_meanwhile_changes_nothing(
    arena: Arena, tmp_path: Path
) -> None:
    folder = tmp_path / "traces"
    folder.mkdir()
    tracing = TracingEvaluator(str(folder), FormulaEvaluator(seconds=1.5))
    with Search(tmp_path, arena, tracing, generations=4) as search:
        driver = search.start()
        search.wait_for(Finished, 2)
        node = arena.busy_node()
        arena.freeze(node)
        frozen = {worker.pid for worker in arena.workers(node, BUSY)}
        given_away = search.wait_for_retries()
        arena.thaw_workers(
            node
        )  # and only then its raylet, which ends them when it learns that it was given up
        until(
            lambda: any(key in given_away and pid in frozen for key, pid in traces(folder)), "a late result"
        )
        arena.thaw(node)
        search.finish(driver)
        failed = search.all(Failed)
    assert {one.failure.kind for one in failed} == {FailureKind.WORKER_LOST}
    assert len({_node_of(one.worker) for one in failed}) == 1


def test_a_draining_node_ends_what_it_has_and_gets_nothing_more(arena: Arena, tmp_path: Path) -> None:
    with Search(tmp_path, arena, FormulaEvaluator(seconds=1), generations=5) as search:
        driver = search.start()
        search.wait_for(Finished, 2)
        node = arena.busy_node()
        arena.drain(node)
        line = driver.wait_for_line("is draining and gets no new work")
        before = len(search.all(Dispatched))
        until(lambda: not arena.workers(node), "the draining node has no worker")
        assert driver.process.poll() is None  # while the search went on elsewhere
        search.finish(driver)
        name = re.search(r"node (\S+) is draining", line)
        assert name
        dispatched = [_node_of(one.worker) for one in search.all(Dispatched)]
        assert not search.all(Failed)
    assert name[1] in dispatched[:before]
    assert name[1] not in dispatched[before:]
    assert len(dispatched) > before


def test_a_node_that_is_added_gets_work(arena: Arena, tmp_path: Path) -> None:
    # It has work for as long as a node takes to come, on a busy machine too.
    with Search(tmp_path, arena, FormulaEvaluator(seconds=3), generations=6) as search:
        driver = search.start()
        search.wait_for(Finished, 2)
        arena.add()
        line = driver.wait_for_line("joined with room for 2 workers")
        search.finish(driver)
        name = re.search(r"node (\S+) joined", line)
        assert name
        finished = [_node_of(one.worker) for one in search.all(Finished)]
        assert not search.all(Failed)
    assert name[1] in finished
