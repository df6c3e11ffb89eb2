"""Sets laid out like MedMNIST's: one .npz file with three splits."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evosearch.blueprint import ImageShape
from evosearch.data import Dataset, MedMnistSettings, Places, inspect_data, load_dataset
from evosearch.errors import CannotRunError, ConfigError, DataError

COUNTS = {"train": 12, "val": 6, "test": 8}


def arrays(classes: int = 2, colour: bool = False, side: int = 28) -> dict[str, Any]:
    """Random pictures; picture k of a split is of class k % classes."""
    rng = np.random.default_rng(0)
    shape = (side, side, 3) if colour else (side, side)
    made: dict[str, Any] = {}
    for word, count in COUNTS.items():
        made[f"{word}_images"] = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
        made[f"{word}_labels"] = (np.arange(count, dtype=np.uint8) % classes)[:, None]
    return made


def load(folder: Path, made: dict[str, Any] | None, **keys: Any) -> Dataset:
    if made is not None:
        np.savez_compressed(folder / "set.npz", **made)
    settings = MedMnistSettings(root="set.npz", **keys)
    return load_dataset(settings, env={"EVOSEARCH_DATA": str(folder)}, cwd=Path("/nowhere"), cache=None)


def refusal(folder: Path, made: dict[str, Any] | None, **keys: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(folder, made, **keys)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"'{folder}/set.npz' ")


def test_the_three_splits_are_kept_as_published(tmp_path: Path) -> None:
    made = arrays()
    data = load(tmp_path, made, channels=1)
    for split, word in ((data.train, "train"), (data.validation, "val"), (data.test, "test")):
        np.testing.assert_array_equal(split.images[:, 0], made[f"{word}_images"])
        np.testing.assert_array_equal(split.labels, made[f"{word}_labels"][:, 0])
    assert (data.classes, data.notes) == (("0", "1"), ())


def test_images_are_28_pixels_in_colour_unless_said_so_that_no_colour_is_lost(tmp_path: Path) -> None:
    assert MedMnistSettings(root="x.npz").image == ImageShape(3, 28, 28)
    made = arrays(classes=3, colour=True)
    data = load(tmp_path, made)
    np.testing.assert_array_equal(data.train.images, made["train_images"].transpose(0, 3, 1, 2))
    gray = load(tmp_path, arrays()).train.images
    np.testing.assert_array_equal(gray[:, 0], gray[:, 2])


def test_images_are_brought_to_the_configured_size(tmp_path: Path) -> None:
    assert load(tmp_path, arrays(side=64), image_size=16, channels=1).train.images.shape == (12, 1, 16, 16)


def test_classes_have_the_names_that_are_given_and_change_the_key(tmp_path: Path) -> None:
    named = load(tmp_path, arrays(), classes=("normal", "pneumonia"), positive="normal")
    assert (named.classes, named.positive) == (("normal", "pneumonia"), 0)
    assert named.key != load(tmp_path, arrays()).key == load(tmp_path, arrays(), image_size=28).key


def test_the_key_does_not_depend_on_how_the_file_is_packed_or_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = load(tmp_path, arrays())
    np.savez(tmp_path / "set.npz", **arrays())
    monkeypatch.setattr("evosearch.data.stored.CHUNK_BYTES", 5 * 28 * 28)
    assert load(tmp_path, None).key == packed.key == "852e6d45b4f83b26888b"


@pytest.mark.parametrize("labels", [np.arange(12) % 2, (np.arange(12) % 2).astype(np.int8)])
def test_labels_may_be_flat_and_of_any_whole_numbers(tmp_path: Path, labels: Any) -> None:
    assert load(tmp_path, arrays() | {"train_labels": labels}).train.labels.tolist() == [0, 1] * 6


def test_what_is_in_it_is_reported(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", **arrays())
    settings = MedMnistSettings(root=str(tmp_path / "set.npz"), classes=("a", "b"))
    report = inspect_data(settings, env={}, cwd=tmp_path, cache=None)
    assert (report.root, report.files) == (str(tmp_path / "set.npz"), None)
    assert report.counts == {
        "train": {"a": 6, "b": 6},
        "validation": {"a": 3, "b": 3},
        "test": {"a": 4, "b": 4},
    }


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"train_images": np.zeros((12, 784), np.uint8)},
            "has train_images of shape (12, 784) and type uint8; expected (N, height, width) or (N, height, width, 3) of uint8",
        ),
        (
            {"val_images": np.zeros((6, 28, 28, 28), np.uint8)},
            "has val_images of shape (6, 28, 28, 28) and type uint8; exp",
        ),
        (
            {"val_images": np.zeros((6, 28, 28))},
            "has val_images of shape (6, 28, 28) and type float64; expected",
        ),
        (
            {"val_images": np.asfortranarray(np.zeros((6, 28, 28), np.uint8))},
            "has val_images of shape (6, 28, 28) and type uint8, column by column; expected",
        ),
        (
            {"val_images": np.zeros((6, 28, 0), np.uint8)},
            "has val_images of shape (6, 28, 0) and type uint8; expected sides of 1 to 4096 pixels",
        ),
        (
            {"val_images": np.zeros((6, 28, 28, 3), np.uint8)},
            "has val_images of shape (6, 28, 28, 3) and type uint8; expected pictures of one shape with train_images, (28, 28)",
        ),
        (
            {"test_labels": np.zeros((8, 14), np.uint8)},
            "has 14 labels for each image in test_labels; a network here says one class of each image: take a set of one label",
        ),
        (
            {"test_labels": np.zeros((7, 1), np.uint8)},
            "has test_labels of shape (7, 1) and type uint8; expected one whole number for each of 8 images",
        ),
        (
            {"test_labels": np.zeros(8)},
            "has test_labels of shape (8,) and type float64; expected one whole number",
        ),
        (
            {"test_labels": np.array(["a"] * 8)},
            "has test_labels of shape (8,) and type <U1; expected one whole number",
        ),
        (
            {"val_labels": np.array([{}] * 6)},
            "holds pickled objects in val_labels, which are never read: they may run anything; save it as an array of whole "
            "numbers",
        ),
        (
            {"val_labels": np.array([0, 1, 0, 1, 0, -1])},
            "has the label -1 in val_labels; classes are numbered from 0",
        ),
        (
            {"val_labels": np.array([0, 1, 0, 1, 0, 2**63], np.uint64)},
            "has the label 9223372036854775808 in val_labels; classes are numbered from 0",
        ),
        (
            {"val_labels": np.array([0, 1, 0, 1, 0, 3])},
            "has labels up to 3, but no image of class 2; number the classes from 0 without gaps",
        ),
        (
            {"val_labels": np.array([0, 1, 0, 1, 0, 2])},
            "class '2' has 1 image, none of them in train and test; every split needs at least an image of every class: add "
            "images",
        ),
        (
            {"test_images": np.zeros((0, 28, 28), np.uint8), "test_labels": np.zeros((0, 1), np.uint8)},
            "class '0' has 9 images",
        ),
        (
            {
                word: np.zeros((count, 1), int)
                for word, count in (("train_labels", 12), ("val_labels", 6), ("test_labels", 8))
            },
            "only one class ('0') was found",
        ),
    ],
)
def test_arrays_of_another_form_are_refused_by_name(
    tmp_path: Path, other: dict[str, Any], message: str
) -> None:
    assert refusal(tmp_path, arrays() | other).startswith(message)


def test_labels_beyond_the_given_names_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, arrays(classes=3), classes=("normal", "pneumonia")) == (
        "has the label 2 in train_labels; classes are numbered from 0, and data.classes names 2"
    )


def test_a_missing_array_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    made = arrays()
    del made["val_labels"]
    assert refusal(tmp_path, made) == (
        "has no array val_labels (it has train_images, train_labels, val_images, test_images, test_labels); it needs images "
        "and labels of train, val and test"
    )


def test_pickled_images_are_never_read(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "trapped"),)

    made = arrays() | {"train_images": np.array([Harmful()] * 12)}
    assert refusal(tmp_path, made).startswith("holds pickled objects in train_images, which are never read")
    assert not (tmp_path / "trapped").exists()


def damaged(content: bytes, how: str) -> bytes:
    middle = len(content) // 4  # in the training images
    match how:
        case "cut short":
            return content[:middle]
        case "another file":
            return b"GIF89a and more"
        case "empty":
            return b""
        case _:
            return (
                content[:middle]
                + bytes(byte ^ 255 for byte in content[middle : middle + 9])
                + content[middle + 9 :]
            )


@pytest.mark.parametrize("how", ["cut short", "another file", "empty", "changed"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "packed"])
def test_a_damaged_file_is_refused(tmp_path: Path, how: str, save: Any) -> None:
    save(tmp_path / "set.npz", **arrays())
    (tmp_path / "set.npz").write_bytes(damaged((tmp_path / "set.npz").read_bytes(), how))
    message = refusal(tmp_path, None)
    assert message.startswith("is no .npz file, or is damaged (")
    assert message.endswith("); fetch the file again")


def test_a_file_that_may_not_be_read_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    np.savez(tmp_path / "set.npz", **arrays())
    monkeypatch.setattr(zipfile, "ZipFile", denied)
    assert refusal(tmp_path, None) == "cannot be read: Permission denied"


def test_an_array_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", **arrays())
    lying = io.BytesIO()
    with zipfile.ZipFile(tmp_path / "set.npz") as file, zipfile.ZipFile(lying, "w") as other:
        for name in file.namelist():
            content = file.read(name)
            other.writestr(name, content[:-1] if name == "val_images.npy" else content)
    (tmp_path / "set.npz").write_bytes(lying.getvalue())
    assert (
        refusal(tmp_path, None)
        == "is cut short: val_images ends before its 6 images do; fetch the file again"
    )


def test_what_does_not_fit_into_memory_is_refused_before_images_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", **arrays())
    places = Places({}, tmp_path, None, lambda: 2 * 26 * 28 * 28 - 1)
    with pytest.raises(CannotRunError, match="26 images of 1 x 28 x 28 need"):
        MedMnistSettings(root="set.npz", channels=1).read(places)


def test_a_file_that_is_not_there_is_named_with_all_places_and_a_folder_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^data.root is 'set.npz', but there is no such file; tried '/"):
        load(tmp_path, None)
    (tmp_path / "set.npz").mkdir()
    with pytest.raises(ConfigError, match=r"set.npz' is a folder; name the .npz file in it$"):
        load(tmp_path, None)


@pytest.mark.parametrize("classes", [(), ("a",), ("a", "a"), ("a", " ")])
def test_names_of_classes_are_at_least_two_different_ones(classes: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"^data.classes is \[.*; give at least two names"):
        MedMnistSettings(root="x.npz", classes=classes)


def test_pneumoniamnist_itself_is_read() -> None:
    folder = os.environ.get("EVOSEARCH_DATA")
    if not folder or not Path(folder, "pneumoniamnist.npz").is_file():
        pytest.skip("set EVOSEARCH_DATA to the folder that holds pneumoniamnist.npz")
    settings = MedMnistSettings(root="pneumoniamnist.npz", classes=("normal", "pneumonia"), channels=1)
    data = load_dataset(settings, env={"EVOSEARCH_DATA": folder}, cwd=Path("/nowhere"), cache=None)
    shares = [float(one.labels.mean()) for one in (data.train, data.validation, data.test)]
    assert [round(share, 3) for share in shares] == [0.9, 0.742, 0.625]
