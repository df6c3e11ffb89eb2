"""Pictures in two splits and pictures under two labels, drawn here."""

from collections.abc import Mapping

import numpy as np
import pytest

from evosearch.data import hygiene, twins
from evosearch.data.arrays import Split
from evosearch.data.hygiene import MOST_ALIKE, examine
from evosearch.data.listing import SPLITS, Item, Listing, SplitName
from evosearch.evaluation import Images

CLASSES = ("cat", "dog")
Drawn = Mapping[SplitName, list[tuple[int, Images]]]


def noise(seed: int, side: int = 24, channels: int = 3) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (channels, side, side), dtype=np.uint8)


def examined(drawn: Drawn) -> hygiene.Hygiene:
    """`drawn`: class number and picture of each, by split; the n-th picture of a split is called `n.png`."""
    items = {
        split: tuple(Item(f"{n}.png", label) for n, (label, _) in enumerate(drawn.get(split, [])))
        for split in SPLITS
    }
    arrays = {
        split: Split(
            np.array([picture for _, picture in drawn.get(split, [])], np.uint8).reshape(-1, *SHAPE),
            np.array([label for label, _ in drawn.get(split, [])], np.int64),
        )
        for split in SPLITS
    }
    return examine(Listing(CLASSES, items), arrays)


SHAPE = (3, 24, 24)


def test_different_pictures_are_nothing_to_tell_of() -> None:
    found = examined(
        {split: [(n % 2, noise(10 * i + n)) for n in range(6)] for i, split in enumerate(SPLITS)}
    )
    assert (found.duplicates, found.contradictions, found.alike, found.alike_count) == ((), (), (), 0)
    assert found.notes == ()


@pytest.mark.parametrize("split", SPLITS)
def test_one_picture_under_two_labels_inside_a_split_is_listed(split: SplitName) -> None:
    found = examined({split: [(0, noise(1)), (0, noise(2)), (1, noise(1))]})
    assert [str(pair) for pair in found.contradictions] == [f"{split} 0.png (cat) = {split} 2.png (dog)"]
    assert found.duplicates == found.alike == ()
    assert found.notes == (
        f"1 pair of equal images under different labels, first '0.png' of {split} (cat) and '2.png' of {split} (dog); "
        "one label of each is wrong",
    )


def test_one_picture_under_two_labels_in_two_splits_is_a_duplicate_and_a_contradiction() -> None:
    found = examined({"train": [(0, noise(1))], "test": [(1, noise(1))]})
    assert [str(pair) for pair in found.contradictions] == ["train 0.png (cat) = test 0.png (dog)"]
    assert [tuple(pair) for pair in found.duplicates] == [("train", "0.png", "test", "0.png")]
    assert len(found.notes) == 2


def test_each_further_copy_under_another_label_than_the_first_is_listed_and_copies_of_its_own_are_not() -> (
    None
):
    copies = [(0, noise(1)), (1, noise(1)), (0, noise(1)), (1, noise(1))]
    found = examined({"train": copies})
    assert [pair.other_name for pair in found.contradictions] == ["1.png", "3.png"]
    assert {pair.name for pair in found.contradictions} == {"0.png"}


def test_one_picture_often_under_one_label_is_no_contradiction() -> None:
    assert examined({"train": [(1, noise(1)), (1, noise(1))]}).notes == ()


def disturbed(picture: Images) -> Images:
    """The same scan, as another programme saved it: darker, of less contrast, a little noise."""
    rng = np.random.default_rng(0)
    return np.clip(picture * 0.8 + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def test_the_same_scan_saved_otherwise_under_another_label_is_found_as_nearly_equal() -> None:
    found = examined({"train": [(0, noise(1)), (1, noise(2))], "test": [(1, disturbed(noise(1)))]})
    assert found.contradictions == found.duplicates == ()
    (pair,) = found.alike
    assert str(pair) == "train 0.png (cat) ~ test 0.png (dog)"
    assert 0.99 <= pair.likeness < 1
    assert found.alike_count == 1
    assert found.notes[0].startswith("1 pair of nearly equal images under different labels, first ")


def test_the_same_scan_under_its_own_label_is_nothing_to_tell_of() -> None:
    assert examined({"train": [(0, noise(1)), (0, disturbed(noise(1)))]}).alike_count == 0


def test_pictures_of_one_colour_are_like_no_other() -> None:
    plain = [(n % 2, np.full(SHAPE, 40 * n, np.uint8)) for n in range(6)]
    assert examined({"train": [*plain, (0, noise(1))]}).alike_count == 0


def test_of_very_many_the_likest_are_kept_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "_CHUNK", 7)  # pairs within a piece and across
    picture = noise(1)
    many = [(n % 2, np.clip(picture + np.uint8(0), n, 255).astype(np.uint8)) for n in range(20)]
    found = examined({"train": many[:9], "validation": many[9:11], "test": many[11:]})
    assert found.alike_count == 10 * 10
    assert len(found.alike) == MOST_ALIKE
    assert [pair.likeness for pair in found.alike] == sorted(
        (pair.likeness for pair in found.alike), reverse=True
    )
    assert (
        len({(pair.split, pair.name, pair.other_split, pair.other_name) for pair in found.alike})
        == MOST_ALIKE
    )
    assert all(pair.label != pair.other_label for pair in found.alike)


def test_among_too_many_likeness_is_not_looked_for_but_equality_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hygiene, "MOST_WHILE_LOADING", 2)
    found = examined({"train": [(0, noise(1)), (1, noise(1)), (1, disturbed(noise(1)))]})
    assert (len(found.contradictions), found.alike, found.alike_count) == (1, (), None)
