"""What a user writes for a place, a path or a URL, and the passwords inside URLs: used to connect, never shown or journaled."""

import re
from pathlib import Path

from evosearch.errors import InputError

SCHEMES = r"(?:postgres(?:ql)?|mysql|sqlite|s3a?|gs|gcs|az|abfss?|hdfs|https?|s?ftp|ssh|file|local|memory)(?:\+\w+)?"
"""A pattern of the schemes that somebody may mean who forgets the slashes behind them."""

_HEAD = (
    rf"(?:\b[a-z][a-z0-9+.-]*:/{{1,2}}|\b{SCHEMES}:|://)"  # a slash too few must not show a password either
)
_URL = re.compile(_HEAD, re.IGNORECASE)
_OF_USER = re.compile(rf"({_HEAD}[^/?#:@]*):.*@", re.IGNORECASE)
_AS_QUERY = re.compile(r"(?<=[?&])(?:\w*(?:password|passwd|secret|token))=[^&]*&?", re.IGNORECASE)


def without_password(text: str) -> str:
    """`text`, a URL or what ends with one, without the passwords in it; any other, a path for instance, stays as it is.

    What is left still names the place: PostgreSQL finds a password in PGPASSWORD or ~/.pgpass.
    """
    return _AS_QUERY.sub("", _OF_USER.sub(r"\1@", text)).rstrip("?&") if _URL.search(text) else text


_SLIP = re.compile(rf"\s*$|://|[^/]*:/*$|[a-z][a-z0-9+.-]*:/(?!/)|{SCHEMES}:(?!//)", re.IGNORECASE)


def is_place(text: str) -> bool:
    """Whether `text` can be a path or a URL: it is not blank, holds no NUL character, nor is it a URL that lacks a slash,
    its scheme or its rest.
    """
    return "\0" not in text and not _SLIP.match(text)


def user_path(text: str) -> Path:
    """The path `text`, with `~` as a shell reads it.

    Raises:
        InputError: it begins with `~`, and this user has no home folder; or with `~NAME`, and no user has that name.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"{text!r} begins with a user that is not known here; write the folder out"
        ) from error


def user_folder(text: str, meaning: str) -> Path:
    """The folder `text` on this machine, as `user_path`; `meaning`: what names it, for the message.

    Raises:
        InputError: it is a URL, or can name no folder.
    """
    if "://" in text or not is_place(text):
        raise InputError(
            f"{meaning} is {without_password(text)!r}, which is no folder; a journal on a server is named by --storage or "
            "storage.journal"
        )
    return user_path(text)


def real_path(path: Path) -> Path:
    """`path` from the root on, without links, `~` as a shell reads it; nothing need be there.

    Raises:
        InputError: as `user_path`, or its links lead in a circle, or it is not UTF-8, which SQLite and safetensors ask for.
    """
    try:
        found = user_path(str(path)).resolve()
        str(found).encode()
    except RuntimeError as error:  # Python 3.11's word for a circle
        raise InputError(f"{str(path)!r} is a link that leads back to itself; name another place") from error
    except UnicodeEncodeError as error:
        raise InputError(
            f"the path {found} is not UTF-8, so no search can be kept there; name another place"
        ) from error
    return found


def files_folder(journal: Path) -> Path:
    """The folder that holds a folder for each search of the SQLite file `journal`: of locks, pictures and weights."""
    return journal.parent if journal.name == "journal.db" else journal.with_name(f"{journal.name}.files")
