"""Balanced accuracy, F1 and AUROC as scikit-learn has them, for whom workers have no room."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from evosearch.data import SearchData
from evosearch.evaluation import Measures, PredictionTask, Success
from evosearch.training import Trainer
from evosearch.training.measures import measures_of


def drawn(classes: int, images: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of every class, what is taken for what, and logits with ties."""
    rng = np.random.default_rng([classes, seed])
    labels = rng.permutation(np.arange(images) % classes)
    logits = rng.normal(size=(images, classes)).astype(np.float32)
    logits[::3] = logits[0]  # equal images
    return labels, logits.argmax(1), logits


def of(labels: np.ndarray, predicted: np.ndarray, logits: np.ndarray, positive: int = 1) -> Measures:
    return measures_of(labels, predicted, logits, [f"class {n}" for n in range(logits.shape[1])], positive)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("classes", [3, 7])
def test_of_several_classes_they_are_the_means_that_scikit_learn_has(classes: int, seed: int) -> None:
    labels, predicted, logits = drawn(classes, seed=seed)
    found = of(labels, predicted, logits)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert found.f1 == pytest.approx(f1_score(labels, predicted, average="macro", zero_division=0))
    assert found.auroc == pytest.approx(roc_auc_score(labels, probabilities, multi_class="ovr"))
    assert found.auroc_undefined is None


@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("seed", range(5))
def test_of_two_classes_f1_is_that_of_the_positive_one(positive: int, seed: int) -> None:
    labels, predicted, logits = drawn(2, seed=seed)
    found = of(labels, predicted, logits, positive)
    assert found.f1 == pytest.approx(f1_score(labels, predicted, pos_label=positive))
    assert found.auroc == pytest.approx(roc_auc_score(labels, logits[:, 1] - logits[:, 0]))


def test_logits_far_apart_are_still_in_order() -> None:
    """As float32 all four probabilities are 1."""
    logits = np.array([[0, 50], [0, 60], [0, 70], [0, 80]], np.float32)
    assert of(np.array([0, 0, 1, 1]), np.ones(4, np.int64), logits).auroc == 1.0


def test_always_answering_the_common_class_has_a_high_accuracy_and_nothing_else() -> None:
    labels, logits = np.array([0] * 19 + [1]), np.array([[1, 0]] * 20, np.float32)
    assert of(labels, logits.argmax(1), logits) == Measures(0.5, 0.0, 0.5)


def test_a_class_without_an_image_leaves_the_auroc_undefined_and_says_so() -> None:
    labels, logits = np.array([0, 0, 1]), np.eye(3, dtype=np.float32)[[0, 1, 1]]
    found = of(labels, logits.argmax(1), logits)
    assert (found.auroc, found.auroc_undefined) == (None, "no validation image of class class 2")
    assert found.balanced_accuracy == pytest.approx((0.5 + 1) / 2)
    assert found.f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_a_training_comes_to_those_of_its_last_epoch(data: SearchData, device: str, ask, tmp_path) -> None:  # type: ignore[no-untyped-def] # fixtures
    weights = str(tmp_path / "weights")
    trainer, task = Trainer(data, device), ask(epochs=2, weights=weights)
    outcome = trainer.handle(task)
    assert isinstance(outcome, Success) and outcome.measures is not None
    images, labels = data.validation.images, data.validation.labels
    reading = PredictionTask(task.network, task.settings, data.key, weights, images)
    probabilities = trainer.predict(reading).probabilities
    predicted = probabilities.argmax(1)
    assert outcome.fitness == (predicted == labels).mean()
    assert outcome.measures.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert outcome.measures.f1 == pytest.approx(f1_score(labels, predicted, zero_division=0))
    assert outcome.measures.auroc == pytest.approx(roc_auc_score(labels, probabilities[:, 1]))
