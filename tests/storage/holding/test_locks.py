"""Locks in files, looked at from elsewhere."""

import errno
import os
from pathlib import Path

import pytest
from filelock import FileLock

from evosearch.storage.holding.locks import FileLocks


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOLCK])
def test_a_lock_that_cannot_even_be_tried_may_be_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / "lock-1").touch()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert FileLocks(tmp_path).state(1) == "unknown"
    assert FileLocks(tmp_path).state(2) == "free"
