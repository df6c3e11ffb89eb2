"""Several sources as one: joined split by split, with one shape and one set of classes."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from evosearch.data.arrays import Split
from evosearch.data.folders import counted
from evosearch.data.gathering import Gathered
from evosearch.data.headers import Headers, join_headers
from evosearch.data.listing import SPLITS, Item, Listing, SplitName
from evosearch.data.memory import check_memory
from evosearch.data.reading import DecodedFiles
from evosearch.data.settings import ImageKeys, Places
from evosearch.data.source import DataSettings
from evosearch.errors import ConfigError, DataError

Part = TypeVar("Part", bound=DataSettings)

_SHAPE = ("image_size", "channels")
_OF_ALL = ("positive", "neutral", "exclude_twins")


@dataclass(frozen=True)
class UnionSettings(ImageKeys, Generic[Part]):
    """Several sources as one, joined split by split; the names of images begin with that of their part. Each field is a key
    under `data`.
    """

    name: Literal["union"] = "union"
    """Which source."""
    parts: Mapping[str, Part] = field(kw_only=True)
    """At least two sources, each under a name of its own and with its own keys, but for those that the union has: image_size,
    channels, positive, neutral and exclude_twins."""
    classes: Mapping[str, Mapping[str, str]] = field(default_factory=dict, kw_only=True)
    """Of parts whose classes are called otherwise: what each is called here, {part: {its class: class}}. What is not in it
    keeps its name; afterwards all parts have equal classes, in the order of the first part."""
    neutral: bool = field(default=False, kw_only=True)
    """As of sources of files, for all parts at once: all are brought to the shortest side of any file. Every part has files."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.parts) < 2:
            raise ConfigError(
                f"data.parts has {counted(len(self.parts), 'part')}; a union is of at least two: add one, or take it alone"
            )
        for name, part in self.parts.items():
            if not re.fullmatch(r"\w[\w.-]*", name):
                raise ConfigError(
                    f"data.parts has a part called {name!r}; images' names begin with it: take letters, digits, '_', '-' and '.'"
                )
            self._check_part(f"data.parts.{name}", part)
        for name in self.classes:
            if name not in self.parts:
                raise ConfigError(f"data.classes.{name} is of no part; parts are {', '.join(self.parts)}")

    def _check_part(self, key: str, part: Part) -> None:
        if isinstance(part, UnionSettings):
            raise ConfigError(f"{key}.name is 'union'; a part is no union itself: put its parts here")
        known = {one.name for one in fields(part)}
        if lacking := [one for one in _SHAPE if one not in known]:
            raise ConfigError(
                f"{key}.name is {part.name!r}, a source without the key {lacking[0]}, so that it cannot be given the union's "
                "shape; leave the part out"
            )
        here = (self.image.height, self.image.channels)
        for one, shared in zip(_SHAPE, here, strict=True):
            if (given := getattr(part, one)) not in (None, shared):
                raise ConfigError(
                    f"{key}.{one} is {given}, but the union's is {shared}; leave it out there and set data.{one}"
                )
        for one in _OF_ALL:
            given = getattr(part, one, None)
            if given is not None and given is not False:  # 0 is a class
                raise ConfigError(f"{key}.{one} is {given}; it is a key of the whole: set data.{one}")
        if self.neutral and "neutral" not in known:
            raise ConfigError(
                f"data.neutral is true, but the part {key!r} is of {part.name!r}, which has no image files; leave out one of both"
            )

    def read(self, places: Places) -> Gathered:
        """All images of all parts."""
        read = {name: self._read_part(name, places) for name in self.parts}
        sides = {one.neutral_side for one in read.values() if one.neutral_side}
        if len(sides) > 1:  # sharper ones are read again, no sharper than the others
            common = replace(places, neutral_side=min(sides))
            read = {
                name: one if one.neutral_side == min(sides) else self._read_part(name, common)
                for name, one in read.items()
            }
        classes, numbers = self._common_classes({name: one.listing.classes for name, one in read.items()})
        check_memory(sum(map(_count, read.values())), self.image, places.memory, copies=1)
        arrays = {
            split: _joined([(one.arrays[split], numbers[n]) for n, one in read.items()]) for split in SPLITS
        }
        window, note = _window({name: one.window for name, one in read.items()})
        listing = _listing({name: one.listing for name, one in read.items()}, classes, numbers)
        found = (*_shared_notes(listing, arrays), *note)
        return Gathered(
            replace(listing, notes=(*listing.notes, *found)),
            arrays,
            files=_files({name: one.files for name, one in read.items()}),
            window=window,
            neutral_side=min(sides, default=None),
            test_parts=tuple((name, len(one.arrays["test"])) for name, one in read.items()),
            headers=_headers([one.headers for one in read.values()]),
        )

    def _read_part(self, name: str, places: Places) -> Gathered:
        """A part in the union's shape, without the pixels that its arrays repeat."""
        given: dict[str, Any] = {"image_size": self.image.height, "channels": self.image.channels}
        if self.neutral:
            given["neutral"] = True
        part = self.parts[name]
        try:
            read = replace(part, **given).read(places)
        except ConfigError as error:
            words = str(error)
            of_key = words.startswith("data.")
            raise ConfigError(
                f"data.parts.{name}{words.removeprefix('data') if of_key else f': {words}'}"
            ) from error
        except DataError as error:
            raise DataError(f"data.parts.{name}: {error}", error.problems) from error
        if read.files is None:
            return read
        return replace(
            read, files=replace(read.files, images=np.zeros((0, *read.files.images.shape[1:]), np.uint8))
        )

    def _common_classes(
        self, own: Mapping[str, tuple[str, ...]]
    ) -> tuple[tuple[str, ...], Mapping[str, tuple[int, ...]]]:
        """The classes of the union, and, by part, the number there of each class of the part.

        Raises:
            ConfigError: they differ.
        """
        called = {}
        for name, classes in own.items():
            names = self.classes.get(name, {})
            if unknown := [one for one in names if one not in classes]:
                raise ConfigError(
                    f"data.classes.{name} names {unknown[0]!r}, but the classes of that part are {_listed(classes)}"
                )
            called[name] = tuple(names.get(one, one) for one in classes)
        first, *others = called
        union = tuple(dict.fromkeys(called[first]))
        for other in others:
            if set(called[other]) != set(union):
                raise _different(first, union, other, tuple(dict.fromkeys(called[other])))
        if len(union) < 2 <= len(own[first]):
            raise ConfigError(
                f"data.classes makes all classes one, {union[0]!r}; a classifier needs at least two: leave one its name"
            )
        return union, {name: tuple(map(union.index, names)) for name, names in called.items()}


def sources_in(settings: DataSettings) -> tuple[DataSettings, ...]:
    """The source itself, and of a union its parts too."""
    parts: Mapping[str, DataSettings] = settings.parts if isinstance(settings, UnionSettings) else {}
    return (settings, *parts.values())


def _different(first: str, classes: tuple[str, ...], other: str, others: tuple[str, ...]) -> ConfigError:
    lacking, further = (
        [one for one in mine if one not in theirs] for mine, theirs in ((classes, others), (others, classes))
    )
    repair = (
        f"say in data.classes which is which, as in {{{other}: {{{further[0]}: {lacking[0]}}}}}"
        if lacking and further
        else "every part needs an image of each class: leave the part out, or the class"
    )
    return ConfigError(
        f"data.parts have different classes: {first} has {_listed(classes)}, {other} has {_listed(others)}; {repair}"
    )


def _listed(classes: tuple[str, ...]) -> str:
    more = f", … ({len(classes)})" if len(classes) > 10 else ""
    return ", ".join(map(repr, classes[:10])) + more


def _count(read: Gathered) -> int:
    return sum(len(split) for split in read.arrays.values())


def _joined(splits: list[tuple[Split, tuple[int, ...]]]) -> Split:
    """The images of all parts, one part after the other, with the union's class numbers."""
    return Split(
        np.concatenate([split.images for split, _ in splits]),
        np.concatenate([np.array(numbers, np.int64)[split.labels] for split, numbers in splits]),
    )


def _listing(
    read: Mapping[str, Listing], classes: tuple[str, ...], numbers: Mapping[str, tuple[int, ...]]
) -> Listing:
    """All that the parts list, each name and each line with the part's name before it."""
    every = list(read.items())
    grouped = any(listing.groups is not None for listing in read.values())
    return Listing(
        classes,
        {
            split: tuple(
                Item(f"{name}/{item.name}", numbers[name][item.label])
                for name, listing in every
                for item in listing.splits[split]
            )
            for split in SPLITS
        },
        tuple(replace(bad, name=f"{name}/{bad.name}") for name, listing in every for bad in listing.bad),
        tuple(f"{name}: {note}" for name, listing in every for note in listing.notes),
        tuple(f"{name}: {line}" for name, listing in every for line in listing.repeats),
        tuple(f"{name}: {line}" for name, listing in every for line in listing.objections),
        dict(sum((Counter(listing.ignored) for listing in read.values()), Counter[str]())),
        dict(pair for name, listing in every for pair in _groups(name, listing)) if grouped else None,
    )


def _groups(part: str, listing: Listing) -> Iterator[tuple[str, str]]:
    """Each image with its group, which is of its part; where a part has none, each image is one."""
    for name in listing.names:
        yield f"{part}/{name}", f"{part}/{name if listing.groups is None else listing.groups[name]}"


def _window(
    windows: Mapping[str, tuple[float, float] | None],
) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """That of the parts with deep pictures; None, and a note, where these have different ones."""
    deep = {name: window for name, window in windows.items() if window is not None}
    if len(set(deep.values())) < 2:
        return next(iter(deep.values()), None), ()
    told = ", ".join(f"{low:g} to {high:g} of {name}" for name, (low, high) in deep.items())
    return None, (
        f"deep pictures are scaled otherwise in each part ({told}), and a trained network takes deep pictures over the full range: "
        "one `data.parts.NAME.window` for all makes them alike",
    )


def _files(read: Mapping[str, DecodedFiles | None]) -> DecodedFiles | None:
    """What was read of all files, part after part and without pixels; None where a part has none."""
    files = [one for one in read.values() if one is not None]
    if len(files) < len(read):
        return None
    deep = next((one for one in files if one.scale is not None), files[0])
    per_file = [one.name for one in fields(DecodedFiles) if one.name not in ("window", "side")]
    joined = {name: np.concatenate([getattr(one, name) for one in files]) for name in per_file}
    return DecodedFiles(**joined, window=deep.window, side=files[0].side)


def _headers(
    parts: Sequence[Mapping[SplitName, Headers] | None],
) -> Mapping[SplitName, Headers] | None:
    """Of all files, in the order of the arrays; None where the images of a part are no files."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return {split: join_headers([part[split] for part in known]) for split in SPLITS}


def _shared_notes(listing: Listing, arrays: Mapping[SplitName, Split]) -> tuple[str, ...]:
    """About equal pictures that several parts have, in whatever splits."""
    first: dict[bytes, str] = {}
    shared = []
    for split in SPLITS:
        for item, image in zip(listing.splits[split], arrays[split].images, strict=True):
            known = first.setdefault(hashlib.sha256(image.tobytes()).digest(), item.name)
            if known.partition("/")[0] != item.name.partition("/")[0]:
                shared.append((known, item.name))
    if not shared:
        return ()
    verb = "is" if len(shared) == 1 else "are"
    return (
        f"{counted(len(shared), 'image')} {verb} in two parts, first {shared[0][0]!r} as {shared[0][1]!r}; they count twice",
    )
