"""The winner of a search as two files beside its curve: its weights, and all that a reader of them needs to know.

`winner.safetensors` and `winner.json` are published after each retraining: of its networks of the best candidate the one that
was best on the validation images, by what the search goes by; where these were trained on too, the first repeat. The test
split chooses nothing.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evosearch.errors import CannotRunError, SearchConflictError
from evosearch.storage import WINNER_DOCUMENT, WINNER_WEIGHTS, ArtifactStore, SearchRow, TestReading


def best_reading(
    readings: Sequence[TestReading], candidate: int | None = None, repeats: Mapping[str, int] | None = None
) -> TestReading | None:
    """Of readings that have ended, the one whose network was best on the validation images; the earliest of equal ones.

    `candidate`: its networks go before all others, as what was trained again before the search was extended. The accuracy
    decides where the fitness of one was not journaled: earlier versions did not. `repeats`: of their trainings, by key. A
    network that was trained on the validation images too comes after all that were not; of several the lowest repeat.
    """
    ended = [one for one in readings if one.metrics is not None and one.weights is not None]
    asked = [one for one in ended if one.number == candidate] or ended
    known = all("validation_fitness" in (one.metrics or {}) for one in asked)
    figure = "validation_fitness" if known else "validation_accuracy"

    def place(one: TestReading) -> tuple[float, int]:
        found = (one.metrics or {})[figure]
        return (-1.0, -(repeats or {}).get(one.key, 0)) if found is None else (found, 0)

    return max(asked, key=place, default=None)


def winner_document(
    parent: SearchRow,
    child: SearchRow,
    reading: TestReading,
    training: Mapping[str, Any],
    window: tuple[float, float] | None,
    digest: str,
    neutral_side: int | None = None,
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
        "training": dict(training),
        "data": parent.configuration["data"],
        "window": window,
        "neutral_side": neutral_side,
        "data_key": parent.data_key,
        "environment": dict(child.environment),
    }


def publish_winner(
    parent: SearchRow,
    child: SearchRow,
    reading: TestReading,
    training: Mapping[str, Any],
    window: tuple[float, float] | None,
    store: ArtifactStore,
    neutral_side: int | None = None,
) -> str | None:
    """Copy the network of `reading` to the folder of `parent`, first its weights, then what is known of them; each is there
    in full or not at all.

    Args:
        parent: the search.
        child: its retraining; the search itself where that read the test split, as in the first version.
        reading: of the network that won, by the retraining.
        training: how that was trained, as a configuration holds it.
        window: as in `evosearch.data.Dataset`.
        store: of all searches.
        neutral_side: as in `evosearch.data.Dataset`.

    Returns: which network of another retraining stood there before, and by what it was replaced, in words; None: none did.

    Raises:
        FileNotFoundError: the weights cannot be reached from here.
        CannotRunError: a store cannot be used.
    """
    with TemporaryDirectory(prefix="evosearch-winner-") as folder:
        copy, document = Path(folder, WINNER_WEIGHTS), Path(folder, WINNER_DOCUMENT)
        store.within(child.name).get(reading.weights or "", copy)
        digest = hashlib.sha256(copy.read_bytes()).hexdigest()
        known = winner_document(parent, child, reading, training, window, digest, neutral_side)
        document.write_text(json.dumps(known, indent=2) + "\n")
        replaced = _replaced(store.within(parent.name), known)
        store.within(parent.name).put(copy, WINNER_WEIGHTS)
        store.within(parent.name).put(document, WINNER_DOCUMENT)
    return replaced


def _replaced(store: ArtifactStore, known: Mapping[str, Any]) -> str | None:
    """That what `known` tells of takes the place of the winner of another retraining, where there is one."""
    try:
        before = json.loads(store.read_bytes(WINNER_DOCUMENT))
        if before["retraining"] == known["retraining"]:
            return None
        earlier, now = (f"{one['retraining']!r} ({_judged(one['metrics'])})" for one in (before, known))
    except (OSError, CannotRunError, ValueError, KeyError, TypeError, AttributeError):
        return None  # absent, or damaged, which is what this repairs
    return f"{WINNER_WEIGHTS} of {known['search']!r} was that of {earlier}, and is now that of {now}"


def _judged(metrics: Mapping[str, Any]) -> str:
    accuracy = metrics.get("validation_accuracy")
    known = isinstance(accuracy, float | int)
    return f"accuracy on validation {accuracy:.4f}" if known else "not judged on validation"


def is_published(store: ArtifactStore, reading: TestReading | None = None) -> bool:
    """Whether both files can be read in the folder of a search, and belong together. `reading`: and are of that network."""
    try:
        document = json.loads(store.read_bytes(WINNER_DOCUMENT))
        is_pair = document["weights_sha256"] == hashlib.sha256(store.read_bytes(WINNER_WEIGHTS)).hexdigest()
    except (OSError, CannotRunError, ValueError, KeyError, TypeError):
        return False
    return bool(is_pair and (reading is None or _is_of(document, reading)))


def _is_of(document: Mapping[str, Any], reading: TestReading) -> bool:
    """Whether a `winner.json` is of the network of `reading`."""
    told = (document.get(key) for key in ("retraining", "candidate", "epochs", "seed", "metrics"))
    return tuple(told) == (reading.search, reading.number, reading.epochs, reading.seed, reading.metrics)


def fetch_winner(
    row: SearchRow, readings: Sequence[TestReading], store: ArtifactStore, folder: Path
) -> tuple[Path, Mapping[str, Any]]:
    """The weights of the winner of a search, copied from its own folder `store` to `folder`, and what is known of them.

    `readings`: all of the search and its retrainings.

    Raises:
        SearchConflictError: there is none yet, its two files are of different retrainings, or the journal has no such
            retraining of this search.
    """
    name = row.name
    again = f"`evosearch retrain {name}` trains the best again and leaves one"
    try:
        store.get(WINNER_DOCUMENT, folder / WINNER_DOCUMENT)
        store.get(WINNER_WEIGHTS, folder / WINNER_WEIGHTS)
    except FileNotFoundError as error:
        raise SearchConflictError(f"{name!r} has no trained network yet; {again}") from error
    try:
        document = json.loads((folder / WINNER_DOCUMENT).read_bytes())
        digest = document["weights_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise CannotRunError(f"{store.place}/{WINNER_DOCUMENT} is damaged ({error}); {again}") from error
    if digest != hashlib.sha256((folder / WINNER_WEIGHTS).read_bytes()).hexdigest():
        raise SearchConflictError(
            f"{WINNER_WEIGHTS} and {WINNER_DOCUMENT} in {store.place} are of different retrainings; {again}"
        )
    if document.get("data_key") != row.data_key or not any(_is_of(document, one) for one in readings):
        raise SearchConflictError(
            f"{WINNER_WEIGHTS} in {store.place} is of a retraining that the journal does not have, "
            f"{document.get('retraining')!r} (another search of this name, or deleted); {again}"
        )
    return folder / WINNER_WEIGHTS, document
