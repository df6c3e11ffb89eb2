"""Two hosts with addresses of their own on this machine, and the wire between them, which can be cut.

Each is a network namespace; a bridge in a third one joins them, so that a cut loses packets and tells nobody.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.chaos.arena import TITLE, until

HEAD, NODE = "10.213.7.1", "10.213.7.2"
PORT = 6379
RAY = Path(sys.executable).with_name("ray")


class NotPermittedError(Exception):
    """No network namespaces can be made here; the message says why."""


@dataclass(frozen=True)
class Hosts:
    """`head` and `node`: names of the hosts' namespaces; `wire`: of what joins them. A Ray cluster runs on both."""

    head: str
    node: str
    wire: str

    @property
    def address(self) -> str:
        return f"{HEAD}:{PORT}"

    @property
    def prefix(self) -> tuple[str, ...]:
        """Of commands on the head's host."""
        return ("ip", "netns", "exec", self.head)

    def cut(self) -> None:
        """From now on every packet is lost."""
        _ip("-n", self.wire, "link", "set", "bridge", "down")

    def mend(self) -> None:
        """Packets arrive again."""
        _ip("-n", self.wire, "link", "set", "bridge", "up")

    def workers(self) -> list[psutil.Process]:
        """Workers of searches on both hosts."""
        return [one for name in (self.head, self.node) for one in _processes(name) if _is_worker(one)]


@contextmanager
def two_hosts(gpus: tuple[int, int], env: Mapping[str, str]) -> Iterator[Hosts]:
    """A Ray cluster on two hosts with so many GPUs that do not exist; all of it is gone afterwards.

    Raises:
        NotPermittedError: this user or this machine has no network namespaces.
    """
    with ExitStack() as stack:
        names = [f"evo-{part}-{os.getpid()}" for part in ("head", "node", "wire")]
        for name in names:
            _add_namespace(name)
            stack.callback(_remove_namespace, name)
        hosts = Hosts(*names)
        _join(hosts)
        folder = stack.enter_context(TemporaryDirectory(prefix="net-", ignore_cleanup_errors=True))
        Path(folder, "ray").mkdir()
        for name in names[:2]:
            stack.callback(_end, name)
        env = {**os.environ, **env, "RAY_TMPDIR": folder}
        head = ["--head", f"--port={PORT}", "--include-dashboard=false", f"--temp-dir={folder}/ray"]
        stack.enter_context(
            _ray(hosts.head, HEAD, [*head, f"--num-gpus={gpus[0]}", f"--num-cpus={gpus[0]}"], env)
        )
        node = [f"--address={hosts.address}", f"--num-gpus={gpus[1]}", f"--num-cpus={gpus[1]}"]
        stack.enter_context(_ray(hosts.node, NODE, node, env))
        yield hosts


def _join(hosts: Hosts) -> None:
    _ip("-n", hosts.wire, "link", "add", "bridge", "type", "bridge")
    _ip("-n", hosts.wire, "link", "set", "bridge", "up")
    for name, address, end in ((hosts.head, HEAD, "to-head"), (hosts.node, NODE, "to-node")):
        peer = ("peer", "name", "eth0", "netns", name)
        _ip("-n", hosts.wire, "link", "add", end, "type", "veth", *peer)
        _ip("-n", hosts.wire, "link", "set", end, "master", "bridge", "up")
        _ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", name, "link", "set", device, "up")


@contextmanager
def _ray(namespace: str, address: str, options: list[str], env: Mapping[str, str]) -> Iterator[None]:
    # --block: with a parent that reaps it, since workers take a raylet that is dead but not reaped for a living one
    command = ["ip", "netns", "exec", namespace, str(RAY), "start", "--block", f"--node-ip-address={address}"]
    log = Path(env["RAY_TMPDIR"], namespace)
    with (
        log.open("w") as file,
        subprocess.Popen([*command, *options], env=dict(env), stdout=file, stderr=file) as started,
    ):
        try:
            until(lambda: "Ray runtime started" in log.read_text() or started.poll(), "Ray starts")
            assert started.poll() is None, log.read_text()
            yield
        finally:
            started.kill()


def _add_namespace(name: str) -> None:
    if shutil.which("ip") is None:
        raise NotPermittedError("the command ip is not installed (Debian: apt-get install iproute2)")
    added = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if added.returncode != 0:
        raise NotPermittedError(f"no network namespace can be made: {added.stderr.strip()}")


def _remove_namespace(name: str) -> None:
    subprocess.run(["ip", "netns", "delete", name], check=True)


def _end(name: str) -> None:
    """Kill all that runs in a namespace."""
    for process in _processes(name):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    until(lambda: not _processes(name), "all processes of a host are gone")


def _processes(name: str) -> list[psutil.Process]:
    found = []
    for pid in _ip("netns", "pids", name).split():
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(int(pid)))
    return found


def _is_worker(process: psutil.Process) -> bool:
    try:
        return " ".join(process.cmdline()).startswith(TITLE)
    except psutil.NoSuchProcess:
        return False


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True).stdout
