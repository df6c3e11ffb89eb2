from statistics import fmean

import pytest

from evosearch.bench.durations import LARGE_IMAGES, SMALL_IMAGES, Durations
from evosearch.bench.search import make_plan


@pytest.mark.parametrize("weights", [LARGE_IMAGES, SMALL_IMAGES])
def test_the_first_generation_takes_the_mean_that_was_asked_for(weights):
    plan = make_plan(20, 2, 4)
    seconds = Durations.of(plan, 3.0, weights).seconds
    assert fmean(seconds(member.chromosome) for member in plan.strategy.start().members) == pytest.approx(3.0)


def test_large_images_spread_wider_than_small_ones():
    plan = make_plan(50, 2, 10)

    def spread(weights):
        found = [
            Durations.of(plan, 1.0, weights).seconds(one.chromosome) for one in plan.strategy.start().members
        ]
        return max(found) / min(found)

    assert spread(LARGE_IMAGES) > 5 > spread(SMALL_IMAGES)
