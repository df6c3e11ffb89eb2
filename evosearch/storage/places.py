"""What a user writes for a place, a path or a URL; what is neither must not become a folder of that name."""

import re
from pathlib import Path

from evosearch.errors import InputError
from evosearch.storage.passwords import SCHEMES

_SLIP = re.compile(rf"\s*$|://|[^/]*:/*$|[a-z][a-z0-9+.-]*:/(?!/)|{SCHEMES}:(?!//)", re.IGNORECASE)


def is_place(text: str) -> bool:
    """Whether `text` can be a path or a URL: it is not blank, nor a URL that lacks a slash, its scheme or its rest."""
    return not _SLIP.match(text)


def user_path(text: str) -> Path:
    """The path `text`, with `~` as a shell reads it.

    Raises:
        InputError: it begins with `~NAME`, and no user has that name.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"{text!r} begins with a user that is not known here; write the folder out"
        ) from error


def files_folder(journal: Path) -> Path:
    """The folder that holds a folder for each search of the SQLite file `journal`: of locks, pictures and weights."""
    return journal.parent if journal.name == "journal.db" else journal.with_name(f"{journal.name}.files")
