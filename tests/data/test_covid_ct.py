import os
import re
from pathlib import Path

import pytest

from evosearch.data.covid_ct import list_covid_ct
from evosearch.data.listing import SPLITS, Item
from evosearch.errors import DataError


def test_the_official_split_files_decide_and_covid_is_class_one(covid_ct: Path) -> None:
    listing = list_covid_ct(covid_ct)
    assert listing.classes == ("NonCOVID", "COVID")
    assert listing.splits == {
        split: (Item(f"Images/CT_NonCOVID/{i}.png", 0), Item(f"Images/CT_COVID/{i}.png", 1))
        for i, split in enumerate(SPLITS)
    }
    assert listing.problems == listing.notes == ()


def test_split_files_from_windows_read_the_same(covid_ct: Path) -> None:
    unix = list_covid_ct(covid_ct)
    for path in covid_ct.glob("Data-split/*/*.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert list_covid_ct(covid_ct) == unix


@pytest.mark.parametrize("name", ["gone.png", "../CT_COVID/0.png", ".."])
def test_a_missing_image_is_named_with_its_split_file(covid_ct: Path, name: str) -> None:
    (covid_ct / "Data-split/COVID/valCT_COVID.txt").write_text(f"1.png\n{name}\n")
    expected = f"'Data-split/COVID/valCT_COVID.txt' line 2 names {name!r}, which is not in 'Images/CT_COVID'"
    assert list_covid_ct(covid_ct).problems == (expected,)


def test_a_split_file_of_garbage_gives_problems_not_a_crash(covid_ct: Path) -> None:
    (covid_ct / "Data-split/NonCOVID/trainCT_NonCOVID.txt").write_bytes(b"\xff\xfe\x00\n0.png\n\xe9.png")
    problems = list_covid_ct(covid_ct).problems
    assert [problem.split(" names ")[0].split()[-1] for problem in problems] == ["1", "3"]
    assert all(problem.isprintable() for problem in problems)


def test_an_image_that_links_out_of_the_folder_is_refused(covid_ct: Path, tmp_path: Path) -> None:
    image = covid_ct / "Images/CT_COVID/0.png"
    image.rename(tmp_path / "elsewhere.png")
    image.symlink_to(tmp_path / "elsewhere.png")
    listing = list_covid_ct(covid_ct)
    assert listing.problems == (
        "'Images/CT_COVID/0.png' is a link that leads out of the data folder; `data.follow_links: true` follows links",
    )
    assert (listing.refused, listing.ignored) == (1, {".txt": 6})
    assert list_covid_ct(covid_ct, follow_links=True).problems == ()


def test_images_in_no_split_file_are_noted(covid_ct: Path) -> None:
    os.link(covid_ct / "Images/CT_COVID/0.png", covid_ct / "Images/CT_COVID/extra.png")
    note = "1 file is in no split file and is not used, first 'Images/CT_COVID/extra.png'"
    assert list_covid_ct(covid_ct).notes == (note,)
    assert list_covid_ct(covid_ct).ignored == {".txt": 6, ".png in no split file": 1}


@pytest.mark.parametrize("missing", ["Data-split/NonCOVID/testCT_NonCOVID.txt", "Images/CT_COVID"])
def test_another_layout_is_refused_with_what_is_missing(covid_ct: Path, missing: str) -> None:
    (covid_ct / missing).rename(covid_ct / "away")
    with pytest.raises(DataError, match=re.escape(f"not laid out like COVID-CT: '{missing}' is missing")):
        list_covid_ct(covid_ct)
