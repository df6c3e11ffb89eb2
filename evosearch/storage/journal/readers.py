"""Queries for readers: from the reader tables to rows."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from statistics import fmean
from typing import Any, cast, get_args

import numpy as np
from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from evosearch.evaluation import Origin, Precision
from evosearch.storage.journal.codec import shallow
from evosearch.storage.journal.events import ProcessorSeen, TestRead
from evosearch.storage.journal.rows import (
    EvaluationRow,
    EvaluationStatus,
    GenerationRow,
    Heartbeat,
    LiveRow,
    SearchRow,
    TestReading,
)
from evosearch.storage.journal.tables import (
    drivers,
    evaluations,
    events,
    generations,
    live,
    reasons,
    searches,
    test_readings,
)

STATUSES: tuple[EvaluationStatus, ...] = ("waiting", "running", "done", "failed")


def search_rows(connection: Connection, *conditions: ColumnElement[bool]) -> tuple[SearchRow, ...]:
    """The searches that fulfil `conditions` on the table `searches`, in order of creation."""
    query = select(searches).where(*conditions).order_by(searches.c.id)
    return tuple(_search_row(connection, row) for row in connection.execute(query).all())


def _search_row(connection: Connection, row: Row[Any]) -> SearchRow:
    driven = connection.execute(
        select(drivers).where(drivers.c.search == row.id).order_by(drivers.c.term)
    ).all()
    newest = driven[-1] if driven else None
    counts, failed, recalled, at_rungs = _counts(connection, row.id)
    candidates, repeated = _candidates(connection, row.id)
    return SearchRow(
        name=row.name,
        state=row.state,
        configuration=_object(row.configuration),
        environment=_environment(row.environment),
        data_key=row.data_key,
        executor=newest.executor if newest else "",
        term=row.term,
        heartbeat=_finite(newest.last if newest else row.created),
        seconds=_finite(sum(max(0.0, one.last - one.started) for one in driven if one.purpose == "search")),
        generation=row.generation,
        generations=row.generations,
        counts=counts,
        failed=failed,
        recalled=recalled,
        at_rungs=at_rungs,
        candidates=candidates,
        repeated=repeated,
        message=row.message,
        host=newest.host if newest else None,
        pid=newest.pid if newest else None,
        parent=row.parent,
        precision=_precision(row.precision),
        precision_of=row.precision_of or "",
    )


def precision_of(connection: Connection, condition: ColumnElement[bool]) -> tuple[Precision, str] | None:
    """What the first search that meets `condition` and knows it means by `auto`, and the processor it was decided by."""
    decided = select(searches.c.precision, searches.c.precision_of).where(condition)
    row = connection.execute(decided.where(searches.c.precision.is_not(None)).order_by(searches.c.id)).first()
    found = None if row is None else _precision(row.precision)
    return None if row is None or found is None else (found, row.precision_of or "")


def _precision(text: str | None) -> Precision | None:
    if text is not None and text not in get_args(Precision):
        raise ValueError(f"{text[:40]!r} is no precision")
    return cast("Precision | None", text)


def _object(text: str) -> dict[str, Any]:
    """A JSON object that can be shown and written again.

    Raises:
        ValueError: the text is something else; who reads a journal says then that it is damaged, as for all that is raised here.
    """
    found = shallow(json.loads(text))
    if not isinstance(found, dict):
        raise ValueError(f"{text[:40]!r} is no JSON object")
    return found


def _environment(text: str) -> dict[str, Any]:
    """Versions and the like, and those of plugins."""
    found = _object(text)
    for value in found.values():
        if isinstance(value, float):
            _finite(value)
    if not isinstance(found.get("plugins", {}), dict):
        raise ValueError(f"plugins are {found['plugins']!r}")
    return found


def _finite(value: float) -> float:
    if not isfinite(value):
        raise ValueError(f"{value} is where a number was")
    return value


_NUMBERS = ("fitness", "seconds", "accuracy", "balanced_accuracy", "f1", "auroc", "loss")


def heartbeats(connection: Connection) -> dict[str, Heartbeat]:
    """The last heartbeat of every search's driver; of a journal of any schema."""
    driver = (drivers.c.search == searches.c.id) & (drivers.c.term == searches.c.term)
    query = select(searches.c.name, searches.c.term, searches.c.sequence, drivers.c.last)
    found = connection.execute(query.select_from(searches.outerjoin(drivers, driver)))
    return {name: Heartbeat(*rest) for name, *rest in found}


def process(connection: Connection, name: str) -> tuple[str, int]:
    """Host and number of the process that drove a search last; of a journal of any schema."""
    columns = drivers.c.host, drivers.c.pid
    query = select(*columns).join(searches).where(searches.c.name == name).order_by(drivers.c.term.desc())
    host, pid = connection.execute(query.limit(1)).one()
    return host, pid


def _counts(
    connection: Connection, search: int
) -> tuple[dict[EvaluationStatus, int], dict[str, int], int, int]:
    """By status, failed ones by kind, how many that are done were recalled, and of the others how many came to a rung only."""
    counts, recalled, at_rungs = dict.fromkeys(STATUSES, 0), 0, 0
    failed: dict[str, int] = {}
    columns = evaluations.c.status, evaluations.c.failure, evaluations.c.cached, evaluations.c.until
    query = select(*columns, func.count()).where(evaluations.c.search == search).group_by(*columns)
    for status, kind, cached, until, count in connection.execute(query):
        counts[status] += count
        recalled += count if cached and status == "done" else 0
        at_rungs += count if until and not cached and status == "done" else 0
        if kind is not None:
            failed[kind] = failed.get(kind, 0) + count
    return counts, failed, recalled, at_rungs


def _candidates(connection: Connection, search: int) -> tuple[int, int]:
    """How many candidates there are, and how many further trainings of some that are done and were no copies."""
    own = evaluations.c.search == search
    born = select(func.count(func.distinct(evaluations.c.candidate))).where(own)
    done = evaluations.c.status == "done", evaluations.c.cached.is_(False), evaluations.c.repeat > 0
    again = select(func.count()).where(own, *done, evaluations.c.origin != Origin.LISTED.value)
    return connection.execute(born).scalar_one(), connection.execute(again).scalar_one()


def evaluation_rows(connection: Connection, search: int, *, with_curve: bool) -> tuple[EvaluationRow, ...]:
    """Every candidate of a search, by number."""
    columns = [column for column in evaluations.c if with_curve or column is not evaluations.c.curve]
    query = (
        select(*columns)
        .where(evaluations.c.search == search)
        .order_by(
            evaluations.c.number, evaluations.c.until == 0, evaluations.c.until
        )  # rung after rung, the end last
    )
    told = _reasons(connection, search)
    return tuple(_evaluation_row(row, told) for row in connection.execute(query))


def best_row(connection: Connection, search: int) -> EvaluationRow | None:
    """The best candidate by the newest verdict, of its whole trainings the fittest, or the one of the lowest loss where masks are trained;
    without a verdict, as in journals of the first version, the highest fitness, of equals the lowest number. Of a candidate that a
    search trained again it is the first training, with the mean fitness of all.
    """
    verdict = connection.execute(select(searches.c.best).where(searches.c.id == search)).scalar_one()
    known = or_(evaluations.c.fitness.is_not(None), evaluations.c.loss.is_not(None)), evaluations.c.until == 0
    query = select(evaluations).where(evaluations.c.search == search, *known)
    if verdict is not None:
        query = query.where(evaluations.c.candidate == verdict)
    order = evaluations.c.fitness.desc(), evaluations.c.loss, evaluations.c.number
    row = connection.execute(query.order_by(*order).limit(1)).one_or_none()
    if row is None:
        return None
    several = connection.execute(query.where(evaluations.c.candidate == row.candidate)).all()
    first = [one for one in several if one.repeat == 0]
    again = len(first) == 1 < len(several)  # a list's trainings all have a repeat, or none has
    row = first[0] if again else row
    found = _evaluation_row(row, _reasons(connection, search, reasons.c.number == row.number))
    if not again:
        return found
    return replace(found, fitness=fmean(one.fitness for one in several), trainings=len(several))


def _reasons(
    connection: Connection, search: int, *conditions: ColumnElement[bool]
) -> Mapping[tuple[int, int], Sequence[str]]:
    """By number and `until`."""
    query = select(reasons.c.number, reasons.c.until, reasons.c.reason).where(
        reasons.c.search == search, *conditions
    )
    told: dict[tuple[int, int], list[str]] = defaultdict(list)
    for number, until, reason in connection.execute(query.order_by(reasons.c.sequence)):
        told[number, until].append(reason)
    return told


def _evaluation_row(row: Row[Any], told: Mapping[tuple[int, int], Sequence[str]]) -> EvaluationRow:
    plain = row._asdict()
    del plain["search"]
    for name in _NUMBERS:
        if plain[name] is not None:
            _finite(plain[name])
    curve = [_epoch(*figures) for figures in json.loads(plain.pop("curve", "[]"))]
    losses = tuple(loss for *_, loss in curve)
    own = told.get((row.number, row.until), ())
    return EvaluationRow(
        **plain
        | {
            "origin": Origin(plain["origin"]),
            "parents": tuple(json.loads(plain["parents"])),
            "operators": tuple(json.loads(plain["operators"])),
            "reasons": (*own, *_abandoned(row, own)),
            "curve": tuple((loss, accuracy) for loss, accuracy, _ in curve),
            "validation_losses": () if set(losses) == {None} else losses,
            "operations": plain["operations"] and tuple(json.loads(plain["operations"])),
            "losses": tuple(map(float, json.loads(plain["losses"] or "[]"))),
        }
    )


def _epoch(
    loss: float, accuracy: float | None, validation_loss: float | None = None
) -> tuple[float, float | None, float | None]:
    """Its loss, accuracy and validation loss."""
    known = None if validation_loss is None else float(validation_loss)
    return float(loss), None if accuracy is None else float(accuracy), known


def _abandoned(row: Row[Any], told: Sequence[str]) -> list[str]:
    """A line for each attempt whose driver ended before it did: no event holds it, so it is counted."""
    succeeded = row.status == "done" and not row.cached
    ended = len(told) + (succeeded or row.status == "running")
    return ["abandoned: its driver ended before it did"] * max(0, row.attempts - ended)


def live_rows(connection: Connection, search: int) -> tuple[LiveRow, ...]:
    """The newest epoch of each training under way, by number."""
    newest = (
        select(live.c.number, live.c.until, func.max(live.c.epoch).label("epoch"))
        .where(live.c.search == search)
        .group_by(live.c.number, live.c.until)
        .subquery()
    )
    same = [live.c[name] == newest.c[name] for name in ("number", "until", "epoch")]
    trial = [evaluations.c[name] == live.c[name] for name in ("search", "number", "until")]
    columns = live.c.number, live.c.until, evaluations.c.worker, live.c.epoch, live.c.epochs, live.c.loss
    query = (
        select(*columns, live.c.accuracy)
        .join(newest, and_(*same))
        .join(evaluations, and_(*trial))
        .where(live.c.search == search)
        .order_by(live.c.number, live.c.until)
    )
    rows = connection.execute(query).mappings()
    return tuple(
        LiveRow(**{**row, "until": row["until"] or None, "worker": row["worker"] or ""}) for row in rows
    )


def generation_rows(connection: Connection, search: int) -> tuple[GenerationRow, ...]:
    """Every generation with its statistics; an elite counts in each generation it belongs to."""
    scored = select(evaluations.c.candidate, func.avg(evaluations.c.fitness).label("fitness")).where(
        evaluations.c.search == search, evaluations.c.fitness.is_not(None), evaluations.c.until == 0
    )
    rows = connection.execute(scored.group_by(evaluations.c.candidate))
    fitness: dict[int, float] = {row.candidate: _finite(row.fitness) for row in rows}
    ended = select(evaluations.c.candidate).where(
        evaluations.c.search == search, evaluations.c.status == "failed"
    )
    failed = set(connection.execute(ended).scalars()) - fitness.keys()
    query = select(generations.c.generation, generations.c.members).where(generations.c.search == search)
    return tuple(
        _generation_row(generation, tuple(json.loads(members)), fitness, failed)
        for generation, members in connection.execute(query.order_by(generations.c.generation))
    )


def _generation_row(
    generation: int, members: tuple[int, ...], known: Mapping[int, float], failed: Collection[int]
) -> GenerationRow:
    fitness = tuple(known[number] for number in members if number in known)
    lost = sum(number in failed for number in members)
    if not fitness:
        return GenerationRow(generation, members, None, None, None, failed=lost)
    found = np.array(fitness)
    best, mean, deviation = float(found.max()), float(found.mean()), float(found.std())
    return GenerationRow(generation, members, best, mean, deviation, fitness, lost)


def test_reading_rows(connection: Connection, name: str) -> tuple[TestReading, ...]:
    """Every reading of the test split by the search `name` or its retrainings, in the order of their intents within each;
    of a retraining its own. The same reading, begun twice, counts once.
    """
    parent = connection.execute(select(searches.c.parent).where(searches.c.name == name)).scalar_one()
    every = _family_readings(connection, name if parent is None else parent)
    return every if parent is None else tuple(one for one in every if one.search == name)


def test_read_payloads(connection: Connection, search: int) -> tuple[str, ...]:
    """The events of the readings that have ended, as they are kept, in order."""
    ended = select(events.c.payload).where(events.c.search == search, events.c.kind == TestRead.KIND)
    return tuple(connection.scalars(ended.order_by(events.c.sequence)))


def processor_payloads(connection: Connection, search: int) -> tuple[str, ...]:
    """The events of the kinds of processors that computed for a search, as they are kept, in order."""
    seen = select(events.c.payload).where(events.c.search == search, events.c.kind == ProcessorSeen.KIND)
    return tuple(connection.scalars(seen.order_by(events.c.sequence)))


def _metrics(text: str) -> dict[str, Any]:
    """What a reading gave: an accuracy at least, and every figure a number."""
    found = _object(text)
    _finite(found["accuracy"])
    for name in _FIGURES & found.keys():
        if found[name] is not None:
            _finite(found[name])
    return found


_FIGURES = {"precision", "recall", "f1", "auroc", "validation_accuracy", "validation_fitness", "seconds"}


def _family_readings(connection: Connection, name: str) -> tuple[TestReading, ...]:
    """Those of a search and of all its retrainings, counted."""
    columns = [column for column in test_readings.c if column is not test_readings.c.search]
    family = or_(searches.c.name == name, searches.c.parent == name)
    query = select(*columns, searches.c.name.label("search")).join(
        searches, searches.c.id == test_readings.c.search
    )
    rows = connection.execute(
        query.where(family).order_by(searches.c.id, test_readings.c.sequence)
    ).mappings()
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        values = {key: value for key, value in row.items() if key != "sequence"}
        if row["key"] not in found or row["metrics"] is not None:
            found[row["key"]] = values
    return tuple(
        TestReading(
            **values
            | {"metrics": None if values["metrics"] is None else _metrics(values["metrics"])}
            | {"place": place, "total": len(found)}
        )
        for place, values in enumerate(found.values(), 1)
    )
