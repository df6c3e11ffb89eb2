"""What is sent, to whom, and what the end of a job means; tests/test_ray_job.py does it on a real cluster."""

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import pytest

from evosearch.errors import CannotRunError, InputError, InterruptedSearchError
from workers import job_client
from workers.job_client import ADDRESS_VARIABLES, JobClient
from workers.parcel import Parcel

TOKEN = os.environ["RAY_AUTH_TOKEN"]

# The address


@pytest.fixture(autouse=True)
def no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ADDRESS_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def serve() -> Iterator[Callable[[int], str]]:
    """Starts a job server that answers every request with one status; returns its HOST:PORT."""
    servers = []

    def start(status: int) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b'{"version": "4", "ray_version": "2.60.0"}')

            def log_message(self, *_: object) -> None:
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=servers[-1].serve_forever, args=(0.05,), daemon=True).start()
        return f"127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_address_that_is_given_beats_rays_variables_and_leaves_them_as_they_are(
    serve: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ADDRESS_VARIABLES:
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    place = serve(200)
    assert JobClient(f"http://{place}").address == f"http://{place}"
    assert [os.environ[name] for name in ADDRESS_VARIABLES] == ["http://127.0.0.1:1"] * 2


@pytest.mark.parametrize("name", ADDRESS_VARIABLES)
def test_without_one_rays_variables_are_asked(
    name: str, serve: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = serve(200)
    monkeypatch.setenv(name, place)  # without http://
    assert JobClient(None).address == f"http://{place}"


def test_a_password_in_the_address_is_not_shown(serve: Callable[[int], str]) -> None:
    place = serve(200)
    assert JobClient(f"http://somebody:secret@{place}").address == f"http://somebody@{place}"


def test_no_address_at_all_is_an_error_and_no_cluster_is_started() -> None:
    with pytest.raises(InputError, match="--address http://HEAD:8265, or set RAY_API_SERVER_ADDRESS"):
        JobClient(None)


def test_an_address_of_another_kind_names_the_one_that_is_meant() -> None:
    with pytest.raises(InputError, match="not submitted to ray://head:10001; give the dashboard's address"):
        JobClient("ray://head:10001")


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "127.0.0.1:1"])
def test_where_nobody_listens_it_says_so(address: str) -> None:
    with pytest.raises(CannotRunError, match=r"no Ray job server at http://127\.0\.0\.1:1: .*refused"):
        JobClient(address)


def hang_up(listening: socket.socket) -> None:
    listening.accept()[0].close()


def test_where_something_else_listens_it_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=hang_up, args=(listening,), daemon=True).start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(CannotRunError, match=f"no Ray job server at {address}: "):
            JobClient(address)


def test_a_server_that_is_none_of_rays_is_told_as_one(serve: Callable[[int], str]) -> None:
    with pytest.raises(CannotRunError, match=r"no Ray job server at .*404"):
        JobClient(serve(404))


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_told_with_where_to_put_the_right_one_and_is_not_shown(
    serve: Callable[[int], str], status: int
) -> None:
    with pytest.raises(CannotRunError, match=r"refuses this token .* RAY_AUTH_TOKEN_PATH") as refused:
        JobClient(serve(status))
    assert TOKEN not in str(refused.value)


def test_only_rays_own_handler_falls_silent() -> None:
    another = logging.NullHandler()
    logging.getLogger("ray").addHandler(another)
    try:
        with pytest.raises(CannotRunError):
            JobClient("http://127.0.0.1:1")
        assert another.level == logging.NOTSET
    finally:
        logging.getLogger("ray").removeHandler(another)


# A job


@dataclass
class Cluster:
    """Ray's client, with a log that is told piece by piece and details that are known in advance."""

    status: str = "SUCCEEDED"
    driver_exit_code: int | None = 0
    message: str = "Job finished."
    pieces: list[str | Exception] = field(default_factory=list)
    submitted: dict[str, Any] = field(default_factory=dict)
    received: dict[str, bytes] = field(default_factory=dict)
    before: str = ""

    def get_address(self) -> str:
        return "http://head:8265"

    def submit_job(self, **job: Any) -> str:
        self.submitted = job
        with ZipFile(job["runtime_env"]["working_dir"]) as package:
            self.received = {name: package.read(name) for name in package.namelist()}
        return "raysubmit_1"

    async def tail_job_logs(self, job: str) -> AsyncIterator[str]:
        if self.before:
            yield self.before  # Ray begins at the beginning each time
        while self.pieces:
            piece = self.pieces.pop(0)
            if isinstance(piece, Exception):
                raise piece
            self.before += piece
            yield piece

    def get_job_info(self, job: str) -> Any:
        status = Status(self.status, ended=not self.pieces)
        return SimpleNamespace(status=status, driver_exit_code=self.driver_exit_code, message=self.message)


@dataclass
class Status:
    name: str
    ended: bool

    def is_terminal(self) -> bool:
        return self.ended

    def __str__(self) -> str:
        return self.name


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Callable[[Cluster], tuple[int, list[str]]]:
    """Follows a job of that cluster; returns the status it ends with and the lines that were written."""

    def run(cluster: Cluster) -> tuple[int, list[str]]:
        monkeypatch.setattr(job_client, "_connected", lambda _: cluster)
        lines: list[str] = []
        return JobClient("http://head:8265").follow("raysubmit_1", lines.append), lines

    return run


Follow = Callable[[Cluster], tuple[int, list[str]]]


def test_a_job_is_a_quoted_command_in_a_copy_of_the_files_that_no_import_looks_into_with_nothing_reserved_and_no_id(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "my search.yaml").write_text("seed: 1")
    cluster = Cluster()
    monkeypatch.setattr(job_client, "_connected", lambda _: cluster)
    command = ["run", "my search.yaml", "--name", "a;b"]
    assert JobClient("http://head:8265").submit(command, Parcel.of(tmp_path, {}), {"A": "b"}) == "raysubmit_1"
    package = cluster.submitted["runtime_env"].pop("working_dir")
    assert cluster.submitted == {
        "entrypoint": "cd submitted && exec run 'my search.yaml' --name 'a;b'",
        "runtime_env": {"env_vars": {"PYTHONSAFEPATH": "1", "A": "b"}},
    }
    assert cluster.received == {"submitted/my search.yaml": b"seed: 1"}
    assert not Path(package).exists()


@pytest.mark.parametrize(("code", "status"), [(0, 0), (2, 2), (75, 75), (-9, 137)])
def test_a_driver_that_ended_gives_its_own_exit_status(follow: Follow, code: int, status: int) -> None:
    cluster = Cluster("FAILED" if code else "SUCCEEDED", code)
    assert follow(cluster) == (status, [])


def test_a_job_that_was_stopped_ends_with_75(follow: Follow) -> None:
    with pytest.raises(InterruptedSearchError, match="raysubmit_1 was stopped; the same command goes on"):
        follow(Cluster("STOPPED", None))


def test_a_job_that_never_began_is_told_with_rays_reason_in_one_line(follow: Follow) -> None:
    message = "The runtime environment\nfailed to be set up." + 1000 * "."
    with pytest.raises(
        CannotRunError, match="has no driver that ended: The runtime environment failed"
    ) as ended:
        follow(Cluster("FAILED", None, message))
    assert len(str(ended.value)) < 400


def test_the_log_is_written_in_whole_lines_and_once_over_a_lost_connection(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = RuntimeError("WebSocket connection closed unexpectedly")
    cluster = Cluster(pieces=["journal /a\nfir", lost, "st\nsecond\n", ConnectionError("again"), "last"])
    assert follow(cluster) == (0, ["journal /a", "first", "second", "last"])


def test_a_cluster_that_stays_out_of_reach_is_given_up(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_client, "SILENT_SECONDS", 0.0)
    failures: list[str | Exception] = [ConnectionError("refused"), ConnectionError("refused")]
    with pytest.raises(
        CannotRunError, match="may run on, but it is out of reach at http://head:8265: refused"
    ):
        follow(Cluster(pieces=failures))


@dataclass
class Silent(Cluster):
    """Takes questions and never answers, as what lies behind a tunnel that broke in silence."""

    over: threading.Event = field(default_factory=threading.Event)

    def get_job_info(self, job: str) -> Any:
        self.over.wait()


def test_a_cluster_that_takes_questions_and_never_answers_is_given_up(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_client, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(job_client, "SILENT_SECONDS", 0.0)
    silent = Silent()
    with pytest.raises(CannotRunError, match="out of reach at http://head:8265: no answer"):
        follow(silent)
    silent.over.set()


@dataclass
class Signalled(Cluster):
    """A job in whose second line a signal reaches the one who waits."""

    number: signal.Signals = signal.SIGINT

    async def tail_job_logs(self, job: str) -> AsyncIterator[str]:
        yield "first\n"
        os.kill(os.getpid(), self.number)
        await asyncio.Event().wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_waiting_and_says_that_the_job_runs_on(
    follow: Follow, number: signal.Signals
) -> None:
    with pytest.raises(
        InterruptedSearchError, match="raysubmit_1 runs on, `ray job stop --address http://head:8265"
    ):
        follow(Signalled(number=number))
