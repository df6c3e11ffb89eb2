"""The actors of a pool, held to what the cluster's nodes can bear at each moment."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from evosearch.errors import CannotRunError
from evosearch.evaluation import FailureKind
from evosearch.runtime import PoolChanged, PoolEvent, Worker, WorkerLeft, WorkerSettings
from workers.packing import Packing
from workers.ray_pool.handle import ActorHandle, ActorSpec, answered
from workers.ray_pool.nodes import Names, Node, View, capacity, plan, tell_changes
from workers.worker.preflight import Problem

STARTS = 3
"""So many actors of one slot may die in a row before they were ready; then the slot is given up."""

WAIT_SECONDS = 10.0
"""A worker that was not even started by then waits for what others hold."""

START_SECONDS = 60.0
"""What preflight finds in this time, or before any worker is ready, ends the search; later, it costs the node."""

REST_SECONDS = 300.0
"""So long no worker is ordered on a node whose disk is full or that does not reach the store; then it is tried again."""


class ActorSupervisor:
    """The actors of a pool. `handles`: all that were ordered and have not ended. `names`: of the nodes."""

    def __init__(
        self, spec: ActorSpec, view: View, look: Callable[[], View], packing: Packing | None = None
    ) -> None:
        """`packing`: decides how many workers share a GPU, by the first that joins on its node; None: the settings do."""
        self.handle: list[ActorHandle] = []
        self.names = Names()
        self._spec = spec
        self._view = view
        self._look = look
        self._seen: View | None = None
        self._founders = {node.id for node in view.nodes}
        self._founded = time.monotonic()
        self._proved: set[str] = set()
        self._closed: set[str] = set()
        self._refused: set[str] = set()
        self._refusal = ""
        self._caps: dict[str, int] = {}
        self._environments: dict[str, Mapping[str, str]] = {}
        self._resting: dict[str, float] = {}
        self._wanted: dict[str, int] = {}
        self._packing = packing
        self._packed: dict[str, int] = {}
        self._likely: dict[str, int] = {}
        self._packings_told: set[str] = set()
        self._stale = True
        self._waiting = ""

    def find(self, worker: Worker) -> ActorHandle | None:
        """The actor of a worker, unless it has left."""
        return next((handle for handle in self.handle if handle.worker == worker), None)

    def name(self, handle: ActorHandle) -> str:
        """What the node of an actor is called."""
        return self.names.known(handle.node)

    def node_lives(self, handle: ActorHandle) -> bool:
        """Whether the node of an actor is up, asked since the last `begin_hearing`."""
        return self._fresh().lives(handle.node)

    def begin_hearing(self) -> None:
        """What is heard from now on may have come about after the last look: a hundred deaths need one look, not each."""
        self._seen = None

    def _fresh(self) -> View:
        self._seen = self._seen or self._look()
        return self._seen

    def prove(self, handle: ActorHandle) -> None:
        """Its node has run a worker."""
        self._proved.add(handle.node)

    def pack(self, handle: ActorHandle, worker: Worker) -> list[PoolEvent]:
        """The worker of an actor is ready: where it is the first of its node, decide how many share a GPU there, all of which are
        taken for one kind. The others are ordered at the next `match`.
        """
        node = next((one for one in self._view.nodes if one.id == handle.node), None)
        if self._packing is None or node is None or not node.gpus or node.id in self._packed:
            return []
        found = self._packing.on(worker.processor, worker.memory, node.cores // node.gpus)
        self._packed[node.id] = found.number
        if node.id in self._caps:  # of first workers: a GPU on which none starts gets no others
            self._caps[node.id] *= found.number
        self._plan()
        self._stale = True
        if str(found) in self._packings_told:
            return []
        self._packings_told.add(str(found))
        return [PoolChanged(str(found))]

    def close_node(self, name: str) -> None:
        """Order nothing on a node any more, and let its idle actors go at the next `match` without a word."""
        self._closed |= self.names.find(name)
        self._stale = True

    def suits(self, handle: ActorHandle, environment: Mapping[str, str]) -> bool:
        """Whether an actor was started with the variables that its node wants, as the first one there found; if not, another
        is ordered in its place.
        """
        wanted = self._environments.setdefault(handle.node, environment)
        if handle.environment == wanted:
            return True
        self.end(handle)
        self.refill(handle.node, handle.attempt, leads=handle.leads)
        return False

    def dismiss(self, handle: ActorHandle) -> None:
        """End an actor that is of no use to this search, and order one less on its node from now on."""
        self.end(handle)
        self._caps[handle.node] = max(0, self._wanted.get(handle.node, 0) - 1)
        self._plan()
        self._stale = True

    def refuse(self, handle: ActorHandle, problem: Problem) -> list[PoolEvent]:
        """Order nothing any more, or for a while, on the node of an actor, which cannot run this search.

        Raises:
            CannotRunError: the node was there at the start, which is not long ago, and has run no worker yet.
        """
        self.end(handle)
        early = not self._proved or time.monotonic() - self._founded < START_SECONDS
        if early and handle.node in self._founders - self._proved:
            raise CannotRunError(problem.text)
        self._stale = True
        if not problem.lasting:
            self._resting[handle.node] = time.monotonic() + REST_SECONDS
            return [
                PoolChanged(f"{problem.text}; it gets no other worker for {REST_SECONDS / 60:.0f} minutes")
            ]
        self._refused.add(handle.node)
        self._refusal = problem.text
        return [PoolChanged(f"{problem.text}; it gets no work")]

    def match(self, view: View) -> list[PoolEvent]:
        """Make the actors those that the nodes in `view` shall have; waits for nothing.

        Raises:
            CannotRunError: all nodes that there are were refused.
        """
        self._wake(time.monotonic())
        self._order_differently()
        if view is self._view and not self._stale:
            self._see_hope()
            return self._tell_waiting()
        for node in view.nodes:
            self.names.of(node)
        lines = tell_changes(self._view, view, self.names, self._room)
        self._view, self._stale = view, False
        events = [*map(PoolChanged, lines), *self._leave_dead_nodes()]
        self._plan()
        here = self._here()
        for key in {**self._wanted, **here}:
            wanted, staying = self._wanted.get(key, 0), here.get(key, [])
            for handle in sorted(staying, key=_worth)[: max(0, len(staying) - wanted)]:
                events += self._dismiss(handle)
            for _ in range(wanted - len(staying)):
                self._order(key, leads=self._lacks_leader(key))
        self._see_hope()
        return events + self._tell_waiting()

    def bury(self, handle: ActorHandle, kind: FailureKind, message: str) -> list[PoolEvent]:
        """See the end of an actor that is dead or of no use, and order another in its place.

        A node that Ray has not given up by now counts as living.

        Raises:
            CannotRunError: it was the last of all slots in which none became ready, `STARTS` times in a row.
        """
        self.end(handle)
        if handle.worker:
            self.refill(handle.node, leads=handle.leads)
            node_lost = kind is FailureKind.WORKER_LOST and not self.node_lives(handle)
            return [WorkerLeft(handle.worker, kind, message, node_lost)]
        if not any(node.id == handle.node and not node.draining for node in self._fresh().nodes):
            self._stale = True  # its node went away while it started
        elif handle.attempt < STARTS:
            self.refill(handle.node, handle.attempt + 1, leads=handle.leads)
        else:
            return self._give_up(handle.node, message)
        return []

    def mates(self, handle: ActorHandle) -> list[ActorHandle]:
        """Whoever has lost its GPU where an actor ends now."""
        worker = handle.worker
        if worker is None or not worker.mps or handle.ticket is None:
            return []
        others = (one for one in self.handle if one is not handle and one.worker and one.worker.mps)
        return [one for one in others if one.worker and one.worker.device == worker.device]

    def end(self, handle: ActorHandle) -> None:
        """Kill an actor and forget it."""
        self.handle.remove(handle)
        handle.kill()

    def refill(self, node: str, attempt: int = 1, *, leads: bool) -> None:
        """Order a successor, where the node shall have one; `leads`: as the one before."""
        if len(self._here().get(node, [])) < self._wanted.get(node, 0):
            self._order(node, attempt, leads=leads)

    def _order(self, node: str, attempt: int = 1, *, leads: bool) -> None:
        environment = self._environments.get(node, self._spec.environment)
        spec = replace(self._spec, settings=self._settings(node))
        self.handle.append(spec.order(node, attempt, leads=leads, environment=environment))

    def _settings(self, node: str) -> WorkerSettings:
        """Those of the pool, with what auto has come to on a node; before a worker has joined there it is still auto."""
        per_gpu = self._packed.get(node)
        return self._spec.settings if per_gpu is None else replace(self._spec.settings, per_gpu=per_gpu)

    def _lacks_leader(self, node: str) -> bool:
        """Whether a GPU of the node has no first worker yet."""
        gpus = next((one.gpus for one in self._view.nodes if one.id == node), 0)
        return sum(one.leads for one in self.handle if one.node == node) < gpus

    def _order_differently(self) -> None:
        """A first worker of a GPU that finds no room may find it as another one: Ray fills the tightest gap first, so
        that after several deaths others may be in its place.
        """
        for handle in self.handle if self._spec.settings.per_gpu != 1 else ():
            if self._settings(handle.node).per_gpu in {1, "auto"}:  # it has no others
                continue
            if handle.leads and handle.waits_for_room(WAIT_SECONDS):
                self.end(handle)
                self._order(handle.node, handle.attempt, leads=False)
                return  # one at a time: the list has changed, and this one may be enough

    def _see_hope(self) -> None:
        if not self._refusal or self.handle or self._wanted or self._resting:
            return
        rooms = {node.id for node in self._view.nodes if self._room(node)}
        if rooms and rooms <= self._refused | self._closed:
            raise CannotRunError(self._refusal)

    def _wake(self, now: float) -> None:
        """Nodes that have rested for long enough are tried again."""
        for node in [node for node, until in self._resting.items() if until <= now]:
            del self._resting[node]
            self._stale = True

    def _room(self, node: Node) -> int:
        return capacity(node, self._settings(node.id), self._spec.threads, self._spec.device)

    def _likely_room(self, node: Node) -> int:
        """As `_room`, but where nothing has joined yet as if its GPUs came to as many workers as those that are known, so that a limit
        is shared with it.
        """
        if node.id in self._packed or not self._packed:
            return self._room(node)
        settings = replace(self._spec.settings, per_gpu=max(self._packed.values()))
        return capacity(node, settings, self._spec.threads, self._spec.device)

    def _plan(self) -> None:
        present = {node: len(handle) for node, handle in self._here().items()}
        kept = present | self._likely if self._packing else present  # what a node gets once its GPU is known
        self._likely = plan(
            self._view.nodes,
            self._likely_room,
            self._spec.settings.count,
            closed=self._closed | self._refused,
            caps={**self._caps, **{node: present.get(node, 0) for node in self._resting}},
            present=kept,
        )
        rooms = {node.id: self._room(node) for node in self._view.nodes}
        self._wanted = {node: min(workers, rooms[node]) for node, workers in self._likely.items()}

    def _here(self) -> dict[str, list[ActorHandle]]:
        """The actors that are to stay, by node."""
        here: dict[str, list[ActorHandle]] = {}
        for handle in self.handle:
            if not handle.leaves:
                here.setdefault(handle.node, []).append(handle)
        return here

    def _leave_dead_nodes(self) -> list[PoolEvent]:
        events: list[PoolEvent] = []
        for handle in [one for one in self.handle if not self._view.lives(one.node)]:
            if handle.worker and handle.call is not None and answered([handle.call], 0):
                continue  # its last reply came through, or Ray knows better why it has none
            reason = " ".join(self._view.deaths.get(handle.node, "").split())
            message = f"node {self.name(handle)} died: {reason or 'no reason was given'}"
            self.end(handle)
            if handle.worker:
                events.append(WorkerLeft(handle.worker, FailureKind.WORKER_LOST, message, node_lost=True))
        return events

    def _dismiss(self, handle: ActorHandle) -> list[PoolEvent]:
        """Let an actor go that its node shall not have any more; one with a task ends it first."""
        draining = any(node.id == handle.node and node.draining for node in self._view.nodes)
        reason = "its node is draining" if draining else "its node is closed to new work"
        if handle.worker and not handle.idle:
            handle.leaves = reason
            return []
        self.end(handle)
        if handle.worker is None or handle.node in self._closed:  # who closed it knows
            return []
        return [WorkerLeft(handle.worker, FailureKind.WORKER_LOST, reason)]

    def _give_up(self, node: str, message: str) -> list[PoolEvent]:
        """One worker less on a node; where it was the last anywhere, the search cannot run."""
        self._caps[node] = max(0, self._wanted.get(node, 0) - 1)
        self._plan()
        self._stale = True
        if not self._wanted and not self.handle and not self._resting:
            raise CannotRunError(f"no Ray worker became ready, {STARTS} times in a row: {message}")
        name = self.names.known(node)
        return [
            PoolChanged(f"{name} gave up a slot whose worker died {STARTS} times while it started: {message}")
        ]

    def _tell_waiting(self) -> list[PoolEvent]:
        """Say once why nothing happens."""
        text = ""
        unmet = [one.born for one in self.handle if not one.met]
        closed = any(node.id in self._closed and self._room(node) for node in self._view.nodes)
        if not self.handle:
            text = "waiting for nodes: none of the cluster has room for a worker now"
            text += (
                ", but for those that were closed; start the search again to use them again" if closed else ""
            )
        elif unmet and len(unmet) == len(self.handle) and time.monotonic() - unmet[0] > WAIT_SECONDS:
            text = (
                f"waiting for room: Ray has started none of {len(unmet)} workers for {WAIT_SECONDS:.0f} seconds; "
                "others hold the cluster's cores or GPUs"
            )
        told, self._waiting = self._waiting, text
        return [PoolChanged(text)] if text and text != told else []


def _worth(handle: ActorHandle) -> int:
    """Who goes first: whoever is not ready, then the idle, then those with a task."""
    if handle.worker is None:
        return 0
    return 1 if handle.idle else 2
