"""A node that loses worker after worker."""

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
    """The node's only worker dies, is replaced, dies again."""
    commands = []
    for serial, kind in enumerate(kinds, first):
        fleet, told = step(fleet, WorkerLeft(worker(node, serial), kind, "gone"))
        commands += told
        fleet, told = step(fleet, WorkerJoined(worker(node, serial + 1)))
        commands += told
    return fleet, [command for command in commands if isinstance(command, Exclude)]


def test_a_node_that_fails_three_times_gets_no_more_work(fleet):
    fleet, excluded = lose(fleet, "bad", [LOST, CRASHED])
    assert excluded == []
    fleet, excluded = lose(fleet, "bad", [LOST], first=2)
    assert [command.node for command in excluded] == ["bad"]
    assert "bad lost 3 workers" in excluded[0].message
    fleet, _ = step(fleet, WorkerJoined(worker("bad", 9)))
    assert {one.node for one in fleet.workers.values()} == {"good"}


def test_an_evaluation_that_it_finishes_in_between_wipes_the_slate(fleet):
    fleet, _ = lose(fleet, "bad", [LOST, LOST])
    search, number = fleet.running["bad-2"]
    attempt = fleet.members[search].state.attempts[number]
    fleet, _ = step(fleet, TaskDone(worker("bad", 2), Ticket(search, 1, number, attempt), Success(0.5, 1.0)))
    fleet, excluded = lose(fleet, "bad", [LOST, LOST], first=2)
    assert excluded == []


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
