"""Cutting the splits that a source does not bring: stratified, by a seed of their own."""

from collections.abc import Mapping

import numpy as np

from evosearch.data.listing import Item, SplitName, Splits
from evosearch.data.settings import CutKeys

_PURPOSE = {"test": 1, "validation": 2}


def cut_missing(given: Mapping[SplitName, tuple[Item, ...]], settings: CutKeys) -> Splits:
    """Add the missing splits by cutting them from `given["train"]`; what is given stays as it is.

    Test takes `test_fraction` of the training images, then validation `validation_fraction` of the rest.
    """
    splits = dict(given)
    if "test" not in splits:
        splits["train"], splits["test"] = _cut(splits["train"], "test", settings.test_fraction, settings)
    if "validation" not in splits:
        splits["train"], splits["validation"] = _cut(
            splits["train"], "validation", settings.validation_fraction, settings
        )
    return splits


def _cut(
    items: tuple[Item, ...], purpose: SplitName, fraction: float, settings: CutKeys
) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """(rest, cut), both in the order of `items`. Every class is drawn from a stream of its own."""
    chosen: set[Item] = set()
    for label in sorted({item.label for item in items}):
        members = [item for item in items if item.label == label]
        rng = np.random.default_rng([settings.split_seed, _PURPOSE[purpose], label])
        # At least one, and at least one left: a small class stands in every split as long as it can.
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        chosen.update(members[i] for i in rng.permutation(len(members))[:count])
    return tuple(i for i in items if i not in chosen), tuple(i for i in items if i in chosen)
