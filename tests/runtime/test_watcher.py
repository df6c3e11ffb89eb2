"""Watchers side by side: one that fails never ends a search, nor takes anything from the others."""

import logging

import pytest

from evosearch.evaluation import EpochRecord, TrialId
from evosearch.runtime import Silence, Watchers
from evosearch.storage import Completed, LiveCurve
from evosearch.testing import FormulaEvaluator, Script
from tests.runtime.small_search import Drive, OneByOne
from tests.studies.final_plan import final_plan


class Recorder(Silence):
    """Keeps what it is told; raises while `fails` says so."""

    def __init__(self, *fails: bool) -> None:
        self.told: list[str] = []
        self.fails = iter(fails)

    def note(self, text):
        self.told.append(text)
        if next(self.fails, False):
            raise OSError("nobody\nlistens")

    def wait(self, text):
        self.told.append(text)

    def begin(self, plan, state):
        self.told.append("begin")

    def observe(self, plan, state, facts):
        self.told.append("observe")

    def follow(self, plan, curves):
        self.told.append("follow")


def tell(watchers: Watchers, count: int) -> None:
    for number in range(count):
        watchers.note(str(number))


def test_all_are_told_everything(plan):
    recorders = Recorder(), Recorder()
    watchers = Watchers(*recorders)
    watchers.wait("workers start")
    watchers.begin(plan, None)
    watchers.note("a note")
    watchers.observe(plan, None, [])
    watchers.follow(plan, [LiveCurve(TrialId(1), 9, (EpochRecord(0.5, 0.5),))])
    assert recorders[0].told == recorders[1].told == ["workers start", "begin", "a note", "observe", "follow"]


def test_one_that_fails_is_told_of_once_and_the_others_hear_all(caplog):
    failing, other = Recorder(True, False, True), Recorder()
    with caplog.at_level(logging.WARNING):
        tell(Watchers(failing, other), 5)
    assert failing.told == other.told == ["0", "1", "2", "3", "4"]
    assert caplog.messages == ["the watcher Recorder failed (OSError: nobody listens); the search goes on"]


def test_three_failures_in_a_row_silence_it(caplog):
    failing, other = Recorder(True, True, False, True, True, True), Recorder()
    with caplog.at_level(logging.WARNING):
        tell(Watchers(failing, other), 9)
    assert failing.told == ["0", "1", "2", "3", "4", "5"]
    assert len(other.told) == 9
    assert caplog.messages[1:] == ["the watcher Recorder failed 3 times in a row and is called no more"]


def test_what_is_meant_to_end_the_process_does():
    class Ending(Silence):
        def note(self, text):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Watchers(Ending()).note("a note")


def test_a_search_ends_as_ever_although_its_watcher_fails(plan):
    class Broken(Silence):
        def observe(self, plan, state, facts):
            raise ValueError("broken")

    drive, quiet = Drive(plan), Drive(plan)
    drive.watcher = Broken()
    drive()
    quiet()
    assert isinstance(drive.logbook.facts[-1], Completed)
    assert drive.logbook.facts == quiet.logbook.facts


def test_a_watcher_is_guarded_once():
    watchers = Watchers(Recorder())
    assert Watchers.of(watchers) is watchers
    tell(Watchers.of(None), 1)


def test_how_many_workers_are_ready_is_told_until_the_first_training_begins():
    recorder = Recorder()
    plan = final_plan(
        1, 2
    )  # whose weights must lie on one machine: none is trained before all workers are known
    Drive(plan, FormulaEvaluator(classes=2), Script(workers=3), watcher=recorder, make_pool=OneByOne)()
    assert [text for text in recorder.told if "starting" in text] == [
        "starting workers: 1 of 3 ready",
        "starting workers: 2 of 3 ready",
    ]
