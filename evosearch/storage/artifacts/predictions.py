"""What a trained network answered to each test image, as a journal keeps it: compressed in the event of the reading, or, where
that would be large, in a file of the search's own folder whose hash is in the event.
"""

import hashlib
import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from evosearch.errors import CannotRunError
from evosearch.evaluation import Labels, Prediction
from evosearch.storage.artifacts.store import ArtifactStore

MOST_IN_EVENT = 256 * 1024
"""Characters of packed predictions that an event holds; about 10,000 images of 10 classes."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one network answered to the test images, in their order; read-only arrays."""

    labels: Labels
    """(N,) int64: the true classes."""
    predicted: Labels
    """(N,) int64: the class that was answered, by the probabilities before they were shortened: the most probable one, where no
    threshold was chosen."""
    probabilities: npt.NDArray[np.float16]
    """(N, K) float16: of each class, as kept."""
    test_key: str
    """As in `evosearch.data.Dataset`: readings of equal ones are of the same images in the same order."""

    def __post_init__(self) -> None:
        for name in ("labels", "predicted", "probabilities"):
            view = getattr(self, name).view()
            view.setflags(write=False)
            object.__setattr__(self, name, view)

    def odds(self, number: int) -> npt.NDArray[np.float64]:
        """(N,) logarithms of the odds of class `number`: in the order of its probability, and finer than that near 1, where a
        float16 has four digits.

        >>> kept = np.array([[0.0001, 1.0], [0.0002, 1.0]], np.float16)
        >>> (np.diff(Predictions(np.array([1, 1]), np.array([1, 1]), kept, "").odds(1)) < 0).item()
        True
        """
        kept = self.probabilities.astype(np.float64)
        rest = np.delete(kept, number, axis=1).sum(axis=1)
        least = np.finfo(np.float16).smallest_subnormal
        odds: npt.NDArray[np.float64] = np.log(np.maximum(kept[:, number], least) / np.maximum(rest, least))
        return odds


def pack(labels: Labels, prediction: Prediction, predicted: Labels | None = None) -> Mapping[str, Any]:
    """Answers to images of `labels` (N,) in their JSON form: `images` N, `classes` K, and as base64 of zlib of little-endian
    numbers `labels` and `predicted` (N,) uint16 and `float16` (N, K), row by row. `predicted`: the classes that were answered (N,);
    None: the most probable ones.
    """
    probabilities = prediction.probabilities
    answered = probabilities.argmax(axis=1) if predicted is None else predicted
    images, classes = probabilities.shape
    return {
        "images": images,
        "classes": classes,
        "labels": _packed(labels, "<u2"),
        "predicted": _packed(answered, "<u2"),
        "float16": _packed(probabilities, "<f2"),
    }


def _packed(array: npt.NDArray[Any], kind: str) -> str:
    return b64encode(zlib.compress(array.astype(kind).tobytes(), 9)).decode()


def set_aside(predictions: Mapping[str, Any], weights: str, store: ArtifactStore) -> Mapping[str, Any]:
    """What an event holds of packed `predictions`: those above `MOST_IN_EVENT` are in a file beside `weights` in `store`, the
    search's own, by now.

    Raises:
        CannotRunError: the store cannot be used.
    """
    document = json.dumps(dict(predictions), separators=(",", ":")).encode()
    if len(document) <= MOST_IN_EVENT:
        return predictions
    name = str(PurePosixPath(weights).with_suffix(".predictions.json"))
    store.write_bytes(name, document)
    digest = hashlib.sha256(document).hexdigest()
    return {
        "images": predictions["images"],
        "classes": predictions["classes"],
        "artifact": name,
        "sha256": digest,
    }


def unpack(told: Mapping[str, Any], test_key: str, store: ArtifactStore) -> Predictions:
    """The inverse of `pack`, also of what was set aside in `store`.

    Raises:
        CannotRunError: the file is missing, or another by now.
        LookupError, TypeError, ValueError: `told` is in no such form.
    """
    if "artifact" in told:
        told = _fetched(told, store)
    images, classes = told["images"], told["classes"]
    return Predictions(
        _unpacked(told["labels"], "<u2", (images,)).astype(np.int64),
        _unpacked(told["predicted"], "<u2", (images,)).astype(np.int64),
        _unpacked(told["float16"], "<f2", (images, classes)).astype(np.float16),
        test_key,
    )


def _unpacked(text: str, kind: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    try:
        data = zlib.decompress(b64decode(text, validate=True))
    except zlib.error as error:
        raise ValueError(str(error)) from error
    return np.frombuffer(data, kind).reshape(shape)


def _fetched(told: Mapping[str, Any], store: ArtifactStore) -> Mapping[str, Any]:
    """The document that an event names."""
    name, again = str(told["artifact"]), "bring the search's folder back from a copy"
    try:
        document = store.read_bytes(name)
    except FileNotFoundError as error:
        raise CannotRunError(f"the predictions {store.place}/{name} are missing; {again}") from error
    if hashlib.sha256(document).hexdigest() != told.get("sha256"):
        raise CannotRunError(
            f"the predictions {store.place}/{name} are not those that the journal names; {again}"
        )
    found: Mapping[str, Any] = json.loads(document)
    return found
