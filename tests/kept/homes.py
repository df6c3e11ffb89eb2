"""The homes that older versions wrote, and how this version is asked about them: all that these tests touch of it.

Each folder `homes/NAME` holds `search.yaml`, the journal (`journal.db`, of a server `journal.sql`), and
`expected.json`: what the version that wrote it read in it, and to what ends it brought copies of it. They were written
once, by `make_homes`, and are never written again.
"""

import json
import shutil
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, replace
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
import pytest

from evosearch.data import SearchData
from evosearch.evaluation import (
    UNWATCHED,
    Evaluator,
    FailureKind,
    Measures,
    Progress,
    Result,
    Success,
    Task,
)
from evosearch.genome import Redrawn
from evosearch.runtime import EvaluatorFactory
from evosearch.search import eavl, random_search
from evosearch.storage import Event, Home, TestReading, VerdictReached, open_home
from evosearch.storage.journal.codec import decode
from evosearch.testing import FailingEvaluator, FormulaEvaluator, RaisingEvaluator, Script, Victims
from tests.finished_search import FORMULA
from tests.kept.pictures import draw_pictures

FOLDER = Path(__file__).parent / "homes"


@dataclass(frozen=True)
class Double:
    """What stands in for training in a home: now, as in the first version."""

    script: Script
    evaluator: EvaluatorFactory = FORMULA


_LOSSES = {
    (1, 1): FailureKind.CRASHED,
    (2, 1): FailureKind.OUT_OF_MEMORY,
    (3, 1): FailureKind.OUT_OF_MEMORY,
    (3, 2): FailureKind.OUT_OF_MEMORY,
    (4, 1): FailureKind.WORKER_LOST,
    (5, 1): FailureKind.TIMED_OUT,
    (6, 1): FailureKind.TIMED_OUT,
    (6, 2): FailureKind.TIMED_OUT,
    (12, 1): FailureKind.CRASHED,
    (12, 2): FailureKind.CRASHED,
    (12, 3): FailureKind.CRASHED,
    (15, 1): FailureKind.OUT_OF_MEMORY,
    (17, 1): FailureKind.OUT_OF_MEMORY,
    (18, 1): FailureKind.CRASHED,
    (19, 1): FailureKind.TIMED_OUT,
    (19, 2): FailureKind.TIMED_OUT,
    (22, 1): FailureKind.CRASHED,
}
"""How attempts end in the home `failures`, by candidate and attempt."""

_RAISING = RaisingEvaluator(
    Victims(frozenset({"B11 C7 C5 B6 B10 | F9 F12"})), inner=FormulaEvaluator(classes=10)
)


@dataclass(frozen=True)
class MeasuringEvaluator:
    """The formula, which measures more than the accuracy."""

    inner: FormulaEvaluator = FORMULA

    def __call__(self, data: SearchData, device: str) -> Evaluator:
        return replace(self, inner=self.inner(data, device))

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Result:
        """As the formula, with figures that follow from its fitness."""
        result = self.inner.handle(task, progress)
        if not isinstance(result, Success) or result.fitness is None:
            return result
        fitness = result.fitness
        undefined = "no image of class circle" if fitness < 0.3 else None
        measures = Measures(
            fitness**2, fitness * (2 - fitness), None if undefined else 1 - fitness / 2, undefined
        )
        return replace(result, measures=measures)


DOUBLES: Mapping[str, Double] = {
    "digits": Double(Script(workers=1)),
    "covid_ct": Double(Script(workers=3)),
    "image_folder": Double(Script(workers=2, shuffle=1)),
    "group": Double(Script(workers=2)),
    "extended": Double(Script(workers=2)),
    "stopped": Double(Script(workers=2)),
    "failures": Double(
        Script(workers=2, losses=_LOSSES),
        FailingEvaluator(Victims(every=5), FailureKind.DIVERGED, inner=_RAISING),
    ),
    "retrained": Double(Script(workers=1)),
    "retraining_begun": Double(Script(workers=1)),
    "early": Double(Script(workers=4, shuffle=3)),
    "random": Double(Script(workers=2)),
    "postgres": Double(Script(workers=3, shuffle=2)),
    "bred": Double(Script(workers=3, shuffle=4)),
    "paused": Double(Script(workers=2)),
    "readings": Double(Script(workers=1)),
    "listed": Double(Script(workers=2)),
    "judged": Double(Script(workers=1, processors=("a kind of CPU",)), MeasuringEvaluator()),
    "halted": Double(Script(workers=2, processors=("a kind of CPU", "another")), MeasuringEvaluator()),
    "named": Double(Script(workers=2), MeasuringEvaluator()),
    "weighed": Double(Script(workers=1), MeasuringEvaluator()),
    "unbalanced": Double(Script(workers=2, shuffle=5), MeasuringEvaluator()),
    "patient": Double(Script(workers=2), MeasuringEvaluator()),
    "masked": Double(Script(workers=1)),
    "featured": Double(Script(workers=1)),
    "chosen": Double(Script(workers=2), MeasuringEvaluator()),
}
"""Every kept home."""

SCHEMA_2 = frozenset({"bred", "paused", "readings", "listed"})
"""Those that the last version of journal schema 2 wrote; the first version wrote those of no schema here, in schema 1."""

SCHEMA_3 = frozenset({"judged", "halted", "named"})
"""Those that the last version of journal schema 3 wrote."""

SCHEMA_4 = frozenset({"weighed", "unbalanced", "patient"})
"""Those that the last version of journal schema 4 wrote."""

SCHEMA_5 = frozenset({"masked", "featured", "chosen"})
"""Those that the last version of journal schema 5 wrote."""

ONE_GENERATION = frozenset({"random", "listed", "named", "patient", "featured", "chosen"})
"""Those that no generation can be added to."""

NO_NETWORK = frozenset({"masked", "featured"})
"""Those that look for no network, so that there is none to train again."""


@dataclass(frozen=True)
class KeptHome:
    """A copy of the home `name`, below the working directory; `storage` is the server's URL, None: a file."""

    name: str
    storage: str | None = None

    @property
    def config(self) -> Path:
        """What its search was begun with."""
        return FOLDER / self.name / "search.yaml"

    @property
    def expected(self) -> Mapping[str, Any]:
        """What the first version read in it and made of it; see `make_homes`."""
        return _expected(self.name)

    @property
    def members(self) -> list[str]:
        """Its searches: one, or those of a group."""
        return list(self.expected["sequence"])

    @property
    def was_done(self) -> bool:
        """Whether nothing was left to train when it was kept."""
        status = self.expected["kept"]["status"]
        return all(one["state"] == "done" for one in status.get("members", [status]))

    @property
    def readings(self) -> list[dict[str, Any]]:
        """Of the test split, as they were when it was kept."""
        return [reading for one in self.expected["kept"]["readings"].values() for reading in one]

    def open(self) -> Home:
        """As a command does."""
        return open_home(self.storage, env={}, cwd=Path.cwd(), create=False)

    def command(self, *arguments: str) -> str:
        """What `evosearch ARGUMENTS` prints for it."""
        where = () if self.storage is None else ("--storage", self.storage)
        return command(*arguments, *where)


@cache
def _expected(name: str) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads((FOLDER / name / "expected.json").read_text())
    return document


def unpack(name: str, folder: Path, storage: str | None = None) -> None:
    """Put a copy of the home `name` and its images into `folder`, which is to be the working directory.

    `storage`: URL of an empty database, where the journal is one of a server.
    """
    draw_pictures(folder / "data")
    if storage is None:
        (folder / "runs").mkdir()
        shutil.copy(FOLDER / name / "journal.db", folder / "runs" / "journal.db")
    else:
        with psycopg.connect(storage) as connection:
            connection.execute((FOLDER / name / "journal.sql").read_bytes())


def command(*arguments: str) -> str:
    """What `evosearch ARGUMENTS` prints on standard output; it must end with 0."""
    from evosearch.cli import main

    out, err, ended = StringIO(), StringIO(), None
    with (
        patch.object(sys, "argv", ["evosearch", *arguments]),
        patch.object(sys, "excepthook", sys.excepthook),  # typer puts its own in place
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as error:
            ended = error.code
    assert ended == 0, err.getvalue()
    return out.getvalue()


def record(name: str, kept: KeptHome) -> dict[str, Any]:
    """What can be read of a search or group: `status` and `results` as documents, and of each search its
    generations, as [generation, members, best fitness], and its readings of the test split.
    """
    status = json.loads(kept.command("status", name, "--json"))
    results = json.loads(kept.command("results", name, "--format", "json"))
    with kept.open() as home:
        searches = [member.name for member in home.members_of(name)] or [name]
        generations = {
            one: [(row.generation, row.members, row.best) for row in home.journal.generations(one)]
            for one in searches
        }
        readings = {
            one: [reading_document(reading) for reading in home.journal.test_readings(one)]
            for one in searches
        }
    document = {"status": status, "results": results, "generations": generations, "readings": readings}
    as_json: dict[str, Any] = json.loads(json.dumps(document))
    return as_json


def reading_document(reading: TestReading) -> dict[str, Any]:
    """A reading of the test split as JSON."""
    document: dict[str, Any] = json.loads(json.dumps(asdict(reading)))
    return document


_OF_THE_DRIVER = frozenset({"operators", "operations", "worker", "host", "pid", "configuration"})
"""What an event says beside the search's course."""


def facts(events: Iterable[Event]) -> list[tuple[type[Event], str]]:
    """What events say of the course of a search, whatever their order; verdicts, which follow from them, aside."""
    told = (event for event in events if not isinstance(event, VerdictReached))
    return sorted(
        ((type(event), json.dumps(_course(asdict(event)), sort_keys=True, default=str)) for event in told),
        key=lambda fact: (fact[0].__name__, fact[1]),
    )


def _course(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _course(item) for key, item in value.items() if key not in _OF_THE_DRIVER}
    return [_course(item) for item in value] if isinstance(value, list | tuple) else value


def events_of(end: Mapping[str, Any], name: str) -> list[Event]:
    """The events by which the first version brought the search `name` to this end."""
    return [decode(kind, payload) for kind, payload in end["events"][name]]


def seen(found: Any, expected: Any) -> Any:
    """Of the document `found`, what has a key in `expected`: later versions may tell more."""
    if isinstance(found, dict) and isinstance(expected, dict):
        return {key: seen(value, expected[key]) for key, value in found.items() if key in expected}
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        return [seen(one, other) for one, other in zip(found, expected, strict=True)]
    return found


REWORDED = Redrawn(7, "reworded")


def reword(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on every candidate's operations begin with one that no operator does so."""
    breed, draw = eavl.breed, eavl.draw_feasible

    def bred(*arguments):
        return tuple(replace(child, operations=(REWORDED, *child.operations)) for child in breed(*arguments))

    def drawn(*arguments):
        chromosome, operations = draw(*arguments)
        return chromosome, (REWORDED, *operations)

    monkeypatch.setattr(eavl, "breed", bred)
    monkeypatch.setattr(eavl, "draw_feasible", drawn)
    monkeypatch.setattr(random_search, "draw_feasible", drawn)
    monkeypatch.setattr(
        eavl, "_immigrants", eavl._immigrants.__wrapped__
    )  # what was drawn before is kept there
