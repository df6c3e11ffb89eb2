"""The mark by which a worker knows the driver's artifact store."""

from pathlib import Path

import pytest

from evosearch.storage import ArtifactStore, StoreProbe
from tests.bucket import BucketFileSystem


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(f"bucket://{tmp_path}/bucket")


def test_who_has_the_same_store_finds_the_mark(store: ArtifactStore) -> None:
    mark = StoreProbe.leave(store, "pets/seed-3")
    assert store.list() == (".reach-pets-seed-3",)
    assert mark.find_problem() is None


def test_who_has_another_store_is_told(tmp_path: Path) -> None:
    here, there = (ArtifactStore(str(tmp_path / name)) for name in ("here", "there"))
    mark = StoreProbe.leave(here, "pets")
    problem = StoreProbe(there, mark.name, mark.content).find_problem()
    assert problem == (
        f"{there.place} does not hold there what the driver wrote to it; share that folder, or give a URL"
    )


def test_who_cannot_write_is_told(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = StoreProbe.leave(store, "pets")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("read only")

    monkeypatch.setattr(BucketFileSystem, "pipe_file", refuse)
    assert "cannot be used (read only)" in str(mark.find_problem())


def test_a_mark_is_removed_but_never_that_of_a_later_driver(store: ArtifactStore) -> None:
    first, second = (StoreProbe.leave(store, "pets") for _ in range(2))
    first.remove()
    assert second.find_problem() is None
    second.remove()
    second.remove()
    assert store.list() == ()
