import re
from pathlib import Path
from typing import Any

import pytest

from evosearch.blueprint import ImageShape
from evosearch.data import CovidCtSettings, DigitsSettings, ImageFolderSettings
from evosearch.data.settings import locate_root
from evosearch.errors import ConfigError


def test_each_source_has_its_own_image_shape_unless_one_is_configured() -> None:
    assert DigitsSettings().image == ImageShape(1, 8, 8)
    assert CovidCtSettings(root="covid-ct").image == ImageShape(3, 224, 224)
    assert ImageFolderSettings(root="x", image_size=32, channels=1).image == ImageShape(1, 32, 32)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"root": ""}, "data.root is empty; name the folder of the images"),
        ({"image_size": 3}, "data.image_size is 3; it must lie between 4 and 4096 pixels"),
        ({"channels": 2}, "data.channels is 2; choose 1 (gray) or 3 (colour)"),
        ({"test_fraction": 1.0}, "data.test_fraction is 1.0; it must lie between 0 and 1"),
        (
            {"validation_fraction": float("nan")},
            "data.validation_fraction is nan; it must lie between 0 and 1",
        ),
        ({"split_seed": -1}, "data.split_seed is -1; it must be at least 0"),
        (
            {"max_image_pixels": 10**9},
            "data.max_image_pixels is 1000000000; it must lie between 1 and 178956970",
        ),
    ],
)
def test_a_wrong_setting_is_named_by_its_key(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        ImageFolderSettings(**{"root": "pets"} | wrong)


@pytest.mark.parametrize(
    ("root", "place"),
    [("pets", "stored/pets"), ("~/pets", "home/pets"), ("{tmp}/pets", "pets")],
    ids=["below EVOSEARCH_DATA", "below the home folder", "absolute"],
)
def test_a_root_is_found_where_the_user_means_it(tmp_path: Path, root: str, place: str) -> None:
    (tmp_path / place).mkdir(parents=True)
    env = {"EVOSEARCH_DATA": str(tmp_path / "stored"), "HOME": str(tmp_path / "home")}
    assert locate_root(root.format(tmp=tmp_path), env, Path("/nowhere")) == tmp_path / place


def test_without_evosearch_data_a_root_lies_under_the_folder_data(tmp_path: Path) -> None:
    (tmp_path / "data" / "pets").mkdir(parents=True)
    for env in ({}, {"EVOSEARCH_DATA": ""}):
        assert locate_root("pets", env, tmp_path) == tmp_path / "data" / "pets"


def test_a_root_that_is_no_folder_is_refused_with_the_place_looked_at(tmp_path: Path) -> None:
    place = tmp_path / "data" / "covid-ct"
    with pytest.raises(
        ConfigError, match=re.escape(f"data.root is 'covid-ct', but '{place}' is no folder; set")
    ):
        locate_root("covid-ct", {}, tmp_path)


def test_a_relative_evosearch_data_counts_from_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "stored" / "pets").mkdir(parents=True)
    assert locate_root("pets", {"EVOSEARCH_DATA": "stored"}, tmp_path) == tmp_path / "stored" / "pets"
