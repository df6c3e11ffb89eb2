"""The frame: which commands and options there are, and how every way to fail ends."""

import os
import subprocess
import sys

import pytest
import typer
from typer.main import get_command

from evosearch import api
from evosearch.cli.app import app

STUDY = {
    "--set",
    "--name",
    "--seeds",
    "--json",
    "--workers",
    "--executor",
    "--address",
    "--storage",
    "--takeover",
}
OPTIONS = {
    "init": {"FILE"},
    "run": {
        *("CONFIG", "--example", "--set", "--name", "--seeds", "--workers"),
        *("--executor", "--address", "--storage", "--takeover"),
    },
    "resume": {"NAME", "--generations", "--from", "--executor", "--address", "--storage", "--takeover"},
    "submit": {
        *("CONFIG|retrain|batchnorm", "NAME", "--epochs"),
        "--set",
        "--name",
        "--seeds",
        "--address",
        "--storage",
        "--takeover",
        "--wait",
        "--dry-run",
    },
    "retrain": {
        *("NAME", "--epochs", "--seeds", "--weights", "--json", "--storage"),
        *("--executor", "--address", "--takeover"),
    },
    "baselines": {"CONFIG", *STUDY},
    "ablation": {"CONFIG", *STUDY},
    "batchnorm": {"NAME", "--weights", *STUDY},
    "dropout": {"CONFIG", *STUDY},
    "status": {"NAME", "--json", "--storage", "--address"},
    "results": {"NAME", "--format", "--top", "--breed-again", "--storage", "--address"},
    "data": {"CONFIG", "--example", "--set", "--json"},
    "validate": {"CONFIG", "--example", "--set", "--json", "--probe"},
    "upgrade": {"--storage"},
    "delete": {"NAME", "--yes", "--storage"},
    "backup": {"NAME", "FILE", "--publish", "--storage"},
    "bench": set(),
    "explain": set(),
}
"""Scripts rely on these, so none may go or change its name."""


def test_the_commands_and_their_options_are_the_ones_that_scripts_rely_on():
    found = {
        name: {
            option
            for parameter in command.params
            for option in (parameter.opts if parameter.param_type_name == "option" else [parameter.metavar])
        }
        for name, command in get_command(app).commands.items()
    }
    assert found == OPTIONS


def test_help_names_every_command_and_every_exit_status(command):
    ended = command("--help")
    assert (ended.status, ended.err) == (0, "")
    for name in OPTIONS:
        assert f"  {name} " in ended.out
    statuses = " ".join(ended.out.split()).partition("Exit status: ")[2]
    for status in ("0 done", "1 a bug", "2 your", "3 this", "4 another", "5 stopped", "75 stopped", "130"):
        assert status in statuses
    assert "$EVOSEARCH_HOME, else ./runs" in statuses


def test_no_command_is_cut_short_in_the_help_of_a_terminal_of_80_columns(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for arguments in ((), ("bench",), ("explain",)):
        commands = command(*arguments, "--help").out.partition("Commands:")[2].partition("Exit status")[0]
        assert commands
        assert "..." not in commands


@pytest.mark.parametrize("name", OPTIONS)
def test_every_command_explains_itself(command, name):
    ended = command(name, "-h")
    assert (ended.status, ended.err) == (0, "")
    for option in OPTIONS[name]:
        assert option in ended.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing command."),
        (["rnu"], "No such command 'rnu'."),
        (["submit"], "Missing argument 'CONFIG|retrain|batchnorm'."),
        (["run", "tiny.yaml", "again"], "Got unexpected extra argument(s) (again)"),
        (["run", "tiny.yaml", "--nmae", "x"], "No such option: --nmae"),
        (["run", "tiny.yaml", "--set"], "Option '--set' requires an argument."),
        (["run", "tiny.yaml", "--executor", "slurm"], "'--executor': 'slurm' is not one of"),
        (["results", "tiny", "--format", "xml"], "'--format'"),
        (["results", "tiny", "--top", "0"], "'--top'"),
        (["resume", "tiny", "--generations", "many"], "'--generations'"),
        (["retrain", "tiny", "--epochs", "0"], "'--epochs'"),
    ],
)
def test_a_wrong_command_line_is_answered_in_one_line(refused, arguments, message):
    found = refused(*arguments)
    assert message in found
    assert found.endswith("(evosearch --help lists commands and options)")


def test_a_bug_of_ours_ends_with_its_traceback_and_1(tmp_path):
    (tmp_path / "tiny.yaml").write_text("data: {name: digits}")
    program = (
        "from evosearch import api\n"
        "from evosearch.cli import main\n"
        "api.data_report = lambda config: 1 / 0\n"
        "main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "data", "tiny.yaml"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("Traceback")
    assert ended.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_a_bug_that_looks_like_the_end_of_input_is_no_interruption(command, monkeypatch):
    bug = EOFError("a channel ended")

    def fail(_):
        raise bug

    monkeypatch.setattr(api, "data_report", fail)
    with pytest.raises(typer.Abort) as raised:  # typer's; its traceback shows both
        command("data", "tiny.yaml")
    assert raised.value.__cause__ is bug


def test_ctrl_c_at_once_ends_with_130_and_one_line(command, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "data_report", interrupted)
    ended = command("data", "tiny.yaml")
    assert (ended.status, ended.out) == (130, "")
    assert ended.err.splitlines() == [
        "evosearch: stopped at once by Ctrl-C; the journal is whole, and the same command goes on"
    ]


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_reader_that_has_gone_ends_a_command_with_0_and_in_silence(finished, form):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as gone:
        ended = subprocess.run(
            [sys.executable, "-m", "evosearch", "results", "tiny", "--format", form],
            check=False,
            env={**os.environ, "EVOSEARCH_HOME": str(finished.home)},
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (ended.returncode, ended.stderr) == (0, "")
