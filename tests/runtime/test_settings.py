import pytest

from evosearch.errors import ConfigError
from evosearch.runtime import WorkerSettings


def test_nothing_needs_to_be_set() -> None:
    assert WorkerSettings() == WorkerSettings(count=None, address=None, device="auto")


@pytest.mark.parametrize("count", [0, -1])
def test_a_count_below_one_is_refused(count: int) -> None:
    with pytest.raises(ConfigError, match=rf"workers\.count is {count}; it must be at least 1, or left out"):
        WorkerSettings(count=count)


def test_an_empty_address_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"workers\.address is empty; give an address such as"):
        WorkerSettings(address=" ")
