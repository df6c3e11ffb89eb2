"""The journal: every fact of every search, in SQL, and what readers ask of them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, Row, bindparam, case, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from evosearch.errors import HeldError, JournalError, SearchConflictError, StaleTermError
from evosearch.evaluation import Precision
from evosearch.storage.backups.rescue import Written
from evosearch.storage.holding.locks import Locks
from evosearch.storage.journal import readers
from evosearch.storage.journal.adoption import Change, add, adopt, remove, unchanged
from evosearch.storage.journal.codec import decode, encode
from evosearch.storage.journal.database import Database
from evosearch.storage.journal.events import (
    DriverStarted,
    Event,
    PrecisionResolved,
    ProcessorSeen,
    Recorded,
    SearchCreated,
    TestRead,
)
from evosearch.storage.journal.header import check_schema
from evosearch.storage.journal.projection import EventPosition, bring_up_to_date, show
from evosearch.storage.journal.rows import (
    EvaluationRow,
    GenerationRow,
    Heartbeat,
    LiveCurve,
    LiveRow,
    SearchRow,
    TestReading,
)
from evosearch.storage.journal.tables import drivers, events, meta, searches
from evosearch.storage.journal.upgrade import Check, event_page, pages, rebuild, schema_of
from evosearch.storage.names import MOST, MOST_OF_RETRAINING, check_name, group_of

TICK = 0.001
"""Seconds by which a heartbeat is later than the last at least: who watches it compares nothing else."""

_FOUND = select(
    searches.c.id,
    searches.c.term,
    searches.c.sequence,
    select(meta.c.schema).scalar_subquery().label("schema"),
).where(searches.c.name == bindparam("name"))
_LOCKED = _FOUND.with_for_update()


class Journal:
    """A journal that has been opened (`open_journal`).

    Contract (tested by `evosearch.testing.journal_contract.JournalContract`): each writing method is one transaction that
    happens in full or not at all, and is durable when it returns; events are only ever added, numbered from 1
    without gaps in each search, until `delete` removes a search whole; only the newest term may write; what is returned is the caller's own; readers
    never wait for a driver's training, nor it for them. Several processes may use one journal at once, and
    several threads one `Journal`; a forked child must open its own.

    Every method that takes a `name` but `find` raises `SearchConflictError` where there is no such search.
    All raise `JournalError` where the journal proves damaged and `CannotRunError` where its disk is full,
    read-only or gone, or its server is. Times `at` are seconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        undriven: Callable[["Journal"], Check],
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`undriven`: raises where a driver lives, else gives what looks again within an upgrade's transaction. `note`:
        called with a line about an upgrade.
        """
        self.place = database.place
        """Where it is, for messages: a path, or a URL without its password."""
        self.file = database.file
        """The SQLite file; None where the journal is on a server."""
        self.advice = database.advice
        """One line for a user who could keep it better, else None."""
        self._database = database
        self._undriven = undriven
        self._note = note
        self._upgrading = Lock()

    def close(self) -> None:
        """Close every connection; the journal may be opened again."""
        self._database.close()
        self._database.guard.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What drivers write

    def create_search(self, name: str, event: SearchCreated, at: float) -> None:
        """Add a search, at term 0 until a driver takes it.

        Raises:
            InputError: `name` cannot name a search.
            SearchConflictError: a search of that name exists.
        """
        most = MOST if event.parent is None else MOST_OF_RETRAINING
        row = {"name": check_name(name, most), "term": 0, "sequence": 0, "created": at}
        with self._writing() as connection:
            try:
                added = connection.execute(insert(searches).values(row)).inserted_primary_key
            except IntegrityError as error:
                raise SearchConflictError(
                    f"a search named {name!r} exists in {self.place}; resume it or choose another name"
                ) from error
            assert added is not None  # noqa: S101 - a single insert always has a key
            _add(connection, EventPosition(added[0], 0), 0, [event], at)

    def begin_term(self, name: str, expected: int, event: DriverStarted, at: float) -> int:
        """Raise the term from `expected` by one, with the event and the new driver's first heartbeat.

        Returns: the new term.

        Raises:
            StaleTermError: the term is no longer `expected`.
        """
        with self._writing(fenced=True) as connection:
            place = self._fenced(connection, name, expected)
            term = expected + 1
            connection.execute(update(searches).where(searches.c.id == place.search).values(term=term))
            _add(connection, place, term, [event], at)
            connection.execute(insert(drivers).values(_driver(place.search, term, event, at, at)))
        return term

    def append(self, name: str, term: int, facts: Sequence[Event], at: float) -> int:
        """Add `facts` in order, all or none; a heartbeat of the driver too.

        Returns: the sequence number of the last event of the search.

        Raises:
            StaleTermError: a newer driver has taken the search over; nothing is written.
            HeldError: the facts say otherwise what precision `auto` means than another search of the same group does, whose
                driver was faster; nothing is written.
            TypeError: a fact holds something that JSON cannot give back; nothing is written.
        """
        with self._writing(fenced=True, briefly=True) as connection:
            for fact in facts:
                if isinstance(fact, PrecisionResolved):
                    _check_agreed(connection, group_of(name), fact)
            return _add(connection, self._fenced(connection, name, term), term, facts, at)

    def beat(self, name: str, term: int, at: float) -> None:
        """Overwrite the driver's last heartbeat; it changes, whatever `at` is.

        Raises:
            StaleTermError: a newer driver has taken the search over.
        """
        with self._writing(fenced=True, briefly=True) as connection:
            _alive(connection, self._fenced(connection, name, term).search, term, at)

    def show(self, name: str, term: int, curves: Sequence[LiveCurve]) -> None:
        """Overwrite what is known of trainings under way; `live` gives it back until they end, in whatever way.

        Raises:
            StaleTermError: a newer driver has taken the search over.
        """
        with self._writing(fenced=True, briefly=True) as connection:
            show(connection, self._fenced(connection, name, term).search, curves)

    def adopt(self, other: "Journal", name: str) -> None:
        """Take the search or the members of the group `name` from `other`, as far as they are newer there, in one
        transaction. What this journal had of them in an older state is replaced.
        """
        with self._writing() as connection, other._reading() as source:
            adopt(source, connection, name, f"the journal {other.place}")

    def add(self, other: "Journal", names: Collection[str], change: Change = unchanged) -> None:
        """Take the searches `names` from `other`, in one transaction. `change`: what becomes of each row on its way.

        Raises:
            SearchConflictError: one of them is here.
        """
        with self._writing() as connection, other._reading() as source:
            add(source, connection, names, f"the journal {other.place}", change)

    def delete(self, terms: Mapping[str, int]) -> None:
        """Remove searches with all their events, in one transaction; their names are free again. The one exception to
        what is said of events. `terms`: by name, the term under which nobody drives it any more.

        Raises:
            StaleTermError: a driver has taken one of them meanwhile; nothing is removed.
        """
        with self._writing(fenced=True) as connection:
            for name, term in terms.items():
                self._fenced(connection, name, term)
            for name in terms:
                remove(connection, name)

    def restore(self, name: str, created: float, rows: Sequence[tuple[int, int, float, str, str]]) -> None:
        """Add a search with the events that are left of it: sequence, term, at, kind and payload of each."""
        with self._writing() as connection:
            sequence, term = rows[-1][:2]
            fence = {"name": name, "created": created, "sequence": sequence, "term": term}
            added = connection.execute(insert(searches).values(fence)).inserted_primary_key
            assert added is not None  # noqa: S101 - a single insert always has a key
            columns = ("sequence", "term", "at", "kind", "payload")
            told = [{"search": added[0], **dict(zip(columns, row, strict=True))} for row in rows]
            connection.execute(insert(events), told)
            for _, term, at, kind, payload in rows:
                event = decode(kind, payload, self.place)
                if isinstance(event, DriverStarted):
                    last = max(row[2] for row in rows if row[1] == term)
                    connection.execute(insert(drivers).values(_driver(added[0], term, event, at, last)))
            rebuild(connection, added[0], f"the journal {self.place}")

    def rebuild(self) -> None:
        """Write every reader table again from the events, in one transaction."""
        with self._writing() as connection:
            # locked, so that no driver writes behind the end of what is replayed
            for search in connection.scalars(select(searches.c.id).with_for_update()).all():
                rebuild(connection, search, f"the journal {self.place}")

    # What readers ask

    def find(self, name: str) -> SearchRow | None:
        """The search of that name, or None."""
        with self._reading() as connection:
            return next(iter(readers.search_rows(connection, searches.c.name == name)), None)

    def searches(self) -> tuple[SearchRow, ...]:
        """All searches, in order of creation."""
        with self._reading() as connection:
            return readers.search_rows(connection)

    def children(self, name: str) -> tuple[SearchRow, ...]:
        """The retrainings of a search, in order of creation."""
        with self._reading() as connection:
            return readers.search_rows(connection, searches.c.parent == name)

    def precision_of(self, group: str) -> tuple[Precision, str] | None:
        """What `auto` as `training.precision` means for the searches of a group, and the processor it was decided by; None: nobody
        has decided.
        """
        with self._reading() as connection:
            return readers.precision_of(connection, _of_group(group))

    def heartbeats(self) -> dict[str, Heartbeat]:
        """The last heartbeat of every search's driver."""
        with self._reading() as connection:
            return readers.heartbeats(connection)

    def end(self, name: str) -> tuple[int, int]:
        """The newest term of a search, and the sequence number of its last event."""
        with self._reading() as connection:
            row = self._row(connection, name)
            return row.term, row.sequence

    def replay(self, name: str, after: int = 0) -> Iterator[Recorded]:
        """The events of a search with a sequence number above `after`, in order.

        A page of events is held at a time and no transaction between pages, so the journal may be written
        meanwhile; what is appended before the end is reached is replayed too.
        """
        with self._reading() as connection:
            search = self._id(connection, name)

        def page(after: int) -> list[Recorded]:
            with self._reading() as connection:
                return event_page(connection, search, f"the journal {self.place}", after)

        return pages(page, after)

    def evaluations(self, name: str, *, with_curve: bool = False) -> tuple[EvaluationRow, ...]:
        """Every candidate of a search, by number; learning curves only where asked for."""
        with self._reading() as connection:
            return readers.evaluation_rows(connection, self._id(connection, name), with_curve=with_curve)

    def best(self, name: str) -> EvaluationRow | None:
        """The candidate of the highest fitness, of equals the lowest number; with its curve."""
        with self._reading() as connection:
            return readers.best_row(connection, self._id(connection, name))

    def live(self, name: str) -> tuple[LiveRow, ...]:
        """The newest epoch of each training under way, by number; of those that have reported one."""
        with self._reading() as connection:
            return readers.live_rows(connection, self._id(connection, name))

    def generations(self, name: str) -> tuple[GenerationRow, ...]:
        """Every generation that was begun, with its statistics."""
        with self._reading() as connection:
            return readers.generation_rows(connection, self._id(connection, name))

    def test_readings(self, name: str) -> tuple[TestReading, ...]:
        """Every reading of the test split by a search or its retrainings, ended or not; of a retraining its own. Each
        with its count among all that the search has led to.
        """
        with self._reading() as connection:
            self._id(connection, name)
            return readers.test_reading_rows(connection, name)

    def test_predictions(self, name: str, key: str) -> Mapping[str, Any] | None:
        """What the event of the reading `key` of the search `name` holds of its predictions; None where it has not ended."""
        with self._reading() as connection:
            payloads = readers.test_read_payloads(connection, self._id(connection, name))
        told = (decode("TestRead", payload, f"the journal {self.place}") for payload in payloads)
        found = (one.predictions for one in told if isinstance(one, TestRead) and one.key == key)
        return next(found, None)

    def processors(self, name: str) -> tuple[str, ...]:
        """The kinds of processors that computed for the search `name`, each once, in the order in which they joined; nothing where
        no worker has said.
        """
        with self._reading() as connection:
            payloads = readers.processor_payloads(connection, self._id(connection, name))
        told = (decode(ProcessorSeen.KIND, payload, f"the journal {self.place}") for payload in payloads)
        return tuple(dict.fromkeys(one.processor for one in told if isinstance(one, ProcessorSeen)))

    def checkpoint(self) -> None:
        """Let the journal's file hold all that is committed, as far as readers allow it, for who copies it as a file."""
        self._database.checkpoint()

    def check(self) -> None:
        """Look quickly through the whole journal.

        Raises:
            JournalError: it is damaged.
        """
        self._database.verify()

    @property
    def schema(self) -> int:
        """Of which schema it is."""
        return self._database.schema

    def look(
        self, name: str, term: int, sequence: int, *, thorough: bool, error: Exception | None = None
    ) -> None:
        """See that this journal is still in its place, for a driver that has written so far.

        Args:
            name: the search that it drives.
            term: under which.
            sequence: the number of its last event.
            thorough: look into the content too; takes a millisecond or a few.
            error: why a write failed, where one did.

        Raises:
            JournalLostError: it was deleted, moved, replaced, truncated or overwritten; what could be was rescued.
        """
        self._database.guard.look(Written(name, term, sequence), thorough=thorough, error=error)

    @property
    def is_lost(self) -> bool:
        """Whether `look` found it lost: what is in its place is another's."""
        return self._database.guard.has_lost

    def locks(self, folder: Path, name: str) -> Locks:
        """The locks of the search `name`, whose own folder is `folder`."""
        return self._database.locks(folder, name)

    def upgrade(self, undriven: Callable[["Journal"], Check] | None = None) -> bool:
        """Bring the journal to this version's schema, as every writing method does first; whether it was an older one.

        `undriven`: instead of the one that the journal was opened with.

        Raises:
            HeldError: a driver lives that would not know what to do with it.
        """
        with self._upgrading:
            older = self._database
            if older.upgrade is None:
                return False
            self._database = older.upgrade((undriven or self._undriven)(self))
            older.close()
        self._note(
            f"the journal {self.place} was upgraded from schema {older.schema} to {self.schema}; older versions of "
            "evosearch refuse it from now on"
        )
        return True

    @contextmanager
    def _writing(self, *, fenced: bool = False, briefly: bool = False) -> Iterator[Connection]:
        """A transaction, unless a newer version has upgraded this journal; `fenced`: `_fenced` will see to that; `briefly`:
        a file that another program has locked is not waited for as long as otherwise.
        """
        if self._database.upgrade is not None:
            self.upgrade()
        with self._database.writer.execution_options(briefly=briefly).begin() as connection:
            if not fenced:
                schema_of(connection, self.place)
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self._database.refresh()
        with self._database.reader.connect() as connection:
            try:
                yield connection
            except (
                AttributeError,
                KeyError,
                OverflowError,
                RecursionError,
                TypeError,
                ValueError,
            ) as error:  # a flipped bit inside a text passes the database unseen
                raise JournalError(
                    f"the journal {self.place} is damaged ({error!r}); restore it from a copy"
                ) from error

    def _id(self, connection: Connection, name: str) -> int:
        return self._row(connection, name).id  # type: ignore[no-any-return] # typed by position only

    def _row(self, connection: Connection, name: str, *, lock: bool = False) -> Row[int, int, int, int]:
        row = connection.execute(_LOCKED if lock else _FOUND, {"name": name}).one_or_none()
        if row is None:
            raise SearchConflictError(f"there is no search named {name!r} in {self.place}")
        return row

    def _fenced(self, connection: Connection, name: str, term: int) -> EventPosition:
        row = self._row(connection, name, lock=True)
        check_schema(row.schema, self.place)
        if row.term != term:
            raise StaleTermError(
                f"search {name!r} was taken over by a newer driver (term {row.term} > {term}); this one stops"
            )
        return EventPosition(row.id, row.sequence)


def _of_group(group: str) -> ColumnElement[bool]:
    """The searches whose group is called so."""
    return or_(searches.c.name == group, searches.c.name.startswith(f"{group}/", autoescape=True))


def _check_agreed(connection: Connection, group: str, fact: PrecisionResolved) -> None:
    """See that all searches of a group compute alike; locked, since two drivers may each hold some of them."""
    query = select(searches.c.precision).where(_of_group(group)).order_by(searches.c.id).with_for_update()
    for precision in connection.scalars(query).all():
        if precision not in (None, fact.precision):
            raise HeldError(
                f"another driver has just found that auto as training.precision means {precision} for all searches of {group!r}; "
                "run the same command again"
            )


def _add(connection: Connection, end: EventPosition, term: int, facts: Sequence[Event], at: float) -> int:
    """Write `facts` after the event at `end`, bring the reader tables up to date, and beat."""
    if not facts:
        return end.sequence
    numbered = list(enumerate(facts, end.sequence + 1))
    shared = {"search": end.search, "term": term, "at": at}
    rows = []
    for sequence, fact in numbered:
        kind, payload = encode(fact)
        rows.append({**shared, "sequence": sequence, "kind": kind, "payload": payload})
    connection.execute(insert(events), rows)
    places = ((fact, EventPosition(end.search, sequence)) for sequence, fact in numbered)
    bring_up_to_date(connection, places)
    last = end.sequence + len(facts)
    connection.execute(update(searches).where(searches.c.id == end.search).values(sequence=last))
    _alive(connection, end.search, term, at)
    return last


def _driver(
    search: int, term: int, event: DriverStarted, started: float, last: float
) -> Mapping[str, object]:
    who = {"host": event.host, "pid": event.pid, "executor": event.executor, "purpose": event.purpose}
    return {"search": search, "term": term, **who, "started": started, "last": last}


def _alive(connection: Connection, search: int, term: int, at: float) -> None:
    driver = drivers.c.search == search, drivers.c.term == term
    last = case((drivers.c.last < at, at), else_=drivers.c.last + TICK)
    connection.execute(update(drivers).where(*driver).values(last=last))
