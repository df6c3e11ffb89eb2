"""A pool in virtual time: the real driver and queue on any number of GPUs, within seconds and without one of them."""

import heapq
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Literal, TypeAlias

import numpy as np

from evosearch.evaluation import FailureKind, Success, Task, TrainingTask
from evosearch.genome import Chromosome
from evosearch.runtime import (
    Fleet,
    Member,
    Plan,
    PoolEvent,
    Silence,
    Surroundings,
    TaskDone,
    Ticket,
    TimeLimits,
    Worker,
    WorkerJoined,
    WorkerLeft,
    drive,
    replay,
)
from evosearch.search import Candidate
from evosearch.storage import Born, Event, LiveCurve
from evosearch.testing import formula_fitness


@dataclass(frozen=True)
class Cluster:
    """What is simulated; times in virtual seconds.

    `nodes` of `per_node` workers each, every worker alone on its device. `noise`: deviation of the logarithm of a training's
    seconds around what the cost model says. `life`: mean of the exponential time after which a node is lost; None:
    never. `repair`: until another node, of a name of its own, stands in its place.
    """

    nodes: int
    per_node: int = 1
    noise: float = 0.1
    life: float | None = None
    repair: float = 600.0

    @property
    def slots(self) -> int:
        """Workers while no node is lost."""
        return self.nodes * self.per_node


@dataclass(frozen=True, slots=True)
class _NodeUp:
    place: int


@dataclass(frozen=True, slots=True)
class _NodeLost:
    node: str
    place: int


@dataclass(frozen=True, slots=True)
class _TaskEnds:
    worker: Worker
    ticket: Ticket
    task: Task
    seconds: float


_Occurrence: TypeAlias = _NodeUp | _NodeLost | _TaskEnds


class SimulatedPool:
    """A `WorkerPool` that never waits: `poll` moves the clock to what happens next.

    A training of the same candidate takes the same time whatever the order, so that orders can be compared: its noise comes
    from (seed, candidate, attempt). `busy`: virtual slot-seconds of tasks that ended. `wasted`: of those that were lost.
    `spent`: CPU seconds inside this pool, which are not the driver's. `begun`: when the first task was given out.

    `hurried`: while the driver does anything else than ask this pool, virtual time passes as real time does, so that workers
    wait for it as they would.
    """

    def __init__(
        self,
        cluster: Cluster,
        seconds: Callable[[Chromosome], float],
        seed: int = 0,
        *,
        hurried: bool = False,
    ) -> None:
        self.busy = 0.0
        self.wasted = 0.0
        self.lost = 0
        self.spent = 0.0
        self.begun: float | None = None
        self.trained: dict[tuple[str, int], float] = {}
        self._cluster = cluster
        self._seconds = seconds
        self._seed = seed
        self._lives = np.random.default_rng([seed, 1])
        self._hurried = hurried
        self._left = time.perf_counter()
        self._now = 0.0
        self._order = count()
        self._agenda: list[tuple[float, int, _Occurrence]] = []
        self._incarnations = count(1)
        self._workers: dict[Worker, tuple[Ticket, float] | None] = {}
        self._excluded: set[str] = set()
        self._news: list[PoolEvent] = []

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """As if there were GPUs."""
        return "cuda"

    def now(self) -> float:
        """The virtual time, for the driver's clock."""
        return self._now

    @property
    def settled(self) -> bool:
        """All workers join at once."""
        return True

    @property
    def ordered(self) -> int:
        """Those that are there."""
        return len(self._workers)

    def start(self) -> None:
        """All nodes come up at the first poll."""
        for place in range(self._cluster.nodes):
            self._plan(0.0, _NodeUp(place))

    def submit(self, worker: Worker, ticket: Ticket, task: Task) -> None:
        """The task will end after its time, unless its worker is lost before."""
        with self._timed():
            if worker not in self._workers:
                return
            if self.begun is None:
                self.begun = self._now
            seconds = self._duration(ticket, task)
            self._workers[worker] = (ticket, self._now)
            self._plan(seconds, _TaskEnds(worker, ticket, task, seconds))

    def poll(self, timeout: float) -> Sequence[PoolEvent]:
        """All that happens at the next moment at which something does, within `timeout` virtual seconds."""
        with self._timed():
            limit = self._now + timeout
            while not self._news and self._agenda and self._agenda[0][0] <= limit:
                self._now = max(
                    self._now, self._agenda[0][0]
                )  # what happened while nobody asked is told at once
                while self._agenda and self._agenda[0][0] <= self._now:
                    self._news += self._happen(heapq.heappop(self._agenda)[2])
            if not self._news:
                self._now = limit
            news, self._news = self._news, []
            return sorted(news, key=lambda event: not isinstance(event, WorkerLeft))

    def stop(self, worker: Worker, kind: FailureKind, message: str) -> None:
        """The worker has left at the next poll, and another one joined."""
        if worker in self._workers:
            self._leave(worker, kind, message)
            self._join(worker.node, worker.device)

    def dismiss(self, worker: Worker) -> None:
        """It is gone."""
        self._workers.pop(worker, None)

    def exclude(self, node: str) -> None:
        """Idle workers of the node are gone; another node may come up in its place, after a loss."""
        self._excluded.add(node)
        for worker in [one for one, task in self._workers.items() if one.node == node and task is None]:
            del self._workers[worker]

    def close(self) -> None:
        """Forget everything."""
        self._agenda.clear()
        self._workers.clear()
        self._news.clear()

    @contextmanager
    def _timed(self) -> Iterator[None]:
        begun = time.process_time()
        if self._hurried:
            self._now += time.perf_counter() - self._left
        yield
        self._left = time.perf_counter()
        self.spent += time.process_time() - begun

    def _plan(self, after: float, occurrence: _Occurrence) -> None:
        heapq.heappush(self._agenda, (self._now + after, next(self._order), occurrence))

    def _duration(self, ticket: Ticket, task: Task) -> float:
        name = zlib.crc32(ticket.search.encode())
        noise = np.random.default_rng([self._seed, name, ticket.number, ticket.attempt]).standard_normal()
        return self._seconds(_chromosome(task)) * float(np.exp(self._cluster.noise * noise))

    def _happen(self, occurrence: _Occurrence) -> list[PoolEvent]:
        match occurrence:
            case _NodeUp(place):
                self._raise_node(place)
            case _NodeLost(node, place):
                for worker in [one for one in self._workers if one.node == node]:
                    self._leave(worker, FailureKind.WORKER_LOST, f"node {node} was lost", node_lost=True)
                self._plan(self._cluster.repair, _NodeUp(place))
            case _TaskEnds(worker, ticket, _, _) if (self._workers.get(worker) or (None,))[0] == ticket:
                return self._end(occurrence)
        return []

    def _raise_node(self, place: int) -> None:
        node = f"node{place}-{next(self._incarnations)}"
        for gpu in range(self._cluster.per_node):
            self._join(node, f"{node}/cuda:{gpu}")
        if self._cluster.life is not None:
            self._plan(float(self._lives.exponential(self._cluster.life)), _NodeLost(node, place))

    def _join(self, node: str, device: str) -> None:
        if node not in self._excluded:
            worker = Worker(f"{device.replace('/cuda:', '-gpu')}-{next(self._order)}", device)
            self._workers[worker] = None
            self._news.append(WorkerJoined(worker))

    def _leave(self, worker: Worker, kind: FailureKind, message: str, *, node_lost: bool = False) -> None:
        task = self._workers.pop(worker)
        if task:
            self.lost += 1
            self.wasted += self._now - task[1]
        self._news.append(WorkerLeft(worker, kind, message, node_lost))

    def _end(self, end: _TaskEnds) -> list[PoolEvent]:
        if not isinstance(end.task, TrainingTask):
            raise TypeError("a simulated pool predicts nothing")
        self._workers[end.worker] = None
        self.busy += end.seconds
        self.trained[end.ticket.search, end.ticket.number] = end.seconds
        leaves = "its node is closed to new work" if end.worker.node in self._excluded else ""
        if leaves:
            del self._workers[end.worker]
        result = Success(formula_fitness(end.task.network, end.task.seed), end.seconds)
        return [TaskDone(end.worker, end.ticket, result, leaves)]


def _chromosome(task: Task) -> Chromosome:
    if not isinstance(task, TrainingTask) or not isinstance(task.network, Chromosome):
        raise TypeError(f"a simulated pool trains chromosomes only, found {task!r}")
    return task.network


@dataclass
class MemoryLogbook:
    """A journal that forgets all but who was born, by search and number."""

    search: str
    born: dict[tuple[str, int], Candidate]
    term: int = 1

    def append(self, facts: Sequence[Event]) -> None:
        """Keep the births."""
        for fact in facts:
            if isinstance(fact, Born):
                self.born[self.search, fact.candidate.number] = fact.candidate

    def beat(self) -> None:
        """Nothing."""

    def show(self, curves: Sequence[LiveCurve]) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Run:
    """What came of a simulated run. `trained`: seconds by search and number, of which `born` are the candidates.

    `elapsed`, `busy`, `wasted`: virtual seconds from the first dispatch to the last result, and slot-seconds of
    evaluations that ended and of attempts that were lost. `lost`: how many those were. `driver_seconds`: of the CPU.
    """

    slots: int
    elapsed: float
    busy: float
    wasted: float
    lost: int
    driver_seconds: float
    trained: Mapping[tuple[str, int], float]
    born: Mapping[tuple[str, int], Candidate]

    @property
    def busy_percent(self) -> float:
        """The share of all slots' time, from the first dispatch to the last result, that trained something of use."""
        return 100 * self.busy / (self.elapsed * self.slots)

    @property
    def driver_milliseconds(self) -> float:
        """Of this machine's CPU, per evaluation; the journal's commits are not among them."""
        return 1e3 * self.driver_seconds / len(self.trained)


def simulate(
    plans: Sequence[Plan], cluster: Cluster, seconds: Callable[[Chromosome], float], seed: int = 0
) -> Run:
    """Run the searches to their ends on a simulated cluster, with the real driver and queue."""
    pool = SimulatedPool(cluster, seconds, seed)
    born: dict[tuple[str, int], Candidate] = {}
    logbooks = {plan.name: MemoryLogbook(plan.name, born) for plan in plans}
    # a virtual second is whatever a training is measured in, so no limit is meant
    world = Surroundings(pool, logbooks, pool.now, lambda: None, Silence(), TimeLimits(stall=float("inf")))
    pool.start()
    fleet = Fleet.of(*(Member(plan, replay(plan, ())) for plan in plans))
    begun, inside = time.process_time(), pool.spent
    drive(fleet, world)
    real = time.process_time() - begun - (pool.spent - inside)
    return Run(cluster.slots, pool.now(), pool.busy, pool.wasted, pool.lost, real, pool.trained, born)
