"""The README is short, and what it shows is run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tests.finished_search import TINY

README = Path(__file__).parents[2] / "README.md"
MOST_WORDS = 1500
PICTURE = README.parent / "docs" / "digits.png"


def test_the_readme_has_fewer_words_than_anybody_would_skip():
    assert len(README.read_text().split()) < MOST_WORDS


def test_it_names_what_makes_a_search_faster_cheaper_and_surer():
    text = README.read_text()
    keys = (
        "training.precision",
        "workers.per_gpu",
        "strategy.halving",
        "strategy.repeats",
        "final.contenders",
    )
    commands = ("bench better", "bench halving", "bench evaluate", "configs/digits_halved.yaml")
    assert not [name for name in (*keys, *commands) if name not in text]


def test_it_begins_with_two_commands():
    first = re.search(r"^```\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)[1]
    commands = [line.partition("#")[0].split() for line in first.splitlines()]
    assert [words[0] for words in commands] == ["make", ".venv/bin/evosearch"]


def test_its_picture_is_one_and_small():
    with Image.open(PICTURE) as image:
        assert image.format == "PNG"
        assert min(image.size) > 300
    assert PICTURE.stat().st_size < 60_000


def test_its_python_is_run_as_it_stands_there(tmp_path):
    """With a smaller search of the same name, and a picture of the name that it classifies."""
    (script,) = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "digits.yaml").write_text(TINY)
    Image.fromarray(np.full((20, 30), 99, np.uint8)).save(tmp_path / "seven.png")
    (tmp_path / "script.py").write_text(script)
    ended = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "EVOSEARCH_HOME"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    best, _, classified = ended.stdout.partition("\n")
    assert re.fullmatch(r"[CBP].* \| F\d+ 0\.\d+", best)
    assert classified.startswith("('0', '1', '2', '3', '4', '5', '6', '7', '8', '9') tensor([[")
    assert (tmp_path / "runs" / "digits" / "winner.safetensors").is_file()
    assert (tmp_path / "runs" / "digits" / "winner.json").is_file()
