"""`data` and `validate` as a user types them."""

import json
from pathlib import Path

import pytest

from evosearch.data import DataSettings, load_dataset

COST = {
    *("name", "valid", "trainings", "epochs", "steps", "parameters", "training_flops", "memory"),
    "total_flops",
}


@pytest.fixture
def pictures(write_pictures):
    """`pictures.yaml` with three classes of ten good images each, below `data/pictures`."""
    return write_pictures("cat", "dog", "owl")


def test_data_for_a_person_are_splits_classes_and_a_hash(command):
    ended = command("data", "tiny.yaml")
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[:2] == ["digits", "  images as 1 x 8 x 8"]
    total = next(line.split() for line in lines if line.startswith("  all "))
    assert sum(map(int, total[1:])) == 1797
    key = load_dataset(DataSettings(), env={}, cwd=Path.cwd(), cache=None).key
    assert f"  hash {key}" in lines
    assert lines[-1] == "  bad files: 0"


def test_data_as_json_say_the_same(command, pictures):
    ended = command("data", pictures.config, "--json")
    assert (ended.status, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert set(found) == {
        *("name", "root", "classes", "counts", "image", "key", "bad_files", "duplicates", "source", "notes")
    }
    assert (found["name"], found["root"]) == ("image_folder", str(pictures.root))
    assert found["classes"] == ["cat", "dog", "owl"]
    assert {
        name: sum(split[name] for split in found["counts"].values()) for name in found["classes"]
    } == dict.fromkeys(found["classes"], 10)
    assert (found["image"], found["bad_files"], found["duplicates"]) == ([3, 8, 8], [], [])


def test_data_lists_every_bad_file_and_ends_with_2(command, pictures):
    (pictures.root / "cat" / "0.png").write_bytes(b"")
    (pictures.root / "dog" / "1.png").write_bytes(b"GIF89a, or so it says")
    for form in ((), ("--json",)):
        ended = command("data", pictures.config, *form)
        assert ended.status == 2
        assert ended.err == (
            f"evosearch: 2 bad files in {str(pictures.root)!r}, listed above; remove or replace them\n"
        )
        assert "'cat/0.png' is empty" in ended.out
        assert "'dog/1.png' " in ended.out
    assert json.loads(ended.out)["key"] is None


def test_images_in_two_splits_are_told(command, write_pictures):
    made = write_pictures("train/cat", "train/dog", "test/cat", "test/dog")
    (made.root / "test/dog/0.png").write_bytes((made.root / "train/dog/5.png").read_bytes())
    found = json.loads(command("data", made.config, "--json").out)
    ((split, name, other_split, other_name),) = found["duplicates"]
    assert (other_split, other_name) == ("test", "test/dog/0.png")
    assert (split, name) in {("train", "train/dog/5.png"), ("validation", "train/dog/5.png")}
    text = command("data", made.config).out
    assert "images that stand in two splits: 1" in text
    assert f"    {split} {name} = test {other_name}" in text


def test_a_relative_root_is_looked_for_where_the_environment_says(command, pictures, monkeypatch, tmp_path):
    (tmp_path / "data").rename(tmp_path / "moved")
    monkeypatch.setenv("EVOSEARCH_DATA", "moved")
    assert json.loads(command("data", pictures.config, "--json").out)["root"] == str(
        tmp_path / "moved/pictures"
    )


def test_validate_prints_what_the_search_would_cost_and_leaves_nothing_behind(command, tmp_path):
    ended = command("validate", "tiny.yaml")
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[:2] == ["tiny.yaml: valid", "7 trainings of 1 epoch, 18 steps each"]
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_validate_as_json(command):
    ended = command("validate", "tiny.yaml", "--json", "--set", "training.epochs=10")
    assert (ended.status, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert set(found) == COST
    assert (found["name"], found["valid"], found["trainings"]) == ("tiny", True, 7)
    assert (found["epochs"], found["steps"]) == (10, 180)
    for spread in ("parameters", "training_flops", "memory"):
        assert 0 < found[spread]["least"] <= found[spread]["median"] <= found[spread]["greatest"]


def test_validate_refuses_a_space_that_holds_nothing_feasible(refused):
    message = refused("validate", "tiny.yaml", "--set", "space.max_parameters=3")
    assert message.startswith("none of 101 random chromosomes is feasible: ")
    assert message.endswith(
        "exceed space.max_parameters = 3; raise that limit or lower the ranges under space"
    )
