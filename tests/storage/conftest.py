"""What tests of storage need of this machine: users without rights.

Root, who has every right, becomes nobody for a while.
"""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from evosearch.storage import ArtifactStore
from tests.bucket import make_bucket

NOBODY = 65534


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    """A remote store."""
    return ArtifactStore(make_bucket(tmp_path))


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user can enter; pytest's own are closed to nobody."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def reading_only() -> Callable[[Path], AbstractContextManager[None]]:
    """Inside, this process may read but not write a folder and the files in it."""

    @contextmanager
    def inside(folder: Path) -> Iterator[None]:
        modes = {path: path.stat().st_mode for path in (folder, *folder.iterdir())}
        for path, mode in modes.items():
            path.chmod(mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
        with unprivileged():
            yield
        for path, mode in modes.items():
            path.chmod(mode)

    return inside


@contextmanager
def unprivileged() -> Iterator[None]:
    """Inside, this process is not root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture(name="unprivileged")
def _unprivileged() -> Callable[[], AbstractContextManager[None]]:
    return unprivileged
