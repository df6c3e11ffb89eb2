"""The locks: what `make install` and the image fetch, each file with its hash, from wherever a machine gets its packages."""

import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docker.shipped import locked

PROJECT = Path(__file__).parents[1]
LOCK, IMAGE_LOCK = PROJECT / "constraints.txt", PROJECT / "docker" / "requirements.txt"
LOCKS = pytest.mark.parametrize("path", [LOCK, IMAGE_LOCK], ids=["project", "image"])
DESCRIPTION = tomllib.loads((PROJECT / "pyproject.toml").read_text())
RUNNING = DESCRIPTION["project"]["dependencies"]
EXTRAS = DESCRIPTION["project"]["optional-dependencies"]
DEVELOPMENT = DESCRIPTION["dependency-groups"]["dev"]


def hashes(path: Path) -> dict[str, set[str]]:
    """The hashes of each package's files, by name."""
    entries = re.split(r"^(?=[^ #])", path.read_text(), flags=re.MULTILINE)[1:]
    return {
        re.match("[a-z0-9-]+", entry)[0]: set(re.findall(r" --hash=(sha256:[0-9a-f]{64})\b", entry))
        for entry in entries
    }


@LOCKS
def test_every_package_has_one_version_and_hashes(path):
    assert hashes(path).keys() == locked(path).keys()
    assert all(hashes(path).values())
    assert path.read_text().count("--hash") == sum(map(len, hashes(path).values()))
    assert len(locked(path)) > 50


@LOCKS
def test_no_registry_is_named(path):
    assert not re.search(r"://|-index|find-links|trusted-host", path.read_text())


def test_the_image_gets_the_versions_and_the_hashes_that_are_tested():
    tested, image = locked(LOCK), locked(IMAGE_LOCK)
    assert image.items() <= tested.items()
    assert hashes(IMAGE_LOCK).items() <= hashes(LOCK).items()


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (
            LOCK,
            [*RUNNING, *DEVELOPMENT, *EXTRAS["postgres"], *DESCRIPTION["build-system"]["requires"], "uv"],
        ),
        (IMAGE_LOCK, [*RUNNING, *EXTRAS["postgres"], *DESCRIPTION["build-system"]["requires"]]),
    ],
    ids=["project", "image"],
)
def test_the_lock_holds_all_that_the_project_asks_for(path, wanted):
    versions = locked(path)
    for text in wanted:
        requirement = Requirement(text)
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), text


def test_what_is_installed_here_asks_for_nothing_that_the_lock_lacks():
    versions = locked(LOCK)
    installed = {canonicalize_name(one.metadata["Name"]): one for one in distributions()}
    lacking = {
        f"{name} asks for {text}"
        for name in versions.keys() & installed.keys()
        for text in installed[name].requires or ()
        for requirement in (Requirement(text),)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if canonicalize_name(requirement.name) not in versions
    }
    assert len(versions.keys() & installed.keys()) > 100
    assert not lacking
