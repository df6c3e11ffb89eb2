"""The final step: what is trained anew, and when the test split is opened."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from evosearch.data import Dataset, Split
from evosearch.errors import InterruptedSearchError, TooManyFailuresError
from evosearch.evaluation import (
    UNWATCHED,
    Failure,
    FailureKind,
    PredictionTask,
    Success,
    TrainingTask,
    evaluation_seed,
)
from evosearch.runtime import Silence, SingleTasks, Surroundings
from evosearch.storage import TestRead, TestReadingBegun
from evosearch.studies import Retraining, retrain_best
from evosearch.testing import FormulaEvaluator, Script, ScriptedPool
from tests.runtime.small_search import make_plan


def split(count, seed):
    rng = np.random.default_rng(seed)
    return Split(rng.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8), np.arange(count) % 2)


DATASET = Dataset(split(8, 0), split(4, 1), split(6, 2), ("no", "yes"), "data")


@dataclass
class Recorder:
    """A worker, a journal and a folder that note in one list, `story`, what reached them."""

    fails: FailureKind | None = None
    fails_at: type = TrainingTask
    story: list[object] = field(default_factory=list)
    term: int = 3

    def handle(self, task, progress=UNWATCHED):
        self.story.append(task)
        if self.fails and isinstance(task, self.fails_at):
            return Failure(self.fails, "on purpose")
        result = FormulaEvaluator(classes=2).handle(task)
        return replace(result, seconds=12.0) if isinstance(result, Success) else result

    def append(self, facts):
        self.story.extend(facts)

    def beat(self):
        pass


def retrain(recorder, retraining, script=None, stop=lambda: None):
    pool = ScriptedPool(recorder, script)
    pool.start()
    world = Surroundings(pool, {"small": recorder}, lambda: 0.0, stop, Silence())
    return retrain_best(retraining, DATASET, SingleTasks("small", world), recorder, "/home/small")


@pytest.fixture
def plan():
    return make_plan()


@pytest.fixture
def retraining(plan):
    best = plan.strategy.start().members[5]
    return Retraining.of(plan, best.number, best.chromosome, 30)


# What is trained


def test_the_retraining_differs_from_the_search_by_its_epochs_and_its_seed_only(plan, retraining):
    searched = plan.task(retraining.chromosome)
    assert retraining.task == replace(
        searched,
        settings=replace(searched.settings, epochs=30),
        seed=evaluation_seed(plan.seed, retraining.chromosome.key, 1),
    )
    assert retraining.task.seed != searched.seed


def test_its_key_names_candidate_epochs_and_seed(plan, retraining):
    seed = retraining.task.seed
    assert retraining.key == f"candidate-5-epochs-30-seed-{seed}"
    assert Retraining.of(plan, 5, retraining.chromosome, 30) == retraining


@pytest.mark.parametrize("change", ["number", "chromosome", "epochs", "search seed"])
def test_whatever_makes_it_another_training_makes_another_key(plan, retraining, change):
    other = plan.strategy.start().members[6]
    number, chromosome, epochs = 5, retraining.chromosome, 30
    changed = {
        "number": lambda: Retraining.of(plan, 6, chromosome, epochs),
        "chromosome": lambda: Retraining.of(plan, number, other.chromosome, epochs),
        "epochs": lambda: Retraining.of(plan, number, chromosome, 31),
        "search seed": lambda: Retraining.of(make_plan(seed=1), number, chromosome, epochs),
    }
    assert changed[change]().key != retraining.key


# When the test split is opened


def test_the_test_images_leave_the_driver_after_training_and_after_the_intent_is_journaled(retraining):
    recorder = Recorder()
    read = retrain(recorder, retraining)
    trained, begun, predicted, ended = recorder.story
    assert trained == replace(
        retraining.task, weights=f"/home/small/final/{retraining.key}/term-3-attempt-1.safetensors"
    )
    assert begun == TestReadingBegun(retraining.key, 5, 30, retraining.task.seed)
    assert isinstance(predicted, PredictionTask)
    assert predicted.images is DATASET.test.images
    assert (predicted.network, predicted.weights) == (retraining.chromosome, trained.weights)
    assert ended is read


def test_what_is_journaled_are_the_metrics_of_the_predictions_and_a_relative_path(retraining):
    read = retrain(Recorder(), retraining)
    assert isinstance(read, TestRead)
    assert read.weights == f"final/{retraining.key}/term-3-attempt-1.safetensors"
    task = PredictionTask(retraining.chromosome, retraining.task.settings, "data", "", DATASET.test.images)
    predicted = FormulaEvaluator(classes=2).handle(task).probabilities.argmax(axis=1)
    assert read.metrics["accuracy"] == pytest.approx((predicted == DATASET.test.labels).mean())
    assert (read.metrics["images"], read.metrics["classes"]) == (6, ["no", "yes"])
    success = FormulaEvaluator().handle(retraining.task)
    assert isinstance(success, Success)
    assert (read.metrics["validation_accuracy"], read.metrics["seconds"]) == (success.fitness, 12.0)


def test_where_training_fails_the_test_split_stays_sealed_and_nothing_is_journaled(retraining):
    recorder = Recorder(FailureKind.DIVERGED)
    with pytest.raises(TooManyFailuresError, match="candidate 5 of 'small' failed as diverged"):
        retrain(recorder, retraining)
    assert [type(happened) for happened in recorder.story] == [TrainingTask]


def test_a_failed_training_is_tried_again_by_the_policy_of_its_kind(retraining):
    recorder = Recorder(FailureKind.ERROR)
    with pytest.raises(TooManyFailuresError):
        retrain(recorder, retraining)
    assert [type(happened) for happened in recorder.story] == [TrainingTask] * 2


def test_where_the_reading_fails_its_intent_stays_in_the_journal_without_a_result(retraining):
    recorder = Recorder(FailureKind.ERROR, fails_at=PredictionTask)
    with pytest.raises(TooManyFailuresError, match="on purpose"):
        retrain(recorder, retraining)
    kinds = [type(happened) for happened in recorder.story]
    assert kinds == [TrainingTask, TestReadingBegun, PredictionTask, PredictionTask]


def test_a_worker_that_is_lost_with_the_reading_is_replaced_and_the_reading_is_one(retraining):
    recorder = Recorder()
    lost = Script(losses={(5, 1): FailureKind.WORKER_LOST})
    retrain(recorder, retraining, lost)
    assert [type(happened) for happened in recorder.story] == [
        *(TrainingTask, TestReadingBegun, PredictionTask, TestRead),
    ]


def test_a_stop_before_the_training_ends_reads_nothing(retraining):
    recorder = Recorder()
    with pytest.raises(InterruptedSearchError, match="stopped by SIGTERM; the same command begins this step"):
        retrain(recorder, retraining, stop=lambda: "SIGTERM")
    assert recorder.story == []


def test_a_stop_between_training_and_reading_leaves_the_intent_only(retraining):
    recorder = Recorder()
    with pytest.raises(InterruptedSearchError):
        retrain(recorder, retraining, stop=lambda: "SIGTERM" if len(recorder.story) >= 2 else None)
    assert [type(happened) for happened in recorder.story] == [TrainingTask, TestReadingBegun]
