"""Above which probability of the positive class of two a network answers it, and what is known when that is chosen."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, roc_auc_score

from evosearch.data import Dataset, Split
from evosearch.errors import ConfigError, EvaluationError
from evosearch.evaluation import (
    FinalSettings,
    Prediction,
    PredictionTask,
)
from evosearch.reports import reading_lines, reading_row
from evosearch.storage import ArtifactStore, Dispatched, Finished, TestRead, TestReadingBegun, unpack
from evosearch.storage import TestReading as Reading
from evosearch.studies import (
    answers,
    best_threshold,
    check_threshold,
    classification_metrics,
    intervals_of,
    threshold_for_share,
    trained_otherwise,
)
from evosearch.testing import FormulaEvaluator
from tests.runtime.small_search import Drive
from tests.studies.final_plan import TEST, final_plan

NETWORK = [0.2, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95]
"""What a network that was trained on many positive images says of seven."""
LABELS = np.array([0, 0, 0, 1, 0, 1, 1])


def table(*positive, first=False):
    """Probabilities of two classes; `first`: the positive class is the first."""
    rows = [(one, 1 - one) if first else (1 - one, one) for one in positive]
    return np.array(rows, np.float32)


# The best one


def test_the_best_threshold_lies_midway_between_the_probabilities_that_it_tells_apart():
    # above 0.725 are three of three positive images and one of four others, above 0.85 two and none
    assert best_threshold(LABELS, table(*NETWORK), 1) == pytest.approx(0.725)


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_has_a_better_balanced_accuracy(seed):
    rng = np.random.default_rng(seed)
    labels = (rng.random(60) < 0.74).astype(np.int64)
    shares = table(*np.clip(rng.normal(0.6 + 0.1 * labels, 0.2), 0.01, 0.99))
    found = best_threshold(labels, shares, 1)
    reached = balanced_accuracy_score(labels, answers(shares, 1, found))
    for other in np.linspace(0, 1, 201):
        assert reached >= balanced_accuracy_score(labels, answers(shares, 1, other)) - 1e-12


@pytest.mark.parametrize(
    ("labels", "positive", "best"),
    [
        ((0, 1), (0.3, 0.8), 0.5),
        # above 0.2 and above 0.7 are equally good
        ((0, 1, 0, 1), (0.1, 0.3, 0.6, 0.8), 0.7),
        ((0, 1, 0, 1), (0.1, 0.3, 0.4, 0.8), 0.5),
    ],
    ids=["half among them", "nearest", "half as good"],
)
def test_of_equally_good_thresholds_the_nearest_to_one_half_is_taken(labels, positive, best):
    assert best_threshold(np.array(labels), table(*positive), 1) == pytest.approx(best)


def test_of_two_equally_near_ones_it_is_the_lower():
    labels, shares = np.array([0, 1, 1, 0, 0, 1]), table(0.125, 0.375, 0.375, 0.625, 0.625, 0.875)
    assert best_threshold(labels, shares, 1) == 0.25


def test_either_class_may_be_the_positive_one():
    first = table(*NETWORK, first=True)
    assert best_threshold(1 - LABELS, first, 0) == best_threshold(LABELS, table(*NETWORK), 1)
    assert (answers(first, 0, 0.725) == 1 - answers(table(*NETWORK), 1, 0.725)).all()


def test_what_is_nearly_certain_is_told_apart_where_float32_has_one_number_for_it():
    shares = np.array([[1e-9, 1.0], [1e-12, 1.0]], np.float32)
    found = best_threshold(np.array([0, 1]), shares, 1)
    assert answers(shares, 1, found).tolist() == [0, 1]


# Another share of positive images


@pytest.mark.parametrize("share", [0.1, 0.625, 0.9])
def test_by_a_share_that_class_is_answered_which_is_the_more_probable_one_by_bayes(share):
    trained, own = 0.74, np.linspace(0.01, 0.99, 99)
    positive, negative = own * share / trained, (1 - own) * (1 - share) / (1 - trained)
    found = answers(table(*own), 1, threshold_for_share(trained, share))
    assert (found == (positive > negative)).all()


def test_by_the_share_that_was_trained_on_it_is_one_half():
    assert threshold_for_share(0.74, 0.74) == pytest.approx(0.5)


# What follows the answers


def test_all_figures_but_the_auroc_follow_the_classes_that_are_answered():
    shares, threshold = table(*NETWORK), 0.725
    predicted = answers(shares, 1, threshold)
    found = classification_metrics(LABELS, shares, ("no", "yes"), 1, predicted)
    plain = classification_metrics(LABELS, shares, ("no", "yes"))
    assert (found.accuracy, found.recall, found.specificity) == (6 / 7, 1.0, 0.75)
    assert (found.precision, found.f1) == (0.75, pytest.approx(6 / 7))
    assert found.confusion == ((3, 1), (0, 3))
    assert plain.confusion == ((1, 3), (0, 3))
    assert found.auroc == plain.auroc == roc_auc_score(LABELS, shares[:, 1])
    moved, own = (intervals_of(LABELS, shares, 1, 0, one) for one in (predicted, None))
    assert moved["auroc"] == own["auroc"]
    assert moved["specificity"] != own["specificity"]


# In a retraining

VALIDATION = np.array([0, 1, 0, 1, 1, 1, 1, 1])
TRAIN = np.array([0, 1, 1, 1])


def plan_with(validation=VALIDATION, **final):
    """A retraining of one network, whose readings know labels of training and validation images."""
    plan = final_plan(1)
    listed = tuple(replace(one, **final) for one in plan.strategy.settings.trials)
    reader = replace(plan.reader, listed=listed, train_labels=TRAIN, validation_labels=validation)
    return replace(plan, reader=reader)


class Recorder:
    """A worker that notes its tasks; its network answers what `FormulaEvaluator` does."""

    def __init__(self, validation=8):
        self.inner, self.tasks = FormulaEvaluator(classes=2, validation=validation), []

    def handle(self, task, progress=None):
        self.tasks.append(task)
        return self.inner.handle(task)


def read_with(plan, recorder):
    drive = Drive(plan, recorder)
    drive()
    (read,) = drive.logbook.of(TestRead)
    return read, recorder.inner.handle(recorder.tasks[-1])


def test_by_default_nothing_is_asked_for_and_journaled_that_was_not_before():
    read, answered = read_with(plan_with(), recorder := Recorder())
    assert read == read_with(final_plan(1), Recorder())[0]
    assert not recorder.tasks[-1].with_validation
    assert answered.validation is None
    assert not {"threshold", "threshold_by"} & read.metrics.keys()


@pytest.mark.parametrize(
    ("final", "by"),
    [({"threshold": "validation"}, "validation"), ({"positive_share": 0.4}, "positive_share")],
    ids=["validation", "share"],
)
def test_a_reading_says_its_threshold_and_answers_by_it(final, by):
    read, answered = read_with(plan_with(**final), recorder := Recorder())
    plain, _ = read_with(final_plan(1), Recorder())
    expected = (
        best_threshold(VALIDATION, answered.validation, 1)
        if by == "validation"
        else threshold_for_share(0.75, 0.4)
    )
    assert expected != 0.5
    assert (read.metrics["threshold"], read.metrics["threshold_by"]) == (expected, by)
    predicted = answers(answered.probabilities, 1, expected)
    kept = unpack(read.predictions, "", ArtifactStore("/nowhere"))
    assert (kept.predicted == predicted).all()
    assert (predicted != answered.probabilities.argmax(1)).any(), "the test tells the two apart"
    assert read.metrics["confusion"] == confusion_matrix(TEST.labels, predicted).tolist()
    assert read.metrics["intervals"]["accuracy"] != plain.metrics["intervals"]["accuracy"]
    assert read.metrics["auroc"] == plain.metrics["auroc"]
    assert read.predictions["float16"] == plain.predictions["float16"]
    assert recorder.tasks[-1].with_validation == (by == "validation")
    assert read.key != plain.key


def test_each_part_of_the_test_split_is_answered_by_the_same_threshold():
    plan = plan_with(threshold="validation")
    parts = (("here", 4), ("there", 2))
    read, answered = read_with(replace(plan, reader=replace(plan.reader, parts=parts)), Recorder())
    predicted = answers(answered.probabilities, 1, read.metrics["threshold"])
    assert read.metrics["parts"]["there"]["accuracy"] == (predicted == TEST.labels)[4:].mean()


@pytest.mark.parametrize(
    ("settings", "trained"),
    [({}, 0.75), ({"fit": "train_validation"}, 9 / 12), ({"class_weights": "balanced"}, 0.5)],
    ids=["train", "both", "balanced"],
)
def test_the_share_that_was_trained_on_is_that_of_what_the_loss_counts(settings, trained):
    labels = np.concatenate([VALIDATION[:6], [1, 1]])
    plan = plan_with(labels, positive_share=0.4)
    context = replace(plan.context, training=replace(plan.training, **settings))
    plan = replace(plan, context=context)
    (trial,) = plan.strategy.ask(plan.strategy.start())
    found = plan.reader.threshold(plan, trial, Prediction(table(0.5)))
    assert found == pytest.approx(threshold_for_share(trained, 0.4))


def test_a_driver_that_follows_one_which_died_before_the_reading_reads_the_same():
    plan = plan_with(threshold="validation")
    drive = Drive(plan, Recorder())
    drive()
    facts, kept = drive.logbook.transactions, []
    for one in facts:
        kept += one
        if any(isinstance(fact, Finished) for fact in one):
            break
    again = Drive(plan, recorder := Recorder())
    again(kept)
    assert [type(task) for task in recorder.tasks] == [PredictionTask]
    assert again.logbook.of(TestRead) == drive.logbook.of(TestRead)


def test_the_same_training_with_another_threshold_is_read_too():
    plan = final_plan(1)
    (plain,) = plan.strategy.settings.trials
    listed = (plain, replace(plain, threshold="validation"), replace(plain, positive_share=0.4))
    settings = replace(plan.strategy.settings, trials=listed)
    known = plan_with().reader
    reader = replace(known, listed=listed)
    drive = Drive(replace(plan, strategy=settings.make(plan.context), reader=reader), Recorder())
    drive()
    keys = [fact.key for fact in drive.logbook.of(TestRead)]
    assert [dict(trained_otherwise(key)) for key in keys] == [
        {},
        {"threshold": "validation"},
        {"positive_share": "0.4"},
    ]
    assert len(drive.logbook.of(Dispatched)) == len(drive.logbook.of(TestReadingBegun)) == 3


def test_a_worker_that_left_the_validation_images_out_is_no_threshold_of_any():
    with pytest.raises(
        EvaluationError, match="chosen on 8 validation images, of which the worker classified 5"
    ):
        read_with(plan_with(threshold="validation"), Recorder(validation=5))


def test_a_reading_is_shown_with_its_threshold_and_where_it_was_chosen():
    read, _ = read_with(plan_with(threshold="validation"), Recorder())
    shared, _ = read_with(plan_with(positive_share=0.4), Recorder())
    shown = [
        Reading(one.key, 5, 30, 1, one.metrics, "small/final", one.weights, 1, 1) for one in (read, shared)
    ]
    text = "\n".join(reading_lines("small", shown[0], "/home"))
    threshold = f"{read.metrics['threshold']:.4g}"
    assert f"  yes is answered above the probability {threshold}, chosen on the validation images" in text
    assert (
        "  yes is answered above the probability 0.8182, for a share of 0.4 of positive images"
        in "\n".join(reading_lines("small", shown[1], "/home"))
    )
    row = reading_row(shown[0])
    assert ", threshold validation, " in row
    assert row.endswith(f" above {threshold}")


# What is refused


@pytest.mark.parametrize(
    ("final", "told"),
    [
        (
            {"threshold": "validation", "fit": "train_validation"},
            "final.threshold is validation while final.fit is train_validation: no image is left to choose it by; leave one of the "
            "two out",
        ),
        (
            {"threshold": "validation", "positive_share": 0.5},
            "final.threshold is validation while final.positive_share is 0.5: each says above which probability an answer is "
            "positive; leave one of the two out",
        ),
        *(
            (
                {"positive_share": share},
                f"final.positive_share is {share}; it must be above 0 and below 1, or null for none",
            )
            for share in (0, 1, -0.1, float("nan"))
        ),
    ],
)
def test_what_chooses_no_threshold_is_refused_in_one_line(final, told):
    with pytest.raises(ConfigError) as refused:
        FinalSettings(**final)
    assert str(refused.value) == told


def dataset(classes, train, validation):
    def split(labels):
        return Split(np.zeros((len(labels), 1, 2, 2), np.uint8), np.array(labels))

    return Dataset(split(train), split(validation), split([0]), classes, "key")


@pytest.mark.parametrize("final", [{"threshold": "validation"}, {"positive_share": 0.5}], ids=str)
def test_a_threshold_is_of_two_classes_which_both_have_images(final):
    key, value = next(iter(final.items()))
    wanted, split = FinalSettings(**final), "validation" if key == "threshold" else "training"
    check_threshold(wanted, dataset(("no", "yes"), [0, 1], [0, 1]))
    check_threshold(FinalSettings(), dataset(("a", "b", "c"), [0], [0]))
    for data, told in (
        (dataset(("a", "b", "c"), [0, 1, 2], [0, 1, 2]), "there are 3 classes: a threshold is of two"),
        (dataset(("no", "yes"), [1], [1]), f"no {split} image is of the class 'no'"),
    ):
        with pytest.raises(ConfigError) as refused:
            check_threshold(wanted, data)
        assert str(refused.value) == f"final.{key} is {value}, but {told}; leave the key out"
