"""Removing a search for good: from the journal, with its files, and with the backups that would bring it back."""

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from secrets import token_hex

from evosearch.errors import CannotRunError, HeldError, SearchConflictError, StaleTermError
from evosearch.storage.artifacts.store import ArtifactStore
from evosearch.storage.backups.backup import Backup
from evosearch.storage.backups.backup_folder import Shelf
from evosearch.storage.backups.restoring import see_dead
from evosearch.storage.holding.holder import Onlooker
from evosearch.storage.home import Home
from evosearch.storage.journal.rows import SearchRow
from evosearch.storage.names import MOST_OF_RETRAINING, WINNER_DOCUMENT, WINNER_WEIGHTS, check_name, group_of


def what_is_deleted(home: Home, name: str) -> tuple[SearchRow, ...]:
    """The searches that go when `name` is deleted: the search or the members of the group, and their retrainings.

    Raises:
        SearchConflictError: there is neither a search nor a group of that name, files of other searches are in its
            folder, or it is a retraining whose readings are to be counted.
    """
    rows = home.journal.searches()
    asked = home.members_of(name) or (home.find_search(name),)
    names = {row.name for row in asked}
    retrainings = [row for row in rows if row.parent in names and row.name not in names]
    names |= {row.name for row in retrainings}
    below = tuple(f"{folder}/" for folder in {name, *names})
    if inside := sorted(row.name for row in rows if row.name not in names and row.name.startswith(below)):
        raise SearchConflictError(
            f"the files of {', '.join(map(repr, inside))} are in the folder of {name!r}; delete these first"
        )
    for row in asked:
        if row.parent is not None and home.journal.find(row.parent) and _has_read(home, row):
            raise SearchConflictError(
                f"{row.name!r} has read the test split, and every reading is counted as long as {row.parent!r} is there; "
                f"`evosearch delete {row.parent}` removes both"
            )
    return (*asked, *retrainings)


def _has_read(home: Home, row: SearchRow) -> bool:
    return any(one.search == row.name for one in home.journal.test_readings(row.name))


def delete(home: Home, name: str, onlooker: Onlooker) -> tuple[str, ...]:
    """Remove the search, group or retraining `name`, with its retrainings, its files and its backups.

    What could bring it back goes first, then the search in one transaction, then its files: whoever is killed on the
    way leaves a search that can be deleted again, or files that nothing names.

    Args:
        home: where it is.
        name: what is removed, as `what_is_deleted` says.
        onlooker: how a driver is watched whose lock does not show whether it is alive.

    Returns: what did not go as it should after that, one line each.

    Raises:
        SearchConflictError: as `what_is_deleted`.
        HeldError: a driver holds one of them, or, where backups are kept, another member of their group.
        CannotRunError: backups or files cannot be removed.
    """
    rows = what_is_deleted(home, name)
    for row in rows:
        check_name(row.name, MOST_OF_RETRAINING)  # a stranger's journal may hold any, and these become paths
    group, going = group_of(name), {row.name for row in rows}
    kin = [row for row in home.journal.searches() if group_of(row.name) == group]
    stores = {home.store_of(row) for row in kin if home.journal.file is not None}
    remote = [store for store in stores if store.is_remote]
    for row in kin if remote else rows:  # backups are of the whole group
        if home.is_held(row, onlooker):
            raise HeldError(
                f"search {row.name!r} is held by a driver on {row.host} (process {row.pid}), which lives; stop it, or "
                "wait until it ends"
            )
    folders = (name,) if home.members_of(name) else sorted(going)
    with ExitStack() as locks:
        for row in rows:
            _lock(home, row, locks)
        for shelf in (Shelf.of(store, group) for store in remote):
            holder = shelf.holder()
            if holder and not holder.released and not holder.is_known_to(_file(home)):
                see_dead(group, holder, shelf, onlooker)
            shelf.clear()
        for row in kin:
            if row.name not in going:
                _unpublish(home.store_of(row).within(row.name), going)
        try:
            home.journal.delete({row.name: row.term for row in rows})
        except StaleTermError as error:
            raise HeldError(
                f"{name!r} was taken by another driver just now, and stays as it is; stop that first"
            ) from error
        left = [trouble for folder in folders if (trouble := _remove_files(home, rows, folder))]
    return (*left, *_back_up_rest(home, remote, kin, going, group))


def _lock(home: Home, row: SearchRow, locks: ExitStack) -> None:
    """Keep drivers out of a search until `locks` are let go."""
    try:
        lock = home.journal.locks(home.folder_of(row.name), row.name).acquire(row.term + 1)
    except OSError as error:
        raise CannotRunError(
            f"no lock can be kept in {home.folder_of(row.name)} ({error}); see to its permissions"
        ) from error
    if lock is None:
        raise HeldError(f"search {row.name!r} is just being started by another driver; stop that first")
    locks.callback(lock.release, driven=False)


def _unpublish(store: ArtifactStore, going: set[str]) -> None:
    """Remove the winner of a search that stays, whose own folder is `store`, where one of `going` trained it.

    Raises:
        CannotRunError: the store cannot be used.
    """
    try:
        document = json.loads(store.read_bytes(WINNER_DOCUMENT))
    except (FileNotFoundError, ValueError):  # nobody reads what is no JSON
        return
    if isinstance(document, dict) and document.get("retraining") in going:
        store.remove(WINNER_DOCUMENT)  # first: weights alone are no winner
        store.remove(WINNER_WEIGHTS)


def _remove_files(home: Home, rows: Sequence[SearchRow], name: str) -> str | None:
    """Remove the folder `name` from the home, and from wherever `storage.artifacts` of `rows` is; else why some stay."""
    try:
        _remove_folder(home.folder, name)
        for store in {home.store_of(row) for row in rows}:
            if store.is_remote:
                store.within(name).remove_all()
            else:
                _remove_folder(Path(store.url), name)
    except CannotRunError as error:
        return f"{name!r} is out of the journal, but some of its files stay; remove them by hand: {error}"
    return None


def _back_up_rest(
    home: Home, remote: Sequence[ArtifactStore], kin: Sequence[SearchRow], going: set[str], group: str
) -> tuple[str, ...]:
    """A backup of what is left of the group, in place of those that held what is gone; what went wrong."""
    if all(row.name in going for row in kin):
        return ()
    backups = filter(None, (Backup.of(home.journal, store, group) for store in remote))
    return tuple(trouble for backup in backups if (trouble := backup.save(released=True)))


def _file(home: Home) -> Path:
    assert home.journal.file is not None  # noqa: S101 - of a journal on a server no backups are kept
    return home.journal.file


def _remove_folder(root: Path, name: str) -> None:
    """Remove the folder of a search or group below `root`, and its group's where that is left empty; it may be gone. A
    link goes, what it leads to stays.

    Raises:
        CannotRunError: it cannot be removed.
    """
    folder = root / name
    if not os.path.lexists(folder):
        return
    try:
        if folder.is_symlink():
            folder.unlink()
            return
        aside = folder.with_name(f".deleted-{token_hex(4)}")
        folder.rename(aside)  # at once: its name may be used again
        shutil.rmtree(aside)
    except OSError as error:
        raise CannotRunError(
            f"{error.filename or folder} cannot be removed ({error.strerror}); see to its permissions"
        ) from error
    if folder.parent != root:
        with suppress(OSError):  # others are in it
            folder.parent.rmdir()
