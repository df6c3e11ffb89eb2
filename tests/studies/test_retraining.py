"""The final step: what is trained again, and when the test split is opened."""

import base64
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from evosearch.data import Split
from evosearch.errors import InterruptedSearchError, TooManyFailuresError
from evosearch.evaluation import (
    UNWATCHED,
    Failure,
    FailureKind,
    PredictionTask,
    Success,
    TrainingTask,
    TrialId,
    evaluation_seed,
)
from evosearch.runtime import Plan, replay
from evosearch.search import FixedListSettings, ListedTrial
from evosearch.storage import (
    Completed,
    Dispatched,
    Failed,
    Finished,
    Reopened,
    Stopped,
    TestRead,
    TestReadingBegun,
    TestReadingFailed,
)
from evosearch.studies import FinalReader, final_name, lengthened, reading_key, retrainings
from evosearch.testing import FormulaEvaluator, Script
from tests.runtime.small_search import Drive, make_plan

NETWORK = "C4 C5 P | F6"
OF_TESTS = (Dispatched, Finished, Failed, TestReadingBegun, TestReadingFailed, TestRead, Stopped, Completed)


def split(count, seed):
    rng = np.random.default_rng(seed)
    return Split(rng.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8), np.arange(count) % 2)


TEST = split(6, 2)


def final_plan(*repeats, epochs=30, shared=False, seed=0) -> Plan:
    searched = make_plan(seed=seed)
    training = replace(searched.training, epochs=epochs)
    context = replace(searched.context, training=training)
    settings = FixedListSettings(trials=retrainings(NETWORK, 5, repeats))
    reader = FinalReader(TEST, ("no", "yes"), "/home/small", shared, [5] * len(repeats))
    return Plan("small/final", settings.make(context), context, "data", reader)


@dataclass
class Recorder:
    """A worker that notes the tasks it is given; those of the class `fails_at` fail."""

    fails: FailureKind | None = None
    fails_at: type = TrainingTask
    tasks: list[object] = field(default_factory=list)

    def handle(self, task, progress=UNWATCHED):
        self.tasks.append(task)
        if self.fails and isinstance(task, self.fails_at):
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
    kept = np.frombuffer(base64.b64decode(read.predictions["float32"]), "<f4")
    assert (kept.reshape(6, 2) == probabilities).all()


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


# Where it is read


def nodes_of(drive):
    trained = {fact.trial: fact.node for fact in drive.logbook.of(Finished)}
    workers = {fact.trial: fact.worker for fact in drive.logbook.of(TestReadingBegun)}
    return trained, workers


def test_a_reading_follows_its_training_to_the_same_machine():
    drive = Drive(final_plan(1, 2, 3, 4), Recorder(), Script(workers=4, nodes=2, shuffle=1))
    drive()
    trained, workers = nodes_of(drive)
    node_of = {fact.worker: fact.node for fact in drive.logbook.of(Finished)}
    assert len(set(trained.values())) == 2
    assert all(node_of[worker] == trained[trial] for trial, worker in workers.items())
