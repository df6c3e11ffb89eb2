import os
import re
from pathlib import Path

import pytest

from evosearch.data import KermanySettings, load_dataset
from evosearch.data.kermany import list_kermany
from evosearch.data.listing import Listing
from evosearch.errors import DataError
from tests.data.conftest import WriteImages

SETTINGS = KermanySettings(root="xrays", image_size=4, channels=1)
ILL = [
    f"person{person}_{germ}_{n}" for person in range(1, 9) for germ in ("bacteria", "virus") for n in (7, 8)
]
HEALTHY = [
    f"{series}IM-{n:04}-{tail}"
    for n in range(115, 130)
    for series, tail in (("", "0001"), ("NORMAL2-", "0001-0002"))
]


def published(root: Path, write_images: WriteImages) -> Path:
    """As the archive unpacks: 62 images in train, 4 in val, 4 in test."""
    named = {
        "train/PNEUMONIA": ILL,
        "train/NORMAL": HEALTHY,
        "val/PNEUMONIA": ["person1_bacteria_900", "person10_virus_9"],
        "val/NORMAL": ["NORMAL2-IM-0115-0001", "NORMAL2-IM-0300-0001"],
        "test/PNEUMONIA": ["person100_bacteria_475", "person100_virus_478"],
        "test/NORMAL": ["IM-0001-0001", "NORMAL2-IM-0117-0001"],
    }
    for folder, names in named.items():
        for path, name in zip(write_images(root / folder, len(names)), names, strict=True):
            path.rename(path.with_name(f"{name}.png"))
    return root


@pytest.fixture
def xrays(tmp_path: Path, write_images: WriteImages) -> Path:
    return published(tmp_path / "xrays", write_images)


def keys(listing: Listing, split: str) -> set[str]:
    """What belongs together, read off the names: a person with a germ, or the number of who is well."""
    names = [item.name for name, items in listing.splits.items() if name == split for item in items]
    found = [re.search(r"person\d+_[a-z]+|IM-\d+", name) for name in names]
    return {one[0] for one in found if one}


def test_pneumonia_is_class_one_and_the_published_test_split_stays(xrays: Path) -> None:
    listing = list_kermany(xrays, SETTINGS)
    assert listing.classes == ("NORMAL", "PNEUMONIA")
    assert [(item.name.rpartition("/")[0], item.label) for item in listing.splits["test"]] == [
        ("test/NORMAL", 0),
        ("test/NORMAL", 0),
        ("test/PNEUMONIA", 1),
        ("test/PNEUMONIA", 1),
    ]
    assert listing.problems == listing.notes == ()


@pytest.mark.parametrize("seed", range(5))
def test_train_and_val_are_cut_anew_and_no_person_or_number_stands_in_both(xrays: Path, seed: int) -> None:
    settings = KermanySettings(root="xrays", split_seed=seed)
    listing = list_kermany(xrays, settings)
    assert not keys(listing, "train") & keys(listing, "validation")
    assert len(listing.splits["train"]) + len(listing.splits["validation"]) == len(ILL) + len(HEALTHY) + 4
    for label in (0, 1):
        share = [
            sum(item.label == label for item in listing.splits[split]) for split in ("train", "validation")
        ]
        assert 0.1 < share[1] / sum(share) < 0.3
    assert listing == list_kermany(xrays, settings)


def test_another_seed_or_share_cuts_otherwise(xrays: Path) -> None:
    cuts = {
        list_kermany(xrays, settings).splits["validation"]
        for settings in (
            SETTINGS,
            KermanySettings(root="xrays", split_seed=1),
            KermanySettings(root="xrays", validation_fraction=0.4),
        )
    }
    assert len(cuts) == 3


@pytest.mark.parametrize("missing", ["val/NORMAL", "test/PNEUMONIA", "train"])
def test_another_layout_is_refused_with_what_is_missing(xrays: Path, missing: str) -> None:
    (xrays / missing).rename(xrays / "away")
    folder = missing if "/" in missing else f"{missing}/NORMAL"
    with pytest.raises(
        DataError, match=rf"laid out like Kermany's chest X-rays: '{folder}' is missing; it needs"
    ):
        list_kermany(xrays, SETTINGS)


def test_files_that_are_no_images_or_in_no_class_are_counted_and_other_names_noted(
    xrays: Path, write_images: WriteImages
) -> None:
    (xrays / "train/NORMAL/.DS_Store").write_text("")
    write_images(xrays / "train/COVID", 2)
    write_images(xrays / "more", 1)
    (xrays / "test/NORMAL/IM-0001-0001.png").rename(xrays / "test/NORMAL/healthy.png")
    listing = list_kermany(xrays, SETTINGS)
    assert listing.ignored == {".png outside the class folders": 3, "hidden": 1}
    assert listing.notes[1:] == (
        "1 image is not named like the published ones (personN_virus_N, IM-N-N), each a group by itself, first "
        "'test/NORMAL/healthy.png'",
    )


def test_a_person_of_train_who_stands_in_test_too_is_noted(xrays: Path) -> None:
    (xrays / "test/PNEUMONIA/person100_virus_478.png").rename(xrays / "test/PNEUMONIA/person3_virus_9.png")
    (note,) = list_kermany(xrays, SETTINGS).notes
    assert "group is in several splits: 'person3_virus' in " in note
    assert note.endswith(" and test")


def test_the_images_are_read_as_any_others(xrays: Path) -> None:
    data = load_dataset(SETTINGS, env={}, cwd=xrays.parent, cache=None)
    assert data.train.images.shape[1:] == (1, 4, 4)
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    with pytest.raises(TypeError, match="test_fraction"):
        KermanySettings(root="xrays", test_fraction=0.5)  # type: ignore[call-arg] # what the type says


def test_the_published_archive_is_cut_by_person_germ_and_number() -> None:
    root = Path(os.environ.get("EVOSEARCH_DATA", ""), "kermany224")
    if not root.is_dir() or "EVOSEARCH_DATA" not in os.environ:
        pytest.skip("set EVOSEARCH_DATA to the folder that holds kermany224")
    listing = list_kermany(root, SETTINGS)
    counts = {
        split: [sum(i.label == label for i in items) for label in (0, 1)]
        for split, items in listing.splits.items()
    }
    assert counts == {"train": [1079, 3106], "validation": [270, 777], "test": [234, 390]}
    assert not keys(listing, "train") & keys(listing, "validation")
    assert {one for one in keys(listing, "test") if "person" in one}.isdisjoint(keys(listing, "train"))
    assert listing.problems == listing.notes == ()
