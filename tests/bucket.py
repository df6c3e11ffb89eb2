"""A remote store for tests, whose files outlive a process: `bucket:///FOLDER` keeps them in a folder of this machine."""

from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem


class BucketFileSystem(LocalFileSystem):
    """To fsspec, and so to evosearch, it is a protocol of its own."""

    protocol = "bucket"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return LocalFileSystem._strip_protocol(str(path).removeprefix("bucket://"))


fsspec.register_implementation("bucket", BucketFileSystem, clobber=True)


def make_bucket(folder: Path) -> str:
    """The URL of a store in `folder`."""
    return f"bucket://{folder}/bucket"
