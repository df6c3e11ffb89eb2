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


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"per_gpu": 0}, "workers.per_gpu is 0; it must be at least 1, or auto"),
        ({"recycle_after": 0}, "workers.recycle_after is 0"),
        ({"stall_seconds": 0.5}, "workers.stall_seconds is 0.5.*at least 5"),
        ({"checkpoint_minutes": 0.0}, "workers.checkpoint_minutes is 0.0; it must be above 0 and finite"),
        ({"hard_seconds": float("nan")}, "workers.hard_seconds is nan"),
        (
            {"soft_seconds": 20.0, "hard_seconds": 10.0},
            "workers.soft_seconds is 20.0, above workers.hard_seconds",
        ),
    ],
)
def test_limits_that_cannot_work_are_refused(changes, told):
    with pytest.raises(ConfigError, match=told):
        WorkerSettings(**changes)
