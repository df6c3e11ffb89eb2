"""What every worker process does, whichever pool it belongs to: run tasks, whose failures become values, report progress,
know when it is worn out.
"""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import FrameType
from typing import TYPE_CHECKING, TypeAlias

from evosearch.data import SearchData
from evosearch.errors import TimedOutError
from evosearch.evaluation import (
    UNWATCHED,
    EpochRecord,
    Evaluator,
    Failure,
    FailureKind,
    Outcome,
    Precision,
    Prediction,
    Progress,
    Result,
    Task,
)
from workers import mps
from workers.allocator import give_back
from workers.worker.classify import classify, describe, innermost_place, is_others_fault, poisons_process
from workers.worker.recycling import Wear, capacity, precisions_of, processor_of, release

if TYPE_CHECKING:  # a worker process needs neither the driver nor its journal
    from evosearch.runtime import WorkerSettings


@dataclass(frozen=True, slots=True)
class Broken:
    """The worker cannot go on: its evaluator could not be made, or an error left the process unusable."""

    message: str
    """Why, for a person."""
    kind: FailureKind = FailureKind.CRASHED
    """Of its task."""


def run_task(evaluator: Evaluator, task: Task, progress: Progress = UNWATCHED) -> Result | Broken:
    """Let `evaluator` handle the task; an exception becomes a `Failure`, or `Broken` where the process must end with it."""
    start = time.perf_counter()
    try:
        return evaluator.handle(task, progress)
    except Exception as error:
        if poisons_process(error):
            kind = FailureKind.WORKER_LOST if is_others_fault(error) else FailureKind.CRASHED
            return Broken(describe(error), kind)
        return classify(error, time.perf_counter() - start)


__all__ = ["UNLIMITED", "Broken", "Done", "ProgressCounter", "Ready", "Reply", "Service", "Upkeep", "prepare"]


@dataclass(frozen=True, slots=True)
class Upkeep:
    """The part of `WorkerSettings` that a worker process obeys itself."""

    soft_seconds: float | None = None
    """As in `WorkerSettings`; None: no limit."""
    recycle_after: int | None = None
    """As in `WorkerSettings`; None: no limit."""
    recycle_growth: int | None = None
    """As in `WorkerSettings`; None: no limit."""
    mps: bool = False
    """Whether it uses NVIDIA's MPS, where that can be had, while it shares a GPU."""
    turns: str = ""
    """Why it does not, though it need not take turns by its settings; empty where it does, or may not."""

    @classmethod
    def of(cls, settings: "WorkerSettings") -> "Upkeep":
        """What `settings` say of it."""
        return cls(
            settings.soft_seconds, settings.recycle_after, settings.recycle_growth, settings.mps == "auto"
        )

    def at(self, attempt: int) -> "Upkeep":
        """For the process that is the `attempt`th of its slot, from 1, none of which was ready before: a GPU may serve through MPS
        whoever is there and take on nobody, so that the last one tries without.
        """
        if not self.mps or attempt <= WITH_MPS:
            return self
        return replace(
            self,
            mps=False,
            turns=f"{WITH_MPS} processes that began with it, one after the other, did not get ready",
        )


WITH_MPS = 2
"""So many processes of a slot begin with MPS, one after the other; pools try a third."""


UNLIMITED = Upkeep()


@dataclass(frozen=True, slots=True)
class Done:
    """A task has ended."""

    result: Result
    """What it came to."""
    leaves: str = ""
    """Why this process must be replaced now; empty if it may go on."""
    notice: str = ""
    """What went wrong on the way though the result is as it should be, for a person; empty if nothing did."""


Reply: TypeAlias = Done | Broken


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker can take tasks."""

    memory: int | None
    """Bytes of its GPU; None for a CPU."""
    processor: str = ""
    """As in `Worker`."""
    precisions: tuple[Precision, ...] | None = None
    """As in `Worker`."""
    mps: bool = False
    """As in `Worker`."""
    turns: str = ""
    """Why it takes turns with the others of its GPU, though it need not by its settings; empty where it does not."""


def prepare(
    factory: Callable[[SearchData, str], Evaluator],
    data: SearchData,
    device: str,
    upkeep: Upkeep,
    *,
    shares: bool = False,
) -> tuple["Service", Ready]:
    """Make this process a worker.

    Args:
        factory: makes its evaluator.
        data: what that is to hold.
        device: where, "cpu" or "cuda:0".
        upkeep: what it obeys.
        shares: whether other workers may use its GPU too.

    Raises:
        Exception: what the factory raises.
    """
    sharing = mps.Sharing(False, upkeep.turns if shares else "")
    if shares and upkeep.mps:  # before the factory begins CUDA
        sharing = mps.join(os.environ, mps.SHORT, mps.TRIAL)
    service = Service(factory(data, device), upkeep)
    ready = Ready(capacity(device), processor_of(device), precisions_of(device), sharing.mps, sharing.reason)
    return service, ready


CURVE_SECONDS = 5.0
"""How often the curve of a running training is reported at most."""


class ProgressCounter:
    """The `Progress` of one task after another. `beats`: grows with every step, and where a task begins. `curve`: the epochs
    of the running training that have ended. `wear`: why the process must be replaced when the task has ended; empty if it need not.

    Only the thread that trains writes to it, so that no step waits for a lock.
    """

    def __init__(self, soft_seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.beats = 0
        self._soft_seconds = soft_seconds
        self._clock = clock
        self._start = 0.0
        self.curve: list[EpochRecord] = []
        self.wear = ""

    def begin(self) -> None:
        """A task begins."""
        self.beats += 1
        self._start = self._clock()
        self.curve = []
        self.wear = ""

    def end(self) -> None:
        """It has ended, and its result has the rest."""
        self.curve = []

    def step(self) -> None:
        """Count it."""
        self.beats += 1

    def worn(self, why: str) -> None:
        """Keep it; of several the first."""
        self.wear = self.wear or why

    def epoch(self, record: EpochRecord) -> None:
        """Keep it, and see that the soft limit has not passed."""
        self.curve.append(record)
        seconds = self._clock() - self._start
        if self._soft_seconds is not None and seconds > self._soft_seconds:
            raise TimedOutError(
                f"took {seconds:.0f} s, more than workers.soft_seconds = {self._soft_seconds:g}; "
                f"stopped after epoch {len(self.curve)}"
            )


class Service:
    """Runs one task at a time on one evaluator. `run` belongs to one thread, all else to any."""

    def __init__(self, evaluator: Evaluator, upkeep: Upkeep) -> None:
        self._evaluator = evaluator
        self._watch = ProgressCounter(upkeep.soft_seconds)
        self._wear = Wear(upkeep.recycle_after, upkeep.recycle_growth)
        self._thread: int | None = None
        self._told = 0.0

    def run(self, task: Task) -> Reply:
        """Let the evaluator handle the task. No `Exception` leaves it; what is meant to end the process, as `SystemExit`, does."""
        self._thread = threading.get_ident()
        self._watch.begin()
        self._told = time.monotonic()
        try:
            result = run_task(self._evaluator, task, self._watch)
        finally:
            self._thread = None
            self._watch.end()
        if isinstance(result, Broken):
            return result
        give_back()  # to the other workers, who may need it for a larger network
        worn = "" if isinstance(result, Prediction) else self._worn(result)
        notice = self._watch.wear
        return Done(result, f"recycled: {notice}" if notice else worn, notice)

    def pulse(self) -> int:
        """A number that grows with every step of progress and with every task."""
        return self._watch.beats

    def news(self) -> tuple[EpochRecord, ...]:
        """The curve of the running training, `CURVE_SECONDS` after it was last reported at the earliest; else nothing."""
        now, curve = time.monotonic(), tuple(self._watch.curve)
        if not curve or now - self._told < CURVE_SECONDS:
            return ()
        self._told = now
        return curve

    def stack(self) -> str:
        """Where the running task is: its thread's stack, a text of several lines, the innermost call last."""
        frame = self._frame()
        return "".join(traceback.format_stack(frame)) if frame else "no task is running\n"

    def place(self) -> str:
        """The innermost line of this project in that stack, as "evosearch/training/step.py:52"."""
        frame = self._frame()
        return innermost_place(traceback.extract_stack(frame)) if frame else "no task"

    def _frame(self) -> FrameType | None:
        return sys._current_frames().get(self._thread) if self._thread else None

    def _worn(self, outcome: Outcome) -> str:
        try:
            if isinstance(
                outcome, Failure
            ):  # its traceback kept alive what it held; others may share the device
                release()
            return self._wear.evaluated()
        except Exception as error:  # of CUDA, reported late: the result holds, the process is lost
            return f"recycled: {describe(error)}"
