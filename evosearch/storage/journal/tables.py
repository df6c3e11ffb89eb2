"""The tables of a journal, for any SQL database.

`TRUTH_TABLES` are the truth: which schema, which term may write, who drives, and the facts. `READER_TABLES`, and the
`READER_COLUMNS` of `searches`, are for readers; they follow from the events.

Who changes a table raises `SCHEMA` where that was released since, and does one of these; `upgrade` does the rest in
journals that are there:

- A table for readers: changed at will, and named in `READER_TABLES`. It is dropped, made and written again.
- A column of a truth table: added with a `server_default` that says what the rows before it mean, or nullable; never
  changed nor removed. A column of `searches` that follows from the events is in `READER_COLUMNS` too.
- A new truth table: named in `TRUTH_TABLES`; it is made empty.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

SCHEMA = 6
"""Version of the tables and events; a journal of a higher one is refused, one of a lower one is upgraded by who writes to it."""

metadata = MetaData()


class _Words(TypeDecorator[str]):
    """Any text, such as the message of a failure; what a database cannot keep of it is there escaped.

    PostgreSQL refuses the character NUL, and no database has half of a surrogate pair. Events are JSON, which
    escapes both so that they come back: this is for readers.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: object) -> str | None:
        if value is None:
            return None
        return value.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


meta = Table(
    "meta",
    metadata,
    Column("schema", Integer, primary_key=True, autoincrement=False),
    Column("evosearch", Text, nullable=False),  # the version that created the journal
)

searches = Table(
    "searches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", _Words, nullable=False, unique=True),
    Column("term", Integer, nullable=False),  # of the newest driver, 0 before the first; the fence
    Column("sequence", Integer, nullable=False),  # of the newest event
    Column("created", Float, nullable=False),
    Column("state", Text, nullable=False, default=""),  # defaults: until SearchCreated is projected, at once
    Column("message", _Words, nullable=False, default=""),
    Column("configuration", Text, nullable=False, default=""),  # JSON, as every Mapping and tuple below
    Column("environment", Text, nullable=False, default=""),
    Column("data_key", _Words, nullable=False, default=""),
    Column("generation", Integer, nullable=False, default=-1),
    Column("generations", Integer, nullable=False, default=1),
    Column("parent", _Words),  # the search whose best this one trains again
    Column("best", Integer),  # the candidate of the newest verdict; NULL: none was journaled
    Column("precision", Text),  # what auto means; NULL: nobody has decided, or it never says auto
    Column("precision_of", _Words),  # the kind of processor that decided
)


def _of_search() -> Column[int]:
    return Column("search", ForeignKey(searches.c.id), primary_key=True, autoincrement=False)


def _key(name: str) -> Column[int]:
    return Column(name, Integer, primary_key=True, autoincrement=False)


drivers = Table(
    "drivers",
    metadata,
    _of_search(),
    _key("term"),
    Column("host", _Words, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("executor", _Words, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("started", Float, nullable=False),
    Column("last", Float, nullable=False),  # the newest heartbeat, overwritten
)

events = Table(
    "events",
    metadata,
    _of_search(),
    _key("sequence"),
    Column("term", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", Text, nullable=False),
    Column(
        "payload", Text, nullable=False
    ),  # not a JSON column: Python's JSON knows NaN, which a loss can be
)

evaluations = Table(
    "evaluations",
    metadata,
    _of_search(),
    _key("number"),
    _key("until"),  # epochs after which the trial is judged; 0: all of them
    Column("candidate", Integer, nullable=False),
    Column("repeat", BigInteger, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("origin", Text, nullable=False),
    Column("parents", Text, nullable=False),
    Column("operators", Text, nullable=False),
    Column("operations", Text),  # the same as data; NULL: only words were kept
    Column("chromosome", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("fitness", Float),  # by what the search goes by
    Column("accuracy", Float),
    Column("balanced_accuracy", Float),
    Column("f1", Float),
    Column("auroc", Float),
    Column("losses", Text),  # JSON, of each mask in order; NULL: no masks were trained
    Column("loss", Float),  # the lowest of them that is a number
    Column("features", Text),  # sha256 of what was kept; NULL: nothing was
    Column("units", Integer),  # of the layer that it enters
    Column("failure", Text),
    Column("parameters", BigInteger),
    Column("flops", BigInteger),
    Column("seconds", Float, nullable=False),
    Column("worker", _Words),
    Column("attempts", Integer, nullable=False),
    Column("cached", Boolean, nullable=False),
    Column("curve", Text, nullable=False),
)
Index("evaluations_by_status", evaluations.c.search, evaluations.c.status, evaluations.c.failure)
Index("evaluations_by_fitness", evaluations.c.search, evaluations.c.fitness, evaluations.c.number)

reasons = Table(
    "reasons",
    metadata,
    _of_search(),
    _key("sequence"),  # of the event that says it
    Column("number", Integer, nullable=False),
    Column("until", Integer, nullable=False),
    Column("reason", _Words, nullable=False),
)

generations = Table(
    "generations",
    metadata,
    _of_search(),
    _key("generation"),
    Column("members", Text, nullable=False),
)

test_readings = Table(
    "test_readings",
    metadata,
    _of_search(),
    Column("key", _Words, primary_key=True),
    Column("sequence", Integer, nullable=False),  # of the event of the intent
    Column("number", Integer, nullable=False),
    Column("epochs", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("metrics", Text),
    Column("weights", _Words),
    Column("test_key", _Words),
    Column("trial", Integer),  # of its search; NULL: in the first version, which read outside its searches
)

live = Table(
    "live",
    metadata,
    _of_search(),
    _key("number"),
    _key("until"),
    _key("epoch"),  # that has ended, from 1
    Column("epochs", Integer, nullable=False),  # at which the training ends
    Column("loss", Float, nullable=False),
    Column("accuracy", Float),  # NULL where the validation images are trained on too
)
"""Epochs of trainings under way: overwritten rows, which no event holds. A trial's are gone once it ends, in whatever way."""

TRUTH_TABLES = (meta, searches, drivers, events)
"""Never dropped; their columns are never changed."""

READER_TABLES = (evaluations, reasons, generations, test_readings, live)
"""Written again by a rebuild, dropped and made again by an upgrade."""

READER_COLUMNS = tuple(
    searches.c[name]
    for name in (
        "state",
        "message",
        "configuration",
        "environment",
        "data_key",
        "generation",
        "generations",
        "parent",
        "best",
        "precision",
        "precision_of",
    )
)
"""Those of `searches` that a rebuild writes again; they need a `default`, or are nullable."""
