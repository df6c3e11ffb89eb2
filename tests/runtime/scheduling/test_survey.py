"""What is kept from step to step is what would be found by looking at everything."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from evosearch.evaluation import Failure, FailureKind, Success
from evosearch.runtime import (
    Begun,
    Fleet,
    Member,
    TaskDone,
    Ticket,
    Timings,
    Worker,
    WorkerJoined,
    WorkerLeft,
    replay,
    step,
)
from evosearch.runtime.machine.fold import indexed
from evosearch.runtime.scheduling.backlog import Backlog
from evosearch.runtime.scheduling.placement import CONTEXT, Devices
from evosearch.runtime.scheduling.survey import Survey
from evosearch.search import EavlSettings, RandomSearchSettings
from tests.runtime.small_search import make_plan

SEARCHES = {
    "eavl": EavlSettings(population=12, generations=4, elites=3, immigrants=4),
    "random": RandomSearchSettings(evaluations=60),
}
KINDS = [kind for kind in FailureKind if kind is not FailureKind.WORKER_LOST]


def begun(*workers):
    plans = [make_plan(settings, name=name) for name, settings in SEARCHES.items()]
    fleet, _ = step(Fleet.of(*(Member(plan, replay(plan, ())) for plan in plans)), Begun())
    fleet, _ = step(fleet, *map(WorkerJoined, workers))
    return fleet


def worker(serial):
    """Two nodes of two devices, three workers on each at first, one of the devices twice as large."""
    device = f"node{serial % 2}/cuda:{serial // 2 % 2}"
    return Worker(f"worker-{serial:03}", device, 2 * CONTEXT * (1 + (device == "node1/cuda:1")) + 2**21)


def any_event(fleet, chance, serials):
    if chance.random() < 0.1 or not fleet.running:
        return WorkerJoined(worker(next(serials)))
    name = chance.choice(sorted(fleet.running))
    (search, trial), one = fleet.running[name], fleet.workers[name]
    if chance.random() < 0.1:
        kind = chance.choice([FailureKind.WORKER_LOST, FailureKind.CRASHED])
        return WorkerLeft(one, kind, "gone", node_lost=chance.random() < 0.5)
    attempt = fleet.members[search].state.attempts[trial]
    result = Success(chance.random(), 0.1 + chance.random())
    if chance.random() < 0.1:
        result = Failure(chance.choice(KINDS), "failed", 1.0)
    ticket = Ticket(search, 1, trial.number, attempt, trial.until)
    return TaskDone(one, ticket, result, "recycled" if chance.random() < 0.05 else "")


def found(survey, fleet):
    """All that is asked of a survey."""
    timings = sum((member.state.timings for member in fleet.members.values()), Timings())
    return list(survey.backlog.ranked(timings)), survey.devices.by_name, survey.devices.with_idle


@pytest.mark.parametrize("seed", range(12))
def test_what_is_known_after_any_events_is_what_a_look_at_everything_finds(seed):
    chance, serials = Random(seed), iter(range(12, 1000))
    fleet, steps = begun(*map(worker, range(12))), 0
    while not fleet.halted:
        events = {}  # of each worker at most one at a time
        for _ in range(chance.choice([1, 1, 1, 5])):
            event = any_event(fleet, chance, serials)
            events[event.worker] = event
        fleet, _ = step(fleet, *events.values())
        steps += 1
        anew = replace(fleet, survey=Survey()).surveyed()
        assert found(fleet.surveyed(), fleet) == found(anew, fleet)
        for member in fleet.members.values():
            assert indexed(member.state) == member.state
    assert steps > 20


def test_a_fleet_that_was_left_behind_is_looked_at_as_it_stood():
    fleet = begun(worker(0), worker(1))
    events = [any_event(fleet, Random(2), iter(range(2, 9))) for _ in range(2)]
    after = [step(fleet, event) for event in (events[0], events[1], events[0])]
    assert after[0] == after[2]
    assert found(fleet.surveyed(), fleet) == found(replace(fleet, survey=Survey()).surveyed(), fleet)


@pytest.mark.parametrize("evaluations", [50, 800])
def test_a_result_moves_a_few_rows_however_many_wait_and_train(monkeypatch, evaluations):
    plan = make_plan(RandomSearchSettings(evaluations=evaluations))
    fleet, _ = step(Fleet.of(Member(plan, replay(plan, ()))), Begun())
    fleet, _ = step(fleet, *(WorkerJoined(worker(serial)) for serial in range(evaluations // 4)))
    calls = Counter()

    def count(room, method):
        real = getattr(room, method)

        def counted(*arguments, **named):
            calls[method] += 1
            return real(*arguments, **named)

        monkeypatch.setattr(room, method, counted)

    for room, method in ((Backlog, "add"), (Backlog, "discard"), (Devices, "give"), (Devices, "free")):
        count(room, method)
    (name, (search, trial)), *_ = fleet.running.items()
    step(fleet, TaskDone(fleet.workers[name], Ticket(search, 1, trial.number, 1), Success(0.5, 1.0)))
    assert calls["add"] <= 1
    assert sum(calls.values()) <= 12
