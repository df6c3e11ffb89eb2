"""What every journal keeps to; inherit `JournalContract` and give it a fixture `journal`."""

from collections.abc import Sequence
from threading import Thread
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from evosearch.errors import HeldError, InputError, SearchConflictError, StaleTermError
from evosearch.evaluation import EpochRecord, Failure, FailureKind, Success, TrialId
from evosearch.genome import parse
from evosearch.search import Candidate, Origin
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
    Journal,
    LiveCurve,
    LiveRow,
    PrecisionResolved,
    ProcessorSeen,
    Recalled,
    Reopened,
    SearchCreated,
    SearchRow,
    Stopped,
    TestRead,
    TestReadingBegun,
)
from evosearch.storage.journal.rows import Heartbeat

CONFIGURATION: dict[str, Any] = {"seed": 1, "strategy": {"population": 4, "generations": 2}}
CREATED = SearchCreated(CONFIGURATION, "data-1", {"torch": "2.11", "threads": 1}, 2)
STARTED = DriverStarted("node1", 4711, "local", CONFIGURATION)
CURVE = (EpochRecord(0.7, 0.5), EpochRecord(0.1, 0.75))


def born(number: int, generation: int = 0) -> Born:
    """A candidate for tests; its numbers differ from each other."""
    candidate = Candidate(
        number, generation, parse("C8 P | F4"), Origin.CROSSOVER, (0, number), ("crossover 1|1",)
    )
    return Born(candidate, 1_000 + number, 2**40 + number)


def failed(number: int, kind: FailureKind, attempt: int = 1, *, final: bool = True) -> Failed:
    """A failed attempt for tests."""
    return Failed(number, attempt, "w2", Failure(kind, f"{kind} it was", 3.0), final)


STORY: tuple[Event, ...] = (
    *(born(number) for number in range(4)),
    GenerationStarted(0, (0, 1, 2, 3)),
    Dispatched(0, 1, "w1"),
    Finished(0, 1, "w1", Success(0.75, 2.0, CURVE)),
    Recalled(1, 0),
    Dispatched(2, 1, "w2"),
    failed(2, FailureKind.WORKER_LOST, final=False),
    Dispatched(2, 2, "w3"),
    failed(2, FailureKind.ERROR, attempt=2),
    Dispatched(3, 1, "w1"),
    Stopped("too many errors"),
    Reopened((2,)),
    Dispatched(2, 3, "w1"),
    Finished(2, 3, "w1", Success(0.25, 1.5)),
    Interrupted("SIGTERM"),
    born(4, generation=1),
    GenerationStarted(1, (0, 4)),
    Dispatched(4, 1, "w1"),
    failed(4, FailureKind.DIVERGED),
    Extended(3),
    Completed(0),
    TestReadingBegun("key-1", 0, 5, 2**62),
    TestRead("key-1", {"accuracy": 0.5, "confusion": [[1, 0], [1, 0]]}, "s/best.safetensors"),
    TestReadingBegun("key-2", 0, 9, 1),
)
"""Together with the two events of a start, every kind of event."""


def started(journal: Journal, name: str = "s", story: Sequence[Event] = ()) -> int:
    """Create a search at time 100, take it at 110, tell `story` at 120; the term."""
    journal.create_search(name, CREATED, 100.0)
    term = journal.begin_term(name, 0, STARTED, 110.0)
    journal.append(name, term, story, 120.0)
    return term


def found(journal: Journal, name: str = "s") -> SearchRow:
    """The row of a search that is there."""
    row = journal.find(name)
    assert row is not None
    return row


def trained(*numbers: int) -> list[Event]:
    """These candidates were born, and are being trained by a worker named after each."""
    return [
        *(born(number) for number in numbers),
        *(Dispatched(number, 1, f"w{number}") for number in numbers),
    ]


def live(number: int, *, epochs: int = len(CURVE), known: int = 0) -> LiveCurve:
    """The first epochs of a training of 9."""
    return LiveCurve(TrialId(number), 9, CURVE[:epochs], known)


class JournalContract:
    """Inherited by the tests of a journal; `journal` gives an empty one."""

    @pytest.fixture
    def journal(self) -> Journal:
        raise NotImplementedError("a journal's tests give it as the fixture `journal`")

    def test_a_replay_gives_back_what_was_written_in_order(self, journal: Journal) -> None:
        started(journal, story=STORY)
        recorded = list(journal.replay("s"))
        assert [one.event for one in recorded] == [CREATED, STARTED, *STORY]
        assert [one.sequence for one in recorded] == list(range(1, len(STORY) + 3))
        assert [(one.term, one.at) for one in recorded[:3]] == [(0, 100.0), (1, 110.0), (1, 120.0)]
        assert list(journal.replay("s", after=5)) == recorded[5:]

    def test_append_returns_the_last_sequence_number(self, journal: Journal) -> None:
        term = started(journal)
        assert journal.append("s", term, [born(0), born(1)], 1.0) == 4
        assert journal.append("s", term, [], 1.0) == 4

    def test_what_a_caller_changes_later_does_not_reach_the_journal(self, journal: Journal) -> None:
        mine = {"strategy": {"generations": 7}}
        journal.create_search("s", SearchCreated(mine, "k", {}, 7), 1.0)
        mine["strategy"]["generations"] = 8
        event = next(journal.replay("s")).event
        assert isinstance(event, SearchCreated)
        event.configuration["strategy"]["generations"] = 9
        assert found(journal).configuration == {"strategy": {"generations": 7}}
        assert found(journal).generations == 7

    def test_a_name_is_given_once(self, journal: Journal) -> None:
        started(journal)
        with pytest.raises(SearchConflictError, match=r"a search named 's' exists in .*choose another name"):
            journal.create_search("s", CREATED, 1.0)
        assert found(journal).term == 1

    def test_a_name_that_is_no_folder_is_refused(self, journal: Journal) -> None:
        with pytest.raises(InputError, match="cannot name a search"):
            journal.create_search("../s", CREATED, 1.0)

    def test_a_search_that_is_not_there_is_named(self, journal: Journal) -> None:
        assert journal.find("s") is None
        for ask in (journal.replay, journal.evaluations, journal.generations, journal.best):
            with pytest.raises(SearchConflictError, match="no search named 's'"):
                ask("s")

    def test_an_older_term_writes_nothing(self, journal: Journal) -> None:
        started(journal)
        assert journal.begin_term("s", 1, STARTED, 130.0) == 2
        with pytest.raises(StaleTermError, match=r"'s' was taken over by a newer driver \(term 2 > 1\)"):
            journal.append("s", 1, [born(0)], 140.0)
        with pytest.raises(StaleTermError):
            journal.beat("s", 1, 140.0)
        assert len(list(journal.replay("s"))) == 3
        assert found(journal).heartbeat == 130.0

    def test_a_term_begins_once(self, journal: Journal) -> None:
        started(journal)
        with pytest.raises(StaleTermError):
            journal.begin_term("s", 0, STARTED, 130.0)
        assert (found(journal).term, len(list(journal.replay("s")))) == (1, 2)

    def test_an_event_that_cannot_be_encoded_leaves_nothing_of_its_transaction(
        self, journal: Journal
    ) -> None:
        term = started(journal)
        with pytest.raises(TypeError, match=r"TestRead.metrics.shape is \(1, 2\)"):
            journal.append("s", term, [born(0), TestRead("k", {"shape": (1, 2)}, "w")], 1.0)
        assert (len(list(journal.replay("s"))), journal.evaluations("s")) == (2, ())

    def test_an_event_that_the_tables_refuse_leaves_nothing_of_its_transaction(
        self, journal: Journal
    ) -> None:
        term = started(journal)
        with pytest.raises(IntegrityError):
            journal.append("s", term, [born(0), born(1), born(0)], 1.0)
        assert (len(list(journal.replay("s"))), journal.evaluations("s")) == (2, ())

    def test_a_message_of_any_characters_is_kept_and_readers_get_what_can_be_shown(
        self, journal: Journal
    ) -> None:
        odd = "NUL \0, half a pair \ud83d, Größe, \N{SNOWMAN}"
        facts: list[Event] = [
            born(0),
            Failed(0, 1, "w\0", Failure(FailureKind.ERROR, odd, 1.0), final=True),
            Stopped(odd),
        ]
        started(journal, story=facts)
        assert [one.event for one in journal.replay("s", after=2)] == facts
        shown = "NUL \\x00, half a pair \\ud83d, Größe, \N{SNOWMAN}"
        assert found(journal).message == shown
        assert journal.evaluations("s")[0].reasons == (f"attempt 1 on w\\x00: error: {shown}",)
        assert journal.find("no\0name") is None

    def test_rebuilt_tables_equal_those_kept_up_to_date(self, journal: Journal) -> None:
        started(journal, story=STORY)
        started(journal, "other", story=STORY[:9])
        before = [_everything(journal, name) for name in ("s", "other")]
        journal.rebuild()
        assert [_everything(journal, name) for name in ("s", "other")] == before

    def test_several_searches_do_not_mix(self, journal: Journal) -> None:
        first, second = started(journal, "a"), started(journal, "group/b", story=STORY)
        told = _everything(journal, "group/b")
        journal.append("a", first, [born(0), born(9), GenerationStarted(0, (0, 9))], 1.0)
        assert _everything(journal, "group/b") == told
        assert [row.number for row in journal.evaluations("a")] == [0, 9]
        assert [row.name for row in journal.searches()] == ["a", "group/b"]
        assert journal.append("a", first, [born(1)], 1.0) == 6
        assert journal.append("group/b", second, [born(5)], 1.0) == len(STORY) + 3

    def test_a_long_replay_is_streamed_and_sees_what_is_written_meanwhile(self, journal: Journal) -> None:
        term = started(journal)
        journal.append("s", term, [Dispatched(0, attempt, "w") for attempt in range(2500)], 1.0)
        replay = journal.replay("s")
        assert next(replay).event == CREATED
        journal.append("s", term, [Completed(None)], 1.0)
        rest = list(replay)
        assert [one.sequence for one in rest] == list(range(2, 2504))
        assert rest[-1].event == Completed(None)

    def test_threads_write_different_searches_at_once(self, journal: Journal) -> None:
        names = ["a", "b", "c"]
        terms = [started(journal, name) for name in names]

        def write(name: str, term: int) -> None:
            for number in range(20):
                journal.append(name, term, [born(number)], 1.0)

        threads = [Thread(target=write, args=pair) for pair in zip(names, terms, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [len(list(journal.replay(name))) for name in names] == [22, 22, 22]

    def test_a_search_waits_for_its_first_driver(self, journal: Journal) -> None:
        journal.create_search("s", CREATED, 100.0)
        row = found(journal)
        assert (row.state, row.term, row.heartbeat, row.host, row.seconds) == (
            "interrupted",
            0,
            100.0,
            None,
            0,
        )

    def test_a_running_search_says_who_drives_it_and_where_it_stands(self, journal: Journal) -> None:
        started(journal, story=STORY[:9])
        row = found(journal)
        assert (row.state, row.host, row.pid, row.executor, row.term) == (
            "running",
            "node1",
            4711,
            "local",
            1,
        )
        assert (row.configuration, row.data_key) == (CONFIGURATION, "data-1")
        assert row.environment == {"torch": "2.11", "threads": 1}
        assert (row.generation, row.generations) == (0, 2)
        assert row.counts == {"waiting": 1, "running": 1, "done": 2, "failed": 0}

    @pytest.mark.parametrize(
        ("ending", "state", "message"),
        [
            (Interrupted("SIGINT"), "interrupted", "SIGINT"),
            (Stopped("3 errors"), "failed", "3 errors"),
            (Completed(0), "done", ""),
        ],
    )
    def test_the_last_word_of_a_driver_is_the_state(
        self, journal: Journal, ending: Event, state: str, message: str
    ) -> None:
        started(journal, story=[born(0), Dispatched(0, 1, "w"), ending])
        assert (found(journal).state, found(journal).message) == (state, message)

    def test_a_new_driver_runs_a_stopped_search_again(self, journal: Journal) -> None:
        started(journal, story=[born(0), Dispatched(0, 1, "w"), Stopped("3 errors")])
        changed = DriverStarted("node2", 12, "ray", {**CONFIGURATION, "workers": {"count": 9}})
        journal.begin_term("s", 1, changed, 200.0)
        row = found(journal)
        assert (row.state, row.message, row.executor) == ("running", "", "ray")
        assert row.configuration["workers"] == {"count": 9}

    def test_a_finished_search_stays_so_until_it_is_extended(self, journal: Journal) -> None:
        started(journal, story=[Completed(0)])
        term = journal.begin_term("s", 1, STARTED, 200.0)
        journal.append("s", term, [Interrupted("SIGINT")], 201.0)
        assert found(journal).state == "done"
        journal.append("s", term, [Extended(5)], 202.0)
        assert (found(journal).state, found(journal).generations) == ("running", 5)
        journal.begin_term("s", 2, STARTED, 300.0)
        assert found(journal).generations == 5

    def test_what_was_in_flight_waits_again_under_a_new_driver(self, journal: Journal) -> None:
        started(journal, story=[born(0), Dispatched(0, 1, "w")])
        assert journal.evaluations("s")[0].status == "running"
        journal.begin_term("s", 1, STARTED, 200.0)
        assert (journal.evaluations("s")[0].status, journal.evaluations("s")[0].attempts) == ("waiting", 1)

    def test_seconds_are_summed_over_drivers_up_to_their_last_sign_of_life(self, journal: Journal) -> None:
        term = started(journal)
        journal.beat("s", term, 140.0)
        assert (found(journal).heartbeat, found(journal).seconds) == (140.0, 30.0)
        term = journal.begin_term("s", term, STARTED, 500.0)
        journal.append("s", term, [born(0)], 512.0)
        assert (found(journal).heartbeat, found(journal).seconds) == (512.0, 42.0)
        journal.beat("s", term, 400.0)  # a clock that was set back
        assert 42.0 < found(journal).seconds < 42.1

    def test_a_heartbeat_changes_whatever_the_clock_says(self, journal: Journal) -> None:
        term = started(journal)
        told = [journal.heartbeats()["s"]]
        for at in (150.0, 150.0, 20.0, 150.0):
            journal.beat("s", term, at)
            told.append(journal.heartbeats()["s"])
        assert len(set(told)) == 5
        assert told == sorted(told, key=lambda one: one.last or 0.0)

    def test_a_heartbeat_is_told_of_every_search(self, journal: Journal) -> None:
        journal.create_search("new", CREATED, 100.0)
        started(journal, story=STORY)
        assert journal.heartbeats() == {
            "new": Heartbeat(0, 1, None),
            "s": Heartbeat(1, len(STORY) + 2, 120.0),
        }

    def test_an_evaluation_tells_what_became_of_it(self, journal: Journal) -> None:
        started(journal, story=STORY)
        rows = journal.evaluations("s", with_curve=True)
        assert [row.number for row in rows] == [0, 1, 2, 3, 4]
        first, recalled, reopened, _, diverged = rows
        assert (first.chromosome, first.parents, first.origin) == ("C8 P | F4", (0, 0), Origin.CROSSOVER)
        assert (first.parameters, first.flops, first.operators) == (1_000, 2**40, ("crossover 1|1",))
        assert (first.status, first.fitness, first.seconds, first.worker) == ("done", 0.75, 2.0, "w1")
        assert first.curve == ((0.7, 0.5), (0.1, 0.75))
        assert (recalled.status, recalled.fitness, recalled.seconds, recalled.cached) == (
            "done",
            0.75,
            0,
            True,
        )
        assert (reopened.status, reopened.fitness, reopened.attempts) == ("done", 0.25, 3)
        assert reopened.reasons == (
            "attempt 1 on w2: worker_lost: worker_lost it was",
            "attempt 2 on w2: error: error it was",
        )
        assert (diverged.status, diverged.fitness, diverged.failure) == ("failed", None, "diverged")
        assert journal.evaluations("s")[0].curve == ()

    def test_an_epoch_has_a_validation_loss_where_it_is_known_and_no_accuracy_where_nothing_judges(
        self, journal: Journal
    ) -> None:
        curves = [
            (EpochRecord(0.7, 0.5, 0.6), EpochRecord(0.1, 0.75, 0.4)),
            (EpochRecord(0.7, None), EpochRecord(0.1, None)),
            CURVE,
        ]
        ended = [
            Finished(number, 1, "w", Success(curve[-1].accuracy, 1.0, curve))
            for number, curve in enumerate(curves)
        ]
        term = started(journal, story=[*trained(0, 1, 2), *ended])
        rows = journal.evaluations("s", with_curve=True)
        assert [row.curve for row in rows] == [
            tuple((record.loss, record.accuracy) for record in curve) for curve in curves
        ]
        assert [row.validation_losses for row in rows] == [(0.6, 0.4), (), ()]
        assert [(row.status, row.fitness, row.accuracy) for row in rows] == [
            ("done", 0.75, 0.75),
            ("done", None, None),
            ("done", 0.75, 0.75),
        ]
        best = journal.best("s")
        assert best and best.number == 0
        journal.append("s", term, trained(3), 1.0)
        journal.show("s", term, [LiveCurve(TrialId(3), 9, curves[1])])
        assert journal.live("s") == (LiveRow(3, None, "w3", 2, 9, 0.1, None),)

    def test_failures_are_counted_by_kind_and_forgotten_when_reopened(self, journal: Journal) -> None:
        kinds = (FailureKind.ERROR, FailureKind.ERROR, FailureKind.DIVERGED)
        term = started(journal, story=[*map(born, range(3)), *map(failed, range(3), kinds)])
        assert found(journal).failed == {"error": 2, "diverged": 1}
        journal.append("s", term, [Reopened((0, 1))], 1.0)
        assert found(journal).failed == {"diverged": 1}
        assert found(journal).counts["waiting"] == 2
        assert len(journal.evaluations("s")[0].reasons) == 1

    def test_a_generation_is_measured_over_members_that_have_a_fitness(self, journal: Journal) -> None:
        started(journal, story=STORY)
        first, second = journal.generations("s")
        assert (first.members, first.best) == ((0, 1, 2, 3), 0.75)
        assert first.mean == pytest.approx((0.75 + 0.75 + 0.25) / 3)
        assert (sorted(first.fitness), first.failed) == ([0.25, 0.75, 0.75], 0)
        assert first.deviation == pytest.approx((1 / 18) ** 0.5)
        assert (second.members, second.best, second.mean, second.deviation) == ((0, 4), 0.75, 0.75, 0.0)
        assert (second.fitness, second.failed) == ((0.75,), 1)

    def test_a_generation_without_results_has_no_figures(self, journal: Journal) -> None:
        started(journal, story=STORY[:5])
        (only,) = journal.generations("s")
        assert (only.best, only.mean, only.deviation) == (None, None, None)
        assert journal.best("s") is None

    def test_the_best_is_the_first_of_the_highest_fitness(self, journal: Journal) -> None:
        fitness = {0: 0.5, 1: 0.75, 2: 0.75}
        done = [Finished(number, 1, "w", Success(value, 1.0)) for number, value in fitness.items()]
        started(journal, story=[*map(born, range(4)), *reversed(done), failed(3, FailureKind.DIVERGED)])
        best = journal.best("s")
        assert best is not None
        assert (best.number, best.fitness) == (1, 0.75)

    def test_a_reading_of_the_test_split_is_kept_and_begins_once(self, journal: Journal) -> None:
        term = started(journal, story=STORY)
        journal.append("s", term, [TestReadingBegun("key-1", 0, 5, 2**62)], 1.0)
        ended, begun = journal.test_readings("s")
        assert (ended.key, ended.epochs, ended.seed) == ("key-1", 5, 2**62)
        assert ended.metrics == {"accuracy": 0.5, "confusion": [[1, 0], [1, 0]]}
        assert ended.weights == "s/best.safetensors"
        assert (begun.key, begun.metrics, begun.weights) == ("key-2", None, None)

    def test_what_was_answered_in_a_reading_is_found_by_its_key(self, journal: Journal) -> None:
        answers = {"images": 2, "classes": 2, "float16": "AA=="}
        begun = TestReadingBegun("key-1", 0, 5, 1, TrialId(3), 1, "w1")
        read = TestRead("key-1", {"accuracy": 0.5}, "w", answers, TrialId(3), "w1", "a split")
        started(journal, story=[begun, read, TestReadingBegun("key-2", 0, 9, 1)])
        ended, unread = journal.test_readings("s")
        assert (ended.test_key, ended.trial) == ("a split", 3)
        assert (unread.test_key, unread.trial) == (None, None)
        assert journal.test_predictions("s", "key-1") == answers
        assert journal.test_predictions("s", "key-2") is None
        journal.rebuild()
        assert journal.test_readings("s") == (ended, unread)

    def test_the_kinds_of_processors_that_computed_are_read_each_once(self, journal: Journal) -> None:
        started(journal, story=[ProcessorSeen("w1", "B"), *STORY, ProcessorSeen("w2", "A")])
        started(journal, "other", story=[ProcessorSeen("w1", "C"), ProcessorSeen("w3", "C")])
        assert (journal.processors("s"), journal.processors("other")) == (("B", "A"), ("C",))
        journal.rebuild()
        assert journal.processors("s") == ("B", "A")

    def test_what_auto_means_is_in_the_row_of_its_search(self, journal: Journal) -> None:
        started(journal, story=[PrecisionResolved("bf16", "a GPU", "w1"), *STORY])
        started(journal, "other", story=STORY)
        assert (found(journal).precision, found(journal).precision_of) == ("bf16", "a GPU")
        assert (found(journal, "other").precision, found(journal, "other").precision_of) == (None, "")
        journal.rebuild()
        assert (found(journal).precision, found(journal).precision_of) == ("bf16", "a GPU")

    def test_searches_of_one_group_cannot_mean_two_things_by_auto(self, journal: Journal) -> None:
        for name in ("g/seed-0", "g/seed-0-final-5"):
            started(journal, name, story=[PrecisionResolved("bf16", "a GPU", "w1")])
        for name in ("g_/seed-0", "h", "h/final-5"):  # no group is called as another one matches
            started(journal, name, story=[PrecisionResolved("fp32", "a CPU", "w1")])
        assert (journal.precision_of("g"), journal.precision_of("h")) == (
            ("bf16", "a GPU"),
            ("fp32", "a CPU"),
        )
        assert journal.precision_of("nobody") is None
        term = started(journal, "g/seed-1", story=STORY)
        before = journal.end("g/seed-1")
        with pytest.raises(
            HeldError, match=r"auto as training.precision means bf16 for all searches of 'g'; run"
        ):
            journal.append("g/seed-1", term, [PrecisionResolved("fp32", "a CPU", "w2")], 130.0)
        assert journal.end("g/seed-1") == before
        journal.append("g/seed-1", term, [PrecisionResolved("bf16", "a GPU")], 130.0)

    def test_a_sound_journal_passes_its_check(self, journal: Journal) -> None:
        started(journal, story=STORY)
        journal.check()

    # Trainings under way

    def test_of_a_training_under_way_the_newest_epoch_is_read(self, journal: Journal) -> None:
        term = started(journal, story=trained(0, 1, 2))
        assert journal.live("s") == ()
        journal.show("s", term, [live(0, epochs=1), live(1)])
        journal.show("s", term, [live(0, known=1)])
        assert journal.live("s") == (
            LiveRow(0, None, "w0", 2, 9, 0.1, 0.75),
            LiveRow(1, None, "w1", 2, 9, 0.1, 0.75),
        )

    def test_one_that_begins_anew_has_only_the_epochs_of_this_attempt(self, journal: Journal) -> None:
        term = started(journal, story=trained(0))
        journal.show("s", term, [live(0)])
        journal.show("s", term, [live(0, epochs=1)])
        assert journal.live("s") == (LiveRow(0, None, "w0", 1, 9, 0.7, 0.5),)

    def test_what_has_ended_is_no_training_under_way(self, journal: Journal) -> None:
        term = started(journal, story=trained(0, 1, 2))
        journal.show("s", term, [live(0), live(1), live(2)])
        ended: list[Event] = [
            Finished(0, 1, "w0", Success(0.75, 2.0, CURVE)),
            failed(1, FailureKind.CRASHED, final=False),
        ]
        journal.append("s", term, ended, 130.0)
        assert [row.number for row in journal.live("s")] == [2]

    def test_another_driver_begins_without_what_the_last_one_told(self, journal: Journal) -> None:
        term = started(journal, story=trained(0))
        journal.show("s", term, [live(0)])
        newer = journal.begin_term("s", term, STARTED, 130.0)
        assert journal.live("s") == ()
        with pytest.raises(StaleTermError):
            journal.show("s", term, [live(0)])
        journal.append("s", newer, [Dispatched(0, 2, "w9")], 140.0)
        journal.show("s", newer, [live(0)])
        assert [row.worker for row in journal.live("s")] == ["w9"]

    def test_a_search_that_stops_leaves_no_training_under_way(self, journal: Journal) -> None:
        term = started(journal, story=trained(0))
        journal.show("s", term, [live(0)])
        journal.append("s", term, [Interrupted("SIGTERM")], 130.0)
        assert journal.live("s") == ()

    def test_no_event_tells_of_them_and_no_other_search_sees_them(self, journal: Journal) -> None:
        term = started(journal, story=trained(0))
        started(journal, "other", story=trained(0))
        before = journal.end("s")
        journal.show("s", term, [live(0)])
        assert journal.end("s") == before
        assert journal.live("other") == ()

    def test_a_deleted_search_is_gone_whole_and_its_name_is_free(self, journal: Journal) -> None:
        for name in ("s", "other"):
            started(journal, name, STORY)
        kept = list(journal.replay("other")), journal.evaluations("other"), journal.generations("other")
        journal.delete({"s": 1})
        assert journal.find("s") is None
        assert [row.name for row in journal.searches()] == ["other"]
        assert set(journal.heartbeats()) == {"other"}
        started(journal, "s")
        assert [one.event for one in journal.replay("s")] == [CREATED, STARTED]
        for empty in (journal.evaluations, journal.generations, journal.test_readings, journal.live):
            assert empty("s") == ()
        assert kept == (
            list(journal.replay("other")),
            journal.evaluations("other"),
            journal.generations("other"),
        )

    def test_of_several_searches_none_is_deleted_where_one_has_a_newer_driver(self, journal: Journal) -> None:
        for name in ("a", "b"):
            started(journal, name)
        journal.begin_term("b", 1, STARTED, 130.0)
        with pytest.raises(StaleTermError):
            journal.delete({"a": 1, "b": 1})
        assert [row.name for row in journal.searches()] == ["a", "b"]

    def test_whoever_drives_a_search_that_was_deleted_can_write_nothing(self, journal: Journal) -> None:
        term = started(journal)
        journal.delete({"s": term})
        for write in (
            lambda: journal.append("s", term, [born(0)], 1.0),
            lambda: journal.beat("s", term, 1.0),
            lambda: journal.begin_term("s", term, STARTED, 1.0),
        ):
            with pytest.raises(SearchConflictError, match="no search named 's'"):
                write()


def _everything(journal: Journal, name: str) -> tuple[object, ...]:
    evaluations = journal.evaluations(name, with_curve=True)
    return found(journal, name), evaluations, journal.generations(name), journal.test_readings(name)
