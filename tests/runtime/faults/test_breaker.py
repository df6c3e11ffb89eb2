"""A node that loses worker after worker, and a GPU that loses all of its workers at once."""

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


def on_gpu(serial, gpu=0, *, mps=True):
    return Worker(f"host-gpu{gpu}-{serial}", f"host/cuda:{gpu}", mps=mps)


@pytest.fixture
def sharing(plan):
    """Three busy workers on one GPU."""
    fleet, _ = step(Fleet.of(Member(plan, replay(plan, ()))), Begun())
    fleet, _ = step(fleet, *(WorkerJoined(on_gpu(serial)) for serial in range(3)))
    return fleet


def lose_gpu(fleet, *kinds, gpu=0, first=0):
    """Its workers die together, in so many ways; the fleet without them, and what they had to do."""
    lost = [on_gpu(serial, gpu) for serial, _ in enumerate(kinds, first)]
    tasks = [fleet.running[one.name] for one in lost]
    left = (WorkerLeft(one, kind, "gone") for one, kind in zip(lost, kinds, strict=True))
    fleet, _ = step(fleet, *left)
    return fleet, tasks


def failures(fleet, tasks):
    return [fleet.members[search].state.failures[trial] for search, trial in tasks]


def test_of_what_dies_on_a_gpu_together_only_who_reports_the_error_has_crashed_and_runs_alone_next(sharing):
    fleet, tasks = lose_gpu(sharing, LOST, CRASHED, LOST)
    assert failures(fleet, tasks) == [(LOST,), (CRASHED,), (LOST,)]
    fleet, _ = step(fleet, *(WorkerJoined(on_gpu(serial)) for serial in range(3, 6)))
    assert list(fleet.running.values()) == [tasks[1]]
    (name,) = fleet.running
    fleet, _ = finish(fleet, name, tasks[1])
    assert len(fleet.running) == 3
    assert not fleet.suspects


def test_where_several_report_the_error_nobody_is_judged_by_it_and_each_runs_alone_next(sharing):
    fleet, tasks = lose_gpu(sharing, CRASHED, LOST, CRASHED)
    assert failures(fleet, tasks) == [(LOST,)] * 3
    assert fleet.suspects == {tasks[0], tasks[2]}
    fleet, _ = step(fleet, *(WorkerJoined(on_gpu(serial)) for serial in range(3, 6)))
    alone = []
    for _ in range(2):
        ((name, task),) = fleet.running.items()
        alone.append(task)
        fleet, _ = finish(fleet, name, task)
    assert set(alone) == {tasks[0], tasks[2]}
    assert len(fleet.running) == 3


def test_a_crash_on_a_gpu_that_nobody_else_used_is_as_any_other(plan):
    fleet, _ = step(Fleet.of(Member(plan, replay(plan, ()))), Begun())
    fleet, _ = step(fleet, WorkerJoined(on_gpu(0)))
    task = fleet.running[on_gpu(0).name]
    idle = on_gpu(1)
    fleet = replace(fleet, workers={**fleet.workers, idle.name: idle})
    fleet, _ = step(fleet, WorkerLeft(on_gpu(0), CRASHED, "gone"), WorkerLeft(idle, LOST, "gone"))
    assert failures(fleet, [task]) == [(CRASHED,)]
    assert not fleet.suspects


@pytest.mark.parametrize("end", [LOST, CRASHED])
def test_whoever_had_ended_its_task_when_its_gpu_was_lost_was_not_in_the_middle_of_it(sharing, end):
    done, guilty = on_gpu(0), on_gpu(1)
    (search, ended), task = sharing.running[done.name], sharing.running[guilty.name]
    told = TaskDone(done, Ticket(search, 1, ended.number, 1), Success(0.5, 1.0))
    fleet, _ = step(sharing, told, WorkerLeft(guilty, CRASHED, "gone"), WorkerLeft(done, end, "gone"))
    assert failures(fleet, [task]) == [(CRASHED,)]
    assert not fleet.suspects


def test_crashes_at_one_moment_on_two_gpus_or_without_mps_are_each_its_own(plan):
    workers = [on_gpu(0, gpu=0), on_gpu(1, gpu=1), on_gpu(2, gpu=2, mps=False), on_gpu(3, gpu=2, mps=False)]
    fleet, _ = step(Fleet.of(Member(plan, replay(plan, ()))), Begun())
    fleet, _ = step(fleet, *map(WorkerJoined, workers))
    tasks = [fleet.running[one.name] for one in workers]
    fleet, _ = step(fleet, *(WorkerLeft(one, CRASHED, "gone") for one in workers))
    assert failures(fleet, tasks) == [(CRASHED,)] * 4
    assert not fleet.suspects


def test_losses_shared_with_others_never_stop_a_search(sharing):
    """From the third on a candidate has its GPU for itself: nobody else can lose it its worker any more."""
    fleet, victim = sharing, sharing.running[on_gpu(0).name]
    for first in range(0, 9, 3):
        assert victim in fleet.running.values()
        fleet, _ = lose_gpu(fleet, LOST, LOST, LOST, first=first)
        fleet, _ = step(fleet, *(WorkerJoined(on_gpu(serial)) for serial in range(first + 3, first + 6)))
    assert failures(fleet, [victim]) == [(LOST,) * 3]
    assert len(fleet.running) == 1
    assert not fleet.members["small"].state.stopped
