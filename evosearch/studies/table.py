"""What a study's table is made of: for each arm the records of its members, as the journal has them, and their comparison.

A study can be looked at while it runs: compared are the arms of which a network has read the test split.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from evosearch.evaluation import FeaturesOf, FinalSettings, Masks, evaluation_seed, parse_subject
from evosearch.genome import Chromosome, HandMade, Pretrained, SearchSpace, parse_network, weights_of
from evosearch.runtime import ALL_DIVERGED
from evosearch.storage import EvaluationRow, Home, SearchRow, TestReading
from evosearch.studies.comparison import Arm, Reference, references_of
from evosearch.studies.comparison_table import (
    ArmFacts,
    ComparisonTable,
    StudyFacts,
    UnreadArm,
    comparison_table,
    mean_of_known,
    named_seeds,
)
from evosearch.studies.metrics import positive_of
from evosearch.studies.plans import Basis, MemberPlan, member_name
from evosearch.studies.predictions import predictions_of
from evosearch.studies.retraining import final_name, reading_key
from evosearch.studies.settings import DropoutStudy


@dataclass(frozen=True)
class MemberRecord:
    """One arm from one seed."""

    seed: int
    """The search's."""
    search: str
    """Its name."""
    state: str
    """As in `SearchRow`; "waiting" where it has not begun."""
    evaluations: int
    """Which have ended."""
    failures: tuple[str, ...]
    """Why its retraining, or its search where that found nothing, failed; empty: it did not."""
    best: EvaluationRow | None
    """What the search chose; None: nothing yet."""
    seconds: float
    """Of its workers, retrainings included."""
    losses: tuple[tuple[float, ...], ...]
    """Mean training loss of each epoch, of each of `readings`."""
    readings: tuple[TestReading | None, ...]
    """Of the test split, that ended: of each final training that the study asks for, in order; None: not yet. What somebody
    has trained of this member besides is none of them."""
    basis_seconds: float = 0.0
    """Of the workers of the searches that it rests on."""
    rate: float | None = None
    """Of the dropout before the class layer of its best; None: as the network has it."""
    learning_rate: float | None = None
    """Of its best, where the search had several to choose from."""
    test_keys: tuple[str | None, ...] = ()
    """Hash of the test split of each reading of the search and all its retrainings that ended, `readings` and any other; None: not
    known."""

    @property
    def read(self) -> tuple[TestReading, ...]:
        """The readings there are."""
        return tuple(one for one in self.readings if one is not None)

    @property
    def is_read(self) -> bool:
        """Whether every final training that the study asks for has read the test split."""
        return bool(self.readings) and None not in self.readings

    def metric(self, name: str) -> float | None:
        """A figure of its reading, the mean of several; None: not known."""
        found = [(one.metrics or {}).get(name) for one in self.read]
        return mean_of_known([one for one in found if isinstance(one, float | int)])

    @property
    def depth(self) -> int | None:
        """Convolutions and dense layers of a chromosome, whatever it starts from; None of anything else."""
        match None if self.best is None else parse_subject(self.best.chromosome):
            case (Chromosome() as found) | Pretrained(chromosome=found):
                return len(found.convolutions) + len(found.tail)
            case HandMade() | FeaturesOf() | Masks() | None:
                return None


@dataclass(frozen=True)
class ArmRow:
    """One arm: a row of the table."""

    arm: str
    """Its name."""
    members: tuple[MemberRecord, ...]
    """One for each seed."""
    outside: tuple[int, ...] = ()
    """Seeds whose network is less or more deep than the initial space allows."""

    @property
    def read(self) -> tuple[tuple[MemberRecord, TestReading], ...]:
        """Its networks that have read the test split, with their members."""
        return tuple((member, one) for member in self.members for one in member.read)

    def number_of(self, member: MemberRecord, reading: TestReading) -> int:
        """By which a network is paired with those of other arms: the member's seed; of several final trainings a number that
        says which member and which of them, 302 for the second of seed 3.
        """
        return _numbered(member.seed, member.readings.index(reading) + 1, len(member.readings))

    @property
    def failed(self) -> bool:
        """Whether nothing of it was read, nor ever will be."""
        return not self.read and all(one.failures for one in self.members)

    @property
    def seconds(self) -> float:
        """Of its workers, and of those of the searches that it rests on."""
        return sum(one.seconds + one.basis_seconds for one in self.members)

    @property
    def failure(self) -> str | None:
        """Which seeds failed and why the last of them did, in a phrase; None: none."""
        failed = [one for one in self.members if one.failures]
        if not failed:
            return None
        return f"failed ({named_seeds([one.seed for one in failed])}): {failed[0].failures[-1]}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know of it, a phrase each."""
        told = []
        if self.outside:
            told.append(f"depth outside of the initial range ({named_seeds(self.outside)})")
        if rates := [one.learning_rate for one in self.members if one.learning_rate is not None]:
            told.append(f"learning rate, chosen on validation: {', '.join(f'{one:g}' for one in rates)}")
        if self.failure:
            told.append(self.failure)
        if seeds := [one.seed for one in self.members if not one.failures and not one.is_read]:
            told.append(f"unfinished ({named_seeds(seeds)})")
        return tuple(told)


@dataclass(frozen=True)
class StudyTable:
    """A study as far as it has come."""

    name: str
    """The study's."""
    kind: str
    """Which study."""
    rows: tuple[ArmRow, ...]
    """In the study's order."""
    seeds: tuple[int, ...]
    """Of the members."""
    budgets: tuple[str, ...]
    """What each arm was allowed, a phrase each."""
    data_key: str
    """Hash of the images and their splits; empty before the first member has begun."""
    versions: tuple[tuple[str, str], ...]
    """Of what all members computed with: name and version, several where they differ."""
    hardware: tuple[str, ...] = ()
    """Of the workers of all members, each kind once, sorted."""
    bases: tuple[ArmRow, ...] = ()
    """The searches that rows rest on, which are none themselves."""

    @property
    def finished(self) -> bool:
        """Whether every member was read, or failed."""
        read = all(one.is_read or one.failures for row in self.rows for one in row.members)
        return read and all(one.state == "done" or one.failures for row in self.bases for one in row.members)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the searches of which something failed."""
        return tuple(one.search for row in (*self.bases, *self.rows) for one in row.members if one.failures)

    @property
    def seconds(self) -> float:
        """Of all workers."""
        return sum(one.seconds for row in (*self.bases, *self.rows) for one in row.members)

    @property
    def has_rates(self) -> bool:
        """Whether its arms differ by the rate of dropout."""
        return self.kind == DropoutStudy.kind

    @property
    def fingerprint(self) -> str:
        """Equal where the same networks gave the same figures, whatever that took: 16 hexadecimal digits."""
        told = [
            [
                row.arm,
                one.seed,
                one.best and one.best.chromosome,
                one.best and one.best.fitness,
                *([one.rate] if self.has_rates else []),
                *_read(one),
            ]
            for row in self.rows
            for one in row.members
        ]
        return hashlib.sha256(json.dumps([self.data_key, told]).encode()).hexdigest()[:16]


def _read(member: MemberRecord) -> list[Any]:
    figures = ("accuracy", "f1", "auroc", "confusion", "validation_accuracy")
    return [[one.key, [(one.metrics or {}).get(key) for key in figures]] for one in member.read]


def arm_rows(
    home: Home, study: str, members: Sequence[MemberPlan], final: FinalSettings, space: SearchSpace | None
) -> tuple[ArmRow, ...]:
    """The rows of a study, in the order of its members.

    Args:
        home: where they are.
        study: its name.
        members: those that are known.
        final: the final trainings that are asked for.
        space: the initial one, that depths are measured by; None: no network of the study was drawn from it.
    """
    arms: dict[str, list[MemberRecord]] = {}
    for one in members:
        record = member_record(home, one.name(study), one.seed, final if one.arm.is_row else None)
        bases = sum(_basis_seconds(home, study, basis, one.seed) for basis in one.arm.bases)
        arms.setdefault(one.arm.name, []).append(replace(record, basis_seconds=bases))
    return tuple(ArmRow(arm, tuple(found), _outside(found, space)) for arm, found in arms.items())


def _basis_seconds(home: Home, study: str, basis: Basis, seed: int) -> float:
    name = member_name(study, basis.arm, seed)
    rows = home.journal.evaluations(name) if home.journal.find(name) else ()
    return sum(row.seconds for row in rows if row.generation == 0 or not basis.first)


def hardware_of(home: Home, names: Iterable[str], epochs: int) -> tuple[str, ...]:
    """What the members `names` and their retrainings for `epochs` computed on, each kind once, sorted; the kind of device where no
    worker said more, as in journals before workers did.
    """
    rows = _rows_of(home, names, epochs)
    seen = {one for row in rows for one in home.journal.processors(row.name)}
    return tuple(sorted(seen or {str(one) for row in rows if (one := row.environment.get("device"))}))


def versions_of(home: Home, names: Iterable[str], epochs: int) -> tuple[tuple[str, str], ...]:
    """What the members `names` and their retrainings for `epochs` began with: name and version, and where some began with another
    one, all of them.
    """
    found: dict[str, list[str]] = {}
    for row in _rows_of(home, names, epochs):
        for name, version in row.environment.items():
            if name != "device" and str(version) not in found.setdefault(name, []):
                found[name].append(str(version))
    return tuple((name, " and ".join(versions)) for name, versions in found.items())


def _rows_of(home: Home, names: Iterable[str], epochs: int) -> list[SearchRow]:
    each = (name for one in names for name in (one, final_name(one, epochs)))
    return [row for name in each if (row := home.journal.find(name)) is not None]


def _outside(members: Sequence[MemberRecord], space: SearchSpace | None) -> tuple[int, ...]:
    if space is None:
        return ()
    least, most = (space.convolutions[end] + space.dense[end] for end in (0, 1))
    return tuple(one.seed for one in members if one.depth is not None and not least <= one.depth <= most)


def is_over(row: SearchRow) -> bool:
    """Whether a search stopped since all of its first generation diverged: trained again it would do so again."""
    return row.state == "failed" and row.message.startswith(ALL_DIVERGED)


def found_nothing(row: SearchRow) -> bool:
    """Whether a search stopped of which nothing can be trained again: all of its first generation diverged, whatever became of
    the next one's immigrants that were trained early, or no training in it succeeded.
    """
    return is_over(row) or (row.state == "failed" and not row.counts["done"])


def has_ended(row: SearchRow | None) -> bool:
    """Whether a search is done, or stopped with nothing; None: it has not begun."""
    return row is not None and (row.state == "done" or found_nothing(row))


def _reason(row: SearchRow) -> str:
    """Why a search stopped that found nothing."""
    if not is_over(row):
        return row.message
    return f"every training{' of the first generation' if row.generations > 1 else ''} diverged"


def member_record(home: Home, name: str, seed: int, final: FinalSettings | None) -> MemberRecord:
    """What the journal knows of the member `name`, and of its retrainings as `final` asks for them; None: for none."""
    journal = home.journal
    row = journal.find(name)
    if row is None:
        return MemberRecord(seed, name, "waiting", 0, (), None, 0.0, (), ())
    searched = journal.evaluations(name)
    best = None if final is None or found_nothing(row) else journal.best(name)
    keys = () if best is None or final is None else _wanted(best, final, seed)
    child = None if final is None else journal.find(final_name(name, final.epochs))
    retrained = {} if child is None else _retrained(home, child, seed, keys)
    read = {one.key: one for one in journal.test_readings(name) if one.metrics is not None}
    failed = [*retrained.values()] if best is not None else searched if row.state == "done" else []
    stopped = [one for one in (row, child) if one is not None and found_nothing(one)]
    return MemberRecord(
        seed=seed,
        search=name,
        state=row.state,
        evaluations=sum(one.status in ("done", "failed") for one in searched),
        failures=(
            *(one.reasons[-1] for one in failed if one.status == "failed" and one.reasons),
            *map(_reason, stopped),
        ),
        best=best,
        seconds=sum(one.seconds for one in (*searched, *retrained.values())),
        losses=tuple(
            tuple(loss for loss, *_ in retrained[key].curve or ()) if key in retrained else () for key in keys
        ),
        readings=tuple(read.get(key) for key in keys),
        rate=None if best is None else _rate(row, best),
        learning_rate=None if best is None else _learning_rate(row, best),
        test_keys=tuple(one.test_key for one in read.values()),
    )


def _rate(row: SearchRow, best: EvaluationRow) -> float | None:
    """Of the dropout before the class layer in what a search found, as its trial or the search says."""
    trials = row.configuration["strategy"].get("trials")
    settings = trials[best.number].get("settings") if trials else None
    rate: float | None = (settings or row.configuration["training"]).get("class_dropout")
    return rate


def _learning_rate(row: SearchRow, best: EvaluationRow) -> float | None:
    """Of what a search found, where its trials differ by it."""
    trials = row.configuration["strategy"].get("trials") or ()
    rates: list[float | None] = [
        (one.get("settings") or row.configuration["training"]).get("learning_rate") for one in trials
    ]
    return rates[best.number] if len(set(rates)) > 1 else None


def _wanted(best: EvaluationRow, final: FinalSettings, seed: int) -> tuple[str, ...]:
    """Of the readings by each final training of the best, the keys."""
    network = parse_network(best.chromosome)
    return tuple(
        reading_key(
            best.candidate,
            final.epochs,
            evaluation_seed(seed, network.key, repeat),
            final.fit,
            final.patience,
            weights_of(network),
            final.threshold,
            final.positive_share,
        )
        for repeat in range(1, final.seeds + 1)
    )


def _retrained(home: Home, child: SearchRow, seed: int, keys: Sequence[str]) -> dict[str, EvaluationRow]:
    """The trainings of the retraining `child` that `keys` are of, by key."""
    listed, found = child.configuration["strategy"]["trials"], {}
    for one in home.journal.evaluations(child.name, with_curve=True):
        trial = listed[one.number]
        how = trial.get("settings") or child.configuration["training"]
        network = parse_network(one.chromosome)
        key = reading_key(
            trial.get("source") or 0,
            how["epochs"],
            evaluation_seed(seed, network.key, trial.get("repeat", 0)),
            how.get("fit", "train"),
            how.get("patience"),
            weights_of(network),
            trial.get("threshold", "half"),
            trial.get("positive_share"),
        )
        if key in keys:
            found[key] = one
    return found


@dataclass(frozen=True)
class Doubts:
    """What the audit of a study's images found."""

    caveats: tuple[str, ...] = ()
    """A line each."""
    shortcut: float | None = None
    """Accuracy that file headers alone reach on the test images; None: not measured, or images are no files."""
    pixels: float | None = None
    """Accuracy that ten statistics of the pixels alone reach on them; None: not measured, as in versions that knew none."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From its JSON form."""
        return cls(tuple(map(str, document["caveats"])), document["shortcut"], document.get("pixels"))


def compared(
    home: Home, table: StudyTable, reference: Reference, seed: int, doubts: Doubts
) -> ComparisonTable | None:
    """The arms of a study against each other, by what their networks answered to each test image; None before any did.

    Args:
        home: where they are.
        table: what the journal knows of them.
        reference: the arm that the others are held against, or that of each; where it was not read yet, the first that was, and
            where it failed, none.
        seed: the study's, which the bootstrap draws from.
        doubts: what the audit of the images found.

    Raises:
        SearchConflictError: they were read on different test splits.
    """
    found = [(row, arm) for row in table.rows if (arm := _answers(home, row)) is not None]
    if not found:
        return None
    unread = [row for row in table.rows if not row.read]
    failed = [UnreadArm(row.arm, True, (row.failure,)) for row in table.bases if row.failure]
    test_key = found[0][1].test_key
    tested = [key for row in table.rows for member in row.members for key in member.test_keys]
    known = next(one.metrics for row, _ in found for _, one in row.read if one.metrics is not None)
    classes, positive = positive_of(known)
    facts = StudyFacts(
        name=table.name,
        kind=table.kind,
        classes=classes,
        positive=positive,
        budgets=table.budgets,
        data_key=table.data_key,
        test_key=test_key,
        test_readings=tested.count(test_key),
        versions=table.versions,
        hardware=table.hardware,
        worker_seconds=table.seconds,
        shortcut=doubts.shortcut,
        pixels=doubts.pixels,
        caveats=doubts.caveats,
        numbering=_numbering(table.rows),
    )
    return comparison_table(
        [arm for _, arm in found],
        _references(table, reference),
        seed,
        facts,
        {arm.name: _facts_of(row, table.has_rates) for row, arm in found},
        unread=[*(UnreadArm(row.arm, row.failed, row.notes) for row in unread), *failed],
    )


def _references(table: StudyTable, reference: Reference) -> dict[str, str]:
    """For each arm what it is held against: its reference, also where that failed, or never came to be since what it rests on did;
    while it was not read yet, the first that was of those with the same one.
    """
    wanted = references_of([row.arm for row in table.rows], reference)
    waiting = {row.arm for row in table.rows if not row.read and not row.failed}
    read = [row.arm for row in table.rows if row.read]
    first = {one: next((arm for arm in read if wanted[arm] == one), one) for one in wanted.values()}
    return {arm: first[one] if one in waiting else one for arm, one in wanted.items()}


def _numbered(seed: int, training: int, trainings: int) -> int:
    """The number of one of the final trainings, from 1, of the search from `seed`."""
    return seed if trainings == 1 else (100 if trainings < 100 else 10_000) * seed + training


def _numbering(rows: Sequence[ArmRow]) -> str:
    """What is said of the numbers of networks where they are not the seeds of their searches."""
    trainings = max(len(member.readings) for row in rows for member in row.members)
    if trainings == 1:
        return ""
    return f"{_numbered(3, 2, trainings)} would be the second final training of the search from seed 3"


def _answers(home: Home, row: ArmRow) -> Arm | None:
    """What the networks of an arm answered; None where none has, or journals before schema 4 did not keep it."""
    read = [(member, one, predictions_of(home, one)) for member, one in row.read]
    kept = [(member, one, answers) for member, one, answers in read if answers is not None]
    if not kept:
        return None
    first = kept[0][2]
    return Arm(
        name=row.arm,
        seeds=tuple(row.number_of(member, one) for member, one, _ in kept),
        labels=first.labels,
        predicted=np.stack([answers.predicted for *_, answers in kept]),
        probabilities=np.stack([answers.probabilities for *_, answers in kept]),
        test_key=first.test_key,
        searches=tuple(member.seed for member, *_ in kept),
        believed=tuple(member.best.accuracy if member.best else None for member, *_ in kept),
        validation=tuple((one.metrics or {}).get("validation_accuracy") for _, one, _ in kept),
    )


def _facts_of(row: ArmRow, with_rates: bool) -> ArmFacts:
    members = [member for member, _ in row.read]
    bests = [member.best for member in members]
    thresholds = tuple((one.metrics or {}).get("threshold") for _, one in row.read)
    return ArmFacts(
        networks=tuple(one.chromosome if one else None for one in bests),
        parameters=tuple(one.parameters if one else None for one in bests),
        flops=tuple(one.flops if one else None for one in bests),
        depth=tuple(one.depth for one in members),
        worker_seconds=row.seconds,
        losses=tuple(member.losses[member.readings.index(one)] for member, one in row.read),
        readings=tuple(one.place for _, one in row.read),
        notes=row.notes,
        rates=tuple(one.rate for one in members) if with_rates else (),
        thresholds=thresholds if set(thresholds) - {None} else (),
    )
