"""The fold of the facts."""

from dataclasses import replace

import pytest

from evosearch.errors import JournalError
from evosearch.runtime import replay
from evosearch.storage import Born, DriverStarted, TestRead
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
    stranger = replace(facts[index].candidate, chromosome=plan.strategy.start().members[0].chromosome)
    facts[index] = replace(facts[index], candidate=stranger)
    with pytest.raises(JournalError, match="another generation 2"):
        replay(plan, facts)


def test_a_new_driver_knows_of_nothing_in_flight(plan):
    drive = Drive(plan)
    drive()
    half = drive.logbook.facts[: len(drive.logbook.facts) // 2]
    state = replay(plan, [*half, DriverStarted("host", 2, "ray", {})])
    assert (state.running, state.halted) == ({}, False)


def test_facts_that_decide_nothing_leave_the_state_alone(plan):
    assert replay(plan, [TestRead("key", {}, "weights")]) == replay(plan, [])
