import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from evosearch.bench import same_bits_probe
from evosearch.bench.same_bits import (
    CASES,
    HERE,
    KINDS,
    Finding,
    Tree,
    checked_out,
    compare,
    main,
    trained,
)
from evosearch.errors import CannotRunError, InputError
from evosearch.evaluation import TrainingSettings
from evosearch.training.batches import batch_sizes

FROZEN = json.loads(same_bits_probe.FROZEN.read_text())
SMALL = {"network": "B3 P | F4", "channels": 1, "pixels": 4, "images": 9, "settings": {"batch_size": 4}}
SAME = [
    Finding(
        "curve", "network 0", {"epoch 1": "loss 0.5, accuracy 0.5", "epoch 2": "loss 0.25, accuracy 1.0"}
    ),
    Finding("weights", "network 0", {"tensor 0.weight": "aa", "tensor 0.bias": "bb"}),
    Finding("row", "candidate 0", {"number": "0", "fitness": "0.5"}),
    Finding("reading", "the reading", {"accuracy": "0.5"}),
]


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def changed(position, part, value):
    findings = list(SAME)
    findings[position] = replace(SAME[position], parts={**SAME[position].parts, part: value})
    return findings


def told(comparison):
    return [line for lines in comparison.differences.values() for line in lines]


def test_equal_findings_are_counted_and_nothing_is_told():
    comparison = compare(SAME, list(SAME))
    assert comparison.equal
    assert comparison.compared == {"curve": (1, 2), "weights": (1, 2), "row": (1, 2), "reading": (1, 1)}
    assert comparison.to_markdown().splitlines()[2:] == [
        "| curve | 1 | 2 | 0 |",
        "| weights | 1 | 2 | 0 |",
        "| row | 1 | 2 | 0 |",
        "| reading | 1 | 1 | 0 |",
    ]


@pytest.mark.parametrize(
    ("findings", "line"),
    [
        (
            changed(0, "epoch 2", "loss 0.25000000000000006, accuracy 1.0"),
            "curve of network 0: epoch 2 was loss 0.25, accuracy 1.0, is loss 0.25000000000000006, accuracy 1.0",
        ),
        (changed(0, "epoch 3", "x"), "curve of network 0: epoch 3 was missing, is x"),
        (changed(1, "tensor 0.bias", "bc"), "weights of network 0: tensor 0.bias was bb, is bc"),
        (changed(2, "fitness", "0.6"), "row of candidate 0: fitness was 0.5, is 0.6"),
        (
            [*SAME, Finding("row", "candidate 1", {"number": "1"})],
            "row of candidate 1: number was missing, is 1",
        ),
        ([*SAME[:2], *SAME[3:]], "row of candidate 0: number was 0, is missing"),
        (changed(3, "accuracy", "0.4"), "reading of the reading: accuracy was 0.5, is 0.4"),
    ],
)
def test_the_first_part_that_differs_is_named(findings, line):
    comparison = compare(SAME, findings)
    assert not comparison.equal
    assert told(comparison) == [line]
    assert comparison.to_markdown().endswith(line)


@pytest.mark.parametrize("kind", KINDS)
def test_where_there_was_nothing_to_compare_equality_is_not_told(kind):
    findings = [one for one in SAME if one.kind != kind]
    with pytest.raises(CannotRunError, match=f"made no {kind}"):
        compare(findings, findings)


def test_one_bit_of_one_weight_changes_the_hash_of_its_tensor_alone(tmp_path):
    tensors = {"a": np.ones(3, np.float32), "b": np.ones(3, np.float32)}
    save_file(tensors, tmp_path / "old")
    tensors["b"].view(np.uint32)[1] ^= 1
    save_file(tensors, tmp_path / "new", {"a header's": "words are no numbers"})
    old, new = (same_bits_probe.hashes(tmp_path / name) for name in ("old", "new"))
    assert old["tensor a"] == new["tensor a"] == old["tensor b"] != new["tensor b"]


def test_a_frozen_network_leaves_a_curve_and_every_tensor_from_each_seed(tmp_path, one_thread):
    found = list(same_bits_probe.findings(0, SMALL, tmp_path / "weights"))
    assert [one["kind"] for one in found] == ["curve", "weights"] * len(same_bits_probe.SEEDS)
    assert list(found[0]["parts"]) == [f"epoch {number}" for number in (1, 2, 3)]
    assert len(found[1]["parts"]) == 11  # convolution 2, batch norm 5, two linear layers 4
    assert found[0]["parts"] != found[2]["parts"]
    assert found == list(same_bits_probe.findings(0, SMALL, tmp_path / "weights"))


def test_a_training_that_fails_is_not_compared(tmp_path, one_thread):
    frozen = {**SMALL, "settings": {"learning_rate": 1e30}}
    with pytest.raises(SystemExit, match="only what succeeds can be compared"):
        same_bits_probe.train(frozen, 1, tmp_path / "weights")


def test_the_frozen_networks_cover_what_a_training_may_do_differently():
    assert len(FROZEN) == CASES == 12
    settings = [TrainingSettings(**one["settings"]) for one in FROZEN]
    pairs = {(one.optimizer, one.precision) for one in settings}
    assert len(pairs) == 8
    assert {one.dropout > 0 for one in settings} == {True, False}
    assert {one.normalize for one in settings} == {"unit", "standard"}
    sizes = [batch_sizes(case["images"], one.batch_size) for case, one in zip(FROZEN, settings, strict=True)]
    last = {each[-1] - one.batch_size for each, one in zip(sizes, settings, strict=True)}
    assert {1, 0} < last, "a single image left over joins the batch before it; and only full batches"
    assert min(last) < 0, "a partial batch"


def test_packages_of_another_tree_are_refused(tmp_path):
    with pytest.raises(SystemExit, match=f"which is not in {tmp_path}: nothing was compared"):
        same_bits_probe.refuse_other_tree(tmp_path)
    same_bits_probe.refuse_other_tree(HERE)


def test_what_is_no_commit_is_told_in_one_line(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["same-bits", "--", "no-such-commit"])
    assert main() == InputError.exit_status
    assert capsys.readouterr().err.startswith("same-bits: OLD=no-such-commit names no commit of ")


def test_a_tree_that_cannot_do_it_is_told_with_its_last_words(tmp_path):
    with pytest.raises(CannotRunError, match=r"^mine ended with status 1: .*No module named"):
        Tree("mine", HERE).run("-m", "evosearch.no_such_module", home=tmp_path)


def in_git():
    command = ["git", "-C", str(HERE), "rev-parse", "--verify", "HEAD"]
    return shutil.which("git") and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(600)  # two versions at once, each in processes of its own
@pytest.mark.skipif(not in_git(), reason="this is no git checkout")
def test_the_last_commit_and_this_tree_train_and_search_alike(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["same-bits", "HEAD", "--cases", "1", "9"])
    assert main() == 0
    said = capsys.readouterr().out
    assert "| curve | 4 | 12 | 0 |" in said
    assert said.endswith("every bit is the same\n")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not in_git(), reason="this is no git checkout")
def test_a_tree_that_draws_other_numbers_is_found_out(tmp_path):
    tree = checked_out("HEAD", tmp_path / "tree")
    package = Path(tree.folder, "evosearch", "training", "__init__.py")
    package.write_text(
        f"{package.read_text()}\nimport torch\nseed = torch.manual_seed\ntorch.manual_seed = lambda n: seed(n + 1)\n"
    )
    for home in ("old", "new"):
        (tmp_path / home).mkdir()
    rest = SAME[2:]
    old = trained(Tree("this", HERE), [9], tmp_path / "old")
    comparison = compare([*old, *rest], [*trained(tree, [9], tmp_path / "new"), *rest])
    assert [len(lines) for lines in comparison.differences.values()] == [2, 2, 0, 0]
    assert "seed 1: epoch 1 was loss" in told(comparison)[0]
