"""One command's dealings with one search: load, hold, replay, extend, end; `evosearch.driving` drives several side by side."""

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal

from evosearch.blueprint import Problem
from evosearch.config import RunConfig, config_from_json, config_to_json, plugins_of
from evosearch.data import Dataset, first_look
from evosearch.errors import (
    CannotRunError,
    EvosearchError,
    HeldError,
    JournalError,
    PluginError,
    SearchConflictError,
)
from evosearch.evaluation import FailureKind
from evosearch.permissions import make_folder
from evosearch.providers import DriveOptions, Executor
from evosearch.reports import LEARNING, ROC, draw_evolution, draw_group, draw_learning, draw_roc
from evosearch.runtime import (
    FEATURES,
    RULES,
    Checkpointing,
    DriverState,
    Logbook,
    Plan,
    SplitReader,
    StopSignals,
    WorkerPool,
    evolve,
    policy_of,
    replay,
    retried,
)
from evosearch.search import (
    FixedListSettings,
    SearchContext,
    features_of,
    halving_of,
    hand_made_rule,
    measure_of,
    sizes_of,
)
from evosearch.storage import (
    ArtifactStore,
    Backup,
    DriverStarted,
    EvaluationRow,
    Extended,
    Held,
    Home,
    Onlooker,
    SearchCreated,
    SearchRow,
    TestReading,
    bring_back,
    group_of,
    take,
)
from evosearch.studies import (
    FinalReader,
    best_reading,
    check_threshold,
    contenders_name,
    is_published,
    positive_of,
    predictions_of,
    publish_winner,
    repeats_of_readings,
    trained_as,
    winner_of,
)

STARTS = "weights"
"""Folder of a search's own where the weights are that its networks start from."""


@dataclass(frozen=True)
class Finished:
    """A search that is done."""

    row: SearchRow
    """As the journal has it."""
    best: EvaluationRow | None
    """The best candidate; None where none succeeded."""
    classes: int
    """How many the data have."""
    folder: Path
    """Where its curve is on this machine."""
    place: str
    """The path or URL (without a password) where all its files are kept."""
    largest: tuple[str, float] | None = None
    """The class that most validation images are of, and their share of all, 0 to 1; None: not asked for."""
    kept: EvaluationRow | None = None
    """Of a search that keeps features: the trial that did; None where it failed, and of all others."""


WHERE = ("root", "beside", "download", "follow_links")
"""Keys under `data` that say where images are found, and not which."""


def artifact_folder(home: Home, config: RunConfig) -> Path:
    """Where the search's pictures and weights are on this machine: its folder in the home, or below
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


def kept_at(home: Home, config: RunConfig, name: str) -> str:
    """Where workers leave what they are to keep of the search or group `name`: a folder, or the URL of an artifact store."""
    store = artifact_store(home, config)
    return store.within(name).url if store.is_remote else str(Path(store.url) / name)


def make_plan(
    config: RunConfig,
    dataset: Dataset,
    generations: int | None = None,
    reader: SplitReader | None = None,
    starts: str | None = None,
    kept_features: str | None = None,
) -> Plan:
    """The search of `config` on `dataset`, with `generations` in all where an extension made them more; `reader`: of a
    retraining; `starts`: where the weights are that its networks start from; `kept_features`: as in `Plan`.
    """
    strategy = config.strategy if generations is None else config.strategy.with_generations(generations)
    problem = Problem(dataset.for_search().image, len(dataset.classes))
    context = SearchContext(config.space, problem, config.training, config.seed)
    about = (reader, measure_of(strategy), hand_made_rule(strategy), sizes_of(strategy), starts)
    features = (features_of(strategy), kept_features)
    halving = halving_of(strategy)
    return Plan(config.name, strategy.make(context), context, dataset.key, *about, *features, halving)


def bring_back_lost(config: RunConfig, home: Home, options: DriveOptions) -> None:
    """Where the journal is lost or behind, what the artifact store has of the search, or of its group, comes first."""
    store, takeover = artifact_store(home, config), options.takeover
    for line in bring_back(home, store, group_of(config.name), options.onlooker, takeover=takeover):
        options.watcher.note(line)


def at_address(config: RunConfig, address: str | None) -> RunConfig:
    """`config` on the Ray cluster at `address`, where one is given; it is journaled, so a resume goes there too."""
    if address is None:
        return config
    return replace(config, workers=replace(config.workers, address=address))


def device_of(home: Home, row: SearchRow) -> Literal["cpu", "cuda"]:
    """What a search that was begun trains on."""
    found = row.environment.get("device")
    if found == "cpu":
        return "cpu"
    if found == "cuda":
        return "cuda"
    named = "names no device" if found is None else f"names {found!r} as the device"
    raise JournalError(
        f"the journal {home.journal.place} is damaged: it {named} of {row.name!r}; restore it from a copy"
    )


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
    """One command's dealings with one search: load, hold, replay, train."""

    home: Home
    """Where searches are kept."""
    config: RunConfig
    """The search's."""
    row: SearchRow | None
    """As the journal has it; None for a new search."""
    options: DriveOptions
    """How this command runs it."""
    parent: SearchRow | None = None
    """The search whose best it trains again; None: it is by itself."""

    def is_done(self, generations: int | None) -> bool:
        """Whether nothing is left to train."""
        return self.row is not None and self.row.state == "done" and not self._extended(generations)

    def plan(self, dataset: Dataset, generations: int | None) -> Plan:
        """The search as the driver runs it."""
        reader, starts = self._reader(dataset), f"{self._kept}/{STARTS}"
        features = f"{kept_at(self.home, self.config, group_of(self.config.name))}/{FEATURES}"
        return make_plan(self.config, dataset, self.total(generations), reader, starts, features)

    def _reader(self, dataset: Dataset) -> FinalReader | None:
        """Of a retraining: how its networks read the test split."""
        strategy = self.config.strategy
        if self.parent is None or not isinstance(strategy, FixedListSettings):
            return None
        if self.config.name == contenders_name(self.parent.name):  # validation images choose among them
            return None
        # A folder too: a worker that does not find the driver's mark there gets no work.
        shared = self.config.storage.artifacts is not None
        return FinalReader(
            dataset.test,
            dataset.classes,
            self._kept,
            shared,
            strategy.trials,
            dataset.positive,
            measure_of(strategy),
            dataset.test_key,
            dataset.test_parts,
            dataset.train.labels,
            dataset.validation.labels,
        )

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
        if halving_of(self.config.strategy):  # what failed at a rung has no further ones
            longer = self.config.strategy.generations > self.row.generations
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
                self.keep_backups(stack, signals)

    def keep_backups(self, stack: ExitStack, signals: StopSignals) -> Backup | None:
        """Backups from now on: one at once, which says to other machines who drives, and a last one however it ends."""
        backup = Backup.of(
            self.home.journal, artifact_store(self.home, self.config), group_of(self.config.name)
        )

        def save(released: bool) -> None:
            # a process that is to stop has not the time for a slow network
            if self.home.journal.is_lost:  # in its place may be another, which is not to be kept in its name
                return
            if backup and (trouble := backup.save(0.5 if signals.reason() else 30.0, released=released)):
                self.options.watcher.note(trouble)

        stack.callback(save, True)
        save(False)
        return backup

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
        pictures = (self._curve, self._group_curve, self.folder / LEARNING, self.folder / ROC)
        for picture in pictures:  # it would show fewer generations than there will be
            if picture:
                picture.unlink(missing_ok=True)
        return state

    @property
    def _environment(self) -> dict[str, Any]:
        plugins = plugins_of(self.config)
        return {**self.options.providers.versions(), **({PLUGINS: plugins} if plugins else {})}

    def _tell_of_other_versions(self, row: SearchRow) -> None:
        then, now = ({**one, **one.get(PLUGINS, {})} for one in (row.environment, self._environment))
        changed = [
            f"{package} {then.get(package)} then, {version} now"
            for package, version in now.items()
            if package != PLUGINS and then.get(package) != version
        ]
        if changed:
            self.options.watcher.note(
                f"other versions than the search began with, so its bits may differ: {'; '.join(changed)}"
            )

    def load(self, *, begun: bool) -> Dataset:
        """The configured data, of which a search that begins is told the worst. `begun`: see `load_dataset`."""
        cache = self.home.folder / "cache"
        dataset = self.options.providers.load_dataset(
            self.config.data, env=os.environ, cwd=Path.cwd(), cache=cache, begun=begun
        )
        for line in (*dataset.notes, *(() if begun else first_look(dataset, cache))):
            self.options.watcher.note(f"data: {line}")
        return dataset

    def check_data(self, dataset: Dataset) -> None:
        """See that they are what the search began with, or that one can begin with them."""
        row = self.parent or self.row
        if self.row is None or self.parent is not None:
            check_threshold(self.config.final, dataset)
        if row is None:
            self.config.training.check_images(len(dataset.train))
            if (over := features_of(self.config.strategy)) is not None:
                section = "strategy" if self.config.study is None else "study"
                about = (
                    dataset.train.labels,
                    dataset.classes,
                    self.config.training,
                    self.config.seed,
                    section,
                )
                over.check_images(*about)
        elif dataset.key != row.data_key:
            here, journal = (config_to_json(one)["data"] for one in (self.config, configuration_of(row)))
            different = [
                f"data.{key}: {here.get(key)} here, {journal.get(key)} in the journal"
                for key in {**here, **journal}
                if here.get(key) != journal.get(key) and key not in WHERE
            ]
            if different:
                raise SearchConflictError(
                    f"{row.name!r} was begun on other data: {'; '.join(different)}; take these values, or another --name"
                )
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
            self.options.providers.clock,
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
        if row.configuration.get("strategy") != known.get("strategy"):
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
        environment = {**self._environment, "device": pool.device}
        configuration, total = config_to_json(self.config), self.config.strategy.generations
        parent = self.parent.name if self.parent else None
        created = SearchCreated(configuration, dataset.key, environment, total, parent, RULES)
        try:
            self.home.journal.create_search(self.config.name, created, self.options.providers.clock())
        except SearchConflictError as error:  # there was none a moment ago
            raise HeldError(
                f"another driver has just begun {self.config.name!r}; run the same command again once it has ended"
            ) from error

    def finished(self, dataset: Dataset) -> Finished:
        """What to print; the curve is drawn here, since a driver may be killed once the search is done."""
        name, journal = self.config.name, self.home.journal
        if self._has_curve:
            rows, measure = journal.generations(name), measure_of(self.config.strategy)
            halved = halving_of(self.config.strategy) is not None
            self._draw(
                name, self._curve, lambda file: draw_evolution(name, rows, file, measure, halved=halved)
            )
        elif self.parent is not None:
            if not self.is_done(None) or not self._has_winner:  # an older one takes nothing from a newer one
                self.publish_winner(dataset)
            self.draw_final()
        if "://" not in self.checkpointing.place:  # its driver may have been killed before it cleared them
            self.checkpointing.clear()
        row, place = self.home.find_search(name), artifact_place(self.home, self.config)
        kept = None
        if features_of(self.config.strategy) is not None:
            kept = next((one for one in journal.evaluations(name) if one.features is not None), None)
        about = (len(dataset.classes), self.folder, place, dataset.largest_class, kept)
        return Finished(row, journal.best(name), *about)

    def draw_final(self) -> None:
        """Of a retraining: how its networks learned, and the ROC curves of those that have read the test split."""
        name, journal = self.config.name, self.home.journal
        rows = [row for row in journal.evaluations(name, with_curve=True) if row.curve]
        if rows:
            self._draw(name, self.folder / LEARNING, lambda file: draw_learning(name, rows, file))
        repeats = repeats_of_readings(self.config.strategy, self.config.training, self.config.seed)
        ended = [one for one in journal.test_readings(name) if one.metrics is not None]
        try:
            found = {one.key: predictions_of(self.home, one) for one in ended}
        except EvosearchError as error:  # what was read is journaled, and needs no picture
            self.options.watcher.note(f"no ROC curves could be drawn: {error}")
            return
        known = {_seed_of(one, repeats): kept for one in ended if (kept := found[one.key]) is not None}
        if known:
            classes, positive = positive_of(ended[-1].metrics or {})
            self._draw(name, self.folder / ROC, lambda file: draw_roc(name, known, classes, file, positive))

    def draw_group(self) -> None:
        """Draw the members of its group together, as far as they have come; where a strategy is not that of all, as of a list beside
        a search, generations say nothing.
        """
        group, journal = group_of(self.config.name), self.home.journal
        members = self.home.members_of(group)
        strategies = {str(row.configuration.get("strategy", {}).get("name")) for row in members}
        if self._group_curve and len(members) > 1 and len(strategies) == 1:
            bests = {row.name: journal.generations(row.name) for row in members}
            measure = measure_of(self.config.strategy)
            self._draw(group, self._group_curve, lambda file: draw_group(group, bests, file, measure))

    def _draw(self, name: str, file: Path, draw: Callable[[Path], None]) -> None:
        """Draw what is not there yet, and keep it with the files of the search or group `name`."""
        try:
            if not file.exists():
                draw(file)
                store = artifact_store(self.home, self.config)
                if store.is_remote:
                    store.within(name).put(file, file.name)
        except (OSError, CannotRunError) as error:  # a full or read-only disk does not take the result away
            self.options.watcher.note(f"{file.name} could not be drawn: {error}")

    @property
    def _has_winner(self) -> bool:
        """Whether a network of some retraining is published."""
        return self.parent is not None and is_published(
            artifact_store(self.home, self.config).within(self.parent.name)
        )

    @property
    def winner(self) -> TestReading | None:
        """Of a retraining: the reading of the network that it publishes; None where there is none yet."""
        if self.parent is None:
            return None
        journal, name = self.home.journal, self.config.name
        best = winner_of(self.home, self.parent.name)
        readings = [one for one in journal.test_readings(self.parent.name) if one.search == name]
        repeats = repeats_of_readings(self.config.strategy, self.config.training, self.config.seed)
        return best_reading(readings, None if best is None else best.candidate, repeats)

    def publish_winner(self, dataset: Dataset) -> None:
        """Of a retraining that is done: its best network becomes that of its search. Anything that hinders it is a note:
        the readings are journaled, and the same command publishes it later.
        """
        if self.parent is None or (best := self.winner) is None:
            return
        config, name = self.config, self.config.name
        training = trained_as(config.strategy, config.training, config.seed, best)
        known = self.home.precision_of(name)
        training = training.at(known.precision if known else None)
        told = config_to_json(replace(config, training=training))["training"]
        store = artifact_store(self.home, config)
        try:
            child = self.home.find_search(name)
            replaced = publish_winner(
                self.parent, child, best, told, dataset.window, store, neutral_side=dataset.neutral_side
            )
            if replaced is not None:
                self.options.watcher.note(replaced)
        except (OSError, CannotRunError) as error:
            retry = f"`evosearch retrain {self.parent.name}`"
            self.options.watcher.note(
                f"the weights of {name!r} could not be copied to winner.safetensors ({error}); "
                f"{retry} tries again, with other --epochs or --seeds it leaves new ones"
            )

    @property
    def folder(self) -> Path:
        """As `artifact_folder`."""
        return artifact_folder(self.home, self.config)

    @property
    def _kept(self) -> str:
        """Where workers leave what they are to keep."""
        return kept_at(self.home, self.config, self.config.name)

    @property
    def _has_curve(self) -> bool:
        """Whether there is anything to draw: a list within a study is one point, and neither features nor masks have a fitness."""
        listed = self.config.study is not None and isinstance(self.config.strategy, FixedListSettings)
        return self.parent is None and not listed and features_of(self.config.strategy) is None

    @property
    def _curve(self) -> Path:
        return self.folder / "evolution.png"

    @property
    def _group_curve(self) -> Path | None:
        """Of a member of a group: where the picture of all is."""
        alone = self.parent is not None or group_of(self.config.name) == self.config.name
        alone = alone or self.config.study is not None  # whose members are no seeds of one search
        alone = alone or features_of(self.config.strategy) is not None
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


def _seed_of(reading: TestReading, repeats: Mapping[str, int]) -> str:
    """What tells readings of one retraining apart; where candidates or ways of training do, their key."""
    same = [key for key, repeat in repeats.items() if repeat == repeats.get(reading.key)]
    return f"seed {repeats[reading.key]}" if same == [reading.key] else reading.key


PLUGINS = "plugins"
"""Key of a journaled environment: the distributions that the configuration needs besides ours, with their versions."""


def configuration_of(row: SearchRow) -> RunConfig:
    """The journaled configuration of a search that is to be gone on with.

    Raises:
        PluginError: it names a source or a strategy that is not installed here; with the version that it was begun with.
    """
    try:
        return config_from_json(row.configuration)
    except PluginError as error:
        begun = ", ".join(f"{name} {version}" for name, version in row.environment.get(PLUGINS, {}).items())
        raise PluginError(
            f"{row.name!r} cannot go on here: {error}; {f'it was begun with {begun}: install that' if begun else 'install it'}"
        ) from error
