"""The winner of a search as two files beside its curve: its weights, and all that a reader of them needs to know.

`winner.safetensors` and `winner.json` are published after each retraining: of its networks the one that was best on the
validation images. The test split chooses nothing.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evosearch.errors import CannotRunError, SearchConflictError
from evosearch.storage import WINNER_DOCUMENT, WINNER_WEIGHTS, ArtifactStore, SearchRow, TestReading

WEIGHTS, DOCUMENT = WINNER_WEIGHTS, WINNER_DOCUMENT


def best_reading(readings: Sequence[TestReading]) -> TestReading | None:
    """Of readings that have ended, the one whose network was best on the validation images; the earliest of equal ones."""
    ended = [one for one in readings if one.metrics is not None and one.weights is not None]
    return max(ended, key=lambda one: (one.metrics or {})["validation_accuracy"], default=None)


def winner_document(
    parent: SearchRow,
    child: SearchRow,
    reading: TestReading,
    window: tuple[float, float] | None,
    digest: str,
) -> dict[str, Any]:
    """What `winner.json` holds. `digest`: SHA-256 of the weights, in hexadecimal, by which the two files are a pair."""
    return {
        "search": parent.name,
        "retraining": child.name,
        "candidate": reading.number,
        "epochs": reading.epochs,
        "seed": reading.seed,
        "weights_sha256": digest,
        "metrics": dict(reading.metrics or {}),
        "reading": reading.place,
        "readings": reading.total,
        "training": child.configuration["training"],
        "data": parent.configuration["data"],
        "window": window,
        "data_key": parent.data_key,
        "environment": dict(child.environment),
    }


def publish_winner(
    parent: SearchRow,
    child: SearchRow,
    reading: TestReading,
    window: tuple[float, float] | None,
    store: ArtifactStore,
) -> None:
    """Copy the network of `reading` to the folder of `parent`, first its weights, then what is known of them; each is there
    in full or not at all.

    Args:
        parent: the search.
        child: its retraining.
        reading: of the network that won, by the retraining.
        window: as in `evosearch.data.Dataset`.
        store: of all searches.

    Raises:
        FileNotFoundError: the weights cannot be reached from here.
        CannotRunError: a store cannot be used.
    """
    with TemporaryDirectory(prefix="evosearch-winner-") as folder:
        copy, document = Path(folder, WEIGHTS), Path(folder, DOCUMENT)
        store.within(child.name).get(reading.weights or "", copy)
        digest = hashlib.sha256(copy.read_bytes()).hexdigest()
        document.write_text(
            json.dumps(winner_document(parent, child, reading, window, digest), indent=2) + "\n"
        )
        store.within(parent.name).put(copy, WEIGHTS)
        store.within(parent.name).put(document, DOCUMENT)


def is_published(store: ArtifactStore) -> bool:
    """Whether both files are in the folder of a search, and belong together."""
    try:
        document = json.loads(store.read_bytes(DOCUMENT))
        return bool(document["weights_sha256"] == hashlib.sha256(store.read_bytes(WEIGHTS)).hexdigest())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


def fetch_winner(name: str, store: ArtifactStore, folder: Path) -> tuple[Path, Mapping[str, Any]]:
    """The weights of the winner of search `name`, copied from its own folder `store` to `folder`, and what is known of them.

    Raises:
        SearchConflictError: there is none yet, or its two files are of different retrainings.
    """
    again = f"`evosearch retrain {name}` trains the best again and leaves one"
    try:
        store.get(DOCUMENT, folder / DOCUMENT)
        store.get(WEIGHTS, folder / WEIGHTS)
    except FileNotFoundError as error:
        raise SearchConflictError(f"{name!r} has no trained network yet; {again}") from error
    try:
        document = json.loads((folder / DOCUMENT).read_bytes())
        digest = document["weights_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise CannotRunError(f"{store.place}/{DOCUMENT} is damaged ({error}); {again}") from error
    if digest != hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest():
        raise SearchConflictError(
            f"{WEIGHTS} and {DOCUMENT} in {store.place} are of different retrainings; {again}"
        )
    return folder / WEIGHTS, document
