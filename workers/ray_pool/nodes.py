"""The nodes of a cluster as a pool sees them, watched without ever waiting for its head, and how many workers each gets."""

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from types import MappingProxyType
from typing import Any, Literal

from evosearch.errors import CannotRunError
from evosearch.runtime import WorkerSettings

NONE: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Node:
    """A living node."""

    id: str
    """Ray's."""
    host: str
    """The machine's name."""
    gpus: int
    """What Ray may give away there, whoever has it now."""
    cores: int
    """What Ray may give away there, whoever has it now."""
    draining: bool = False
    """Whether it will go away soon, so that it gets no new work."""


@dataclass(frozen=True, slots=True)
class View:
    """A cluster at one moment."""

    nodes: tuple[Node, ...]
    """The living."""
    deaths: Mapping[str, str]
    """Why others died, by id, as far as Ray remembers."""

    def lives(self, node: str) -> bool:
        """Whether the node of this id is up, draining or not."""
        return any(one.id == node for one in self.nodes)


def read_view(table: Sequence[Mapping[str, Any]], draining: Collection[str]) -> View:
    """What `ray.nodes()` and the ids of draining nodes show."""
    living = (
        Node(
            row["NodeID"],
            row["NodeManagerHostname"],
            int(row["Resources"].get("GPU", 0)),
            int(row["Resources"].get("CPU", 0)),
            row["NodeID"] in draining,
        )
        for row in table
        if row["Alive"]
    )
    deaths = {row["NodeID"]: row.get("DeathReasonMessage", "") for row in table if not row["Alive"]}
    return View(tuple(sorted(living, key=lambda node: (node.host, node.id))), deaths)


def choose_device(nodes: Sequence[Node], settings: WorkerSettings) -> Literal["cpu", "cuda"]:
    """The kind of device that all workers use.

    Raises:
        CannotRunError: device cuda, but no node has a GPU.
    """
    gpus = sum(node.gpus for node in nodes)
    if settings.device == "cpu" or (settings.device == "auto" and not gpus):
        return "cpu"
    if not gpus:
        raise CannotRunError(
            f"workers.device is cuda, but none of the Ray cluster's {len(nodes)} nodes has a GPU; "
            "use workers.device=auto or cpu"
        )
    return "cuda"


def capacity(node: Node, settings: WorkerSettings, threads: int, device: Literal["cpu", "cuda"]) -> int:
    """Workers that a node can hold: as many as its GPUs share, and never more than its cores let run. Where their number is left to
    the GPUs, one each: more once the first of them has said what GPU it has.
    """
    by_cores = node.cores // threads
    per_gpu = settings.per_gpu if isinstance(settings.per_gpu, int) else 1
    return by_cores if device == "cpu" else min(node.gpus * per_gpu, by_cores)


def plan(
    nodes: Sequence[Node],
    rooms: Callable[[Node], int],
    most: int | None,
    closed: Collection[str] = (),
    caps: Mapping[str, int] = NONE,
    present: Mapping[str, int] = NONE,
) -> dict[str, int]:
    """How many workers each node gets, by its id; those that get none are left out.

    Where `most` is less than there is room for, workers stay where they are, and each node in turn gets one
    of the others, so that few workers are spread over many machines.

    Args:
        nodes: the living; those that drain get none.
        rooms: how many workers a node can hold; see `capacity`.
        most: `workers.count`, None for no limit.
        closed: ids of nodes that get none.
        caps: most workers of a node, by its id, where more could not be started.
        present: workers that a node has now, by its id.
    """
    room = {
        node.id: min(rooms(node), caps.get(node.id, rooms(node)))
        for node in nodes
        if not node.draining and node.id not in closed
    }
    left = sum(room.values()) if most is None else most
    wanted = {}
    for node, most_here in room.items():
        wanted[node] = min(left, most_here, present.get(node, 0))
        left -= wanted[node]
    while left and (with_room := [node for node in wanted if wanted[node] < room[node]]):
        for node in with_room[:left]:
            wanted[node] += 1
        left -= min(left, len(with_room))
    return {node: workers for node, workers in wanted.items() if workers}


def tell_changes(before: View, now: View, names: "Names", rooms: Callable[[Node], int]) -> list[str]:
    """What a person may want to know, a line each; of nodes without room for a worker nothing.

    Args:
        before: what was reported before.
        now: what is to be reported.
        names: what the nodes are called.
        rooms: how many workers a node can hold.
    """
    old = {node.id: node for node in before.nodes if rooms(node)}
    new = {node.id: node for node in now.nodes if rooms(node)}
    lines = [
        f"node {names.of(node)} left: {' '.join(now.deaths.get(key, '').split())[:200] or 'no reason was given'}"
        for key, node in old.items()
        if key not in new
    ]
    for key, node in new.items():
        if key not in old:
            lines.append(f"node {names.of(node)} joined with room for {_workers(rooms(node))}")
        if node.draining and not (key in old and old[key].draining):
            lines.append(f"node {names.of(node)} is draining and gets no new work")
    return lines


def _workers(number: int) -> str:
    return f"{number} worker{'s' if number != 1 else ''}"


def check_holds_one(
    nodes: Sequence[Node], settings: WorkerSettings, threads: int, device: Literal["cpu", "cuda"]
) -> None:
    """See that some node can hold one worker; Ray would let it wait for ever without a word (ray-project/ray#4784).

    Raises:
        CannotRunError: none can; the message has the numbers.
    """
    if any(capacity(node, settings, threads, device) for node in nodes):
        return
    need = f"{threads} core{'s' if threads > 1 else ''}" + (" and a GPU" if device == "cuda" else "")
    has = "; ".join(
        f"{node.host} has {node.cores} cores" + (f" and {node.gpus} GPUs" if device == "cuda" else "")
        for node in nodes[:5]
    )
    raise CannotRunError(
        f"a worker needs {need} on one node, and no node of the Ray cluster has them ({has or 'it has no node'}); "
        "lower training.threads, or add a node"
    )


class Names:
    """Names for nodes: the host's, and host-2, host-3 for further nodes of the same host, never one of them twice."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def of(self, node: Node) -> str:
        """The name of a node, the same each time."""
        if node.id not in self._names:
            taken = set(self._names.values())
            candidates = (node.host if serial == 1 else f"{node.host}-{serial}" for serial in count(1))
            self._names[node.id] = next(name for name in candidates if name not in taken)
        return self._names[node.id]

    def known(self, node: str) -> str:
        """The name of the node of this id, which was named before."""
        return self._names[node]

    def find(self, name: str) -> set[str]:
        """The id of the node of this name, if there was one."""
        return {node for node, own in self._names.items() if own == name}


LOOK_SECONDS = 1.0
"""A node that joins, drains or dies is noticed so soon after Ray knows."""


def look() -> View:
    """The cluster now. Where the head does not answer, this blocks until Ray ends the process, a minute later."""
    from ray._private.state import state

    # `ray.nodes()` is the same table, but starts a cluster of its own where the connection has just been closed;
    # and of draining nodes no public function says anything
    table = state.node_table()  # type: ignore[no-untyped-call] # of Ray
    return read_view(table, state.get_draining_nodes())


class ClusterMonitor:
    """Looks every second, in a thread of its own: a head that is gone must not hold up the driver's last words."""

    def __init__(self) -> None:
        self.view = look()
        self._changed = threading.Condition()
        self._looks = 0
        self._wanted = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def look_now(self, timeout: float) -> View:
        """A view taken after this call began; the last one there is where none comes within `timeout` seconds."""
        with self._changed:
            enough = self._looks + 2  # the next one may have been begun before
            deadline = time.monotonic() + timeout
            while self._looks < enough and (left := deadline - time.monotonic()) > 0:
                self._wanted.set()
                self._changed.wait(left)
        return self.view

    def close(self) -> None:
        """Stop looking; must come before Ray's connection is closed."""
        self._closed = True
        self._wanted.set()
        self._thread.join(LOOK_SECONDS / 2)

    def _watch(self) -> None:
        import ray

        while not self._closed:
            self._wanted.wait(LOOK_SECONDS)
            self._wanted.clear()
            with contextlib.suppress(
                ray.exceptions.RayError, RuntimeError
            ):  # the head is away, or the connection closed
                self.view = look()
            with self._changed:
                self._looks += 1
                self._changed.notify_all()
