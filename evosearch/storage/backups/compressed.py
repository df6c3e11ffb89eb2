"""Journals compressed by xz: written once, whole, and only read from then on."""

import lzma
from contextlib import suppress
from pathlib import Path
from shutil import copyfileobj

from evosearch.errors import CannotRunError, JournalError
from evosearch.permissions import new_file

SUFFIX = ".xz"
"""What the name of a compressed journal ends with."""

MOST_BYTES = 1 << 30
"""A journal that is longer is none that we compressed: a million evaluations are as much. Else a small file could fill a disk."""

_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 2, "pb": 0}]
"""For texts without alignment, which is most of a journal."""

_PIECE = 1 << 20


def is_compressed(path: Path) -> bool:
    """Whether a journal is compressed, which its name says alone."""
    return path.suffix == SUFFIX


def compress(file: Path, to: Path) -> None:
    """Write the compressed `file` to `to`; equal files become equal ones.

    Raises:
        OSError: it cannot be written.
    """
    new_file(to)
    with file.open("rb") as plain, lzma.open(to, "wb", filters=_FILTERS) as packed:
        copyfileobj(plain, packed, _PIECE)


def decompress(file: Path, to: Path) -> None:
    """Write what the compressed `file` holds to `to`.

    Raises:
        JournalError: it is not there, cannot be read, was not compressed by xz, is damaged or cut off, or too long.
        CannotRunError: there is no room for it.
    """
    try:
        with lzma.open(file) as packed:
            packed.peek(1)  # else what hinders reading would look like what hinders writing
            _write(file, packed, to)
    except lzma.LZMAError as error:
        told = f"{file} is damaged, or not compressed by xz ({error})"
        raise JournalError(f"{told}; bring it back from a copy") from error
    except EOFError as error:
        raise JournalError(
            f"{file} is cut off: it ends before its journal does; bring it back from a copy"
        ) from error
    except OSError as error:
        raise JournalError(
            f"{file} cannot be read as a compressed journal ({error.strerror}); name another file"
        ) from error


def _write(file: Path, packed: lzma.LZMAFile, to: Path) -> None:
    written = 0
    try:
        new_file(to)
        plain = to.open("wb")
    except OSError as error:
        raise _no_room(file, to, error) from error
    with plain:
        while piece := packed.read(_PIECE):
            written += len(piece)
            if written > MOST_BYTES:
                raise JournalError(
                    f"{file} holds more than {MOST_BYTES:,} bytes, so it is no journal that evosearch compressed; "
                    "name another file"
                )
            try:
                plain.write(piece)
            except OSError as error:
                with suppress(OSError):
                    plain.close()
                raise _no_room(file, to, error) from error


def _no_room(file: Path, to: Path, error: OSError) -> CannotRunError:
    return CannotRunError(
        f"{file} cannot be decompressed in {to.parent} ({error.strerror}); make room there, or set TMPDIR to another folder"
    )
