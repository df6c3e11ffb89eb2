"""Locks in PostgreSQL: each is owned by a connection of its own, and freed by that connection's end.

https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS. They belong to a session, so a
pooler between driver and server must not share sessions among clients (pgbouncer: `pool_mode = session`).
A server that restarts frees them all. A driver that outlives it takes its lock again with its next heartbeat; until
then only that heartbeat shows that it is alive. A session may also outlast its driver, where that hangs or its machine
was cut off. So a lock that is owned proves nothing, and one that is not owned only where the server has been up, by
its own clock, for long enough.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakSet

from sqlalchemy import Connection, Engine, text

from evosearch.errors import JournalAwayError, StaleTermError
from evosearch.storage.holding.locks import LockState

SETTLED_SECONDS = 60.0
"""So long after its start a server has the locks again of all drivers that outlived it."""

_KEY = "hashtextextended(:lock, CAST(CAST('searches' AS regclass) AS oid)::bigint)"
"""A lock is a number of 64 bits: made from its name, and from this journal's table among others in the database."""

_TRY = text(f"SELECT pg_try_advisory_lock({_KEY})")

_IS_THERE = text("SELECT 1")

# A standby cannot see the locks of its primary, so that nothing is free there for certain.
_IS_FREE = text(
    "SELECT NOT pg_is_in_recovery()"  # noqa: S608 - no text of anybody else's
    " AND pg_postmaster_start_time() + make_interval(secs => :settled) <= clock_timestamp()"
    " AND NOT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    f" AND objsubid = 1 AND ((classid::bigint << 32) | objid::bigint) = {_KEY})"
)


@dataclass(frozen=True)
class AdvisoryLocks:
    """The locks of one search; they need no folder."""

    engine: Engine
    """Of the journal's database."""
    name: str
    """The search's."""

    def state(self, term: int) -> LockState:
        """As `Locks`; without taking it, so that nobody is disturbed."""
        if term == 0:
            return "free"
        with self.engine.connect() as connection:
            asked = {**self._lock(term), "settled": SETTLED_SECONDS}
            return "free" if connection.execute(_IS_FREE, asked).scalar_one() else "unknown"

    def acquire(self, term: int) -> "OwnedSession | None":
        """As `Locks`."""
        connection = self.connect(term)
        return None if connection is None else OwnedSession(self, term, connection)

    def connect(self, term: int) -> Connection | None:
        """A connection that owns the lock of `term`; None where another has it."""
        # autocommit: an open transaction would keep the server from cleaning up, for as long as a search lasts
        connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()
        try:
            if connection.execute(_TRY, self._lock(term)).scalar_one():
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def forget(self, before: int) -> None:
        """As `Locks`: nothing is left of a lock that is free."""

    def _lock(self, term: int) -> Mapping[str, str]:
        return {"lock": f"evosearch {self.name} {term}"}


class OwnedSession:
    """A connection that owns a lock; None once it was lost."""

    def __init__(self, locks: AdvisoryLocks, term: int, connection: Connection) -> None:
        self._locks = locks
        self._term = term
        self._connection: Connection | None = connection
        _OWNED.add(self)

    def keep(self) -> None:
        """As `Lock`: on a new connection where the old one's session has ended."""
        if self._connection is not None:
            try:
                self._connection.execute(_IS_THERE)
            except JournalAwayError:
                self._connection = None  # SQLAlchemy would put a connection without the lock in its place
            else:
                return
        self._connection = self._locks.connect(self._term)
        if self._connection is None:
            raise StaleTermError(
                f"search {self._locks.name!r}: another driver owns the lock of term {self._term}; this one stops"
            )

    def release(self, *, driven: bool) -> None:  # noqa: ARG002 - either way, the lock ends with the connection
        """As `Lock`."""
        _OWNED.discard(self)
        if self._connection is not None:
            self._connection.close()

    def leave_to_parent(self) -> None:
        """Put nothing in place of the connection: this process is a forked child, and the lock is its parent's."""
        if self._connection is None:
            return
        psycopg_connection = self._connection.connection.dbapi_connection
        assert psycopg_connection is not None  # noqa: S101 - it is open for as long as the lock is owned
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, psycopg_connection.fileno(), inheritable=False)
        os.close(nothing)


_OWNED: WeakSet[OwnedSession] = WeakSet()


def _leave_all_to_parent() -> None:
    for session in list(_OWNED):
        session.leave_to_parent()


os.register_at_fork(after_in_child=_leave_all_to_parent)
