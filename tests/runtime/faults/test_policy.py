"""The table of failure kinds, kind by kind."""

import pytest

from evosearch.evaluation import FailureKind
from evosearch.runtime.faults.policy import is_spent, must_run_alone

KINDS = {
    FailureKind.INFEASIBLE: (1, None),
    FailureKind.DIVERGED: (1, None),
    FailureKind.ERROR: (2, None),
    FailureKind.OUT_OF_MEMORY: (2, 1),
    FailureKind.TIMED_OUT: (2, 1),
    FailureKind.CRASHED: (3, 2),
    FailureKind.WORKER_LOST: (5, 3),
}


def test_every_kind_of_failure_has_a_policy():
    assert set(FailureKind) == set(KINDS)


@pytest.mark.parametrize(("kind", "attempts", "alone_after"), [(k, *v) for k, v in KINDS.items()])
def test_a_kind_is_spent_and_runs_alone_after_so_many(kind, attempts, alone_after):
    for failures in range(1, 7):
        history = (kind,) * failures
        assert is_spent(history) == (failures >= attempts)
        assert must_run_alone(history) == (alone_after is not None and failures >= alone_after)


def test_a_lost_worker_does_not_count_towards_a_crash():
    lost = FailureKind.WORKER_LOST
    assert not is_spent((lost, lost, lost, FailureKind.CRASHED))
    assert not must_run_alone((lost, lost, FailureKind.CRASHED))
