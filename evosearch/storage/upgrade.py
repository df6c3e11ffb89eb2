"""From a journal of an older schema to one of this version's: in one transaction, by the events alone.

Only who writes to a journal upgrades it; who reads one of an older schema gets a copy of this schema that follows
it, see `evosearch.storage.opening`.
"""

from collections.abc import Callable

from sqlalchemy import Column, Connection, inspect, select, update
from sqlalchemy.schema import CreateColumn

from evosearch.errors import JournalError
from evosearch.storage.header import check_schema
from evosearch.storage.rebuilding import rebuild
from evosearch.storage.tables import READER_TABLES, SCHEMA, TRUTH_TABLES, meta, metadata, searches

Check = Callable[[Connection], None]
"""Raises where a journal may not be upgraded now; it looks through the connection of the upgrade's transaction."""


def schema_of(connection: Connection, place: str) -> int:
    """The schema of a journal, at most this version's; `place`: where it lies, for messages.

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
