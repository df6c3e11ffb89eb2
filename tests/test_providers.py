"""How a command is told to deal with its searches."""

from importlib.metadata import PackageNotFoundError, version

import pytest

from evosearch.errors import InputError
from evosearch.providers import DriveOptions, versions


def test_an_option_that_there_is_not_is_answered_with_those_there_are():
    with pytest.raises(
        TypeError, match=r"^unexpected option 'name'; options are executor, address, takeover"
    ):
        DriveOptions.of(name="pm")


def test_an_executor_that_there_is_not_is_refused():
    with pytest.raises(InputError, match=r"^there is no executor 'mars'; there are ray, local$"):
        DriveOptions.of(executor="mars")
    assert DriveOptions.of(executor=None).executor is None


def test_a_copy_without_ray_says_so_in_place_of_its_version(monkeypatch):
    def found(package):
        if package == "ray":
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr("evosearch.providers.version", found)
    told = versions()
    assert told["ray"] == "not installed"
    assert told["torch"] == version("torch")
