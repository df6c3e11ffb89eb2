import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evosearch.data import (
    CovidCtSettings,
    Dataset,
    DataSettings,
    DigitsSettings,
    ImageFolderSettings,
    inspect_data,
    load_dataset,
)
from evosearch.data.loading import positive_class
from evosearch.errors import ConfigError, DataError

SETTINGS = ImageFolderSettings(root="pets", image_size=4)


def load(pets: Path, cache: Path | None = None, settings: DataSettings = SETTINGS) -> Dataset:
    return load_dataset(settings, env={"EVOSEARCH_DATA": str(pets.parent)}, cwd=Path("/nowhere"), cache=cache)


def test_images_and_labels_stay_together_through_cut_and_decoding(pets: Path) -> None:
    for path in (pets / "dog").iterdir():
        Image.new("RGB", (6, 6), "white").save(path)
    data = load(pets)
    for split, count in ((data.train, 9), (data.validation, 3), (data.test, 3)):
        assert split.images.shape == (count, 3, 4, 4)
        white = split.images.min(axis=(1, 2, 3)) == 255
        np.testing.assert_array_equal(split.labels, white)


def test_the_key_does_not_depend_on_place_cache_or_order_of_writing(pets: Path, tmp_path: Path) -> None:
    first = load(pets, tmp_path / "cache")
    elsewhere = tmp_path / "elsewhere" / "pets"
    for path in sorted(pets.rglob("*.png"), reverse=True):
        copy = elsewhere / path.relative_to(pets)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    assert load(pets, tmp_path / "cache").key == load(elsewhere).key == first.key


def test_another_cut_or_size_has_another_key(pets: Path) -> None:
    settings = [
        SETTINGS,
        ImageFolderSettings(root="pets", image_size=4, split_seed=1),
        ImageFolderSettings(root="pets", image_size=5),
    ]
    assert len({load(pets, settings=one).key for one in settings}) == 3


def test_every_bad_file_is_named_in_one_error(pets: Path) -> None:
    (pets / "cat/1.png").write_bytes(b"")
    (pets / "cat/2.png").write_text("no image")
    whole = (pets / "dog/3.png").read_bytes()
    (pets / "dog/3.png").write_bytes(whole[: len(whole) // 2])
    (pets / "dog/4.png").write_bytes(b"BM")
    with pytest.raises(DataError) as caught:
        load(pets)
    assert [problem.split()[0] for problem in caught.value.problems] == [
        "'cat/1.png'",
        "'cat/2.png'",
        "'dog/3.png'",
        "'dog/4.png'",
    ]
    start = f"bad files (4) in '{pets}': 'cat/1.png' is empty; 'cat/2.png' is not an image"
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith(
        "; and 1 more; remove or replace them (`evosearch data CONFIG` lists all)"
    )
    assert "\n" not in str(caught.value)


def test_a_link_that_leads_out_is_answered_with_its_repair_once(pets: Path, tmp_path: Path) -> None:
    (pets / "cat/1.png").rename(tmp_path / "1.png")
    (pets / "cat/1.png").symlink_to(tmp_path / "1.png")
    with pytest.raises(DataError) as caught:
        load(pets)
    assert str(caught.value) == (
        f"bad files (1) in '{pets}': 'cat/1.png' is a link that leads out of the data folder; "
        "`data.follow_links: true` follows links (`evosearch data CONFIG` lists all)"
    )


def test_a_decompression_bomb_is_named_by_its_path(pets: Path) -> None:
    settings = ImageFolderSettings(root="pets", max_image_pixels=35)
    with pytest.raises(
        DataError, match=re.escape("is a decompression bomb, first 'cat/0.png': 6 x 6 pixels")
    ):
        load(pets, settings=settings)


def test_a_missing_image_is_told_before_its_class_is_found_empty(covid_ct: Path) -> None:
    (covid_ct / "Images/CT_COVID/2.png").unlink()
    with pytest.raises(DataError, match=r"testCT_COVID.txt' line 1 names '2.png', which is not in"):
        load(covid_ct, settings=CovidCtSettings(root="covid-ct"))


def test_an_image_in_two_splits_is_noted_not_refused(covid_ct: Path) -> None:
    images = covid_ct / "Images/CT_COVID"
    shutil.copy(images / "0.png", images / "2.png")
    data = load(covid_ct, settings=CovidCtSettings(root="covid-ct", image_size=4))
    assert data.notes == (
        "1 image is in two splits, first 'Images/CT_COVID/0.png' of train as 'Images/CT_COVID/2.png' of test; "
        "accuracy on them shows memory, not skill (`evosearch data CONFIG` lists them)",
    )


def test_a_name_that_a_split_list_repeats_is_refused_for_a_new_search_and_a_note_for_one_that_has_begun(
    covid_ct: Path,
) -> None:
    settings = CovidCtSettings(root="covid-ct", image_size=4)
    with (covid_ct / "Data-split/NonCOVID/testCT_NonCOVID.txt").open("a") as file:
        file.write("2.png\n")
    line = "'Data-split/NonCOVID/testCT_NonCOVID.txt' line 2 names '2.png' again, after line 1"
    with pytest.raises(DataError) as caught:
        load(covid_ct, settings=settings)
    assert caught.value.problems == (line,)
    assert f"(1) in '{covid_ct}': {line}; name each image once" in str(caught.value)
    begun = load_dataset(
        settings, env={"EVOSEARCH_DATA": str(covid_ct.parent)}, cwd=covid_ct, cache=None, begun=True
    )
    assert begun.notes == (line,)
    assert len(begun.test) == 3


def test_one_picture_under_two_labels_is_noted_not_refused(pets: Path) -> None:
    before = load(pets)
    shutil.copy(pets / "cat/0.png", pets / "dog/0.png")
    after = load(pets)
    assert [note.split(",")[0] for note in after.notes if "labels" in note] == [
        "1 pair of equal images under different labels"
    ]
    assert sum(map(len, (after.train, after.validation, after.test))) == 15
    assert after.key != before.key


def test_what_the_operating_system_refuses_is_one_line_too(covid_ct: Path) -> None:
    with (covid_ct / "Data-split/COVID/trainCT_COVID.txt").open("a") as file:
        file.write("x" * 300)
    with pytest.raises(DataError, match="x' cannot be read: File name too long"):
        load(covid_ct, settings=CovidCtSettings(root="covid-ct"))


def test_digits_need_no_root_and_no_cache(tmp_path: Path) -> None:
    data = load_dataset(DigitsSettings(), env={}, cwd=tmp_path, cache=tmp_path)
    assert (data.train.images.shape, data.notes) == ((1151, 1, 8, 8), ())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("chosen", "number"), [(None, 1), ("cat", 0), ("dog", 1), (0, 0), (1, 1)])
def test_the_positive_class_is_chosen_by_name_or_number_and_is_else_the_second(
    chosen: str | int | None, number: int
) -> None:
    assert positive_class(chosen, ("cat", "dog")) == number


def test_a_class_whose_name_is_a_number_is_told_from_the_number_of_a_class() -> None:
    assert (positive_class("1", ("1", "0")), positive_class(1, ("1", "0"))) == (0, 1)


@pytest.mark.parametrize("chosen", ["cow", 2, -1])
def test_a_positive_class_that_is_not_there_is_refused_with_those_that_are(chosen: str | int) -> None:
    with pytest.raises(
        ConfigError, match=rf"^data.positive is {chosen!r}; choose one of the classes 'cat', 'dog'"
    ):
        positive_class(chosen, ("cat", "dog"))


def test_the_command_refuses_a_positive_class_that_is_not_there_as_a_search_does(pets: Path) -> None:
    settings = ImageFolderSettings(root="pets", image_size=4, positive="zebra")
    for read in (load_dataset, inspect_data):
        with pytest.raises(
            ConfigError, match=r"^data.positive is 'zebra'; choose one of the classes 'cat', 'dog'"
        ):
            read(settings, env={"EVOSEARCH_DATA": str(pets.parent)}, cwd=pets, cache=None)


def test_of_several_classes_none_is_positive() -> None:
    with pytest.raises(ConfigError, match=r"there are 3 classes \('a', 'b', 'c'\): figures are averaged"):
        positive_class("a", ("a", "b", "c"))


def test_the_positive_class_changes_no_data_and_goes_with_them_to_workers(pets: Path) -> None:
    chosen = ImageFolderSettings(root="pets", image_size=4, positive="cat")
    loaded = [load(pets, settings=settings) for settings in (SETTINGS, chosen)]
    assert [data.for_search().positive for data in loaded] == [1, 0]
    assert loaded[0].key == loaded[1].key
