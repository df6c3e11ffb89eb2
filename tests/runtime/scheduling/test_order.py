"""Who gets what next."""

from dataclasses import replace

import pytest

from evosearch.evaluation import FailureKind
from evosearch.runtime import Begun, Fleet, Member, Worker, replay, step
from evosearch.runtime.machine.fold import indexed
from evosearch.runtime.scheduling.order import assignments, waiting
from evosearch.runtime.scheduling.placement import CONTEXT
from tests.runtime.small_search import make_plan

CRASHED, OUT_OF_MEMORY = FailureKind.CRASHED, FailureKind.OUT_OF_MEMORY
X1, X2, Y1, Y2 = Worker("x1", "x/0"), Worker("x2", "x/0"), Worker("y1", "y/0"), Worker("y2", "y/0")


def begun(plan, *workers, running=None, failures=None):
    fleet, _ = step(Fleet.of(Member(plan, replay(plan, ()))), Begun())
    state = replace(fleet.members[plan.name].state, running=running or {}, failures=failures or {})
    return replace(fleet.with_state(plan.name, state), workers={worker.name: worker for worker in workers})


def with_state(fleet, plan, **changes):
    return fleet.with_state(plan.name, replace(fleet.members[plan.name].state, **changes))


def longest_first(plan, fleet):
    """Before anything is timed, FLOPs decide."""
    trials = [one.trial for one in fleet.members[plan.name].state.open.values()]
    return [t.id for t in sorted(trials, key=lambda t: (-plan.network_size(t).flops, t.number))]


def given(fleet):
    return {worker.name: one.trial.id for worker, one in assignments(fleet)}


def test_every_free_worker_gets_one_longest_first(plan):
    fleet = begun(plan, X1, X2, Y1)
    first, second, third, *_ = longest_first(plan, fleet)
    assert given(fleet) == {"x1": first, "y1": second, "x2": third}  # devices in turn


def test_a_busy_worker_gets_nothing_and_what_runs_is_not_given_twice(plan):
    fleet = begun(plan, X1, X2)
    first, second, *_ = longest_first(plan, fleet)
    assert given(with_state(fleet, plan, running={"x1": first})) == {"x2": second}


def test_what_waited_at_a_rung_goes_to_the_worker_that_holds_it(plan):
    fleet = begun(plan, X1, X2, Y1)
    first, second, third, *_ = longest_first(plan, fleet)
    held = {second.number: "y1", third.number: "y1"}
    chosen = given(with_state(fleet, plan, holders=held))
    assert (chosen["x1"], chosen["y1"]) == (first, second)
    assert chosen["x2"] not in (first, second, third), "the third waits for y1"


def test_who_has_nothing_else_to_do_begins_what_a_busy_worker_holds_again(plan):
    fleet = begun(plan, X1, Y1)
    first, second, third, *others = longest_first(plan, fleet)
    state = fleet.members[plan.name].state
    left = {trial: one for trial, one in state.open.items() if trial not in others}
    held = {second.number: "y1", third.number: "y1"}
    busy = indexed(replace(state, open=left, holders=held, running={"y1": first}))
    assert given(fleet.with_state(plan.name, busy)) == {"x1": second}


def test_what_a_worker_held_that_is_gone_goes_to_anybody(plan):
    fleet = begun(plan, X1)
    first, *_ = longest_first(plan, fleet)
    assert given(with_state(fleet, plan, holders={first.number: "x9"})) == {"x1": first}


def test_what_was_learned_of_finished_trainings_decides_who_is_longest(plan):
    fleet = begun(plan, X1)
    state = fleet.members["small"].state
    by_layers = max(state.open.values(), key=lambda one: (one.size.work[1], -one.size.work[2]))
    timings = state.timings
    for number in range(40):  # time follows the layers alone
        work = (1.0, 3.0 + number % 7, 0.1 * (number % 5), 0.3 * (number % 3), 0.2 * (number % 4))
        timings = timings.with_one(work, 2.0 * work[1])
    (chosen,) = given(with_state(fleet, plan, timings=timings)).values()
    assert state.open[chosen].size.work[1] == by_layers.size.work[1]


def test_what_must_run_alone_gets_a_whole_device(plan):
    fleet = begun(plan, X1, X2, Y1, Y2)
    last = longest_first(plan, fleet)[-1]
    chosen = given(with_state(fleet, plan, failures={last: (OUT_OF_MEMORY,)}))
    assert chosen["x1"] == last
    assert "x2" not in chosen
    assert {"y1", "y2"} <= set(chosen)


def test_while_no_device_is_free_one_is_kept_clear_for_it(plan):
    fleet = begun(plan, X1, X2, Y1, Y2)
    first, second, *_, last = longest_first(plan, fleet)
    running = {"x1": first, "y1": second}
    chosen = given(with_state(fleet, plan, failures={last: (CRASHED, CRASHED)}, running=running))
    assert last not in chosen.values()
    assert len(chosen) == 1  # the other device goes on


def test_for_several_that_must_run_alone_only_one_device_is_kept_clear(plan):
    fleet = begun(plan, X1, X2, Y1, Y2)
    first, second, *_, other, last = longest_first(plan, fleet)
    alone = {last: (OUT_OF_MEMORY,), other: (OUT_OF_MEMORY,)}
    chosen = given(with_state(fleet, plan, failures=alone, running={"x1": first, "y1": second}))
    assert len(chosen) == 1
    assert not {last, other} & set(chosen.values())


def test_nothing_joins_a_device_on_which_one_runs_alone(plan):
    fleet = begun(plan, X1, X2, Y1)
    first, *_ = longest_first(plan, fleet)
    state = with_state(fleet, plan, failures={first: (OUT_OF_MEMORY,)}, running={"x1": first})
    assert set(given(state)) == {"y1"}


def test_one_crash_does_not_yet_ask_for_a_whole_device(plan):
    fleet = begun(plan, X1, X2)
    first, *_ = longest_first(plan, fleet)
    assert len(given(with_state(fleet, plan, failures={first: (CRASHED,)}))) == 2


def test_what_must_run_alone_comes_first(plan):
    fleet = begun(plan, X1)
    last = longest_first(plan, fleet)[-1]
    assert next(waiting(with_state(fleet, plan, failures={last: (OUT_OF_MEMORY,)}))).trial.id == last


@pytest.fixture
def tight(plan):
    """Two workers that share a GPU which holds any one of the candidates, but not the largest one twice; and another
    GPU of the same kind."""
    fleet = begun(plan)
    candidates = fleet.members["small"].state.open.values()
    largest = max(candidates, key=lambda one: (one.size.peak, -one.trial.number))
    memory = 2 * (CONTEXT + largest.size.peak) - 2
    workers = [replace(worker, memory=memory) for worker in (X1, X2, Y1, Y2)]
    return replace(fleet, workers={worker.name: worker for worker in workers}), largest.trial.id


def test_a_candidate_whose_predicted_peak_does_not_fit_its_share_runs_alone(tight):
    fleet, largest = tight
    chosen = assignments(fleet)
    (worker,) = (worker for worker, one in chosen if one.trial.id == largest)
    assert sum(other.device == worker.device for other, _ in chosen) == 1
    assert len(chosen) == 3  # the other device is shared as always


def test_a_prediction_never_rejects_anything(plan, tight):
    fleet, _ = tight
    tiny = {name: replace(worker, memory=1) for name, worker in fleet.workers.items()}
    chosen = assignments(replace(fleet, workers=tiny))
    assert len(chosen) == 2
    assert {worker.device for worker, _ in chosen} == {"x/0", "y/0"}


def test_a_closed_node_gets_nothing(plan):
    fleet = replace(begun(plan, X1, X2, Y1), excluded=frozenset({"x"}))
    assert set(given(fleet)) == {"y1"}


def test_searches_of_a_group_share_the_workers_longest_first(plan):
    plans = [make_plan(name="group/seed-0", seed=0), make_plan(name="group/seed-1", seed=1)]
    fleet, _ = step(Fleet.of(*(Member(one, replay(one, ())) for one in plans)), Begun())
    fleet = replace(fleet, workers={worker.name: worker for worker in (X1, X2, Y1, Y2)})
    costs = sorted(
        (
            one.network_size(o.trial).flops
            for one in plans
            for o in fleet.members[one.name].state.open.values()
        ),
        reverse=True,
    )
    chosen = [fleet.members[one.search].plan.network_size(one.trial).flops for _, one in assignments(fleet)]
    assert chosen == costs[:4]
    assert {one.search for _, one in assignments(fleet)} <= {"group/seed-0", "group/seed-1"}
