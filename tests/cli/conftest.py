"""The commands, run inside this process."""

import re
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from evosearch.cli import main
from tests.finished_search import TINY

STAMP = re.compile(r"\d\d:\d\d:\d\d ")
WAITS = ("reading the data", "connecting to Ray", "starting workers: ")


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def told(self) -> list[str]:
        """What it told on standard error, without the time of day, where its journal lies, and what it waited for."""
        lines = [STAMP.sub("", line, count=1) for line in self.err.splitlines()]
        return [line for line in lines if not line.startswith(("journal ", *WAITS))]


@pytest.fixture
def command(monkeypatch, tmp_path, api):
    """Runs `evosearch ARGUMENTS` in an empty folder that holds `tiny.yaml` and the home `runs`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # typer puts its own in place
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("EVOSEARCH_HOME", "EVOSEARCH_DATA", "RAY_ADDRESS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    Path("tiny.yaml").write_text(TINY)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["evosearch", *map(str, arguments)])
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main(api.providers)
        return Ended(ended.value.code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def refused(command):
    """Runs a command that must end with 2 and one line, beside the journal's; returns what that line says."""

    def run(*arguments):
        ended = command(*arguments)
        assert (ended.status, ended.out, len(ended.told)) == (2, "", 1), ended
        head, _, message = ended.told[0].partition(": ")
        assert head == "evosearch"
        return message

    return run


@pytest.fixture
def read_finished(command, finished, monkeypatch):
    """`command` on the home of the search that was really trained; for commands that change nothing."""
    monkeypatch.setenv("EVOSEARCH_HOME", str(finished.home))
    return command


@pytest.fixture
def own_finished(command, finished, tmp_path):
    """`command` on a copy of that home."""
    shutil.copytree(finished.home, tmp_path / "runs")
    return command


@pytest.fixture
def no_workers(api):
    """Whoever asks for workers fails."""

    def make_pool(*_):
        raise AssertionError("workers were asked for")

    api.give(make_pool=make_pool)


class Pictures(NamedTuple):
    """An image folder and the configuration that names it."""

    config: Path
    root: Path


@pytest.fixture
def write_pictures(command, tmp_path):
    """Writes ten noise images into each folder below `data/pictures`, and `pictures.yaml` beside."""

    def write(*folders):
        root = tmp_path / "data" / "pictures"
        rng = np.random.default_rng(0)
        for folder in folders:
            (root / folder).mkdir(parents=True)
            for number in range(10):
                pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / folder / f"{number}.png")
        text = TINY.replace("{name: digits}", "{name: image_folder, root: pictures, image_size: 8}")
        text = text.replace("batch_size: 64", "batch_size: 4")  # there are few pictures
        config = Path("pictures.yaml")
        config.write_text(text)
        return Pictures(config, root)

    return write
