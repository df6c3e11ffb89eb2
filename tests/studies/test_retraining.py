"""The final step: what is trained again, and when the test split is opened."""

from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np
import pytest

from evosearch.errors import CannotRunError, InterruptedSearchError, TooManyFailuresError
from evosearch.evaluation import (
    UNWATCHED,
    EpochRecord,
    Failure,
    FailureKind,
    Measures,
    Prediction,
    PredictionTask,
    Success,
    TrainingTask,
    TrialId,
    evaluation_seed,
)
from evosearch.runtime import Fleet, Member, TimeLimits, Worker, replay, retried
from evosearch.runtime.scheduling.order import readings
from evosearch.search import FixedListSettings, ListedTrial
from evosearch.storage import (
    ArtifactStore,
    Completed,
    Dispatched,
    Failed,
    Finished,
    Reopened,
    Stopped,
    TestRead,
    TestReadingBegun,
    TestReadingFailed,
    unpack,
)
from evosearch.storage import TestReading as Reading
from evosearch.studies import best_reading, final_name, lengthened, listed_key, reading_key, retrainings
from evosearch.testing import FormulaEvaluator, Script, ScriptedPool
from tests.runtime.small_search import Drive, make_plan
from tests.studies.final_plan import NETWORK, TEST, final_plan

OF_TESTS = (Dispatched, Finished, Failed, TestReadingBegun, TestReadingFailed, TestRead, Stopped, Completed)


@dataclass
class Recorder:
    """A worker that notes the tasks it is given; those of the class `fails_at` fail, so many times."""

    fails: FailureKind | None = None
    fails_at: type = TrainingTask
    fails_times: int = 99
    tasks: list[object] = field(default_factory=list)

    def handle(self, task, progress=UNWATCHED):
        self.tasks.append(task)
        if self.fails and isinstance(task, self.fails_at) and self.fails_times:
            self.fails_times -= 1
            return Failure(self.fails, "on purpose")
        result = FormulaEvaluator(classes=2).handle(task)
        return replace(result, seconds=12.0) if isinstance(result, Success) else result


def story(drive):
    return [type(fact) for fact in drive.logbook.facts if isinstance(fact, OF_TESTS)]


# What is trained


def test_it_differs_from_the_search_by_its_epochs_and_its_seeds_only():
    plan, searched = final_plan(1, 2), make_plan()
    first, second = plan.strategy.ask(plan.strategy.start())
    task = plan.task(first, term=3, attempt=1)
    assert task.settings == replace(searched.training, epochs=30)
    assert task.seed == evaluation_seed(searched.context.seed, first.subject.key, 1)
    assert plan.task(second).seed == evaluation_seed(searched.context.seed, first.subject.key, 2)
    key = reading_key(5, 30, task.seed)
    assert task.weights == f"/home/small/final/{key}/term-3-attempt-1.safetensors"
    assert plan.reader.name(plan, first).key == key


@pytest.mark.parametrize(
    ("number", "epochs", "seed"), [(6, 30, 1), (5, 31, 1), (5, 30, 2)], ids=["candidate", "epochs", "seed"]
)
def test_whatever_makes_it_another_training_makes_another_key(number, epochs, seed):
    assert reading_key(number, epochs, seed) != reading_key(5, 30, 1)


def test_it_stands_below_its_search_and_belongs_to_the_same_group():
    assert final_name("digits", 20) == "digits/final-20"
    assert final_name("digits/seed-3", 20) == "digits/seed-3-final-20"


def test_a_list_is_lengthened_by_what_it_lacks_and_keeps_what_it_has():
    known = FixedListSettings(trials=retrainings(NETWORK, 5, (1, 2)))
    longer = lengthened(known, retrainings(NETWORK, 5, (2, 3)))
    assert known.begins(longer)
    assert [trial.repeat for trial in longer.trials] == [1, 2, 3]
    assert lengthened(known, retrainings(NETWORK, 5, (1,))) == known
    assert lengthened(None, retrainings(NETWORK, 5, (4,))).trials == (ListedTrial(NETWORK, 4, source=5),)


# When the test split is opened


def test_the_test_images_leave_the_driver_after_training_and_after_the_intent_is_journaled():
    recorder = Recorder()
    drive = Drive(final_plan(1), recorder)
    drive()
    assert story(drive) == [Dispatched, Finished, TestReadingBegun, TestRead, Completed]
    trained, predicted = recorder.tasks
    assert isinstance(predicted, PredictionTask)
    assert predicted.images is TEST.images
    assert (predicted.network, predicted.weights) == (trained.network, trained.weights)
    (begun,) = drive.logbook.of(TestReadingBegun)
    assert (begun.key, begun.number, begun.epochs) == (reading_key(5, 30, trained.seed), 5, 30)
    transactions = drive.logbook.transactions
    (intent,) = [facts for facts in transactions if begun in facts]
    assert not any(isinstance(fact, TestRead) for fact in intent)


def test_each_network_of_a_list_reads_once():
    drive = Drive(final_plan(1, 2, 3), Recorder(), Script(workers=2))
    state = drive()
    keys = [fact.key for fact in drive.logbook.of(TestRead)]
    assert len(keys) == len(set(keys)) == 3
    assert not state.unread


def test_what_is_journaled_are_metrics_and_predictions_of_each_image_and_a_relative_path():
    recorder = Recorder()
    drive = Drive(final_plan(1), recorder)
    drive()
    (read,) = drive.logbook.of(TestRead)
    trained, task = recorder.tasks
    assert read.weights == f"final/{read.key}/term-0-attempt-1.safetensors"
    probabilities = FormulaEvaluator(classes=2).handle(task).probabilities
    assert read.metrics["accuracy"] == pytest.approx((probabilities.argmax(axis=1) == TEST.labels).mean())
    assert (read.metrics["images"], read.metrics["classes"]) == (6, ["no", "yes"])
    fitness = FormulaEvaluator().handle(trained).fitness
    assert (read.metrics["validation_accuracy"], read.metrics["seconds"]) == (fitness, 12.0)
    kept = unpack(read.predictions, read.test_key, ArtifactStore("/nowhere"))
    assert kept.test_key == "test"
    assert (kept.labels == TEST.labels).all()
    assert (kept.predicted == probabilities.argmax(axis=1)).all()
    assert (kept.probabilities == probabilities.astype("f2")).all()


def test_every_figure_has_an_interval_that_is_drawn_from_the_seed_of_the_training():
    drive = Drive(final_plan(1), Recorder())
    drive()
    (read,), again = drive.logbook.of(TestRead), Drive(final_plan(1), Recorder())
    again()
    assert again.logbook.of(TestRead) == [read]
    low, high = read.metrics["intervals"]["accuracy"]
    assert 0 <= low < read.metrics["accuracy"] < high <= 1
    assert read.metrics["draws"] == 2000


def test_a_test_split_of_several_parts_has_figures_of_each():
    plan = final_plan(1)
    reader = replace(plan.reader, parts=(("here", 4), ("there", 2)))
    drive = Drive(replace(plan, reader=reader), Recorder())
    drive()
    (read,) = drive.logbook.of(TestRead)
    here, there = read.metrics["parts"]["here"], read.metrics["parts"]["there"]
    assert (here["images"], there["images"], read.metrics["images"]) == (4, 2, 6)
    assert 4 * here["accuracy"] + 2 * there["accuracy"] == pytest.approx(6 * read.metrics["accuracy"])
    assert here["intervals"].keys() == read.metrics["intervals"].keys()


def test_where_training_fails_the_test_split_stays_sealed():
    recorder = Recorder(FailureKind.DIVERGED)
    drive = Drive(final_plan(1), recorder)
    drive()
    assert story(drive) == [Dispatched, Failed, Completed]


def test_a_failed_training_is_tried_again_by_the_policy_of_its_kind_and_stops_the_search():
    drive = Drive(final_plan(1), Recorder(FailureKind.ERROR))
    with pytest.raises(TooManyFailuresError, match="on purpose"):
        drive()
    assert story(drive) == [Dispatched, Failed, Dispatched, Failed, Stopped]


def test_where_the_reading_fails_its_intent_stays_without_a_result_and_a_resume_trains_again():
    drive = Drive(final_plan(1), Recorder(FailureKind.ERROR, fails_at=PredictionTask))
    with pytest.raises(TooManyFailuresError, match=r"test split by trial 0 failed.*on purpose"):
        drive()
    assert story(drive)[2:] == [TestReadingBegun, TestReadingFailed] * 2 + [Stopped]
    recorder = Recorder()
    again = Drive(final_plan(1), recorder)
    again(drive.logbook.facts)
    assert again.logbook.of(Reopened) == [Reopened((0,))]
    assert [type(task) for task in recorder.tasks] == [TrainingTask, PredictionTask]
    attempts = [
        fact.attempt for fact in again.logbook.facts if isinstance(fact, Dispatched | TestReadingBegun)
    ]
    assert attempts == [1, 2, 3, 4, 5], "no number is given out twice"


def test_a_worker_that_is_lost_with_the_reading_is_replaced_and_the_reading_is_one():
    recorder = Recorder()
    drive = Drive(final_plan(1), recorder, Script(losses={(0, 2): FailureKind.WORKER_LOST}))
    drive()
    assert story(drive)[2:] == [TestReadingBegun, TestReadingFailed, TestReadingBegun, TestRead, Completed]
    assert [type(task) for task in recorder.tasks] == [TrainingTask, PredictionTask]


def test_a_driver_that_follows_one_which_died_before_the_reading_trains_nothing_again():
    drive = Drive(final_plan(1), Recorder())
    drive()
    kept = []
    for facts in drive.logbook.transactions:
        kept += facts
        if any(isinstance(fact, Finished) for fact in facts):
            break
    assert replay(final_plan(1), kept).unread.keys() == {TrialId(0)}
    recorder = Recorder()
    again = Drive(final_plan(1), recorder)
    again(kept)
    assert [type(task) for task in recorder.tasks] == [PredictionTask]
    assert again.logbook.of(TestRead) == drive.logbook.of(TestRead)


def test_a_stop_before_the_training_ends_reads_nothing():
    drive = Drive(final_plan(1), Recorder(), stop_reason=lambda: "SIGTERM")
    with pytest.raises(InterruptedSearchError, match="stopped by SIGTERM"):
        drive()
    assert TestReadingBegun not in story(drive)


@pytest.mark.parametrize("kind", [FailureKind.OUT_OF_MEMORY, FailureKind.CRASHED, FailureKind.DIVERGED])
def test_what_may_succeed_elsewhere_or_later_is_tried_again_when_it_is_asked_for_again(kind):
    plan, losses = final_plan(1, 2, 3), {(1, attempt): kind for attempt in range(1, 4)}
    drive = Drive(plan, Recorder(), Script(losses=losses))
    state = drive()
    assert state.failed == {TrialId(1): kind}
    assert len(drive.logbook.of(TestRead)) == 2, "the others do not wait for it"
    again = retried(plan, state)
    assert again == (() if kind is FailureKind.DIVERGED else (Reopened((1,)),))
    if again:
        later = Drive(plan, Recorder())
        assert not later([*drive.logbook.facts, *again]).failed
        assert len(later.logbook.of(TestRead)) == 3
    assert retried(replace(plan, reader=None), state) == ()


# Where it is read

TWO_NODES = Script(
    workers=4, nodes=2, losses={(0, 1): FailureKind.WORKER_LOST, (0, 3): FailureKind.WORKER_LOST}
)
"""The training is lost on the first node and done on the second, where its reading is lost once."""


def node_of_reading(drive):
    """The node of training and reading."""
    drive()
    (trained,) = drive.logbook.of(Finished)
    worker = drive.logbook.of(TestReadingBegun)[-1].worker
    return trained.node, next(one.node for one in drive.pool.alive if one.name == worker)


def test_a_reading_follows_its_training_to_the_same_machine():
    assert node_of_reading(Drive(final_plan(1), Recorder(), TWO_NODES)) == ("scripted-1", "scripted-1")


def test_with_a_place_that_all_machines_reach_anyone_reads():
    drive = Drive(final_plan(1, shared=True), Recorder(), TWO_NODES)
    assert node_of_reading(drive) == ("scripted-1", "scripted-0")


def test_where_its_machine_is_gone_another_may_share_its_disk():
    drive = Drive(final_plan(1), Recorder())
    drive()
    at = next(n for n, fact in enumerate(drive.logbook.facts) if isinstance(fact, TestReadingBegun))
    kept = [
        replace(one, node="gone") if isinstance(one, Finished) else one for one in drive.logbook.facts[:at]
    ]
    again = Drive(final_plan(1), Recorder())
    again(kept)
    assert len(again.logbook.of(TestRead)) == 1


def test_several_networks_on_several_machines_need_a_place_that_all_reach_before_any_is_trained():
    drive = Drive(final_plan(1, 2), Recorder(), Script(workers=2, nodes=2))
    with pytest.raises(CannotRunError) as refused:
        drive()
    assert str(refused.value) == (
        "the 2 trainings of 'small/final' would leave their weights on the disks of 2 nodes (scripted-0, scripted-1), each "
        "on its own; set storage.artifacts to a URL or to a folder that all nodes share (`evosearch run CONFIG` journals "
        "it), or workers.count to 1"
    )
    assert not drive.logbook.of(Dispatched)
    for allowed in (
        Drive(final_plan(1, 2, shared=True), Recorder(), Script(workers=2, nodes=2)),
        Drive(final_plan(1, 2), Recorder(), Script(workers=2)),
        Drive(final_plan(1), Recorder(), Script(workers=2, nodes=2)),
    ):
        allowed()


def test_nothing_is_given_out_while_a_worker_on_another_machine_may_still_come():
    class Slow(ScriptedPool):
        """Its second worker, on another machine, joins at the third poll."""

        polls = 0

        @property
        def settled(self):
            return self.polls > 2

        def poll(self, timeout):
            self.polls += 1
            news = super().poll(timeout) if self.polls != 2 else []
            if self.polls == 1:
                self.late = news[1:]
                return news[:1]
            return [*self.late, *news] if self.polls == 3 else news

    drive = Drive(final_plan(1, 2), Recorder(), Script(workers=2, nodes=2), make_pool=Slow)
    with pytest.raises(CannotRunError, match="on the disks of 2 nodes"):
        drive()
    assert not drive.pool.submitted


def test_a_reading_keeps_off_a_device_where_a_training_must_be_alone():
    plan = final_plan(1, 2)
    drive = Drive(plan, Recorder(), Script(workers=2))
    drive()
    at = next(n for n, fact in enumerate(drive.logbook.facts) if isinstance(fact, Finished))
    failed = Failed(1, 1, "scripted-2", Failure(FailureKind.OUT_OF_MEMORY, "too big"), final=False)
    free, alone = Worker("a", "scripted/0"), Worker("b", "scripted/0")
    offered = {}
    for kind, facts in (("shared", [Dispatched(1, 2, "b")]), ("alone", [failed, Dispatched(1, 2, "b")])):
        state = replay(plan, [*drive.logbook.facts[: at + 1], *facts])
        fleet = replace(Fleet.of(Member(plan, state)), workers={"a": free, "b": alone})
        offered[kind] = list(readings(fleet))
    assert offered == {"shared": [(free, plan.name, TrialId(0))], "alone": []}


# How long it may take


def test_a_training_that_hangs_is_noticed_and_begun_again():
    now = count()
    drive = Drive(
        final_plan(1),
        Recorder(),
        Script(hangs=frozenset({(0, 1), (0, 3)})),
        clock=lambda: float(next(now)),
        limits=TimeLimits(stall=30.0),
    )
    drive()
    assert story(drive) == [
        *(Dispatched, Failed, Dispatched, Finished),
        *(TestReadingBegun, TestReadingFailed, TestReadingBegun, TestRead, Completed),
    ]


def test_a_reading_of_a_network_that_started_from_given_weights_has_them_in_its_name():
    plan, sha256 = final_plan(1), "ab" * 32
    listed = retrainings(f"{NETWORK} @ {sha256}", 5, (1,))
    started = replace(plan, strategy=FixedListSettings(trials=listed).make(plan.context))
    (trial,) = started.strategy.ask(started.strategy.start())
    name = started.reader.name(started, trial).key
    assert name.endswith("-from-abababababab")
    assert name == listed_key(listed[0], started.context.training, started.context.seed)


def test_a_network_whose_weights_went_with_their_machine_is_trained_again_at_once():
    recorder = Recorder()
    drive = Drive(final_plan(1), recorder, Script(outages=frozenset({(0, 2)})))
    drive()
    assert story(drive)[2:] == [
        *(TestReadingBegun, TestReadingFailed, Dispatched, Finished, TestReadingBegun, TestRead, Completed)
    ]
    assert drive.logbook.of(Reopened) == [Reopened((0,))]


def test_where_all_machines_reach_the_weights_another_one_reads():
    recorder = Recorder()
    drive = Drive(final_plan(1, shared=True), recorder, Script(outages=frozenset({(0, 2)})))
    drive()
    assert [type(task) for task in recorder.tasks] == [TrainingTask, PredictionTask]
    assert not drive.logbook.of(Reopened)


def test_weights_that_another_machine_does_not_find_are_made_again_there():
    drive = Drive(final_plan(1), Recorder())
    drive()
    until = drive.logbook.facts.index(drive.logbook.of(Finished)[0]) + 1
    kept = [replace(f, node="gone") if isinstance(f, Finished) else f for f in drive.logbook.facts[:until]]
    recorder = Recorder(FailureKind.ERROR, fails_at=PredictionTask, fails_times=1)
    again = Drive(final_plan(1), recorder)
    again(kept)
    assert [type(task) for task in recorder.tasks] == [PredictionTask, TrainingTask, PredictionTask]
    assert again.logbook.of(TestRead)[0].metrics == drive.logbook.of(TestRead)[0].metrics


# Which network wins


def test_the_figure_that_the_search_goes_by_is_journaled_beside_the_accuracy():
    plan, trained = final_plan(1), Success(0.9, 1.0, measures=Measures(0.5, 0.25, 0.75))
    (trial,) = plan.strategy.ask(plan.strategy.start())
    prediction = Prediction(np.full((6, 2), 0.5, np.float32))
    by_f1 = replace(plan.reader, fitness="f1").measure(plan, trial, trained, prediction)
    assert (by_f1["validation_accuracy"], by_f1["validation_fitness"]) == (0.9, 0.25)
    assert "validation_fitness" not in plan.reader.measure(plan, trial, trained, prediction)


def test_of_a_training_that_may_end_early_it_is_journaled_where_it_ended_and_what_was_judged():
    plan, curve = final_plan(1), tuple(EpochRecord(0.5, 0.5, loss) for loss in (0.7, 0.6, 0.8))
    (trial,) = plan.strategy.ask(plan.strategy.start())
    prediction = Prediction(np.full((6, 2), 0.5, np.float32))
    early = replace(trial, settings=replace(plan.training, patience=1))
    found = plan.reader.measure(plan, early, Success(0.5, 1.0, curve), prediction)
    assert (found["ended_after"], found["judged_epoch"]) == (3, 2)
    assert "ended_after" not in plan.reader.measure(plan, trial, Success(0.5, 1.0, curve), prediction)


def reading(number, accuracy, fitness=None):
    figures = {"validation_accuracy": accuracy} | ({} if fitness is None else {"validation_fitness": fitness})
    return Reading(f"{number}-{accuracy}", number, 30, 1, figures, "weights")


def test_the_winner_is_the_best_by_what_the_search_goes_by():
    first, second, older = reading(5, 0.9, 0.2), reading(5, 0.8, 0.3), reading(5, 0.85)
    assert best_reading([first, second]) is second
    assert best_reading([first, second, older]) is first  # figures of two measures are not compared
    assert best_reading([second, older]) is older
    assert best_reading([replace(first, metrics=None)]) is None


def test_of_networks_that_nothing_judged_the_lowest_repeat_wins_and_one_that_was_judged_goes_before():
    unjudged = [replace(reading(5, None), key=key) for key in ("c", "a", "b")]
    repeats = {"c": 3, "a": 1, "b": 2}
    assert best_reading(unjudged, 5, repeats).key == "a"
    judged = reading(5, 0.0)
    assert best_reading([*unjudged, judged], 5, repeats) is judged


def test_the_winner_is_of_the_candidate_that_was_asked_for_where_one_was_trained():
    first, second = reading(5, 0.9), reading(6, 0.8)
    assert [best_reading([first, second], candidate) for candidate in (None, 5, 6, 7)] == [
        first,
        first,
        second,
        first,
    ]
