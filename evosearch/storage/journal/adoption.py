"""Searches from one journal into another, with all that is true of them; what readers query is made again.

The source may be of an older schema: what its tables lack means what the columns' own defaults say.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Table,
    and_,
    delete,
    func,
    insert,
    inspect,
    or_,
    select,
    update,
)

from evosearch.errors import SearchConflictError
from evosearch.storage.journal.tables import READER_COLUMNS, READER_TABLES, drivers, events, searches
from evosearch.storage.journal.upgrade import rebuild

_BATCH = 1000

Mark: TypeAlias = tuple[object, ...]
"""What distinguishes a search from what it was, and from one of another journal: its truth, and its newest event's time."""

Change: TypeAlias = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""What becomes of a row of a truth table on its way, by the table's name."""


def unchanged(_: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every row stays as it is."""
    return row


def adopt(source: Connection, to: Connection, name: str, journal: str) -> None:
    """Copy the search `name`, or the members of the group, as far as they are newer in `source`.

    One that is there in an older state is replaced. `journal`: words for `source`, for messages.
    """
    for row in _searches(source, _belongs_to(name)):
        query = select(searches.c.term, searches.c.sequence).where(searches.c.name == row["name"])
        there = to.execute(query).one_or_none()
        if there is None or (there.term, there.sequence) < (row["term"], row["sequence"]):
            _copy(source, to, row, journal)


def add(
    source: Connection, to: Connection, names: Collection[str], journal: str, change: Change = unchanged
) -> None:
    """Copy the searches `names`, of which `to` has none, in their order. `journal`: as in `adopt`.

    Raises:
        SearchConflictError: `to` has one of them.
    """
    rows = _searches(source, searches.c.name.in_(names))
    there = to.scalars(
        select(searches.c.name).where(searches.c.name.in_([row["name"] for row in rows]))
    ).all()
    if there:
        raise SearchConflictError(
            f"a search named {min(there)!r} has come to be there; take another home for it"
        )
    for row in rows:
        _copy(source, to, row, journal, change)


def follow(source: Connection, to: Connection, journal: str) -> None:
    """Let `to` hold exactly the searches of `source`, and copy what differs. `journal`: as in `adopt`."""
    there, here = _marks(source), _marks(to)
    for name in here.keys() - there.keys():
        remove(to, name)
    for row in _searches(source):
        if here.get(row["name"]) != there[row["name"]]:
            _copy(source, to, row, journal)
    if _drivers(source) != _drivers(to):  # a heartbeat is no event
        for row in _searches(source):
            _copy_table(source, to, drivers, row["id"], _id(to, row["name"]))


def follows(source: Connection, to: Connection) -> bool:
    """Whether `follow` would change nothing."""
    return _marks(source) == _marks(to) and _drivers(source) == _drivers(to)


def _marks(connection: Connection) -> dict[str, Mark]:
    newest = and_(events.c.search == searches.c.id, events.c.sequence == searches.c.sequence)
    columns = searches.c.name, searches.c.created, searches.c.term, searches.c.sequence, events.c.at
    found = connection.execute(select(*columns).select_from(searches.outerjoin(events, newest)))
    return {row.name: tuple(row) for row in found}


def _drivers(connection: Connection) -> Sequence[object]:
    columns = searches.c.name, drivers.c.term, drivers.c.last
    return connection.execute(select(*columns).join(drivers).order_by(*columns[:2])).all()


def _searches(source: Connection, *conditions: ColumnElement[bool]) -> Sequence[RowMapping]:
    """What is true of searches; what follows from their events is left out."""
    columns = [column for column in _columns(source, searches) if column not in READER_COLUMNS]
    return source.execute(select(*columns).where(*conditions).order_by(searches.c.id)).mappings().all()


def _copy(
    source: Connection, to: Connection, row: RowMapping, journal: str, change: Change = unchanged
) -> None:
    truth = {key: value for key, value in row.items() if key != "id"}
    there = to.scalar(select(searches.c.id).where(searches.c.name == row["name"]))
    if there is None:
        to.execute(insert(searches).values(truth))
    else:
        to.execute(update(searches).where(searches.c.id == there).values(truth))
    search = _id(to, row["name"])
    for table in (events, drivers):
        _copy_table(source, to, table, row["id"], search, change)
    rebuild(to, search, journal)


def _copy_table(
    source: Connection,
    to: Connection,
    table: Table,
    search: int,
    as_search: int,
    change: Change = unchanged,
) -> None:
    to.execute(delete(table).where(table.c.search == as_search))
    query = select(*_columns(source, table)).where(table.c.search == search).order_by(*table.primary_key)
    for batch in source.execute(query).mappings().partitions(_BATCH):
        to.execute(insert(table), [{**change(table.name, dict(one)), "search": as_search} for one in batch])


def remove(connection: Connection, name: str) -> None:
    """Remove the search `name`, its events and all that follows from them."""
    search = _id(connection, name)
    for table in (*READER_TABLES, drivers, events):
        connection.execute(delete(table).where(table.c.search == search))
    connection.execute(delete(searches).where(searches.c.id == search))


def _id(connection: Connection, name: str) -> int:
    search: int = connection.execute(select(searches.c.id).where(searches.c.name == name)).scalar_one()
    return search


def _columns(connection: Connection, table: Table) -> list[Any]:
    """Those of `table` that the database has."""
    there = {column["name"] for column in inspect(connection).get_columns(table.name)}
    return [column for column in table.c if column.name in there]


def _belongs_to(name: str) -> ColumnElement[bool]:
    begin = f"{name}/"
    return or_(searches.c.name == name, func.substr(searches.c.name, 1, len(begin)) == begin)
