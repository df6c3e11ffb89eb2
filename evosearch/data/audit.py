"""The audit: what an honest person would want to know of data before believing any figure on them, and its words.

Nothing is left out of the data because of it. It is kept under the data's hash, so that it is made once.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from evosearch.data.arrays import Dataset
from evosearch.data.caveats import caveats_of
from evosearch.data.findings import Findings, Repeated, ShareShift, find_all, with_pixels
from evosearch.data.shortcuts import SplitShift
from evosearch.data.twins import Twin
from evosearch.permissions import whole_file

AUDIT_VERSION = 1
"""Part of each kept audit's name: raise it whenever one could find, weigh or word anything else. What a later version
only adds is None in an older one's, and added by `audit_data`."""
QUICK = 10_000
"""So many images are audited by whoever begins a search with them, which takes seconds; of more, only what is kept is told."""


@dataclass(frozen=True)
class Audit(Findings):
    """What was found, and what that means."""

    caveats: tuple[str, ...]
    """One plain sentence for each kind of thing that was found, the worst first."""
    unsaid: tuple[str, ...]
    """Those that nobody says who only loads the data."""

    def to_json(self) -> dict[str, Any]:
        """As JSON values; twins and repeated pictures have their fields as keys."""
        return asdict(self) | {
            name: [one._asdict() for one in getattr(self, name)] for name in (*_TWINS, *_REPEATED)
        }


_TWINS, _REPEATED = ("twins", "conflicts"), ("constant_images", "repeated")


def audit_data(dataset: Dataset, cache: Path | None) -> Audit:
    """The whole audit of `dataset`, from the folder `cache` where it is kept there, else kept there; None: it is made anew. To one
    that lacks statistics of the pixels (`first_look`'s, or an older version's) they are added.
    """
    kept = kept_audit(dataset, cache)
    if kept is not None and kept.pixels_validation is not None:
        return kept
    return _made(with_pixels(kept or find_all(dataset), dataset), dataset, cache)


def _made(found: Findings, dataset: Dataset, cache: Path | None) -> Audit:
    every = caveats_of(found)
    made = Audit(
        **{one.name: getattr(found, one.name) for one in fields(Findings)},
        caveats=tuple(one.text for one in every),
        unsaid=tuple(one.text for one in every if not one.noted),
    )
    if cache is not None:
        _keep(made, cache / _file_name(dataset))
    return made


def kept_audit(dataset: Dataset, cache: Path | None) -> Audit | None:
    """The audit of `dataset` that is in the folder `cache`; None: there is none, or a broken one."""
    if cache is None:
        return None
    try:
        return audit_from_json(json.loads((cache / _file_name(dataset)).read_bytes()))
    except (OSError, ValueError, TypeError, KeyError):  # absent, or broken in whatever way: it is made again
        return None


def first_look(dataset: Dataset, cache: Path | None, most: int = 2) -> tuple[str, ...]:
    """The `most` worst caveats that loading the data does not tell, for whoever begins a search, and how many more there are;
    nothing where there are none. Statistics of the pixels are neither made nor told: they tell the classes of most pictures a
    little, and of ten thousand of these it takes seconds more. Of more than `QUICK` images whose audit is not kept: which command makes it.
    """
    known = kept_audit(dataset, cache)
    count = sum(len(split) for split in (dataset.train, dataset.validation, dataset.test))
    if known is None and count > QUICK:
        return (f"{count:,} images are not audited yet; `evosearch data CONFIG` does so, once",)
    unsaid = (known or _made(find_all(dataset), dataset, cache)).unsaid
    more = len(unsaid) - most
    return (*unsaid[:most], *([f"`evosearch data CONFIG` has {more} more to say"] if more > 0 else []))


def audit_from_json(found: dict[str, Any]) -> Audit:
    """What `to_json` made, of this version or of one that knew no statistics of the pixels.

    Raises:
        KeyError: a field is missing.
        TypeError: a field is no such value, or there are others.
    """
    found = {"pixels_validation": None, "pixels_chance": None} | found
    made = {one.name: found[one.name] for one in fields(Audit)}
    made |= {name: tuple(Twin(**one) for one in found[name]) for name in _TWINS}
    made |= {name: tuple(Repeated(**one) for one in found[name]) for name in _REPEATED}
    made["share_shift"] = tuple(ShareShift(**one) for one in found["share_shift"])
    made["split_shift"] = tuple(SplitShift(**one) for one in found["split_shift"])
    return Audit(**made | {name: tuple(found[name]) for name in ("caveats", "unsaid")})


def _file_name(dataset: Dataset) -> str:
    """By everything that an audit depends on: pixels and labels, names, headers."""
    digest = hashlib.sha256(repr((AUDIT_VERSION, dataset.key, sorted(dataset.names.items()))).encode())
    for split, headers in sorted((dataset.headers or {}).items()):
        said = (split, headers.formats.tolist(), headers.modes.tolist(), headers.sizes.tolist())
        digest.update(repr(said).encode())
    return f"audit-{digest.hexdigest()[:20]}.json"


def _keep(made: Audit, path: Path) -> None:
    """Write by rename, so that no reader ever sees half a file; a full or read-only disk costs only the next one's time."""
    with suppress(OSError), whole_file(path) as unfinished:
        unfinished.write_text(json.dumps(made.to_json()))
