"""Answers of networks that were never trained, with a known share of right ones."""

import numpy as np

from evosearch.studies.comparison import Arm


def arm_of(name, right, seeds=None, **more):
    """An arm on images of class 0, from what it got right, (seeds, N)."""
    right = np.asarray(right, dtype=bool)
    seeds = tuple(range(len(right))) if seeds is None else tuple(seeds)
    return Arm(name, seeds, np.zeros(right.shape[1], dtype=np.int64), (~right).astype(np.int64), **more)


def drawn_arm(rng, name, accuracy, seeds, images=600, spread=0.0):
    """An arm whose networks get `accuracy` of the images right, each by its own chance; `spread`: from seed to seed."""
    accuracies = accuracy + rng.normal(0, spread, size=(seeds, 1))
    return arm_of(name, rng.random((seeds, images)) < accuracies)


def shuffled_arm(rng, name, right, seeds, images=600):
    """An arm whose networks get exactly `right` images right each, other ones by chance."""
    return arm_of(name, rng.permuted(np.tile(np.arange(images) < right, (seeds, 1)), axis=1))
