"""What every source is."""

from typing import Any, ClassVar, Protocol

from evosearch.blueprint import ImageShape
from evosearch.data.gathering import Gathered
from evosearch.data.settings import Places


class DataSettings(Protocol):
    """What the settings of a source do besides holding its keys: they know its images' shape, and read it.

    A new source is a file with such a class, a frozen dataclass, and its registration: in `evosearch/data/sources.py`, or as an entry point of the
    group `evosearch.sources`.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """Of the source, in configurations and journals."""
        ...

    @property
    def image(self) -> ImageShape:
        """Shape of every image, known before any is read."""
        ...

    def read(self, places: Places) -> Gathered:
        """Everything that the source holds. Files that cannot be used are named in the listing's `problems`.

        Raises:
            ConfigError: what it names is not there.
            DataError: what is there cannot be understood, or a class is missing from a split.
        """
        ...
