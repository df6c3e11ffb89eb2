"""What a shell offers, asked through the very protocol of its completion script."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from evosearch.cli import completing
from evosearch.config import config_to_json, load_config
from evosearch.storage import SearchCreated, open_home
from tests.finished_search import TINY

COMMAND = Path(sys.executable).parent / "evosearch"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two searches and a group of two, in a journal that is not open."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "tiny.yaml").write_text(TINY)
    with open_home(str(folder / "journal.db"), env={}, cwd=folder, create=True) as made:
        for name in ("cats", "cars", "dogs/seed-0", "dogs/seed-1"):
            configuration = config_to_json(load_config(folder / "tiny.yaml", name=name))
            made.journal.create_search(name, SearchCreated(configuration, "data", {}, 2), at=0.0)
    return folder


def complete(*words, shell="bash", **environment):
    """What is offered for the last of `words`."""
    ended = subprocess.run(
        [COMMAND],
        env={
            **os.environ,
            "_EVOSEARCH_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": " ".join(("evosearch", *words)),
            "COMP_CWORD": str(len(words)),
            **environment,
        },
        check=True,
        capture_output=True,
        text=True,
    )
    assert ended.stderr == ""
    return ended.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("retrain", "ca"), ["cars", "cats"]),
        (("retrain", "dogs"), ["dogs/seed-0", "dogs/seed-1"]),
        (("results", "d"), ["dogs", "dogs/seed-0", "dogs/seed-1"]),
        (("explain", "search", "d"), ["dogs", "dogs/seed-0", "dogs/seed-1"]),
        (("status", ""), ["cars", "cats", "dogs", "dogs/seed-0", "dogs/seed-1"]),
        (("resume", "x"), []),
    ],
)
def test_searches_are_offered_and_groups_where_they_are_taken(home, words, offered):
    assert complete(*words, EVOSEARCH_HOME=str(home)) == offered


def test_they_are_those_of_the_journal_that_is_named(home, tmp_path):
    assert complete("results", "--storage", str(home / "journal.db"), "ca", EVOSEARCH_HOME=str(tmp_path)) == [
        "cars",
        "cats",
    ]


def test_examples_are_offered():
    assert complete("run", "--example", "covid") == ["covid_ct", "covid_ct_small"]


def test_keys_are_offered_as_set_takes_them():
    assert complete("validate", "--set", "strategy.p") == [
        "strategy.phi=",
        "strategy.population=",
        "strategy.pretrain_epochs=",
    ]
    everything = complete("run", "--set", "")
    assert {"seed=", "data.root=", "strategy.evaluations=", "final.epochs="} <= set(everything)
    assert len(everything) == len(set(everything))


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_served_too(home, shell):
    arguments = {"_TYPER_COMPLETE_ARGS": "evosearch results ca", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    found = complete(shell=shell, EVOSEARCH_HOME=str(home), **arguments)
    assert "cars" in " ".join(found)
    assert "cats" in " ".join(found)


def test_a_script_for_the_shell_is_printed():
    # what `--show-completion` prints for the shell that it finds itself in; here there may be none
    environment = {**os.environ, "_EVOSEARCH_COMPLETE": "source_bash"}
    ended = subprocess.run([COMMAND], check=True, capture_output=True, text=True, env=environment)
    assert "_EVOSEARCH_COMPLETE=complete_bash" in ended.stdout


@pytest.mark.parametrize("content", [None, b"", b"no journal", b"SQLite format 3\0" + bytes(100)])
def test_a_journal_that_cannot_be_read_offers_nothing_and_stays_as_it_is(tmp_path, content):
    if content is not None:
        (tmp_path / "journal.db").write_bytes(content)
    before = [(path, path.read_bytes()) for path in tmp_path.iterdir()]
    assert complete("results", "", EVOSEARCH_HOME=str(tmp_path)) == []
    assert [(path, path.read_bytes()) for path in tmp_path.iterdir()] == before


def test_looking_leaves_nothing_beside_a_journal(home):
    before = sorted(home.iterdir())
    assert complete("results", "ca", EVOSEARCH_HOME=str(home))
    assert sorted(home.iterdir()) == before


@pytest.mark.parametrize("storage", ["postgresql://nobody@127.0.0.1:1/none", "mysql://x/y", "''"])
def test_no_server_is_asked_and_no_complaint_made(storage):
    assert complete("results", "--storage", storage, "") == []


def test_what_hangs_is_not_waited_for(monkeypatch):
    asked = threading.Event()
    monkeypatch.setattr(completing, "example_names", lambda: asked.wait() or [])
    monkeypatch.setattr(completing, "PATIENCE", 0.01)
    assert completing.examples("") == []
    asked.set()
