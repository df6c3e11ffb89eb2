"""How good a trained network is on the test images, by scikit-learn."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evosearch.evaluation import Labels
from evosearch.studies.intervals import figures_of


@dataclass(frozen=True)
class Metrics:
    """Test metrics, each 0 to 1. Two classes: of the positive class. More: means over the classes."""

    accuracy: float
    """Share of the images that are classified rightly."""
    precision: float
    """Of those taken for a class, the share that are of it."""
    recall: float
    """Of those of a class, the share that are taken for it."""
    f1: float
    """Harmonic mean of precision and recall."""
    specificity: float
    """Of those that are not of a class, the share that are not taken for it."""
    balanced_accuracy: float
    """The share of a class that is classified rightly, averaged over the classes that have images."""
    auroc: float | None
    """Area under the ROC curve, one class against the rest; None where it is undefined."""
    auroc_undefined: str | None
    """Why `auroc` is undefined; None where it is not."""
    confusion: tuple[tuple[int, ...], ...]
    """Images of class i (row) taken for class j (column)."""
    classes: tuple[str, ...]
    """Their names, by number."""
    images: int
    """How many were classified."""
    positive: str | None = None
    """Which of two classes precision, recall and F1 are of; None where there are more."""

    def to_json(self) -> dict[str, Any]:
        """JSON form, keys as the fields."""
        return asdict(self) | {
            "classes": list(self.classes),
            "confusion": [list(row) for row in self.confusion],
        }


def positive_of(metrics: Mapping[str, Any]) -> tuple[tuple[str, ...], int]:
    """The classes of journaled metrics, and the number of the positive one of two; the second where older versions said none.

    >>> positive_of({"classes": ["COVID", "NORMAL"], "positive": "COVID"})
    (('COVID', 'NORMAL'), 0)
    """
    classes = tuple(metrics["classes"])
    return classes, classes.index(metrics["positive"]) if metrics.get("positive") in classes else 1


def classification_metrics(
    labels: Labels,
    probabilities: npt.NDArray[np.float32],
    classes: tuple[str, ...],
    positive: int = 1,
    predicted: Labels | None = None,
) -> Metrics:
    """Compare `labels` (N,) with class `probabilities` (N, K), whose columns are `classes` in order; `positive`: the number
    of the positive class of two; `predicted` (N,): the classes that were answered, None: the most probable ones, the first of
    equal ones. The AUROC goes by the probabilities.

    A precision or recall over no images counts 0. Source: GA-Dropout, for the choice of metrics.
    """
    # half a second and 60 MB that search workers never need
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support  # noqa: PLC0415 - only here

    predicted = probabilities.argmax(axis=1) if predicted is None else predicted
    numbers = np.arange(len(classes))
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels,
        predicted,
        labels=numbers if len(classes) > 2 else [positive],  # also where only one of two is there
        average="macro",
        zero_division=0,
    )
    confusion = confusion_matrix(labels, predicted, labels=numbers)
    figures = figures_of(confusion, positive)
    auroc, undefined = _auroc(labels, probabilities, classes)
    return Metrics(
        accuracy=float((predicted == labels).mean()),
        precision=float(precision),
        recall=float(recall),
        f1=float(f1),
        specificity=float(figures["specificity"]),
        balanced_accuracy=float(figures["balanced_accuracy"]),
        auroc=auroc,
        auroc_undefined=undefined,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        classes=classes,
        images=len(labels),
        positive=classes[positive] if len(classes) == 2 else None,
    )


def _auroc(
    labels: Labels, probabilities: npt.NDArray[np.float32], classes: tuple[str, ...]
) -> tuple[float | None, str | None]:
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - likewise

    missing = [name for number, name in enumerate(classes) if number not in labels]
    if missing:
        return None, f"no image of class {', '.join(missing)}"
    if len(classes) == 2:
        return float(roc_auc_score(labels, probabilities[:, 1])), None
    return float(roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")), None
