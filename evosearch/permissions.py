"""Who may read what evosearch writes: its user alone.

Pictures of patients, and what was learned from them, must not become readable to others on the way through a cache or
a journal, whatever the umask is. One thing is respected: a folder that was given to a group on purpose, by its
set-group-id bit and the right to write (`chmod g+ws`), stays the group's.

What is there is left as it is; `narrow` is for the one exception, copies of files that are protected themselves.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from secrets import token_hex

UNFINISHED = ".part"
"""What the name of a file ends with that is not written to its end."""

_SHARED = stat.S_ISGID | stat.S_IWGRP


def file_mode(folder: Path) -> int:
    """The mode of a new file in `folder`."""
    return 0o660 if _is_shared(folder) else 0o600


def make_folder(folder: Path) -> None:
    """Make `folder`, and those above it that are missing; it may be there.

    Raises:
        OSError: it cannot be made.
    """
    missing = list(takewhile(lambda one: not one.exists(), (folder, *folder.parents)))
    for one in reversed(missing):
        with suppress(FileExistsError):  # another process was first
            one.mkdir(0o770 if _is_shared(one.parent) else 0o700)
    folder.mkdir(exist_ok=True)  # refused where a file has its name


def new_file(file: Path) -> None:
    """Make the empty `file`, for a writer that would choose the mode itself; one that is there is left as it is.

    Raises:
        OSError: it cannot be made.
    """
    os.close(os.open(file, os.O_CREAT | os.O_WRONLY, file_mode(file.parent)))


@contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """A path to write to, beside `file` and the writer's own; once that is done it becomes `file`, so that a reader sees the whole
    of it or what was there before, and of two writers the last one's stands. Folders that are missing are made.

    Raises:
        OSError: it cannot be made.
    """
    make_folder(file.parent)
    unfinished = file.with_name(f".{file.name}.{token_hex(8)}{UNFINISHED}")
    try:
        new_file(unfinished)
        yield unfinished
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def narrow(file: Path) -> None:
    """Take from everybody but the user the right to `file`, as far as this process may."""
    with suppress(OSError):  # another user's, or a file system without modes
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            file.chmod(mode & 0o700)


def is_open(folder: Path, names: Iterable[str]) -> bool:
    """Whether every user of this machine can read the files `names` in `folder`."""
    root = folder.resolve()
    try:
        return (
            all(one.stat().st_mode & stat.S_IXOTH for one in (root, *root.parents))
            and all((root / name).parent.stat().st_mode & stat.S_IXOTH for name in names)
            and all((root / name).stat().st_mode & stat.S_IROTH for name in names)
        )
    except OSError:
        return False


def _is_shared(folder: Path) -> bool:
    with suppress(OSError):
        return folder.stat().st_mode & _SHARED == _SHARED
    return False
