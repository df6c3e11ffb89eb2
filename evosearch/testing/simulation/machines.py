"""Machines in virtual time: a clock, nodes that come and go, and their disks."""

import heapq
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Protocol

from evosearch.testing.simulation.scenario import Machines


class HasNodes(Protocol):
    """Who is told of nodes: a driver's pool."""

    def add_node(self, node: str) -> None:
        """A node has come."""
        ...

    def lose_node(self, node: str) -> None:
        """A node has gone."""
        ...


class Cluster:
    """The virtual clock, what happens when, and which nodes are up. It outlives the drivers."""

    def __init__(self, machines: Machines, chance: Random) -> None:
        self.now = 0.0
        self.disks = Disks(shared=machines.shared_disk)
        self._machines = machines
        self._chance = chance
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._incarnations = count(1)
        self._nodes: dict[int, str] = {}
        self._pools: list[HasNodes] = []
        for place in range(machines.nodes):
            self._raise(place)

    @staticmethod
    def place_of(node: str) -> int:
        """Which of the machines a node is, from 0, whatever it is called now."""
        return int(node.removeprefix("n").partition("-")[0])

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

    def open(self, pool: HasNodes) -> None:
        """A driver has come with a pool of its own."""
        self._pools.append(pool)

    def close(self, pool: HasNodes) -> None:
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
        self.disks.lose(node)
        self.after(self._machines.repair, lambda: self._raise(place))

    def _raise(self, place: int) -> None:
        serial = "" if self._machines.same_names else f"-{next(self._incarnations)}"
        node = self._nodes[place] = f"n{place}{serial}"
        for pool in self._pools:
            pool.add_node(node)
        if self._machines.life is not None:
            self.after(self._chance.expovariate(1 / self._machines.life), lambda: self.lose(node))


class Disks:
    """What trainings leave: states, each an epoch and a chain, under paths, on each node or on a disk that all share."""

    def __init__(self, *, shared: bool) -> None:
        self._shared = shared
        self._files: dict[tuple[str, str], tuple[int, int]] = {}

    def read(self, node: str, path: str) -> tuple[int, int] | None:
        """What lies there, as seen from `node`; None where nothing does."""
        return self._files.get(self._at(node, path))

    def write(self, node: str, path: str, state: tuple[int, int]) -> None:
        """Put it there."""
        self._files[self._at(node, path)] = state

    def remove(self, node: str, path: str) -> None:
        """Nothing lies there any more."""
        self._files.pop(self._at(node, path), None)

    def clear(self, folder: str) -> None:
        """Remove what lies in a folder, as far as that is shared."""
        if self._shared:
            self._files = {
                at: state for at, state in self._files.items() if not at[1].startswith(f"{folder}/")
            }

    def lose(self, node: str) -> None:
        """What the node alone had is gone."""
        self._files = {at: state for at, state in self._files.items() if at[0] != node}

    def _at(self, node: str, path: str) -> tuple[str, str]:
        return ("", path) if self._shared else (node, path)
