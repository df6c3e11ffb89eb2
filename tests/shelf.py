"""A remote artifact store without a network: `shelf:///folder` is a folder of this machine, known by URL only."""

from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem


class Shelf(LocalFileSystem):
    """A local folder under a scheme of its own."""

    protocol = "shelf"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return LocalFileSystem._strip_protocol(str(path).removeprefix("shelf://"))


fsspec.register_implementation("shelf", Shelf, clobber=True)
