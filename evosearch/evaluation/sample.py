"""Which training images a search for masks rests on, known without a worker."""

from collections.abc import Sequence
from math import ceil

import numpy as np

from evosearch.errors import ConfigError
from evosearch.evaluation.tasks import Labels

OWN = 2
"""Tells this draw from those of a training with the same seed, as 1 tells augmentation's."""

HELD_OUT = 5
"""Every fifth image of a sample is held out where masks are judged by images that they were not trained on."""


def sample_of(images: int, share: float, seed: int) -> Labels:
    """Positions of a random sample of `images` training images, in order: (n,) int64, n = share * images, rounded, at least 1.

    `share`: above 0 and up to 1. `seed`: of the `FeaturesTask`.

    >>> sample_of(40, 0.1, seed=7).tolist()
    [1, 3, 5, 13]
    """
    return np.sort(_in_order_drawn(images, seed)[: _count(images, share)])


def _count(images: int, share: float) -> int:
    return max(1, round(share * images))


def _in_order_drawn(images: int, seed: int) -> Labels:
    """All positions; a sample is as many of the first ones as its share says."""
    return np.random.default_rng([seed, 0, OWN]).permutation(images).astype(np.int64)


def check_sample_of(
    labels: Labels, classes: Sequence[str], share: float, batch_size: int, seed: int, key: str
) -> int:
    """See that there is a whole batch in a sample, and an image of each class that the training images have.

    Args:
        labels: of the training images.
        classes: their names, by number.
        share: as in `sample_of`.
        batch_size: images in a batch.
        seed: as in `sample_of`.
        key: what gives the share, in a file.

    Returns: how many images it has.

    Raises:
        ConfigError: there is not; with the least share that has it.
    """
    images, count = len(labels), _count(len(labels), share)
    if count < batch_size:
        least = "" if images < batch_size else f"make it at least {_share(batch_size, images)}, or "
        raise ConfigError(
            f"{key} is {share:g}: {count} of {images} training images, fewer than training.batch_size = {batch_size}; {least}make "
            "training.batch_size smaller"
        )
    drawn = labels[_in_order_drawn(images, seed)]
    for number in np.setdiff1d(drawn[count:], drawn[:count]):
        first = int((drawn == number).argmax())
        raise ConfigError(
            f"{key} is {share:g}: {count} of {images} training images, none of them of class {classes[number]!r}, which has "
            f"{(labels == number).sum()}; make it at least {_share(first + 1, images)}, or take another seed"
        )
    return count


def _share(count: int, images: int) -> str:
    """The least share of three digits that so many images are."""
    return f"{ceil(1000 * count / images) / 1000:g}"


def held_out(images: int) -> Labels:
    """Places of those that are held out of a sample of so many images: (n,) int64.

    >>> held_out(12).tolist()
    [4, 9]
    """
    return np.arange(HELD_OUT - 1, images, HELD_OUT)
