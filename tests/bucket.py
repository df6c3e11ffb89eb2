"""A remote store for tests, whose files outlive a process: `bucket:///FOLDER` keeps them in a folder of this machine."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem


class BucketFileSystem(LocalFileSystem):
    """To fsspec, and so to evosearch, it is a protocol of its own. As in such a store, a file is there whole or not at all."""

    protocol = "bucket"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return LocalFileSystem._strip_protocol(str(path).removeprefix("bucket://"))

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        with self._whole(path) as new:
            new.write_bytes(value)

    def put_file(self, lpath: str, rpath: str, callback: Any = None, **kwargs: Any) -> None:
        with self._whole(rpath) as new:
            shutil.copyfile(lpath, new)

    @contextmanager
    def _whole(self, path: str) -> Iterator[Path]:
        to = Path(self._strip_protocol(path))
        to.parent.mkdir(parents=True, exist_ok=True)
        # beside the bucket, so that nobody finds it there half written
        with NamedTemporaryFile(dir=str(to).partition("/bucket/")[0], delete=False) as made:
            pass
        yield Path(made.name)
        Path(made.name).replace(to)


fsspec.register_implementation("bucket", BucketFileSystem, clobber=True)


def make_bucket(folder: Path) -> str:
    """The URL of a store in `folder`."""
    return f"bucket://{folder}/bucket"
