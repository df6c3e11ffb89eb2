"""The Python API for scripts and notebooks: run a search, open one, look at it, take its network home."""

import json
import os
import socket
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Unpack

from evosearch import api
from evosearch.config import RunConfig, config_from_json
from evosearch.config import load_config as load_config_file
from evosearch.errors import SearchConflictError
from evosearch.providers import Driving
from evosearch.reports import (
    Confirmation,
    SearchSnapshot,
    confirmation_of,
    results_document,
    status_document,
)
from evosearch.session import artifact_store
from evosearch.storage import EvaluationRow, Home, Predictions, TestReading, open_home
from evosearch.studies import contest_of, fetch_winner, predictions_of, winner_of

if TYPE_CHECKING:
    from evosearch.training.trained import TrainedNetwork


@dataclass(frozen=True)
class SearchHandle:
    """One search of a journal. Each call opens the journal, and closes it again before it returns.

    >>> import evosearch
    >>> search = evosearch.run("configs/digits.yaml", executor="local")  # doctest: +SKIP
    >>> search.best.chromosome, search.retrain(epochs=30)[0].metrics["accuracy"]  # doctest: +SKIP
    >>> network = search.load_network()  # doctest: +SKIP
    >>> network.classes, network.probabilities("seven.png")  # doctest: +SKIP
    """

    name: str
    """Of the search: `digits`, or `digits/seed-3`."""
    storage: str | None = None
    """The journal, a file or a URL; None: `journal.db` in $EVOSEARCH_HOME, else in ./runs."""

    @property
    def status(self) -> dict[str, Any]:
        """The document of `evosearch status NAME --json`."""
        with self._home() as home:
            return status_document(SearchSnapshot.of(home, home.find_search(self.name), *_here()))

    @property
    def results(self) -> list[dict[str, Any]]:
        """The document of `evosearch results NAME --format json`: every candidate, by number."""
        with self._home() as home:
            home.find_search(self.name)
            return results_document(home.journal.evaluations(self.name, with_curve=True))

    @property
    def best(self) -> EvaluationRow | None:
        """The best candidate so far; None: nothing has succeeded yet."""
        with self._home() as home:
            home.find_search(self.name)
            return home.journal.best(self.name)

    @property
    def readings(self) -> tuple[TestReading, ...]:
        """Of the test split, by the networks of its retrainings, in order."""
        with self._home() as home:
            home.find_search(self.name)
            return home.journal.test_readings(self.name)

    @property
    def confirmation(self) -> Confirmation | None:
        """What the search believed of its best beside what its retrainings confirmed; None: nothing was retrained yet."""
        with self._home() as home:
            row, readings = home.find_search(self.name), home.journal.test_readings(self.name)
            return confirmation_of(row, home.journal.best(self.name), readings, contest_of(home, row))

    def predictions(self, reading: TestReading) -> Predictions | None:
        """What the network of one of its `readings` answered to each test image, with the labels; None where that is not
        known: the reading has not ended, or journals before schema 4 hold it.

        Raises:
            CannotRunError: the file with them is missing.
        """
        with self._home() as home:
            return predictions_of(home, reading)

    def resume(self, generations: int | None = None, **how: Unpack[Driving]) -> "SearchHandle":
        """Go on where it stopped, to `generations` generations in all where given; as `evosearch.api.resume`."""
        with self._home(reads=False) as home:
            api.resume(self.name, home, generations=generations, **how)
        return self

    def retrain(
        self,
        epochs: int | None = None,
        seeds: Sequence[int] | None = None,
        weights: str | None = None,
        **how: Unpack[Driving],
    ) -> tuple[TestReading, ...]:
        """Train the best again and read the test split once per network; as `evosearch.api.retrain`."""
        with self._home(reads=False) as home:
            return api.retrain(self.name, home, epochs=epochs, seeds=seeds, weights=weights, **how)

    def load_network(self) -> "TrainedNetwork":
        """The trained network as a `torch.nn.Module` on the CPU, with its preprocessing: of the newest retraining's networks
        of the best candidate the one that was best on the validation images.

        It warns (UserWarning) where the search was extended since and another candidate is the best by now.

        Raises:
            SearchConflictError: nothing was retrained yet, or what is there is of no retraining in the journal.
        """
        from evosearch.training.trained import MOST_PIXELS, TrainedNetwork  # noqa: PLC0415 - torch takes seconds

        with self._home() as home, TemporaryDirectory(prefix="evosearch-winner-") as folder:
            row = home.find_search(self.name)
            if row.parent is not None:
                raise SearchConflictError(
                    f"{self.name!r} is a retraining; its network is that of {row.parent!r}, so open that"
                )
            store = artifact_store(home, config_from_json(row.configuration)).within(self.name)
            readings, best = home.journal.test_readings(self.name), winner_of(home, self.name)
            weights, known = fetch_winner(row, readings, store, Path(folder))
            candidate = known["candidate"]
            if best is not None and best.candidate != candidate:
                warnings.warn(
                    f"the network is of candidate {candidate}, but the best of {self.name!r} is candidate {best.candidate} "
                    f"by now; `evosearch retrain {self.name}` trains that",
                    stacklevel=2,
                )
            return TrainedNetwork.load(
                weights,
                known["training"]["dropout"],
                known["window"] and tuple(known["window"]),
                _most_pixels(known["data"]) or MOST_PIXELS,
                candidate,
                known.get("neutral_side"),
            )

    def _home(self, *, reads: bool = True) -> AbstractContextManager[Home]:
        return open_home(self.storage, env=os.environ, cwd=Path.cwd(), create=False, reads=reads)


def _most_pixels(data: Mapping[str, Any]) -> int:
    """The largest `max_image_pixels` of a source and its parts; 0 where there is none."""
    parts = data["parts"].values() if data.get("name") == "union" else ()
    return max(one.get("max_image_pixels") or 0 for one in (data, *parts))


def load_config(path: str | Path, overrides: Mapping[str, Any] | Sequence[str] = ()) -> RunConfig:
    """Read a configuration file and check it.

    Args:
        path: of the YAML file; its stem names the search unless it says otherwise.
        overrides: as `--set` takes them, `["training.epochs=5"]`, or `{"training.epochs": 5}` with Python's values: None,
            numbers, texts, sequences, mappings; anything else as its text.

    Raises:
        ConfigError: one line with the file and line, the key, the found value and the repair.
    """
    if isinstance(overrides, Mapping):
        # the strict YAML of --set reads JSON as it is
        overrides = [f"{key}={json.dumps(value, default=str)}" for key, value in overrides.items()]
    return load_config_file(Path(path), overrides)


def run(config: RunConfig | str | Path, storage: str | None = None, **how: Unpack[Driving]) -> SearchHandle:
    """Run a search to its end, go on with it where it is unfinished, or do nothing where it is done.

    Args:
        config: the search, or the file it is read from.
        storage: the journal, a file or a URL; None: `storage.journal`, else `journal.db` in $EVOSEARCH_HOME, else in ./runs.
        how: executor, address, takeover, watcher, see `evosearch.providers.DriveOptions`.

    Raises:
        EvosearchError: as `evosearch.api.run`.
    """
    loaded = config if isinstance(config, RunConfig) else load_config(config)
    loaded.storage.check()
    place = loaded.storage.journal if storage is None else storage
    with open_home(place, env=os.environ, cwd=Path.cwd(), create=True) as home:
        api.run(loaded, home, **how)
    return SearchHandle(loaded.name, place)


def open(name: str, storage: str | None = None) -> SearchHandle:  # noqa: A001 - as in `evosearch.open("digits")`
    """The search `name` of a journal, finished or not. `storage`: as in `run`; of a compressed copy, `FILE.xz`, nothing goes on.

    Raises:
        SearchConflictError: there is no such search, or it is a group; the message lists what there is.
        JournalError: there is no journal.
    """
    with open_home(storage, env=os.environ, cwd=Path.cwd(), create=False, reads=True) as home:
        if members := home.members_of(name):
            raise SearchConflictError(
                f"{name!r} is a group; open one of its members: {', '.join(row.name for row in members)}"
            )
        home.find_search(name)
    return SearchHandle(name, storage)


def _here() -> tuple[str, float]:
    return socket.gethostname(), time.time()
