"""What is sent, to whom, and what the end of a job means; tests/test_ray_job.py does it on a real cluster."""

import asyncio
import logging
import os
import shlex
import signal
import socket
import subprocess
import sys
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


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_client, "MONITOR_SECONDS", 0.0)


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


def test_a_password_in_an_address_of_another_kind_is_not_shown() -> None:
    with pytest.raises(InputError, match="not submitted to ray://me@head:10001; give the"):
        JobClient("ray://me:secret@head:10001")


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
    deleted: list[str] = field(default_factory=list)
    revivals: int = 0
    """How often Ray's monitor writes down anew what was deleted."""

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

    def delete_job(self, job: str) -> bool:
        self.deleted.append(job)
        return True

    def list_jobs(self) -> list[Any]:
        kinds = ["DRIVER", *(["SUBMISSION"] if len(self.deleted) <= self.revivals else [])]
        return [SimpleNamespace(type=kind, submission_id="raysubmit_1") for kind in kinds]


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
    waits: bool = True

    async def tail_job_logs(self, job: str) -> AsyncIterator[str]:
        yield "first\n"
        os.kill(os.getpid(), self.number)
        if self.waits:
            await asyncio.Event().wait()
        yield "last\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_waiting_and_says_that_the_job_runs_on(
    follow: Follow, number: signal.Signals
) -> None:
    with pytest.raises(
        InterruptedSearchError, match="raysubmit_1 runs on, `ray job stop --address http://head:8265"
    ):
        follow(Signalled(number=number))


def test_under_nohup_a_terminal_that_is_closed_ends_no_waiting(follow: Follow) -> None:
    cluster = Signalled(number=signal.SIGHUP, waits=False)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert follow(cluster) == (0, ["first", "last"])
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("bug", [RuntimeError, ValueError, OSError])
def test_a_bug_of_ours_is_not_a_cluster_that_is_out_of_reach(
    monkeypatch: pytest.MonkeyPatch, bug: type[Exception]
) -> None:
    monkeypatch.setattr(job_client, "_connected", lambda _: Cluster(pieces=["first\n"]))

    def write(line: str) -> None:
        raise bug(f"cannot take {line}")

    with pytest.raises(bug, match="cannot take first"):
        JobClient("http://head:8265").follow("raysubmit_1", write)


# A command on the head


@dataclass
class Head(Cluster):
    """Runs a job as Ray does, to its end before its log is asked for, and tells the log in pieces of `width` characters."""

    variables: dict[str, str] = field(default_factory=dict)
    width: int = 70

    def submit_job(self, **job: Any) -> str:
        self.submitted = job
        variables = {**os.environ, **self.variables, **job["runtime_env"]["env_vars"]}
        command = job["entrypoint"]
        ended = subprocess.run(
            command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=variables, check=False
        )
        self.driver_exit_code = ended.returncode
        self.status = "FAILED" if ended.returncode else "SUCCEEDED"
        log = f"Running entrypoint for job raysubmit_1: {command}\n{ended.stdout.decode()}"
        self.pieces = [log[start : start + self.width] for start in range(0, len(log), self.width)]
        return "raysubmit_1"


STAND_IN = """
import os, signal, sys
sys.stdout.buffer.write(bytes(range(256)) * 100 + os.environ["SAID"].encode())
sys.stdout.flush()
for text in ("first\\n", "second\\n\\n", "no end"):
    sys.stderr.write(text)
exec(sys.argv[1])
"""


@pytest.fixture
def head(tmp_path: Path) -> Head:
    """Its evosearch is a program that writes odd things, and then does what its argument says."""
    (tmp_path / "evosearch").mkdir()
    (tmp_path / "evosearch" / "__init__.py").touch()
    (tmp_path / "evosearch" / "__main__.py").write_text(STAND_IN)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return Head(variables={"PATH": path, "PYTHONPATH": str(tmp_path), "PYTHONUNBUFFERED": "1"})


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, bytes, list[str]]]:
    """Runs `evosearch ARGUMENTS` on that head; returns status, standard output, lines of standard error."""

    def run(head: Cluster, *arguments: str) -> tuple[int, bytes, list[str]]:
        monkeypatch.setattr(job_client, "_connected", lambda _: head)
        lines: list[str] = []
        status, output = JobClient("http://head:8265").run(arguments, lines.append, {"SAID": "größer"})
        return status, output, lines

    return run


Ask = Callable[..., tuple[int, bytes, list[str]]]


@pytest.mark.parametrize("width", [70, 20_000])
@pytest.mark.parametrize("status", [0, 5])
def test_standard_output_comes_byte_for_byte_beside_standard_error_and_the_exit_status(
    ask: Ask, head: Head, width: int, status: int
) -> None:
    head.width = width
    output = bytes(range(256)) * 100 + "größer".encode()
    assert ask(head, f"sys.exit({status})") == (status, output, ["first", "second", "", "no end"])


def test_nothing_but_the_command_is_sent_nothing_is_reserved_and_ray_forgets_the_job(
    ask: Ask, head: Head
) -> None:
    ask(head, "")
    assert head.submitted.keys() == {"entrypoint", "runtime_env"}
    assert head.submitted["runtime_env"] == {"env_vars": {"PYTHONSAFEPATH": "1", "SAID": "größer"}}
    assert head.deleted == ["raysubmit_1"]


def test_a_job_that_rays_monitor_brings_back_is_deleted_again(ask: Ask, head: Head) -> None:
    head.revivals = 1
    ask(head, "")
    assert head.deleted == ["raysubmit_1", "raysubmit_1"]


def test_a_command_that_was_killed_there_ends_as_a_shell_says(ask: Ask, head: Head) -> None:
    status, _, lines = ask(head, "os.kill(os.getpid(), signal.SIGKILL)")
    assert (status, lines[-1]) == (137, "no end")


def test_an_output_that_is_cut_is_not_taken_for_the_whole(ask: Ask, head: Head) -> None:
    with pytest.raises(CannotRunError, match=r"was killed \(exit status 137\) before its output was whole"):
        ask(head, "os.kill(os.getppid(), signal.SIGKILL)")


def test_a_head_whose_python_lacks_evosearch_is_named(ask: Ask, head: Head, tmp_path: Path) -> None:
    bare = tmp_path / "bin" / "python"
    bare.parent.mkdir()
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # without what is installed
    bare.chmod(0o755)
    head.variables |= {"PATH": f"{bare.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": ""}
    status, output, (line,) = ask(head, "status")
    assert (status, output) == (3, b"")
    assert f"on the head {socket.gethostname()} has no evosearch; install it there" in line


def test_a_head_without_python_is_told_as_one(ask: Ask, head: Head, tmp_path: Path) -> None:
    head.variables["PATH"] = str(tmp_path)
    with pytest.raises(
        CannotRunError, match=r"head at http://head:8265 cannot run the command: .*python.*not found"
    ):
        ask(head, "status")


def test_what_an_older_evosearch_does_not_know_is_told_in_its_own_words(ask: Ask, head: Head) -> None:
    del head.variables["PYTHONPATH"]  # so it is ours
    status, output, lines = ask(head, "no-such-command", "--json")
    assert (status, output) == (2, b"")
    assert lines == [
        "evosearch: No such command 'no-such-command'. (evosearch --help lists commands and options)"
    ]


@dataclass
class Stoppable(Cluster):
    """A job that ends when it is stopped; a signal reaches the one who waits for it."""

    number: signal.Signals = signal.SIGINT
    refusals: int = 1
    stopped: threading.Event = field(default_factory=threading.Event)

    def submit_job(self, **job: Any) -> str:
        self.mark = shlex.split(job["entrypoint"])[5]
        return "raysubmit_1"

    async def tail_job_logs(self, job: str) -> AsyncIterator[str]:
        yield f"{self.mark}\nfirst\n"
        os.kill(os.getpid(), self.number)
        await asyncio.to_thread(self.stopped.wait)
        yield f"stopped by SIGTERM\n{self.mark} .\n"

    def stop_job(self, job: str) -> bool:
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError("refused")
        self.status, self.driver_exit_code = "STOPPED", None
        self.stopped.set()
        return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_command_on_the_head_and_its_last_words_are_heard(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    cluster = Stoppable(number=number)
    monkeypatch.setattr(job_client, "_connected", lambda _: cluster)
    lines: list[str] = []
    with pytest.raises(InterruptedSearchError, match="job raysubmit_1 was stopped; the same command goes on"):
        JobClient("http://head:8265").run(["retrain", "tiny"], lines.append, {})
    assert lines == ["first", "stopped by SIGTERM"]
    assert cluster.deleted == ["raysubmit_1"]


@dataclass
class Unstoppable(Stoppable):
    """A job of which the user has had enough by the time the cluster hears of it."""

    async def tail_job_logs(self, job: str) -> AsyncIterator[str]:
        yield f"{self.mark}\nfirst\n"
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    def stop_job(self, job: str) -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        return True


def test_a_second_ctrl_c_waits_for_nothing_and_names_the_job_that_may_run_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job_client, "_connected", lambda _: Unstoppable())
    lines: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        JobClient("http://head:8265").run(["retrain", "tiny"], lines.append, {})
    assert lines == [
        "first",
        "job raysubmit_1 may run on; `ray job stop --address http://head:8265 raysubmit_1` stops it",
    ]


@dataclass
class Deaf(Cluster):
    """Never answers to a job."""

    over: threading.Event = field(default_factory=threading.Event)

    def submit_job(self, **job: Any) -> str:
        self.over.wait()
        return ""


def test_a_cluster_that_never_takes_the_command_is_given_up(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_client, "SILENT_SECONDS", 0.05)
    deaf = Deaf()
    with pytest.raises(CannotRunError, match="does not take the command at http://head:8265: no answer"):
        ask(deaf, "status")
    deaf.over.set()
