"""The state machine by itself: one event at a time, no pool, no journal."""

from dataclasses import replace

import pytest

from evosearch.evaluation import Failure, FailureKind, Success
from evosearch.runtime import (
    Assign,
    Begun,
    Fleet,
    Member,
    Record,
    StopAsked,
    TaskDone,
    Ticket,
    Worker,
    WorkerJoined,
    WorkerLeft,
    replay,
    step,
)
from evosearch.storage import (
    Born,
    Dispatched,
    Failed,
    Finished,
    GenerationStarted,
    Interrupted,
    VerdictReached,
)

A, B = Worker("a", "host/cpu"), Worker("b", "host/cpu")


def facts_of(commands):
    return [fact for command in commands if isinstance(command, Record) for fact in command.facts]


def fresh(plan):
    return Fleet.of(Member(plan, replay(plan, ())))


def state_of(fleet):
    return fleet.members["small"].state


@pytest.fixture
def busy(plan):
    """A search with one worker, which has just been given its first candidate."""
    fleet, _ = step(fresh(plan), Begun())
    fleet, commands = step(fleet, WorkerJoined(A))
    return fleet, commands[-1]


def ticket(assign):
    return Ticket("small", 1, assign.trial.number, assign.attempt)


def test_a_new_search_begins_with_its_first_population(plan):
    fleet, commands = step(fresh(plan), Begun())
    facts = facts_of(commands)
    assert [type(fact) for fact in facts] == [Born] * 8 + [GenerationStarted]
    assert facts[0].parameters == plan.network_size(facts[0].trial).parameters
    assert [trial.number for trial in state_of(fleet).open] == list(range(8))


def test_step_changes_nothing_it_is_given(plan, busy):
    fleet, assign = busy
    state = state_of(fleet)
    before = dict(state.running), dict(state.open), state.search
    step(fleet, TaskDone(A, ticket(assign), Success(0.5, 1.0)))
    assert (dict(state.running), dict(state.open), state.search) == before


def test_a_fact_is_recorded_before_anything_that_rests_on_it_is_commanded(plan, busy):
    fleet, assign = busy
    _, commands = step(fleet, TaskDone(A, ticket(assign), Success(0.5, 1.0)))
    assert [type(command) for command in commands] == [Record, Assign]
    assert [type(fact) for fact in commands[0].facts] == [Finished, VerdictReached, Dispatched]


def test_a_result_of_a_given_up_attempt_changes_nothing(plan, busy):
    fleet, assign = busy
    late = Ticket("small", 1, assign.trial.number, assign.attempt + 1)
    assert step(fleet, TaskDone(A, late, Success(0.5, 1.0))) == (fleet, ())
    assert step(fleet, TaskDone(B, ticket(assign), Success(0.5, 1.0))) == (fleet, ())


def test_a_late_result_of_an_attempt_whose_worker_was_given_up_changes_nothing(plan, busy):
    fleet, first = busy
    fleet, _ = step(fleet, WorkerLeft(A, FailureKind.WORKER_LOST, "node gone"))
    fleet, commands = step(fleet, WorkerJoined(B))
    second = commands[-1]
    assert (second.worker, second.trial, second.attempt) == (B, first.trial, first.attempt + 1)
    for worker in (A, B):  # whoever brings it
        after, commands = step(fleet, TaskDone(worker, ticket(first), Success(0.9, 1.0)))
        assert (state_of(after), commands) == (state_of(fleet), ())
    _, commands = step(fleet, TaskDone(B, ticket(second), Success(0.5, 1.0)))
    assert facts_of(commands)[0] == Finished(first.trial.number, 2, "b", Success(0.5, 1.0))


def test_a_worker_that_leaves_idle_costs_no_attempt(plan, busy):
    fleet, _ = busy
    for number in range(plan.strategy.settings.population + plan.strategy.settings.immigrants - 1):
        fleet, _ = step(fleet, WorkerJoined(Worker(f"other-{number}", "host/cpu")))
    fleet, _ = step(fleet, WorkerJoined(B))
    assert set(fleet.workers) - set(fleet.running) == {"b"}
    left, commands = step(fleet, WorkerLeft(B, FailureKind.CRASHED, "gone"))
    assert commands == ()
    assert state_of(left) == state_of(fleet)
    assert "b" not in left.workers


def test_after_a_stop_nothing_more_happens(plan, busy):
    fleet, assign = busy
    fleet, commands = step(fleet, StopAsked("Ctrl-C"))
    assert facts_of(commands) == [Interrupted("Ctrl-C")]
    assert step(fleet, TaskDone(A, ticket(assign), Success(0.5, 1.0))) == (fleet, ())
    assert step(fleet, WorkerJoined(B)) == (fleet, ())


def test_an_evaluation_goes_to_another_worker_when_its_own_is_lost(plan, busy):
    fleet, assign = busy
    fleet, _ = step(fleet, WorkerLeft(A, FailureKind.WORKER_LOST, "node gone"))
    assert not fleet.running
    _, commands = step(fleet, WorkerJoined(B))
    assert (commands[-1].worker, commands[-1].trial, commands[-1].attempt) == (B, assign.trial, 2)


def test_the_seed_belongs_to_the_chromosome_not_to_the_number(plan, busy):
    fleet, assign = busy
    trial = state_of(fleet).open[assign.trial].trial
    assert assign.task == plan.task(trial)
    twin = replace(trial, number=77, candidate=replace(trial.candidate, number=77))
    assert plan.seed(twin) == assign.task.seed
    assert plan.seed(replace(trial, repeat=1)) != assign.task.seed


def test_a_failure_is_recorded_with_its_attempt_worker_and_reason(plan, busy):
    fleet, assign = busy
    failure = Failure(FailureKind.ERROR, "ValueError: no", 2.0)
    _, commands = step(fleet, TaskDone(A, ticket(assign), failure))
    assert facts_of(commands)[0] == Failed(assign.trial.number, 1, "a", failure, final=False)


def test_a_worker_that_joined_and_left_at_one_moment_is_given_nothing(plan):
    fleet, _ = step(fresh(plan), Begun())
    fleet, commands = step(fleet, WorkerJoined(A), WorkerLeft(A, FailureKind.WORKER_LOST, "draining"))
    assert (commands, fleet.workers, fleet.running) == ((), {}, {})


def test_a_result_that_came_before_its_worker_left_counts(busy):
    fleet, assign = busy
    done = TaskDone(A, ticket(assign), Success(0.5, 1.0))
    fleet, commands = step(fleet, done, WorkerLeft(A, FailureKind.WORKER_LOST, "draining"))
    assert [type(fact) for fact in facts_of(commands)] == [Finished, VerdictReached]
    assert fleet.workers == {}
