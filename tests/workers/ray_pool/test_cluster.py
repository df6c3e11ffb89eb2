import json
import logging
import os
import re
import secrets
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
import ray

from evosearch.errors import CannotRunError, InputError, InterruptedSearchError
from evosearch.runtime import StopSignals, WorkerSettings
from workers.ray_pool.cluster import (
    Connection,
    PrivateCluster,
    _closed_folder,
    _init,
    _knock,
    connect,
    disconnect,
)

pytestmark = pytest.mark.ray


def _address() -> str:
    return str(ray.get_runtime_context().gcs_address)


def test_a_given_address_is_used_and_left_running(cluster: Any) -> None:
    for _ in range(2):
        connection = connect(WorkerSettings(address=cluster.address), threads=1)
        assert _address() == cluster.address
        assert connection == Connection("cpu", ours=True)
        disconnect(connection)
        assert not ray.is_initialized()


def test_ray_address_is_used_where_no_address_is_given(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    connection = connect(WorkerSettings(), threads=2)
    assert _address() == cluster.address
    disconnect(connection)


@pytest.mark.parametrize(("per_gpu", "cores"), [(2, 4), ("auto", 8)])
def test_a_private_cluster_has_the_cores_for_whatever_number_of_workers_a_gpu_turns_out_to_bear(
    monkeypatch: pytest.MonkeyPatch, per_gpu: Any, cores: int
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("workers.ray_pool.cluster.gpus_for", lambda device: 2)
    monkeypatch.setattr("workers.ray_pool.cluster.count_cores", lambda: 9)
    started: list[dict[str, int]] = []
    monkeypatch.setattr(PrivateCluster, "start", lambda **options: started.append(options))
    connection = connect(WorkerSettings(per_gpu=per_gpu), threads=1)
    assert connection.device == "cuda"
    assert started == [{"num_cpus": cores, "num_gpus": 2}]


def test_without_an_address_a_private_cluster_starts_beside_the_running_one_and_ends_with_all_its_processes(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = set(psutil.Process().children(recursive=True))
    connection = connect(WorkerSettings(count=2, device="cpu"), threads=2)
    assert _address() != cluster.address
    assert ray.cluster_resources()["CPU"] == 4
    own = set(psutil.Process().children(recursive=True)) - before
    assert own
    start = time.monotonic()
    disconnect(connection)
    _, alive = psutil.wait_procs(own, timeout=10)
    assert not alive
    assert time.monotonic() - start < 10
    connection = connect(
        WorkerSettings(address=cluster.address), threads=1
    )  # with that one's token, as before
    assert _address() == cluster.address
    disconnect(connection)


def test_where_the_folder_for_temporary_files_has_a_long_name_the_sockets_lie_in_tmp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a-long-name"))
    with _closed_folder() as folder:
        assert folder.parent == Path("/tmp")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()
    monkeypatch.setenv("RAY_TMPDIR", "/dev/shm")
    with _closed_folder() as folder:
        assert folder.parent == Path("/dev/shm")


def test_a_connection_of_the_users_own_program_is_used_and_kept(cluster: Any) -> None:
    ray.init(cluster.address, log_to_driver=False)
    connection = connect(WorkerSettings(count=2), threads=1)
    disconnect(connection)
    assert ray.is_initialized()
    ray.shutdown()


def test_an_address_where_no_cluster_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotRunError, match=r"no Ray cluster at 127\.0\.0\.1:1: "):
        connect(WorkerSettings(address="127.0.0.1:1"), threads=1)


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(CannotRunError, match="no Ray cluster at nonsense: "):
        connect(WorkerSettings(address="nonsense"), threads=1)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (
            "ray://head:10001",
            r"HOST:PORT without ://, for instance head:6379, and a node of the cluster on its machine$",
        ),
        (
            "http://head:8265",
            r"for instance head:6379, .*; `evosearch submit --address http://head:8265` sends a search",
        ),
        ("ray://me:secret@head:10001/x", r"is ray://me@head:10001/x, .* for instance head:6379"),
        ("ray://", "for instance HEAD:6379"),
        ("head:0", "is head:0, but ports are numbers from 1 to 65535"),
        ("head:99999", "is head:99999, but ports are numbers from 1 to 65535"),
    ],
)
def test_an_address_of_another_form_is_refused_with_the_form_to_use(
    address: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=told):
        connect(WorkerSettings(address=address), threads=1)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(InputError, match=told):
        connect(WorkerSettings(), threads=1)


@contextmanager
def _listening_with(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """The address of who answers so; what was accepted stays open until the end."""
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = server.accept()
                kept.append(connection)
                answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
    for connection in kept:
        connection.close()


def _as_http_1(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            _as_http_1,
            r"who listens there answers b'HTTP/1\.1 ', as no control plane does; is this the dashboard's port\?",
        ),
        (
            lambda connection: connection.recv(1000),
            "who listens there says nothing for 0 s, as no control plane does",
        ),
        (socket.socket.close, "who listens there hangs up, as no control plane does|reset"),
    ],
    ids=["the dashboard", "silence", "the end"],
)
def test_who_listens_there_and_is_no_control_plane_is_told_soon(
    answer: Callable[[socket.socket], object], told: str
) -> None:
    with _listening_with(answer) as address, pytest.raises((CannotRunError, OSError), match=told):
        _knock(address, seconds=0.3)


def test_a_signal_is_obeyed_while_an_answer_is_waited_for() -> None:
    def stop_us(connection: socket.socket) -> None:
        connection.recv(1000)  # a signal amid connecting would leave the other end to the garbage collector
        os.kill(os.getpid(), signal.SIGTERM)

    with (
        _listening_with(stop_us) as address,
        pytest.raises(InterruptedSearchError, match="stopped by SIGTERM"),
        StopSignals(),
    ):
        connect(WorkerSettings(address=address), threads=1)


@pytest.mark.parametrize("kind", ["gcs_server", "raylet"])
def test_a_private_cluster_whose_processes_die_is_told_at_once_and_leaves_nothing_behind(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = set(psutil.Process().children(recursive=True))
    connection = connect(WorkerSettings(count=1, device="cpu"), threads=1)
    assert connection.private is not None
    connection.private.check()
    own = [one for one in psutil.Process().children(recursive=True) if one not in before]
    folder = Path(ray._private.worker._global_node.get_session_dir_path()).parents[1]
    (victim,) = ray._private.worker._global_node.all_processes[kind]
    victim.process.kill()
    victim.process.wait()
    with pytest.raises(
        CannotRunError, match=rf"the private Ray cluster died: its .* \({kind}\) was killed by SIGKILL"
    ):
        connection.private.check()
    disconnect(connection)
    assert not ray.is_initialized()
    assert not folder.exists()
    _, alive = psutil.wait_procs(own, timeout=60)
    assert not alive


# A SIGTERM while Ray starts


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _starts(work: Callable[[], object]) -> Callable[..., None]:
    def init(*_: object, **__: object) -> None:
        ray._private.utils.set_sigterm_handler(lambda number, _: sys.exit(number))
        work()

    return init


@pytest.fixture
def sigterm_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


# what `__del__` raises Python can only drop, with a warning: that is what is tested
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("sigterm_as_before")
def test_a_sigterm_that_python_drops_while_ray_starts_is_heard_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Dropped:
        def __del__(self) -> None:
            _terminate()

    monkeypatch.setattr(ray, "init", _starts(Dropped))
    with pytest.raises(InterruptedSearchError, match="stopped by SIGTERM while Ray was starting"):
        _init("local")


@pytest.mark.usefixtures("sigterm_as_before")
def test_a_sigterm_in_the_midst_of_logging_waits_until_its_lock_is_released(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    program = "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nfor _ in range(9): pass\ndone.append('released')"

    def work() -> None:
        exec(compile(program, logging.__file__, "exec"), {"done": done})
        threading.Event().wait(20)

    monkeypatch.setattr(ray, "init", _starts(work))
    with pytest.raises(InterruptedSearchError):
        _init("local")
    assert done == ["released"]


# A private cluster and the other users of its machine


class Private(NamedTuple):
    """A private cluster that runs, and what `ps` and `ss` tell everybody of it."""

    token: str
    home: Path
    folder: Path
    processes: list[psutil.Process]
    listening: list[tuple[str, int]]


def _listening(processes: Iterable[psutil.Process]) -> set[tuple[str, int]]:
    connections = [one for process in processes for one in process.net_connections("tcp")]
    return {tuple(one.laddr) for one in connections if one.status == psutil.CONN_LISTEN}


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Private]:
    here, home = psutil.Process(), tmp_path_factory.mktemp("home")
    children, ports = set(here.children(recursive=True)), _listening([here])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.delenv("RAY_ADDRESS", raising=False)
        before = _environment()
        connection = connect(WorkerSettings(count=1, device="cpu"), threads=1)
        ray.get(ray.remote(lambda: None).remote())  # a worker listens too
        session = Path(ray._private.worker._global_node.get_session_dir_path())
        own = [process for process in here.children(recursive=True) if process not in children]
        listening = sorted((_listening([here]) - ports) | _listening(own))
        yield Private(os.environ["RAY_AUTH_TOKEN"], home, session.parents[1], own, listening)
        disconnect(connection)
        assert not session.parents[1].exists()
        assert _environment() == before


def test_each_private_cluster_has_a_token_of_its_own_which_is_in_no_file_and_no_command_line(
    private: Private,
) -> None:
    assert re.fullmatch("[0-9a-f]{64}", private.token)
    assert not list(private.home.rglob("*"))
    files = [file for file in private.folder.rglob("*") if file.is_file()]
    assert len(files) > 20
    assert not [file for file in files if private.token.encode() in file.read_bytes()]
    assert not [process for process in private.processes if private.token in " ".join(process.cmdline())]


def test_its_folder_is_closed_to_others(private: Private) -> None:
    assert stat.S_IMODE(private.folder.stat().st_mode) == 0o700
    assert private.folder.stat().st_uid == os.getuid()


def test_it_listens_on_the_loopback_interface_only(private: Private) -> None:
    assert len(private.listening) > 5  # control plane, node, its agents, this process, a worker
    assert {ip.removeprefix("::ffff:") for ip, _ in private.listening} == {"127.0.0.1"}


@pytest.fixture
def intrude(private: Private) -> Callable[..., dict[str, Any]]:
    if os.getuid() != 0:
        pytest.skip("only root can become another user")

    def run(*folders: Path, mode: str = "disabled", token: str = "") -> dict[str, Any]:
        told = {
            "folders": [str(folder) for folder in (private.folder, private.home, Path("/dev/shm"), *folders)],
            "processes": [os.getpid(), *(process.pid for process in private.processes)],
            "sockets": [str(file) for file in private.folder.rglob("sockets/*")],
            "address": _address(),
            "ports": [port for _, port in private.listening],
        }
        ended = subprocess.run(
            [sys.executable, str(Path(__file__).parents[1] / "intruder.py"), json.dumps(told)],
            env={"PATH": os.environ["PATH"], "RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN": token},
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        )
        return dict(json.loads(ended.stdout))

    return run


def test_another_user_neither_finds_its_token_nor_gets_in_without_it(
    private: Private, intrude: Callable[..., dict[str, Any]]
) -> None:
    decoy = secrets.token_hex(32)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        Path(folder, "auth_token").write_text(decoy)  # as Ray leaves it
        found = intrude(Path(folder), mode="token", token="f" * 64)
    assert decoy in found["tokens"]
    assert private.token not in found["tokens"]
    assert len(found["sockets"]) == 2
    assert set(found["sockets"].values()) == {"PermissionError"}
    assert found["written"] == "AuthenticationError"
    assert intrude()["written"] == "AuthenticationError"
    assert intrude(mode="token", token=private.token)["written"] == "done"


def test_without_the_token_only_its_metrics_answer(intrude: Callable[..., dict[str, Any]]) -> None:
    answers = set(intrude()["answers"].values())
    assert {"metrics", "401"} <= answers <= {"metrics", "401", "another protocol"}
