"""How a command is told to deal with its searches."""

import pytest

from evosearch.errors import InputError
from evosearch.providers import DriveOptions


def test_an_option_that_there_is_not_is_answered_with_those_there_are():
    with pytest.raises(
        TypeError, match=r"^unexpected option 'name'; options are executor, address, takeover"
    ):
        DriveOptions.of(name="pm")


def test_an_executor_that_there_is_not_is_refused():
    with pytest.raises(InputError, match=r"^there is no executor 'mars'; there are ray, local$"):
        DriveOptions.of(executor="mars")
    assert DriveOptions.of(executor=None).executor is None
