"""What each event does to the tables that readers query: pure functions from an event to SQL statements and their parameters.

What every evaluation does is a statement that is made once: to make one, and its key in SQLAlchemy's cache, takes several times
as long as to run it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice, zip_longest
from math import isfinite
from typing import TypeAlias, assert_never

from sqlalchemy import (
    Connection,
    Executable,
    Update,
    bindparam,
    delete,
    exists,
    insert,
    literal,
    select,
    update,
)

from evosearch.evaluation import Candidate, EpochRecord, Failure, Features, Losses, Measure, Success, TrialId
from evosearch.storage.journal.codec import operations_to_json
from evosearch.storage.journal.events import (
    Born,
    Completed,
    Dispatched,
    DriverStarted,
    Event,
    Extended,
    Failed,
    Finished,
    GenerationStarted,
    Interrupted,
    PrecisionResolved,
    ProcessorSeen,
    Recalled,
    Reopened,
    SearchCreated,
    Stopped,
    TestRead,
    TestReadingBegun,
    TestReadingFailed,
    VerdictReached,
)
from evosearch.storage.journal.rows import LiveCurve
from evosearch.storage.journal.tables import evaluations, generations, live, reasons, searches, test_readings

Parameters: TypeAlias = Mapping[str, object]
Statements: TypeAlias = Sequence[tuple[Executable, Parameters]]

MOST = 1000
"""Rows that one statement is run for."""

_TRIAL = ("search", "number", "until")

_BORN = insert(evaluations)
_EVALUATION = update(evaluations).where(*(evaluations.c[name] == bindparam(f"of_{name}") for name in _TRIAL))
_DISPATCHED = _EVALUATION.values(attempts=evaluations.c.attempts + 1)
_FORGOTTEN = delete(live).where(*(live.c[name] == bindparam(f"of_{name}") for name in _TRIAL))
_REPLACED = _FORGOTTEN.where(live.c.epoch > bindparam("known"))


@dataclass(frozen=True, slots=True)
class EventPosition:
    """Where an event is."""

    search: int
    """The id of its search in this journal."""
    sequence: int
    """Its number within the search."""


def bring_up_to_date(connection: Connection, events: Iterable[tuple[Event, EventPosition]]) -> None:
    """Let the reader tables know of `events`, in order; a statement that several in a row want alike is run for all at once."""
    wanted = (one for event, place in events for one in project(event, place))
    for _, alike in groupby(wanted, key=lambda one: (id(one[0]), one[1].keys())):
        while lot := list(islice(alike, MOST)):
            connection.execute(
                lot[0][0], [parameters for _, parameters in lot] if len(lot) > 1 else lot[0][1]
            )


def project(event: Event, place: EventPosition) -> Statements:
    """The statements that bring the reader tables up to date with `event`."""
    match event:
        case SearchCreated():
            return _created(event, place)
        case DriverStarted():
            configured = _search(place).values(configuration=json.dumps(event.configuration))
            return [(configured, {}), *_comes_to(place, "running", "")]
        case GenerationStarted():
            return _generation_started(event, place)
        case VerdictReached():
            return [(_search(place).values(best=event.best), {})]
        case Extended():
            return [(_search(place).values(generations=event.generations, state="running"), {})]
        case Interrupted():
            return _comes_to(place, "interrupted", event.reason)
        case Stopped():
            return _comes_to(place, "failed", event.message)
        case Completed():
            return [(_search(place).values(state="done", message=""), {})]
        case ProcessorSeen():
            return []
        case PrecisionResolved(precision, processor):
            return [(_search(place).values(precision=precision, precision_of=processor), {})]
        case Born() | Dispatched() | Finished() | Recalled() | Failed() | Reopened():
            return _of_trials(event, place)
        case TestReadingBegun() | TestRead() | TestReadingFailed():
            return _of_readings(event, place)
    assert_never(event)


def _of_trials(
    event: Born | Dispatched | Finished | Recalled | Failed | Reopened, place: EventPosition
) -> Statements:
    match event:
        case Born():
            return _born(event, place)
        case Dispatched():
            begun = {"status": "running", "worker": event.worker}
            return [(_DISPATCHED, _of(place, event.trial) | begun)]
        case Finished():
            return _finished(event, place)
        case Recalled():
            return _recalled(event, place)
        case Failed():
            return _failed(event, place)
        case Reopened():
            return _reopened(event, place)
    assert_never(event)


def _of_readings(event: TestReadingBegun | TestRead | TestReadingFailed, place: EventPosition) -> Statements:
    match event:
        case TestReadingBegun():
            return _reading_begun(event, place)
        case TestRead():
            row = test_readings.c.search == place.search, test_readings.c.key == event.key
            values = {
                "metrics": json.dumps(event.metrics),
                "weights": event.weights,
                "test_key": event.test_key or None,
            }
            return [(update(test_readings).where(*row).values(values), {})]
        case TestReadingFailed():
            what = f"reading {event.attempt} on {event.worker}"
            return [(_reason(place, event.trial, what, event.failure), {})]
    assert_never(event)


def _created(event: SearchCreated, place: EventPosition) -> Statements:
    created = _search(place).values(
        state="interrupted",  # nothing drives it yet
        message="",
        configuration=json.dumps(event.configuration),
        environment=json.dumps(event.environment),
        data_key=event.data_key,
        generation=-1,
        generations=event.generations,
        parent=event.parent,
    )
    return [(created, {})]


def _born(event: Born, place: EventPosition) -> Statements:
    candidate, trial = event.candidate, event.trial
    row = {
        "search": place.search,
        "number": trial.number,
        "until": _until(trial.id),
        "candidate": candidate.number,
        "repeat": trial.repeat,
        "generation": candidate.generation,
        "origin": candidate.origin.value,
        "parents": json.dumps(candidate.parents),
        "operators": json.dumps(candidate.words),
        "operations": _operations(candidate),
        "chromosome": str(candidate.subject),
        "status": "waiting",
        "parameters": event.parameters,
        "flops": event.flops,
        "seconds": 0.0,
        "attempts": 0,
        "cached": False,
        "curve": "[]",
    }
    return [(_BORN, row)]


def _operations(candidate: Candidate) -> str | None:
    return None if candidate.operations is None else json.dumps(operations_to_json(candidate.operations))


def _generation_started(event: GenerationStarted, place: EventPosition) -> Statements:
    """A longer list may bring members to the generation that there is."""
    members = json.dumps(event.members)
    old = generations.c.search == place.search, generations.c.generation == event.generation
    row = insert(generations).values(search=place.search, generation=event.generation, members=members)
    reached = _search(place).values(generation=event.generation)
    return [(delete(generations).where(*old), {}), (row, {}), (reached, {})]


def _finished(event: Finished, place: EventPosition) -> Statements:
    came_to: Parameters
    match event.success:
        case Success(curve=curve):
            figures = _figures(event.success, event.measure)
            came_to = {**figures, "curve": _curve(curve)}
        case Losses(losses):
            lowest = min((loss for loss in losses if isfinite(loss)), default=None)
            came_to = {"losses": json.dumps(losses), "loss": lowest}
        case Features(digest, units):
            came_to = {"features": digest, "units": units}
        case _:
            assert_never(event.success)
    trial = _of(place, event.trial)
    done = {"status": "done", "worker": event.worker, "seconds": event.success.seconds}
    return [(_EVALUATION, {**trial, **done, **came_to}), (_FORGOTTEN, trial)]


_OF_OTHERS = ("losses", "loss", "features", "units")
"""The columns of what is no training of a network."""

_FIGURES = ("fitness", "accuracy", "balanced_accuracy", "f1", "auroc")


def _figures(success: Success, measure: Measure) -> Mapping[str, float | None]:
    """The columns of `_FIGURES`."""
    beside = success.measures
    known = () if beside is None else (beside.balanced_accuracy, beside.f1, beside.auroc)
    values = (success.by(measure), success.fitness, *known)
    return dict(zip_longest(_FIGURES, values))


def _recalled(event: Recalled, place: EventPosition) -> Statements:
    twin = evaluations.alias()
    source = TrialId(event.source, event.source_until)
    same = twin.c.number == source.number, twin.c.until == _until(source)
    figures = {
        name: select(twin.c[name]).where(twin.c.search == place.search, *same).scalar_subquery()
        for name in _FIGURES
    }
    known = _EVALUATION.values(**figures, status="done", seconds=0.0, cached=True)
    return [(known, _of(place, event.trial))]


def _failed(event: Failed, place: EventPosition) -> Statements:
    failure, trial = event.failure, _of(place, event.trial)
    ended = {
        "status": "failed" if event.final else "waiting",
        "failure": failure.kind.value if event.final else None,
        "worker": event.worker,
        "seconds": failure.seconds,
        "curve": _curve(failure.curve),
    }
    why = _reason(place, event.trial, f"attempt {event.attempt} on {event.worker}", failure)
    return [(why, {}), (_EVALUATION, trial | ended), (_FORGOTTEN, trial)]


def _reason(place: EventPosition, trial: TrialId, what: str, failure: Failure) -> Executable:
    told = {
        "number": trial.number,
        "until": _until(trial),
        "reason": f"{what}: {failure.kind}: {failure.message}",
    }
    return insert(reasons).values(search=place.search, sequence=place.sequence, **told)


def _reopened(event: Reopened, place: EventPosition) -> Statements:
    again = {"status": "waiting", "failure": None, **dict.fromkeys((*_FIGURES, *_OF_OTHERS))}
    whole = (
        evaluations.c.search == place.search,
        evaluations.c.number.in_(event.numbers),
        evaluations.c.until == 0,
    )
    return [
        (update(evaluations).where(*whole).values(again), {}),
        *((_EVALUATION, _of(place, trial) | again) for trial in event.rungs),
    ]


def _reading_begun(event: TestReadingBegun, place: EventPosition) -> Statements:
    """The first reading of a key stays: a network reads the test split once."""
    trial = None if event.trial is None else event.trial.number
    row = (place.search, event.key, place.sequence, event.number, event.epochs, event.seed, trial)
    names = ("search", "key", "sequence", "number", "epochs", "seed", "trial")
    known = exists().where(test_readings.c.search == place.search, test_readings.c.key == event.key)
    columns = (literal(value, test_readings.c[name].type) for name, value in zip(names, row, strict=True))
    return [(insert(test_readings).from_select(names, select(*columns).where(~known)), {})]


def _comes_to(place: EventPosition, state: str, message: str) -> Statements:
    """What was in flight is abandoned. A search that is done stays so: a driver may hold it to retrain."""
    abandoned = update(evaluations).where(
        evaluations.c.search == place.search, evaluations.c.status == "running"
    )
    changed = _search(place).where(searches.c.state != "done")
    nothing_runs = delete(live).where(live.c.search == place.search)
    comes = changed.values(state=state, message=message)
    return [(abandoned.values(status="waiting"), {}), (comes, {}), (nothing_runs, {})]


def _search(place: EventPosition) -> Update:
    return update(searches).where(searches.c.id == place.search)


def _of(place: EventPosition, trial: TrialId) -> dict[str, object]:
    """The parameters of `_EVALUATION` and its like that say which row is meant."""
    return {"of_search": place.search, "of_number": trial.number, "of_until": _until(trial)}


def show(connection: Connection, search: int, curves: Sequence[LiveCurve]) -> None:
    """Bring the table of trainings under way up to `curves`, of the search of this id."""
    rows = []
    for one in curves:
        trial = {"search": search, "number": one.trial.number, "until": _until(one.trial)}
        connection.execute(_REPLACED, _of(EventPosition(search, 0), one.trial) | {"known": one.known})
        rows += [
            {**trial, "epoch": epoch, "epochs": one.epochs, "loss": record.loss, "accuracy": record.accuracy}
            for epoch, record in enumerate(one.curve[one.known :], one.known + 1)
        ]
    if rows:
        connection.execute(insert(live), rows)


def _until(trial: TrialId) -> int:
    """As it is in a table: a key is never NULL."""
    return 0 if trial.until is None else trial.until


def _curve(curve: Sequence[EpochRecord]) -> str:
    """[loss, accuracy] of each epoch, and the validation loss where it is known."""
    pairs = ([record.loss, record.accuracy] for record in curve)
    losses = ([] if record.validation_loss is None else [record.validation_loss] for record in curve)
    return json.dumps([pair + loss for pair, loss in zip(pairs, losses, strict=True)])
