"""One command's dealings with its searches: load, hold, replay, train; see `evosearch.api`, which is the API."""

import os
import platform
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property, partial, reduce
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Literal

from evosearch.blueprint import Memory, Problem, training_memory
from evosearch.config import RunConfig, config_from_json, config_to_json
from evosearch.data import Dataset, load_dataset
from evosearch.errors import CannotRunError, HeldError, JournalError, SearchConflictError
from evosearch.evaluation import FailureKind
from evosearch.permissions import make_folder
from evosearch.reports import draw_evolution, draw_group
from evosearch.runtime import (
    Checkpointing,
    DriverState,
    Fleet,
    Logbook,
    Member,
    Plan,
    SplitReader,
    StopSignals,
    Surroundings,
    TimeLimits,
    Watcher,
    WorkerPool,
    WorkerSettings,
    checkpoint_room,
    drive,
    evolve,
    policy_of,
    replay,
    retried,
    starting,
)
from evosearch.search import FixedListSettings, SearchContext
from evosearch.storage import (
    ArtifactStore,
    Backup,
    DriverStarted,
    EvaluationRow,
    Extended,
    Held,
    Home,
    JournalLogbook,
    Onlooker,
    SearchCreated,
    SearchRow,
    StoreProbe,
    check_space,
    group_of,
    take,
)
from evosearch.studies import FinalReader
from workers import make_pool, train_on

Executor = Literal["ray", "local"]


@dataclass(frozen=True)
class Finished:
    """A search that is done. `classes`: how many the data have; `folder`: where its curve lies on this machine;
    `place`: the path or URL (without a password) where all its files are kept.
    """

    row: SearchRow
    best: EvaluationRow | None
    classes: int
    folder: Path
    place: str


def artifact_folder(home: Home, config: RunConfig) -> Path:
    """Where the search's pictures and weights lie on this machine: its folder in the home, or below
    `storage.artifacts`; where that is a URL, pictures are drawn in the home and copied there.
    """
    store = artifact_store(home, config)
    return home.folder_of(config.name) if store.is_remote else Path(store.url) / config.name


def artifact_place(home: Home, config: RunConfig) -> str:
    """Where the search's files are kept, for messages: a path, or a URL without a password."""
    return artifact_store(home, config).within(config.name).place


def artifact_store(home: Home, config: RunConfig) -> ArtifactStore:
    """What `storage.artifacts` names, of all searches."""
    return ArtifactStore.of(config.storage.artifacts, home.folder)


def make_plan(
    config: RunConfig,
    dataset: Dataset,
    generations: int | None = None,
    reader: SplitReader | None = None,
) -> Plan:
    """The search of `config` on `dataset`, with `generations` in all where an extension made them more; `reader`: of a
    retraining.
    """
    strategy = config.strategy if generations is None else config.strategy.with_generations(generations)
    problem = Problem(dataset.for_search().image, len(dataset.classes))
    context = SearchContext(config.space, problem, config.training, config.seed)
    return Plan(config.name, strategy.make(context), context, dataset.key, reader)


@dataclass(frozen=True)
class DriveOptions:
    """How a command deals with its searches, whichever they are."""

    executor: Executor | None
    address: str | None
    takeover: bool
    watcher: Watcher

    @cached_property
    def onlooker(self) -> Onlooker:
        """Which watches drivers that may be dead."""
        return Onlooker(self.watcher.note)


def search(sessions: Sequence["SearchSession"], generations: int | None = None) -> tuple[Finished, ...]:
    """Drive searches side by side to their ends; `generations` extends them."""
    with ExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        if not all(one.is_done(generations) for one in sessions):
            sessions[0].options.watcher.wait("reading the data")
        dataset = sessions[0].load(begun=any(one.row or one.parent for one in sessions))
        _check_alike(sessions)
        for one in sessions:
            one.check_data(dataset)
        unfinished = [one for one in sessions if not one.is_done(generations)]
        for one in sessions:
            if one not in unfinished:
                one.journal_what_changed(signals)
        if unfinished:
            _drive(unfinished, dataset, generations, stack, signals)
    ended = tuple(one.finished(dataset) for one in sessions)
    sessions[0].draw_group()
    return ended


def _check_alike(sessions: Sequence["SearchSession"]) -> None:
    """Searches that share a pool train on the same images and the same kind of device."""
    home, begun = sessions[0].home, [one.row for one in sessions if one.row]
    for row in begun[1:]:
        data, device = (begun[0].data_key, row.data_key), (_device(home, begun[0]), _device(home, row))
        for noun, (first, other) in (("data", data), ("devices", device)):
            if first != other:
                raise SearchConflictError(
                    f"{begun[0].name!r} and {row.name!r} were begun on other {noun} ({first} and {other}), so they "
                    "cannot share workers; resume them one by one"
                )


def _device(home: Home, row: SearchRow) -> Literal["cpu", "cuda"]:
    """What a search that was begun trains on."""
    try:
        device: Literal["cpu", "cuda"] = row.environment["device"]
        return device
    except KeyError as error:
        raise JournalError(
            f"the journal {home.journal.place} is damaged: it names no device of {row.name!r}; restore it from a copy"
        ) from error


def _drive(
    sessions: Sequence["SearchSession"],
    dataset: Dataset,
    generations: int | None,
    stack: ExitStack,
    signals: StopSignals,
) -> None:
    plans = [one.plan(dataset, generations) for one in sessions]
    for plan, one in zip(plans, sessions, strict=True):
        replay(plan, ())  # a space that holds nothing feasible is found before anything starts
        one.prepare_folder()
    _check_space(sessions, plans)
    if any(one.row for one in sessions):
        sessions[0].home.journal.check()  # before the first write: what is damaged is left as it is
    # before any worker starts: where that is refused, they start in vain
    sessions[0].home.journal.upgrade()
    held = {one.config.name: stack.enter_context(one.hold(generations)) for one in sessions if one.row}
    pool = _open_pool(sessions, stack, signals, dataset)
    for one in sessions:
        if one.row is None:
            one.create(dataset, pool)
            held[one.config.name] = stack.enter_context(one.hold())
    home, watcher = sessions[0].home, sessions[0].options.watcher
    backup = _keep_backups(sessions[0], stack, signals)
    logbooks = {
        name: JournalLogbook(home.journal, name, one, signals.reason, watcher.note, backup)
        for name, one in held.items()
    }
    workers = _workers(sessions)
    limits = TimeLimits(workers.stall_seconds, workers.hard_seconds)
    checkpointing = {one.config.name: one.checkpointing for one in sessions}
    world = Surroundings(pool, logbooks, time.monotonic, signals.reason, watcher, limits, checkpointing)
    members = [
        Member(plan, one.replayed(plan, logbooks[one.config.name], generations), held[one.config.name].term)
        for plan, one in zip(plans, sessions, strict=True)
    ]
    signals.defer()
    for member in members:
        watcher.begin(member.plan, member.state)
    drive(Fleet.of(*members), world)


def _keep_backups(one: "SearchSession", stack: ExitStack, signals: StopSignals) -> Backup | None:
    """Backups from now on: one at once, which tells other machines who drives, and a last one however it ends."""
    backup = Backup.of(one.home.journal, artifact_store(one.home, one.config), group_of(one.config.name))

    def save(released: bool) -> None:
        # a process that is told to stop has not the time for a slow network
        if one.home.journal.is_lost:  # in its place may be another, which is not to be kept in its name
            return
        if backup and (trouble := backup.save(0.5 if signals.reason() else 30.0, released=released)):
            one.options.watcher.note(trouble)

    stack.callback(save, True)
    save(False)
    return backup


def _check_space(sessions: Sequence["SearchSession"], plans: Sequence[Plan]) -> None:
    """A search that cannot be written down to its end is not begun."""
    journal = sessions[0].home.journal.file
    ended = sum(row.counts["done"] + row.counts["failed"] for one in sessions if (row := one.row))
    folders = {one.folder for one in sessions} | ({journal.parent} if journal else set())
    checkpoints = 0
    if sessions[0].checkpointing.leaves_any:
        slots = _workers(sessions).count or os.cpu_count() or 1
        checkpoints = checkpoint_room((one for plan in plans for one in _first_memories(plan)), slots)
    check_space(sorted(folders), sum(plan.strategy.evaluations for plan in plans) - ended, checkpoints)


def _first_memories(plan: Plan) -> Iterator[Memory]:
    """What the first trainings take, as far as that is known."""
    for trial in plan.strategy.ask(plan.strategy.start()):
        size, settings = plan.network_size(trial), plan.settings(trial)
        if size is not None:
            yield training_memory(size, settings.batch_size, settings.optimizer)


def _workers(sessions: Sequence["SearchSession"]) -> WorkerSettings:
    """The workers that they share. Time limits are of a search's candidates: what is listed has none but hanging, and
    asks for no more workers than it has trainings left.
    """
    first = next((one for one in sessions if one.row), sessions[0])
    workers = first.config.workers
    if all(one.config.strategy.has_time_limits for one in sessions):
        return workers
    trainings = max(1, sum(one.to_train for one in sessions))
    count = trainings if workers.count is None else min(workers.count, trainings)
    return replace(workers, count=count, soft_seconds=None, hard_seconds=None)


def _open_pool(
    sessions: Sequence["SearchSession"], stack: ExitStack, signals: StopSignals, dataset: Dataset
) -> WorkerPool:
    """The pool that they share, started; the first of them that was begun before decides on what devices."""
    first = next((one for one in sessions if one.row), sessions[0])
    workers, training = _workers(sessions), first.config.training
    if begun := first.row or first.parent:  # what decided numerics when the search began is kept
        workers = replace(workers, device=_device(first.home, begun))
    reach = None
    if first.config.storage.artifacts is not None:
        mark = StoreProbe.leave(artifact_store(first.home, first.config), first.config.name)
        stack.callback(mark.remove)
        reach = mark.find_problem
    pool = make_pool(first.executor, workers, training.threads, train_on, dataset.for_search(), reach)
    stack.callback(pool.close)
    watcher = first.options.watcher
    if first.executor == "ray":
        watcher.wait("connecting to Ray")
    pool.start()
    watcher.wait(starting(0, pool.ordered))
    signals.reclaim()
    return pool


def check_parent(home: Home, row: SearchRow, onlooker: Onlooker) -> None:
    """See that the best of a search may be trained again.

    Raises:
        SearchConflictError: the search is unfinished, or a retraining itself.
        HeldError: somebody drives it.
    """
    if row.parent is not None:
        raise SearchConflictError(
            f"{row.name!r} is a retraining itself, of {row.parent!r}; `evosearch retrain {row.parent}` has more of them"
        )
    if row.state in {"running", "done"} and home.is_held(row, onlooker):
        raise HeldError(
            f"{row.name!r} is held by a driver on {row.host} (process {row.pid}); wait until it ends"
        )
    if row.state != "done":
        raise SearchConflictError(f"{row.name!r} is unfinished; `evosearch resume {row.name}` comes first")


def _just_extended(name: str) -> str:
    return f"another driver has just extended {name!r}; run the same command again"


@dataclass(frozen=True)
class SearchSession:
    """One command's dealings with one search: load, hold, replay, train. `row` is None for a new search. `parent`: the
    search whose best it trains again; None: it stands by itself.
    """

    home: Home
    config: RunConfig
    row: SearchRow | None
    options: DriveOptions
    parent: SearchRow | None = None

    def is_done(self, generations: int | None) -> bool:
        """Whether nothing is left to train."""
        return self.row is not None and self.row.state == "done" and not self._extended(generations)

    def plan(self, dataset: Dataset, generations: int | None) -> Plan:
        """The search as the driver runs it."""
        return make_plan(self.config, dataset, self.total(generations), self._reader(dataset))

    def _reader(self, dataset: Dataset) -> FinalReader | None:
        """Of a retraining: how its networks read the test split."""
        strategy = self.config.strategy
        if self.parent is None or not isinstance(strategy, FixedListSettings):
            return None
        sources = tuple(trial.source for trial in strategy.trials)
        # A folder too: a worker that does not find the driver's mark there gets no work.
        shared = self.config.storage.artifacts is not None
        return FinalReader(dataset.test, dataset.classes, self._kept, shared, sources)

    @property
    def to_train(self) -> int:
        """How many of the configured trainings have come to nothing yet."""
        done = 0 if self.row is None else self.row.counts["done"]
        return self.config.strategy.evaluations_in_all - done

    @property
    def checkpointing(self) -> Checkpointing:
        """Which of its trainings leave checkpoints, and where."""
        minutes, listed = self.config.workers.checkpoint_minutes, not self.config.strategy.has_time_limits
        return Checkpointing(f"{self._kept}/checkpoints", minutes, listed)

    def total(self, generations: int | None) -> int | None:
        """Generations in all, where they are others than configured."""
        return generations or (self.row.generations if self.row else None)

    def _extended(self, generations: int | None) -> bool:
        """Whether it is to go on beyond its end: by more generations, a longer list, or with what may succeed now."""
        if self.row is None:
            return False
        if generations is not None and generations > self.row.generations:
            return True
        longer = self.config.strategy.evaluations_in_all > sum(self.row.counts.values())
        again = (kind for kind in map(FailureKind, self.row.failed) if not policy_of(kind).of_itself)
        return self.row.state == "done" and (longer or (self.parent is not None and any(again)))

    def journal_what_changed(self, signals: StopSignals) -> None:
        """Of a search that is done, what may change is journaled too."""
        if self.row is None:
            return
        journaled = config_to_json(
            config_from_json(self.row.configuration)
        )  # keys that came since are in both
        if config_to_json(self.config) != journaled:
            with ExitStack() as stack:
                stack.enter_context(self.hold())
                _keep_backups(self, stack, signals)

    def replayed(self, plan: Plan, logbook: Logbook, generations: int | None) -> DriverState:
        """The search as its journal left it, extended where that is wanted."""
        if begun := self.row or self.parent:
            self._tell_of_other_versions(begun)
        events = (recorded.event for recorded in self.home.journal.replay(self.config.name))
        state = replay(plan, events)
        if self._extended(generations):  # only now: what cannot be replayed is not extended either
            facts = (Extended(self.total(generations) or 1), *retried(plan, state))
            logbook.append(facts)
            state = reduce(partial(evolve, plan), facts, state)
        for picture in (self._curve, self._group_curve):  # it would show fewer generations than there will be
            if picture:
                picture.unlink(missing_ok=True)
        return state

    def _tell_of_other_versions(self, row: SearchRow) -> None:
        changed = [
            f"{package} {row.environment.get(package)} then, {now} now"
            for package, now in versions().items()
            if row.environment.get(package) != now
        ]
        if changed:
            self.options.watcher.note(
                f"other versions than the search began with, so its bits may differ: {'; '.join(changed)}"
            )

    def load(self, *, begun: bool) -> Dataset:
        """The configured data. `begun`: see `load_dataset`."""
        cache = self.home.folder / "cache"
        dataset = load_dataset(self.config.data, env=os.environ, cwd=Path.cwd(), cache=cache, begun=begun)
        for line in dataset.notes:
            self.options.watcher.note(f"data: {line}")
        return dataset

    def check_data(self, dataset: Dataset) -> None:
        """See that they are what the search began with."""
        row = self.parent or self.row
        if row is not None and dataset.key != row.data_key:
            raise SearchConflictError(
                f"the data of {row.name!r} have changed: their hash is {dataset.key} here, "
                f"{row.data_key} in the journal; bring the images back, or take another --name"
            )

    def hold(self, generations: int | None = None) -> Held:
        """Become its driver; to `generations` in all where it is to be extended.

        Raises:
            HeldError: another one has it, or has just extended it; or its best is being trained again while it would be
                extended, or the other way round.
        """
        host, pid, configuration = socket.gethostname(), os.getpid(), config_to_json(self.config)
        started = DriverStarted(host, pid, self.executor, configuration)
        name = self.config.name
        journal, folder, takeover = self.home.journal, self.home.folder_of(name), self.options.takeover
        held = take(
            journal,
            folder,
            name,
            started,
            time.time,
            takeover=takeover,
            onlooker=self.options.onlooker,
            check=self._check_unchanged,
        )
        if self.row is not None and self.home.find_search(name).generations != self.row.generations:
            held.release()  # all that was decided before rests on a search that has since changed
            raise HeldError(_just_extended(name))
        if self.parent is not None or self._extended(generations):
            try:
                self._check_family()
            except BaseException:
                held.release()
                raise
        return held

    def _check_unchanged(self, row: SearchRow) -> None:
        """Another driver may have made its list longer meanwhile, in another way than this one would."""
        known = self.row.configuration if self.row else config_to_json(self.config)
        if row.configuration["strategy"] != known["strategy"]:
            raise HeldError(_just_extended(row.name))

    def _check_family(self) -> None:
        """A retraining rests on a search that does not change; either looks at the other once it is held itself."""
        if self.parent is not None:
            parent = self.home.find_search(self.parent.name)
            check_parent(self.home, parent, self.options.onlooker)
            if parent.generations != self.parent.generations:
                raise HeldError(_just_extended(parent.name))
            return
        for child in self.home.children_of(self.config.name):
            if self.home.is_held(child, self.options.onlooker):
                raise HeldError(
                    f"{child.name!r} is training the best of {self.config.name!r} again; wait until it has ended before "
                    "the search is extended"
                )

    @property
    def executor(self) -> Executor:
        """As asked for, else as last time, at first ray."""
        if self.options.executor is not None:
            return self.options.executor
        return "local" if self.row is not None and self.row.executor == "local" else "ray"

    def create(self, dataset: Dataset, pool: WorkerPool) -> None:
        """Journal a new search; only now that it has workers."""
        environment = {**versions(), "device": pool.device}
        configuration, total = config_to_json(self.config), self.config.strategy.generations
        parent = self.parent.name if self.parent else None
        created = SearchCreated(configuration, dataset.key, environment, total, parent)
        try:
            self.home.journal.create_search(self.config.name, created, time.time())
        except SearchConflictError as error:  # there was none a moment ago
            raise HeldError(
                f"another driver has just begun {self.config.name!r}; run the same command again once it has ended"
            ) from error

    def finished(self, dataset: Dataset) -> Finished:
        """What to print; the curve is drawn here, since a driver may be killed once the search is done."""
        name, journal = self.config.name, self.home.journal
        if self.parent is None:
            self._draw(name, self._curve, lambda file: draw_evolution(name, journal.generations(name), file))
        if "://" not in self.checkpointing.place:  # its driver may have been killed before it cleared them
            self.checkpointing.clear()
        row, place = self.home.find_search(name), artifact_place(self.home, self.config)
        return Finished(row, journal.best(name), len(dataset.classes), self.folder, place)

    def draw_group(self) -> None:
        """Draw the members of its group together, as far as they have come."""
        group, journal = group_of(self.config.name), self.home.journal
        if self._group_curve and len(members := self.home.members_of(group)) > 1:
            bests = {row.name: journal.generations(row.name) for row in members}
            self._draw(group, self._group_curve, lambda file: draw_group(group, bests, file))

    def _draw(self, name: str, file: Path, draw: Callable[[Path], None]) -> None:
        """Draw what is not there yet, and keep it with the files of the search or group `name`."""
        try:
            if not file.exists():
                draw(file)
                store = artifact_store(self.home, self.config)
                if store.is_remote:
                    store.within(name).put(file, file.name)
        except (OSError, CannotRunError) as error:  # a full or read-only disk does not take the result away
            self.options.watcher.note(f"no evolution curve could be drawn: {error}")

    @property
    def folder(self) -> Path:
        """As `artifact_folder`."""
        return artifact_folder(self.home, self.config)

    @property
    def _kept(self) -> str:
        """Where workers leave what they are to keep."""
        store = artifact_store(self.home, self.config)
        return store.within(self.config.name).url if store.is_remote else str(self.folder)

    @property
    def _curve(self) -> Path:
        return self.folder / "evolution.png"

    @property
    def _group_curve(self) -> Path | None:
        """Of a member of a group: where the picture of all lies."""
        alone = self.parent is not None or group_of(self.config.name) == self.config.name
        return None if alone else self.folder.parent / self._curve.name

    def prepare_folder(self) -> None:
        """Find out now, and not after hours of training, whether pictures and weights can be written."""
        try:
            make_folder(self.folder)
            with TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise CannotRunError(
                f"nothing can be written to {self.folder} ({error.strerror}); give storage.artifacts another folder"
            ) from error


def versions() -> dict[str, str]:
    """Of what changes numerics, journaled with a search."""
    packages = ("evosearch", "torch", "torchvision", "ray", "numpy", "pillow", "scikit-learn")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}
