"""Machines in virtual time: nodes that come and go, and the pool of workers that a driver has on them."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from random import Random
from typing import Literal, Protocol

from evosearch.evaluation import Failure, FailureKind, Outcome, Success, TrainingTask
from evosearch.runtime import (
    PoolEvent,
    Task,
    TaskDone,
    Ticket,
    Worker,
    WorkerJoined,
    WorkerLeft,
    WorkerProgressed,
)
from evosearch.testing.simulation.observation import BrokenPromiseError
from evosearch.testing.simulation.scenario import Machines, Scenario, Troubles

NAP = 2.0
"""Virtual seconds that a poll may take where nothing happens: fewer turns of the loop than its own patience would."""

PULSE = 5.0
"""Between two signs of progress of a long training."""

LATE = 0.3
"""After so long the rest of a dead node's workers is missed."""

WRONG = Success(1.0, 0.1)
"""What whoever was given up still reports: better than all others, so that it would matter if it were believed."""


class Cluster:
    """The virtual clock, what happens when, and which nodes are up. It outlives the drivers."""

    def __init__(self, machines: Machines, chance: Random) -> None:
        self.now = 0.0
        self.machines = machines
        self._chance = chance
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._incarnations = count(1)
        self._nodes: dict[int, str] = {}
        self._pools: list[VirtualPool] = []
        for place in range(machines.nodes):
            self._raise(place)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Those that are up."""
        return tuple(self._nodes.values())

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Let something happen so many seconds from now."""
        heapq.heappush(self._agenda, (self.now + seconds, next(self._order), act))

    def advance(self, limit: float, until: Callable[[], bool]) -> None:
        """Let time pass up to `limit`, or to the first moment at which `until`; what one moment brings comes at once."""
        while not until() and self._agenda and self._agenda[0][0] <= limit:
            self.now = max(self.now, self._agenda[0][0])
            while self._agenda and self._agenda[0][0] <= self.now:
                heapq.heappop(self._agenda)[2]()
        if not until():
            self.now = max(self.now, limit)

    def open(self, pool: "VirtualPool") -> None:
        """A driver has come with a pool of its own."""
        self._pools.append(pool)

    def close(self, pool: "VirtualPool") -> None:
        """It is gone."""
        self._pools = [other for other in self._pools if other is not pool]

    def lose(self, node: str) -> None:
        """The node goes away, if it is up, and one comes in its place later."""
        place = next((place for place, name in self._nodes.items() if name == node), None)
        if place is None:
            return
        del self._nodes[place]
        for pool in self._pools:
            pool.lose_node(node)
        self.after(self.machines.repair, lambda: self._raise(place))

    def _raise(self, place: int) -> None:
        serial = "" if self.machines.same_names else f"-{next(self._incarnations)}"
        node = self._nodes[place] = f"n{place}{serial}"
        for pool in self._pools:
            pool.add_node(node)
        if self.machines.life is not None:
            self.after(self._chance.expovariate(1 / self.machines.life), lambda: self.lose(node))


class Fortune(Protocol):
    """What the fate of an attempt rests on, lest more goes wrong than a search has to bear."""

    @property
    def troubles(self) -> Troubles:
        """How often what goes wrong now."""
        ...

    def failures(self, search: str, number: int) -> Mapping[FailureKind, int]:
        """How often a candidate has failed since it was last opened, by kind; nodes that went away not counted."""
        ...

    def is_plagued(self, search: str) -> bool:
        """Whether a search still has the plague before it that stops it."""
        ...


Fate = Literal["succeeds", "crashes", "lost", "out_of_memory", "errors", "hangs", "slow", "outages"]
BEARABLE: Mapping[Fate, tuple[FailureKind, int]] = {
    "crashes": (FailureKind.CRASHED, 2),
    "lost": (FailureKind.WORKER_LOST, 4),
    "hangs": (FailureKind.WORKER_LOST, 4),
    "out_of_memory": (FailureKind.OUT_OF_MEMORY, 1),
    "errors": (FailureKind.ERROR, 1),
    "slow": (FailureKind.TIMED_OUT, 1),
}
"""How often a candidate may fail in each way without keeping, or stopping, anything for it; nodes may go for ever."""


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
        self._running: dict[Worker, Ticket] = {}
        self._excluded: set[str] = set()

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """As the machines have it."""
        return "cpu" if self._scenario.machines.memory is None else "cuda"

    @property
    def settled(self) -> bool:
        """All workers of a node join at once."""
        return True

    def start(self) -> None:
        """Workers of all nodes that are up join."""
        self._cluster.open(self)
        for node in self._cluster.nodes:
            self.add_node(node)

    def submit(self, worker: Worker, ticket: Ticket, task: Task) -> None:
        """Decide what comes of the attempt; one for a worker that is dead gets lost with it."""
        self._submitted()
        if not isinstance(task, TrainingTask):
            raise TypeError("nothing is predicted here")
        if worker in self._running:
            raise BrokenPromiseError(f"{worker.name} was given {ticket} and has {self._running[worker]}")
        if worker in self._alive:
            self._running[worker] = ticket
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
        self._alive.clear()
        self._running.clear()
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
            ticket = self._bury(worker)
            left = WorkerLeft(worker, FailureKind.WORKER_LOST, f"node {node} is gone", node_lost=True)
            (self._news if chance.random() < 0.7 else late).append(left)
            self._maybe_return(worker, ticket)
        if late:
            self._cluster.after(LATE, lambda: self._news.extend(late))

    def _chance(self, *occasion: object) -> Random:
        return Random(f"{self._scenario.seed} {occasion}")

    def _join(self, device: str) -> None:
        node = device.rpartition("/")[0]
        if node in self._excluded:
            return
        worker = Worker(f"{node}-{next(self._serials)}", device, self._scenario.machines.memory)
        self._alive[worker] = 0
        self._news.append(WorkerJoined(worker))

    def _begin(self, worker: Worker, ticket: Ticket, task: TrainingTask) -> None:
        chance = self._chance("attempt", ticket.search, ticket.number, ticket.attempt)
        seconds = self._scenario.machines.seconds * chance.uniform(0.2, 2.0)
        fate = self._fate(ticket, chance)
        if fate in ("hangs", "slow"):
            if fate == "slow":
                self._keep_going(worker, ticket)
            return
        sooner = seconds * chance.random()
        acts: dict[Fate, tuple[float, Callable[[], None]]] = {
            "succeeds": (seconds, lambda: self._end(worker, ticket, self._evaluate(ticket, task))),
            "crashes": (sooner, lambda: self._give_up(worker, FailureKind.CRASHED, "killed by SIGSEGV")),
            "lost": (sooner, lambda: self._give_up(worker, FailureKind.WORKER_LOST, "out of reach")),
            "out_of_memory": (sooner, lambda: self._end(worker, ticket, _failure(FailureKind.OUT_OF_MEMORY))),
            "errors": (sooner, lambda: self._end(worker, ticket, _failure(FailureKind.ERROR))),
            "outages": (sooner, lambda: self._cluster.lose(worker.node)),
        }
        delay, act = acts[fate]

        def happen() -> None:
            if self._has(worker, ticket):
                act()

        self._cluster.after(delay, happen)

    def _fate(self, ticket: Ticket, chance: Random) -> Fate:
        if self._fortune.is_plagued(ticket.search):
            match self._scenario.plague:
                case "machines" if ticket.number == 1:
                    return "lost"
                case "code":
                    return "errors"
                case "processes":
                    return "crashes"
        failures, troubles = self._fortune.failures(ticket.search, ticket.number), self._fortune.troubles
        for fate, (kind, most) in BEARABLE.items():
            if chance.random() < getattr(troubles, fate) and failures.get(kind, 0) < most:
                return (
                    fate if fate != "slow" or self._scenario.machines.limits.hard is not None else "succeeds"
                )
        return "outages" if chance.random() < troubles.outages else "succeeds"

    def _evaluate(self, ticket: Ticket, task: TrainingTask) -> Outcome:
        return self._scenario.configuration.evaluate(ticket.search, task)

    def _has(self, worker: Worker, ticket: Ticket) -> bool:
        return self._running.get(worker) == ticket

    def _keep_going(self, worker: Worker, ticket: Ticket) -> None:
        if self._has(worker, ticket):
            self._news.append(WorkerProgressed(worker))
            self._cluster.after(PULSE, lambda: self._keep_going(worker, ticket))

    def _end(self, worker: Worker, ticket: Ticket, result: Outcome) -> None:
        del self._running[worker]
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
        ticket = self._bury(worker)
        self._news.append(WorkerLeft(worker, kind, message))
        self._join(worker.device)
        self._maybe_return(worker, ticket)

    def _bury(self, worker: Worker) -> Ticket | None:
        del self._alive[worker]
        return self._running.pop(worker, None)

    def _maybe_return(self, worker: Worker, ticket: Ticket | None) -> None:
        """Whoever was given up may have been out of reach only."""
        if ticket is None:
            return
        chance = self._chance("return", ticket, self._cluster.now)
        if chance.random() < self._fortune.troubles.returns:
            seconds = LATE + self._scenario.machines.seconds * chance.uniform(0.1, 3.0)
            self._cluster.after(seconds, lambda: self._news.append(TaskDone(worker, ticket, WRONG)))


def _failure(kind: FailureKind) -> Failure:
    return Failure(kind, "bad luck", 0.1)
