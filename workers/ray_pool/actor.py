"""The long-lived actor of `RayPool`: one worker process somewhere in the cluster.

A plain class, importable where it runs, so that Ray sends it by reference; the pool makes an actor of it.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace

from evosearch.data import SearchData
from evosearch.evaluation import EpochRecord, Evaluator, Task
from workers.allocator import allocator_environment, c_library, give_back
from workers.ray_pool.environment import without_added
from workers.slots import thread_environment
from workers.worker.classify import describe
from workers.worker.preflight import Introduction, Reach, introduce
from workers.worker.service import Broken, Ready, Reply, Service, Upkeep, prepare

WATCH = "watch"
"""Concurrency group of what must answer while a task runs.

Since there is one, Ray 2.60 runs all other methods in order in a thread of their own, always the same, as torch
needs it: OpenMP keeps its threads, and CUDA its device, per calling thread.
"""


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker answers to whoever asks for its progress."""

    beats: int
    """A number that grows with the progress of the tasks."""
    curve: tuple[EpochRecord, ...] = ()
    """That of the running training, if it is reported now; else empty."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a task is."""

    place: str
    """The innermost line of this project."""
    stack: str
    """The whole stack, several lines."""


class WorkerActor:
    """Holds an evaluator and runs one task at a time; no exception of a task ever crosses to the driver."""

    def __init__(
        self,
        factory: Callable[[SearchData, str], Evaluator],
        data: SearchData,
        threads: int,
        upkeep: Upkeep,
        reach: Reach | None = None,
    ) -> None:
        os.environ.update(thread_environment(threads))  # before the factory imports torch
        self._factory = factory
        self._data = data
        self._upkeep = upkeep
        self._reach = reach
        self._service: Service | None = None

    def introduce(self) -> Introduction:
        """What the pool must know before it lets this worker prepare."""
        import ray

        context = ray.get_runtime_context()
        gpus = context.get_accelerator_ids().get("GPU", [])
        device = f"cuda:{gpus[0]}" if gpus else "cpu"
        introduction = introduce(context.get_node_id(), socket.gethostname(), device, self._data, self._reach)
        wanted = allocator_environment(without_added(os.environ), c_library())
        return replace(introduction, environment=wanted)

    def prepare(self, device: str) -> Ready | Broken:
        """Make the evaluator for "cpu" or "cuda:0"; here and not in the constructor, whose errors Ray shows at length."""
        try:
            shares = device != "cpu" and _share_of_gpu() < 1
            self._service, ready = prepare(self._factory, self._data, device, self._upkeep, shares=shares)
            give_back()  # what the evaluator needed only to begin
            return ready
        except Exception as error:
            return Broken(describe(error))

    def run(self, task: Task) -> Reply:
        """Let the evaluator handle the task."""
        return self._service.run(task) if self._service else Broken("given a task before it was prepared")

    def ping(self) -> None:
        """Answer, in the order of the tasks."""

    def pulse(self) -> Beat:
        """How the tasks get on."""
        return Beat(self._service.pulse(), self._service.news()) if self._service else Beat(0)

    def position(self) -> Position:
        """Where the task is that runs now."""
        if self._service is None:
            return Position("no evaluator is made", "")
        return Position(self._service.place(), self._service.stack())


def _share_of_gpu() -> float:
    import ray

    assigned = ray.get_runtime_context().get_assigned_resources()  # type: ignore[no-untyped-call] # of Ray's
    return float(assigned.get("GPU", 1.0))
