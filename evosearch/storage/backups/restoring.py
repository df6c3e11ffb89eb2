"""How a search whose journal is lost or behind comes back from its own newest backup, wherever it last ran."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from evosearch.errors import CannotRunError, HeldError, JournalError, NewerJournalError
from evosearch.storage.artifacts.store import ArtifactStore
from evosearch.storage.backups.backup_folder import ALIVE_SECONDS, HolderRecord, Position, Shelf
from evosearch.storage.holding.holder import Onlooker
from evosearch.storage.home import Home
from evosearch.storage.journal.header import read_journal_header
from evosearch.storage.journal.opening import open_journal
from evosearch.storage.journal.rows import SearchRow
from evosearch.storage.names import group_of

LOOK_SECONDS = 5.0
"""Between two looks at a claim."""


def bring_back(
    home: Home, store: ArtifactStore, name: str, onlooker: Onlooker, *, takeover: bool = False
) -> tuple[str, ...]:
    """Where the journal lacks the search or group `name`, or its backup is ahead, take it from the newest sound one.

    Args:
        home: where it is to be.
        store: where its backups are, as `storage.artifacts` says.
        name: the search or group.
        onlooker: how a driver is watched where nothing else shows whether it is alive.
        takeover: from a driver elsewhere that is alive, too.

    Returns: what happened, one line each.

    Raises:
        HeldError: a driver elsewhere, whose journal the backup is of, is alive.
        JournalError: there are backups, none can be used, and the journal has nothing of the search.
        CannotRunError: the store cannot be used, and to begin again would be wrong where there may be a backup.
    """
    if home.journal.file is None or not store.is_remote:
        return ()
    shelf, rows = (
        Shelf.of(store, name),
        home.journal.searches(),
    )  # a journal that cannot be read is refused here
    here = Position.of(home.journal.file, name)
    try:
        backups, holder = shelf.backups(), shelf.holder()
    except CannotRunError as error:
        if here.events:
            return (f"whether a newer state of {name!r} was backed up is not known: {error}",)
        raise
    ahead = bool(backups) and backups[0] > here
    elsewhere = holder is not None and holder.terms > here.terms
    if not (ahead or elsewhere) or _is_driven_here(home, name, rows, onlooker):
        return ()
    if holder is not None and not holder.released and not takeover:
        see_dead(name, holder, shelf, onlooker)
    notes = _newest_sound(home, shelf, name, backups, here) if ahead else ()
    if holder is not None:  # dead or superseded: it must not stop who follows
        shelf.forget_holder()
    return notes


def _newest_sound(
    home: Home, shelf: Shelf, name: str, backups: list[Position], here: Position
) -> tuple[str, ...]:
    home.journal.check()  # else its damage would look like one of the backups
    troubles: list[str] = []
    for one in backups:
        if one <= here:  # the journal itself is the next best
            return tuple(troubles)
        if trouble := _adopt(home, shelf, one, name):
            troubles.append(f"the backup {one.file} in {shelf.store.place} cannot be used: {trouble}")
            continue
        state = "older there" if here.events else "not there"
        found = f"{name!r} was {state} and was brought back from {shelf.store.place}/{one.file}"
        return (*troubles, f"journal {home.journal.place}: {found}")
    raise JournalError(
        f"{name!r} is not in the journal, and none of its backups can be used; remove them to begin again: "
        f"{'; '.join(troubles)}"
    )


def _adopt(home: Home, shelf: Shelf, one: Position, name: str) -> str | None:
    """Take the search from a backup; else what is wrong with that."""
    with TemporaryDirectory(prefix="evosearch-backup-") as folder:
        copy = Path(folder, "journal.db")
        try:
            shelf.store.get(one.file, copy)
            read_journal_header(copy)
            with closing(sqlite3.connect(copy)) as connection:
                found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                return str(found)
            with open_journal(copy, must_exist=True) as backup:
                home.journal.adopt(backup, name)
        except FileNotFoundError:  # removed since, as too old
            return "it is gone"
        except NewerJournalError as error:
            shown = f"the backup {shelf.store.place}/{one.file}"
            raise NewerJournalError(_named(error, home, copy, shown)) from error
        except (JournalError, sqlite3.Error) as error:
            told = _named(error, home, copy, "it").partition("; ")[0]  # the repair is for journals
            return " ".join(told.split())
    return None


def _named(error: Exception, home: Home, copy: Path, name: str) -> str:
    """What went wrong, with the backup under its own name: not that of its copy, or of where it was to go."""
    text = str(error).replace(f"the journal {home.journal.place}", name)
    return text.replace(f"the journal {copy}", name).replace(str(copy), name)


def _is_driven_here(home: Home, name: str, rows: Sequence[SearchRow], onlooker: Onlooker) -> bool:
    """Whether a driver that shares this journal is alive: then the journal is the truth, and the backup its copy."""
    own = (row for row in rows if group_of(row.name) == name or row.name == name)  # retrainings too
    return any(home.is_held(row, onlooker) for row in own)


def see_dead(name: str, holder: HolderRecord, shelf: Shelf, onlooker: Onlooker) -> None:
    """Find out whether the driver elsewhere lives: by the store's clock, else by watching whether it speaks again.

    Raises:
        HeldError: it does, or may.
    """
    silence = shelf.silence()
    if silence is None:
        since = onlooker.clock()
        onlooker.tell(
            f"whether a driver of {name!r} on {holder.host} is alive is not known: its claim", ALIVE_SECONDS
        )
        while (said := shelf.holder()) == holder:
            if onlooker.clock() - since >= ALIVE_SECONDS:
                return
            onlooker.wait(LOOK_SECONDS)
        if said is None or said.released:
            return
        told = "which lives: it has just spoken"
    elif silence < ALIVE_SECONDS:
        told = f"whose last heartbeat came {silence:.0f} s ago"
    else:
        return
    left = (
        "" if silence is None else f" it counts as dead in {ALIVE_SECONDS - silence:.0f} s: wait until then,"
    )
    raise HeldError(
        f"search {name!r} is held by a driver on {holder.host} (process {holder.pid}), {told} in {shelf.store.place};"
        f"{left or ' wait until it ends,'} stop it, or supersede it with --takeover"
    )
