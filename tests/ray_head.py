"""A Ray cluster of its own on this machine, started and stopped as a user does it, with a token and a home."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

BIN = Path(sys.executable).parent
"""Where `ray`, `python` and `evosearch` of this environment lie."""

START = ("ray", "start", "--block")


class Cluster:
    """A head, and the environment of whoever talks to it: token, addresses, and the home of its jobs."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        (folder / "ray").mkdir()  # Ray 2.60 notes its newest cluster there, and fails where it is missing
        self.home.mkdir()
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        self.token = token.read_text()
        self.port, self._dashboard = free_port(), free_port()
        self.address = f"{socket.gethostbyname(socket.gethostname())}:{self.port}"
        self.url = f"http://127.0.0.1:{self._dashboard}"
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
        self.environment = kept | {
            "PATH": f"{BIN}{os.pathsep}{kept['PATH']}",
            "HOME": str(self.home),
            "RAY_TMPDIR": str(folder),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONUNBUFFERED": "1",  # what is read from a pipe comes when it is written
        }

    @contextmanager
    def node(self, *command: str) -> Iterator[None]:
        """What `ray start --block ...` starts, until the context ends; what the command leaves open is on free ports."""
        ports = ["--dashboard-agent-listen-port", "--metrics-export-port"]
        ports += ["--ray-client-server-port"] if "--head" in command else []
        own = [f"{name}={free_port()}" for name in ports]
        own += [f"--dashboard-port={self._dashboard}"] if "--head" in command else []
        node = subprocess.Popen(
            [*command, *own, "--min-worker-port=0", "--max-worker-port=0"],
            env=self.environment,
            cwd=self.home,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            said = ""
            while "Ray runtime started." not in said:
                line = node.stdout.readline()
                assert line, said  # it has ended
                said += line
            yield
        finally:
            stop(node)

    def run(
        self, *command: str, cwd: Path, check: bool = True, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """A command of somebody who knows address and token."""
        ended = subprocess.run(
            command,
            env=self.environment | {"RAY_API_SERVER_ADDRESS": self.url, **more},
            cwd=cwd,
            check=False,
            capture_output=True,
            text=True,
            timeout=240,
        )
        if check:
            assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended

    @contextmanager
    def running(self, *command: str, cwd: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
        """The same, beside this process; ended at the end."""
        process = subprocess.Popen(
            command,
            env=self.environment | {"RAY_API_SERVER_ADDRESS": self.url, **more},
            cwd=cwd,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """End a process that was started here, with all that it started."""
    family = (
        [process, *psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
    )
    if family:
        process.send_signal(signal.SIGTERM)
        psutil.wait_procs(family[1:], timeout=10)
    for one in family[1:]:
        if one.is_running():
            one.kill()
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def open_cluster() -> Iterator[Cluster]:
    """A cluster without nodes."""
    folder = Path(tempfile.mkdtemp(prefix="evo-"))  # sockets below it: their paths must stay short
    try:
        yield Cluster(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def start_cluster(*options: str) -> Iterator[Cluster]:
    """A head with these options, on the loopback interface; no other node can join it."""
    with open_cluster() as cluster:
        cluster.environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        cluster.address = f"127.0.0.1:{cluster.port}"
        place = ("--head", f"--port={cluster.port}", "--dashboard-host=127.0.0.1")
        with cluster.node(*START, *place, *options):
            yield cluster
