from workers.standing import share_of_gpu


def test_the_shares_of_a_gpu_are_never_more_than_it_has() -> None:
    for per_gpu in range(1, 33):
        parts = round(share_of_gpu(per_gpu) * 10_000)  # Ray counts in ten-thousandths
        assert 10_000 - per_gpu < parts * per_gpu <= 10_000
