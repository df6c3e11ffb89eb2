import pytest

from evosearch.bench.durations import Overhead, overhead
from evosearch.errors import InputError
from workers.benchmarks.sleepers import Slept


def test_slots_that_are_always_taken_have_no_overhead():
    naps = [
        Slept(1, 0.0, 2.0, 2.0),
        Slept(2, 0.0, 1.0, 1.0),
        Slept(2, 1.0, 1.0, 2.0),
        Slept(1, 2.0, 1.0, 3.0),
    ]
    assert overhead(naps, 2) == Overhead(0.0, 0.0)


def test_a_slot_that_waits_while_the_queue_is_not_empty_is_overhead():
    # one slot: 1 s asleep, 0.5 s idle, then the next, 0.5 s idle, the last
    naps = [Slept(1, 0.0, 1.0, 1.0), Slept(1, 1.5, 1.0, 2.5), Slept(1, 3.0, 1.0, 4.0)]
    assert overhead(naps, 1) == Overhead(0.5, 0.5)


def test_waking_up_late_is_overhead():
    naps = [Slept(1, 0.0, 1.0, 1.25), Slept(1, 1.25, 1.0, 2.25)]
    assert overhead(naps, 1).seconds == pytest.approx(0.25)


def test_neither_the_start_nor_the_drain_is_counted():
    """The second slot comes up 10 s late, and is idle for the last 3 s, when nothing waits any more."""
    naps = [
        Slept(1, 0.0, 11.0, 11.0),
        Slept(2, 10.0, 1.0, 11.0),
        Slept(1, 11.0, 1.0, 12.0),
        Slept(2, 11.0, 4.0, 15.0),
    ]
    assert overhead(naps, 2).seconds == pytest.approx(0.0)


def test_the_share_is_of_the_mean_training():
    naps = [Slept(1, 0.0, 1.0, 1.0), Slept(1, 2.0, 3.0, 5.0)]
    assert overhead(naps, 1) == Overhead(1.0, 0.5)


def test_the_order_of_the_notes_does_not_matter():
    naps = [Slept(1, 0.0, 1.0, 1.0), Slept(1, 1.5, 1.0, 2.5), Slept(1, 3.0, 2.0, 5.0)]
    assert overhead(naps[::-1], 1) == overhead(naps, 1)


def test_too_few_trainings_are_refused_with_the_numbers():
    with pytest.raises(InputError, match="1 trainings on 2 slots show no overhead; take more than 2"):
        overhead([Slept(1, 0.0, 1.0, 1.0)], 2)
