"""`data` and `validate` as a user types them."""

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evosearch.data import DigitsSettings, load_dataset

COST = {
    *("name", "valid", "trainings", "epochs", "steps", "parameters", "training_flops", "memory"),
    *("total_flops", "measured", "unmeasured", "notes", "study", "halved", "rungs", "precision"),
    *("auto_here", "contenders", "contenders_asked", "contender_trainings"),
}


@pytest.fixture
def pictures(write_pictures):
    """`pictures.yaml` with three classes of ten good images each, below `data/pictures`."""
    return write_pictures("cat", "dog", "owl")


def test_data_for_a_person_are_splits_classes_and_a_hash(command):
    ended = command("data", "tiny.yaml")
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == "digits"
    assert [line for line in lines if line.startswith("  ! ")] == [
        "  ! ten statistics of the pixels alone (brightness, contrast, sharpness, border)"
    ]
    assert lines[lines.index("") + 1] == "  images as 1 x 8 x 8"
    total = next(line.split() for line in lines if line.startswith("  all "))
    assert sum(map(int, total[1:])) == 1797
    key = load_dataset(DigitsSettings(), env={}, cwd=Path.cwd(), cache=None).key
    assert f"  hash {key}" in lines
    assert lines[-1] == "  bad files: 0"


def test_data_as_json_say_the_same(command, pictures):
    ended = command("data", pictures.config, "--json")
    assert (ended.status, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert set(found) == {
        *("name", "root", "classes", "counts", "image", "key", "bad_files", "duplicates", "source", "notes"),
        *("repeats", "contradictions", "alike", "alike_count", "objections", "files", "majority", "groups"),
        *("bad_kinds", "repair", "audit"),
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


def test_many_links_are_one_line_with_what_follows_them_and_json_has_each(command, pictures, tmp_path):
    (tmp_path / "store").mkdir()
    for path in sorted((pictures.root / "cat").iterdir()):
        path.rename(tmp_path / "store" / path.name)
        path.symlink_to(tmp_path / "store" / path.name)
    ended = command("data", pictures.config)
    assert " ".join(ended.out.partition("bad files:")[2].split()) == (
        "10 (--json names each) 10 links lead out of the data folder, first 'cat/0.png'; "
        "`data.follow_links: true` follows links"
    )
    assert ended.err == (
        f"evosearch: 10 bad files in {str(pictures.root)!r}, listed above; `data.follow_links: true` follows links\n"
    )
    assert len(json.loads(command("data", pictures.config, "--json").out)["bad_files"]) == 10


def test_one_bad_file_is_no_several(command, pictures):
    (pictures.root / "cat" / "0.png").write_bytes(b"")
    assert command("data", pictures.config).err.startswith("evosearch: 1 bad file in ")


def test_what_no_new_search_begins_with_is_said_once(command, write_pictures):
    made = write_pictures("train/cat", "train/dog", "dev/cat", "dev/dog")
    ended = command("data", made.config)
    assert ended.status == 2
    both = " ".join((ended.out + ended.err).split())
    assert both.count("a split's folder is called train, val or test") == 1
    assert both.endswith("it is said above why")


def test_validate_says_of_the_data_what_run_says(command, pictures):
    (pictures.root / "cat" / "notes.txt").write_text("no image")
    (pictures.root / "owl/3.png").write_bytes((pictures.root / "cat/3.png").read_bytes())
    group = ("--set", r"data.group=film\d+")
    ended = command("validate", pictures.config, "--no-probe", *group)
    assert ended.status == 0
    for words in (
        "data: 1 file is not used: 1 .txt",
        r"a match of 'film\d+'",
        "equal images under different",
    ):
        assert words in ended.err
    found = json.loads(command("validate", pictures.config, "--no-probe", "--json", *group).out)
    assert [f"data: {note}" for note in found["notes"]] == ended.err.splitlines()
    assert "CONFIG` lists them" not in command("data", pictures.config).out


def test_images_in_two_splits_are_told(command, write_pictures):
    made = write_pictures("train/cat", "train/dog", "test/cat", "test/dog")
    (made.root / "test/dog/0.png").write_bytes((made.root / "train/dog/5.png").read_bytes())
    found = json.loads(command("data", made.config, "--json").out)
    ((split, name, other_split, other_name),) = found["duplicates"]
    assert (other_split, other_name) == ("test", "test/dog/0.png")
    assert (split, name) in {("train", "train/dog/5.png"), ("validation", "train/dog/5.png")}
    text = command("data", made.config).out
    assert f"  twins: 1 of {split} and test;" in text
    assert f"    {split} {name} (dog) = test {other_name} (dog)" in text


def test_one_image_under_two_labels_is_told_and_the_data_are_good(command, pictures):
    (pictures.root / "owl/3.png").write_bytes((pictures.root / "cat/3.png").read_bytes())
    ended = command("data", pictures.config, "--json")
    assert (ended.status, ended.err) == (0, "")
    (found,) = json.loads(ended.out)["contradictions"]
    assert {found["name"], found["other_name"]} == {"cat/3.png", "owl/3.png"}
    assert {found["label"], found["other_label"]} == {"cat", "owl"}
    text = command("data", pictures.config).out
    assert "  twins under different labels: 1\n" in text
    assert "  ! 1 pair of twins under different labels, first " in text
    assert command("validate", pictures.config, "--no-probe").status == 0


def test_the_second_call_decodes_and_audits_nothing_and_says_the_same(command, pictures, monkeypatch):
    first = command("data", pictures.config)
    for name in ("cache.decode_files", "audit.find_all", "audit.with_pixels"):
        monkeypatch.delattr(f"evosearch.data.{name}")
    assert command("data", pictures.config) == first
    kept = sorted(path.name.partition("-")[0] for path in Path("runs/cache").iterdir())
    assert kept == ["audit", "images"]


def test_what_is_kept_is_in_the_home_that_the_configuration_names(command, pictures):
    command("data", pictures.config, "--set", "storage.journal=elsewhere/journal.db")
    assert not Path("runs").exists()
    assert len(list(Path("elsewhere/cache").iterdir())) == 2


def test_bad_files_come_before_any_audit(command, pictures):
    (pictures.root / "owl/3.png").write_bytes((pictures.root / "cat/3.png").read_bytes())
    (pictures.root / "cat/0.png").write_bytes(b"")
    ended = command("data", pictures.config)
    assert "  not audited while there are bad files\n" in ended.out
    assert "  equal images under different labels: 1\n" in ended.out


def test_a_search_that_begins_tells_the_worst_and_one_that_goes_on_does_not(
    command, write_pictures, scripted
):
    made = write_pictures("cat", "dog")
    rng = np.random.default_rng(0)
    for number in range(40):  # each class has a size of its own
        for name, size in (("cat", (8, 8, 3)), ("dog", (10, 12, 3))):
            pixels = rng.integers(0, 256, size, dtype=np.uint8)
            Image.fromarray(pixels).save(made.root / name / f"{number}.png")
    begun = command("run", made.config, "--executor", "local")
    assert begun.status == 0
    said = [line for line in begun.told if line.startswith("data: ")]
    assert len(said) == 1
    assert said[0].startswith(
        "data: file headers alone (format, colour mode, width, height, aspect) are right on 100.0% of"
    )
    again = command("run", made.config, "--executor", "local")
    more = command("resume", "pictures", "--generations", "3", "--executor", "local")
    assert (again.status, more.status) == (0, 0)
    assert not [line for ended in (again, more) for line in ended.told if line.startswith("data: ")]


def test_what_is_told_changes_no_result(command, write_pictures, scripted, monkeypatch):
    made = write_pictures("cat", "dog")
    results = []
    for name, lines in (("told", ("a caveat",)), ("untold", ())):
        monkeypatch.setattr("evosearch.session.first_look", lambda *_given, said=lines: said)
        assert command("run", made.config, "--name", name, "--executor", "local").status == 0
        results.append(json.loads(command("results", name, "--format", "json").out))
    for row in (*results[0], *results[1]):
        row["seconds"] = row["worker"] = None
    assert results[0] == results[1]


@pytest.fixture
def lists(command, write_pictures):
    """`lists.yaml`, whose COVID-CT names an image twice in one of its split lists."""
    made = write_pictures("Images/CT_COVID", "Images/CT_NonCOVID")
    for name in ("COVID", "NonCOVID"):
        (made.root / "Data-split" / name).mkdir(parents=True)
        for number, word in enumerate(("train", "val", "test")):
            text = "".join(f"{image}.png\n" for image in range(3 * number, 3 * number + 3))
            (made.root / f"Data-split/{name}/{word}CT_{name}.txt").write_text(text)
    with (made.root / "Data-split/COVID/trainCT_COVID.txt").open("a") as file:
        file.write("1.png\n")
    Path("lists.yaml").write_text(made.config.read_text().replace("image_folder", "covid_ct"))
    return "lists.yaml"


REPEATED = "'Data-split/COVID/trainCT_COVID.txt' line 4 names '1.png' again, after line 2"


def test_a_name_that_a_split_list_repeats_is_told_with_file_and_line_and_ends_with_2(command, lists, refused):
    ended = command("data", lists)
    assert ended.status == 2
    assert f" {REPEATED} " in " ".join(ended.out.split())
    assert len(ended.err.splitlines()) == 1
    assert f"names that are twice in a split list of {str(Path.cwd() / 'data/pictures')!r} (1)" in ended.err
    assert json.loads(command("data", lists, "--json").out)["repeats"] == [REPEATED]
    assert REPEATED in refused("validate", lists)


def test_a_name_that_a_split_list_repeats_is_refused_for_new_searches_only(
    command, lists, refused, scripted, monkeypatch, api
):
    assert REPEATED in refused("run", lists)
    key = json.loads(command("data", lists, "--json").out)["key"]

    load = api.providers.load_dataset
    with api.giving(load_dataset=lambda *a, **k: load(*a, **{**k, "begun": True})):  # begins without a word
        assert command("run", lists).status == 0
    for ended in (command("resume", "lists", "--generations", "3"), command("run", lists)):
        assert ended.status == 0
        assert f"data: {REPEATED}" in ended.err
    assert command("retrain", "lists").status == 0
    with sqlite3.connect("runs/journal.db") as journal:
        assert set(journal.execute("SELECT data_key FROM searches")) == {(key,)}
    journal.close()
    assert REPEATED in refused("run", lists, "--name", "another")


def test_a_relative_root_is_looked_for_where_the_environment_says(command, pictures, monkeypatch, tmp_path):
    (tmp_path / "data").rename(tmp_path / "moved")
    monkeypatch.setenv("EVOSEARCH_DATA", "moved")
    assert json.loads(command("data", pictures.config, "--json").out)["root"] == str(
        tmp_path / "moved/pictures"
    )


def test_validate_prints_what_the_search_would_cost_and_leaves_nothing_behind(command, tmp_path):
    ended = command("validate", "tiny.yaml", "--no-probe")
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[:2] == ["tiny.yaml: valid", "7 trainings of 1 epoch, 18 steps each"]
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_validate_as_json(command):
    ended = command("validate", "tiny.yaml", "--no-probe", "--json", "--set", "training.epochs=10")
    assert (ended.status, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert set(found) == COST
    assert (found["name"], found["valid"], found["trainings"]) == ("tiny", True, 7)
    assert (found["epochs"], found["steps"]) == (10, 180)
    for spread in ("parameters", "training_flops", "memory"):
        assert 0 < found[spread]["least"] <= found[spread]["median"] <= found[spread]["greatest"]


def test_validate_tells_what_a_study_trains_arm_by_arm(command, refused):
    study = "{kind: ablation, seeds: [0, 1], arms: [eavl, random, vgg16_bn], random: seconds}"
    ended = command("validate", "tiny.yaml", "--no-probe", "--set", f"study={study}")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines()[-5:] == [
        "the whole study: 16 trainings of 1 epoch, then 6 final trainings of 1 epoch; above is one search by the file's strategy",
        "  eavl: 2 x 7 trainings, 2 final trainings",
        "  vgg16_bn: 2 x 1 training, 2 final trainings",
        "  random: 2 searches, not counted",
        "  (random: as many as the worker-seconds of the search pay for, which come on top)",
    ]
    named = command(
        "validate", "tiny.yaml", "--no-probe", "--set", "study={kind: batchnorm, network: digits}"
    )
    assert named.out.splitlines()[-1].startswith(
        "the study: not counted, since its arms follow from the best"
    )
    rates = command(
        "validate", "tiny.yaml", "--set", "study={kind: dropout, networks: [C8 P | F4, C4 P | F9]}"
    )
    assert rates.out.splitlines()[1].startswith("2 trainings of 1 epoch, "), (
        "nothing is evolved, whatever the strategy"
    )
    assert "; above is one training of each network that it names" in rates.out
    assert rates.out.splitlines()[-1].startswith("  about ")
    other = ("--set", "strategy={name: random}", "--set", "study={kind: ablation}")
    assert "strategy.name is 'random'; an ablation takes" in refused("validate", "tiny.yaml", *other)


def test_validate_refuses_a_space_that_holds_nothing_feasible(refused):
    message = refused("validate", "tiny.yaml", "--set", "space.max_parameters=3")
    assert message.startswith("none of 101 random chromosomes is feasible: ")
    assert message.endswith(
        "exceed space.max_parameters = 3; raise that limit or lower the ranges under space"
    )


def test_validate_measures_hours_and_memory_on_this_machine(command, tmp_path):
    found = json.loads(command("validate", "tiny.yaml", "--json").out)
    measured = found["measured"]
    assert (measured["networks"], measured["workers"], found["unmeasured"]) == (4, 1, "")
    assert (
        0 < measured["seconds"]["least"] <= measured["seconds"]["median"] <= measured["seconds"]["greatest"]
    )
    assert measured["host_memory"] > 2**26  # torch alone takes more
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_where_nothing_can_be_measured_validate_says_why_and_ends_well(command):
    ended = command("validate", "tiny.yaml", "--set", "workers.device=cuda", "--set", "workers.count=10000")
    assert (ended.status, ended.err) == (0, "")
    (why,) = [line for line in ended.out.splitlines() if "not measured" in line]
    assert "workers.count is 10000" in why or "no GPU was found" in why


def test_with_rungs_networks_are_counted_and_how_many_come_to_each_rung(command):
    """Four are born, of which two go on, then three, of which two do."""
    rungs = "strategy.halving={epochs: [1, 4], keep: 0.5}"
    ended = command("validate", "tiny.yaml", "--no-probe", "--set", "training.epochs=4", "--set", rungs)
    assert ended.out.splitlines()[1:4] == [
        "7 networks; a whole training has 4 epochs, 72 steps",
        "  rungs             all to epoch 1, 4 on to epoch 4",
        "                    together 4.8 whole trainings",
    ]


def test_what_contenders_cost_on_top_is_told_and_how_many_there_are(command):
    def lines(*overrides):
        ended = command(
            "validate", "tiny.yaml", "--no-probe", *(part for one in overrides for part in ("--set", one))
        )
        found = ended.out.splitlines()
        at = next((place for place, line in enumerate(found) if line.startswith("  contenders ")), len(found))
        return found[at : at + 2]

    assert lines() == []
    assert lines("final.contenders=5") == [
        "  contenders        on top, when the best is trained again: 5 networks,",
        "                    3 fresh trainings of 1 epoch each: 15 trainings",
    ]
    again = ("strategy.repeats=1", "final.contenders=50", "final.contender_trainings=2")
    assert lines(*again) == [
        "  contenders        on top, when the best is trained again: 6 networks (of 50 asked for),",
        "                    2 fresh trainings of 1 epoch each: 12 trainings",
    ]
