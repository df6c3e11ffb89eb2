"""The audit in plain sentences, the worst first.

The worst is what may move accuracy most: the share of a split's images that have a twin in train, what headers alone give
beyond a constant answer and half of what statistics of the pixels do, how far classes are shifted, how far above chance splits
are told apart.
"""

from collections.abc import Iterator
from typing import NamedTuple

from evosearch.data.findings import Findings
from evosearch.data.folders import counted
from evosearch.data.headers import HEADER_WORDS
from evosearch.data.hygiene import MOST_WHILE_LOADING
from evosearch.data.listing import SPLITS
from evosearch.data.pixel_statistics import STATISTICS_WORDS

SHORTCUT_BY_CHANCE = 0.01
"""Probability below which headers, or statistics of the pixels, are taken to know more than a constant answer does."""


class Caveat(NamedTuple):
    """One sentence."""

    weight: float
    """How much of accuracy is in doubt, roughly, 0 to 1."""
    text: str
    """For a person."""
    noted: bool = False
    """Whether whoever begins a search is not told: loading the data says so, or only the audit of a command knows it."""


def caveats_of(found: Findings) -> tuple[Caveat, ...]:
    """One for each kind of thing that was found, the worst first."""
    every = (
        *_shortcut(found),
        *_pixels(found),
        *_split_shift(found),
        *_share_shift(found),
        *_leaked(found),
        *_conflicts(found),
        *_copies(found),
        *_within(found),
    )
    return tuple(sorted(every, key=lambda one: -one.weight))


def _shortcut(found: Findings) -> Iterator[Caveat]:
    accuracy, chance = found.shortcut_validation, found.shortcut_chance
    if accuracy is None or chance is None or chance >= SHORTCUT_BY_CHANCE:
        return
    yield Caveat(
        accuracy - found.constant_answer,
        f"file headers alone ({HEADER_WORDS}) are right on {accuracy:.1%} of validation, a constant answer on "
        f"{found.constant_answer:.1%}: a network can learn where pictures come from instead of what they show",
    )


def _pixels(found: Findings) -> Iterator[Caveat]:
    accuracy, chance = found.pixels_validation, found.pixels_chance
    if accuracy is None or chance is None or chance >= SHORTCUT_BY_CHANCE:
        return
    yield Caveat(
        (accuracy - found.constant_answer)
        / 2,  # what is shown may have such statistics too, as headers never do
        f"ten statistics of the pixels alone ({STATISTICS_WORDS}) are right on {accuracy:.1%} of validation, a constant answer "
        f"on {found.constant_answer:.1%}: a network that does no better need not have seen what pictures show",
        noted=True,
    )


def _split_shift(found: Findings) -> Iterator[Caveat]:
    told = [shift for shift in found.split_shift if shift.told_apart]
    if not told:
        return
    pairs = ", ".join(f"{one.one} from {one.other} (AUROC {one.auroc:.2f})" for one in told)
    yield Caveat(
        told[0].auroc - 0.5,
        f"file headers tell {pairs}, where 0.5 is chance: these splits are not exchangeable, and a figure on one says little of "
        "the other",
    )


def _share_shift(found: Findings) -> Iterator[Caveat]:
    if not found.share_shift:
        return
    worst = found.share_shift[0]
    shares = ", ".join(f"{found.shares[split][worst.label]:.1%} of {split}" for split in SPLITS)
    yield Caveat(
        worst.moved,
        f"classes have other shares in {worst.other} than in {worst.one}: {worst.label!r} is {shares}; accuracies of these "
        "splits do not compare",
    )


def _leaked(found: Findings) -> Iterator[Caveat]:
    shares = {split: count / max(1, found.counts[split]) for split, count in found.leaked.items()}
    if not any(shares.values()):
        return
    parts = " and ".join(
        f"{count:,} of {found.counts[split]:,} images of {split}"
        for split, count in found.leaked.items()
        if count
    )
    across = [twin for twin in found.twins if twin.split == "train" and twin.other_split != "train"]
    first = (
        f", first {across[0].name!r} as {across[0].other_name!r} of {across[0].other_split}" if across else ""
    )
    single = sum(found.leaked.values()) == 1
    yield Caveat(
        max(shares.values()),
        f"{parts} {'has' if single else 'have'} a twin in train{first}; accuracy on them shows memory, not skill "
        "(`data.exclude_twins: true` leaves these out of train)",
        noted=all(twin.likeness == 1 for twin in across),
    )


def _conflicts(found: Findings) -> Iterator[Caveat]:
    if not found.conflicts:
        return
    one = found.conflicts[0]
    yield Caveat(
        found.conflict_count / sum(found.counts.values()),
        f"{counted(found.conflict_count, 'pair')} of twins under different labels, first {one.name!r} of {one.split} "
        f"({one.label}) and {one.other_name!r} of {one.other_split} ({one.other_label}); where both show one thing, a label is "
        "wrong",
        noted=sum(found.counts.values()) <= MOST_WHILE_LOADING,
    )


def _copies(found: Findings) -> Iterator[Caveat]:
    every = sum(found.counts.values())
    if found.constant_images:
        first, count = found.constant_images[0], sum(one.copies for one in found.constant_images)
        yield Caveat(
            count / every,
            f"{counted(count, 'image')} {'is' if count == 1 else 'are'} of one colour and {'shows' if count == 1 else 'show'} "
            f"nothing, first {first.name!r} of {first.split}",
        )
    if found.repeated:
        first = found.repeated[0]
        yield Caveat(
            sum(one.copies for one in found.repeated) / every,
            f"{counted(len(found.repeated), 'picture')} {'is' if len(found.repeated) == 1 else 'are'} there again and again, "
            f"{first.name!r} of {first.split} {first.copies:,} times: it may stand for pictures that are missing",
        )


def _within(found: Findings) -> Iterator[Caveat]:
    inside = {split: count for split in SPLITS if (count := found.twin_counts.get(f"{split}, {split}", 0))}
    if not inside:
        return
    parts = ", ".join(f"{count:,} in {split}" for split, count in inside.items())
    total = sum(inside.values())
    yield Caveat(
        0.1 * total / sum(found.counts.values()),  # fewer pictures than it seems, which favours nobody
        f"{counted(total, 'pair')} of twins inside splits ({parts}): there are fewer different pictures than images",
    )
