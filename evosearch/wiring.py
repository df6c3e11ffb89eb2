"""Where everything meets: a configuration, a journal, data and workers become a running search.

This is the Python API too: `run`, `resume` and `retrain` are what the commands of the same names call. Each blocks
until its work is done and raises an `EvosearchError` where it cannot be. Nothing here decides how a search goes;
read `evosearch.runtime` for that.
"""

import os
import platform
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Literal

from evosearch.blueprint import Limits
from evosearch.config import RunConfig, config_from_json, config_to_json, differing_keys
from evosearch.data import DataReport, Dataset, inspect_data, load_dataset
from evosearch.errors import CannotRunError, HeldError, SearchConflictError
from evosearch.genome import parse
from evosearch.reports import Cost, counted, draw_evolution, estimate_cost
from evosearch.runtime import (
    Logbook,
    Plan,
    Silence,
    SingleTasks,
    StopSignals,
    Surroundings,
    Watcher,
    WorkerPool,
    drive,
    replay,
)
from evosearch.search import EavlSettings, make_strategy
from evosearch.storage import (
    DriverStarted,
    EvaluationRow,
    Event,
    Extended,
    Held,
    Home,
    SearchCreated,
    SearchRow,
    TestReading,
    take,
)
from evosearch.studies import Retraining, retrain_best
from workers import make_pool, train_on

Executor = Literal["ray", "local"]


@dataclass(frozen=True)
class Finished:
    """A search that is done. `classes`: how many the data have; `folder`: where its pictures and weights lie."""

    row: SearchRow
    best: EvaluationRow | None
    classes: int
    folder: Path


def run(
    config: RunConfig,
    home: Home,
    *,
    executor: Executor | None = None,
    address: str | None = None,
    watcher: Watcher | None = None,
) -> Finished:
    """Start the search `config.name`; go on with it where it is unfinished; return it where it is done.

    Args:
        config: the search.
        home: where its journal lies.
        executor: None: as last time, at first ray.
        address: of a Ray cluster; None: `workers.address`, else RAY_ADDRESS, else a private one.
        watcher: is told how it goes.

    Raises:
        SearchConflictError: the name belongs to a search of another configuration or of other data.
        EvosearchError: as `evosearch.runtime.drive`.
    """
    row = home.journal.find(config.name)
    if row is not None:
        config = _merged(config, row)
    return _Undertaking(home, _at(config, address), row, executor, watcher or Silence()).search()


def resume(
    name: str,
    home: Home,
    *,
    generations: int | None = None,
    executor: Executor | None = None,
    address: str | None = None,
    watcher: Watcher | None = None,
) -> Finished:
    """Go on with the search `name`, to `generations` generations in all where given; otherwise as `run`.

    Raises:
        SearchConflictError: there is no such search, or `generations` lies below its present total.
    """
    row = home.find_search(name)
    config = config_from_json(row.configuration)
    if generations is not None:
        if not isinstance(config.strategy, EavlSettings):
            raise SearchConflictError(
                f"{name!r} is a random search, all one generation; leave --generations out"
            )
        if generations < row.generations:
            raise SearchConflictError(
                f"--generations is {generations}, below the {row.generations} of {name!r}; give the new total"
            )
    undertaking = _Undertaking(home, _at(config, address), row, executor, watcher or Silence())
    return undertaking.search(generations)


def retrain(
    name: str, home: Home, *, epochs: int | None = None, watcher: Watcher | None = None
) -> TestReading:
    """Train the best of the finished search `name` anew and read the test split once, on workers as last time.

    `epochs`: None: `final.epochs`. The same retraining again returns the recorded reading and trains nothing.

    Raises:
        SearchConflictError: there is no such search, it is unfinished, or nothing in it ever succeeded.
    """
    row = home.find_search(name)
    config = config_from_json(row.configuration)
    return _Undertaking(home, config, row, None, watcher or Silence()).retrain(epochs)


def data_report(config: RunConfig) -> DataReport:
    """What the configuration's data are, bad files included."""
    return inspect_data(config.data, env=os.environ, cwd=Path.cwd(), cache=None)


def validate(config: RunConfig) -> Cost:
    """Check all of `config` that can be checked without training, and estimate what the search costs.

    Raises:
        InputError: the configuration, its data or its space is wrong.
    """
    dataset = load_dataset(config.data, env=os.environ, cwd=Path.cwd(), cache=None)
    plan = make_plan(config, dataset)
    first = [plan.blueprint(member) for member in plan.strategy.start().members]
    return estimate_cost(first, plan.strategy.evaluations, len(dataset.train), config.training)


def artifact_folder(home: Home, config: RunConfig) -> Path:
    """Where the search's pictures and weights lie: its folder in the home, or below `storage.artifacts`."""
    artifacts = config.storage.artifacts
    return home.folder / artifacts / config.name if artifacts else home.folder_of(config.name)


def make_plan(config: RunConfig, dataset: Dataset, generations: int | None = None) -> Plan:
    """The search of `config` on `dataset`, with `generations` in all where an extension made them more."""
    training, strategy = config.training, config.strategy
    if generations is not None and isinstance(strategy, EavlSettings):
        strategy = replace(strategy, generations=generations)
    limits = Limits.of(
        config.space,
        dataset.for_search().image,
        len(dataset.classes),
        training.batch_size,
        training.optimizer,
        training.dropout,
    )
    made = make_strategy(strategy, config.space, limits, config.seed)
    return Plan(config.name, config.seed, made, training, limits, dataset.key)


def _at(config: RunConfig, address: str | None) -> RunConfig:
    """`config` on the Ray cluster at `address`, where one is given; it is journaled, so a resume goes there too."""
    if address is None:
        return config
    return replace(config, workers=replace(config.workers, address=address))


def _merged(config: RunConfig, row: SearchRow) -> RunConfig:
    """The journaled configuration, with what may change taken from `config`."""
    journaled = config_from_json(row.configuration)
    compared = journaled
    ours, theirs = config.strategy, journaled.strategy
    if isinstance(ours, EavlSettings) and isinstance(theirs, EavlSettings):
        # Fewer generations than an extension made them is not another search (DESIGN, the command line).
        extended = theirs.generations < row.generations
        total = ours.generations if extended and ours.generations <= row.generations else row.generations
        compared = replace(journaled, strategy=replace(theirs, generations=total))
    if different := differing_keys(config, compared):
        raise SearchConflictError(
            f"{config.name!r} is a search of another configuration: {'; '.join(different)}; take these values, "
            "or another --name (`evosearch resume NAME --generations N` extends a search)"
        )
    return replace(
        journaled, data=config.data, workers=config.workers, storage=config.storage, final=config.final
    )


@dataclass(frozen=True)
class _Undertaking:
    """One command's dealings with one search: load, hold, replay, train. `row` is None for a new search."""

    home: Home
    config: RunConfig
    row: SearchRow | None
    executor: Executor | None
    watcher: Watcher

    def search(self, generations: int | None = None) -> Finished:
        """Drive the search to its end; `generations` extends it."""
        with ExitStack() as stack:
            signals = stack.enter_context(StopSignals())
            dataset = self._load()
            total = generations or (self.row.generations if self.row else None)
            plan = make_plan(self.config, dataset, total)
            extended = self.row is not None and total is not None and total > self.row.generations
            if self.row is not None and self.row.state == "done" and not extended:
                if config_to_json(self.config) != self.row.configuration:  # what may change is journaled
                    self._hold().release()
                return self._finished(dataset)
            state = replay(plan, ())  # a space that holds nothing feasible is found before anything starts
            self._prepare_folder()
            held = stack.enter_context(self._hold()) if self.row else None
            pool = self._open_pool(stack, signals, dataset)
            if held is None:
                self._create(dataset, pool)
                held = stack.enter_context(self._hold())
            world = self._surroundings(held, pool, signals)
            if self.row is not None:
                self.home.journal.check()
                self._tell_of_other_versions(self.row)
            events = (recorded.event for recorded in self.home.journal.replay(self.config.name))
            state = replay(plan, events)
            if extended and total is not None:  # only now: what cannot be replayed is not extended either
                world.logbook.append([Extended(total)])
            self._curve.unlink(missing_ok=True)  # it would show fewer generations than there will be
            signals.defer()
            self.watcher.begin(plan, state)
            drive(plan, state, held.term, world)
        return self._finished(dataset)

    def retrain(self, epochs: int | None) -> TestReading:
        """Retrain the best and read the test split, or return what an equal retraining read."""
        name, best = self.config.name, self.home.journal.best(self.config.name)
        if self.row is None or self.row.state != "done":
            raise SearchConflictError(f"{name!r} is unfinished; `evosearch resume {name}` comes first")
        if best is None:
            raise SearchConflictError(f"no evaluation of {name!r} succeeded; there is nothing to retrain")
        with ExitStack() as stack:
            signals = stack.enter_context(StopSignals())
            dataset = self._load()
            plan = make_plan(self.config, dataset, self.row.generations)
            epochs = epochs or self.config.final.epochs
            retraining = Retraining.of(plan, best.number, parse(best.chromosome), epochs)
            if known := self._recorded(retraining):
                return known
            self._prepare_folder()
            held = stack.enter_context(self._hold("retrain"))
            if known := self._recorded(retraining):  # by a driver that held the search until now
                return known
            world = self._surroundings(held, self._open_pool(stack, signals, dataset, count=1), signals)
            signals.defer()
            self.watcher.note(
                f"training candidate {best.number} for {counted(epochs, 'epoch')}, then reading the test split"
            )
            tasks = SingleTasks(name, held.term, world)
            retrain_best(retraining, dataset, tasks, world.logbook, self._folder)
        return self._readings()[retraining.key]

    def _tell_of_other_versions(self, row: SearchRow) -> None:
        changed = [
            f"{package} {row.environment.get(package)} then, {now} now"
            for package, now in _versions().items()
            if row.environment.get(package) != now
        ]
        if changed:
            self.watcher.note(
                f"other versions than the search began with, so its bits may differ: {'; '.join(changed)}"
            )

    def _load(self) -> Dataset:
        cache = self.home.folder / "cache"
        dataset = load_dataset(self.config.data, env=os.environ, cwd=Path.cwd(), cache=cache)
        for line in dataset.notes:
            self.watcher.note(f"data: {line}")
        if self.row is not None and dataset.key != self.row.data_key:
            raise SearchConflictError(
                f"the data of {self.config.name!r} have changed: their hash is {dataset.key} here, "
                f"{self.row.data_key} in the journal; bring the images back, or take another --name"
            )
        return dataset

    def _hold(self, purpose: Literal["search", "retrain"] = "search") -> Held:
        host, pid, configuration = socket.gethostname(), os.getpid(), config_to_json(self.config)
        started = DriverStarted(host, pid, self._chosen_executor, configuration, purpose)
        name = self.config.name
        held = take(self.home.journal, self.home.folder_of(name), name, started, time.time)
        if self.row is not None and self.home.find_search(name).generations != self.row.generations:
            held.release()  # all that was decided before rests on a search that has since changed
            raise HeldError(f"another driver has just extended {name!r}; run the same command again")
        return held

    @property
    def _chosen_executor(self) -> Executor:
        if self.executor is not None:
            return self.executor
        return "local" if self.row is not None and self.row.executor == "local" else "ray"

    def _open_pool(
        self, stack: ExitStack, signals: StopSignals, dataset: Dataset, count: int | None = None
    ) -> WorkerPool:
        workers = self.config.workers
        if count is not None:
            workers = replace(workers, count=count)
        if self.row is not None:  # what decided numerics when the search began is kept
            workers = replace(workers, device=self.row.environment["device"])
        training = self.config.training
        pool = make_pool(self._chosen_executor, workers, training.threads, train_on, dataset.for_search())
        stack.callback(pool.close)
        pool.start()
        signals.reclaim()
        return pool

    def _create(self, dataset: Dataset, pool: WorkerPool) -> None:
        environment = {**_versions(), "device": pool.device}
        created = SearchCreated(config_to_json(self.config), dataset.key, environment)
        try:
            self.home.journal.create_search(self.config.name, created, time.time())
        except SearchConflictError as error:  # there was none a moment ago
            raise HeldError(
                f"another driver has just begun {self.config.name!r}; run the same command again once it has ended"
            ) from error

    def _surroundings(self, held: Held, pool: WorkerPool, signals: StopSignals) -> Surroundings:
        logbook = _Logbook(self.home, self.config.name, held.term)
        return Surroundings(pool, logbook, time.monotonic, signals.reason, self.watcher)

    def _finished(self, dataset: Dataset) -> Finished:
        """What to print; the curve is drawn here, since a driver may be killed once the search is done."""
        name, journal = self.config.name, self.home.journal
        try:
            if not self._curve.exists():
                draw_evolution(name, journal.generations(name), self._curve)
        except OSError as error:  # a full or read-only disk does not take the result away
            self.watcher.note(f"no evolution curve could be drawn: {error}")
        return Finished(self.home.find_search(name), journal.best(name), len(dataset.classes), self._folder)

    @property
    def _folder(self) -> Path:
        return artifact_folder(self.home, self.config)

    @property
    def _curve(self) -> Path:
        return self._folder / "evolution.png"

    def _prepare_folder(self) -> None:
        """Find out now, and not after hours of training, whether pictures and weights can be written."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=self._folder):
                pass
        except OSError as error:
            raise CannotRunError(
                f"nothing can be written to {self._folder} ({error.strerror}); give storage.artifacts another folder"
            ) from error

    def _readings(self) -> dict[str, TestReading]:
        return {reading.key: reading for reading in self.home.journal.test_readings(self.config.name)}

    def _recorded(self, retraining: Retraining) -> TestReading | None:
        reading = self._readings().get(retraining.key)
        if reading is None or reading.metrics is None:  # begun and never ended: nobody has seen a result
            return None
        self.watcher.note("recorded earlier: each network reads the test split once")
        return reading


@dataclass(frozen=True)
class _Logbook(Logbook):
    """One search's journal under one term."""

    home: Home
    name: str
    term: int

    def append(self, facts: Sequence[Event]) -> None:
        self.home.journal.append(self.name, self.term, facts, time.time())

    def beat(self) -> None:
        self.home.journal.beat(self.name, self.term, time.time())


def _versions() -> dict[str, str]:
    packages = ("evosearch", "torch", "torchvision", "ray", "numpy", "pillow", "scikit-learn")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}
