import pytest

from tests.training.kills import survive


@pytest.mark.slow
def test_a_training_that_is_killed_five_times_ends_as_if_nothing_had_happened(tmp_path):
    survive(kills=5, writes=2, seconds=5, folder=tmp_path)
