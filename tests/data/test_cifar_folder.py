"""CIFAR-10 as class folders of JPEG files, with the configuration that is shipped for it."""

import os
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from evosearch.config import load_config
from evosearch.data import load_dataset

CONFIG = Path(__file__).parents[2] / "configs" / "cifar10_folder.yaml"
EACH = 6
"""Files of each class folder that are looked at."""


def test_the_shipped_configuration_reads_class_folders_of_train_and_test(tmp_path: Path) -> None:
    packed = Path(os.environ.get("EVOSEARCH_DATA") or "/nowhere", "cifar10", "cifar10-small.tar.xz")
    if not packed.is_file():
        pytest.skip("set EVOSEARCH_DATA to the folder that holds cifar10/cifar10-small.tar.xz")
    seen: dict[PurePosixPath, int] = {}
    with tarfile.open(packed) as tar:
        for member in tar:
            folder = PurePosixPath(member.name).parent
            seen[folder] = seen.get(folder, 0) + member.isfile()
            if seen[folder] <= EACH and member.isfile():
                tar.extract(member, tmp_path / "cifar10-folder", filter="data")
    config = load_config(CONFIG)
    data = load_dataset(config.data, env={"EVOSEARCH_DATA": str(tmp_path)}, cwd=tmp_path, cache=None)
    assert (len(data.classes), data.classes[0], data.classes[9]) == (10, "airplane", "truck")
    assert [len(one) for one in (data.train, data.validation, data.test)] == [50, 10, 60]
    assert data.train.images.shape[1:] == (3, 32, 32)
    assert data.notes == ()
