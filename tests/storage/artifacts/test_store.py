"""Artifacts by path or URL: whole files or none, and errors in one line."""

import os
import pickle
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import known_implementations

from evosearch.errors import CannotRunError, InputError
from evosearch.storage import ArtifactStore


@pytest.fixture(params=["path", "file", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    places = {
        "path": "50% of #1",
        "file": f"file://{tmp_path}/by-url",
        "remote": f"bucket://{tmp_path}/bucket/artifacts/",
    }
    return ArtifactStore.of(places[request.param], tmp_path / "home")


def test_what_is_written_is_read_back_and_listed(store: ArtifactStore, tmp_path: Path) -> None:
    assert store.list() == ()
    assert not store.exists("s/b.png")
    (tmp_path / "local").write_bytes(b"weights")
    store.put(tmp_path / "local", "s/final/a.safetensors")
    store.write_bytes("s/b.png", b"old")
    store.write_bytes("s/b.png", b"picture")
    assert (store.read_bytes("s/b.png"), store.exists("s/b.png")) == (b"picture", True)
    assert not store.exists("s")
    assert store.list() == ("s/b.png", "s/final/a.safetensors")
    store.get("s/final/a.safetensors", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"weights"
    store.remove("s/b.png")
    store.remove("s/b.png")
    assert store.list() == ("s/final/a.safetensors",)


def test_a_store_within_another_sees_its_own_files_only(store: ArtifactStore) -> None:
    store.write_bytes("a/x", b"1")
    store.write_bytes("ab/x", b"2")
    assert store.within("a").list() == ("x",)
    assert store.within("a").read_bytes("x") == b"1"


def test_a_file_that_is_not_there_is_the_callers_to_know_of(store: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.read_bytes("nothing")
    with pytest.raises(FileNotFoundError):
        store.get("nothing", tmp_path / "back")
    with pytest.raises(FileNotFoundError):
        store.put(tmp_path / "nothing", "x")


def test_a_store_that_works_passes_its_probe_and_keeps_nothing_of_it(store: ArtifactStore) -> None:
    store.probe()
    assert store.list() == ()


def test_a_store_survives_pickling(store: ArtifactStore) -> None:
    store.write_bytes("x", b"1")
    assert pickle.loads(pickle.dumps(store)).read_bytes("x") == b"1"


def test_a_path_is_relative_to_the_home_and_a_url_tells_whether_it_is_remote(tmp_path: Path) -> None:
    assert ArtifactStore.of(None, tmp_path).url == str(tmp_path)
    assert ArtifactStore.of("pictures", tmp_path).url == str(tmp_path / "pictures")
    assert ArtifactStore.of("/elsewhere", tmp_path).url == "/elsewhere"
    assert ArtifactStore.of("file:///elsewhere", tmp_path).url == "/elsewhere"
    assert not ArtifactStore.of("file:///elsewhere", tmp_path).is_remote
    assert ArtifactStore.of("bucket:///bucket/", tmp_path).is_remote


def test_a_tilde_is_the_users_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/users/me")
    assert ArtifactStore.of("~/pictures", tmp_path).url == "/users/me/pictures"
    with pytest.raises(InputError, match="begins with a user that is not known here; write the folder out"):
        ArtifactStore.of("~nobody-of-that-name/x", tmp_path)


def test_a_local_file_gets_its_name_when_it_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore.of(None, tmp_path)
    store.write_bytes("x", b"old")

    def refuse(self: Path, target: str) -> None:
        raise OSError("killed before the end")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", refuse)
        with pytest.raises(CannotRunError, match=r"cannot be used \(killed before the end\)"):
            store.write_bytes("x", b"new")
    assert store.read_bytes("x") == b"old"
    assert store.list() == ("x",)


def test_a_folder_that_cannot_be_written_to_is_told_in_one_line(
    public: Path, reading_only: Callable[[Path], AbstractContextManager[None]]
) -> None:
    assert public.stat().st_mode & stat.S_IROTH
    with (
        reading_only(public),
        pytest.raises(CannotRunError, match=f"store {public} cannot be used") as raised,
    ):
        ArtifactStore.of(None, public).probe()
    assert "Permission denied" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_store_that_gives_back_something_else_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryFileSystem, "cat_file", lambda *_, **__: b"something else")
    with pytest.raises(CannotRunError, match="memory://bucket does not give back what is written to it"):
        ArtifactStore("memory://bucket").probe()
    MemoryFileSystem.store.clear()


def test_an_object_store_without_its_bucket_gets_none_made(monkeypatch: pytest.MonkeyPatch) -> None:
    class Buckets(MemoryFileSystem):
        protocol = "s3"

        def pipe_file(self, path: str, *_: object, **__: object) -> None:
            raise FileNotFoundError("The specified bucket does not exist")

        def makedirs(self, path: str, exist_ok: bool = False) -> None:
            raise AssertionError("a bucket was made")

    monkeypatch.setattr(fsspec, "url_to_fs", lambda url: (Buckets(), url))
    with pytest.raises(CannotRunError, match=r"s3://bucket/evo cannot be used .*bucket does not exist"):
        ArtifactStore("s3://bucket/evo").write_bytes("x", b"")


def test_an_unknown_kind_of_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"'s4://bucket', and no kind of store is called 's4'; write a folder"
    ):
        ArtifactStore.of("s4://bucket", tmp_path)


def test_a_store_whose_package_is_missing_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"class": "nowhere.Store", "err": "Install shelves to access the library"}
    monkeypatch.setitem(known_implementations, "books", known)
    with pytest.raises(CannotRunError, match=r"not installed \(Install shelves to access the library\)"):
        ArtifactStore.of("books://host/x", tmp_path)


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    store = ArtifactStore("memory://me:secret@bucket/x")
    assert store.place == "memory://me@bucket/x"


@pytest.mark.parametrize("url", ["s4://me:secret@host/x", "sftp://me:secret@host/x", "s3:/me:secret@host/x"])
def test_a_password_is_refused_and_not_shown(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match=r"^storage\.artifacts is ") as raised:
        ArtifactStore.of(url, tmp_path)
    assert "secret" not in str(raised.value)


def test_where_a_password_belongs_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"with a password.*environment variables or credentials file"):
        ArtifactStore.of("sftp://me:secret@host/x", tmp_path)


@pytest.mark.parametrize("url", ["s3:/bucket/x", "s3:bucket", "://bucket", "s3://", "", " "])
def test_what_is_nearly_a_url_makes_no_folder(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match="no folder and no URL; write a folder, or a URL such as s3://"):
        ArtifactStore.of(url, tmp_path)


def test_memory_is_no_store_since_each_process_has_its_own(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'memory://x', memory that no two processes share"):
        ArtifactStore.of("memory://x", tmp_path)


def test_the_age_of_a_file_is_told_by_the_stores_own_clock(store: ArtifactStore, tmp_path: Path) -> None:
    store.write_bytes("a", b"x")
    (file,) = (file for file in tmp_path.rglob("a") if file.is_file())
    os.utime(file, (file.stat().st_mtime - 100, file.stat().st_mtime - 100))
    age = store.age("a")
    assert age is not None
    assert age >= 100.0
    assert store.age("gone") is None
    assert store.list() == ("a",)
