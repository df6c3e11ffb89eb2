"""Which worker suits a candidate."""

from dataclasses import replace

import pytest

from evosearch.runtime import Worker
from evosearch.runtime.scheduling.placement import CONTEXT, Demand, Devices, FreeDevices

GIB = 2**30
SMALL, LARGE = Worker("t4", "a/cuda:0", 16 * GIB), Worker("a100", "b/cuda:0", 80 * GIB)
ANY = Demand(GIB)


def room(*workers, busy=(), needs=(), excluded=()):
    """A room of `workers`; the devices of `busy` have another worker each that has work, which needs `ANY` or what is given."""
    others = {f"{one.name}-busy": replace(one, name=f"{one.name}-busy") for one in busy}
    devices = Devices({one.name: one for one in workers} | others, frozenset(excluded))
    for name in others:
        devices.give(name, dict(needs).get(name, ANY))
    return FreeDevices(devices)


def test_what_only_a_busy_device_holds_waits_for_it():
    assert room(SMALL, busy=[LARGE]).take(Demand(40 * GIB)) is None
    assert room(SMALL, LARGE).take(Demand(40 * GIB)) == LARGE


def test_what_ran_out_of_memory_goes_to_the_largest_device_and_waits_for_it():
    """Its predicted peak was wrong, so that it says nothing of what would hold it."""
    unknown = Demand(GIB, alone=True, doubtful=True)
    assert room(SMALL, LARGE).take(unknown) == LARGE
    assert room(SMALL, busy=[LARGE]).take(unknown) is None
    assert room(SMALL, busy=[LARGE]).take(Demand(GIB, alone=True)) == SMALL  # a crash says nothing of memory


def test_some_megabytes_more_do_not_make_a_device_the_larger_one():
    first, second = Worker("n1", "n1/cuda:0", 80 * GIB + 2**20), Worker("n2", "n2/cuda:0", 80 * GIB)
    unknown = Demand(GIB, alone=True, doubtful=True, shunned=("n1/cuda:0",))
    assert room(first, second).take(unknown) == second


def test_what_fills_a_device_has_it_for_itself_though_another_has_larger_shares():
    shared = replace(SMALL, name="second")
    needs = {"t4-busy": Demand(10 * GIB)}  # given when it was alone there
    made = room(shared, LARGE, busy=[SMALL], needs=needs)
    assert made.take(ANY) == LARGE
    assert not made.open


def test_what_no_device_holds_goes_to_the_largest():
    assert room(SMALL, LARGE).take(Demand(200 * GIB)) == LARGE


def test_a_large_device_stays_free_for_what_needs_it():
    made = room(SMALL, LARGE)
    assert made.take(ANY) == SMALL
    assert made.take(ANY) == LARGE
    assert not made.open


def test_two_on_one_device_come_after_one_on_each():
    pair = [replace(SMALL, name=name) for name in ("x1", "x2")]
    other = Worker("y1", "c/cuda:0", 16 * GIB)
    made = room(*pair, other, replace(other, name="y2"))
    assert [made.take(ANY).name for _ in range(4)] == ["x1", "y1", "x2", "y2"]


def test_what_was_lost_goes_to_another_node_else_another_device_and_does_not_wait():
    shunning = Demand(GIB, shunned=("a/cuda:0",))
    same_node = Worker("t4b", "a/cuda:1", 16 * GIB)
    assert room(SMALL, same_node, LARGE).take(shunning) == LARGE
    assert room(SMALL, same_node, busy=[LARGE]).take(shunning) == same_node
    assert room(SMALL, busy=[LARGE]).take(shunning) == SMALL


def test_what_was_lost_twice_on_a_node_waits_for_another_one():
    shunning = Demand(GIB, shunned=("a/cuda:0", "a/cuda:1"))
    same_node = Worker("t4b", "a/cuda:1", 16 * GIB)
    assert room(SMALL, same_node, busy=[LARGE]).take(shunning) is None
    assert room(SMALL, same_node).take(shunning) in (SMALL, same_node)  # there is no other node


@pytest.mark.parametrize("lost_on", ["a/cuda:0", "b/cuda:0"])
def test_what_must_run_alone_goes_elsewhere_too(lost_on):
    first, second = (Worker(node, f"{node}/cuda:0", 16 * GIB) for node in "ab")
    chosen = room(first, second).take(Demand(GIB, alone=True, shunned=(lost_on,)))
    assert chosen.device != lost_on


def test_others_go_on_while_one_waits_for_a_node_it_was_not_lost_on():
    made = room(SMALL, busy=[LARGE])
    assert made.take(Demand(GIB, shunned=("a/cuda:0",) * 2)) is None
    assert made.take(ANY) == SMALL


def test_thousands_that_wait_for_a_whole_device_are_not_looked_at_one_by_one():
    """The second is refused without a look at any device."""
    made = room(SMALL, busy=[SMALL])
    assert made.take(Demand(GIB, alone=True)) is None
    made._open = None
    assert made.take(Demand(2 * GIB, alone=True)) is None


def test_a_prediction_beyond_everything_takes_a_device_for_itself():
    pair = [replace(SMALL, name=name) for name in ("x1", "x2")]
    made = room(*pair)
    assert made.take(Demand(16 * GIB // 2 - CONTEXT + 1)).name == "x1"
    assert not made.open
