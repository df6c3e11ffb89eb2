"""A driver's pool of workers in virtual time, and what becomes of each attempt."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Literal, Protocol, assert_never

from evosearch.evaluation import (
    EpochRecord,
    Failure,
    FailureKind,
    FeaturesTask,
    Losses,
    MasksTask,
    Precision,
    PredictionTask,
    Result,
    Success,
    Task,
    TrainingTask,
)
from evosearch.runtime import (
    PoolEvent,
    TaskDone,
    Ticket,
    Worker,
    WorkerJoined,
    WorkerLeft,
    WorkerProgressed,
    lost_with,
)
from evosearch.testing.evaluators import formula_features, formula_loss
from evosearch.testing.simulation.machines import Cluster
from evosearch.testing.simulation.observation import BrokenPromiseError
from evosearch.testing.simulation.scenario import Scenario, Troubles
from evosearch.testing.simulation.searches import ANEW, prediction_of, trained_on

NAP = 2.0
"""Virtual seconds that a poll may take where nothing happens: fewer turns of the loop than its own patience would."""

PULSE = 5.0
"""Between two signs of progress of a long training."""

LATE = 0.3
"""After so long the rest of a dead node's workers is missed."""

WRONG = Success(1.0, 0.1)
"""What whoever was given up still reports: better than all others, so that it would matter if it were believed."""

Fate = Literal["succeeds", "crashes", "lost", "out_of_memory", "errors", "hangs", "slow", "outages"]

BEARABLE: Mapping[Fate, tuple[FailureKind, int]] = {
    "crashes": (FailureKind.CRASHED, 2),
    "lost": (FailureKind.WORKER_LOST, 4),
    "hangs": (FailureKind.WORKER_LOST, 4),
    "out_of_memory": (FailureKind.OUT_OF_MEMORY, 1),
    "errors": (FailureKind.ERROR, 1),
    "slow": (FailureKind.TIMED_OUT, 1),
}
"""How often a trial may fail in each way without keeping, or stopping, anything for it; nodes may go for ever."""


class Fortune(Protocol):
    """What the fate of an attempt rests on, lest more goes wrong than a search has to bear."""

    @property
    def troubles(self) -> Troubles:
        """How often what goes wrong now."""
        ...

    def failures(self, ticket: Ticket, *, reading: bool) -> Mapping[FailureKind, int]:
        """How often a trial has failed since it was last opened, by kind, or its reading; nodes that went away not
        counted.
        """
        ...

    def is_plagued(self, search: str) -> bool:
        """Whether a search still has the plague before it that stops it."""
        ...

    def precision(self, search: str) -> Precision | None:
        """What the journal of a search says that `auto` means."""
        ...


@dataclass(frozen=True)
class _Attempt:
    """What a worker has to do. `since`: the state that its training was in as it began, at `begun`; `seconds`: how long
    it would take.
    """

    ticket: Ticket
    task: Task
    since: tuple[int, int]
    begun: float
    seconds: float

    def state(self, now: float) -> tuple[int, int]:
        """The state of its training, in whole epochs."""
        assert isinstance(self.task, TrainingTask)
        to_do = self.task.last_epoch - self.since[0]
        done = int(to_do * min(1.0, (now - self.begun) / self.seconds)) if self.seconds else to_do
        return trained_on(self.task, self.since, self.since[0] + done)


class VirtualPool:
    """A `WorkerPool` of one driver: `poll` moves the clock to what happens next.

    It keeps to the contract but for one thing: who was given up may still report, under its old ticket, and wrongly.
    """

    def __init__(
        self, cluster: Cluster, scenario: Scenario, fortune: Fortune, submitted: Callable[[], None]
    ) -> None:
        """`submitted`: called before each submission."""
        self._cluster = cluster
        self._scenario = scenario
        self._fortune = fortune
        self._submitted = submitted
        self._serials = count(1)
        self._news: list[PoolEvent] = []
        self._alive: dict[Worker, int] = {}
        """With the number of tasks that each has ended."""
        self._running: dict[Worker, _Attempt] = {}
        self._waiting: dict[tuple[str, str], tuple[int, int]] = {}
        """By worker and training, what waits at a rung in its memory."""
        self._excluded: set[str] = set()
        self._suspects: set[tuple[object, ...]] = set()
        """Searches and trials whose worker reported an error of which others died, too."""

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """As the machines have it."""
        return "cpu" if self._scenario.machines.memory is None else "cuda"

    @property
    def settled(self) -> bool:
        """All workers of a node join at once, and a node that has gone comes back."""
        return len(self._cluster.nodes) == self._scenario.machines.nodes

    @property
    def ordered(self) -> int:
        """Those that are there."""
        return len(self._alive)

    def start(self) -> None:
        """Workers of all nodes that are up join."""
        self._cluster.open(self)
        for node in self._cluster.nodes:
            self.add_node(node)

    def submit(self, worker: Worker, ticket: Ticket, task: Task) -> None:
        """Decide what comes of the attempt; one for a worker that is dead gets lost with it."""
        self._submitted()
        if worker in self._running:
            raise BrokenPromiseError(
                f"{worker.name} was given {ticket} and has {self._running[worker].ticket}"
            )
        if worker in self._alive:
            self._check_precision(worker, ticket, task.settings.precision)
            self._begin(worker, ticket, task)

    def poll(self, timeout: float) -> Sequence[PoolEvent]:
        """What happens at the next moment at which something does."""
        self._cluster.advance(self._cluster.now + max(timeout, NAP), lambda: bool(self._news))
        news, self._news = self._news, []
        return news

    def stop(self, worker: Worker, kind: FailureKind, message: str) -> None:
        """It leaves, another one takes its place, and it may come back with what it had all the same."""
        if worker in self._alive:
            self._give_up(worker, kind, message)

    def dismiss(self, worker: Worker) -> None:
        """It is gone; one that comes with its node again may join again."""
        if worker in self._running:
            raise BrokenPromiseError(f"{worker.name} is dismissed and has {self._running[worker].ticket}")
        self._alive.pop(worker, None)

    def exclude(self, node: str) -> None:
        """No worker joins there any more, idle ones are gone, busy ones end their task."""
        self._excluded.add(node)
        self._news = [
            one for one in self._news if not (isinstance(one, WorkerJoined) and one.worker.node == node)
        ]
        for worker in [one for one in self._alive if one.node == node and one not in self._running]:
            del self._alive[worker]

    def close(self) -> None:
        """Its driver has ended; so have its workers."""
        self._cluster.close(self)
        for worker in list(self._running):
            self._bury(worker)
        self._alive.clear()
        self._news.clear()

    def add_node(self, node: str) -> None:
        """A node has come."""
        machines = self._scenario.machines
        for index in range(machines.per_node):
            self._join(f"{node}/gpu{index}" if machines.own_devices else f"{node}/gpu")

    def lose_node(self, node: str) -> None:
        """A node has gone; that all of its workers went with it may take a moment to be noticed."""
        chance = self._chance("loss", node, self._cluster.now)
        late: list[PoolEvent] = []
        for worker in [one for one in self._alive if one.node == node]:
            attempt = self._bury(worker)
            left = WorkerLeft(worker, FailureKind.WORKER_LOST, f"node {node} is gone", node_lost=True)
            (self._news if chance.random() < 0.7 else late).append(left)
            self._maybe_return(worker, attempt)
        if late:
            self._cluster.after(LATE, lambda: self._news.extend(late))

    def _chance(self, *occasion: object) -> Random:
        return Random(f"{self._scenario.seed} {occasion}")

    def _join(self, device: str) -> None:
        node = device.rpartition("/")[0]
        if node in self._excluded:
            return
        machines = self._scenario.machines
        lacks = Cluster.place_of(node) in machines.lacking
        able: tuple[Precision, ...] = ("fp32",) if lacks else ("fp32", "bf16")
        name = f"{node}-{next(self._serials)}"
        worker = Worker(name, device, machines.memory, precisions=able, mps=machines.mps)
        self._alive[worker] = 0
        self._news.append(WorkerJoined(worker))

    def _check_precision(self, worker: Worker, ticket: Ticket, asked: str) -> None:
        """All settings of these searches say auto: what that means is journaled before anything is given out."""
        if asked != self._fortune.precision(ticket.search) or asked not in (worker.precisions or ()):
            raise BrokenPromiseError(
                f"{worker.name}, which can do {worker.precisions}, was given {ticket} in {asked}"
            )

    def _check_company(self, worker: Worker, ticket: Ticket, *, reading: bool) -> None:
        """What reported the error of which others died, too, has the device for itself the next time; readings are too short."""
        if reading:
            return
        others = {one: it.ticket for one, it in self._running.items() if one.device == worker.device}
        for one in (ticket, *others.values()):
            if others and (one.search, one.trial) in self._suspects:
                raise BrokenPromiseError(
                    f"{worker.name} gets {ticket} beside {others}, and {one} is to run alone"
                )

    def _begin(self, worker: Worker, ticket: Ticket, task: Task) -> None:
        reading = isinstance(task, PredictionTask)
        chance = self._chance(
            "reading" if reading else "attempt", ticket.search, ticket.trial, ticket.attempt
        )
        self._check_company(worker, ticket, reading=reading)
        since = self._kept(worker, task)
        left = 1 - since[0] / task.last_epoch if isinstance(task, TrainingTask) else 0.1
        seconds = self._scenario.machines.seconds * chance.uniform(0.2, 2.0) * left
        attempt = self._running[worker] = _Attempt(ticket, task, since, self._cluster.now, seconds)
        fate = self._fate(ticket, chance, reading=reading)
        if fate == "slow" or (fate != "hangs" and chance.random() < 0.2):
            self._cluster.after(seconds / 2, lambda: self._keep_going(worker, attempt))
        if fate in ("hangs", "slow"):
            return
        acts: Mapping[Fate, Callable[[], None]] = {
            "succeeds": lambda: self._end(worker, self._result(worker, attempt)),
            "crashes": lambda: self._give_up(worker, FailureKind.CRASHED, "killed by SIGSEGV"),
            "lost": lambda: self._give_up(worker, FailureKind.WORKER_LOST, "out of reach"),
            "out_of_memory": lambda: self._end(worker, _failure(FailureKind.OUT_OF_MEMORY)),
            "errors": lambda: self._end(worker, _failure(FailureKind.ERROR)),
            "outages": lambda: self._cluster.lose(worker.node),
        }

        def happen() -> None:
            if self._running.get(worker) is attempt:
                acts[fate]()

        self._cluster.after(seconds if fate == "succeeds" else seconds * chance.random(), happen)

    def _fate(self, ticket: Ticket, chance: Random, *, reading: bool) -> Fate:
        machines = self._scenario.machines
        if self._fortune.is_plagued(ticket.search):
            match self._scenario.plague:
                case "machines" if ticket.number == 1:
                    return "lost"
                case "code":
                    return "errors"
                case "processes":
                    return "crashes"
                case "none" | "machines":
                    pass
        troubles = self._fortune.troubles
        failures = self._fortune.failures(ticket, reading=reading)
        for fate, (kind, most) in BEARABLE.items():
            if chance.random() < getattr(troubles, fate) and failures.get(kind, 0) < most:
                return "succeeds" if fate == "slow" and machines.limits.hard is None else fate
        return "outages" if chance.random() < troubles.outages else "succeeds"

    # What a worker does with its disk

    def _kept(self, worker: Worker, task: Task) -> tuple[int, int]:
        """The state that an earlier attempt left."""
        if not isinstance(task, TrainingTask):
            return ANEW
        held = self._waiting.get((worker.name, _training(task)), ANEW)
        if ANEW < held <= (task.last_epoch, 2**32):
            return held
        if task.checkpoint is None or not task.checkpoint.begun:
            return ANEW
        left = self._cluster.disks.read(worker.node, _checkpoint(task)) or ANEW
        return left if left[0] <= task.last_epoch else ANEW

    def _keep(self, worker: Worker, attempt: _Attempt) -> None:
        """Of a training that does not come to its end, the newest state that was due to be kept."""
        task = attempt.task
        if not isinstance(task, TrainingTask) or task.checkpoint is None:
            return
        rule, (epochs, _) = task.checkpoint, attempt.state(self._cluster.now)
        if rule.every_minutes is None or self._cluster.now - attempt.begun < 60 * rule.every_minutes:
            epochs -= epochs % (rule.every_epochs or task.settings.epochs)
        if epochs > attempt.since[0]:
            state = trained_on(task, attempt.since, epochs)
            self._cluster.disks.write(worker.node, _checkpoint(task), state)

    def _result(self, worker: Worker, attempt: _Attempt) -> Result:
        disks, task = self._cluster.disks, attempt.task
        match task:
            case TrainingTask():
                state = trained_on(task, attempt.since, task.last_epoch)
                if task.weights:
                    disks.write(worker.node, task.weights, state)
                if task.rung and task.last_epoch < task.settings.epochs:
                    self._waiting[worker.name, _training(task)] = state
                if task.checkpoint:
                    disks.remove(worker.node, _checkpoint(task))
                return self._scenario.configuration.evaluate(attempt.ticket.search, task, state[1])
            case PredictionTask():
                read = disks.read(worker.node, task.weights)
                if read is None:
                    return Failure(FailureKind.ERROR, f"there are no weights at {task.weights}", 0.1)
                return prediction_of(read[1])
            case FeaturesTask():
                return formula_features(task, 0.1)
            case MasksTask(masks):
                return Losses(tuple(formula_loss(mask, task.seed) for mask in masks.vectors), 0.1)
        assert_never(task)

    # How attempts end

    def _keep_going(self, worker: Worker, attempt: _Attempt) -> None:
        if self._running.get(worker) is attempt:
            told: tuple[EpochRecord, ...] = ()
            if isinstance(attempt.task, TrainingTask):
                told = (EpochRecord(0.5, 0.5),) * attempt.state(self._cluster.now)[0]
            self._news.append(WorkerProgressed(worker, told))
            self._cluster.after(PULSE, lambda: self._keep_going(worker, attempt))

    def _end(self, worker: Worker, result: Result) -> None:
        ticket = self._running.pop(worker).ticket
        if not isinstance(result, Failure):
            self._suspects.discard((ticket.search, ticket.trial))
        self._alive[worker] += 1
        leaves = ""
        if worker.node in self._excluded:
            leaves = "its node is closed to new work"
        elif self._alive[worker] == self._scenario.machines.recycle_after:
            leaves = "recycled"
        self._news.append(TaskDone(worker, ticket, result, leaves))
        if leaves:
            del self._alive[worker]
            self._join(worker.device)

    def _give_up(self, worker: Worker, kind: FailureKind, message: str) -> None:
        """It leaves; where it shared its device through MPS, the others there go with it, and some of them claim its error."""
        gone, chance = (
            [WorkerLeft(worker, kind, message)],
            self._chance("mates", worker.name, self._cluster.now),
        )
        if worker.mps and worker in self._running:
            for mate in [one for one in self._alive if one != worker and one.device == worker.device]:
                claims = kind is FailureKind.CRASHED and mate in self._running and chance.random() < 0.3
                end = (kind, message) if claims else (FailureKind.WORKER_LOST, lost_with(worker, message))
                gone.append(WorkerLeft(mate, *end))
        busy = [one for one in gone if one.worker in self._running]
        for one in busy if len(busy) > 1 else ():
            if one.kind is FailureKind.CRASHED:
                self._suspect(self._running[one.worker])
        self._news += gone
        attempts = [self._bury(one.worker) for one in gone]
        for one, attempt in zip(gone, attempts, strict=True):
            self._join(one.worker.device)
            self._maybe_return(one.worker, attempt)

    def _suspect(self, attempt: _Attempt) -> None:
        if not isinstance(attempt.task, PredictionTask):
            self._suspects.add((attempt.ticket.search, attempt.ticket.trial))

    def _bury(self, worker: Worker) -> _Attempt | None:
        del self._alive[worker]
        attempt = self._running.pop(worker, None)
        if attempt:
            self._keep(worker, attempt)
        return attempt

    def _maybe_return(self, worker: Worker, attempt: _Attempt | None) -> None:
        """Whoever was given up may have been out of reach only, and does all of its task."""
        if attempt is None:
            return
        chance = self._chance("return", attempt.ticket, self._cluster.now)
        if chance.random() >= self._fortune.troubles.returns:
            return

        def report() -> None:
            self._result(worker, attempt)
            self._news.append(TaskDone(worker, attempt.ticket, WRONG))

        self._cluster.after(LATE + self._scenario.machines.seconds * chance.uniform(0.1, 3.0), report)


def _failure(kind: FailureKind) -> Failure:
    return Failure(kind, "bad luck", 0.1)


def _training(task: TrainingTask) -> str:
    """Equal for all rungs of one."""
    return f"{task.network} {task.seed}"


def _checkpoint(task: TrainingTask) -> str:
    assert task.checkpoint is not None
    return f"{task.checkpoint.place}/{task.checkpoint.key}"
