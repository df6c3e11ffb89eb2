"""Where pictures, weights and backups are: a folder, or any store that fsspec knows by URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, Self

import fsspec

from evosearch.errors import CannotRunError, InputError
from evosearch.permissions import UNFINISHED, whole_file
from evosearch.storage.urls import is_place, user_path, without_password

_FORMS = "write a folder, or a URL such as s3://bucket/folder"
_WITHOUT_FOLDERS = ("s3:", "s3a:", "gs:", "gcs:", "az:", "abfs:", "abfss:")


@dataclass(frozen=True)
class ArtifactStore:
    """Files by name; a name is a relative path with '/'.

    A file is there in full or not at all: on a local path it gets its name when it is complete, and object
    stores (S3, GCS, Azure) work so themselves. Survives pickling, so that workers may have it too.

    Every method raises `CannotRunError` in one line where the store cannot be used.
    """

    url: str
    """An absolute path, or a URL."""

    @classmethod
    def of(cls, artifacts: str | None, folder: Path) -> Self:
        """The store that `storage.artifacts` names: None: `folder` itself; a path: relative to `folder`; or a URL.

        Raises:
            InputError: no such kind of URL is known, or as `check_artifacts`.
            CannotRunError: it needs a package that is not installed.
        """
        if artifacts is None:
            return cls(str(folder))
        check_artifacts(artifacts)
        protocol, separator, path = artifacts.partition("://")
        if not separator:
            return cls(str(folder / user_path(artifacts)))
        if protocol in {"file", "local"}:
            return cls(str(folder / path))
        _check_protocol(protocol, artifacts)
        return cls(artifacts.rstrip("/"))

    @property
    def is_remote(self) -> bool:
        """Whether it survives the loss of this machine's disk, as far as a URL shows."""
        return "://" in self.url

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return without_password(self.url)

    def within(self, folder: str) -> "ArtifactStore":
        """The store of what is below `folder` in this one, for instance a search's own."""
        return ArtifactStore(f"{self.url}/{folder}")

    def put(self, local: Path, name: str) -> None:
        """Keep a copy of the file `local` as `name`, in place of what is there.

        Raises:
            FileNotFoundError: there is no file `local`.
        """
        if not local.is_file():
            raise FileNotFoundError(str(local))
        self._write(name, lambda system, path: system.put_file(str(local), path))

    def write_bytes(self, name: str, data: bytes) -> None:
        """Keep `data` as `name`, in place of what is there."""
        self._write(name, lambda system, path: system.pipe_file(path, data))

    def get(self, name: str, local: Path) -> None:
        """Copy the file `name` to `local`.

        Raises:
            FileNotFoundError: there is none.
        """
        with self._explained():
            system, path = self._at(name)
            system.get_file(path, str(local))

    def read_bytes(self, name: str) -> bytes:
        """What is kept as `name`.

        Raises:
            FileNotFoundError: there is none.
        """
        with self._explained():
            system, path = self._at(name)
            return bytes(system.cat_file(path))

    def exists(self, name: str) -> bool:
        """Whether there is a file `name`."""
        with self._explained():
            system, path = self._at(name)
            return bool(system.isfile(path))

    def list(self) -> tuple[str, ...]:
        """The names of all files, in order."""
        with self._explained():
            system, root = self._at("")
            try:
                found = system.find(root)
            except FileNotFoundError:
                return ()
        above = len(root.rstrip("/")) + 1
        return tuple(sorted(path[above:] for path in found if not path.endswith(UNFINISHED)))

    def age(self, name: str) -> float | None:
        """Seconds since `name` was written, by the store's own clock; None where the store does not say.

        A file is written now for comparison: no clock of this machine, nor of the one that wrote `name`, is asked.
        """
        now = f".clock-{token_hex(8)}"
        self.write_bytes(now, b"")
        try:
            return (self._written(now) - self._written(name)).total_seconds()
        except Exception:  # each kind of store has a tree of errors of its own, and not every one keeps times
            return None
        finally:
            self.remove(now)

    def _written(self, name: str) -> datetime:
        system, path = self._at(name)
        found: datetime = system.modified(path)
        return found

    def remove(self, name: str) -> None:
        """Remove the file `name`; it may be gone."""
        with self._explained():
            system, path = self._at(name)
            try:
                system.rm_file(path)
            except FileNotFoundError:
                return

    def remove_all(self) -> None:
        """Remove every file, and the folder where this is one; it may be gone."""
        with self._explained():
            system, root = self._at("")
            try:
                system.rm(root, recursive=True)
            except FileNotFoundError:
                return

    def probe(self) -> None:
        """Find out now, and not after hours of training, whether it takes and gives back what is written.

        Raises:
            CannotRunError: it does not.
        """
        name, nonce = f".probe-{token_hex(8)}", token_hex(16).encode()
        self.write_bytes(name, nonce)
        try:
            found = self.read_bytes(name)
        except FileNotFoundError:
            found = b""
        self.remove(name)
        if found != nonce:
            raise CannotRunError(
                f"the artifact store {self.place} does not give back what is written to it; set storage.artifacts "
                "to one that does"
            )

    def _write(self, name: str, write: Any) -> None:
        with self._explained(missing=False):
            system, path = self._at(name)
            if not self.is_remote:
                with whole_file(Path(path)) as unfinished:
                    write(system, str(unfinished))
                return
            try:
                write(system, path)
            except FileNotFoundError:
                if self.url.startswith(_WITHOUT_FOLDERS):  # to make one would make the bucket
                    raise
                system.makedirs(path.rpartition("/")[0], exist_ok=True)
                write(system, path)

    def _at(self, name: str) -> tuple[Any, str]:
        system, path = fsspec.url_to_fs(f"{self.url}/{name}" if name else self.url)
        system.invalidate_cache()  # fsspec remembers listings, and others write here too
        return system, path

    @contextmanager
    def _explained(self, *, missing: bool = True) -> Iterator[None]:
        """`missing`: whether a file that is not there is the caller's to know of."""
        try:
            yield
        except Exception as error:  # each kind of store has a tree of errors of its own
            if missing and isinstance(error, FileNotFoundError):
                raise
            told = without_password(" ".join(str(error).split())) or type(error).__name__
            raise CannotRunError(
                f"the artifact store {self.place} cannot be used ({told}); see to its rights and space, or set "
                "storage.artifacts to another"
            ) from error


def check_artifacts(artifacts: str) -> None:
    """See that `storage.artifacts` can name a store, as far as can be seen without one.

    Raises:
        InputError: it is neither a path nor a URL, holds a password, or names a store that each process has alone.
    """
    shown = without_password(artifacts)
    if not is_place(artifacts):
        raise InputError(f"storage.artifacts is {shown!r}, no folder and no URL; {_FORMS}")
    if (
        shown != artifacts
    ):  # it is neither journaled nor sent to workers, so no resume and no node would have it
        raise InputError(
            f"storage.artifacts is {shown!r} with a password, which a resume and a worker elsewhere would not have; "
            "leave it out, and give it by the store's own environment variables or credentials file on every node"
        )
    if artifacts.startswith("memory:"):
        raise InputError(
            f"storage.artifacts is {shown!r}, memory that no two processes share and that ends with them; {_FORMS}"
        )


def _check_protocol(protocol: str, url: str) -> None:
    shown = without_password(url)
    try:
        fsspec.get_filesystem_class(protocol)
    except ValueError as error:
        raise InputError(
            f"storage.artifacts is {shown!r}, and no kind of store is called {protocol!r}; {_FORMS}"
        ) from error
    except ImportError as error:
        told = " ".join(str(error).split())
        raise CannotRunError(
            f"the artifact store {shown} needs a package that is not installed ({told}); install it for this Python"
        ) from error
