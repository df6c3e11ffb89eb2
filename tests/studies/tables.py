"""A small study's table, made of answers that were never trained."""

import numpy as np

from evosearch.studies.comparison import Arm
from evosearch.studies.comparison_table import ArmFacts, StudyFacts, comparison_table

STUDY = StudyFacts(
    name="small",
    kind="baselines",
    classes=("NORMAL", "PNEUMONIA"),
    budgets=("8 evaluations of 2 epochs", "retrained for 4 epochs"),
    data_key="d4" * 32,
    test_key="7e" * 32,
    versions=(("evosearch", "0.2.0"), ("torch", "2.11")),
    hardware=("CPU",),
    worker_seconds=3700.0,
    shortcut=0.85,
    pixels=0.7,
    caveats=("2 images are in train and test: =71|0, 71%1",),
)
FACTS = {
    "evolved": ArmFacts(
        parameters=(1200, 900, 2000),
        depth=(13, 12, 15),
        worker_seconds=3600.0,
        losses=((0.7, 0.3), (0.7, 0.69), (0.7, 0.2)),
        readings=(1, 2, 1),
        notes=("deeper than any initial one",),
    ),
    "vgg16_bn": ArmFacts(parameters=(134_269_762,) * 2, flops=(15_466_000_000,) * 2),
}


def answering(name, rights, seeds, images=200, **more):
    """An arm on images of two classes in turn that gets the first `rights` of them right, for each seed."""
    labels = np.arange(images) % 2
    predicted = np.array([np.where(np.arange(images) < right, labels, 1 - labels) for right in rights])
    probabilities = np.where(np.eye(2, dtype=bool)[predicted], 0.9, 0.1).astype(np.float16)
    return Arm(name, seeds, labels, predicted, probabilities, STUDY.test_key, **more)


def crossed_table():
    """Of a batch-norm study: each variant is held against ORIGIN by its own optimizer."""
    rights = {"origin-sgd": 150, "origin-adam": 170, "variant1-sgd": 110, "variant1-adam": 168}
    arms = [answering(name, (right, right + 2, right + 4), (0, 1, 2)) for name, right in rights.items()]
    references = dict.fromkeys(rights, "origin-adam") | {"variant1-sgd": "origin-sgd"}
    return comparison_table(arms, references, 0, STUDY, draws=500)


def small_table(**changes):
    arms = [
        answering("evolved", (180, 176, 184), (0, 1, 2), believed=(0.9, None, 1.0), validation=(0.9,) * 3),
        answering("vgg16_bn", (130, 128), (0, 1)),
        answering("far", (170,), (9,)),
    ]
    return comparison_table(arms, "evolved", 0, STUDY, changes.get("facts", FACTS), draws=500)
