"""The cost model: what it learns, and that it keeps no more than sums."""

import numpy as np
import pytest

from evosearch.runtime.scheduling.costs import ENOUGH, FEATURES, Timings, work_of
from tests.runtime.small_search import make_plan


def works(count, seed=0):
    rng = np.random.default_rng(seed)
    return [(1.0, *(float(value) for value in rng.uniform(0.1, 10, FEATURES - 1))) for _ in range(count)]


def timed(weights, count=40, noise=0.0):
    rng = np.random.default_rng(1)
    timings = Timings()
    for work in works(count):
        timings = timings.with_one(work, float(np.dot(weights, work)) * (1 + noise * rng.standard_normal()))
    return timings


@pytest.mark.parametrize("weights", [(0.5, 0.0, 2.0, 0.0, 0.1), (0.0, 1.0, 0.0, 0.0, 0.0)])
def test_the_fit_finds_what_the_seconds_were_made_of(weights):
    timings = timed(weights)
    for work in works(10, seed=2):
        assert timings.predictor()(work) == pytest.approx(np.dot(weights, work), rel=1e-6)


def test_noise_of_a_tenth_leaves_the_order_nearly_right():
    weights = (0.5, 0.2, 2.0, 0.3, 0.1)
    timings = timed(weights, noise=0.1)
    errors = [timings.predictor()(work) / np.dot(weights, work) for work in works(50, seed=3)]
    assert min(errors) > 0.8
    assert max(errors) < 1.2


def test_no_weight_is_negative_whatever_was_measured():
    timings = Timings()
    for number, work in enumerate(works(30)):
        timings = timings.with_one(work, 1.0 + number % 3)
    for feature in range(FEATURES):
        assert timings.predictor()(tuple(float(feature == other) for other in range(FEATURES))) >= 0


def test_before_enough_is_known_flops_decide():
    timings = timed((0.0, 1.0, 0.0, 0.0, 0.0), count=ENOUGH - 1)
    assert timings.predictor()((1.0, 50.0, 3.0, 1.0, 1.0)) == 3.0


def test_candidates_that_are_all_alike_can_be_fitted_too():
    timings = Timings()
    for _ in range(20):
        timings = timings.with_one((1.0, 2.0, 3.0, 4.0, 5.0), 7.0)
    assert timings.predictor()((1.0, 2.0, 3.0, 4.0, 5.0)) == pytest.approx(7.0)


def test_what_was_measured_in_two_searches_adds_up():
    first, second = timed((1.0, 0.0, 1.0, 0.0, 0.0), 10), timed((1.0, 0.0, 1.0, 0.0, 0.0), 20)
    both = first + second
    assert both.count == 30
    assert len(both.gram) == FEATURES**2


def test_seconds_are_estimated_from_the_first_evaluation_on():
    small, large = (1.0, 2.0, 1.0, 1.0, 1.0), (1.0, 2.0, 3.0, 1.0, 1.0)
    assert Timings().estimator() is None
    one = Timings().with_one(large, 30.0).estimator()
    assert one(large) == pytest.approx(30.0)
    assert one(small) == pytest.approx(20.0)  # a third of the FLOPs: between 10 and 30 seconds
    three = Timings().with_one(large, 30.0).with_one(small, 14.0).with_one(small, 14.0).estimator()
    assert (three(small), three(large)) == (pytest.approx(14.0), pytest.approx(30.0))


def test_an_evaluation_that_took_no_time_teaches_nothing():
    assert Timings().with_one((1.0,) * FEATURES, 0.0) == Timings()


def test_the_work_of_a_network_has_a_number_per_feature():
    plan = make_plan()
    size = plan.network_size(plan.strategy.ask(plan.strategy.start())[0])
    work = work_of(size)
    assert len(work) == FEATURES
    assert work[2] == size.flops / 1e9


def test_of_many_at_once_every_bit_is_what_it_is_of_each_alone():
    """Also what several searches know together: an ulp could turn two trainings around."""
    chance = np.random.default_rng(3)
    searches = []
    for _ in range(7):
        timings = Timings()
        for _ in range(9):
            timings = timings.with_one(tuple(chance.random(FEATURES)), 0.1 + chance.random())
        searches.append(timings)
    known = Timings.of_all(searches)
    assert known == sum(searches, Timings())
    for timings in (known, Timings()):
        works = chance.random((FEATURES, 50))
        predict = timings.predictor()
        assert timings.predicted(works).tolist() == [predict(tuple(work)) for work in works.T.tolist()]
