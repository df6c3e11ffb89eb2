"""The loops to be measured against: honest ones, which owe us nothing but the network."""

import ast
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evosearch.bench import builder, ordinary
from evosearch.bench.image_files import decode_all
from evosearch.bench.ordinary import FusedAdam, Job

FILE = Path(ordinary.__file__)


def test_they_are_one_short_file_that_takes_nothing_from_us_but_the_builder_of_networks():
    assert len(FILE.read_text().splitlines()) < 200
    names = set()
    for node in ast.walk(ast.parse(FILE.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    ours = {name for name in names if name.partition(".")[0] in ("evosearch", "workers")}
    assert ours == {builder.__name__}
    assert "training" not in Path(builder.__file__).read_text()


@pytest.fixture
def job(tmp_path):
    """A job on six small files; whether the two halves differ in brightness is the class."""
    rng = np.random.default_rng(0)
    listed = {"train": [], "validation": []}
    for number in range(6):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (9, 7), np.uint8)).save(path)
        listed["train" if number < 4 else "validation"].append([str(path), number % 2])
    (tmp_path / "listed.json").write_text(json.dumps(listed))
    decode_all(tmp_path / "listed.json", 8, tmp_path / "decoded.pt")
    places = str(tmp_path / "listed.json"), str(tmp_path / "decoded.pt")
    return lambda tuned, **more: Job("B2 P | F3", 8, "cpu", tuned, *places, 4, 2, 2, batch=2, **more)


@pytest.mark.parametrize("tuned", [False, True])
def test_both_leave_four_marks_an_epoch_and_validate(job, tuned):
    command = [sys.executable, "-W", "error", "-m", ordinary.__name__, json.dumps(asdict(job(tuned)))]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert len(found["marks"]) == 8
    assert found["marks"] == sorted(found["marks"])
    assert found["marks"][0] > 0
    assert set(found["accuracies"]) <= {0.0, 0.5, 1.0}
    assert len(found["accuracies"]) == 2


@pytest.mark.parametrize(("sizes", "expected"), [([2, 2, 1], [2, 3]), ([2, 2], [2, 2]), ([1], [1, 1])])
def test_an_epochs_partial_batch_is_marked_by_itself(sizes, expected):
    class Counting:
        """Marks are numbers of batches."""

        def __init__(self):
            self.marks, self.seen = [], 0

        def mark(self):
            self.marks.append(self.seen)

    clock = Counting()
    for _ in range(2):
        clock.seen = 0
        for _ in ordinary.noted([("images", [0] * size) for size in sizes], 2, clock):
            clock.seen += 1
    assert clock.marks == expected * 2


def test_files_and_what_was_decoded_once_are_the_same_pixels(job):
    chosen = job(True)
    images, labels = torch.load(chosen.decoded)["train"]
    files = ordinary.Files(json.loads(Path(chosen.listed).read_text())["train"], 8)
    assert len(files) == 4
    for place in range(4):
        image, label = files[place]
        assert image.equal(images[place] / 255)
        assert label == labels[place]


def test_the_tuned_loops_adam_is_pytorchs():
    weights = [torch.nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4)) for _ in "ab"]
    theirs = torch.optim.Adam(weights[:1], lr=ordinary.RATE, weight_decay=ordinary.DECAY, fused=True)
    ours = FusedAdam(weights[1:])
    for number in range(3):
        for one in weights:
            one.grad = torch.full_like(one, number - 0.5)
        theirs.step()
        ours.step()
    assert weights[0].equal(weights[1])
    assert weights[1].grad is None
