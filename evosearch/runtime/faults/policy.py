"""What each kind of failure leads to: one table, and the rule that stops a search."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from evosearch.evaluation import FailureKind


@dataclass(frozen=True, slots=True)
class Policy:
    """How often an evaluation may fail in one way, and what follows."""

    attempts: int
    """Failures of this kind until its budget is spent."""
    alone_after: int | None = None
    """After so many failures it runs alone on its device; None: never."""
    stops: bool = False
    """A spent budget stops the search instead of giving the worst fitness."""
    reopened: bool = False
    """A resume after exit 5 opens it again."""
    of_workers: bool = False
    """It is a matter of workers, so that a node which has it often is closed."""
    of_itself: bool = False
    """A training comes to it wherever and whenever it runs."""


def policy_of(kind: FailureKind) -> Policy:
    """What failures of `kind` lead to."""
    match kind:
        case FailureKind.INFEASIBLE | FailureKind.DIVERGED:
            return Policy(1, of_itself=True)
        case FailureKind.ERROR:
            return Policy(2, reopened=True)
        case FailureKind.OUT_OF_MEMORY | FailureKind.TIMED_OUT:
            return Policy(2, alone_after=1)
        case FailureKind.CRASHED:
            return Policy(3, alone_after=2, reopened=True, of_workers=True)
        case FailureKind.WORKER_LOST:
            # from the third on alone: what others did on its device never makes up five
            return Policy(5, alone_after=3, stops=True, reopened=True, of_workers=True)
    assert_never(kind)


REOPENED = frozenset(kind for kind in FailureKind if policy_of(kind).reopened)
"""Kinds that a resume after exit 5 opens again: fixed code or machines may well train them."""

FIRST_ERRORS = 3
"""When the first so many evaluations all end as `error`, the code or the data are wrong, not the candidates."""

TOO_MANY = 0.3
"""The share of a generation that may fail in these kinds, at least `FIRST_ERRORS` of it; more is no bad luck."""


def too_many_failed(failed: int, size: int) -> bool:
    """Whether so many failures, of the kinds in `REOPENED`, in a generation of `size` stop its search."""
    return failed >= FIRST_ERRORS and failed > TOO_MANY * size


def is_spent(failures: Sequence[FailureKind]) -> bool:
    """Whether the newest of an evaluation's failures used up the budget of its kind."""
    return failures.count(failures[-1]) >= policy_of(failures[-1]).attempts


def must_run_alone(failures: Sequence[FailureKind]) -> bool:
    """Whether an evaluation that failed so must have its device to itself."""
    return any(
        after is not None and failures.count(kind) >= after
        for kind in set(failures)
        for after in (policy_of(kind).alone_after,)
    )
