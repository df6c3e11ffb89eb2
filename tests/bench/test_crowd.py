import pytest

from evosearch.bench.busy import Crowd, busy_share, measure_crowd
from workers.benchmarks.sleepers import Slept


def test_only_what_was_asked_for_counts_as_busy():
    """Two slots for 4 s: one waits for a second, the other wakes up a second late."""
    naps = [Slept(1, 10.0, 1.0, 11.0), Slept(1, 12.0, 2.0, 14.0), Slept(2, 10.0, 3.0, 14.0)]
    assert busy_share(naps, 2) == pytest.approx(6 / 8)


def test_a_crowd_is_measured_with_all_its_searches():
    measure = measure_crowd(Crowd(slots=2, searches=2, generations=2, mean=0.01))
    assert measure.what == "slots busy: 2 slots, 2 seeds, trainings of 0.01 s"
    assert 0 < measure.value < 100
    assert measure.at_least == 95.0
