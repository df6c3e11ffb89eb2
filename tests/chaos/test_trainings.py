"""A training of some length is killed again and again."""

import pytest

from tests.training.kills import survive

pytestmark = pytest.mark.chaos


@pytest.mark.timeout(1200)
def test_a_training_that_is_killed_fifty_times_ends_as_if_nothing_had_happened(tmp_path):
    survive(kills=50, writes=15, seconds=20, folder=tmp_path)
