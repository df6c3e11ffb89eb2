"""Commands that run on a cluster's head, which is a double here; tests/test_ray_job.py asks a real one."""

import json
import sys
from dataclasses import dataclass, field
from io import BytesIO, TextIOWrapper

import pytest

from evosearch.cli import main
from evosearch.cli.remote import is_job_server, words_of
from tests.cli.test_hostile_words import EVIL, harmless
from workers import job_client

URL = "http://head:8265"


@dataclass
class Head:
    """Runs every command, which ends with `status`, having written `output` and `line`."""

    status: int = 0
    output: bytes = b""
    line: str = ""
    asked: list[str | None] = field(default_factory=list)
    commands: list[list[str]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    address: str = URL

    def __call__(self, address):
        self.asked.append(address)
        return self

    def run(self, arguments, write, variables):
        self.commands.append(list(arguments))
        self.variables = variables
        if self.line:
            write(self.line)
        return self.status, self.output


@pytest.fixture
def head(monkeypatch):
    made = Head()
    monkeypatch.setattr(job_client, "JobClient", made)
    return made


@pytest.mark.parametrize(
    ("given", "there"),
    [
        (("status",), ["status"]),
        (("status", "tiny", "--json"), ["status", "--json", "--", "tiny"]),
        (("results", "tiny"), ["results", "--format", "table", "--", "tiny"]),
        (
            ("results", "tiny", "--format", "csv", "--top", "3", "--storage", "/a b/c.db"),
            ["results", "--format", "csv", "--top", "3", "--storage", "/a b/c.db", "--", "tiny"],
        ),
        (
            ("retrain", "tiny", "--epochs", "9", "--seeds", "1..3", "--json", "--takeover"),
            ["retrain", "--epochs", "9", "--seeds", "1..3", "--json", "--takeover", "--", "tiny"],
        ),
        (
            ("resume", "tiny", "--generations", "9", "--executor", "local"),
            ["resume", "--generations", "9", "--executor", "local", "--", "tiny"],
        ),
    ],
    ids=" ".join,
)
def test_a_command_is_run_on_the_head_with_all_its_options(command, head, given, there):
    assert command(*given, "--address", URL).status == 0
    assert head.asked == [URL]
    assert head.commands == [there]
    assert head.variables == {"EVOSEARCH_JOB_SERVER": URL}


@pytest.mark.parametrize("status", [0, 2, 5])
def test_what_it_prints_is_printed_and_its_exit_status_is_ours(command, head, status):
    head.status, head.output, head.line = status, '{"name": "größer"}\n\n  no end'.encode(), "epoch 1"
    ended = command("retrain", "tiny", "--json", "--address", URL)
    assert (ended.status, ended.out.encode(), ended.err) == (status, head.output, "epoch 1\n")


@pytest.mark.parametrize(
    "arguments", [("status", "tiny", "--json"), ("results", "tiny", "--format", "json")], ids=" ".join
)
def test_a_document_of_the_head_is_json_in_whatever_encoding_this_output_has(head, monkeypatch, arguments):
    head.output = '{"name": "größer"}\n'.encode()
    written = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(written, "ascii", errors="backslashreplace"))
    monkeypatch.setattr(sys, "argv", ["evosearch", *arguments, "--address", URL])
    with pytest.raises(SystemExit):
        main()
    assert json.loads(written.getvalue()) == {"name": "größer"}
    assert written.getvalue().isascii()


def test_a_head_cannot_write_to_the_terminal_what_a_terminal_obeys(command, head):
    head.output = f"a{EVIL}\n".encode("utf-8", "surrogatepass") + b"\xff\n"
    ended = command("status", "--address", URL)
    assert harmless(ended.out)
    assert ended.out.count("\n") == head.output.count(b"\n")


@pytest.mark.parametrize("name", ["status", "results"])
@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("10.0.0.1:6379", "http://10.0.0.1:8265"),
        ("ray://head:10001", "http://head:8265"),
        ("[::1]:6379", "http://[::1]:8265"),
        ("auto", "http://HEAD:8265"),
        ("", "http://HEAD:8265"),
    ],
)
def test_the_address_of_the_cluster_itself_is_answered_with_the_form_that_is_meant(
    refused, head, name, address, meant
):
    message = refused(name, "tiny", "--address", address)
    assert message.startswith(f"--address {address}")
    assert f"its URL, {meant} (8265 unless `ray start` was given --dashboard-port)" in message
    assert head.asked == []


@pytest.mark.parametrize("name", ["retrain", "resume"])
def test_such_an_address_is_the_workers_cluster_where_a_command_has_workers(refused, head, name):
    assert "there is no journal at" in refused(name, "tiny", "--address", "10.0.0.1:6379")
    assert head.asked == []


def test_a_job_server_runs_no_configuration_of_this_machine_but_submit_does(refused, head):
    message = refused("run", "tiny.yaml", "--address", "http://me:secret@head:8265")
    assert message == (
        "--address http://me@head:8265 is a job server; `evosearch submit CONFIG` with it runs the search on that "
        "head, and run takes the cluster's own address, HEAD:6379"
    )
    assert head.asked == []


@pytest.mark.parametrize("variable", ["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"])
@pytest.mark.parametrize("name", ["status", "results", "retrain"])
def test_rays_own_variables_take_no_command_elsewhere(refused, head, monkeypatch, name, variable):
    monkeypatch.setenv(variable, URL)
    assert "there is no journal at" in refused(name, "tiny")
    assert head.asked == []


def test_a_password_is_not_put_where_all_who_list_jobs_read_it(refused, head):
    message = refused("status", "--storage", "postgresql://me:secret@host/db", "--address", URL)
    assert "PGPASSFILE where the head is started" in message
    assert "secret" not in message
    assert head.asked == []


def test_options_that_were_not_given_are_no_words():
    assert words_of({"--a": None, "--b": False, "--c": True, "--d": 0, "--e": ""}) == [
        "--c",
        *("--d", "0"),
        *("--e", ""),
    ]


def test_a_job_server_is_known_by_its_url():
    assert is_job_server("https://head")
    assert not any(map(is_job_server, (None, "head:6379", "auto", "local", "ray://head:10001")))
