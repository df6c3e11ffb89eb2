"""When a search will end."""

import pytest

from evosearch.reports import seconds_left


@pytest.mark.parametrize(
    ("done", "total", "seconds", "left"),
    [
        (0, 10, 5.0, None),
        (1, 10, 5.0, 45.0),
        (4, 10, 6.0, 9.0),
        (10, 10, 60.0, 0.0),
        (12, 10, 60.0, 0.0),
        (0, 0, 0.0, 0.0),
    ],
)
def test_what_is_left_takes_as_long_each_as_what_is_done(done, total, seconds, left):
    assert seconds_left(done, total, seconds) == left
