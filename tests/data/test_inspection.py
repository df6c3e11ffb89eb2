import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from evosearch.data import (
    CovidCtSettings,
    DataReport,
    DataSettings,
    DigitsSettings,
    ImageFolderSettings,
    SourceImages,
    inspect_data,
    load_dataset,
)
from evosearch.data.listing import SPLITS


def repeat(root: Path) -> None:
    with (root / "Data-split/COVID/trainCT_COVID.txt").open("a") as file:
        file.write("\n0.png\n0.png\n")


def inspected(root: Path, settings: DataSettings, cache: Path | None = None) -> DataReport:
    return inspect_data(settings, env={"EVOSEARCH_DATA": str(root.parent)}, cwd=root, cache=cache)


def test_the_report_says_what_the_data_are(
    pets: Path, write_images: Callable[..., object], tmp_path: Path
) -> None:
    write_images(pets / "cat", 2, mode="L", side=9)
    settings = ImageFolderSettings(root="pets", image_size=5)
    for _ in ("decoded", "from the cache"):
        report = inspected(pets, settings, tmp_path / "cache")
        assert (report.root, report.classes, report.image) == (str(pets), ("cat", "dog"), (3, 5, 5))
        assert report.counts["train"] == {"cat": 6, "dog": 3}
        assert report.source == SourceImages(6, 9, {"L": 2, "RGB": 13})
    env = {"EVOSEARCH_DATA": str(tmp_path)}
    assert report.key == load_dataset(settings, env=env, cwd=tmp_path, cache=None).key


def test_bad_files_are_listed_and_the_rest_is_counted(pets: Path) -> None:
    for name in ("cat/0.png", "dog/0.png"):
        (pets / name).write_bytes(b"")
    report = inspected(pets, ImageFolderSettings(root="pets", image_size=5))
    assert report.bad_files == ("'cat/0.png' is empty", "'dog/0.png' is empty")
    assert report.key is None
    assert sum(n for split in report.counts.values() for n in split.values()) == 13
    assert report.duplicates == ()  # bad files are not taken for equal black images


def test_each_pair_of_splits_that_share_an_image_is_listed(covid_ct: Path) -> None:
    images = covid_ct / "Images/CT_COVID"
    for name in ("1.png", "2.png"):
        shutil.copy(images / "0.png", images / name)
    report = inspected(covid_ct, CovidCtSettings(root="covid-ct", image_size=4))
    folder = "Images/CT_COVID"
    assert json.loads(json.dumps(report.to_json()))["duplicates"] == [
        ["train", f"{folder}/0.png", "validation", f"{folder}/1.png"],
        ["train", f"{folder}/0.png", "test", f"{folder}/2.png"],
        ["validation", f"{folder}/1.png", "test", f"{folder}/2.png"],
    ]


def test_a_name_that_a_split_list_repeats_is_told_and_the_data_stay_what_they_are(covid_ct: Path) -> None:
    settings = CovidCtSettings(root="covid-ct", image_size=4)
    once = inspected(covid_ct, settings)
    repeat(covid_ct)
    report = inspected(covid_ct, settings)
    assert report.repeats == (
        "'Data-split/COVID/trainCT_COVID.txt' line 3 names '0.png' again, after line 1",
        "'Data-split/COVID/trainCT_COVID.txt' line 4 names '0.png' again, after line 1",
    )
    assert (report.bad_files, report.counts["train"]) == ((), {"NonCOVID": 1, "COVID": 3})
    assert report.key not in (None, once.key)  # each stands there as often as it is named, as it always has


def test_a_source_without_files_has_no_root_and_no_source_sizes(tmp_path: Path) -> None:
    report = inspected(tmp_path, DigitsSettings())
    assert (report.root, report.source, report.bad_files) == (None, None, ())


@pytest.fixture(scope="module")
def real_covid_ct() -> DataReport:
    shared = Path(os.environ.get("EVOSEARCH_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not (shared / "covid-ct").is_dir():
        pytest.skip("COVID-CT is not here; set EVOSEARCH_DATA to the folder that holds covid-ct")
    return inspected(shared / "covid-ct", CovidCtSettings(root="covid-ct", image_size=32))


def test_the_real_covid_ct_has_the_counts_of_its_paper(real_covid_ct: DataReport) -> None:
    report = real_covid_ct
    assert [tuple(report.counts[split].values()) for split in SPLITS] == [(234, 191), (58, 60), (105, 98)]
    assert report.source == SourceImages(61, 1671, {"L": 44, "RGB": 528, "RGBA": 174})
    assert (report.bad_files, report.duplicates, report.contradictions, report.repeats) == ((), (), (), ())


def test_the_two_scans_that_covid_ct_has_under_opposite_labels_are_found_and_nothing_else(
    real_covid_ct: DataReport,
) -> None:
    assert [str(pair) for pair in real_covid_ct.alike] == [
        f"train Images/CT_NonCOVID/71%{twin}.jpg (NonCOVID) ~ "
        f"test Images/CT_COVID/kjr-21-e24-p5-{scan}.png (COVID)"
        for twin, scan in ((0, 29), (1, 31))
    ]
    assert real_covid_ct.alike_count == 2
    assert real_covid_ct.notes == ()  # the audit's caveats have it
    assert real_covid_ct.audit is not None
    assert real_covid_ct.audit.conflicts == real_covid_ct.alike
