"""What follows where all of a first generation diverged, and where a search computes on another processor than it began on."""

from dataclasses import dataclass, field, replace

import pytest

from evosearch.errors import TooManyFailuresError
from evosearch.evaluation import FailureKind
from evosearch.runtime import RULES, Silence, replay
from evosearch.search import EavlSettings, RandomSearchSettings
from evosearch.storage import Completed, GenerationStarted, ProcessorSeen, SearchCreated, Stopped
from evosearch.testing import FailingEvaluator, Script, Victims
from tests.runtime.small_search import Drive, MemoryLogbook, make_plan

NEW = SearchCreated({}, "data", {}, 3, rules=RULES)
OLD = replace(NEW, rules=0)
DIVERGING = FailingEvaluator(Victims(every=1), FailureKind.DIVERGED)
SETTINGS = EavlSettings(population=4, generations=3, elites=1, immigrants=1)


@dataclass
class Notes(Silence):
    """Every note."""

    lines: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.lines.append(text)


def diverging(plan, created=NEW, **named):
    return Drive(plan, DIVERGING, logbook=MemoryLogbook([(created,)]), **named)


@pytest.mark.parametrize("workers", [1, 9])
def test_where_all_of_the_first_generation_diverged_the_search_stops_and_says_what_to_change(workers):
    drive = diverging(make_plan(SETTINGS), script=Script(workers))
    with pytest.raises(
        TooManyFailuresError,
        match=r"'small' stopped: every evaluation of the first generation diverged .*; begin another search with a lower "
        r"training.learning_rate \(0.0001 now\); `evosearch resume small` goes on with this one all the same$",
    ):
        drive()
    started, stopped = drive.logbook.facts[-2:]
    assert (type(started), started.generation, type(stopped)) == (GenerationStarted, 1, Stopped)


def test_a_resume_goes_on_without_stopping_again():
    drive = diverging(make_plan(SETTINGS))
    with pytest.raises(TooManyFailuresError):
        drive()
    again = Drive(drive.plan, DIVERGING, logbook=MemoryLogbook())
    again(drive.logbook.facts)
    assert len(again.logbook.of(Stopped)) == 1
    assert again.logbook.facts[-1] == Completed(None)


def test_a_search_that_goes_on_is_no_stopped_one_whose_failures_are_begun_again():
    drive = diverging(make_plan(SETTINGS))
    with pytest.raises(TooManyFailuresError):
        drive()
    again = Drive(drive.plan, replace(DIVERGING, kind=FailureKind.ERROR), logbook=MemoryLogbook())
    with pytest.raises(TooManyFailuresError):
        again(drive.logbook.facts)
    before_it_ended = again.logbook.facts[:-1]
    assert replay(drive.plan, before_it_ended[:-1]).stopped is False


def test_a_search_that_began_before_there_was_this_rule_goes_on_with_a_word():
    notes = Notes()
    drive = diverging(make_plan(SETTINGS), OLD, watcher=notes)
    drive()
    assert not drive.logbook.of(Stopped)
    (line,) = notes.lines
    assert line.startswith("small: every evaluation of the first generation diverged")


def test_one_success_is_enough_to_go_on():
    plan = make_plan(SETTINGS)
    first, *others = (str(member.chromosome) for member in plan.strategy.start().members)
    drive = replace(
        diverging(plan), evaluator=FailingEvaluator(Victims(frozenset(others)), FailureKind.DIVERGED)
    )
    drive()
    assert drive.logbook.facts[-1] != Completed(None)
    assert first not in others


def test_what_failed_otherwise_than_by_diverging_stops_nothing():
    drive = replace(
        diverging(make_plan(SETTINGS)), evaluator=replace(DIVERGING, kind=FailureKind.OUT_OF_MEMORY)
    )
    drive()
    assert drive.logbook.facts[-1] == Completed(None)


def test_a_search_of_one_generation_stops_at_its_end_and_a_resume_ends_it():
    plan = make_plan(RandomSearchSettings(evaluations=3))
    drive = diverging(plan)
    with pytest.raises(TooManyFailuresError, match="every evaluation of the first generation diverged"):
        drive()
    again = Drive(plan, logbook=MemoryLogbook())
    again(drive.logbook.facts)
    assert again.logbook.facts[-1] == Completed(None)


def seen(drive):
    return [fact.processor for fact in drive.logbook.of(ProcessorSeen)]


def test_each_kind_of_processor_is_journaled_once_and_another_one_than_the_first_is_told():
    notes = Notes()
    drive = Drive(make_plan(), script=Script(3, processors=("A", "A", "B")), watcher=notes)
    drive()
    assert seen(drive) == ["A", "B"]
    (line,) = notes.lines
    assert "computes on B, and 'small' began on A: its bits may differ" in line


def test_a_resume_on_another_processor_is_told_each_time_and_one_on_the_same_is_not():
    first = Drive(make_plan(), script=Script(processors=("A",)))
    first()
    events = [fact for fact in first.logbook.facts if not isinstance(fact, Completed)]
    half = events[: len(events) // 2]
    for processor, told in (("A", 0), ("B", 1)):
        notes = Notes()
        again = Drive(
            make_plan(), watcher=notes, script=Script(processors=(processor,)), logbook=MemoryLogbook()
        )
        again(half)
        assert len(notes.lines) == told
        assert seen(again) == (["A"] if processor == "A" else ["A", "B"])
    third = Notes()
    Drive(make_plan(), watcher=third, script=Script(processors=("B",)), logbook=MemoryLogbook())(
        [*half, ProcessorSeen("b", "B")]
    )
    assert len(third.lines) == 1
