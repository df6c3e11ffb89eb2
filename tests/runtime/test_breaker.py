"""A node that loses worker after worker."""

from dataclasses import replace

import pytest

from evosearch.evaluation import FailureKind, Success
from evosearch.runtime import (
    Begun,
    Exclude,
    Fleet,
    Member,
    TaskDone,
    Ticket,
    Worker,
    WorkerJoined,
    WorkerLeft,
    replay,
    step,
)
from evosearch.runtime.scheduling import assignments

LOST, CRASHED, OUT_OF_MEMORY = FailureKind.WORKER_LOST, FailureKind.CRASHED, FailureKind.OUT_OF_MEMORY


def worker(node, serial):
    return Worker(f"{node}-{serial}", f"{node}/cpu")


@pytest.fixture
def fleet(plan):
    fleet, _ = step(Fleet.of(Member(plan, replay(plan, ()))), Begun())
    for node in ("bad", "good"):
        fleet, _ = step(fleet, WorkerJoined(worker(node, 0)))
    return fleet


def lose(fleet, node, kinds, first=0):
    """The node's only worker dies, each time over another candidate, is replaced, dies again."""
    commands = []
    for serial, kind in enumerate(kinds, first):
        fleet, told = step(fleet, WorkerLeft(worker(node, serial), kind, "gone"))
        commands += told
        search, number = next(iter(fleet.shunned))
        fleet = replace(fleet, shunned={(search, number): frozenset({"bad", "good"})})
        state = fleet.members[search].state
        failed = {n: kinds for n, kinds in state.failures.items() if n not in state.running.values()}
        busy = {**state.running, f"nobody-{serial}": next(iter(failed))} if failed else state.running
        fleet = fleet.with_state(
            search, replace(state, running=busy)
        )  # it waits, so that another one is next
        fleet, told = step(fleet, WorkerJoined(worker(node, serial + 1)))
        commands += told
    return fleet, [command for command in commands if isinstance(command, Exclude)]


def test_a_node_that_fails_three_times_gets_no_more_work(fleet):
    fleet, excluded = lose(fleet, "bad", [LOST, CRASHED])
    assert excluded == []
    fleet, excluded = lose(fleet, "bad", [LOST], first=2)
    assert [command.node for command in excluded] == ["bad"]
    assert "bad lost workers 3 times" in excluded[0].message
    fleet, _ = step(fleet, WorkerJoined(worker("bad", 9)))
    assert {one.node for one in fleet.workers.values()} == {"good"}


def test_a_candidate_that_kills_one_process_after_another_is_not_the_nodes_fault(fleet):
    """Each of its attempts ends on the same node, since the others are busy."""
    excluded = []
    for serial in range(3):
        fleet, told = step(fleet, WorkerLeft(worker("bad", serial), CRASHED, "gone"))
        fleet, more = step(fleet, WorkerJoined(worker("bad", serial + 1)))
        excluded += [command for command in (*told, *more) if isinstance(command, Exclude)]
    assert excluded == []


def test_workers_that_one_incident_took_along_count_once(plan):
    fleet, _ = step(Fleet.of(Member(plan, replay(plan, ()))), Begun())
    for serial in range(4):
        for node in ("bad", "good"):
            fleet, _ = step(fleet, WorkerJoined(worker(node, serial)))
    excluded = []
    for serial in range(4):
        fleet, told = step(fleet, WorkerLeft(worker("bad", serial), LOST, "gone"))
        excluded += [command for command in told if isinstance(command, Exclude)]
    assert excluded == []
    assert fleet.losses["bad"].count == 1


def test_workers_that_leave_idle_are_no_losses(plan):
    fleet, _ = step(Fleet.of(Member(plan, replay(plan, ()))), Begun())
    idle = [worker("draining", serial) for serial in range(20)]
    for one in idle:
        fleet, _ = step(fleet, WorkerJoined(one))
    for one in idle:
        if one.name not in fleet.running:
            fleet, _ = step(fleet, WorkerLeft(one, LOST, "its node is draining"))
    assert fleet.losses == {}


def test_an_evaluation_that_it_finishes_in_between_wipes_the_slate(fleet):
    fleet, _ = lose(fleet, "bad", [LOST, LOST])
    search, number = fleet.running["bad-2"]
    attempt = fleet.members[search].state.attempts[number]
    fleet, _ = step(fleet, TaskDone(worker("bad", 2), Ticket(search, 1, number, attempt), Success(0.5, 1.0)))
    fleet, excluded = lose(fleet, "bad", [LOST, LOST], first=2)
    assert excluded == []


def test_a_lost_evaluation_goes_to_another_node_first(plan):
    fleet, _ = step(Fleet.of(Member(plan, replay(plan, ()))), Begun())
    fleet, _ = step(fleet, WorkerJoined(worker("a", 0)))
    lost = fleet.running["a-0"]
    fleet, _ = step(fleet, WorkerLeft(worker("a", 0), LOST, "gone"))
    fleet = replace(fleet, workers={one.name: one for one in (worker("a", 1), worker("b", 0))})
    chosen = {(one.search, one.candidate.number): given.node for given, one in assignments(fleet)}
    assert chosen[lost] == "b"


def test_the_only_node_is_never_closed(plan):
    fleet, _ = step(Fleet.of(Member(plan, replay(plan, ()))), Begun())
    fleet, _ = step(fleet, WorkerJoined(worker("only", 0)))
    _, excluded = lose(fleet, "only", [CRASHED] * 4)
    assert excluded == []


def test_memory_that_ran_out_is_not_the_nodes_fault(fleet):
    _, excluded = lose(fleet, "bad", [OUT_OF_MEMORY] * 4)
    assert excluded == []


def test_a_busy_worker_of_a_closed_node_ends_its_task_and_gets_no_other(fleet):
    busy = Worker("bad-x", "bad/cpu")
    fleet, _ = step(fleet, WorkerJoined(busy))
    fleet, _ = lose(fleet, "bad", [LOST, LOST, LOST])
    search, number = fleet.running["bad-x"]
    attempt = fleet.members[search].state.attempts[number]
    fleet, commands = step(fleet, TaskDone(busy, Ticket(search, 1, number, attempt), Success(0.5, 1.0)))
    assert fleet.members[search].state.remembered
    assert "bad-x" not in fleet.running
    assert "bad-x" not in fleet.workers
    assert commands
