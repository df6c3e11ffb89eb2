"""What each kind of failure leads to (DESIGN, decision 4): one table, and the rule that stops a search."""

from collections.abc import Sequence
from dataclasses import dataclass

from evosearch.evaluation import FailureKind


@dataclass(frozen=True, slots=True)
class Policy:
    """How often an evaluation may fail in one way, and what follows.

    `attempts`: failures of this kind until its budget is spent. `alone_after`: after so many it runs alone on
    its device; None never. `stops`: a spent budget stops the search instead of giving the worst fitness.
    """

    attempts: int
    alone_after: int | None = None
    stops: bool = False


POLICIES = {
    FailureKind.INFEASIBLE: Policy(1),
    FailureKind.DIVERGED: Policy(1),
    FailureKind.ERROR: Policy(2),
    FailureKind.OUT_OF_MEMORY: Policy(2, alone_after=1),
    FailureKind.TIMED_OUT: Policy(2, alone_after=1),
    FailureKind.CRASHED: Policy(3, alone_after=2),
    FailureKind.WORKER_LOST: Policy(5, stops=True),
}

REOPENED = frozenset({FailureKind.ERROR, FailureKind.CRASHED, FailureKind.WORKER_LOST})
"""Kinds that a resume after exit 5 opens anew: mended code or machines may well train them."""

ITS_OWN = frozenset({FailureKind.DIVERGED, FailureKind.INFEASIBLE})
"""Kinds that a training comes to wherever and whenever it runs."""

FIRST_ERRORS = 3
"""When the first so many evaluations all end as `error`, the code or the data are wrong, not the candidates."""

TOO_MANY = 0.3
"""The share of a generation that may fail in these kinds, at least `FIRST_ERRORS` of it; more is no bad luck."""


def too_many_failed(failed: int, size: int) -> bool:
    """Whether so many failures, of the kinds in `REOPENED`, in a generation of `size` stop its search."""
    return failed >= FIRST_ERRORS and failed > TOO_MANY * size


def is_spent(failures: Sequence[FailureKind]) -> bool:
    """Whether the newest of an evaluation's failures used up the budget of its kind."""
    return failures.count(failures[-1]) >= POLICIES[failures[-1]].attempts


def must_run_alone(failures: Sequence[FailureKind]) -> bool:
    """Whether an evaluation that failed so must have its device to itself."""
    return any(
        policy.alone_after is not None and failures.count(kind) >= policy.alone_after
        for kind, policy in POLICIES.items()
    )
