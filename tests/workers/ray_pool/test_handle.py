import pytest

from workers.ray_pool.handle import LEADING_SHARE, share_of_gpu


def test_a_first_worker_leaves_room_for_others_where_their_number_is_not_known_yet() -> None:
    assert share_of_gpu("auto", leads=True) == share_of_gpu(2, leads=True) == LEADING_SHARE


@pytest.mark.parametrize("per_gpu", range(1, 33))
def test_the_shares_of_a_gpu_are_never_more_than_it_has_and_no_two_first_ones_fit_on_it(per_gpu: int) -> None:
    first, other = (round(share_of_gpu(per_gpu, leads=leads) * 10_000) for leads in (True, False))
    assert first > 5_000  # Ray counts in ten-thousandths
    assert 10_000 - per_gpu < first + other * (per_gpu - 1) <= 10_000
