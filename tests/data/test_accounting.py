"""Every file is accounted for: used, refused or passed over by kind, together as many as a plain count of files."""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from evosearch.data import CovidCtSettings, DataReport, DataSettings, ImageFolderSettings, inspect_data
from evosearch.data.listing import SPLITS
from evosearch.reports import data_lines


def accounted(root: Path, settings: DataSettings) -> DataReport:
    """The report on a folder of that name, once its sums have been compared with what lies there."""
    report = inspect_data(settings, env={"EVOSEARCH_DATA": str(root.parent)}, cwd=root, cache=None)
    files = json.loads(json.dumps(report.to_json()))["files"]
    plain = sum(path.is_symlink() or not path.is_dir() for path in root.rglob("*"))
    sys.stdout.write(  # seen with -s
        f"{root.name}: {plain} files; {files['used']} used, {files['refused']} refused, {files['ignored']} not used\n"
    )
    assert files["used"] + files["refused"] + sum(files["ignored"].values()) == plain
    assert files["refused"] == len(report.bad_files) - report.missing
    assert files["used"] == sum(sum(report.counts[split].values()) for split in SPLITS)
    assert all(len(line) <= 80 or "/" in line for line in data_lines(report))
    return report


def test_scikit_learns_sample_images_cut_into_classes(tmp_path: Path) -> None:
    root = tmp_path / "samples"
    for name, photo in zip(("china", "flower"), load_sample_images().images, strict=True):
        for row in range(6):
            folder = root / name / f"row-{row}"
            folder.mkdir(parents=True)
            for column in range(10):
                tile = photo[64 * row : 64 * row + 64, 64 * column : 64 * column + 64]
                Image.fromarray(tile).save(folder / f"{column}.png")
    (root / "README.TXT").write_text("two photographs")
    (root / "china" / "row-0" / "notes").write_text("no ending")
    (root / "china" / "row-0" / "raw.dcm").write_bytes(bytes(8))
    (root / "flower" / ".thumbs").mkdir()
    (root / "flower" / ".thumbs" / "0.png").write_bytes(b"")
    (root / "cover.png").write_bytes((root / "china/row-0/0.png").read_bytes())
    (root / "flower" / "empty.png").write_bytes(b"")
    (tmp_path / "elsewhere.png").write_bytes(b"")
    (root / "flower" / "9.png").symlink_to(tmp_path / "elsewhere.png")
    report = accounted(root, ImageFolderSettings(root="samples", image_size=16, group="folder"))
    assert report.files is not None
    assert (report.files.used, report.files.refused, report.files.every) == (120, 2, 127)
    assert report.files.ignored == {
        ".png outside the class folders": 1,
        ".txt": 1,
        ".dcm": 1,
        "without an ending": 1,
        "hidden": 1,
    }
    assert report.groups == 7  # six rows, which both photographs have, and the file that is in none
    assert len(report.bad_files) == 2


def test_links_and_pipes_are_counted_as_find_counts_them(
    pets: Path, tmp_path: Path, write_images: Callable[..., object]
) -> None:
    write_images(tmp_path / "kennel", 4)
    (pets / "wolf").symlink_to(tmp_path / "kennel")
    (pets / "hen").symlink_to("gone")  # may have been a class
    (pets / "notes.md").symlink_to("gone")
    os.mkfifo(pets / "cat" / "pipe.png")
    os.mkfifo(pets / "cat" / "pipe.log")
    for name in ("gone.png", "gone.txt", "gone", ".gone"):
        (pets / "cat" / name).symlink_to("nowhere")
    (pets / "dog" / "photo").symlink_to("0.png")
    (pets / "dog" / ".kennel").symlink_to(tmp_path / "kennel")
    (pets / "dog" / "9.png").write_bytes((pets / "dog" / "0.png").read_bytes()[:60])
    report = accounted(pets, ImageFolderSettings(root="pets", image_size=4))
    assert [line for line in report.bad_files if "9.png" not in line] == [
        "'hen' is a broken link",
        "'wolf' is a link that leads out of the data folder; `data.follow_links: true` follows links",
        "'cat/gone' is a broken link",
        "'cat/gone.png' is a broken link",
        "'cat/pipe.png' is a named pipe",
    ]
    assert report.files is not None
    assert report.files.ignored == {"hidden": 2, ".log": 1, ".md": 1, ".txt": 1, "without an ending": 1}
    assert report.repair == "`data.follow_links: true` follows links; remove or replace the others"


def test_what_covid_ct_lists_and_is_a_link_a_pipe_or_missing(covid_ct: Path) -> None:
    folder = covid_ct / "Images/CT_COVID"
    (folder / "0.png").unlink()
    (folder / "0.png").symlink_to("nowhere")
    (folder / "1.png").unlink()
    os.mkfifo(folder / "1.png")
    (folder / "2.png").unlink()
    (folder / "more").symlink_to(".")
    report = accounted(covid_ct, CovidCtSettings(root="covid-ct", image_size=4))
    assert [line.partition(" ")[2] for line in report.bad_files] == [
        "is a broken link",
        "is a named pipe",
        "line 1 names '2.png', which is not in 'Images/CT_COVID'",
    ]
    assert (report.files and report.files.refused, report.missing) == (2, 1)
    assert report.repair == (
        "add what is missing, or take its lines out of the split lists; remove or replace the others"
    )


@pytest.fixture(scope="module")
def stored() -> Path:
    folder = os.environ.get("EVOSEARCH_DATA")
    if not folder:
        pytest.skip("set EVOSEARCH_DATA to the folder that holds covid-ct and kermany224")
    return Path(folder)


def test_covid_ct_as_class_folders(stored: Path) -> None:
    if not (stored / "covid-ct").is_dir():
        pytest.skip("COVID-CT is not below EVOSEARCH_DATA")
    report = accounted(stored / "covid-ct" / "Images", ImageFolderSettings(root="Images", image_size=32))
    assert report.files is not None
    assert (report.files.used, report.files.refused, report.files.ignored) == (746, 0, {})
    assert report.classes == ("CT_COVID", "CT_NonCOVID")


def test_covid_ct_in_its_own_layout(stored: Path) -> None:
    if not (stored / "covid-ct").is_dir():
        pytest.skip("COVID-CT is not below EVOSEARCH_DATA")
    report = accounted(stored / "covid-ct", CovidCtSettings(root="covid-ct", image_size=32))
    assert report.files is not None
    assert (report.files.used, report.files.refused, report.files.ignored) == (746, 0, {".txt": 6})


@pytest.mark.slow
def test_paediatric_x_rays_as_links_in_class_and_patient_folders(stored: Path, tmp_path: Path) -> None:
    if not (stored / "kermany224").is_dir():
        pytest.skip("the paediatric X-rays are not below EVOSEARCH_DATA")
    root = tmp_path / "x-rays"
    for path in sorted((stored / "kermany224").rglob("*.jpeg")):
        patient = re.match(r"person\d+|(NORMAL2-)?IM-\d+", path.name)
        assert patient is not None
        folder = root / path.parent.name / patient[0]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / path.name).symlink_to(path.resolve())
    settings = ImageFolderSettings(
        root="x-rays", image_size=16, channels=1, group="folder", follow_links=True
    )
    report = accounted(root, settings)
    assert report.files is not None
    assert (report.files.used, report.files.refused, report.files.ignored) == (5856, 0, {})
    assert report.groups == len([path for path in root.glob("*/*") if path.is_dir()])
    assert not [note for note in report.notes if "group" in note]
    share = {split: sum(report.counts[split].values()) / 5856 for split in SPLITS}
    assert share == pytest.approx({"train": 0.64, "validation": 0.16, "test": 0.2}, abs=0.02)
    assert report.majority is not None
    assert report.majority.name == "PNEUMONIA"
