"""A study in its home: its steps, what its members are so far, how far it is, and its table."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from evosearch.beginning import begun
from evosearch.blueprint import ImageShape
from evosearch.config import (
    Document,
    RunConfig,
    config_to_json,
)
from evosearch.data import audit_data, pixels_on_test, shortcut_on_test
from evosearch.errors import (
    CannotRunError,
    EvosearchError,
    SearchConflictError,
)
from evosearch.evaluation import Features, Losses, Masks, parse_subject
from evosearch.listed import TRIALS, begun_with
from evosearch.providers import DriveOptions
from evosearch.reports import counted, draw_comparison, study_csv, study_json, study_markdown
from evosearch.search import FixedListSettings, StrategySettings
from evosearch.session import SearchSession, artifact_store, at_address, configuration_of
from evosearch.storage import ArtifactStore, Home, SearchRow
from evosearch.studies import (
    EVOLVED,
    AblationStudy,
    BaselinesStudy,
    BatchNormStudy,
    ComparisonTable,
    Doubts,
    DropoutStudy,
    Ended,
    MemberPlan,
    Reference,
    Spent,
    Step,
    StudySettings,
    StudyTable,
    arm_rows,
    arms_in_order,
    compared,
    dropout_references,
    hardware_of,
    has_ended,
    once_arm,
    other_than_default,
    own_references,
    references_of,
    search_keys,
    versions_of,
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
        named = arms_in_order(self.settings)
        arms = list(dict.fromkeys((*named, *(one.arm.name for one in found))))
        return tuple(sorted(found, key=lambda one: (arms.index(one.arm.name), order[one.seed])))

    @property
    def table(self) -> StudyTable:
        """As far as it has come."""
        members = self.known
        rows, bases = (
            arm_rows(
                self.home,
                self.config.name,
                [one for one in members if one.arm.is_row == wanted],
                self.config.final,
                None if isinstance(self.settings, DropoutStudy) else self.config.space,
            )
            for wanted in (True, False)
        )
        begun = next(filter(None, (self.home.journal.find(self.name(one)) for one in members)), None)
        return StudyTable(
            self.config.name,
            self.settings.kind,
            rows,
            self.settings.seeds,
            self._budgets(members),
            begun.data_key if begun else "",
            versions_of(self.home, map(self.name, members), self.config.final.epochs),
            hardware_of(self.home, map(self.name, members), self.config.final.epochs),
            bases,
        )

    def comparison(self, table: StudyTable) -> ComparisonTable | None:
        """Of the arms that were read, by the study's `table`; None before any was. Takes a few seconds."""
        arms = [row.arm for row in table.rows]
        reference = {**references_of(arms, self.reference), **own_references(self.settings, arms)}
        return compared(self.home, table, reference, self.config.seed, self._doubts)

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
        """Keep what the audit of the images finds, and what file headers alone and statistics of the pixels alone reach on
        the test images: only now, since that tells of the test split. What hinders it is a note.
        """
        if self._doubts != Doubts():
            return
        cache = self.home.folder / "cache"
        load = options.providers.load_dataset
        try:
            dataset = load(self.config.data, env=os.environ, cwd=Path.cwd(), cache=cache, begun=True)
            caveats = audit_data(dataset, cache).caveats
            found = Doubts(caveats, shortcut_on_test(dataset), pixels_on_test(dataset))
            self._store.write_bytes(DOUBTS, json.dumps(asdict(found)).encode())
        except (OSError, EvosearchError) as error:
            options.watcher.note(f"the table lacks what the audit of the images would say: {error}")

    @property
    def reference(self) -> Reference:
        """The arm that the others are held against: what was evolved, else the first; ORIGIN by Adam, but for
        `own_references`; of each network of a dropout study the rate that was found.
        """
        match self.settings:
            case BaselinesStudy(entries=entries):
                named = [one.name or one.network for one in entries]
                evolved = [one.name or one.network for one in entries if one.network == EVOLVED]
                return (*evolved, *named)[0]
            case AblationStudy(arms=arms):
                return "eavl" if "eavl" in arms else arms[0]
            case BatchNormStudy(optimizers=optimizers):
                return f"origin-{'adam' if 'adam' in optimizers else optimizers[0]}"
            case DropoutStudy() as study:
                return dropout_references(study)

    def _budgets(self, members: Sequence[MemberPlan]) -> tuple[str, ...]:
        counts: dict[str, list[int]] = {}
        for one in (one for one in members if one.arm.is_row):
            counts.setdefault(one.arm.name, []).append(one.arm.strategy.evaluations_in_all)
        by_arm = {arm: _between(found) for arm, found in counts.items()}
        longer = {arm: by_arm[arm] for arm, found in counts.items() if max(found) > 1}
        if longer and isinstance(self.settings, DropoutStudy):  # it has many arms
            by_arm = {**longer, "every other arm": counted(1, "evaluation")}
        if len(by_arm) > 1 == len(set(by_arm.values())):
            by_arm = {"every arm": next(iter(by_arm.values()))}
        each = ", ".join(f"{arm} {found}" for arm, found in by_arm.items())
        epochs = counted(self.config.training.epochs, "epoch")
        final = counted(self.config.final.epochs, "epoch")
        return (
            *self._searched,
            f"of {epochs} each: {each or 'none yet'}",
            f"final training: {final}, from {counted(self.final_seeds, 'seed')}",
            *self._learning_rates,
            f"other than by default, which is the papers' where they say: {', '.join(self._narrowed) or 'nothing'}",
        )

    @property
    def _learning_rates(self) -> tuple[str, ...]:
        """Of the optimizers that a study compares."""
        match self.settings:
            case BatchNormStudy(optimizers=optimizers, learning_rates=rates):
                return (f"learning rates: {', '.join(f'{one} {rates.of(one):g}' for one in optimizers)}",)
            case BaselinesStudy() | AblationStudy() | DropoutStudy():
                return ()

    @property
    def _searched(self) -> tuple[str, ...]:
        """What each search for a rate was allowed."""
        study = self.settings
        if not isinstance(study, DropoutStudy):
            return ()
        return (
            f"masks from each seed: {study.population} and {study.cycle} generations bred of them, of "
            f"{counted(study.mask_epochs, 'epoch')} each on {study.sample:.0%} of the training images",
        )

    @property
    def _narrowed(self) -> tuple[str, ...]:
        config = self.config
        shape, default = config.data.image, getattr(config.data, "default_image", config.data.image)
        images = () if shape == default else (f"images {_sides(shape)} ({_sides(default)})",)
        used = (
            ("training", "final")
            if isinstance(self.settings, DropoutStudy)
            else ("space", "strategy", "training", "final")
        )
        known = self.home.precision_of(config.name)
        sections = {one: getattr(config, one) for one in used}
        sections["training"] = config.training.at(known.precision if known else None)
        return (*images, *other_than_default(sections), *self._narrowed_search)

    @property
    def _narrowed_search(self) -> tuple[str, ...]:
        """The keys of a dropout study's searches that differ from their defaults."""
        study = self.settings
        if not isinstance(study, DropoutStudy):
            return ()
        return other_than_default({"study": replace(DropoutStudy(), **search_keys(study))})

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
        table = self.table
        found = self.comparison(table)
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
        final = len([one for one in found if one.arm.is_row])
        return (*told, StepProgress("final training", len(read), final if whole else None))

    def name(self, member: MemberPlan) -> str:
        """Of a member's search."""
        return member.name(self.config.name)

    def is_done(self, member: MemberPlan) -> bool:
        """Whether a member's search has ended, be it with nothing."""
        return has_ended(self.home.journal.find(self.name(member)))

    def ended(self, members: Sequence[MemberPlan]) -> Ended:
        """What members that have ended took."""
        return {(one.arm.name, one.seed): self._spent(self.name(one)) for one in members}

    def _spent(self, name: str) -> Spent:
        rows = self.home.journal.evaluations(name)
        first = tuple(row.seconds for row in rows if row.generation == 0 and not row.cached)
        return Spent(
            sum(row.seconds for row in rows),
            first,
            tuple(row.seconds for row in rows if row.status == "done" and not row.cached),
            next(
                (
                    Features(row.features, row.units, row.seconds)
                    for row in rows
                    if row.features and row.units
                ),
                None,
            ),
            tuple(
                (row.generation, masks, Losses(row.losses, row.seconds))
                for row in rows
                if row.losses and isinstance(masks := parse_subject(row.chromosome), Masks)
            ),
        )

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
            key=arm_key(self.settings, arm, config.strategy, self.source),
            normalized=strategy is not None or self.normalized,
        )

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


def arm_key(study: StudySettings, arm: str, strategy: StrategySettings, source: Document | None) -> str:
    """Words for the key that gives an arm its network or its weights, with their place."""
    path: tuple[str | int, ...] = ()
    match study:
        case BaselinesStudy(entries=entries):
            places = {one.name: place for place, one in enumerate(entries) if one.network != EVOLVED}
            places |= {once_arm(name): place for name, place in places.items() if name}
            path = ("networks", places[arm], "weights") if arm in places else path
        case BatchNormStudy(weights=weights) if isinstance(strategy, FixedListSettings):
            file = strategy.trials[0].weights
            path = ("weights", weights.index(file)) if file in weights else ("network",)
        case DropoutStudy():
            path = ("networks",)
        case _:
            pass
    if not path:
        return TRIALS
    place = f"{source.place(('study', *path))}: " if source else ""
    return f"{place}study.{path[0]}"


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
