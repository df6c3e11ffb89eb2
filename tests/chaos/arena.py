"""A Ray cluster to be damaged: its nodes are sets of processes on this machine."""

import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import psutil

QUICK_HEALTH_CHECKS = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}
"""A dead node is noticed after 5 seconds instead of 15, a frozen one instead of 64."""

NODES = 3
GPUS = 2
TITLE = "ray::WorkerActor"
BUSY = "ray::WorkerActor.run"
"""What Ray calls the process of a worker of ours, and while it has a task."""

Seen = TypeVar("Seen")


def until(look: Callable[[], Seen], what: str, seconds: float = 90.0) -> Seen:
    """What `look` returns as soon as it is true.

    Raises:
        TimeoutError: it never was.
    """
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        Event().wait(0.02)
    return seen


@dataclass
class Arena:
    """`nodes`: whole nodes without the head; what was killed, frozen or drained is taken out."""

    cluster: Any
    nodes: list[Any] = field(default_factory=list)
    damaged: list[Any] = field(default_factory=list)
    prefix: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def add(self, env: dict[str, str] | None = None, cores: int = GPUS) -> Any:
        """A further node; `env`: of its processes. As many workers as `cores` share its GPUs at most."""
        before = dict(os.environ)
        os.environ.update(env or {})
        try:
            self.nodes.append(self.cluster.add_node(num_cpus=cores, num_gpus=GPUS))
        finally:
            os.environ.clear()
            os.environ.update(before)
        return self.nodes[-1]

    def kill(self, node: Any, *, at_once: bool) -> None:
        """SIGKILL for a node's raylet; `at_once`: for its workers too, as when a machine loses its power. Else they
        work on for most of a second, until they notice.
        """
        workers = self.processes(node) if at_once else []
        self.nodes.remove(node)
        for worker in workers:
            with _alive_or_not():
                worker.kill()
        self.cluster.remove_node(node, allow_graceful=False)

    def freeze(self, node: Any) -> None:
        """All of a node stands still, and its connections stay open."""
        for process in [raylet_of(node), *self.processes(node)]:
            with _alive_or_not():
                process.send_signal(signal.SIGSTOP)
        self.nodes.remove(node)
        self.damaged.append(node)

    def thaw_workers(self, node: Any) -> None:
        """All but Ray's own part of a node goes on as if nothing had been."""
        for process in self.processes(node):
            with _alive_or_not():
                process.send_signal(signal.SIGCONT)

    def thaw(self, node: Any) -> None:
        """All of it goes on; Ray's own part ends as soon as it learns that it was given up."""
        self.thaw_workers(node)
        raylet_of(node).send_signal(signal.SIGCONT)
        # by its parent, which is this process: workers take a raylet that is dead but not reaped for a living one
        node.all_processes["raylet"][0].process.wait(30)

    def drain(self, node: Any, seconds: float = 600) -> None:
        """Announce that the node will be taken away, as clouds do."""
        from ray._raylet import GcsClient
        from ray.core.generated.autoscaler_pb2 import DRAIN_NODE_REASON_PREEMPTION

        deadline = int((time.time() + seconds) * 1000)
        accepted, why = GcsClient(address=self.address).drain_node(
            node.node_id, DRAIN_NODE_REASON_PREEMPTION, "to be taken away", deadline
        )
        assert accepted, why
        self.nodes.remove(node)
        self.damaged.append(node)

    def remove(self, node: Any) -> None:
        """Take a node away in good order."""
        (self.nodes if node in self.nodes else self.damaged).remove(node)
        self.cluster.remove_node(node)

    def restore(self) -> None:
        """Make it three whole nodes again."""
        for node in list(self.damaged):
            self.remove(node)
        while len(self.nodes) > NODES:
            self.remove(self.nodes[-1])
        while len(self.nodes) < NODES:
            self.add()

    def processes(self, node: Any) -> list[psutil.Process]:
        """All processes that a node's raylet has started."""
        with _alive_or_not():
            return raylet_of(node).children(recursive=True)
        return []

    def workers(self, node: Any | None = None, title: str = TITLE) -> list[psutil.Process]:
        """Workers of searches, on one node or on all of them; `title`: how their names begin."""
        nodes = self.nodes + self.damaged if node is None else [node]
        return [one for each in nodes for one in self.processes(each) if _titled(one, title)]

    def busy_worker(self, node: Any | None = None) -> psutil.Process:
        """One that has a task, as soon as there is one."""
        return until(lambda: self.workers(node, BUSY), "a worker has a task")[0]

    def busy_node(self) -> Any:
        """One that evaluates something, as soon as there is one."""
        return until(
            lambda: next((node for node in self.nodes if self.workers(node, BUSY)), None), "a node is busy"
        )

    def see_nothing_left(self) -> None:
        """No worker that any search of this cluster ever had is alive, on whichever node it was.

        Raises:
            TimeoutError: some are, 45 seconds after their driver has ended; it takes a few on a quiet machine.
        """
        until(lambda: not self._survivors(), f"no worker is left: {self._survivors()}", 45)

    def _survivors(self) -> list[psutil.Process]:
        logs = Path(self.cluster.head_node.get_logs_dir_path())
        ever = {int(match[1]) for file in logs.iterdir() if (match := _LOG.fullmatch(file.name))}
        return [one for pid in ever & set(psutil.pids()) for one in _process(pid) if _titled(one, TITLE)]


_LOG = re.compile(r"worker-.*-(\d+)\.out")


def raylet_of(node: Any) -> psutil.Process:
    """The process that is a node."""
    return psutil.Process(node.all_processes["raylet"][0].process.pid)


@contextmanager
def open_arena() -> Iterator[Arena]:
    """A head without resources, and three nodes with `GPUS` GPUs each; all of it is gone afterwards."""
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        Path(folder, "ray").mkdir()  # short, since Ray's sockets lie there, and away from any other cluster
        os.environ["RAY_TMPDIR"] = folder
        head = {
            "num_cpus": 0,
            "num_gpus": 0,
            "include_dashboard": False,
            "_system_config": QUICK_HEALTH_CHECKS,
        }
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            made = Arena(cluster)
            made.restore()
            yield made
        finally:
            cluster.shutdown()
            del os.environ["RAY_TMPDIR"]


def _titled(process: psutil.Process, title: str) -> bool:
    with _alive_or_not():
        return process.status() != psutil.STATUS_ZOMBIE and " ".join(process.cmdline()).startswith(title)
    return False


def _process(pid: int) -> list[psutil.Process]:
    with _alive_or_not():
        return [psutil.Process(pid)]
    return []


def _alive_or_not() -> AbstractContextManager[None]:
    return suppress(psutil.NoSuchProcess)
