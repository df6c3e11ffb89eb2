"""Which training images a search for masks rests on, known without a worker."""

import numpy as np

from evosearch.evaluation.tasks import Labels

OWN = 2
"""Tells this draw from those of a training with the same seed, as 1 tells augmentation's."""

HELD_OUT = 5
"""Every fifth image of a sample is held out where masks are judged by images that they were not trained on."""


def sample_of(images: int, share: float, seed: int) -> Labels:
    """Positions of a random sample of `images` training images, in order: (n,) int64, n = share * images, rounded, at least 1.

    `share`: above 0 and up to 1. `seed`: of the `FeaturesTask`.

    >>> sample_of(40, 0.1, seed=7).tolist()
    [0, 1, 2, 3]
    """
    count = max(1, round(share * images))
    return np.sort(np.random.default_rng([seed, 0, OWN]).permutation(images)[:count]).astype(np.int64)


def held_out(images: int) -> Labels:
    """Places of those that are held out of a sample of so many images: (n,) int64.

    >>> held_out(12).tolist()
    [4, 9]
    """
    return np.arange(HELD_OUT - 1, images, HELD_OUT)
