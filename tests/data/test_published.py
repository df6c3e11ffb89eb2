"""CIFAR-10, CIFAR-100 and STL-10 in their published layouts, small ones that are made here."""

import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evosearch.data import (
    Cifar10Settings,
    Cifar100Settings,
    Dataset,
    DataSettings,
    Places,
    Stl10Settings,
    inspect_data,
    load_dataset,
)
from evosearch.errors import CannotRunError, ConfigError, DataError
from tests.data.published_sets import (
    CIFAR10,
    CIFAR100,
    NAMES10,
    STL10,
    write_cifar10,
    write_cifar100,
    write_stl10,
)
from tests.data.python2 import python2_pickle


def load(settings: DataSettings, folder: Path) -> Dataset:
    return load_dataset(settings, env={"EVOSEARCH_DATA": str(folder)}, cwd=Path("/nowhere"), cache=None)


def refusal(settings: DataSettings, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        load(settings, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("version", ["bin", "py"])
def test_cifar_10_has_its_test_images_and_a_validation_split_cut_from_train(
    tmp_path: Path, version: str
) -> None:
    write_cifar10(tmp_path / "cifar10", version)
    data = load(Cifar10Settings(), tmp_path)
    assert data.classes == NAMES10
    assert [len(one) for one in (data.train, data.validation, data.test)] == [80, 20, 20]
    np.testing.assert_array_equal(data.test.images, CIFAR10["test_batch"])
    np.testing.assert_array_equal(data.test.labels, np.arange(20) % 10)
    assert np.bincount(data.validation.labels).tolist() == [2] * 10
    where = {image.tobytes(): k for k, image in enumerate(np.concatenate(list(CIFAR10.values())[:5]))}
    for split in (data.train, data.validation):
        places = [where[image.tobytes()] for image in split.images]
        np.testing.assert_array_equal(split.labels, np.array(places) % 10)


def test_both_versions_and_all_places_of_the_files_give_the_same_data(tmp_path: Path) -> None:
    binary, python = (write_cifar10(tmp_path / version / "cifar10", version) for version in ("bin", "py"))
    roots = [tmp_path / "bin" / "cifar10", tmp_path / "py" / "cifar10", binary, python]
    keys = {load(Cifar10Settings(root=str(root)), tmp_path).key for root in roots}
    assert keys == {"3b13b9374607cde54fab"}
    fine = [write_cifar100(tmp_path / version, version) for version in ("binary", "python")]
    for labels in ("fine", "coarse"):
        assert len({load(Cifar100Settings(root=str(one), labels=labels), tmp_path).key for one in fine}) == 1


def test_another_seed_cuts_other_validation_images_and_leaves_the_test_images(tmp_path: Path) -> None:
    write_cifar10(tmp_path / "cifar10", "bin")
    one, other = (load(Cifar10Settings(split_seed=seed), tmp_path) for seed in (0, 1))
    assert one.validation.images.tobytes() != other.validation.images.tobytes()
    np.testing.assert_array_equal(one.test.images, other.test.images)


@pytest.mark.parametrize(("labels", "classes"), [("fine", 100), ("coarse", 20)])
@pytest.mark.parametrize("version", ["binary", "python"])
def test_cifar_100_has_fine_or_coarse_classes(
    tmp_path: Path, version: str, labels: str, classes: int
) -> None:
    write_cifar100(tmp_path / "cifar100", version)
    data = load(Cifar100Settings(labels=labels), tmp_path)  # type: ignore[arg-type] # a parameter
    assert data.classes == tuple(f"{labels} {i}" for i in range(classes))
    assert [len(one) for one in (data.train, data.validation, data.test)] == [
        300 - data.validation.labels.size,
        {"fine": 100, "coarse": 60}[labels],
        100,
    ]
    np.testing.assert_array_equal(data.test.images, CIFAR100["test"])
    np.testing.assert_array_equal(data.test.labels, np.arange(100) % classes)


def test_stl_10_is_read_column_by_column_with_labels_from_one(tmp_path: Path) -> None:
    write_stl10(tmp_path / "stl10")
    data = load(Stl10Settings(), tmp_path)
    assert data.classes == NAMES10
    np.testing.assert_array_equal(data.test.images, STL10["test"])
    np.testing.assert_array_equal(data.test.labels, np.arange(20) % 10)
    assert [len(one) for one in (data.train, data.validation)] == [20, 10]


def test_images_are_brought_to_the_configured_size_and_channels(tmp_path: Path) -> None:
    write_stl10(tmp_path / "stl10")
    data = load(Stl10Settings(image_size=12, channels=1), tmp_path)
    assert data.train.images.shape == (20, 1, 12, 12)


def test_a_part_of_the_set_is_noted_and_images_are_counted_by_class(tmp_path: Path) -> None:
    folder = write_cifar10(tmp_path / "cifar10", "bin")
    report = inspect_data(Cifar10Settings(), env={"EVOSEARCH_DATA": str(tmp_path)}, cwd=tmp_path, cache=None)
    assert report.root == str(folder)
    assert report.counts["test"] == dict.fromkeys(NAMES10, 2)
    assert (report.files, report.source, report.bad_files) == (None, None, ())
    assert report.notes == (
        "100 training and 20 test images, but CIFAR-10 has 50,000 and 10,000: this is a part of it",
    )


def test_what_does_not_fit_into_memory_is_refused_before_images_are_made(tmp_path: Path) -> None:
    write_cifar10(tmp_path / "cifar10", "bin")
    places = Places({"EVOSEARCH_DATA": str(tmp_path)}, tmp_path, None, lambda: 2 * 120 * 3072 - 1)
    with pytest.raises(CannotRunError, match="120 images of 3 x 32 x 32 need"):
        Cifar10Settings().read(places)
    assert Cifar10Settings().read(replace(places, memory=lambda: 2 * 120 * 3072)).listing.bad == ()


AGAIN = "unpack the published archive again"


def test_a_missing_root_is_answered_with_the_key_that_fetches(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(Cifar10Settings(), tmp_path)
    assert str(caught.value).startswith("data.root is 'cifar10', but there is no such folder; tried ")
    assert str(caught.value).endswith("or have it fetched by data.download: true")


def test_a_root_without_the_set_is_answered_with_what_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "cifar100").mkdir()
    assert refusal(Cifar100Settings(), tmp_path) == (
        f"'{tmp_path}/cifar100' does not hold CIFAR-100: it needs cifar-100-binary/ (binary version: train.bin, test.bin, …) or "
        "cifar-100-python/ (python version: train, test, …); unpack the published archive there, or have it fetched by "
        "data.download: true"
    )


@pytest.mark.parametrize(("version", "words"), [("bin", "binary version"), ("py", "python version")])
def test_a_missing_file_is_named_with_its_version(tmp_path: Path, version: str, words: str) -> None:
    folder = write_cifar10(tmp_path / "cifar10", version)
    file = next(folder.glob("data_batch_3*"))
    file.unlink()
    message = refusal(Cifar10Settings(), tmp_path)
    assert message.startswith(
        f"'{folder}' lacks '{file.name}' of CIFAR-10's {words}; unpack the whole archive"
    )
    assert message == refusal(Cifar10Settings(download=True), tmp_path)  # nothing there is overwritten


def cut(file: Path, by: int) -> None:
    file.write_bytes(file.read_bytes()[:-by])


def test_files_that_are_cut_short_are_refused_by_name(tmp_path: Path) -> None:
    binary = write_cifar10(tmp_path / "cifar10", "bin") / "data_batch_2.bin"
    cut(binary, 100)
    assert refusal(Cifar10Settings(), tmp_path) == (
        f"'{binary}' has 61,360 bytes, which are no whole images of 3,073: it is cut short or damaged; {AGAIN}"
    )
    binary.write_bytes(b"")
    assert refusal(Cifar10Settings(), tmp_path) == f"'{binary}' is empty; {AGAIN}"
    shutil.rmtree(binary.parent)
    pickled = write_cifar10(tmp_path / "cifar10", "py") / "data_batch_2"
    cut(pickled, 100)
    assert refusal(Cifar10Settings(), tmp_path).startswith(f"'{pickled}' is cut short or damaged (")
    images = write_stl10(tmp_path / "stl10") / "train_X.bin"
    cut(images, 3 * 96 * 96)
    assert refusal(Stl10Settings(), tmp_path) == (
        f"'{images}' has 29 images, 'train_y.bin' beside it 30 labels: one is cut short; {AGAIN}"
    )


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"labels": [0]}, "holds no 'data'"),
        ({"data": np.zeros((1, 3072), np.uint8)}, "holds no 'labels'"),
        ({"data": np.zeros((1, 3072)), "labels": [0]}, "holds no images of 3,072 values of one byte"),
        (
            {"data": np.zeros((1, 3071), np.uint8), "labels": [0]},
            "holds no images of 3,072 values of one byte",
        ),
        ({"data": b"0" * 3072, "labels": [0]}, "holds no images of 3,072 values of one byte"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0]}, "has not one label for each of 2 images"),
        (
            {"data": np.zeros((1, 3072), np.uint8), "labels": ["cat"]},
            "has not one label for each of 1 images",
        ),
        (
            {"data": np.zeros((1, 3072), np.uint8), "labels": [10]},
            "has the label 10, but there are 10 classes, 0 to 9",
        ),
        (
            {"data": np.zeros((1, 3072), np.uint8), "labels": [-1]},
            "has the label -1, but there are 10 classes",
        ),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [10**30]}, "has the label 2147483648, but"),
        ([1], "holds a list, not a dictionary"),
    ],
)
def test_a_batch_of_another_form_is_refused(tmp_path: Path, batch: object, message: str) -> None:
    file = write_cifar10(tmp_path / "cifar10", "py") / "data_batch_4"
    file.write_bytes(python2_pickle(batch))
    assert refusal(Cifar10Settings(), tmp_path).startswith(f"'{file}' {message}")


def test_a_batch_that_would_run_something_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
            return Path.touch, (tmp_path / "trapped",)

    file = write_cifar10(tmp_path / "cifar10", "py") / "batches.meta"
    file.write_bytes(pickle.dumps({"label_names": Harmful()}, protocol=2))
    assert re.match(rf"'{file}' names \w+\.\w+, which is no array", refusal(Cifar10Settings(), tmp_path))
    assert not (tmp_path / "trapped").exists()


def test_labels_without_a_class_and_classes_without_an_image_are_refused(tmp_path: Path) -> None:
    folder = write_stl10(tmp_path / "stl10")
    (folder / "class_names.txt").write_text("\n".join(NAMES10[:9]))
    assert refusal(Stl10Settings(), tmp_path).startswith(
        f"'{folder}/train_y.bin' has the label 9, but there are 9 classes, 0 to 8"
    )
    (folder / "class_names.txt").write_text("\n".join([*NAMES10, "zebra"]))
    assert refusal(Stl10Settings(), tmp_path) == (
        "class 'zebra' has 0 images, none of them in train and validation and test; every split needs at least an image of "
        f"every class: add images in '{folder}'"
    )


def test_two_classes_of_one_name_and_no_name_at_all_are_refused(tmp_path: Path) -> None:
    names = write_stl10(tmp_path / "stl10") / "class_names.txt"
    for text, told in (("cat\n" * 10, "names two classes 'cat'"), ("\n", "names no class")):
        names.write_text(text)
        assert refusal(Stl10Settings(), tmp_path) == f"'{names}' {told}; unpack the published archive again"
    meta = write_cifar10(tmp_path / "cifar10", "py") / "batches.meta"
    meta.write_bytes(pickle.dumps({b"label_names": [b"cat"] * 10}, protocol=2))
    assert refusal(Cifar10Settings(), tmp_path).startswith(f"'{meta}' names two classes 'cat'; unpack")


def test_names_that_are_none_are_refused(tmp_path: Path) -> None:
    file = write_cifar10(tmp_path / "cifar10", "py") / "batches.meta"
    for meta in ({b"names": []}, {b"label_names": [1, 2]}):
        file.write_bytes(python2_pickle(meta))
        assert "where a name belongs" in refusal(Cifar10Settings(), tmp_path)
