"""Journals whose texts somebody forged, or in which a bit has flipped: one line, never a traceback."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from evosearch.config import load_config
from evosearch.storage import open_home
from tests.finished_search import TINY, Api, script_workers

DEEP = "[" * 100_000 + "]" * 100_000
NESTED = '{"strategy": ' + '{"a":' * 300 + "1" + "}" * 301
FORGED = {
    "a configuration that is a list": "UPDATE searches SET configuration = '[1]'",
    "a configuration without sections": "UPDATE searches SET configuration = '{}'",
    "a strategy that is a list": """UPDATE searches SET configuration = '{"name": "tiny", "strategy": [1]}'""",
    "a configuration that is no JSON": "UPDATE searches SET configuration = '{'",
    "a configuration that is 100,000 deep": f"UPDATE searches SET configuration = '{DEEP}'",
    "a configuration that can be read and not written": f"UPDATE searches SET configuration = '{NESTED}'",
    "an environment that is a text": "UPDATE searches SET environment = '\"cpu\"'",
    "a device that there is not": """UPDATE searches SET environment = '{"device": [1], "plugins": {}}'""",
    "plugins that are a list": """UPDATE searches SET environment = '{"device": "cpu", "plugins": [1]}'""",
    "an infinite fitness": "UPDATE evaluations SET fitness = 9e999",
    "infinite seconds": "UPDATE evaluations SET seconds = 9e999",
    "a fitness that is a text": "UPDATE evaluations SET fitness = 'high'",
    "parents that are a number": "UPDATE evaluations SET parents = '7'",
    "operators that are 100,000 deep": f"UPDATE evaluations SET operators = '{DEEP}'",
    "operations that are a number": "UPDATE evaluations SET operations = '7'",
    "an origin that there is not": "UPDATE evaluations SET origin = 'cloned'",
    "a state that there is not": "UPDATE evaluations SET status = 'lost'",
    "a curve that is an object": """UPDATE evaluations SET curve = '{"a": 1}'""",
    "a curve of texts": """UPDATE evaluations SET curve = '[["a", "b"]]'""",
    "a curve with an infinite loss": "UPDATE evaluations SET curve = '[[Infinity, 0.5]]'",
    "a chromosome that is none": "UPDATE evaluations SET chromosome = 'Q7'",
    "members that are a number": "UPDATE generations SET members = '7'",
    "a driver from the end of time": "UPDATE drivers SET last = 9e999",
    "a heartbeat that is a text": "UPDATE drivers SET last = 'soon'",
    "figures that are a list": "UPDATE test_readings SET metrics = '[1]'",
    "figures that are missing": "UPDATE test_readings SET metrics = '{}'",
    "an infinite figure": """UPDATE test_readings SET metrics = '{"accuracy": Infinity}'""",
    "a figure that is a text": """UPDATE test_readings SET metrics = '{"accuracy": "high"}'""",
    "events that are lists": "UPDATE events SET payload = '[1]'",
    "events that are 100,000 deep": f"UPDATE events SET payload = '{DEEP}'",
    "a first event whose configuration is a list": (
        """UPDATE events SET payload = '{"configuration": [1], "data_key": "d", "environment": {}}' WHERE sequence = 1"""
    ),
    "a first event that can be read and not written": (
        f"""UPDATE events SET payload = '{{"configuration": {NESTED}, "data_key": "d", "environment": {{}}}}'"""
        " WHERE sequence = 1"
    ),
    "births with operations of no kind": (
        "UPDATE events SET payload = json_set(payload, '$.candidate.operations', json('[{\"kind\": \"cut\"}]'))"
        " WHERE kind = 'Born'"
    ),
    "births with operations that are no list": (
        "UPDATE events SET payload = json_set(payload, '$.candidate.operations', 7) WHERE kind = 'Born'"
    ),
    "results with measures that are no figures": (
        "UPDATE events SET payload = json_set(payload, '$.success.measures', json('{\"f1\": 2}'))"
        " WHERE kind = 'Finished'"
    ),
}
COMMANDS = [
    ("status",),
    ("status", "tiny", "--json"),
    ("results", "tiny"),
    ("results", "tiny", "--format", "json"),
    ("explain", "search", "tiny"),
    ("explain", "search", "tiny", "--json"),
    ("resume", "tiny", "--generations", "3"),
    ("retrain", "tiny"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A journal of a finished search that was retrained."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "tiny.yaml").write_text(TINY)
    api = Api()
    script_workers(api)
    with open_home(None, env={}, cwd=folder, create=True) as home:
        api.run(load_config(folder / "tiny.yaml"), home, executor="local")
        api.retrain("tiny", home)
        with closing(sqlite3.connect(home.folder / "journal.db")) as connection:
            connection.execute("VACUUM INTO ?", (str(folder / "whole.db"),))
    return folder / "whole.db"


def ended(command, arguments, whole, home, monkeypatch, forge="SELECT 1"):
    """How a command ends on a copy of the journal in which `forge` was done."""
    home.mkdir()
    shutil.copy(whole, home / "journal.db")
    with closing(sqlite3.connect(home / "journal.db", isolation_level=None)) as connection:
        connection.execute(forge)
    monkeypatch.setenv("EVOSEARCH_HOME", str(home))
    return command(*arguments)


@pytest.mark.parametrize("arguments", COMMANDS)
@pytest.mark.usefixtures("scripted")
def test_untouched_the_journal_serves_every_command(arguments, whole, command, monkeypatch, tmp_path):
    assert ended(command, arguments, whole, tmp_path / "home", monkeypatch).status == 0


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.usefixtures("scripted")
def test_what_somebody_forged_is_told_in_one_line(forged, whole, command, monkeypatch, tmp_path):
    for number, arguments in enumerate(COMMANDS):
        found = ended(command, arguments, whole, tmp_path / str(number), monkeypatch, FORGED[forged])
        assert found.status in {0, 2, 3}, (arguments, found)
        assert "Traceback" not in found.err
        if found.status:
            line = found.err.splitlines()[-1]
            assert line.startswith("evosearch: ") and len(line) < 1000, (arguments, line)
        elif "json" in arguments or "--json" in arguments:
            json.loads(found.out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
