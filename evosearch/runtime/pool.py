"""The seam between the driver and whatever runs evaluations: processes on this machine, or Ray actors.

A pool has no policy: it starts workers, hands each at most one task at a time, and reports what happened.
Budgets, order and retries are decided by the driver's state machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, assert_never

from evosearch.evaluation import EpochRecord, FailureKind, Precision, Result, Task, TrialId


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process that is ready."""

    name: str
    """Ends in a serial that its pool never uses again, for instance "node1-gpu0-2"."""
    device: str
    """What it shares with other workers, for instance "node1/cuda:0"; workers of one device compete."""
    memory: int | None = None
    """Bytes of that device; None where it is not known, and on a CPU."""
    processor: str = ""
    """The kind that it computes on, as in `ProcessorSeen`; empty where that is not known."""
    precisions: tuple[Precision, ...] | None = None
    """Those for which its device has instructions of its own; None where that is not known, as where nothing was trained."""
    mps: bool = False
    """It shares its GPU through NVIDIA's MPS: what ends one of them amidst its task ends all that are on that GPU."""

    @property
    def node(self) -> str:
        """The machine it runs on; two nodes of a cluster never have the same."""
        return node_of(self.device)


def auto_on(worker: Worker) -> Precision:
    """What `auto` means where this is the first worker that joins: by what its device can do, never by a measurement.

    >>> auto_on(Worker("a", "n/cpu")), auto_on(Worker("b", "n/cuda:0", precisions=("fp32", "tf32", "bf16")))
    ('fp32', 'bf16')
    """
    return "bf16" if "bf16" in (worker.precisions or ()) else "fp32"


def node_of(device: str) -> str:
    """The machine that a device is in."""
    return device.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Ticket:
    """One attempt at one trial of one search; the pool gives it back with the result, unread."""

    search: str
    """The search's name."""
    term: int
    """Of the driver that gave it out."""
    number: int
    """The trial's."""
    attempt: int
    """Of the trial, from 1."""
    until: int | None = None
    """As in `TrialId`."""

    @property
    def trial(self) -> TrialId:
        """The trial's name within its search."""
        return TrialId(self.number, self.until)


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker is ready for tasks."""

    worker: Worker
    """Which one."""


@dataclass(frozen=True, slots=True)
class WorkerLeft:
    """A worker is gone, and with it the task it had; with one of `mps` that had a task, all others of its GPU at the same moment."""

    worker: Worker
    """Which one."""
    kind: FailureKind
    """CRASHED where its own process died while its node lived, WORKER_LOST where node or network went
    away, OUT_OF_MEMORY where its host ran out of it, or as `WorkerPool.stop` was given.
    """
    message: str
    """Why, one line."""
    node_lost: bool = False
    """Its node is gone with all its workers, as far as the pool knows by now; else the node lives on
    without this one.
    """


def lost_with(worker: Worker, message: str) -> str:
    """Why those are lost that shared a GPU through MPS with `worker`, which left for the reason `message`; one line.

    >>> lost_with(Worker("a-gpu0-2", "a/cuda:0"), "CUDA error: an illegal address")
    'it went with a-gpu0-2, which shared its GPU: CUDA error: an illegal address'
    """
    return f"it went with {worker.name}, which shared its GPU: {message}"


@dataclass(frozen=True, slots=True)
class TaskDone:
    """A worker finished its task. An exception inside a task comes back as a `Failure`."""

    worker: Worker
    """Which one."""
    ticket: Ticket
    """As it was given with the task."""
    result: Result
    """What the task came to."""
    leaves: str = ""
    """Why the worker leaves with this task, its successor already on its way; empty where it is free
    again.
    """


@dataclass(frozen=True, slots=True)
class WorkerProgressed:
    """A worker's task made progress since this was last reported, every few seconds at most."""

    worker: Worker
    """Which one."""
    curve: tuple[EpochRecord, ...] = ()
    """The epochs of its training that have ended so far, those before a checkpoint among them; empty
    where they are not reported now, as every five seconds at most.
    """


@dataclass(frozen=True, slots=True)
class PoolChanged:
    """Something a person may want to know of the machines, in one line: a node came, went, or is draining."""

    text: str
    """What changed, for a person."""


PoolEvent: TypeAlias = WorkerJoined | WorkerLeft | TaskDone | WorkerProgressed | PoolChanged


def freed(event: PoolEvent) -> Worker | None:
    """The worker that has no task any more since `event`."""
    match event:
        case TaskDone(worker) | WorkerLeft(worker):
            return worker
        case WorkerJoined() | WorkerProgressed() | PoolChanged():
            return None
    assert_never(event)


class Notices:
    """What goes wrong in the workers of one pool though their results are as they should be: told to a person, and counted."""

    def __init__(self) -> None:
        self._count = 0
        self._taking_turns: set[str] = set()

    def turns(self, worker: Worker, why: str) -> list[PoolEvent]:
        """What there is to tell of a worker that takes turns with the others of its GPU, `why`, once of each machine; nothing of
        one that does not.

        >>> notices, worker = Notices(), Worker("a", "host/cuda:0")
        >>> notices.turns(worker, "nvidia-cuda-mps-control is not on PATH")
        [PoolChanged(text='host: the workers of a GPU take turns, without MPS: nvidia-cuda-mps-control is not on PATH')]
        >>> notices.turns(worker, "nvidia-cuda-mps-control is not on PATH")
        []
        """
        if not why or worker.node in self._taking_turns:
            return []
        self._taking_turns.add(worker.node)
        return [PoolChanged(f"{worker.node}: the workers of a GPU take turns, without MPS: {why}")]

    def of(self, worker: Worker, notice: str) -> list[PoolEvent]:
        """What there is to tell of a worker that left with such a notice; nothing of one without.

        >>> notices = Notices()
        >>> notices.of(Worker("a", "host/cuda:0"), "a step could not be captured")
        [PoolChanged(text='a: a step could not be captured; a fresh process takes its place (1 so far)')]
        >>> notices.of(Worker("a", "host/cuda:0"), "")
        []
        """
        if not notice:
            return []
        self._count += 1
        return [
            PoolChanged(f"{worker.name}: {notice}; a fresh process takes its place ({self._count} so far)")
        ]


class WorkerPool(Protocol):
    """Standing workers that evaluate one task at a time.

    Contract (tested by `evosearch.testing.pool_contract.PoolContract`): a worker is announced once by `WorkerJoined` before
    it is given anything; every task ends in exactly one `TaskDone` or in the `WorkerLeft` of its worker; a
    worker that left is replaced by one of another name while the pool is open and its node can hold one; after
    `close` nothing of the pool is left running.
    """

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """The kind of device that all workers of this pool use; known once it is started."""
        ...

    @property
    def settled(self) -> bool:
        """Whether every worker that was ordered has joined: what devices there are is known then, for now."""
        ...

    @property
    def ordered(self) -> int:
        """How many workers there are or are on their way, for now."""
        ...

    def start(self) -> None:
        """Begin to start workers; returns at once.

        Raises:
            CannotRunError: this machine or cluster cannot hold a single worker; the message has the numbers.
        """
        ...

    def submit(self, worker: Worker, ticket: Ticket, task: Task) -> None:
        """Give a free worker a task; returns at once.

        A worker that has died is no error: its `WorkerLeft` follows, or was reported already and the task is ignored.
        """
        ...

    def poll(self, timeout: float) -> Sequence[PoolEvent]:
        """What has happened since the last call; waits at most `timeout` seconds for the first event."""
        ...

    def stop(self, worker: Worker, kind: FailureKind, message: str) -> None:
        """Kill a worker that hangs or takes too long, after its stack was written to the log where it still answers.

        Its `WorkerLeft` follows with this kind, and this message followed by the place where it was; one that has
        left already is no error. Returns within seconds, whatever the worker does.
        """
        ...

    def dismiss(self, worker: Worker) -> None:
        """Let an idle worker go without a word, and start no other in its place; one that has left already is no error."""
        ...

    def exclude(self, node: str) -> None:
        """Start no worker on this node any more, and dismiss idle ones there without a word; busy ones end their task."""
        ...

    def close(self) -> None:
        """Kill every worker and what belongs to the pool, whatever they do; may be called twice."""
        ...
