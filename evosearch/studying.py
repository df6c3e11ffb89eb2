"""A study as a command: its steps one after the other, the searches of each side by side, then the final step of all.

Nothing here is a loop of its own: each step is a call of `drive_searches`. Killed anywhere, the same command finds what has
ended, and goes on.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Unpack

from evosearch.beginning import begun, note_all
from evosearch.blueprint import ImageShape
from evosearch.config import (
    Document,
    RunConfig,
    check_new,
    config_from_json,
    config_to_json,
    derive_config,
    differing_keys,
    with_earlier_defaults,
)
from evosearch.data import audit_data, shortcut_on_test
from evosearch.driving import drive_searches
from evosearch.errors import (
    CannotRunError,
    ConfigError,
    EvosearchError,
    InvalidChromosomeError,
    SearchConflictError,
)
from evosearch.listed import TRIALS, begun_with, best_of
from evosearch.providers import DriveOptions, Driving
from evosearch.reports import counted, draw_comparison, study_csv, study_json, study_markdown
from evosearch.retraining import prepare_retraining, publish_again
from evosearch.search import FixedListSettings, ListedTrial
from evosearch.session import SearchSession, artifact_store, at_address, bring_back_lost, configuration_of
from evosearch.storage import ArtifactStore, Home, SearchRow, group_of
from evosearch.studies import (
    EVOLVED,
    ORIGIN,
    AblationStudy,
    BaselinesStudy,
    BatchNormStudy,
    Common,
    ComparisonTable,
    Doubts,
    Ended,
    MemberPlan,
    Spent,
    Step,
    StudySettings,
    StudyTable,
    arm_rows,
    compared,
    hardware_of,
    is_text,
    other_than_default,
    steps_of,
)

DOUBTS = "doubts.json"
"""What a study's own folder has of the audit of its images."""

COMMON = ("seed", "space", "strategy", "training")
"""The keys of a study's file that a member's own configuration may say otherwise."""

GIVEN, NORMALIZE = "given", ("training", "normalize")
"""Beside `COMMON` in a member's journal: which keys the study's file gives though they have their default. This one means
something: networks with given weights are normalised otherwise where nobody says so."""


@dataclass(frozen=True)
class StepProgress:
    """How far a step of a study is."""

    name: str
    """The step's."""
    done: int
    """Members that have ended."""
    total: int | None
    """Members in all; None where that follows from a step that has not ended."""


@dataclass(frozen=True)
class Study:
    """A study in its home: what its members are, as far as that is known yet."""

    home: Home
    """Where its members are kept."""
    config: RunConfig
    """The file's, with the section `study`; its name is the study's."""
    steps: tuple[Step, ...]
    """Of searches."""
    lists: Mapping[str, SearchRow]
    """Of each arm that is a list, by its name, the first of its members that have begun."""
    normalized: bool
    """Whether the file says how images are normalised."""
    source: Document | None = None
    """What the configuration was read from; None: a journal."""

    @property
    def settings(self) -> StudySettings:
        """The section."""
        return section_of(self.config)

    @property
    def known(self) -> tuple[MemberPlan, ...]:
        """The members of the steps that follow from what has ended so far, in the order of the table."""
        found: list[MemberPlan] = []
        for step in self.steps:
            if not all(self.is_done(one) for one in found):
                break
            found += step.members(self.ended(found))
        order = {seed: place for place, seed in enumerate(self.settings.seeds)}
        settings = self.settings
        named = settings.arms if isinstance(settings, AblationStudy) else ()
        arms = list(dict.fromkeys((*named, *(one.arm.name for one in found))))
        return tuple(sorted(found, key=lambda one: (arms.index(one.arm.name), order[one.seed])))

    @property
    def table(self) -> StudyTable:
        """As far as it has come."""
        members = self.known
        rows = arm_rows(self.home, self.config.name, members, self.config.final, self.config.space)
        begun = next(filter(None, (self.home.journal.find(self.name(one)) for one in members)), None)
        return StudyTable(
            self.config.name,
            self.settings.kind,
            rows,
            self.settings.seeds,
            self._budgets(members),
            begun.data_key if begun else "",
            begun.environment if begun else {},
            hardware_of(self.home, map(self.name, members), self.config.final.epochs),
        )

    @property
    def comparison(self) -> ComparisonTable | None:
        """Of the arms that were read; None before any was. Takes a few seconds."""
        return compared(self.home, self.table, self.reference, self.config.seed, self._doubts)

    @property
    def _doubts(self) -> Doubts:
        """What the audit of the images found, as it was kept when the study ended."""
        try:
            return Doubts.of(json.loads(self._store.read_bytes(DOUBTS)))
        except (
            OSError,
            CannotRunError,
            ValueError,
            TypeError,
            KeyError,
        ):  # absent, or broken in whatever way
            return Doubts()

    def keep_doubts(self, options: DriveOptions) -> None:
        """Keep what the audit of the images finds, and what file headers alone reach on the test images: only now, since that
        tells of the test split. What hinders it is a note.
        """
        if self._doubts != Doubts():
            return
        cache = self.home.folder / "cache"
        load = options.providers.load_dataset
        try:
            dataset = load(self.config.data, env=os.environ, cwd=Path.cwd(), cache=cache, begun=True)
            found = Doubts(audit_data(dataset, cache).caveats, shortcut_on_test(dataset))
            self._store.write_bytes(DOUBTS, json.dumps(asdict(found)).encode())
        except (OSError, EvosearchError) as error:
            options.watcher.note(f"the table lacks what the audit of the images would say: {error}")

    @property
    def reference(self) -> str:
        """The arm that the others are held against: what was evolved, else the first; ORIGIN by Adam."""
        match self.settings:
            case BaselinesStudy(entries=entries):
                named = [one.name or one.network for one in entries]
                evolved = [one.name or one.network for one in entries if one.network == EVOLVED]
                return (*evolved, *named)[0]
            case AblationStudy(arms=arms):
                return "eavl" if "eavl" in arms else arms[0]
            case BatchNormStudy(optimizers=optimizers):
                return f"origin-{'adam' if 'adam' in optimizers else optimizers[0]}"

    def _budgets(self, members: Sequence[MemberPlan]) -> tuple[str, ...]:
        counts: dict[str, list[int]] = {}
        for one in members:
            counts.setdefault(one.arm.name, []).append(one.arm.strategy.evaluations_in_all)
        by_arm = {arm: _between(found) for arm, found in counts.items()}
        if len(by_arm) > 1 == len(set(by_arm.values())):
            by_arm = {"every arm": next(iter(by_arm.values()))}
        each = ", ".join(f"{arm} {found}" for arm, found in by_arm.items())
        epochs = counted(self.config.training.epochs, "epoch")
        final = counted(self.config.final.epochs, "epoch")
        return (
            f"of {epochs} each: {each}",
            f"final training: {final}, from {counted(self.final_seeds, 'seed')}",
            f"other than by default, which is the papers' where they say: {', '.join(self._narrowed) or 'nothing'}",
        )

    @property
    def _narrowed(self) -> tuple[str, ...]:
        config = self.config
        shape, default = config.data.image, getattr(config.data, "default_image", config.data.image)
        images = () if shape == default else (f"images {_sides(shape)} ({_sides(default)})",)
        sections = {one: getattr(config, one) for one in ("space", "strategy", "training", "final")}
        return (*images, *other_than_default(sections))

    @property
    def final_seeds(self) -> int:
        """How many final trainings each member has."""
        return self.config.final.seeds

    @property
    def place(self) -> str:
        """Where its table is: a path, or a URL without a password."""
        return self._store.place

    @property
    def _store(self) -> ArtifactStore:
        return artifact_store(self.home, self.config).within(self.config.name)

    def publish(self, options: DriveOptions) -> None:
        """Write the table as `table.md`, `.csv`, `.json` and `.png`; what hinders it is a note, since the journal has it all."""
        table, found = self.table, self.comparison
        texts = {
            "md": study_markdown(table, found),
            "csv": study_csv(found),
            "json": study_json(table, found),
        }
        try:
            for ending, text in texts.items():
                self._store.write_bytes(f"table.{ending}", text.encode())
            if found is not None:
                with TemporaryDirectory(prefix="evosearch-table-") as folder:
                    picture = Path(folder, "table.png")
                    draw_comparison(found, picture)
                    self._store.put(picture, picture.name)
        except (OSError, CannotRunError) as error:
            options.watcher.note(f"no table could be written: {error}")

    @property
    def progress(self) -> tuple[StepProgress, ...]:
        """Of each step, the final one included."""
        known, found = True, list[MemberPlan]()
        told = []
        for step in self.steps:
            if not known:
                told.append(StepProgress(step.name, 0, None))
                continue
            members = step.members(self.ended(found))
            done = sum(map(self.is_done, members))
            told.append(StepProgress(step.name, done, len(members)))
            found += members
            known = done == len(members)
        read = [one for row in self.table.rows for one in row.members if one.is_read or one.failures]
        whole = all(one.total is not None for one in told)
        return (*told, StepProgress("final training", len(read), len(found) if whole else None))

    def name(self, member: MemberPlan) -> str:
        """Of a member's search."""
        return member.name(self.config.name)

    def is_done(self, member: MemberPlan) -> bool:
        """Whether a member's search has ended."""
        row = self.home.journal.find(self.name(member))
        return row is not None and row.state == "done"

    def ended(self, members: Sequence[MemberPlan]) -> Ended:
        """What members that have ended took."""
        return {(one.arm.name, one.seed): self._spent(self.name(one)) for one in members}

    def _spent(self, name: str) -> Spent:
        rows = self.home.journal.evaluations(name)
        first = tuple(row.seconds for row in rows if row.generation == 0 and not row.cached)
        return Spent(sum(row.seconds for row in rows), first)

    def session(self, member: MemberPlan, options: DriveOptions) -> SearchSession:
        """A member's search, new or as it was left; what may change is the study's.

        Raises:
            SearchConflictError: a search of that name is none of its members.
        """
        config = self.configuration(member)
        row = self.home.journal.find(config.name)
        if row is None:
            return self._new(config, member.arm.name, options)
        if not row.configuration.get("study"):
            raise SearchConflictError(
                f"{config.name!r} is a search of its own, whose name a member of the study {self.config.name!r} would have; "
                "take another --name for the study"
            )
        kept = replace(
            configuration_of(row),
            data=config.data,
            workers=config.workers,
            storage=config.storage,
            final=config.final,
        )
        return SearchSession(self.home, at_address(kept, options.address), row, options)

    def _new(self, config: RunConfig, arm: str, options: DriveOptions) -> SearchSession:
        """A member that has not begun; it trains what the arm's members before it do, whatever has become of files since."""
        strategy = begun_with(self.lists[arm], self.home) if arm in self.lists else None
        return begun(
            config if strategy is None else replace(config, strategy=strategy),
            self.home,
            options,
            None,
            key=self._key(arm, config),
            normalized=strategy is not None or self.normalized,
        )

    def _key(self, arm: str, config: RunConfig) -> str:
        """Words for the key that gives an arm its network or its weights, with their place."""
        path: tuple[str | int, ...] = ()
        match self.settings:
            case BaselinesStudy(entries=entries):
                places = {one.name: place for place, one in enumerate(entries) if one.network != EVOLVED}
                path = ("networks", places[arm], "weights") if arm in places else path
            case BatchNormStudy(weights=weights) if isinstance(config.strategy, FixedListSettings):
                file = config.strategy.trials[0].weights
                path = ("weights", weights.index(file)) if file in weights else ("network",)
        if not path:
            return TRIALS
        place = f"{self.source.place(('study', *path))}: " if self.source else ""
        return f"{place}study.{path[0]}"

    def configuration(self, member: MemberPlan) -> RunConfig:
        """Of a member: the study's, with what is its own; the study's own words stand in it."""
        whole, arm = config_to_json(self.config), member.arm
        given = {GIVEN: [".".join(NORMALIZE)]} if self.normalized else {}
        study = replace(self.settings, base={key: whole[key] for key in COMMON} | given)
        return replace(
            self.config,
            name=self.name(member),
            seed=member.seed,
            space=arm.space,
            strategy=arm.strategy,
            training=arm.training,
            study=study,
        )


def _between(counts: Sequence[int]) -> str:
    """Of the members of one arm: they differ where each has the budget that its own seed's evolution paid for."""
    least, most = min(counts), max(counts)
    return counted(most, "evaluation") if least == most else f"{least:,} to {counted(most, 'evaluation')}"


def _sides(image: ImageShape) -> str:
    return f"{image.channels} x {image.height} x {image.width}"


def section_of(config: RunConfig) -> StudySettings:
    """The section `study` of a configuration that has one."""
    if config.study is None:
        raise TypeError(f"{config.name!r} is no study")
    return config.study


def run_study(
    config: RunConfig,
    home: Home,
    *,
    source: Document | None = None,
    **how: Unpack[Driving],
) -> Study:
    """Run a study, or go on with it, to its end: its searches, then the final step of each.

    Args:
        config: the study; its section `study` says which.
        home: where its journal lies.
        source: what `config` was read from, as in `evosearch.api.run`.
        how: as in `evosearch.api.run`.

    Returns: the study, of which every training has ended; some may have failed, which its table says.

    Raises:
        ConfigError: the file is no study's, or its keys do not go together.
        SearchConflictError: the name belongs to another study, to a search or to a group; a network is of a search that is not
            there or unfinished.
        EvosearchError: as `evosearch.api.run`.
    """
    options = DriveOptions.of(**how)
    note_all(source, options)
    bring_back_lost(config, home, options)
    return _driven(begun_study(config, home, source), options)


def batchnorm_of(
    name: str, home: Home, overrides: Sequence[str] = (), called: str | None = None
) -> tuple[RunConfig, Document]:
    """The batch-norm study of the best of the finished search `name`: its configuration with the section `study`.

    Args:
        name: the search.
        home: where its journal lies.
        overrides: as in `evosearch.config.read_config`.
        called: the study's name. None: `NAME-batchnorm`.

    Returns: the configuration, and what was given of it.

    Raises:
        SearchConflictError: there is no such search.
        ConfigError: an override is wrong.
    """
    if members := home.members_of(name):
        raise SearchConflictError(
            f"{name!r} is a group of {counted(len(members), 'member')}; name one, for instance "
            f"`evosearch batchnorm {members[0].name}`"
        )
    values = config_to_json(replace(configuration_of(home.find_search(name)), study=None))
    study = {"kind": "batchnorm", "network": name}
    values |= {"name": called or f"{name.replace('/', '-')}-batchnorm", "study": study}
    return derive_config(values, f"the configuration of {name!r}", overrides)


def resume_study(name: str, home: Home, **how: Unpack[Driving]) -> Study:
    """Go on with the study `name` as it was begun.

    Raises:
        SearchConflictError: there is none.
        EvosearchError: as `run_study`.
    """
    options = DriveOptions.of(**how)
    for row in home.members_of(name)[:1]:
        bring_back_lost(configuration_of(row), home, options)
    return _driven(open_study(name, home), options)


def is_study(name: str, home: Home) -> bool:
    """Whether `name` is a study's: a group whose members say so."""
    return any(row.configuration.get("study") for row in home.members_of(name))


def open_study(name: str, home: Home) -> Study:
    """The study `name` as its members' journals have it.

    Raises:
        SearchConflictError: there is none.
    """
    if not (members := home.members_of(name)):
        home.find_search(name)  # says what there is
    if (journaled := _as_begun(members)) is None:
        raise SearchConflictError(f"{name!r} is no study")
    return _study(home, journaled)


def begun_study(config: RunConfig, home: Home, source: Document | None = None) -> Study:
    """The study `config.name`, new or as it was begun; see `run_study`."""
    if home.journal.find(config.name) is not None:
        raise SearchConflictError(f"{config.name!r} is a single search; take another --name for the study")
    members = home.members_of(config.name)
    if not members:
        check_new(config, source)
        return _study(home, config, source)
    if (journaled := _as_begun(members)) is None:
        raise SearchConflictError(
            f"{config.name!r} is a group of {counted(len(members), 'search')}; take another --name for the study"
        )
    return _study(home, _merged(config, journaled, source))


def _as_begun(members: Sequence[SearchRow]) -> RunConfig | None:
    """The study's configuration, from its members: those of an extension have more seeds or arms than those before; None: they
    are no study's.
    """
    found = [_study_of(row) for row in members if row.configuration.get("study")]
    return max(found, key=lambda one: sum(map(len, _lists(section_of(one)).values())), default=None)


def _lists(study: StudySettings) -> Mapping[str, tuple[object, ...]]:
    """What a study may be extended in, by key."""
    match study:
        case BaselinesStudy():
            return {"seeds": study.seeds, "networks": study.networks}
        case AblationStudy():
            return {"seeds": study.seeds, "arms": study.arms}
        case BatchNormStudy():
            return {"seeds": study.seeds, "optimizers": study.optimizers}


def _study_of(row: SearchRow) -> RunConfig:
    """The study's configuration, from a member's."""
    member = configuration_of(row)
    study = section_of(member)
    base = {key: value for key, value in (study.base or {}).items() if key != GIVEN}
    whole = {**config_to_json(member), **base, "name": group_of(row.name)}
    return replace(config_from_json(whole), study=replace(study, base=None))


def _merged(config: RunConfig, journaled: RunConfig, source: Document | None) -> RunConfig:
    """The journaled study, with what may change taken from `config`; more seeds and more arms extend it."""
    config = with_earlier_defaults(config, journaled, source.places if source else None)
    different = [*differing_keys(config, journaled), *_differing(section_of(config), section_of(journaled))]
    if different:
        raise SearchConflictError(
            f"{config.name!r} is a study of another configuration: {'; '.join(different)}; take these values, or another --name"
        )
    return replace(
        journaled,
        data=config.data,
        workers=config.workers,
        storage=config.storage,
        final=config.final,
        study=config.study,
    )


def _differing(here: StudySettings, journal: StudySettings) -> list[str]:
    if here.kind != journal.kind:
        return [f"study.kind: {here.kind} here, {journal.kind} in the journal"]
    mine, theirs, lists = asdict(here), asdict(journal), _lists(journal)
    longer = {key for key, known in _lists(here).items() if all(one in known for one in lists[key])}
    return [
        f"study.{key}: {_shown(value)} here, {_shown(theirs[key])} in the journal"
        for key, value in mine.items()
        if value != theirs[key] and key not in longer
    ]


def _shown(value: Any) -> str:
    text = str(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _study(home: Home, config: RunConfig, source: Document | None = None) -> Study:
    common = Common(config.strategy, config.space, config.training)
    members = home.members_of(config.name)
    lists = _lists_begun(members)
    normalized = (source is not None and NORMALIZE in source.places) or any(map(_says_normalize, members))
    try:
        steps = steps_of(section_of(config), common, _starts(config, home, lists))
    except (ConfigError, InvalidChromosomeError, SearchConflictError) as error:
        place = f"{source.place(('study',))}: " if source else ""
        raise type(error)(f"{place}{error}") from None
    return Study(home, config, steps, lists, normalized, source)


def _says_normalize(row: SearchRow) -> bool:
    """Whether the file of the study that a member is of said how images are normalised."""
    study = configuration_of(row).study
    given = (study.base or {}).get(GIVEN, ()) if study else ()
    return ".".join(NORMALIZE) in given


def _starts(config: RunConfig, home: Home, lists: Mapping[str, SearchRow]) -> dict[str, ListedTrial]:
    """Of each arm of networks that the study names, what it trains: what a member was begun with, since a search whose best that is
    may have been extended; else the network, or the best of the search.
    """
    match study := section_of(config):
        case BaselinesStudy():
            named = [(one.name or one.network, one.network) for one in study.entries]
            return {
                arm: _start(network, (arm,), "study.networks", home, lists)
                for arm, network in named
                if network != EVOLVED
            }
        case BatchNormStudy(network=None):
            raise ConfigError(
                "study.network is missing; give a chromosome, `C8 B16 P | F32`, or the name of a finished search"
            )
        case BatchNormStudy(network=str(network), optimizers=optimizers):
            arms = [f"{ORIGIN}{ending}-{one}" for ending in ("-pretrained", "") for one in optimizers]
            return {ORIGIN: _start(network, arms, "study.network", home, lists)}
        case _:
            return {}


def _start(
    network: str, arms: Sequence[str], key: str, home: Home, lists: Mapping[str, SearchRow]
) -> ListedTrial:
    """What the first of `arms` that has begun trains; where none has, what `network` says, which `key` gives."""
    for row in (lists[arm] for arm in arms if arm in lists):
        strategy = configuration_of(row).strategy
        if isinstance(strategy, FixedListSettings):
            return ListedTrial(strategy.trials[0].network, weights=strategy.trials[0].weights)
    if is_text(network):
        return ListedTrial(network)
    if home.journal.find(network) is None:
        members = "".join(f"; {one.name} is a member of that group" for one in home.members_of(network)[:1])
        raise ConfigError(
            f"{key} has the network {network!r}, which is no hand-made one, no chromosome, and no search in "
            f"{home.journal.place}{members}"
        )
    text, weights = best_of(network, home, key)
    return ListedTrial(text, weights=weights)


def _lists_begun(members: Sequence[SearchRow]) -> dict[str, SearchRow]:
    """The first member of each arm that is a list, by the arm's name."""
    found: dict[str, SearchRow] = {}
    for row in members:
        if isinstance(configuration_of(row).strategy, FixedListSettings):
            found.setdefault(row.name.partition("/")[2].rpartition("-seed-")[0], row)
    return found


# Driving.


def _driven(study: Study, options: DriveOptions) -> Study:
    done: list[MemberPlan] = []
    for step in study.steps:
        members = step.members(study.ended(done))
        _drive(
            [study.session(one, options) for one in members],
            options,
            f"{study.config.name}: {step.name}, {counted(len(members), 'search')}",
        )
        done += members
    _retrain(study, done, options)
    study.keep_doubts(options)
    study.publish(options)
    return study


def _drive(sessions: Sequence[SearchSession], options: DriveOptions, what: str) -> None:
    """Drive what is left of some searches: lists apart from others where these have time limits, which hold for all."""
    left = [one for one in sessions if not one.is_done(None)]
    if not left and not any(_changed(one) for one in sessions):
        return
    if left:
        options.watcher.note(what)
    workers = sessions[0].config.workers
    limited = workers.soft_seconds is not None or workers.hard_seconds is not None
    kinds = (True, False) if limited else (None,)
    for kind in kinds:
        if some := [one for one in sessions if kind in (None, one.config.strategy.has_time_limits)]:
            drive_searches(some)


def _changed(session: SearchSession) -> bool:
    """Whether something that may change is to be journaled."""
    if session.row is None:
        return True
    journaled = config_to_json(config_from_json(session.row.configuration))
    return config_to_json(session.config) != journaled


def _retrain(study: Study, members: Sequence[MemberPlan], options: DriveOptions) -> None:
    """The final step of every member that found something, side by side."""
    names = [study.name(one) for one in members]
    found = [name for name in names if study.home.journal.best(name) is not None]
    seeds, epochs = range(1, 1 + study.final_seeds), study.config.final.epochs
    prepared = [prepare_retraining(name, study.home, epochs, seeds, options) for name in found]
    if sessions := [one.session for one in prepared if one.session is not None]:
        _drive(
            sessions,
            options,
            f"{study.config.name}: final training, {counted(len(sessions), 'network')} for {counted(epochs, 'epoch')} each",
        )
    for one in prepared:
        if one.session is None:
            publish_again(study.home, one, options)
