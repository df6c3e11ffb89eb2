"""Keys that sources have in common, and where their images are looked for.

The settings of a source are a frozen dataclass that derives from what it needs of these: each field is a key under `data`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from evosearch.blueprint import ImageShape
from evosearch.data.memory import available_memory
from evosearch.errors import ConfigError

PILLOW_LIMIT = 2 * 89_478_485
"""Pixels above which Pillow itself refuses to open an image, whatever we configure."""


@dataclass(frozen=True)
class Places:
    """Where a source may look."""

    env: Mapping[str, str]
    """The environment, for `EVOSEARCH_DATA` and `HOME`."""
    cwd: Path
    """The working directory."""
    cache: Path | None
    """Folder in which decoded images are kept; None: they are not."""
    memory: Callable[[], int | None] = available_memory
    """Bytes that can still be had; None: nobody knows."""
    neutral_side: int | None = None
    """Pixels to which neutral pictures are brought at most; None: to the shortest side of their own source."""


@dataclass(frozen=True)
class ImageKeys:
    """What every source of ours has: the shape to which its images are brought."""

    name: str = ""
    """Which source."""
    image_size: int | None = None
    """Side in pixels to which every image is brought, 4 to 4096. null: 8 for digits, 28 for medmnist, 32 for cifar10 and
    cifar100, 96 for stl10, 224 for the others."""
    channels: int | None = None
    """1 (gray) or 3 (colour). null: 1 for digits, 3 for the others."""
    positive: str | int | None = field(default=None, kw_only=True)
    """Of two classes, the one that precision, recall and F1 are of: its name, or its number from 0. null: the second."""
    exclude_twins: bool = field(default=False, kw_only=True)
    """Whether train loses the images that stand in validation or test too, equal in their pixels or nearly so; it changes the
    data's hash."""

    default_image: ClassVar = ImageShape(3, 224, 224)
    """The shape where neither key is given."""
    never_used: ClassVar[tuple[str, ...]] = ()
    """Keys that the first version took for this source too and never used: journals hold them, and users' files may."""

    def __post_init__(self) -> None:
        if self.image_size is not None and not 4 <= self.image_size <= 4096:
            raise ConfigError(f"data.image_size is {self.image_size}; it must lie between 4 and 4096 pixels")
        if self.channels not in (None, 1, 3):
            raise ConfigError(f"data.channels is {self.channels}; choose 1 (gray) or 3 (colour)")

    @property
    def image(self) -> ImageShape:
        """Shape of every decoded image, known before any is read."""
        default = self.default_image
        return ImageShape(
            self.channels or default.channels,
            self.image_size or default.height,
            self.image_size or default.width,
        )


@dataclass(frozen=True)
class RootKeys(ImageKeys):
    """Of a source whose images are on a disk."""

    root: str = field(kw_only=True)
    """Folder of the images; a relative one is looked for in `beside`, then in the working directory, under $EVOSEARCH_DATA,
    and under ./data."""
    beside: str | None = field(default=None, metadata={"absent": None})
    """Where a relative root is looked for first. Left out: the folder of the configuration file. null: nowhere, and in the
    working directory last."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.root:
            raise ConfigError("data.root is empty; name the folder of the images")


@dataclass(frozen=True)
class FileKeys(RootKeys):
    """Of a source whose images are files below a folder."""

    follow_links: bool = False
    """Whether symbolic links are followed that lead out of the root; false: they are refused."""
    max_image_pixels: int = 64_000_000
    """An image file with more pixels (width times height, from its header) is refused before it is decoded."""
    neutral: bool = False
    """Whether pictures lose what their files may tell of their class: each becomes gray, its centre square, and by averaging
    areas no sharper than the smallest of all (the shortest side of any file), before it is brought to `image_size`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.max_image_pixels <= PILLOW_LIMIT:
            raise ConfigError(
                f"data.max_image_pixels is {self.max_image_pixels}; it must lie between 1 and {PILLOW_LIMIT}"
            )


@dataclass(frozen=True)
class ValidationKeys(ImageKeys):
    """Of a source without a validation split: how it is cut."""

    validation_fraction: float = 0.2
    """Share of the images cut off as validation split where the source has none, of what the test split leaves; above 0,
    below 1."""
    split_seed: int = 0
    """Seed of the cuts, from 0; never the seed of the search, so that all searches see the same splits."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share("validation_fraction", self.validation_fraction)
        if self.split_seed < 0:
            raise ConfigError(f"data.split_seed is {self.split_seed}; it must be at least 0")


@dataclass(frozen=True)
class CutKeys(ValidationKeys):
    """Of a source that lacks splits: how they are cut."""

    test_fraction: float = 0.2
    """Share of the images cut off as test split where the source has none, before the validation split; above 0, below 1."""

    def __post_init__(self) -> None:
        _check_share("test_fraction", self.test_fraction)
        super().__post_init__()


def _check_share(key: str, value: float) -> None:
    if not 0 < value < 1:
        raise ConfigError(f"data.{key} is {value}; it must lie between 0 and 1")


def locate_root(root: str, beside: str | None, places: Places, *, repair: str = "") -> Path:
    """Absolute folder that `data.root` means: the first that is there of those that `RootKeys.root` names.

    A leading `~/` is the home folder. `repair`: what else helps where there is none, said last.

    Raises:
        ConfigError: none is there; all that were tried are named.
    """
    tried = _candidates(root, beside, places)
    for place in tried:
        if place.is_dir():
            return place.resolve()
    for place in tried:
        if place.is_file():
            raise ConfigError(
                f"data.root is {root!r}, but {str(place)!r} is a file; name a folder, as this source wants{repair}"
            )
    raise _not_there(f"data.root is {root!r}, but there is no such folder", tried, repair)


def locate_file(root: str, beside: str | None, places: Places, ending: str) -> Path:
    """As `locate_root`, of a root that is a file whose name has an `ending`.

    Raises:
        ConfigError: there is no such file; all places that were tried are named.
    """
    tried = _candidates(root, beside, places)
    for place in tried:
        if place.is_file():
            return place.resolve()
    for place in tried:
        if place.is_dir():
            raise ConfigError(
                f"data.root is {root!r}, but {str(place)!r} is a folder; name the {ending} file in it"
            )
    raise _not_there(f"data.root is {root!r}, but there is no such file", tried)


def storage_place(root: str, places: Places) -> Path:
    """Where what `data.root` means is put, if it has to be fetched first: under $EVOSEARCH_DATA, else under ./data."""
    return _stored(places) / _expanded(root, places.env)


def _candidates(root: str, beside: str | None, places: Places) -> list[Path]:
    stored = _stored(places)
    folders = list(dict.fromkeys([stored, places.cwd / "data"]))
    # a search that began before there was `beside` finds what it found then
    folders = [*folders, places.cwd] if beside is None else [places.cwd / beside, places.cwd, *folders]
    return list(dict.fromkeys(folder / _expanded(root, places.env) for folder in folders))


def _stored(places: Places) -> Path:
    return places.cwd / (_expanded(places.env.get("EVOSEARCH_DATA") or "", places.env) or "data")


def _not_there(what: str, tried: list[Path], repair: str = "") -> ConfigError:
    if len(tried) == 1:  # wherever it is looked for, an absolute path means the same
        return ConfigError(f"{what} at {str(tried[0])!r}; name one that is there{repair}")
    return ConfigError(
        f"{what}; tried {', '.join(repr(str(one)) for one in tried)}; set EVOSEARCH_DATA to the folder that holds it, or "
        f"write an absolute path{repair}"
    )


def _expanded(path: str, env: Mapping[str, str]) -> str:
    return f"{env['HOME']}/{path[2:]}" if path.startswith("~/") and "HOME" in env else path
