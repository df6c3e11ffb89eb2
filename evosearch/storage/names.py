"""What a search may be called, since its name becomes a folder, and which searches its name groups it with."""

import re
from collections.abc import Sequence

from evosearch.errors import InputError
from evosearch.storage.journal.rows import SearchRow

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")

_KEPT = re.compile(r"final|journal|(lock|released)-\d+|evolution\.(png|part)")
"""What a search's own folder holds, where a member of a group would be."""

_OF_RETRAININGS = re.compile(r"[^/]+/((.+-)?final-\d+|checkpoints|features)")
"""What retrainings are called, where a search keeps its checkpoints, and a group its features."""

MOST = 100
"""Characters of a name that a user gives."""

MOST_OF_RETRAINING = 120
"""It has its search's name, and says for how many epochs."""


WINNER_WEIGHTS, WINNER_DOCUMENT = "winner.safetensors", "winner.json"
"""What a search's own folder holds of the network that was best of all its retrainings."""


def check_name(name: str, most: int = MOST) -> str:
    """Return `name` where it can name a search: `digits`, or `digits/seed-3` for a member of a group.

    `most`: characters that it may have.

    Raises:
        InputError: it has other characters than A-Z a-z 0-9 . _ -, more than one '/', a segment that is empty
            or begins with '.', two dots in a row, or more than `most` characters; or it is what the home calls its
            cache, its journal, or a search's final weights, locks and backups.
    """
    segments = name.split("/")
    if segments[0] == "cache" or segments[0].startswith("journal.db") or _KEPT.fullmatch(segments[-1]):
        raise InputError(
            f"{name!r} cannot name a search: the home keeps something else under that name; take another"
        )
    fits = len(name) <= most and len(segments) <= 2 and ".." not in name
    if fits and all(_SEGMENT.fullmatch(segment) for segment in segments):
        return name
    raise InputError(
        f"{name!r} cannot name a search: use up to {most} letters, digits, '.', '_' and '-', not beginning with "
        "'.' and without '..'; a group and its member are written group/member"
    )


def check_new_name(name: str) -> None:
    """See that a user's new search may have this name; `check_name` is what every name was always held to.

    Raises:
        InputError: it is too long, or a retraining of another search would be called so, or the folder of its checkpoints or
            features.
    """
    check_name(name)
    if _OF_RETRAININGS.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name a search: retrainings of {name.partition('/')[0]!r}, its checkpoints or features are called "
            "so; "
            "take another"
        )


_RETRAINING = re.compile(r".+[/-]final-\d+")


def group_of(name: str) -> str:
    """The group that a search belongs to; one that belongs to none is its own."""
    return name.partition("/")[0]


def resumed_as(name: str) -> str:
    """What `resume` is given to go on with a search: its group, or a retraining's own name.

    >>> resumed_as("digits/seed-3"), resumed_as("digits/seed-3-final-20")
    ('digits', 'digits/seed-3-final-20')
    """
    return name if _RETRAINING.fullmatch(name) else group_of(name)


def members_of(name: str, rows: Sequence[SearchRow]) -> tuple[SearchRow, ...]:
    """The members of the group `name` among all searches of a home, `seed-2` before `seed-10`.

    Returns: nothing where `name` is a search or unknown; the name of a search is never that of a group.
    """
    if any(row.name == name for row in rows):
        return ()
    return tuple(
        sorted((row for row in rows if row.parent is None and row.name.startswith(f"{name}/")), key=_natural)
    )


def _natural(row: SearchRow) -> tuple[tuple[str, int], ...]:
    """Words and numbers of the name in turn, the numbers by size."""
    return tuple((words, int(digits or -1)) for words, digits in re.findall(r"(\D*)(\d*)", row.name))
