"""Published archives, fetched once: to a file beside the place, checked against the published hash, unpacked, renamed.

Whoever looks sees the whole folder or none of it, whatever dies on the way.
"""

import errno
import hashlib
import http.client
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from evosearch.errors import CannotRunError
from evosearch.permissions import make_folder

PATIENCE = 60.0
"""Seconds without a byte after which a server is given up."""

_CHUNK = 2**20


@dataclass(frozen=True)
class Archive:
    """A .tar.gz archive that its makers publish."""

    url: str
    """Where."""
    sha256: str
    """Of the whole file, in hexadecimal digits."""
    size: int
    """Of the file, in bytes."""
    folder: str
    """What its files are in."""
    files: tuple[str, ...]
    """Names of those that are wanted, in that folder."""


def fetch_archive(archive: Archive, into: Path) -> Path:
    """Fetch an archive and unpack the wanted files. Returns: their folder, `into/archive.folder`.

    Raises:
        CannotRunError: it cannot be had or stored, or is not what was published; nothing is left of it.
    """
    by_hand = f"fetch {archive.url} by other means and unpack it into {str(into)!r}"
    try:
        make_folder(into)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=into) as place:
            packed, unpacked = Path(place, "archive"), Path(place, "unpacked")
            _download(archive, packed)
            _unpack(archive, packed, unpacked)
            return _placed(unpacked / archive.folder, into / archive.folder)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise CannotRunError(f"{archive.url} cannot be unpacked ({error}); {by_hand}") from error
    except HTTPError as error:
        with error:
            raise CannotRunError(
                f"{archive.url} cannot be fetched (status {error.code}, {error.reason}); {by_hand}"
            ) from error
    except (URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise CannotRunError(f"{archive.url} cannot be fetched ({reason}); {by_hand}") from error
    except OSError as error:
        raise CannotRunError(
            f"{archive.url} cannot be stored in {str(into)!r} ({error.strerror or error}); {archive.size:,} bytes and as many "
            "again are needed there for a moment"
        ) from error


def _download(archive: Archive, to: Path) -> None:
    digest, size = hashlib.sha256(), 0
    with urlopen(archive.url, timeout=PATIENCE) as source, to.open("wb") as target:  # noqa: S310 - addresses are ours, not a user's
        while (chunk := source.read(_CHUNK)) and size <= archive.size:
            size += len(chunk)
            digest.update(chunk)
            target.write(chunk)
    if size < archive.size:
        raise ConnectionError(f"it ended after {size:,} of {archive.size:,} bytes")
    if digest.hexdigest() != archive.sha256:
        raise CannotRunError(
            f"{archive.url} is not what was published: its SHA-256 begins with {digest.hexdigest()[:12]}, not with "
            f"{archive.sha256[:12]}; try again later, or fetch it by other means"
        )


def _unpack(archive: Archive, packed: Path, to: Path) -> None:
    """Only the wanted files, as plain files: neither links nor paths of an archive lead anywhere."""
    (to / archive.folder).mkdir(parents=True)
    missing = set(archive.files)
    with tarfile.open(packed, "r:gz") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if path.parent.name == archive.folder and path.name in missing and member.isfile():
                content: IO[bytes] | None = tar.extractfile(member)
                if content is not None:
                    with content, (to / archive.folder / path.name).open("wb") as file:
                        shutil.copyfileobj(content, file)
                    missing.remove(path.name)
    if missing:
        raise tarfile.ReadError(f"{_first(sorted(missing))} not in it")


def _placed(folder: Path, target: Path) -> Path:
    try:
        return folder.rename(target)
    except OSError as error:
        if error.errno in (
            errno.EEXIST,
            errno.ENOTEMPTY,
        ):  # another process was first, and fetched the very same
            return target
        raise


def _first(names: Sequence[str]) -> str:
    return f"{names[0]!r} is" if len(names) == 1 else f"{names[0]!r} and {len(names) - 1} more are"
