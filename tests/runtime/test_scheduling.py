"""Who gets what next."""

from dataclasses import replace

from evosearch.evaluation import FailureKind
from evosearch.runtime import Begun, Worker, replay, step
from evosearch.runtime.scheduling import assignments, waiting

CRASHED, OUT_OF_MEMORY = FailureKind.CRASHED, FailureKind.OUT_OF_MEMORY
X1, X2, Y1, Y2 = Worker("x1", "x"), Worker("x2", "x"), Worker("y1", "y"), Worker("y2", "y")


def begun(plan, *workers, running=None, failures=None):
    state, _ = step(plan, replay(plan, ()), Begun())
    by_name = {worker.name: worker for worker in workers}
    return replace(state, workers=by_name, running=running or {}, failures=failures or {})


def longest_first(plan, state):
    return [c.number for c in sorted(state.open.values(), key=lambda c: (-plan.cost(c), c.number))]


def given(plan, state):
    return {worker.name: candidate.number for worker, candidate in assignments(plan, state)}


def test_every_free_worker_gets_one_longest_first(plan):
    state = begun(plan, X1, X2, Y1)
    first, second, third, *_ = longest_first(plan, state)
    assert given(plan, state) == {"x1": first, "x2": second, "y1": third}


def test_a_busy_worker_gets_nothing_and_what_runs_is_not_given_twice(plan):
    state = begun(plan, X1, X2)
    first, second, *_ = longest_first(plan, state)
    assert given(plan, replace(state, running={"x1": first})) == {"x2": second}


def test_what_must_run_alone_gets_a_whole_device(plan):
    state = begun(plan, X1, X2, Y1, Y2)
    last = longest_first(plan, state)[-1]
    state = replace(state, failures={last: (OUT_OF_MEMORY,)})
    chosen = given(plan, state)
    assert chosen["x1"] == last
    assert "x2" not in chosen
    assert {"y1", "y2"} <= set(chosen)


def test_while_no_device_is_free_one_is_kept_clear_for_it(plan):
    state = begun(plan, X1, X2, Y1, Y2)
    first, second, *_, last = longest_first(plan, state)
    state = replace(state, failures={last: (CRASHED, CRASHED)}, running={"x1": first, "y1": second})
    chosen = given(plan, state)
    assert last not in chosen.values()
    assert len(chosen) == 1  # the other device goes on


def test_nothing_joins_a_device_on_which_one_runs_alone(plan):
    state = begun(plan, X1, X2, Y1)
    first, *_ = longest_first(plan, state)
    state = replace(state, failures={first: (OUT_OF_MEMORY,)}, running={"x1": first})
    assert set(given(plan, state)) == {"y1"}


def test_one_crash_does_not_yet_ask_for_a_whole_device(plan):
    state = begun(plan, X1, X2)
    first, *_ = longest_first(plan, state)
    assert len(given(plan, replace(state, failures={first: (CRASHED,)}))) == 2


def test_what_must_run_alone_comes_first(plan):
    state = begun(plan, X1)
    last = longest_first(plan, state)[-1]
    assert waiting(plan, replace(state, failures={last: (OUT_OF_MEMORY,)}))[0].number == last
