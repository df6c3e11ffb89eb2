"""The images of the kept homes, drawn anew wherever they are needed: the same bytes on every machine.

They have the very size that the homes' configurations give, so that nothing is resampled, and are PNG, so that no
decoder rounds.
"""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 8
"""Of each image, in pixels."""

_COVID_CT = {"train": 6, "val": 3, "test": 3}
"""Images of each class by the word in the names of COVID-CT's split files."""


def draw_pictures(data: Path, seed: int = 7) -> None:
    """Lay out `covid-ct` (two classes, the official split files) and `shapes` (three class folders) below `data`."""
    for name in ("COVID", "NonCOVID"):
        folder, splits = data / "covid-ct" / "Images" / f"CT_{name}", data / "covid-ct" / "Data-split" / name
        splits.mkdir(parents=True)
        for word, count in _COVID_CT.items():
            files = [f"{word}-{number}.png" for number in range(count)]
            (splits / f"{word}CT_{name}.txt").write_text("".join(f"{file}\n" for file in files))
            for file in files:
                _draw(folder / file, seed, "L")
    for name in ("circle", "square", "triangle"):
        for number in range(9):
            _draw(data / "shapes" / name / f"{number}.png", seed, "RGB")


def _draw(path: Path, seed: int, mode: str) -> None:
    """Noise from the seed and the file's place; of an extendable hash, whose bytes no release of numpy changes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (SIDE, SIDE, 3)[: 2 if mode == "L" else 3]
    place = "/".join(path.parts[-3:])
    noise = hashlib.shake_256(f"{seed}/{place}".encode()).digest(int(np.prod(shape)))
    Image.fromarray(np.frombuffer(noise, np.uint8).reshape(shape)).save(path)
