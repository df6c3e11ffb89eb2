"""Workers as standing Ray actors, one per slot, on this machine or across a cluster.

Ray's own restarts and retries stay off: with them a lost reply runs a task twice, unseen (DESIGN, decision 4). One
call per actor is in flight, and each is fetched alone, since `ray.get` on a list waits for a hung actor
although another died (ray-project/ray#47204).
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, Literal

from evosearch.data import SearchData
from evosearch.errors import CannotRunError
from evosearch.evaluation import FailureKind
from evosearch.runtime import (
    EvaluatorFactory,
    PoolEvent,
    Task,
    TaskDone,
    Ticket,
    Worker,
    WorkerJoined,
    WorkerLeft,
    WorkerSettings,
)
from workers.actor import Address, WorkerActor
from workers.classify import LONGEST
from workers.ray_cluster import Connection, connect, disconnect
from workers.slots import Slot, kind_of, name_worker
from workers.task import Broken

LOG = logging.getLogger(__name__)

STARTS = 3
"""So many actors of one slot may die in a row before they were ready; then the pool gives up."""

LEAVE_SECONDS = 2.2
"""Ray ends a private cluster in 1.4 to 1.9 seconds; a process that is told to stop has 3 in all."""

SUSPECT_SECONDS = 30.0
"""How long an actor that cannot be reached may take to turn out dead. A crash is told within a second, a dead node
after about 15; whoever says nothing for longer is killed."""


@dataclass(eq=False)
class _Standing:
    """One actor.

    `call`: its call in flight, and `replied` what its reply means. `knock`: the call before its task. `attempt`: 1
    for the first of its slot, one more after each that died before it was ready. `address`, `worker`: None until it
    is ready. `suspect_until`: monotonic seconds, while it cannot be reached.
    """

    slot: Slot
    actor: Any
    call: Any
    attempt: int
    replied: Callable[[Any], PoolEvent] = field(init=False)
    address: Address | None = None
    worker: Worker | None = None
    knock: Any = None
    suspect_until: float | None = None


class RayPool:
    """A `WorkerPool` of Ray actors; see `connect` for the cluster they run on."""

    def __init__(
        self, factory: EvaluatorFactory, data: SearchData, settings: WorkerSettings, threads: int
    ) -> None:
        self._factory = factory
        self._data = data
        self._settings = settings
        self._threads = threads
        self._serials = count(1)
        self._connection: Connection | None = None
        self._reference: Any = None
        self._standing: list[_Standing] = []

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """That of the slots, which are all of one kind."""
        if self._connection is None:
            raise RuntimeError("the pool's device is known once it is started")
        return kind_of(self._connection.slots)

    def start(self) -> None:
        """Connect (seconds, where a private cluster is started), put the data into the object store once, and order
        the actors, which join in their own time. `ray.init` has returned when this does: install signal
        handlers afterwards, since it replaces the one for SIGTERM.
        """
        import ray

        self._connection = connect(self._settings, self._threads)
        self._reference = ray.put(self._data)
        for slot in self._connection.slots:
            self._start(slot)

    def submit(self, worker: Worker, ticket: Ticket, task: Task) -> None:
        """Call the actor; one that is gone already gets nothing."""
        for standing in self._standing:
            if standing.worker == worker:
                standing.knock = standing.actor.ping.remote()  # answered before the task begins
                standing.call = standing.actor.run.remote(task)
                standing.replied = partial(TaskDone, worker, ticket)

    def poll(self, timeout: float) -> Sequence[PoolEvent]:
        """Wait for replies and deaths; those who left come first, so that nobody is given work in vain.

        An idle actor's death is told when it is given its next task, as WORKER_LOST.

        Raises:
            CannotRunError: no actor of a slot became ready, `STARTS` times in a row, and no other slot is left.
        """
        called = {standing.call: standing for standing in self._standing if standing.call is not None}
        events = [event for call in _answered(list(called), timeout) for event in self._fetch(called[call])]
        events += self._give_up_suspects()
        return sorted(events, key=lambda event: not isinstance(event, WorkerLeft))

    def close(self) -> None:
        """Kill every actor, and leave the cluster: a private one ends here, within seconds.

        Where its own processes were told to stop too, as schedulers tell a whole process group, Ray waits 8 seconds
        for what is gone already; that is left to a thread, which the end of this process cuts short.
        """
        import ray

        standing, self._standing = self._standing, []
        connection, self._connection = self._connection, None
        for one in standing:
            ray.kill(one.actor)
        self._reference = None
        if connection:
            leaving = threading.Thread(target=disconnect, args=(connection,), daemon=True)
            leaving.start()
            leaving.join(LEAVE_SECONDS)

    def _start(self, slot: Slot, attempt: int = 1) -> None:
        import ray

        actor_class = ray.remote(WorkerActor).options(
            num_cpus=slot.threads,
            num_gpus=0 if slot.device == "cpu" else 1,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        )
        actor: Any = actor_class.remote(self._factory, self._reference, slot.threads)
        standing = _Standing(slot, actor, actor.prepare.remote(), attempt)
        standing.replied = partial(self._joined, standing)
        self._standing.append(standing)

    def _joined(self, standing: _Standing, address: Address) -> WorkerJoined:
        standing.address = address
        standing.worker = name_worker(address.host, address.device, next(self._serials))
        return WorkerJoined(standing.worker)

    def _fetch(self, standing: _Standing) -> list[PoolEvent]:
        import ray
        from ray.exceptions import ActorUnavailableError, RayError

        try:
            reply = ray.get(standing.call)
        except ActorUnavailableError:
            self._suspect(standing)
            return []
        except RayError as error:
            # One that died idle did not die of the task that was the first to notice.
            died_idle = standing.knock is not None and not _has_answered(standing.knock)
            kind = FailureKind.WORKER_LOST if died_idle else _kind(error, standing.address)
            return self._bury(standing, kind, _describe(error))
        standing.call = None
        if standing.suspect_until is not None:
            message = "the connection to the worker broke, and its result with it"
            return self._bury(standing, FailureKind.WORKER_LOST, message)
        if isinstance(reply, Broken):
            return self._bury(standing, FailureKind.CRASHED, reply.message)
        return [standing.replied(reply)]

    def _suspect(self, standing: _Standing) -> None:
        """It may be dead, or merely out of reach; its result is lost either way, but not why. Ask until it is known."""
        if standing.suspect_until is None:
            standing.suspect_until = time.monotonic() + SUSPECT_SECONDS
        standing.call = standing.actor.ping.remote()

    def _give_up_suspects(self) -> list[PoolEvent]:
        now = time.monotonic()
        late = [s for s in self._standing if s.suspect_until is not None and s.suspect_until < now]
        message = f"the worker could not be reached for {SUSPECT_SECONDS:.0f} seconds"
        return [
            event for standing in late for event in self._bury(standing, FailureKind.WORKER_LOST, message)
        ]

    def _bury(self, standing: _Standing, kind: FailureKind, message: str) -> list[PoolEvent]:
        """See the end of an actor that is dead or of no use, and order another for its slot."""
        import ray

        self._standing.remove(standing)
        ray.kill(standing.actor)
        if standing.worker:
            self._start(standing.slot)
            return [WorkerLeft(standing.worker, kind, message)]
        if standing.attempt == STARTS:
            if not self._standing:
                raise CannotRunError(f"no Ray worker became ready, {STARTS} times in a row: {message}")
            LOG.warning("gave up a slot whose worker died %d times while it started: %s", STARTS, message)
            return []
        self._start(standing.slot, standing.attempt + 1)
        return []


def _has_answered(call: Any) -> bool:
    """Whether a call has ended without an error."""
    import ray
    from ray.exceptions import RayError

    ended, _ = ray.wait([call], timeout=0)
    try:
        ray.get(ended)
    except RayError:
        return False
    return bool(ended)


def _answered(calls: list[Any], timeout: float) -> list[Any]:
    """The calls that have ended; waits at most `timeout` seconds for the first of them."""
    import ray

    if not calls:
        time.sleep(timeout)  # all are idle: nothing can come, and the caller must not spin
        return []
    first, _ = ray.wait(calls, num_returns=1, timeout=timeout)
    if not first:
        return []
    ended, _ = ray.wait(calls, num_returns=len(calls), timeout=0)
    return list(ended)


def _kind(error: Exception, address: Address | None) -> FailureKind:
    """CRASHED where the actor's process died while its node lives; what else goes wrong in Ray is the machines'."""
    import ray
    from ray.exceptions import ActorDiedError, OutOfMemoryError

    if isinstance(error, OutOfMemoryError):  # Ray's monitor killed it to save the node
        return FailureKind.OUT_OF_MEMORY
    alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}  # type: ignore[no-untyped-call] # of Ray
    if isinstance(error, ActorDiedError) and address is not None and address.node in alive:
        return FailureKind.CRASHED
    return FailureKind.WORKER_LOST


def _describe(error: Exception) -> str:
    """The line of Ray's message that has the cause: the last one of an actor's death, else the first."""
    from ray.exceptions import ActorDiedError

    lines = str(error).strip().splitlines()
    cause = lines[-1 if isinstance(error, ActorDiedError) else 0].partition(" Some common causes")[0]
    return f"{type(error).__name__}: {cause.strip()[:LONGEST]}"
