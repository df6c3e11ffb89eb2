"""From a journal of an older schema to one of this version's, and from the events of a journal to what readers query: in
one transaction, by the events alone.
"""

from collections.abc import Callable, Iterator
from functools import partial

from sqlalchemy import Column, Connection, delete, inspect, select, update
from sqlalchemy.schema import CreateColumn

from evosearch.errors import JournalError
from evosearch.storage.journal.codec import decode
from evosearch.storage.journal.events import Recorded
from evosearch.storage.journal.header import check_schema
from evosearch.storage.journal.projection import EventPosition, bring_up_to_date
from evosearch.storage.journal.tables import (
    READER_COLUMNS,
    READER_TABLES,
    SCHEMA,
    TRUTH_TABLES,
    events,
    meta,
    metadata,
    searches,
)

PAGE = 1000
"""Events that a replay holds at a time."""


def rebuild(connection: Connection, search: int, journal: str) -> None:
    """Write every reader table, and the readers' columns, of a search again. `journal`: words for it, for messages."""
    for table in READER_TABLES:
        connection.execute(delete(table).where(table.c.search == search))
    unset = {column: getattr(column.default, "arg", None) for column in READER_COLUMNS}
    connection.execute(update(searches).where(searches.c.id == search).values(unset))
    recorded = pages(partial(event_page, connection, search, journal), 0)
    bring_up_to_date(connection, ((one.event, EventPosition(search, one.sequence)) for one in recorded))


def pages(page: Callable[[int], list[Recorded]], after: int) -> Iterator[Recorded]:
    """Every event behind sequence number `after`; `page` gives the next ones behind a number."""
    while found := page(after):
        yield from found
        after = found[-1].sequence


def event_page(connection: Connection, search: int, journal: str, after: int) -> list[Recorded]:
    """The next events after sequence number `after`, at most `PAGE`.

    Raises:
        JournalError: one is missing, or cannot be read.
    """
    columns = events.c.sequence, events.c.term, events.c.at, events.c.kind, events.c.payload
    query = select(*columns).where(events.c.search == search, events.c.sequence > after)
    rows = connection.execute(query.order_by(events.c.sequence).limit(PAGE)).all()
    last = connection.execute(select(searches.c.sequence).where(searches.c.id == search)).scalar_one()
    page = [Recorded(one.sequence, one.term, one.at, decode(one.kind, one.payload, journal)) for one in rows]
    expected = range(after + 1, min(after + PAGE, last) + 1)
    if missing := set(expected).difference(one.sequence for one in page):
        raise JournalError(f"{journal} is damaged: event {min(missing)} is missing; restore it from a copy")
    return page


Check = Callable[[Connection], None]
"""Raises where a journal may not be upgraded now; it looks through the connection of the upgrade's transaction."""


def schema_of(connection: Connection, place: str) -> int:
    """The schema of a journal, at most this version's; `place`: where it is, for messages.

    Raises:
        NewerJournalError: it is a newer one.
        JournalError: it has none.
    """
    schema: int | None = connection.scalar(select(meta.c.schema))
    if schema is None:
        raise JournalError(f"{place} holds no journal of evosearch; name another")
    check_schema(schema, place)
    return schema


def upgrade(connection: Connection, place: str, check: Check) -> bool:
    """Bring a journal to this version's schema, within the transaction of `connection`, whose locks keep others out.

    Returns: whether there was something to do; another process may have been first.

    Raises:
        JournalError: its events are damaged; and as `schema_of`.
    """
    if schema_of(connection, place) == SCHEMA:
        return False
    check(connection)
    tables = inspect(connection)
    there = set(tables.get_table_names())
    for table in TRUTH_TABLES:
        if table.name in there:
            known = {column["name"] for column in tables.get_columns(table.name)}
            for column in table.c:
                if column.name not in known:
                    _add(connection, column)
    metadata.drop_all(connection, [table for table in READER_TABLES if table.name in there], checkfirst=False)
    missing = [table for table in TRUTH_TABLES if table.name not in there]
    metadata.create_all(connection, [*missing, *READER_TABLES], checkfirst=False)
    for search in connection.scalars(select(searches.c.id)).all():
        rebuild(connection, search, f"the journal {place}")
    connection.execute(update(meta).values(schema=SCHEMA))
    return True


def _add(connection: Connection, column: Column[object]) -> None:
    written = CreateColumn(column).compile(dialect=connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {written}")
