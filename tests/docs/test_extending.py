"""The package that `docs/extending.md` shows, installed as it stands there."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def evosearch(tmp_path):
    """Runs a command in a folder with the page's configuration and some pictures, beside the page's package."""
    package = tmp_path / "package"
    project = tomllib.loads(blocks("toml")[0])["project"]
    about = package / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "\n".join(
            f"[{group}]\n" + "\n".join(f"{name} = {place}" for name, place in points.items())
            for group, points in project["entry-points"].items()
        )
    )
    (package / "my_evosearch.py").write_text("\n\n".join(blocks("python")))
    (tmp_path / "mine.yaml").write_text(blocks("yaml")[0])
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
    np.savez(tmp_path / "pictures.npz", images=images, labels=np.arange(40) % 2)

    def run(*arguments, module="evosearch"):
        return subprocess.run(
            [sys.executable, "-P", "-m", module, *arguments],
            env={**os.environ, "PYTHONPATH": str(package)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_its_source_and_strategy_make_a_valid_search(evosearch):
    ended = evosearch("validate", "mine.yaml")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("mine.yaml: valid\n4 trainings")
    report = json.loads(evosearch("data", "mine.yaml", "--json").stdout)
    assert (report["name"], report["image"], report["classes"]) == ("npz", [1, 8, 8], ["0", "1"])
    assert sum(sum(split.values()) for split in report["counts"].values()) == 40


def test_its_refusals_are_one_line(evosearch):
    ended = evosearch("validate", "mine.yaml", "--set", "data.file=other.npz")
    assert ended.returncode == 2
    assert ended.stderr.startswith("evosearch: data.file is 'other.npz', but")
    assert len(ended.stderr.splitlines()) == 1


def test_their_keys_and_meanings_are_in_the_schema(evosearch):
    schema = json.loads(evosearch("schema", module="evosearch.config").stdout)
    assert schema["$defs"]["LadderSettings"]["properties"]["rungs"]["description"] == "How many networks."
    assert "file" in schema["$defs"]["NpzSettings"]["required"]
