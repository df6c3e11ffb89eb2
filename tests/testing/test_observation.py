"""What a journal came to, and the rules that it keeps."""

import re
from collections.abc import Iterable
from dataclasses import replace

import pytest

from evosearch.evaluation import Candidate, Failure, FailureKind, Origin, Success, TrialId
from evosearch.genome import parse
from evosearch.search import Halving
from evosearch.storage import (
    Born,
    Completed,
    Dispatched,
    DriverStarted,
    Event,
    Extended,
    Failed,
    Finished,
    GenerationStarted,
    Interrupted,
    Recalled,
    Recorded,
    Reopened,
    TestRead,
    TestReadingBegun,
    TestReadingFailed,
    VerdictReached,
)
from evosearch.testing.simulation import broken_rules, observe

STARTED = DriverStarted("host", 1, "local", {})


def born(number: int, generation: int = 0, network: str = "", parents: tuple[int, ...] = ()) -> Born:
    origin = Origin.CROSSOVER if parents else Origin.IMMIGRANT if generation else Origin.INITIAL
    return Born(Candidate(number, generation, parse(network or f"C{8 + number} | F4"), origin, parents), 1, 1)


def trained(number: int, attempt: int = 1, fitness: float = 0.5) -> tuple[Event, ...]:
    return Dispatched(number, attempt, "a"), Finished(number, attempt, "a", Success(fitness, 1.0))


def failed(number: int, attempt: int = 1, *, final: bool = True) -> Failed:
    return Failed(number, attempt, "a", Failure(FailureKind.ERROR, "no"), final)


def journal(events: Iterable[Event]) -> list[Recorded]:
    recorded, term = [], 0
    for sequence, event in enumerate(events, 1):
        term += isinstance(event, DriverStarted)
        recorded.append(Recorded(sequence, term, 0.0, event))
    return recorded


FIRST = (STARTED, born(0), born(1), GenerationStarted(0, (0, 1)))
ENDED = (*FIRST, *trained(0), VerdictReached(0), *trained(1, fitness=0.25))
SECOND = (*ENDED, born(2, 1, parents=(0, 1)), GenerationStarted(1, (0, 2)))
DONE = (*SECOND, *trained(2), Completed(0))

# A retraining: one candidate, two trainings of it, each of which reads the test split.
ONCE = Candidate(0, 0, parse("C8 | F4"), Origin.LISTED)
LISTED = (STARTED, *(Born(ONCE, 1, 1, number, repeat=number + 1) for number in range(2)))
RETRAINED = (
    *LISTED,
    GenerationStarted(0, (0,)),
    Dispatched(0, 1, "a"),
    Finished(0, 1, "a", Success(0.5, 1.0), weights="w"),
    VerdictReached(0),
)
BEGUN = TestReadingBegun("key", 0, 12, 1, TrialId(0), 2, "a")
FAILED = TestReadingFailed("key", TrialId(0), 2, "a", Failure(FailureKind.CRASHED, "no"), final=False)
READ = TestRead("key", {"test": 0.5}, "w", {}, TrialId(0), "a")


# A search with rungs: three come to epoch 2, of which the best goes on to the end.
RUNGS = Halving((2, 5), 0.3)


def rung(number: int, until: int | None = 2, fitness: float = 0.5) -> tuple[Event, ...]:
    ended = Finished(number, 1, "a", Success(fitness, 1.0), until)
    return Dispatched(number, 1, "a", until), ended


def to_rung(number: int, until: int | None = 2, generation: int = 0) -> Born:
    return replace(born(number, generation), until=until)


HALVED = (
    STARTED,
    *(to_rung(number) for number in range(3)),
    GenerationStarted(0, (0, 1, 2)),
    *rung(0, fitness=0.75),
    *rung(1, fitness=0.25),
    *rung(2, fitness=0.5),
)
LAST = (*HALVED, to_rung(0, None), *rung(0, None, 0.125), VerdictReached(0))


def test_a_search_with_rungs_keeps_the_rules() -> None:
    further = (to_rung(3, generation=1), GenerationStarted(1, (0, 3)), *rung(3), to_rung(3, None, 1))
    events = (*LAST, *further, *rung(3, None, 0.0625), Completed(0))
    assert list(broken_rules(journal(events), 1, halving=RUNGS)) == []


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        ((*HALVED[:-2], to_rung(0, None)), r"goes on while \[2\] have not come to epoch 2"),
        ((*HALVED, to_rung(2, None)), "goes on from epoch 2, where 1 of 3 were better"),
        (
            (*HALVED[:-1], replace(failed(2), until=2), to_rung(2, None)),
            "goes on from epoch 2, where it has error",
        ),
        (
            (*LAST, to_rung(3, generation=1), GenerationStarted(1, (2, 3))),
            "that were not trained to their end",
        ),
        ((*HALVED, VerdictReached(0)), "invents a best"),
    ],
)
def test_broken_rules_of_rungs_are_told(events: tuple[Event, ...], complaint: str) -> None:
    told = "\n".join(broken_rules(journal(events), 1, halving=RUNGS))
    assert re.search(complaint, told), told


@pytest.mark.parametrize(
    "events",
    [
        DONE,
        (*DONE, STARTED, Completed(0)),
        (*DONE, STARTED, Extended(3), born(3, 2), GenerationStarted(2, (0, 3)), *trained(3), Completed(0)),
        (*FIRST, Dispatched(0, 1, "a"), Interrupted("SIGTERM"), STARTED, *trained(0, 2)),
        (*FIRST, Dispatched(0, 1, "a"), failed(0), STARTED, Reopened((0,)), *trained(0, 2)),
        (
            STARTED,
            born(0),
            born(1, network="C8 | F4"),
            GenerationStarted(0, (0, 1)),
            *trained(0),
            Recalled(1, 0),
        ),
        (*FIRST, born(2, 1), *trained(2)),
        (*FIRST, *trained(1, fitness=0.25), VerdictReached(1), *trained(0), VerdictReached(0)),
    ],
)
def test_what_a_driver_may_write_breaks_no_rule(events):
    assert not list(broken_rules(journal(events), elites=1))


@pytest.mark.parametrize(
    "events",
    [
        (*RETRAINED, BEGUN, READ, *trained(1), Completed(0)),
        (*RETRAINED, BEGUN, FAILED, replace(BEGUN, attempt=3, worker="b"), replace(READ, worker="b")),
        (*RETRAINED, BEGUN, STARTED, replace(BEGUN, attempt=3), READ),
        (*RETRAINED, BEGUN, FAILED, Reopened((0,)), Dispatched(0, 3, "a")),
        (
            *(*LISTED[:-1], GenerationStarted(0, (0,)), *trained(0), VerdictReached(0), Completed(0)),
            *(STARTED, Extended(1), LISTED[-1], *trained(1), Completed(0)),
        ),
        (*LISTED, GenerationStarted(0, (0,)), born(2, network="C9 | F4"), GenerationStarted(0, (0, 2))),
    ],
)
def test_what_a_retrainings_driver_may_write_breaks_no_rule(events):
    assert not list(broken_rules(journal(events), elites=0, grows=True))


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        ((*LISTED, replace(BEGUN, attempt=1)), "reads with what was not trained, or has read"),
        (
            (*RETRAINED, BEGUN, READ, replace(BEGUN, attempt=3)),
            "reads with what was not trained, or has read",
        ),
        ((*RETRAINED, replace(BEGUN, attempt=1)), "follows attempt 1"),
        ((*RETRAINED, READ), "ends what its worker does not have, which is None"),
        (
            (*RETRAINED, BEGUN, replace(FAILED, attempt=1)),
            "ends what its worker does not have, which is (TrialId",
        ),
        (
            (
                *RETRAINED,
                BEGUN,
                READ,
                Dispatched(1, 1, "a"),
                Finished(1, 1, "a", Success(0.5, 1), weights="v"),
                replace(BEGUN, trial=TrialId(1)),
            ),
            "was read before",
        ),
        ((*RETRAINED, *trained(1), Completed(0)), "leaves [0] unread"),
        ((*RETRAINED, BEGUN, READ, Completed(0)), "leaves [0] without a score"),
        ((*RETRAINED, born(2, network="C9 | F4"), GenerationStarted(0, (2,))), "does not begin with (0,)"),
    ],
)
def test_a_rule_that_a_retraining_breaks_is_told(events, complaint):
    last = f"event {len(events)} (term "
    found = broken_rules(journal(events), elites=0, grows=True)
    assert any(f": {complaint}" in line for line in found if line.startswith(last))


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        ((*DONE, STARTED, born(3, 2)), "stands after the search was completed"),
        ((*DONE, STARTED, *trained(0, 2)), "has its score already, 0.5"),
        (
            (*FIRST, Interrupted("SIGTERM"), Dispatched(0, 1, "a")),
            "stands after Interrupted of the same driver",
        ),
        ((*FIRST, born(1)), "was born before"),
        ((*FIRST, born(2, 2)), "is born while generation 0 is the newest"),
        ((*ENDED, born(2, 1, parents=(0, 7))), "has parents that were never born"),
        (
            (*FIRST, *trained(0), born(2, 1, parents=(0, 1))),
            "is bred before its parents' generation has ended",
        ),
        ((*ENDED, GenerationStarted(2, (0, 1))), "follows generation 0"),
        ((*FIRST, *trained(0), GenerationStarted(1, (0,))), "begins while [1] have no score"),
        ((*ENDED, GenerationStarted(1, (0, 7))), "has members that were never born"),
        ((*ENDED, born(2, 1), GenerationStarted(1, (0, 1, 2))), "has [0, 1] of earlier generations"),
        ((*FIRST, Dispatched(7, 1, "a")), "was never born"),
        ((*FIRST, Dispatched(0, 2, "a")), "follows attempt 0"),
        ((*FIRST, Dispatched(0, 1, "a"), STARTED, Dispatched(0, 1, "a")), "follows attempt 1"),
        (
            (*FIRST, Dispatched(0, 1, "a"), Dispatched(1, 1, "a")),
            "goes to a worker that has (TrialId(number=0, until=None), 1)",
        ),
        ((*FIRST, Dispatched(0, 1, "a"), Dispatched(0, 2, "b")), "trains what is being trained"),
        (
            (STARTED, born(0), born(1, network="C8 | F4"), *trained(0), Dispatched(1, 1, "a")),
            "trains anew what trial 0 has come to",
        ),
        (
            (*FIRST, Dispatched(0, 1, "b"), *trained(0)[1:]),
            "ends what its worker does not have, which is None",
        ),
        (
            (*FIRST, Dispatched(0, 1, "a"), STARTED, failed(0)),
            "ends what its worker does not have, which is None",
        ),
        (
            (*FIRST, Dispatched(0, 2, "a"), failed(0)),
            "ends what its worker does not have, which is (TrialId(number=0, until=None), 2)",
        ),
        ((*FIRST, *trained(0), Recalled(0, 0)), "has its score already"),
        ((*FIRST, Dispatched(0, 1, "a"), Recalled(0, 1)), "is recalled while it is being trained"),
        ((*FIRST, *trained(0), Recalled(1, 0)), "recalls what another training came to"),
        ((*FIRST, Recalled(1, 0)), "recalls nothing"),
        ((*FIRST, *trained(0), Reopened((0,))), "reopens 0, which has succeeded"),
        ((*FIRST, *trained(0), Completed(0)), "leaves [1] without a score"),
        ((*ENDED, Completed(1)), "0 is better, with 0.5"),
        ((*FIRST, *trained(0), Dispatched(1, 1, "a"), failed(1), Completed(1)), "0 is better, with 0.5"),
        ((*ENDED, born(2, 1), *trained(2), Completed(0)), "has [2] of generations beyond the last"),
        ((*ENDED, born(2, 1), *trained(2, fitness=0.75), VerdictReached(2)), "0 is better, with 0.5"),
        ((*FIRST, VerdictReached(0)), "invents a best"),
        ((*FIRST, *trained(0), *trained(1), Completed(0)), "names another best than the last verdict, None"),
    ],
)
def test_a_broken_rule_is_told_with_the_event_that_breaks_it(events, complaint):
    last = f"event {len(events)} (term "
    found = [line for line in broken_rules(journal(events), elites=1) if line.startswith(last)]
    assert any(f": {complaint}" in line for line in found)


def test_an_event_that_is_missing_or_of_an_older_term_is_told():
    recorded = journal(DONE)
    assert "event 4 is missing" in next(broken_rules([*recorded[:3], *recorded[4:]], elites=1))
    stale = [*journal([*FIRST, STARTED]), Recorded(6, 1, 0.0, Dispatched(0, 1, "a"))]
    assert "under another term than the newest, 2" in next(broken_rules(stale, elites=1))
    skipped = [replace(one, term=one.term + 1) for one in journal(FIRST)]
    assert "follows term 0" in next(broken_rules(skipped, elites=1))


def test_an_observation_tells_what_a_search_came_to():
    observed = observe(DONE)
    assert observed.births[2] == (1, "crossover", "C10 | F4", (0, 1), ())
    assert observed.scores == {0: 0.5, 1: 0.25, 2: 0.5}
    assert observed.generations == {0: (0, 1), 1: (0, 2)}
    assert observed.best == 0
    again = observe((*FIRST, Dispatched(0, 1, "a"), failed(0), Reopened((0,))))
    assert again.scores == {}
    assert observe((*FIRST, *trained(0), Recalled(1, 0))).scores == {0: 0.5, 1: 0.5}


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ((*SECOND, *trained(2, fitness=0.75), Completed(0)), "scores[2] is 0.75, undisturbed 0.5"),
        ((*SECOND, Dispatched(2, 1, "a"), failed(2), Completed(0)), "scores[2] is error, undisturbed 0.5"),
        ((*SECOND, *trained(2), Completed(2)), "best is 2, undisturbed 0"),
        (
            (*ENDED, born(2, 1, parents=(0, 1)), GenerationStarted(1, (1, 2)), *trained(2), Completed(0)),
            "generations[1] is (1, 2), undisturbed (0, 2)",
        ),
        (
            (*ENDED, born(2, 1, parents=(1, 0)), *SECOND[-1:], *trained(2), Completed(0)),
            "births[2] is (1, 'crossover', 'C10 | F4', (1, 0), ()), undisturbed "
            "(1, 'crossover', 'C10 | F4', (0, 1), ())",
        ),
    ],
)
def test_what_differs_is_told_and_nothing_else(other, difference):
    assert list(observe(other).differences(observe(DONE))) == [difference]
    assert not list(observe(DONE).differences(observe(DONE)))
