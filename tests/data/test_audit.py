"""What is found in data, and the words for it."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evosearch.data import (
    Audit,
    CovidCtSettings,
    Dataset,
    DigitsSettings,
    ImageFolderSettings,
    Split,
    audit,
    audit_data,
    first_look,
    kept_audit,
    load_dataset,
    shortcut_on_test,
)
from tests.data.audited import dataset_of, headers_of, of_different_scans, resaved, scan

COUNTS = {"train": 40, "validation": 20, "test": 20}


def stored(*path: str) -> Path:
    """Real data of this machine."""
    shared = Path(os.environ.get("EVOSEARCH_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not shared.joinpath(*path).exists():
        pytest.skip(f"{'/'.join(path)} is not here; set EVOSEARCH_DATA to the folder that holds it")
    return shared


def test_of_sound_data_nothing_is_said() -> None:
    made = audit_data(dataset_of(of_different_scans(COUNTS)), None)
    assert (made.caveats, made.unsaid, made.twins, made.conflicts) == ((), (), (), ())
    assert (made.set_aside, made.shortcut_validation, made.split_shift) == (0, None, ())
    assert made.constant_answer == 0.5
    assert made.shares["train"] == {"cat": 0.5, "dog": 0.5}


def test_twenty_planted_twins_and_conflicts_are_found_by_name() -> None:
    drawn = of_different_scans(COUNTS)
    conflicting = [number for number in range(20) if number % 4 in (1, 2)]  # of each class as many
    for number in range(20):
        label, picture = drawn["train"][number]
        other = 1 - label if number in conflicting else label
        drawn["test"][number] = (other, resaved(picture, (0.7, 1.5)[number % 2], 60, 0.9, 5))
    made = audit_data(dataset_of(drawn), None)
    assert {(one.split, one.name, one.other_split, one.other_name) for one in made.twins} == {
        ("train", f"{number}.png", "test", f"{number}.png") for number in range(20)
    }
    assert {one.name for one in made.conflicts} == {f"{number}.png" for number in conflicting}
    assert (made.twin_counts, made.leaked) == ({"train, test": 20}, {"validation": 0, "test": 20})
    assert made.conflict_count == 10
    leak, conflict = made.caveats
    assert leak.startswith("20 of 20 images of test have a twin in train, first ")
    assert conflict.startswith("10 pairs of twins under different labels, first ")
    assert made.unsaid == (leak,)  # whoever loads the data is told of the conflicts


def test_equal_pictures_are_twins_and_leaks_are_counted_by_image_not_by_pair() -> None:
    drawn = of_different_scans(COUNTS)
    copied = drawn["train"][0]
    drawn["train"][2] = drawn["test"][0] = drawn["test"][2] = drawn["validation"][4] = copied
    made = audit_data(dataset_of(drawn), None)
    assert made.leaked == {"validation": 1, "test": 2}
    assert made.twin_counts == {
        "train, validation": 1,
        "train, test": 1,
        "validation, test": 1,
        "train, train": 1,
        "test, test": 1,
    }
    assert {one.likeness for one in made.twins} == {1.0}
    assert made.caveats[0].startswith(
        "1 of 20 images of validation and 2 of 20 images of test have a twin in train, first '0.png' as '4.png' of validation"
    )


def test_pictures_of_one_colour_and_placeholders_are_counted() -> None:
    drawn = of_different_scans(COUNTS)
    for number in range(0, 12, 2):
        drawn["train"][number] = drawn["train"][0]
    for number in range(1, 7, 2):
        drawn["train"][number] = (1, np.full_like(scan(0), 255 - number // 6))
    made = audit_data(dataset_of(drawn), None)
    assert made.repeated == (("train", "0.png", 6),)
    assert made.constant_images == (("train", "1.png", 3),)
    assert any(
        text.startswith(
            "1 picture is there again and again, '0.png' of train 6 times: it may stand for pictures that"
        )
        for text in made.caveats
    )
    assert any(
        text.startswith("3 images are of one colour and show nothing, first '1.png'") for text in made.caveats
    )


def of_shares(*positive: tuple[int, int]) -> Dataset:
    """For each split how many images it has, and how many are of class 1; the pictures are small and all different."""
    rng = np.random.default_rng(0)
    splits = [
        Split(
            rng.integers(0, 256, (count, 1, 4, 4), dtype=np.uint8),
            (np.arange(count) < ones).astype(np.int64),
        )
        for count, ones in positive
    ]
    return Dataset(*splits, ("normal", "pneumonia"), "key")


def test_a_class_with_other_shares_is_told_with_all_of_them() -> None:
    made = audit_data(of_shares((3882, 3494), (524, 389), (624, 390)), None)
    assert made.caveats == (
        "classes have other shares in test than in train: 'pneumonia' is 90.0% of train, 74.2% of validation, 62.5% of test; "
        "accuracies of these splits do not compare",
    )
    assert [(one.one, one.other) for one in made.share_shift] == [
        ("train", "test"),
        ("train", "validation"),
        ("validation", "test"),
    ]
    assert made.set_aside is None  # pictures so small


@pytest.mark.parametrize(
    "shares",
    [((1000, 500), (1000, 460), (1000, 500)), ((40, 20), (20, 13), (20, 10))],
    ids=["less than five points", "five points that are chance"],
)
def test_shares_that_differ_little_or_by_chance_are_no_shift(shares: tuple[tuple[int, int], ...]) -> None:
    assert audit_data(of_shares(*shares), None).share_shift == ()


def test_the_worst_is_said_first() -> None:
    drawn = of_different_scans(COUNTS)
    drawn["test"][0] = drawn["train"][0]
    headers = {
        split: headers_of([(100 + 50 * label, 100) for label, _ in drawn[split]]) for split in drawn
    }  # each class has a size of its own
    made = audit_data(dataset_of(drawn, headers), None)
    assert [text[:17] for text in made.caveats] == ["file headers alon", "1 of 20 images of"]
    assert "100.0% of validation, a constant answer on 50.0%" in made.caveats[0]


def test_an_audit_is_kept_and_read_back_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = of_different_scans(COUNTS)
    drawn["test"][0] = drawn["train"][1]
    drawn["train"][3] = (1, np.zeros_like(scan(0)))
    headers = {split: headers_of([(100 + n, 100) for n in range(len(drawn[split]))]) for split in drawn}
    dataset = dataset_of(drawn, headers)
    assert kept_audit(dataset, tmp_path) is None
    made = audit_data(dataset, tmp_path)
    assert made.caveats and made.twins and made.split_shift and made.constant_images
    monkeypatch.delattr(audit, "find_all")
    assert audit_data(dataset, tmp_path) == made
    (path,) = tmp_path.iterdir()
    assert json.loads(path.read_text()) == json.loads(json.dumps(made.to_json()))
    for other in (replace(dataset, key="other"), replace(dataset, headers=None), replace(dataset, names={})):
        assert kept_audit(other, tmp_path) is None


@pytest.mark.parametrize("damage", ["", "{}", "[1]", '{"counts": 1', '{"twins": [{"x": 1}]}'])
def test_a_broken_audit_is_made_anew(tmp_path: Path, damage: str) -> None:
    dataset = of_shares((40, 20), (20, 10), (20, 10))
    made = audit_data(dataset, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text(damage)
    assert audit_data(dataset, tmp_path) == made
    assert kept_audit(dataset, tmp_path) == made


def test_an_audit_is_made_even_where_none_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where the cache folder should be")
    assert isinstance(audit_data(of_shares((40, 20), (20, 10), (20, 10)), tmp_path / "file"), Audit)


def test_whoever_begins_a_search_hears_the_worst_and_how_much_more_there_is() -> None:
    drawn = of_different_scans(COUNTS)
    drawn["test"][0] = (drawn["train"][0][0], resaved(drawn["train"][0][1], 0.7, 70, 1, 0))
    drawn["train"][3] = (1, np.zeros_like(scan(0)))
    drawn["train"][10] = drawn["train"][12]
    dataset = dataset_of(drawn)
    every = audit_data(dataset, None).unsaid
    assert len(every) == 3
    assert first_look(dataset, None) == (*every[:2], "`evosearch data CONFIG` has 1 more to say")
    assert first_look(dataset, None, most=3) == every
    assert first_look(dataset_of(of_different_scans(COUNTS)), None) == ()


def test_of_very_many_images_only_what_is_kept_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = of_shares((3882, 3494), (524, 389), (624, 390))
    monkeypatch.setattr(audit, "QUICK", 5000)
    assert first_look(dataset, tmp_path) == (
        "5,030 images are not audited yet; `evosearch data CONFIG` does so, once",
    )
    made = audit_data(dataset, tmp_path)
    assert first_look(dataset, tmp_path) == made.unsaid


def test_digits_have_no_headers_and_nothing_is_wrong_with_them_but_that_ten_statistics_tell_some(
    tmp_path: Path,
) -> None:
    made = audit_data(load_dataset(DigitsSettings(), env={}, cwd=tmp_path, cache=None), None)
    assert (made.shortcut_validation, made.split_shift, made.unsaid) == (None, (), ())
    assert made.pixels_validation == pytest.approx(0.61, abs=0.03)
    (caveat,) = made.caveats
    assert caveat.startswith("ten statistics of the pixels alone")


def test_the_real_covid_ct_has_shortcuts_shifts_and_two_conflicts() -> None:
    shared = stored("covid-ct")
    settings = CovidCtSettings(root="covid-ct", image_size=32)
    data = load_dataset(settings, env={"EVOSEARCH_DATA": str(shared)}, cwd=shared, cache=None)
    made = audit_data(data, None)
    assert made.shortcut_validation == pytest.approx(0.63, abs=0.03)
    assert shortcut_on_test(data) == pytest.approx(0.85, abs=0.02)
    assert made.constant_answer == pytest.approx(60 / 118)
    assert len([shift for shift in made.split_shift if shift.told_apart]) == 3
    assert [(one.name, one.other_name) for one in made.conflicts] == [
        (f"Images/CT_NonCOVID/71%{twin}.jpg", f"Images/CT_COVID/kjr-21-e24-p5-{scan}.png")
        for twin, scan in ((0, 29), (1, 31))
    ]
    assert made.leaked == {"validation": 0, "test": 2}
    assert made.twin_counts == {
        "train, test": 2,
        "train, train": 10,
        "test, test": 4,
        "validation, validation": 1,
    }
    assert made.set_aside == 18  # none of them is a twin, and none of another patient is among the twins


def test_the_real_pneumoniamnist_shifts_its_classes_and_has_equal_images_in_two_splits() -> None:
    with np.load(stored("pneumoniamnist.npz") / "pneumoniamnist.npz") as file:
        splits = [
            Split(file[f"{split}_images"][:, None], file[f"{split}_labels"][:, 0].astype(np.int64))
            for split in ("train", "val", "test")
        ]
    made = audit_data(Dataset(*splits, ("normal", "pneumonia"), "key"), None)
    assert "'pneumonia' is 90.0% of train, 74.2% of validation, 62.5% of test" in made.caveats[0]
    assert {one.likeness for one in made.twins} == {1.0}  # no false alarm among X-rays
    assert (made.conflicts, made.set_aside) == ((), 6)


@pytest.mark.slow  # decodes 5,856 files
def test_the_real_paediatric_xrays_have_equal_files_and_no_false_alarm() -> None:
    shared = stored("kermany224")
    settings = ImageFolderSettings(root="kermany224", image_size=64, channels=1)
    data = load_dataset(settings, env={"EVOSEARCH_DATA": str(shared)}, cwd=shared, cache=None)
    made = audit_data(data, None)
    assert {one.likeness for one in made.twins} == {1.0}
    assert made.twin_counts == {"train, train": 26, "test, test": 6}
    assert made.set_aside == pytest.approx(1918, abs=20)
    assert made.split_shift == ()  # all files have one size
