import re
from pathlib import Path
from typing import Any

import pytest

from evosearch.blueprint import ImageShape
from evosearch.data import CovidCtSettings, DigitsSettings, ImageFolderSettings, Places
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
        ({"group": "(p"}, "data.group is '(p', no regular expression ("),
        ({"window": (4095.0, 0.0)}, "data.window is [4095.0, 0.0]; the lower value comes first"),
        (
            {"max_image_pixels": 10**9},
            "data.max_image_pixels is 1000000000; it must lie between 1 and 178956970",
        ),
    ],
)
def test_a_wrong_setting_is_named_by_its_key(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        ImageFolderSettings(**{"root": "pets"} | wrong)


def found(root: str, cwd: Path, beside: str | None = None, **env: str) -> Path:
    return locate_root(root, beside, Places(env, cwd, None))


@pytest.mark.parametrize(
    ("root", "place"),
    [("pets", "stored/pets"), ("~/pets", "home/pets"), ("{tmp}/pets", "pets")],
    ids=["below EVOSEARCH_DATA", "below the home folder", "absolute"],
)
def test_a_root_is_found_where_the_user_means_it(tmp_path: Path, root: str, place: str) -> None:
    (tmp_path / place).mkdir(parents=True)
    env = {"EVOSEARCH_DATA": str(tmp_path / "stored"), "HOME": str(tmp_path / "home")}
    assert found(root.format(tmp=tmp_path), Path("/nowhere"), **env) == tmp_path / place


PLACES = ("configs/pets", "cwd/pets", "stored/pets", "cwd/data/pets")
"""In the order in which they are tried."""


def test_a_relative_root_lies_beside_the_file_then_here_then_below_evosearch_data_then_below_data(
    tmp_path: Path,
) -> None:
    for place in PLACES:
        (tmp_path / place).mkdir(parents=True)
    for place in PLACES:
        look = (tmp_path / "cwd", str(tmp_path / "configs"))
        assert found("pets", *look, EVOSEARCH_DATA=str(tmp_path / "stored")) == tmp_path / place
        (tmp_path / place).rmdir()
    with pytest.raises(ConfigError) as caught:
        found("pets", *look, EVOSEARCH_DATA=str(tmp_path / "stored"))
    tried = ", ".join(repr(str(tmp_path / place)) for place in PLACES)
    assert str(caught.value).startswith(
        f"data.root is 'pets', but there is no such folder; tried {tried}; set"
    )


def test_a_root_that_is_a_file_or_an_absolute_one_that_is_absent_is_told_so(tmp_path: Path) -> None:
    file, absent = tmp_path / "stored/pets", tmp_path / "absent"
    file.parent.mkdir()
    file.touch()
    for root in ("pets", str(file)):
        with pytest.raises(ConfigError) as caught:
            found(root, tmp_path, EVOSEARCH_DATA=str(file.parent))
        assert str(caught.value).startswith(
            f"data.root is {root!r}, but {str(file)!r} is a file; name a folder"
        )
    with pytest.raises(ConfigError) as caught:
        found(str(absent), tmp_path)
    text = str(absent)
    expected = f"data.root is {text!r}, but there is no such folder at {text!r}; name one that is there"
    assert str(caught.value) == expected


def test_a_search_that_began_before_there_was_beside_finds_what_it_found_then(tmp_path: Path) -> None:
    for place in ("pets", "data/pets"):
        (tmp_path / place).mkdir(parents=True)
    for env in ({}, {"EVOSEARCH_DATA": ""}):
        assert found("pets", tmp_path, **env) == tmp_path / "data" / "pets"


def test_a_relative_evosearch_data_counts_from_the_working_directory_and_a_tilde_is_the_home(
    tmp_path: Path,
) -> None:
    for place in ("stored", "home/stored"):
        (tmp_path / place / "pets").mkdir(parents=True)
    assert found("pets", tmp_path, EVOSEARCH_DATA="stored") == tmp_path / "stored" / "pets"
    home = {"EVOSEARCH_DATA": "~/stored", "HOME": str(tmp_path / "home")}
    assert found("pets", tmp_path, **home) == tmp_path / "home" / "stored" / "pets"
