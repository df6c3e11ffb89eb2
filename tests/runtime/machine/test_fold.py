"""The fold of the facts."""

from dataclasses import replace

import pytest

from evosearch.errors import JournalError
from evosearch.evaluation import FailureKind, TrialId
from evosearch.runtime import replay
from evosearch.storage import Born, Completed, DriverStarted, TestRead
from evosearch.storage.journal.codec import decode
from tests.runtime.small_search import Drive, make_plan


def test_a_replay_gives_the_state_that_the_driver_had(plan):
    drive = Drive(plan)
    state = drive()
    replayed = replay(plan, drive.logbook.facts)
    assert replayed == state


def test_a_journal_that_this_version_would_not_have_written_is_refused(plan):
    drive = Drive(plan)
    drive()
    other = make_plan(seed=1)
    with pytest.raises(
        JournalError, match=r"another generation 0 than the journal of 'small' holds; resume with"
    ):
        replay(other, drive.logbook.facts)


def test_a_single_changed_gene_in_the_journal_is_noticed(plan):
    drive = Drive(plan)
    drive()
    facts = drive.logbook.facts
    index = next(
        i for i, fact in enumerate(facts) if isinstance(fact, Born) and fact.candidate.generation == 2
    )
    stranger = replace(facts[index].candidate, subject=plan.strategy.start().members[0].subject)
    facts[index] = replace(facts[index], candidate=stranger)
    with pytest.raises(JournalError, match="another generation 2"):
        replay(plan, facts)


def test_a_new_driver_knows_of_nothing_in_flight(plan):
    drive = Drive(plan)
    drive()
    half = drive.logbook.facts[: len(drive.logbook.facts) // 2]
    state = replay(plan, [*half, DriverStarted("host", 2, "ray", {})])
    assert (state.running, state.halted) == ({}, False)


def test_a_search_may_be_completed_twice(plan):
    """By a driver that was about to take it from the one that was just ending it."""
    drive = Drive(plan)
    state = drive()
    again = Drive(plan)
    assert again(drive.logbook.facts) == state
    assert again.logbook.facts[-2:] == [DriverStarted("host", 1, "local", {}), drive.logbook.facts[-1]]
    assert isinstance(drive.logbook.facts[-1], Completed)
    assert replay(plan, again.logbook.facts) == state


def test_what_went_with_its_node_does_not_count_and_what_the_first_version_lost_does(plan):
    """It did not tell the two apart."""
    before = [Born(candidate, 1, 1) for candidate in plan.strategy.start().members]
    told = '{"number":3,"attempt":1,"worker":"w","failure":{"kind":"worker_lost","message":"gone"%s},"final":false}'
    gone, old = (decode("Failed", told % extra) for extra in (',"node_lost":true', ""))
    assert replay(plan, [*before, gone]).failures == {}
    assert replay(plan, [*before, old, gone]).failures == {TrialId(3): (FailureKind.WORKER_LOST,)}


def test_facts_that_decide_nothing_leave_the_state_alone(plan):
    assert replay(plan, [TestRead("key", {}, "weights")]) == replay(plan, [])
