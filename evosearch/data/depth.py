"""What is worth a word about files before any change: deep pictures whose content a scale would lose, pages, 16-bit colours."""

from dataclasses import dataclass

import numpy as np

from evosearch.data.decoding import FULL_RANGE
from evosearch.data.folders import counted
from evosearch.data.reading import DecodedFiles

SMALL_PART = 0.25
"""Of a window: where all values are in less, they keep less than 64 of 256 levels."""


@dataclass(frozen=True)
class DeepFiles:
    """Pictures of more than 8 bits: how many, their lowest and highest value, and the values that became black and white."""

    count: int
    low: float
    high: float
    window: tuple[float, float]

    @property
    def part(self) -> float:
        """The share of the window in which all values are."""
        low, high = self.window
        return max(0.0, min(self.high, high) - max(self.low, low)) / (high - low)


def deep_files(files: DecodedFiles) -> DeepFiles | None:
    """Of these files; None where there is none."""
    deep = files.values[~np.isnan(files.values[:, 0])]
    if not len(deep):
        return None
    low, high = FULL_RANGE if np.isnan(files.window[0]) else map(float, files.window)
    return DeepFiles(len(deep), float(deep[:, 0].min()), float(deep[:, 1].max()), (low, high))


def file_notes(files: DecodedFiles) -> tuple[str, ...]:
    """One line of each kind that there is."""
    notes = []
    deep = deep_files(files)
    if deep is not None and deep.part < SMALL_PART:
        low, high = deep.window
        notes.append(
            f"the values of {counted(deep.count, 'deep picture')} lie from {deep.low:g} to {deep.high:g}, in {deep.part:.1%} of "
            f"{low:g} to {high:g}, so that little of them is kept; `data.window: auto` takes their own range"
        )
    if pages := int(files.pages.sum()):
        has = "has" if pages == 1 else "have"
        notes.append(f"{counted(pages, 'file')} {has} several pages, of which the first counts")
    if halved := int(files.halved.sum()):
        has = "has" if halved == 1 else "have"
        notes.append(f"{counted(halved, 'file')} {has} colours of 16 bits, of which the upper 8 count")
    return tuple(notes)
