"""What trainings would take on this machine, from a few steps of some of them."""

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from evosearch.data import SearchData
from evosearch.errors import CannotRunError
from evosearch.evaluation import Evaluator, Precision, Success, TrainingTask
from evosearch.runtime import TaskDone, Ticket, Worker, WorkerJoined, WorkerLeft, WorkerPool, auto_on

START_SECONDS = 90.0
"""By then the first worker is ready, on a busy machine too: it imports torch and trains a step."""

MEASURE_SECONDS = 15.0
"""How long is measured at most, from the first worker on; what is under way then is dropped."""


def measure_on(data: SearchData, device: str) -> Evaluator:
    """A `StepTimer` that holds `data` on `device`; an `EvaluatorFactory`."""
    from evosearch.training import (
        StepTimer,
        recorder_for,
    )  # torch is imported in the worker, as for `train_on`

    return StepTimer(data, device, make_recorder=recorder_for(data, device))


@dataclass(frozen=True)
class Timed:
    """What was measured."""

    seconds: Mapping[int, float]
    """What each whole training would take, by its place in the list; those are left out that were not reached."""
    workers: int
    """How many trained side by side."""
    host_memory: int
    """Most bytes that a worker process held."""
    device_memory: int | None
    """Bytes of a worker's GPU; None on a CPU."""
    precision: Precision | None = None
    """What `auto` means on this machine; None: its workers did not say."""
    processor: str = ""
    """As in `Worker`, of the first that joined."""
    trouble: str = ""
    """Why not one training could be measured though workers joined; empty where one was."""


def time_trainings(
    pool: WorkerPool, tasks: Sequence[TrainingTask], clock: Callable[[], float] = time.monotonic
) -> Timed:
    """Let the workers of `pool`, which is started and closed here, measure `tasks` in their order, as many as there is
    time for.

    Raises:
        CannotRunError: no worker became ready.
    """
    seconds: dict[int, float] = {}
    failures: list[str] = []
    joined: dict[str, Worker] = {}
    unable: set[str] = set()
    precision: Precision | None = None
    waiting = list(enumerate(tasks))
    tf32 = any(task.settings.precision == "tf32" for task in tasks)
    try:
        pool.start()
        deadline = clock() + START_SECONDS
        while len(seconds) + len(failures) < len(tasks) and clock() < deadline:
            if joined and len(unable) == len(joined) and pool.settled:
                break
            for event in pool.poll(0.25):
                if isinstance(event, WorkerLeft):
                    failures.append(event.message)
                if isinstance(event, TaskDone):
                    if isinstance(event.result, Success):
                        seconds[event.ticket.number] = event.result.seconds
                    else:
                        failures.append(getattr(event.result, "message", "it gave no time"))
                if isinstance(event, WorkerJoined):
                    deadline = deadline if joined else clock() + MEASURE_SECONDS
                    joined[event.worker.name] = event.worker
                    precision = precision or auto_on(event.worker)
                    unable |= {event.worker.name} if tf32 and _lacks_tf32(event.worker) else set()
                if isinstance(event, WorkerJoined | TaskDone) and waiting and event.worker.name not in unable:
                    number, task = waiting.pop(0)
                    decided = replace(task, settings=task.settings.at(precision))
                    pool.submit(event.worker, Ticket("probe", 0, number, 1), decided)
    finally:
        pool.close()
    if not joined:
        raise CannotRunError(f"no worker was ready after {START_SECONDS:.0f} s")
    memory = [worker.memory for worker in joined.values() if worker.memory is not None]
    told = precision if any(worker.precisions is not None for worker in joined.values()) else None
    processor = next(iter(joined.values())).processor
    host, device = _most_memory_of_children(), min(memory, default=None)
    if len(unable) == len(joined):
        failures = [_none_has_tf32(processor)]
    trouble = "" if seconds else (failures or [f"a step takes more than {MEASURE_SECONDS:.0f} s"])[-1]
    return Timed(seconds, len(joined), host, device, told, processor, trouble)


def _none_has_tf32(processor: str) -> str:
    return (
        f"no worker of this machine has tf32{f' ({processor})' if processor else ''}, so that a search here ends with exit "
        "status 3; use GPUs that have it, or training.precision: fp32"
    )


def _lacks_tf32(worker: Worker) -> bool:
    """Whether a search that names it would turn this worker away."""
    return worker.precisions is not None and "tf32" not in worker.precisions


def _most_memory_of_children() -> int:
    """Bytes that the largest of the processes held that have ended; macOS counts bytes, others kibibytes."""
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
