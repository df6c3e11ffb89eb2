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


@dataclass(frozen=True)
class ImageKeys:
    """What every source of ours has: the shape to which its images are brought."""

    name: str = ""
    """Which source."""
    image_size: int | None = None
    """Side in pixels to which every image is brought, 4 to 4096. null: 8 for digits, 224 for the others."""
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
class FileKeys(ImageKeys):
    """Of a source whose images are files below a folder."""

    root: str = field(kw_only=True)
    """Folder of the images; a relative one is looked for in `beside`, then in the working directory, under $EVOSEARCH_DATA,
    and under ./data."""
    beside: str | None = field(default=None, metadata={"absent": None})
    """Where a relative root is looked for first. Left out: the folder of the configuration file. null: nowhere, and in the
    working directory last."""
    follow_links: bool = False
    """Whether symbolic links are followed that lead out of the root; false: they are refused."""
    max_image_pixels: int = 64_000_000
    """An image file with more pixels (width times height, from its header) is refused before it is decoded."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.root:
            raise ConfigError("data.root is empty; name the folder of the images")
        if not 1 <= self.max_image_pixels <= PILLOW_LIMIT:
            raise ConfigError(
                f"data.max_image_pixels is {self.max_image_pixels}; it must lie between 1 and {PILLOW_LIMIT}"
            )


@dataclass(frozen=True)
class CutKeys(ImageKeys):
    """Of a source that lacks splits: how they are cut."""

    test_fraction: float = 0.2
    """Share of the images cut off as test split where the source has none; above 0, below 1."""
    validation_fraction: float = 0.2
    """Share of what is left after that cut off as validation split where the source has none."""
    split_seed: int = 0
    """Seed of these cuts, from 0; never the seed of the search, so that all searches see the same splits."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("test_fraction", "validation_fraction"):
            if not 0 < getattr(self, key) < 1:
                raise ConfigError(f"data.{key} is {getattr(self, key)}; it must lie between 0 and 1")
        if self.split_seed < 0:
            raise ConfigError(f"data.split_seed is {self.split_seed}; it must be at least 0")


def locate_root(root: str, beside: str | None, places: Places) -> Path:
    """Absolute folder that `data.root` means: the first that is there of those that `FileKeys.root` names.

    A leading `~/` is the home folder.

    Raises:
        ConfigError: none is there; all that were tried are named.
    """
    stored = _expanded(places.env.get("EVOSEARCH_DATA") or "", places.env)
    folders = [places.cwd / stored, places.cwd / "data"] if stored else [places.cwd / "data"]
    # a search that began before there was `beside` finds what it found then
    folders = [*folders, places.cwd] if beside is None else [places.cwd / beside, places.cwd, *folders]
    tried = list(dict.fromkeys(folder / _expanded(root, places.env) for folder in folders))
    for place in tried:
        if place.is_dir():
            return place.resolve()
    raise ConfigError(
        f"data.root is {root!r}, but there is no such folder; tried {', '.join(repr(str(one)) for one in tried)}; set "
        "EVOSEARCH_DATA to the folder that holds it, or write an absolute path"
    )


def _expanded(path: str, env: Mapping[str, str]) -> str:
    return f"{env['HOME']}/{path[2:]}" if path.startswith("~/") and "HOME" in env else path
