"""Who is stopped, and when."""

from evosearch.evaluation import FailureKind, Success
from evosearch.runtime import (
    StallDetector,
    TaskDone,
    Ticket,
    TimeLimits,
    Worker,
    WorkerLeft,
    WorkerProgressed,
)

A, B = Worker("a", "host/cpu"), Worker("b", "host/cpu")
STALL, BOTH = TimeLimits(stall=10.0), TimeLimits(stall=10.0, hard=25.0)


def test_a_worker_without_progress_is_lost_after_the_stall_limit_and_not_before():
    stalls = StallDetector().began(A, 100.0).began(B, 105.0)
    assert stalls.overdue(STALL, 110.0) == ()
    (late,) = stalls.overdue(STALL, 110.1)
    assert (late.worker, late.kind) == (A, FailureKind.WORKER_LOST)
    assert "workers.stall_seconds = 10" in late.message


def test_progress_puts_it_off():
    stalls = StallDetector().began(A, 0.0).saw(WorkerProgressed(A), 9.0)
    assert stalls.overdue(STALL, 18.0) == ()
    assert stalls.overdue(STALL, 19.5)


def test_progress_does_not_put_off_the_hard_limit():
    stalls = StallDetector().began(A, 0.0).saw(WorkerProgressed(A), 24.0)
    assert stalls.overdue(BOTH, 25.0) == ()
    (late,) = stalls.overdue(BOTH, 25.1)
    assert late.kind is FailureKind.TIMED_OUT
    assert "workers.hard_seconds = 25" in late.message


def test_while_the_driver_itself_stood_still_no_time_passes():
    stalls = StallDetector().listened(0.0).began(A, 0.0).listened(100.0)
    assert stalls.overdue(BOTH, 109.0) == ()
    assert stalls.overdue(BOTH, 111.0)
    assert stalls.listened(104.0).listened(108.0).overdue(BOTH, 111.0), "short gaps are time that passes"


def test_there_is_no_hard_limit_unless_one_is_given():
    stalls = StallDetector().began(A, 0.0).saw(WorkerProgressed(A), 1e6)
    assert stalls.overdue(STALL, 1e6 + 1) == ()


def test_an_idle_worker_is_never_overdue():
    done = TaskDone(A, Ticket("small", 1, 0, 1), Success(0.5, 1.0))
    for event in (done, WorkerLeft(A, FailureKind.CRASHED, "gone")):
        assert StallDetector().began(A, 0.0).saw(event, 1.0) == StallDetector()
    assert StallDetector().saw(WorkerProgressed(A), 1.0) == StallDetector()
