import pytest

from evosearch.bench.parts import Interval, Measured, Parts, Portion, agree, ratios

FEW, ALL = Portion(40, 20, batch=16), Portion(168, 84, batch=16)
MARKS = [3.0, 5.0, 5.5, 6.0, 8.0, 9.0, 9.5, 9.75, 10.0]
"""Set-up and a first epoch to 6.0; the second takes 2 and 1, then .5 and .25; .25 at the end."""


def test_the_second_epoch_tells_steps_and_validation_and_what_else_was_used_is_set_up():
    parts = Parts.of(MARKS, FEW, ALL)
    assert parts == Parts(setup=6.0 - 3.75 + 0.25, step=1.0, partial=1.0, validation=5 * 0.5 + 0.25)
    assert parts.candidate(FEW, 0) == parts.setup


def test_a_partial_batch_costs_what_it_took_and_one_of_another_size_in_proportion():
    fewer = Portion(160 + 4, 80 + 2, batch=16)
    parts = Parts.of(MARKS, FEW, fewer)
    assert (parts.partial, parts.validation) == (0.5, 5 * 0.5 + 0.125)
    none = Parts.of(MARKS, FEW, Portion(160, 80, batch=16))
    assert (none.partial, none.validation) == (0.0, 5 * 0.5)


def test_where_an_epoch_had_one_kind_of_batch_the_other_is_taken_for_its_share():
    full = Parts.of(MARKS, Portion(32, 16, batch=16), ALL)
    assert (full.step, full.partial) == (1.5, 0.75)
    assert full.validation == pytest.approx(5.25 * 0.75)
    assert Parts.of(MARKS, Portion(8, 4, batch=16), ALL).step == 6.0


def test_of_more_epochs_the_last_one_tells_and_what_those_before_cost_beyond_it_is_set_up():
    """Two epochs of which the second takes a second longer than the third, for it captures steps."""
    second = [one + 1.0 for one in (8.0, 9.0, 9.5, 9.75)]
    third = [one + 3.75 for one in (*second, 11.0)]
    parts = Parts.of([*MARKS[:4], *second, *third], FEW, ALL)
    assert parts == Parts(setup=6.0 - 3.75 + 1.0 + 0.25, step=1.0, partial=1.0, validation=2.75)


def test_a_candidate_is_put_together_from_its_parts_for_any_number_of_epochs():
    parts = Parts.of(MARKS, FEW, ALL)
    assert parts.candidate(ALL, 100) == parts.setup + 100 * (10 * 1.0 + 1.0 + 2.75)
    assert Portion(25, 1, batch=10).steps == 2


@pytest.mark.parametrize("count", [5, 8])
def test_marks_of_less_than_two_epochs_are_refused(count):
    with pytest.raises(ValueError, match=f"nine marks, each further one four, found {count}"):
        Parts.of(MARKS[:count], FEW, ALL)


def measured(*steps, together=1):
    rounds = [{"a": Parts(1.0, step, 0.0, 0.0), "b": Parts(3.0, step, 0.0, 0.0)} for step in steps]
    return Measured(rounds, together=together, limits={"a": 0.1, "b": 0.3}, unfused={"a": 1.0, "b": 1.0})


def test_each_round_has_its_candidates_an_hour_by_the_mean_over_the_networks():
    assert measured(1.0, 0.2).per_hour(ALL, 1) == [3600 / 12.0, 3600 / 4.0]
    assert measured(1.0, together=4).per_hour(ALL, 1) == [4 * 3600 / 12.0]


def test_how_near_the_limit_a_step_is_counts_all_networks_and_all_that_share_the_device():
    assert measured(1.0).fraction({"a": 0.1, "b": 0.3}) == [pytest.approx(0.2)]
    assert measured(1.0, together=2).fraction({"a": 0.1, "b": 0.3}) == [pytest.approx(0.4)]
    assert measured(1.0).milliseconds(lambda parts: parts.setup) == [2000.0]


def test_of_whole_trainings_each_is_held_against_its_round_and_the_median_counts():
    found = measured(2.0, 9.0, 1.0)
    assert found.agreements(ALL, 3) == ()
    found.note_whole({"a": 31.0 * 1.04, "b": 33.0 * 1.04})
    assert found.agreements(ALL, 3) == pytest.approx((1.04, 1.04)), "the last round's, where there is but one"
    found = measured(2.0, 9.0, 1.0)
    for step, off in ((2.0, 1.01), (9.0, 1.4), (1.0, 0.8)):
        found.note_whole({"a": (1.0 + 30 * step) * off, "b": (3.0 + 30 * step) * off})
    assert found.agreements(ALL, 3) == pytest.approx((1.01, 1.01))
    assert agree([1.049, 0.951])
    assert not agree([1.051])
    assert not agree([0.949])
    assert not agree([])


def test_whole_trainings_that_are_off_in_opposite_ways_do_not_make_up_for_each_other():
    assert not agree([0.93, 1.07])


def test_ratios_are_of_the_same_round_and_carry_their_spread():
    assert ratios([2.0, 6.0, 4.0], [1.0, 2.0, 4.0]) == Interval(2.0, 1.0, 3.0)
