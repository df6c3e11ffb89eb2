"""Workers as long-lived Ray actors on the nodes that a cluster has now, be it this machine alone.

Ray's own restarts and retries stay off: with them a lost reply runs a task twice, unseen. One
task per actor is in flight, and each is fetched alone, since `ray.get` on a list waits for a hung actor
although another died (ray-project/ray#47204).
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Literal, assert_never

from evosearch.data import SearchData
from evosearch.evaluation import FailureKind, Task
from evosearch.runtime import (
    EvaluatorFactory,
    Notices,
    PoolEvent,
    TaskDone,
    Ticket,
    Worker,
    WorkerJoined,
    WorkerProgressed,
    WorkerSettings,
    freed,
    lost_with,
)
from workers.allocator import allocator_environment, c_library
from workers.packing import Packing
from workers.ray_pool.actor import Beat
from workers.ray_pool.cluster import Connection, connect, disconnect
from workers.ray_pool.environment import of_job
from workers.ray_pool.failures import describe_ray, judge
from workers.ray_pool.handle import ActorHandle, ActorSpec, answered
from workers.ray_pool.nodes import ClusterMonitor
from workers.ray_pool.supervisor import ActorSupervisor
from workers.slots import name_worker
from workers.worker.preflight import Introduction, Reach, Standard, check
from workers.worker.service import Broken, Done, Ready

LOG = logging.getLogger(__name__)

LEAVE_SECONDS = 2.2
"""Ray ends a private cluster in 1.4 to 1.9 seconds; a process that is told to stop has 3 in all."""

SUSPECT_SECONDS = 30.0
"""How long an actor that cannot be reached may take to turn out dead. A crash is told within a second, a dead node
after about 15; whoever says nothing for longer is killed."""

ROOM_SECONDS = 60.0
"""An actor that was not started by then is not waited for."""

PAUSE_SECONDS = 1.0
"""Where nobody listened for longer, answers may lie there."""

PULSE_SECONDS = 2.0
"""How often a worker is asked how it gets on."""

PULSES_PER_SECOND = 50
"""Most questions to all workers together: of a thousand each is asked every 20 seconds."""

TEND_SECONDS = 0.25
"""How often the pool looks after its actors while it waits for replies."""


class RayPool:
    """A `WorkerPool` of Ray actors; see `connect` for the cluster they run on.

    As many as the nodes hold at each moment (`workers.ray_pool.nodes.plan`), each pinned to its node: a node that joins gets
    workers, one that drains or is excluded loses them as they become idle.
    """

    def __init__(
        self,
        factory: EvaluatorFactory,
        data: SearchData,
        settings: WorkerSettings,
        threads: int,
        reach: Reach | None = None,
        packing: Packing | None = None,
    ) -> None:
        self._factory = factory
        self._data = data
        self._settings = settings
        self._threads = threads
        self._reach = reach
        self._packing = packing
        self._standard = Standard.of_driver(data)
        self._serials = count(1)
        self._connection: Connection | None = None
        self._monitor: ClusterMonitor | None = None
        self._supervisor: ActorSupervisor | None = None
        self._news: list[PoolEvent] = []
        self._notices = Notices()
        self._heard = 0.0

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """That of all workers, decided by the nodes that were there at the start."""
        if self._connection is None:
            raise RuntimeError("the pool's device is known once it is started")
        return self._connection.device

    @property
    def settled(self) -> bool:
        """Whether no actor is still on its way; one that Ray has not even started waits for what others hold."""
        return self._supervisor is not None and all(
            one.worker or one.waits_for_room(ROOM_SECONDS) for one in self._supervisor.handle
        )

    @property
    def ordered(self) -> int:
        """The actors, but for those that wait for what others hold."""
        every = self._supervisor.handle if self._supervisor else ()
        return sum(1 for one in every if one.worker or not one.waits_for_room(ROOM_SECONDS))

    def start(self) -> None:
        """Connect (seconds, where a private cluster is started), put the data into the object store once, and order
        the actors, which join in their own time. `ray.init` has returned when this does: install signal
        handlers afterwards, since it replaces the one for SIGTERM.
        """
        import ray

        self._connection = connect(self._settings, self._threads)
        # the workers of a private cluster have theirs from its node
        wanted = {} if self._connection.private else allocator_environment(of_job(), c_library())
        spec = ActorSpec(
            self._factory,
            ray.put(self._data),
            self._settings,
            self._threads,
            self.device,
            self._reach,
            wanted,
        )
        self._monitor = ClusterMonitor()
        look, packing = partial(self._monitor.look_now, 1.0), self._packing if self.device == "cuda" else None
        self._supervisor = ActorSupervisor(spec, self._monitor.view, look, packing)
        self._news += self._supervisor.match(self._monitor.view)

    def submit(self, worker: Worker, ticket: Ticket, task: Task) -> None:
        """Call the actor; one that is gone already gets nothing."""
        if handle := self._find(worker):
            handle.begin(ticket, task)

    def poll(self, timeout: float) -> Sequence[PoolEvent]:
        """Wait for replies and deaths, and tell them as they came about.

        An idle actor's death is told within seconds, or when it is given its next task, as WORKER_LOST.

        Raises:
            CannotRunError: no node can run a worker: none became ready, `STARTS` times in a row in every slot, or
                preflight refused the nodes; or the private cluster died.
        """
        deadline = time.monotonic() + timeout
        while True:
            events, self._news = self._news, []
            if time.monotonic() - self._heard > PAUSE_SECONDS:
                events += self._hear(0.0)  # what was answered while the driver stood still is no silence
            events += self._tend()
            left = max(0.0, deadline - time.monotonic())
            events += self._hear(0.0 if events else min(left, TEND_SECONDS))
            if events or time.monotonic() >= deadline:
                return _worth_telling(events)

    def stop(self, worker: Worker, kind: FailureKind, message: str) -> None:
        """Ask the actor where it stands, for two seconds at most, and kill it."""
        handle = self._find(worker)
        if handle is None:
            return
        position = handle.find_position()
        if position:
            LOG.warning("%s is stopped (%s); its stack:\n%s", worker.name, message, position.stack)
        where = f"it was at {position.place}" if position else "it did not answer when asked where it was"
        self._news += self._bury(handle, kind, f"{message}; {where}")

    def dismiss(self, worker: Worker) -> None:
        """Kill the actor, and order one less on its node."""
        if handle := self._find(worker):
            self._running.dismiss(handle)

    def exclude(self, node: str) -> None:
        """Dismiss the idle actors of the node at the next `poll`, and order none there any more."""
        if self._supervisor:
            self._supervisor.close_node(node)

    def close(self) -> None:
        """Kill every actor, and leave the cluster: a private one ends here, within seconds.

        Where its own processes were told to stop too, as schedulers tell a whole process group, Ray waits 8 seconds
        for what is gone already; that is left to a thread, which the end of this process cuts short.
        """
        supervisor, self._supervisor = self._supervisor, None
        monitor, self._monitor = self._monitor, None
        connection, self._connection = self._connection, None
        self._news.clear()
        for handle in supervisor.handle if supervisor else ():
            handle.kill()
        del supervisor  # and with it what Ray holds of it
        if connection:
            leaving = threading.Thread(target=_leave, args=(monitor, connection), daemon=True)
            leaving.start()
            leaving.join(LEAVE_SECONDS)

    @property
    def _running(self) -> ActorSupervisor:
        if self._supervisor is None:
            raise RuntimeError("the pool was not started, or is closed")
        return self._supervisor

    def _find(self, worker: Worker) -> ActorHandle | None:
        return self._supervisor.find(worker) if self._supervisor else None

    def _tend(self) -> list[PoolEvent]:
        """Look after the cluster, nodes and actors; waits for nothing."""
        if self._connection and self._connection.private:
            self._connection.private.check()
        supervisor = self._running
        events = supervisor.match(self._monitor.view) if self._monitor else []
        period = max(PULSE_SECONDS, len(supervisor.handle) / PULSES_PER_SECOND)
        for handle in supervisor.handle:
            handle.ask_pulse(min(period, self._settings.stall_seconds / 4))
        late = [(one, message) for one in supervisor.handle if (message := one.late(SUSPECT_SECONDS))]
        for handle, message in late:
            if handle in supervisor.handle:  # else it went with another one
                events += self._bury(handle, FailureKind.WORKER_LOST, message)
        return events

    def _bury(self, handle: ActorHandle, kind: FailureKind, message: str) -> list[PoolEvent]:
        """See the end of an actor that is dead or of no use, and of those that lost their GPU with it. What one of these has
        said by then holds: that its task has ended, or that its own process failed.
        """
        supervisor = self._running
        mates = supervisor.mates(handle)
        events = supervisor.bury(handle, kind, message)
        reason = lost_with(handle.worker, message) if handle.worker else message
        for mate in mates:
            if mate in supervisor.handle and mate.call is not None and answered([mate.call], 0):
                events += self._fetch(mate)
            if mate in supervisor.handle:
                events += supervisor.bury(mate, FailureKind.WORKER_LOST, reason)
        return events

    def _hear(self, timeout: float) -> list[PoolEvent]:
        """Take in what has been answered; waits at most `timeout` seconds for the first answer."""
        self._running.begin_hearing()
        self._heard = time.monotonic()
        calls = {one.call: one for one in self._running.handle if one.call is not None}
        pulses = {one.pulse: one for one in self._running.handle if one.pulse is not None}
        knocks = {one.knock: one for one in self._running.handle if one.waits_behind_knock}
        ended = set(answered([*calls, *pulses, *knocks], timeout))
        for knock in ended & knocks.keys():
            if knocks[knock].call not in ended:
                knocks[knock].knocked(SUSPECT_SECONDS)
        events = [event for call in ended & pulses.keys() for event in self._feel(pulses[call])]
        for call in ended & calls.keys():
            handle = calls[call]
            if (
                handle.call == call and handle in self._running.handle
            ):  # else it was heard, or went, with another one
                events += self._fetch(handle)
        return events

    def _feel(self, handle: ActorHandle) -> list[PoolEvent]:
        import ray
        from ray.exceptions import ActorDiedError, RayError

        pulse, handle.pulse = handle.pulse, None
        try:
            beat: Beat = ray.get(pulse)
        except RayError as error:  # of one that is busy, the task tells
            if handle.idle and isinstance(error, ActorDiedError):
                return self._running.bury(handle, FailureKind.WORKER_LOST, describe_ray(error))
            return []
        moved, handle.beats = beat.beats != handle.beats, beat.beats
        if not (moved and handle.ticket and handle.worker):
            return []
        return [WorkerProgressed(handle.worker, beat.curve)]

    def _fetch(self, handle: ActorHandle) -> list[PoolEvent]:
        import ray
        from ray.exceptions import ActorUnavailableError, RayError

        try:
            reply: Introduction | Ready | Done | Broken = ray.get(handle.call)
        except ActorUnavailableError:
            handle.suspect(SUSPECT_SECONDS)
            return []
        except RayError as error:
            # One that died idle did not die of the task that was the first to notice.
            lost = handle.died_idle()
            kind = (
                FailureKind.WORKER_LOST if lost else judge(error, partial(self._running.node_lives, handle))
            )
            return self._bury(handle, kind, describe_ray(error))
        handle.call = None
        if handle.suspect_until is not None:
            message = "the connection to the worker broke, and its result with it"
            return self._bury(handle, FailureKind.WORKER_LOST, message)
        match reply:
            case Introduction():
                return self._meet(handle, reply)
            case Ready():
                return self._join(handle, reply)
            case Done():
                return self._finish(handle, reply)
            case Broken(message, kind):
                return self._bury(handle, kind, message)
        assert_never(reply)

    def _meet(self, handle: ActorHandle, introduction: Introduction) -> list[PoolEvent]:
        """Let a worker prepare, unless its node cannot run this search."""
        if problem := check(introduction, self._standard, self._running.name(handle)):
            return self._running.refuse(handle, problem)
        self._standard = self._standard.with_torch_of(introduction)
        if not self._running.suits(handle, introduction.environment):
            return []
        handle.device = introduction.device
        handle.prepare()
        return []

    def _join(self, handle: ActorHandle, ready: Ready) -> list[PoolEvent]:
        named = name_worker(self._running.name(handle), handle.device, next(self._serials))
        handle.worker = replace(
            named, memory=ready.memory, processor=ready.processor, precisions=ready.precisions, mps=ready.mps
        )
        self._running.prove(handle)
        turns_told = self._notices.turns(handle.worker, ready.turns)
        return [WorkerJoined(handle.worker), *turns_told, *self._running.pack(handle, handle.worker)]

    def _finish(self, handle: ActorHandle, done: Done) -> list[PoolEvent]:
        worker, ticket, handle.ticket = handle.worker, handle.ticket, None
        if worker is None or ticket is None:  # nobody asked
            return []
        leaves = handle.leaves or done.leaves
        if leaves:
            self._running.end(handle)
            self._running.refill(handle.node, leads=handle.leads)
        return [TaskDone(worker, ticket, done.result, leaves), *self._notices.of(worker, done.notice)]


def _leave(monitor: ClusterMonitor | None, connection: Connection) -> None:
    if monitor:
        monitor.close()
    disconnect(connection)


def _worth_telling(events: Sequence[PoolEvent]) -> list[PoolEvent]:
    """As they came about, without a word of the progress of a task that has ended since."""
    ended = {freed(event) for event in events}
    return [event for event in events if not (isinstance(event, WorkerProgressed) and event.worker in ended)]
