"""Searches from one journal into another, with all that is true of them; what readers query is made anew."""

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, or_, select, update

from evosearch.storage.tables import drivers, events, searches

_BATCH = 1000


def adopt(source: Connection, to: Connection, name: str) -> list[int]:
    """Copy the search `name`, or the members of the group, as far as they are newer in `source`.

    One that is there in an older state is replaced. Returns: the ids in `to` of those that were copied; their
    reader tables are still to be written.
    """
    rows = source.execute(select(searches).where(_belongs_to(name)).order_by(searches.c.id)).all()
    return [copied for row in rows if (copied := _adopt_one(source, to, row)) is not None]


def _adopt_one(source: Connection, to: Connection, row: Row[tuple[object, ...]]) -> int | None:
    query = select(searches.c.id, searches.c.term, searches.c.sequence).where(searches.c.name == row.name)
    there = to.execute(query).one_or_none()
    if there is not None and (there.term, there.sequence) >= (row.term, row.sequence):
        return None
    fence = {"term": row.term, "sequence": row.sequence, "created": row.created}
    if there is None:
        added = to.execute(insert(searches).values(name=row.name, **fence)).inserted_primary_key
        assert added is not None  # noqa: S101 - a single insert always has a key
        search: int = added[0]
    else:
        search = there.id
        to.execute(update(searches).where(searches.c.id == search).values(**fence))
    for table in (events, drivers):
        to.execute(delete(table).where(table.c.search == search))
        found = source.execute(select(table).where(table.c.search == row.id)).mappings()
        for batch in found.partitions(_BATCH):
            to.execute(insert(table), [{**one, "search": search} for one in batch])
    return search


def _belongs_to(name: str) -> ColumnElement[bool]:
    begin = f"{name}/"
    return or_(searches.c.name == name, func.substr(searches.c.name, 1, len(begin)) == begin)
