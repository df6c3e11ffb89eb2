"""A source and a strategy that a user installs beside ours: found by name, never in the way of who names neither."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evosearch.data import SOURCES
from evosearch.search import EavlSettings
from evosearch.storage import SearchCreated, open_home

PACKAGE = Path(__file__).parent / "example_package"
LADDER = """
data: {name: stripes, count: 20}
strategy: {name: ladder, rungs: 2}
training: {epochs: 1, batch_size: 16}
workers: {count: 1}
final: {epochs: 1}
"""
BEGUN = {
    "name": "old",
    "data": {"name": "stripes", "count": 20},
    "strategy": {"name": "ladder", "rungs": 2},
}


@pytest.fixture
def evosearch(tmp_path):
    """Runs `python -m MODULE ARGUMENTS` in an empty folder, beside the package in the folder `installed`, if any."""
    (tmp_path / "ladder.yaml").write_text(LADDER)

    def run(*arguments, installed=PACKAGE, module="evosearch"):
        env = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "EVOSEARCH_HOME"}}
        env |= {"PYTHONPATH": str(installed)} if installed else {}
        return subprocess.run(
            [sys.executable, "-P", "-m", module, *arguments],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_configuration_that_names_them_is_valid(evosearch):
    ended = evosearch("validate", "ladder.yaml")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("ladder.yaml: valid\n2 trainings of 1 epoch, 2 steps each")


def test_their_data_are_shown(evosearch):
    report = json.loads(evosearch("data", "ladder.yaml", "--json").stdout)
    assert (report["name"], report["classes"], report["image"]) == (
        "stripes",
        ["lying", "standing"],
        [1, 8, 8],
    )
    assert report["counts"]["train"] == {"lying": 13, "standing": 13}


def test_their_source_may_be_part_of_a_union(evosearch):
    parts = "{ours: {name: digits}, theirs: {name: stripes, count: 5}}"
    names = ", ".join(f'"{digit}": {"lying" if digit % 2 else "standing"}' for digit in range(10))
    union = (
        f"data={{name: union, image_size: 8, channels: 1, parts: {parts}, classes: {{ours: {{{names}}}}}}}"
    )
    report = json.loads(evosearch("data", "ladder.yaml", "--json", "--set", union).stdout)
    assert report["classes"] == ["standing", "lying"]
    wrong = evosearch("validate", "ladder.yaml", "--set", union.replace("count: 5", "count: 2"))
    assert "data.parts.theirs.count is 2; each split needs an image of each class" in wrong.stderr
    away = evosearch("data", "ladder.yaml", "--set", union, "--set", "strategy={name: eavl}", installed=None)
    assert away.returncode == 2
    assert 'data.parts.theirs.name is "stripes"; expected digits, covid_ct' in away.stderr


def test_the_schema_and_the_reference_have_their_keys_with_their_meaning(evosearch):
    schema = json.loads(evosearch("schema", module="evosearch.config").stdout)
    assert schema["$defs"]["LadderSettings"]["properties"]["rungs"] == {
        "default": 3,
        "description": "How many networks.",
        "type": "integer",
    }
    assert schema["$defs"]["StripesSettings"]["properties"]["split_seed"]["description"].startswith(
        "Seed of the cuts"
    )
    reference = evosearch("reference", module="evosearch.config").stdout
    assert "**`strategy` with `name: ladder`**: One convolution, wider at each rung." in reference
    assert "| `data.count` | `60` | Images of each class. |" in reference


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "strategy.name=lader",
            'strategy.name is "lader"; expected eavl, random, evo_cnn, list, features, masks or ladder (of evosearch-example 1.0); did you mean ladder?',
        ),
        (
            "data.name=mnist",
            f'data.name is "mnist"; expected {", ".join(SOURCES.ours)} or stripes (of evosearch-example 1.0)',
        ),
        ("data.count=2", "data.count is 2; each split needs an image of each class: at least 3"),
        (
            "data.root=x",
            "data.root is unknown; it belongs to data.name covid_ct; known here are name, image_size",
        ),
        ("strategy.rungs=true", "strategy.rungs is true; expected a whole number"),
    ],
)
def test_what_is_wrong_is_answered_as_with_ours(evosearch, override, message):
    ended = evosearch("validate", "ladder.yaml", "--set", override)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"evosearch: --set {override}: {message}")


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("rungs", "height"),  # a key has another name now
        ("return self.rungs", "return self.nothing"),
        ("super().__post_init__()", "self.nothing"),
    ],
)
def test_what_a_newer_version_of_theirs_cannot_read_or_say_is_left_open_and_the_others_are_shown(
    evosearch, tmp_path, then, now
):
    with open_home(None, env={}, cwd=tmp_path, create=True) as home:
        for name, configuration in (("old", BEGUN), ("plain", {"name": "plain", "data": {"name": "digits"}})):
            environment = {"plugins": {"evosearch-example": "1.0"}} if name == "old" else {}
            home.journal.create_search(name, SearchCreated(configuration, "k", environment, 1), 1.0)
    newer = tmp_path / "newer"
    shutil.copytree(PACKAGE, newer)
    program = newer / "evosearch_example" / "__init__.py"
    assert then in program.read_text()
    program.write_text(program.read_text().replace(then, now))
    ended = evosearch("status", "--json", installed=newer)
    assert (ended.returncode, ended.stderr) == (0, "")
    totals = {one["name"]: one["evaluations"]["total"] for one in json.loads(ended.stdout)}
    assert totals == {"old": None, "plain": EavlSettings().with_generations(1).evaluations_in_all}
    if then == "rungs":
        ended = evosearch("resume", "old", "--executor", "local", installed=newer)
        assert ended.returncode == 2
        assert re.fullmatch(
            r"evosearch: 'old' cannot go on here: the journal's configuration: strategy.rungs is unknown; .* \(here is "
            r"evosearch-example 1.0\); it was begun with evosearch-example 1.0: install that",
            ended.stderr.splitlines()[-1],
        )


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_search_with_them_is_run_and_where_they_are_not_installed_it_is_only_shown(evosearch, tmp_path):
    ended = evosearch("run", "ladder.yaml", "--executor", "local")
    assert ended.returncode == 0, ended.stderr
    rows = json.loads(evosearch("results", "ladder", "--format", "json").stdout)
    assert [(row["chromosome"], row["status"]) for row in rows] == [("C4 |", "done"), ("C8 |", "done")]
    status = json.loads(evosearch("status", "ladder", "--json").stdout)
    assert status["environment"]["plugins"] == {"evosearch-example": "1.0"}
    assert status["evaluations"]["total"] == 2

    without = json.loads(evosearch("status", "--json", installed=None).stdout)
    unknown = {"evaluations": status["evaluations"] | {"total": None}, "estimated_seconds_left": None}
    assert without == [status | unknown]
    assert (
        "2 done, 0 running, failed: none; its plugin is not installed here"
        in evosearch("status", "ladder", installed=None).stdout
    )
    assert json.loads(evosearch("results", "ladder", "--format", "json", installed=None).stdout) == rows
    for command in ("resume", "retrain"):
        ended = evosearch(command, "ladder", installed=None)
        assert ended.returncode == 2
        assert ended.stderr.splitlines()[-1] == (
            "evosearch: 'ladder' cannot go on here: the journal's configuration: data.name is \"stripes\"; expected "
            f"{SOURCES.listed()} (and 1 more); it was begun with evosearch-example 1.0: install that"
        )
    newer = tmp_path / "newer"
    shutil.copytree(PACKAGE, newer)
    metadata = newer / "evosearch_example-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 2.0"))
    ended = evosearch("retrain", "ladder", "--executor", "local", installed=newer)
    assert ended.returncode == 0
    assert "so its bits may differ: evosearch-example 1.0 then, 2.0 now" in ended.stderr
