"""Queries for readers: from the reader tables to rows."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, Row, func, select

from evosearch.search.candidate import Origin
from evosearch.storage.rows import (
    EvaluationRow,
    EvaluationStatus,
    GenerationRow,
    Heartbeat,
    SearchRow,
    TestReading,
)
from evosearch.storage.tables import drivers, evaluations, generations, reasons, searches, test_readings

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
    counts, failed = _counts(connection, row.id)
    return SearchRow(
        name=row.name,
        state=row.state,
        configuration=json.loads(row.configuration),
        environment=json.loads(row.environment),
        data_key=row.data_key,
        executor=newest.executor if newest else "",
        term=row.term,
        heartbeat=newest.last if newest else row.created,
        seconds=sum(max(0.0, one.last - one.started) for one in driven if one.purpose == "search"),
        generation=row.generation,
        generations=row.generations,
        counts=counts,
        failed=failed,
        message=row.message,
        host=newest.host if newest else None,
        pid=newest.pid if newest else None,
    )


def heartbeats(connection: Connection) -> dict[str, Heartbeat]:
    """The last sign of life of every search's driver; of a journal of any schema."""
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


def _counts(connection: Connection, search: int) -> tuple[dict[EvaluationStatus, int], dict[str, int]]:
    counts = dict.fromkeys(STATUSES, 0)
    failed: dict[str, int] = {}
    columns = evaluations.c.status, evaluations.c.failure
    query = select(*columns, func.count()).where(evaluations.c.search == search).group_by(*columns)
    for status, kind, count in connection.execute(query):
        counts[status] += count
        if kind is not None:
            failed[kind] = count
    return counts, failed


def evaluation_rows(connection: Connection, search: int, *, with_curve: bool) -> tuple[EvaluationRow, ...]:
    """Every candidate of a search, by number."""
    columns = [column for column in evaluations.c if with_curve or column is not evaluations.c.curve]
    query = select(*columns).where(evaluations.c.search == search).order_by(evaluations.c.number)
    told = _reasons(connection, search)
    return tuple(_evaluation_row(row, told) for row in connection.execute(query))


def best_row(connection: Connection, search: int) -> EvaluationRow | None:
    """The candidate of the highest fitness, of equals the one with the lowest number."""
    query = select(evaluations).where(evaluations.c.search == search, evaluations.c.fitness.is_not(None))
    highest = query.order_by(evaluations.c.fitness.desc(), evaluations.c.number).limit(1)
    row = connection.execute(highest).one_or_none()
    if row is None:
        return None
    return _evaluation_row(row, _reasons(connection, search, reasons.c.number == row.number))


def _reasons(
    connection: Connection, search: int, *conditions: ColumnElement[bool]
) -> Mapping[int, Sequence[str]]:
    query = select(reasons.c.number, reasons.c.reason).where(reasons.c.search == search, *conditions)
    told: dict[int, list[str]] = defaultdict(list)
    for number, reason in connection.execute(query.order_by(reasons.c.sequence)):
        told[number].append(reason)
    return told


def _evaluation_row(row: Row[Any], told: Mapping[int, Sequence[str]]) -> EvaluationRow:
    plain = row._asdict()
    del plain["search"]
    curve = json.loads(plain.pop("curve", "[]"))
    return EvaluationRow(
        **plain
        | {
            "origin": Origin(plain["origin"]),
            "parents": tuple(json.loads(plain["parents"])),
            "operators": tuple(json.loads(plain["operators"])),
            "reasons": (*told.get(plain["number"], ()), *_abandoned(row, told.get(plain["number"], ()))),
            "curve": tuple((loss, accuracy) for loss, accuracy in curve),
        }
    )


def _abandoned(row: Row[Any], told: Sequence[str]) -> list[str]:
    """A line for each attempt whose driver ended before it did: no event tells of it, so it is counted."""
    succeeded = row.status == "done" and not row.cached
    ended = len(told) + (succeeded or row.status == "running")
    return ["abandoned: its driver ended before it did"] * max(0, row.attempts - ended)


def generation_rows(connection: Connection, search: int) -> tuple[GenerationRow, ...]:
    """Every generation with its statistics; an elite counts in each generation it belongs to."""
    scored = select(evaluations.c.number, evaluations.c.fitness).where(
        evaluations.c.search == search, evaluations.c.fitness.is_not(None)
    )
    fitness: dict[int, float] = {row.number: row.fitness for row in connection.execute(scored)}
    query = select(generations.c.generation, generations.c.members).where(generations.c.search == search)
    return tuple(
        _generation_row(generation, tuple(json.loads(members)), fitness)
        for generation, members in connection.execute(query.order_by(generations.c.generation))
    )


def _generation_row(generation: int, members: tuple[int, ...], fitness: Mapping[int, float]) -> GenerationRow:
    found = np.array([fitness[number] for number in members if number in fitness])
    if not found.size:
        return GenerationRow(generation, members, None, None, None)
    return GenerationRow(generation, members, float(found.max()), float(found.mean()), float(found.std()))


def test_reading_rows(connection: Connection, search: int) -> tuple[TestReading, ...]:
    """Every reading of the test split, by the candidate's number and then its key."""
    columns = [column for column in test_readings.c if column is not test_readings.c.search]
    query = select(*columns).where(test_readings.c.search == search)
    rows = connection.execute(query.order_by(test_readings.c.number, test_readings.c.key)).mappings()
    return tuple(
        TestReading(**{**row, "metrics": None if row["metrics"] is None else json.loads(row["metrics"])})
        for row in rows
    )
