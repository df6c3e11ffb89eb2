"""Who belongs to a group: the searches whose names begin with `GROUP/`, but for retrainings, which belong to their parent."""

import re
from collections.abc import Sequence

from evosearch.storage.rows import SearchRow

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
