"""The `data` section of a configuration, and where its images are looked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from evosearch.blueprint import ImageShape
from evosearch.errors import ConfigError

SourceName = Literal["digits", "covid_ct", "image_folder"]

PILLOW_LIMIT = 2 * 89_478_485
"""Pixels above which Pillow itself refuses to open an image, whatever we configure."""


@dataclass(frozen=True)
class DataSettings:
    """Which images, at what size, cut how. Each field is a key under `data`."""

    name: SourceName = "digits"
    """digits: scikit-learn's 8 x 8 digits, nothing to download. covid_ct: COVID-CT in its original layout.
    image_folder: one folder of images per class, with or without train, val and test folders above them."""
    root: str | None = None
    """Folder of the images; a relative one is looked for under $EVOSEARCH_DATA, else ./data. digits needs none."""
    image_size: int | None = None
    """Side in pixels to which every image is brought, 4 to 4096. None: 8 for digits, 224 for the others."""
    channels: int | None = None
    """1 (gray) or 3 (colour). None: 1 for digits, 3 for the others."""
    test_fraction: float = 0.2
    """Share of the images cut off as test split where the source has none; above 0, below 1."""
    validation_fraction: float = 0.2
    """Share of what is left after that cut off as validation split where the source has none."""
    split_seed: int = 0
    """Seed of these cuts, from 0; never the seed of the search, so that all searches see the same splits."""
    max_image_pixels: int = 64_000_000
    """An image file with more pixels (width times height, from its header) is refused before it is decoded."""

    def __post_init__(self) -> None:
        if self.name not in get_args(SourceName):
            raise ConfigError(f"data.name is {self.name!r}; choose one of {', '.join(get_args(SourceName))}")
        if self.name != "digits" and not self.root:
            raise ConfigError(f"data.root is missing; {self.name} needs the folder of the images")
        if self.image_size is not None and not 4 <= self.image_size <= 4096:
            raise ConfigError(f"data.image_size is {self.image_size}; it must lie between 4 and 4096 pixels")
        if self.channels not in (None, 1, 3):
            raise ConfigError(f"data.channels is {self.channels}; choose 1 (gray) or 3 (colour)")
        for key in ("test_fraction", "validation_fraction"):
            if not 0 < getattr(self, key) < 1:
                raise ConfigError(f"data.{key} is {getattr(self, key)}; it must lie between 0 and 1")
        if self.split_seed < 0:
            raise ConfigError(f"data.split_seed is {self.split_seed}; it must be at least 0")
        if not 1 <= self.max_image_pixels <= PILLOW_LIMIT:
            raise ConfigError(
                f"data.max_image_pixels is {self.max_image_pixels}; it must lie between 1 and {PILLOW_LIMIT}"
            )

    @property
    def image(self) -> ImageShape:
        """Shape of every decoded image, known before any is read."""
        side = self.image_size or (8 if self.name == "digits" else 224)
        return ImageShape(self.channels or (1 if self.name == "digits" else 3), side, side)


def locate_root(root: str, env: Mapping[str, str], cwd: Path) -> Path:
    """Absolute folder that `data.root` means: under $EVOSEARCH_DATA of `env`, else under `cwd`/data.

    A leading `~/` is the home folder. Raises ConfigError, naming the place looked at, where no folder is.
    """
    if root.startswith("~/") and "HOME" in env:
        root = f"{env['HOME']}/{root[2:]}"
    place = cwd / (env.get("EVOSEARCH_DATA") or "data") / root
    if not place.is_dir():
        raise ConfigError(
            f"data.root is {root!r}, but {str(place)!r} is no folder; "
            "set EVOSEARCH_DATA to the folder that holds it, or write an absolute path"
        )
    return place.resolve()
