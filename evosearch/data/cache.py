"""Decoded images kept between runs, under the hash of the files they came from.

A cache file is an .npz without pickles, written whole or not at all; one that is broken is made again.
"""

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from evosearch.data.decoding import DECODE_VERSION
from evosearch.data.reading import DecodedFiles, Decoding, decode_files
from evosearch.permissions import is_open, narrow, whole_file


def decode_cached(
    root: Path, names: Sequence[str], how: Decoding, cache: Path | None
) -> tuple[DecodedFiles, Mapping[str, str]]:
    """As `decode_files`, but from the folder `cache` where it holds these files' content; else kept there.

    What has bad files is not kept: they are about to be replaced.
    """
    if cache is None:
        return decode_files(root, names, how)
    try:
        path = cache / f"images-{_content_hash(root, names, how)}.npz"
    except OSError:  # a file that cannot be read; decoding names it
        return decode_files(root, names, how)
    kept = _load(path, (len(names), how.shape.channels, how.shape.height, how.shape.width))
    if kept is not None:
        if not is_open(root, names):  # one that an earlier version left readable
            narrow(path)
        return kept, {}
    decoded, bad = decode_files(root, names, how)
    if not bad:
        _store(path, decoded)
    return decoded, bad


def _content_hash(root: Path, names: Sequence[str], how: Decoding) -> str:
    scaled_by = sorted(how.scale_from) if how.window == "auto" else []
    neutral = (("neutral", how.side),) if how.neutral else ()
    described = (DECODE_VERSION, how.shape, how.max_pixels, how.window, scaled_by, *neutral)
    digest = hashlib.sha256(repr(described).encode())
    for name in names:
        with (root / name).open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{name!r} {content}\n".encode())
    return digest.hexdigest()[:20]


def _load(path: Path, shape: tuple[int, ...]) -> DecodedFiles | None:
    try:
        # The zip format checks every array's CRC; np.load refuses pickles unless told otherwise.
        with path.open("rb") as stream, np.load(stream) as file:
            kept = DecodedFiles(**{one.name: file[one.name] for one in fields(DecodedFiles)})
    except Exception:  # absent or broken in whatever way: it is made again
        return None
    return kept if kept.images.shape == shape and kept.images.dtype == np.uint8 else None


def _store(path: Path, decoded: DecodedFiles) -> None:
    """Write by rename, so that no reader ever sees half a file; a full or read-only disk costs only the cache."""
    with contextlib.suppress(OSError):
        arrays: dict[str, Any] = {one.name: getattr(decoded, one.name) for one in fields(decoded)}
        with whole_file(path) as unfinished, unfinished.open("wb") as file:
            np.savez(file, **arrays)
