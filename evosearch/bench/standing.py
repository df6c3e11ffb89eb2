"""A pool that outlives its driver, so that several searches can be measured on the same workers."""

import time
from collections.abc import Sequence
from typing import Literal

from evosearch.errors import CannotRunError
from evosearch.evaluation import FailureKind, Task
from evosearch.runtime import PoolEvent, Ticket, Worker, WorkerJoined, WorkerLeft, WorkerPool

START_SECONDS = 300.0


class StandingPool:
    """Passes everything on to `pool`, and tells each driver anew who is there."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._workers: list[Worker] = []
        self._introduced = True

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """Its."""
        return self._pool.device

    @property
    def settled(self) -> bool:
        """All workers join at once."""
        return True

    def start(self) -> None:
        """Begin to start workers."""
        self._pool.start()

    def gather(self, count: int) -> None:
        """Wait until so many workers have joined.

        Raises:
            CannotRunError: they did not within `START_SECONDS`.
        """
        deadline = time.monotonic() + START_SECONDS
        while len(self._workers) < count:
            self._know(self._pool.poll(1.0))
            if time.monotonic() > deadline:
                raise CannotRunError(
                    f"{len(self._workers)} of {count} workers were up after {START_SECONDS:.0f} s; take fewer slots"
                )

    def poll(self, timeout: float) -> Sequence[PoolEvent]:
        """What has happened; to a new driver first that all workers have joined."""
        if not self._introduced:
            self._introduced = True
            return [WorkerJoined(worker) for worker in self._workers]
        events = self._pool.poll(timeout)
        self._know(events)
        return events

    def introduce(self) -> None:
        """A new driver comes; its first poll tells it who is there."""
        self._introduced = False

    def submit(self, worker: Worker, ticket: Ticket, task: Task) -> None:
        """Pass it on."""
        self._pool.submit(worker, ticket, task)

    def stop(self, worker: Worker, kind: FailureKind, message: str) -> None:
        """Pass it on."""
        self._pool.stop(worker, kind, message)

    def exclude(self, node: str) -> None:
        """Pass it on."""
        self._pool.exclude(node)

    def close(self) -> None:
        """Close it."""
        self._pool.close()

    def _know(self, events: Sequence[PoolEvent]) -> None:
        for event in events:
            if isinstance(event, WorkerJoined):
                self._workers.append(event.worker)
            elif isinstance(event, WorkerLeft) and event.worker in self._workers:
                self._workers.remove(event.worker)
