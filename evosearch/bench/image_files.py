"""The images that candidates are trained on: COVID-CT's files where they are at hand, else drawn ones, as files all the same."""

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from evosearch.bench.ordinary import pixels
from evosearch.bench.parts import Portion
from evosearch.data import CovidCtSettings, SearchData, Split, load_dataset
from evosearch.data.covid_ct import list_covid_ct
from evosearch.errors import DataError

DRAWN = {"train": 425, "val": 118, "test": 4}
"""As many as COVID-CT has; nobody reads the test images."""

SIDES = (407, 291)
"""Of the drawn ones: the medians of COVID-CT's."""


@dataclass(frozen=True)
class ImageFiles:
    """`what`: in words. `listed`, `decoded`: for ordinary loops, as their `Job` says. `data`: the same images for ours, pickled
    with their first few, in the same order. `real`: whether they are COVID-CT's.
    """

    what: str
    real: bool
    listed: Path
    decoded: Path
    data: Path
    key: str
    whole: Portion


def covid_ct(environment: Mapping[str, str]) -> Path | None:
    """COVID-CT's folder in that of the data sets; None: it is not there."""
    folder = environment.get("EVOSEARCH_DATA")
    root = Path(folder, "covid-ct").absolute() if folder else None
    return root if root is not None and root.is_dir() else None


def prepare(size: int, root: Path | None, folder: Path, portion: Portion) -> ImageFiles:
    """Read the images at `root`, or drawn ones, in an order that mixes the classes; `folder` gets what the processes read.

    Raises:
        DataError: they cannot be read, or are fewer than `portion`.
    """
    real = root is not None
    root = root or _draw(folder / "drawn")
    listing = list_covid_ct(root).splits
    settings = CovidCtSettings(root=str(root), image_size=size)
    found = load_dataset(settings, env={}, cwd=folder, cache=None).for_search()
    for name, count, least in (
        ("training", len(found.train.labels), portion.train),
        ("validation", len(found.validation.labels), portion.validation),
    ):
        if count < least:
            raise DataError(
                f"{str(root)!r} has {count} {name} images, of which bench evaluate needs {least} at this size; give the whole "
                "data set"
            )
    splits, listed = {}, {}
    for name, split in (("train", found.train), ("validation", found.validation)):
        order = np.random.default_rng(0).permutation(len(split.labels))
        items = listing["train" if name == "train" else "validation"]
        splits[name] = Split(split.images[order], split.labels[order])
        listed[name] = [(str(root / items[place].name), items[place].label) for place in order]
    whole = replace(found, train=splits["train"], validation=splits["validation"])
    files = ImageFiles(
        "COVID-CT's files" if real else "drawn files",
        real,
        folder / "listed.json",
        folder / "decoded.pt",
        folder / "data",
        found.key,
        replace(portion, train=len(whole.train.labels), validation=len(whole.validation.labels)),
    )
    files.listed.write_text(json.dumps(listed))
    decode_all(files.listed, size, files.decoded)
    files.data.write_bytes(pickle.dumps((_first(whole, portion), whole)))
    return files


def decode_all(listed: Path, size: int, decoded: Path) -> None:
    """Read all files once, for every ordinary program that is tuned, as the plain one reads them each time."""
    found = {
        name: (
            torch.stack([pixels(path, size) for path, _ in files]),
            torch.tensor([label for _, label in files]),
        )
        for name, files in json.loads(listed.read_text()).items()
    }
    torch.save(found, decoded)


def _first(data: SearchData, portion: Portion) -> SearchData:
    train, validation = data.train, data.validation
    return replace(
        data,
        train=Split(train.images[: portion.train], train.labels[: portion.train]),
        validation=Split(validation.images[: portion.validation], validation.labels[: portion.validation]),
    )


def _draw(root: Path) -> Path:
    """Soft gray shapes with a little noise, in COVID-CT's layout, about as large and as hard to decode."""
    rng = np.random.default_rng(0)
    for split, count in DRAWN.items():
        for label, name in enumerate(("NonCOVID", "COVID")):
            images, lists = root / "Images" / f"CT_{name}", root / "Data-split" / name
            for place in (images, lists):
                place.mkdir(parents=True, exist_ok=True)
            files = [f"{split}{number}.png" for number in range(count // 2 + label * (count % 2))]
            (lists / f"{split}CT_{name}.txt").write_text("\n".join(files) + "\n")
            for file in files:
                soft = Image.fromarray(rng.integers(0, 200, (9, 12), dtype=np.uint8))
                shapes = np.asarray(soft.resize(SIDES, Image.Resampling.BICUBIC), np.int64)
                noise = rng.integers(0, 24, shapes.shape) + 16 * label
                Image.fromarray(np.clip(shapes + noise, 0, 255).astype(np.uint8)).save(images / file)
    return root
