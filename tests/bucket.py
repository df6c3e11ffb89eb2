"""A remote store for tests, whose files outlive a process: `bucket:///FOLDER` keeps them in a folder of this machine."""

from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem


class BucketFileSystem(LocalFileSystem):
    """To fsspec, and so to evosearch, it is a protocol of its own."""

    protocol = "bucket"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("bucket://"))


def make_bucket(folder: Path) -> str:
    """The URL of a store in `folder`."""
    fsspec.register_implementation("bucket", BucketFileSystem, clobber=True)
    return f"bucket://{folder}/bucket"
