"""One task outside a search, on an ordinary worker: the retraining of the best, and its reading of the test."""

from collections.abc import Callable

from evosearch.errors import InterruptedSearchError, TooManyFailuresError
from evosearch.evaluation import Failure, FailureKind, Measured, Prediction, Result, Task
from evosearch.runtime.driver import HEARTBEAT_SECONDS, POLL_SECONDS, Surroundings
from evosearch.runtime.policy import is_spent
from evosearch.runtime.pool import PoolChanged, TaskDone, Ticket, Worker, WorkerJoined, WorkerLeft
from evosearch.runtime.vigil import Vigil


class SingleTasks:
    """Runs one task after another on a pool that has been started, each until it succeeds or its budget is spent."""

    def __init__(self, search: str, world: Surroundings) -> None:
        self.term = world.logbooks[search].term
        self._search = search
        self._world = world
        self._vigil = Vigil()
        self._free: list[Worker] = []
        self._beaten = world.clock()

    def run(self, number: int, task_of: Callable[[int], Task]) -> tuple[int, Measured | Prediction]:
        """The first attempt, from 1, that succeeded on behalf of candidate `number`, and what it came to.

        `task_of(attempt)` makes the task, so that what an attempt leaves behind can carry its number: a worker given
        up as lost may still come back and write.

        Raises:
            TooManyFailuresError: it failed as often as its kind allows; the message has the last reason.
            InterruptedSearchError: a stop was asked for.
        """
        failures: list[FailureKind] = []
        attempt = 0
        while True:
            attempt += 1
            result = self._attempt(Ticket(self._search, self.term, number, attempt), task_of(attempt))
            if not isinstance(result, Failure):
                return attempt, result
            if result.node_lost:
                continue
            failures.append(result.kind)
            if is_spent(failures):
                raise TooManyFailuresError(
                    f"candidate {number} of {self._search!r} failed as {result.kind} in attempt {attempt}; "
                    f"the last one: {result.message}"
                )

    def _attempt(self, ticket: Ticket, task: Task) -> Result:
        given: Worker | None = None
        result: Result | None = None
        while result is None:
            self._stay_alive()
            if given is None and self._free:
                given = self._free.pop()
                self._world.pool.submit(given, ticket, task)
                self._vigil = self._vigil.began(given, self._world.clock())
            # All of them, also once there is a result: the next attempt needs to know who joined.
            events = self._world.pool.poll(POLL_SECONDS)
            self._vigil = self._vigil.listened(self._world.clock())
            for event in events:
                self._vigil = self._vigil.saw(event, self._world.clock())
                match event:
                    case WorkerJoined(worker):
                        self._free.append(worker)
                    case TaskDone(worker, done, outcome, leaves):
                        self._free += [] if leaves else [worker]
                        result = outcome if done == ticket else result
                    case WorkerLeft(worker, kind, message, node_lost):
                        self._free = [other for other in self._free if other != worker]
                        left = Failure(kind, message, node_lost=node_lost)
                        result = left if worker == given else result
                    case PoolChanged(text):
                        self._world.watcher.note(text)
        return result

    def _stay_alive(self) -> None:
        if reason := self._world.stop_reason():
            raise InterruptedSearchError(
                f"{self._search!r} was stopped by {reason}; the same command begins this step again"
            )
        for late in self._vigil.overdue(self._world.limits, self._vigil.heard or 0.0)[:1]:
            self._vigil = self._vigil.without(late.worker)
            self._world.pool.stop(late.worker, late.kind, late.message)
        if self._world.clock() - self._beaten >= HEARTBEAT_SECONDS:
            self._world.logbooks[self._search].beat()
            self._beaten = self._world.clock()
