"""Copies that are handed on: a study, a group or a search with what belongs to it, compressed, which names no machine and no
place, and tells times to the second; and how it goes on from one elsewhere.

Such a copy is a journal like any other. A table in it that no other journal has, `files`, holds what else a study's table
rests on: what the audit of its images found, and predictions that are too large for an event.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any

from evosearch.errors import InputError, SearchConflictError
from evosearch.permissions import whole_file
from evosearch.storage.backups.backup import new_copy
from evosearch.storage.backups.compressed import SUFFIX, is_compressed
from evosearch.storage.backups.nameless import Nameless
from evosearch.storage.home import Home, unpacked_files
from evosearch.storage.journal.events import TestRead
from evosearch.storage.journal.opening import open_journal
from evosearch.storage.journal.rows import SearchRow

_REFERRING = ("best_of", "network", "networks")
"""The keys of a configuration that may name other searches."""


PAGE = 16_384
"""Bytes of a page: large ones cut long texts into fewer pieces, so that more of what is alike is found."""


def publish_copy(
    home: Home, name: str, to: Path, *, data: Path | None = None, beside: Sequence[str] = ()
) -> tuple[str, ...]:
    """Write the search, group or study `name` to the new file `to`, with what belongs to it, and nothing that names a machine or
    a place.

    Args:
        home: where it is.
        name: the search, group or study.
        to: the file; its name ends in `.xz`.
        data: the folder of data sets, $EVOSEARCH_DATA; paths below it stay what they are in it.
        beside: files in the folder of `name` that go with it, where they are there.

    Returns: the names of the searches in the copy.

    Raises:
        SearchConflictError: there is no such search.
        InputError: the file has another name, something is there, or its folder is not.
        JournalError: the journal is damaged.
        CannotRunError: it cannot be read, or the copy not be written.
    """
    if not is_compressed(to):
        raise InputError(f"{to} is to be published, which is always compressed; name it {to.name}{SUFFIX}")
    rows = {row.name: row for row in home.journal.searches()}
    names = _belonging(name, home)
    files = {
        **_kept(home, rows[names[0]], [f"{name}/{one}" for one in beside]),
        **{key: found for one in names for key, found in _predictions(home, rows[one]).items()},
    }
    with new_copy(home.journal, to) as copy:
        with open_journal(copy, must_exist=False) as published:
            published.add(home.journal, names, Nameless(data).change)
        _complete(copy, files)
    return names


def _belonging(name: str, home: Home) -> tuple[str, ...]:
    """`name`, its members and their retrainings, and what these rest on: searches that they train the best of, or begin with."""
    rows = {row.name: row for row in home.journal.searches()}
    if not home.members_of(name):
        home.find_search(name)  # says what there is
    own = [one for one in rows if one == name or one.startswith(f"{name}/")]
    found = dict.fromkeys([*own, *(one.name for one in rows.values() if one.parent in own)])
    new = list(found)
    while new:
        named = (other for one in new for other in _named(rows[one]))
        new = [other for other in dict.fromkeys(named) if other in rows and other not in found]
        found |= dict.fromkeys(new)
    return tuple(found)


def _named(row: SearchRow) -> Iterator[str]:
    if row.parent is not None:
        yield row.parent
    yield from _texts_of(row.configuration, is_asked=False)


def _texts_of(value: Any, *, is_asked: bool) -> Iterator[str]:
    match value:
        case str() if is_asked:
            yield value
        case Mapping():
            for key, inner in value.items():
                yield from _texts_of(inner, is_asked=key in _REFERRING)
        case list():
            for inner in value:
                yield from _texts_of(inner, is_asked=is_asked)
        case _:
            pass


def _kept(home: Home, row: SearchRow, names: Sequence[str]) -> dict[str, bytes]:
    """The files `names` of the store that `row` is kept in, as far as they are there."""
    store, found = home.store_of(row), {}
    for name in names:
        try:
            found[name] = store.read_bytes(name)
        except FileNotFoundError:
            continue
    return found


def _predictions(home: Home, row: SearchRow) -> dict[str, bytes]:
    told = (one.event for one in home.journal.replay(row.name) if isinstance(one.event, TestRead))
    aside = [f"{row.name}/{one.predictions['artifact']}" for one in told if "artifact" in one.predictions]
    return _kept(home, row, aside)


def _complete(copy: Path, files: Mapping[str, bytes]) -> None:
    """Put `files` into the journal at `copy`, and leave nothing of it that is not in its one file."""
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("CREATE TABLE files (name TEXT PRIMARY KEY, content BLOB NOT NULL)")
        connection.executemany("INSERT INTO files VALUES (?, ?)", sorted(files.items()))
        # microseconds say nothing to anybody, and do not compress
        connection.execute("UPDATE events SET at = round(at)")
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute("VACUUM")


def bring_in(home: Home, copy: Home, name: str) -> tuple[str, ...]:
    """Take `name` and what belongs to it from a copy of a journal into one that has none of that name.

    A search that it rests on, and that is here already, stays.

    Args:
        home: where it is to be.
        copy: the copy, as `evosearch.storage.open_home` reads it.
        name: a search, a group or a study.

    Returns: the names of the searches that came.

    Raises:
        SearchConflictError: the copy has none of that name, or the home has; or another search has the name of one that it
            rests on.
    """
    names = _belonging(name, copy)
    here = {row.name for row in home.journal.searches()}
    if any(one == name or one.startswith(f"{name}/") for one in here):
        raise SearchConflictError(
            f"{name!r} is in the journal {home.journal.place} already; `evosearch resume {name}` goes on with it, and "
            f"another home (EVOSEARCH_HOME, or --storage) takes the one of {copy.journal.place}"
        )
    for one in here.intersection(names):
        if _begun(home, one) != _begun(copy, one):
            raise SearchConflictError(
                f"{name!r} rests on {one!r}, and the journal {home.journal.place} has another search of that name; take "
                "another home (EVOSEARCH_HOME, or --storage)"
            )
    came = tuple(one for one in names if one not in here)
    home.journal.add(copy.journal, came)
    for file, content in unpacked_files(copy.journal):
        target = home.folder / file
        if _is_of(file, came) and not target.exists():
            with whole_file(target) as unfinished:
                unfinished.write_bytes(content)
    return came


def _begun(home: Home, name: str) -> int:
    """To the second, as a copy says it."""
    return round(next(home.journal.replay(name)).at)


def _is_of(file: str, names: Sequence[str]) -> bool:
    """Whether a file is one that a copy may bring: a document in the folder of one of the searches, or of their group."""
    folders = [PurePosixPath(one) for one in names]
    folders += [one.parent for one in folders if len(one.parts) > 1]
    path = PurePosixPath(file)
    return path.suffix == ".json" and any(path.is_relative_to(one) for one in folders)
