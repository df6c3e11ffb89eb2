"""Commands that evosearch names work as they stand, wherever the journal lies."""

import os
import re
import shlex
import signal
from pathlib import Path

import pytest

from evosearch.cli.opening import findable, opened
from tests.cli.test_searching import Disturbed, interrupt
from tests.finished_search import script_workers

ELSEWHERE = "else where/my.db"


@pytest.fixture
def place(command):
    """A journal that is not the default one, as a shell reads it."""
    return shlex.quote(str(Path.cwd() / ELSEWHERE))


def named(text):
    """The commands in `text`, as words."""
    found = re.findall(r"evosearch (?:resume|retrain|results|status)(?: [\w./-]+| '[^']*')*", text)
    return [shlex.split(line)[1:] for line in found]


def test_a_finished_search_names_commands_that_find_it(command, scripted, place):
    ended = command("run", "tiny.yaml", "--set", f"storage.journal={ELSEWHERE}")
    assert f"Next             evosearch results tiny --storage {place}  every chromosome\n" in ended.out
    results, retrain = named(ended.out)
    assert command(*results).status == command(*retrain).status == 0


def test_a_group_names_commands_that_find_it(command, scripted, place):
    ended = command("run", "tiny.yaml", "--seeds", "0,1", "--storage", ELSEWHERE)
    results, retrain = named(ended.out)
    assert command(*results).status == command(*retrain).status == 0
    message = command("retrain", "tiny", "--storage", ELSEWHERE).err
    assert named(message) == [retrain]


def test_a_stopped_search_names_the_command_that_goes_on(command, monkeypatch, place, api):
    script_workers(api, Disturbed(3, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    ended = command("run", "tiny.yaml", "--storage", ELSEWHERE)
    assert ended.err.endswith(f"`evosearch resume tiny --storage {place}` goes on where it stopped\n")
    (resume,) = named(ended.err)
    script_workers(api)
    assert command(*resume).status == 0


def test_an_unfinished_search_names_the_command_that_comes_before(command, refused, monkeypatch, place, api):
    script_workers(api, Disturbed(3, interrupt))
    command("run", "tiny.yaml", "--storage", ELSEWHERE)
    assert f"`evosearch resume tiny --storage {place}` comes first" in refused(
        "retrain", "tiny", "--storage", ELSEWHERE
    )


def test_the_default_journal_is_not_named(command, scripted, monkeypatch):
    for home in ("runs", "mine"):
        monkeypatch.setenv("EVOSEARCH_HOME", home)
        assert "--storage" not in command("run", "tiny.yaml").out
        assert "--storage" not in command("run", "tiny.yaml", "--storage", f"{home}/journal.db").out


def test_in_a_job_that_came_from_another_machine_the_commands_reach_the_head_from_there(
    command, scripted, monkeypatch, place
):
    monkeypatch.setenv("EVOSEARCH_JOB_SERVER", "http://head:8265")
    reach = "--address http://head:8265"
    assert f"evosearch results tiny {reach}  every" in command("run", "tiny.yaml").out
    options = f"--storage {place} {reach}"
    ended = command("run", "tiny.yaml", "--storage", ELSEWHERE)
    assert f"evosearch results tiny {options}  every" in ended.out
    assert f"evosearch retrain tiny {options}  train" in ended.out
    with opened(ELSEWHERE) as home:
        assert (
            findable("`evosearch delete tiny` and begin", home)
            == f"`evosearch delete tiny --storage {place}` and begin"
        )


def test_it_works_too_where_the_working_directory_is_gone_by_then(tmp_path, monkeypatch):
    """As that of a Ray job, once its driver has left the cluster."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    with opened(str(tmp_path / "my.db"), create=True) as home:
        gone.rmdir()
        assert findable("`evosearch resume tiny` goes on", home).startswith(
            "`evosearch resume tiny --storage "
        )
    monkeypatch.chdir(tmp_path)
