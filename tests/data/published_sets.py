"""Small data sets in the layouts in which CIFAR and STL-10 are published, of random pixels."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.data.python2 import python2_pickle

Pixels = npt.NDArray[np.uint8]


def pixels(count: int, side: int, seed: int) -> Pixels:
    """(count, 3, side, side)."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3, side, side), dtype=np.uint8)


CIFAR10 = {
    name: pixels(20, 32, seed)
    for seed, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"])
}
"""Pictures by file; picture k is of class k % 10."""
NAMES10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100 = {"train": pixels(300, 32, 10), "test": pixels(100, 32, 11)}
"""The same; picture k is of the fine class k % 100 and of the coarse class k % 20."""
STL10 = {"train": pixels(30, 96, 20), "test": pixels(20, 96, 21)}
"""The same; picture k is of class k % 10."""


def write_cifar10(into: Path, version: str) -> Path:
    """Returns: the folder of the files."""
    folder = into / f"cifar-10-batches-{version}"
    folder.mkdir(parents=True)
    for name, images in CIFAR10.items():
        labels, values = [k % 10 for k in range(len(images))], images.reshape(len(images), -1)
        if version == "bin":
            rows = np.column_stack([np.array(labels, np.uint8), values])
            (folder / f"{name}.bin").write_bytes(rows.tobytes())
        else:
            batch = {b"batch_label": b"part", b"labels": labels, b"data": values, b"filenames": [b"x.png"]}
            (folder / name).write_bytes(python2_pickle(batch))
    if version == "bin":
        (folder / "batches.meta.txt").write_text("\n".join(NAMES10) + "\n\n")
    else:
        meta = {b"num_cases_per_batch": 20, b"label_names": [one.encode() for one in NAMES10]}
        (folder / "batches.meta").write_bytes(python2_pickle(meta))
    return folder


def write_cifar100(into: Path, version: str) -> Path:
    """Returns: the folder of the files."""
    folder = into / f"cifar-100-{version}"
    folder.mkdir(parents=True)
    names = {"fine": [f"fine {i}" for i in range(100)], "coarse": [f"coarse {i}" for i in range(20)]}
    for name, images in CIFAR100.items():
        fine, coarse = ([k % many for k in range(len(images))] for many in (100, 20))
        values = images.reshape(len(images), -1)
        if version == "binary":
            rows = np.column_stack([np.array(coarse, np.uint8), np.array(fine, np.uint8), values])
            (folder / f"{name}.bin").write_bytes(rows.tobytes())
        else:
            batch = {b"fine_labels": fine, b"coarse_labels": coarse, b"data": values}
            (folder / name).write_bytes(python2_pickle(batch))
    if version == "binary":
        for kind, some in names.items():
            (folder / f"{kind}_label_names.txt").write_text("\n".join(some))
    else:
        meta = {f"{kind}_label_names": some for kind, some in names.items()}
        (folder / "meta").write_bytes(python2_pickle(meta))
    return folder


def write_stl10(into: Path) -> Path:
    """Returns: the folder of the files."""
    folder = into / "stl10_binary"
    folder.mkdir(parents=True)
    for name, images in STL10.items():
        (folder / f"{name}_X.bin").write_bytes(images.transpose(0, 1, 3, 2).tobytes())
        (folder / f"{name}_y.bin").write_bytes(bytes(k % 10 + 1 for k in range(len(images))))
    (folder / "class_names.txt").write_text("\n".join(NAMES10))
    (folder / "unlabeled_X.bin").write_bytes(b"many")
    return folder
