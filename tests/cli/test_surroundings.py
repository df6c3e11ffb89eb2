"""Whatever machine a command runs on: what its system refuses is told in one line, with 2 or 3, and what it allows works.

Each test starts the real command as a process of its own.
"""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.finished_search import EVALUATIONS, TINY, FinishedSearch

EVOSEARCH = (sys.executable, "-m", "evosearch")
Start = Callable[..., subprocess.CompletedProcess[str]]


def environment(home: Path, **others: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return {**kept, "EVOSEARCH_HOME": str(home), **others}


@pytest.fixture
def start(tmp_path: Path, finished: FinishedSearch) -> Start:
    """Runs a command beside `tiny.yaml`, on the home of a search that was trained, and waits for its end."""
    (tmp_path / "tiny.yaml").write_text(TINY)

    def run(
        *arguments: str, program: Sequence[str] = EVOSEARCH, home: Path = finished.home, **others: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, *arguments],
            cwd=tmp_path,
            env=environment(home, **others),
            capture_output=True,
            text=True,
            encoding=others.get("PYTHONIOENCODING", "utf-8"),
            check=False,
        )

    return run


def in_shell(before: str) -> tuple[str, ...]:
    """The command after what a shell does first."""
    return ("sh", "-c", f'{before}; exec "$@"', "sh", *EVOSEARCH)


def only_line(ended: subprocess.CompletedProcess[str]) -> str:
    """The one line with which a command refused, without its progress."""
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("journal ")]
    assert len(lines) == 1, ended
    assert lines[0].startswith("evosearch: "), ended
    return lines[0].removeprefix("evosearch: ")


# What it writes to


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_an_encoding_does_not_have_is_written_out_and_json_stays_json(
    start: Start, tmp_path: Path, encoding: str
) -> None:
    named = TINY.replace("{name: digits}", "{name: image_folder, root: Größe猫}")
    (tmp_path / "odd.yaml").write_text(named, encoding="utf-8")
    root = tmp_path / "data" / "Größe猫"
    for place in ("katze猫", "hund"):
        (root / place).mkdir(parents=True)
        for number in range(10):
            pixels = np.full((8, 8, 3), number + 10 * len(place), dtype=np.uint8)
            Image.fromarray(pixels).save(root / place / f"{number}.png")
    told = start("status", "tiny", PYTHONIOENCODING=encoding)
    assert (told.returncode, told.stderr) == (0, "")
    for arguments in (("--help",), ("results", "tiny"), ("data", "odd.yaml"), ("data", "odd.yaml", "--json")):
        ended = start(*arguments, PYTHONIOENCODING=encoding)
        assert "Traceback" not in ended.stderr, ended
        if "--json" in arguments:
            assert "katze猫" in json.dumps(json.loads(ended.stdout), ensure_ascii=False)


def test_a_full_standard_output_is_told(start: Start) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    for arguments in ("--help", "--version", "status"):
        ended = start(arguments, program=("sh", "-c", 'exec "$@" >/dev/full', "sh", *EVOSEARCH))
        assert ended.returncode == 3
        assert "No space left on device" in only_line(ended)


# Where it runs


@pytest.mark.parametrize("arguments", [("status",), ("run", "{}/tiny.yaml"), ("validate", "{}/tiny.yaml")])
def test_a_working_directory_that_is_gone_is_told(
    start: Start, tmp_path: Path, arguments: Sequence[str]
) -> None:
    ended = start(
        *(one.format(tmp_path) for one in arguments), program=in_shell("mkdir gone; cd gone; rmdir ../gone")
    )
    assert ended.returncode == 2
    assert only_line(ended) == "the working directory is gone; change to one that is there"


LONG = "x" * 5000


@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "--storage", LONG),
        ("run", "tiny.yaml", "--storage", f"{LONG}/journal.db"),
        ("validate", LONG),
        ("submit", LONG),
        ("validate", "tiny.yaml", "--set", f"data={{name: image_folder, root: {LONG}}}"),
        ("run", "tiny.yaml", "--name", LONG),
    ],
    ids=lambda words: " ".join(words)[:30],
)
def test_a_path_or_name_that_is_too_long_is_told(start: Start, arguments: Sequence[str]) -> None:
    ended = start(*arguments)
    assert ended.returncode == 2
    assert only_line(ended)


def test_a_home_whose_path_is_too_long_or_not_utf_8_is_told(start: Start, tmp_path: Path) -> None:
    assert "File name too long; choose a shorter one" in only_line(start("status", home=tmp_path / LONG))
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    ended = start("run", "tiny.yaml", home=odd)
    assert ended.returncode == 2
    assert only_line(ended).endswith(
        "/\\udcff/journal.db is not UTF-8, so no search can be kept there; name another place"
    )
    assert not odd.exists()
    shutil.copy(tmp_path / "tiny.yaml", os.fsencode(tmp_path) + b"/\xff.yaml")
    ended = start("run", os.fsdecode(b"\xff.yaml"), home=tmp_path / "runs")
    assert (
        only_line(ended)
        == "\\udcff.yaml has a name that is not UTF-8, so it cannot name a search; give --name"
    )


def test_a_mount_point_of_the_machine_may_have_any_name(start: Start, tmp_path: Path) -> None:
    unshare = ("unshare", "--mount", "sh", "-c")
    mount = f"mkdir {tmp_path}/$1 && mount -t tmpfs none {tmp_path}/$1"
    name = os.fsdecode(b"\xff")
    if (
        shutil.which("unshare") is None
        or subprocess.run([*unshare, mount, "sh", "x"], check=False).returncode
    ):
        pytest.skip("nothing can be mounted here")
    ended = start("status", program=(*unshare, f'{mount} && shift && exec "$@"', "sh", name, *EVOSEARCH))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "tiny" in ended.stdout


# How much it may have


@pytest.mark.parametrize("files", [8, 10, 12])
def test_a_limit_of_open_files_is_told(start: Start, tmp_path: Path, files: int) -> None:
    arguments = ("run", "tiny.yaml", "--executor", "local")
    ended = start(*arguments, program=in_shell(f"ulimit -n {files}"), home=tmp_path / "runs")
    assert ended.returncode == 3
    *before, last = ended.stderr.splitlines()
    assert last.endswith("this process may open no more files; raise the limit (ulimit -n)")
    assert all(re.match(r"journal /|\d\d:\d\d:\d\d \w", line) for line in before), "no traceback"


def test_a_limit_of_processes_is_told(start: Start) -> None:
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user, to whom the limit applies")
    become = ("setpriv", "--reuid=65534", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    ended = start("status", program=(*become, "prlimit", "--nproc=1", *EVOSEARCH))
    if "setpriv" in ended.stderr:
        pytest.skip("no capability can be kept here")
    assert ended.returncode == 3
    assert only_line(ended) == (
        "no thread can be started: this user may start no more processes; end some, or raise the limit (ulimit -u)"
    )


# A terminal that is closed


def _session(command: Sequence[str], cwd: Path, env: dict[str, str]) -> tuple[int, int]:
    """The process of a command that has a terminal of its own, and our end of it."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(cwd)
        os.execve(command[0], [*command], env)
    return process, terminal


@pytest.fixture
def on_terminal(tmp_path: Path) -> Iterator[Callable[..., tuple[int, int]]]:
    begun: list[int] = []

    def run(*command: str) -> tuple[int, int]:
        process, terminal = _session(command, tmp_path, environment(tmp_path / "runs", TERM="xterm"))
        begun.append(process)
        return process, terminal

    yield run
    for process in begun:
        if psutil.pid_exists(process):
            os.kill(process, signal.SIGKILL)


def _read_until(terminal: int, word: bytes) -> None:
    seen = b""
    while word not in seen:
        seen += os.read(terminal, 10_000)


def test_a_search_whose_terminal_is_closed_stops_as_by_sigterm_and_goes_on(
    start: Start, tmp_path: Path, on_terminal: Callable[..., tuple[int, int]]
) -> None:
    long = ("--executor", "local", "--set", "training.epochs=40")
    process, terminal = on_terminal(*EVOSEARCH, "run", "tiny.yaml", *long)
    _read_until(terminal, b"1 of 7")
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 75
    (told,) = json.loads(start("status", "--json", home=tmp_path / "runs").stdout)
    assert told["state"] == "interrupted"
    assert start("resume", "tiny", home=tmp_path / "runs").returncode == 0


def test_under_nohup_a_search_outlives_its_terminal(
    start: Start, tmp_path: Path, on_terminal: Callable[..., tuple[int, int]]
) -> None:
    nohup = shutil.which("nohup")
    if nohup is None:
        pytest.skip("no nohup here")
    process, terminal = on_terminal(nohup, *EVOSEARCH, "run", "tiny.yaml", "--executor", "local")
    _read_until(terminal, b"nohup.out")
    output = tmp_path / "nohup.out"
    while b"#0 " not in (output.read_bytes() if output.exists() else b""):
        os.sched_yield()
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    document: Any = json.loads(start("status", "--json", home=tmp_path / "runs").stdout)
    assert (document[0]["state"], document[0]["evaluations"]["done"]) == ("done", EVALUATIONS)
