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
from evosearch.runtime.machine.fold import indexed
from evosearch.runtime.scheduling.order import assignments

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
        left = WorkerLeft(worker(node, serial), kind, "gone")
        fleet, told = step(fleet, left, WorkerJoined(worker(node, serial + 1)))
        commands += told
    return fleet, [command for command in commands if isinstance(command, Exclude)]


def test_a_node_that_fails_three_times_gets_no_more_work(fleet):
    fleet, excluded = lose(fleet, "bad", [LOST, LOST])
    assert excluded == []
    fleet, excluded = lose(fleet, "bad", [LOST], first=2)
    assert [command.node for command in excluded] == ["bad"]
    assert "bad lost workers 3 times" in excluded[0].message
    fleet, _ = step(fleet, WorkerJoined(worker("bad", 9)))
    assert {one.node for one in fleet.workers.values()} == {"good"}


def test_a_candidate_that_kills_every_process_it_meets_is_not_the_nodes_fault(fleet):
    """One crash on each node, and the third where it has crashed before."""
    excluded, (search, poison) = [], fleet.running["bad-0"]
    for serial in range(1, 4):
        (name,) = (name for name, task in fleet.running.items() if task == (search, poison))
        (other,) = (task for task in fleet.running.items() if task[1] != (search, poison))
        fleet, told = step(fleet, WorkerLeft(fleet.workers[name], CRASHED, "gone"))
        node = name.partition("-")[0]
        excluded += [command for command in told if isinstance(command, Exclude)]
        fleet, _ = step(fleet, WorkerJoined(worker(node, serial)))
        fleet, _ = finish(fleet, *other)
    assert excluded == []
    assert fleet.members[search].state.failed[poison] is CRASHED


def finish(fleet, name, task):
    search, trial = task
    ticket = Ticket(search, 1, trial.number, fleet.members[search].state.attempts[trial])
    return step(fleet, TaskDone(fleet.workers[name], ticket, Success(0.5, 1.0)))


def test_a_sick_node_beside_a_busy_healthy_one_spends_no_candidates_last_attempt(fleet):
    """It is always the sick one that is idle, and kills whatever it is given."""
    excluded = []
    while not excluded:
        (name,) = (name for name in fleet.running if name.startswith("bad-"))
        serial = int(name.partition("-")[2])
        fleet, excluded = lose(fleet, "bad", [CRASHED], first=serial)
    assert [command.node for command in excluded] == ["bad"]
    assert sorted(map(len, fleet.members["small"].state.failures.values())) == [1, 2, 2]


def test_what_a_machine_lost_waits_for_another_one(fleet):
    fleet, excluded = lose(fleet, "bad", [LOST] * 3)
    assert [command.node for command in excluded] == ["bad"]
    assert [len(kinds) for kinds in fleet.members["small"].state.failures.values()] == [1, 1, 1]


def test_a_dead_node_costs_an_evaluation_one_attempt_however_many_workers_it_had(plan):
    """The others were idle, and the search has nothing else to do."""
    fleet, _ = step(Fleet.of(Member(plan, replay(plan, ()))), Begun())
    workers = [worker("dead", serial) for serial in range(8)]
    fleet, _ = step(fleet, WorkerJoined(workers[0]))
    (search, trial), state = fleet.running["dead-0"], fleet.members["small"].state
    only = indexed(replace(state, open={trial: state.open[trial]}))
    fleet = replace(fleet.with_state(search, only), workers={one.name: one for one in workers})
    fleet, _ = step(fleet, *(WorkerLeft(one, LOST, "gone") for one in workers))
    assert fleet.members[search].state.failures == {trial: (LOST,)}
    assert fleet.running == {}


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
    search, trial = fleet.running["bad-2"]
    attempt = fleet.members[search].state.attempts[trial]
    fleet, _ = step(
        fleet, TaskDone(worker("bad", 2), Ticket(search, 1, trial.number, attempt), Success(0.5, 1.0))
    )
    fleet, excluded = lose(fleet, "bad", [LOST, LOST], first=2)
    assert excluded == []


def test_a_lost_evaluation_goes_to_another_node_first(plan):
    fleet, _ = step(Fleet.of(Member(plan, replay(plan, ()))), Begun())
    fleet, _ = step(fleet, WorkerJoined(worker("a", 0)))
    lost = fleet.running["a-0"]
    fleet, _ = step(fleet, WorkerLeft(worker("a", 0), LOST, "gone"))
    fleet = replace(fleet, workers={one.name: one for one in (worker("a", 1), worker("b", 0))})
    chosen = {(one.search, one.trial.id): given.node for given, one in assignments(fleet)}
    assert chosen[lost] == "b"


def test_the_only_node_is_never_closed(plan):
    fleet, _ = step(Fleet.of(Member(plan, replay(plan, ()))), Begun())
    fleet, _ = step(fleet, WorkerJoined(worker("only", 0)))
    _, excluded = lose(fleet, "only", [CRASHED] * 4)
    assert excluded == []


def test_a_node_that_goes_away_again_and_again_is_not_sick(fleet):
    for serial in range(6):
        left = WorkerLeft(worker("bad", serial), LOST, "preempted", node_lost=True)
        fleet, told = step(fleet, left, WorkerJoined(worker("bad", serial + 1)))
        assert not [command for command in told if isinstance(command, Exclude)]
    assert fleet.members["small"].state.failures == {}


def test_memory_that_ran_out_is_not_the_nodes_fault(fleet):
    _, excluded = lose(fleet, "bad", [OUT_OF_MEMORY] * 4)
    assert excluded == []


def test_a_busy_worker_of_a_closed_node_ends_its_task_and_gets_no_other(fleet):
    busy = Worker("bad-x", "bad/cpu")
    fleet, _ = step(fleet, WorkerJoined(busy))
    fleet, _ = lose(fleet, "bad", [LOST, LOST, LOST])
    search, trial = fleet.running["bad-x"]
    attempt = fleet.members[search].state.attempts[trial]
    fleet, commands = step(fleet, TaskDone(busy, Ticket(search, 1, trial.number, attempt), Success(0.5, 1.0)))
    assert fleet.members[search].state.remembered
    assert "bad-x" not in fleet.running
    assert "bad-x" not in fleet.workers
    assert commands
