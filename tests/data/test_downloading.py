"""Archives are fetched from a server on this machine, never from the network."""

import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

from evosearch.data import SOURCES, Cifar10Settings, load_dataset
from evosearch.data.downloading import Archive, fetch_archive
from evosearch.data.published import PublishedKeys
from evosearch.errors import CannotRunError
from tests.data.published_sets import write_cifar10


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which it is served."""
    folder = tmp_path / "site"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def publish(site: tuple[Path, str], members: dict[str, bytes | tarfile.TarInfo]) -> Archive:
    """An archive of these members, of which `set/one` and `set/two` are wanted."""
    folder, url = site
    with tarfile.open(folder / "set.tar.gz", "w:gz") as tar:
        for name, content in members.items():
            if isinstance(content, bytes):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                tar.addfile(content)
    whole = (folder / "set.tar.gz").read_bytes()
    return Archive(f"{url}/set.tar.gz", hashlib.sha256(whole).hexdigest(), len(whole), "set", ("one", "two"))


MEMBERS: dict[str, bytes | tarfile.TarInfo] = {"set/one": b"1", "set/two": b"22", "set/large": b"not wanted"}


def below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def refusal(archive: Archive, into: Path) -> str:
    with pytest.raises(CannotRunError) as caught:
        fetch_archive(archive, into)
    assert "\n" not in str(caught.value)
    assert not into.exists() or below(into) == set()  # nothing half is left
    return str(caught.value)


def test_the_wanted_files_are_unpacked_into_a_new_folder(site: tuple[Path, str], tmp_path: Path) -> None:
    into = tmp_path / "data" / "here"
    assert fetch_archive(publish(site, MEMBERS), into) == into / "set"
    assert below(into) == {"set", "set/one", "set/two"}
    assert (into / "set" / "two").read_bytes() == b"22"


def test_an_archive_that_is_not_the_published_one_is_refused(site: tuple[Path, str], tmp_path: Path) -> None:
    archive = publish(site, MEMBERS)
    assert refusal(replace(archive, sha256="0" * 64), tmp_path / "data") == (
        f"{archive.url} is not what was published: its SHA-256 begins with {archive.sha256[:12]}, not with 000000000000; try "
        "again later, or fetch it by other means"
    )


def test_one_that_ends_too_early_or_goes_on_too_long_is_refused(
    site: tuple[Path, str], tmp_path: Path
) -> None:
    archive = publish(site, MEMBERS)
    file = site[0] / "set.tar.gz"
    whole = file.read_bytes()
    file.write_bytes(whole[:-5])
    assert f"cannot be fetched (it ended after {len(whole) - 5:,} of" in refusal(archive, tmp_path / "data")
    file.write_bytes(whole + b"more" * 10**6)
    assert "is not what was published" in refusal(archive, tmp_path / "data")


def test_a_server_that_has_nothing_or_is_none_is_told_with_the_way_by_hand(
    site: tuple[Path, str], tmp_path: Path
) -> None:
    gone = replace(publish(site, MEMBERS), url=f"{site[1]}/gone.tar.gz")
    assert refusal(gone, tmp_path / "data") == (
        f"{gone.url} cannot be fetched (status 404, File not found); fetch {gone.url} by other means and unpack it into '{tmp_path}/data'"
    )
    closed = replace(gone, url="http://127.0.0.1:1/set.tar.gz")
    assert "cannot be fetched ([Errno 111] Connection refused)" in refusal(closed, tmp_path / "data")


def link(name: str, to: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, to
    return info


@pytest.mark.parametrize(
    ("members", "missing"),
    [
        ({"set/one": b"1"}, "'two' is not in it"),
        ({"other/one": b"1"}, "'one' and 1 more are not in it"),
        ({"set/one": link("set/one", "/etc/passwd"), "set/two": b"2"}, "'one' is not in it"),
        ({"../../set/one": b"1", "/set/two": b"2"}, None),
    ],
    ids=["a file is missing", "another folder", "a link", "paths that lead out"],
)
def test_nothing_of_an_archive_lands_elsewhere(
    site: tuple[Path, str], tmp_path: Path, members: dict[str, bytes | tarfile.TarInfo], missing: str | None
) -> None:
    archive, into = publish(site, members), tmp_path / "data"
    if missing is None:
        fetch_archive(archive, into)
        assert below(into) == {"set", "set/one", "set/two"}
    else:
        assert f"cannot be unpacked ({missing})" in refusal(archive, into)
    assert below(tmp_path) - {"data"} - {f"data/{one}" for one in below(into)} == {"site", "site/set.tar.gz"}


def test_what_is_no_archive_is_refused(site: tuple[Path, str], tmp_path: Path) -> None:
    archive = publish(site, MEMBERS)
    (site[0] / "set.tar.gz").write_bytes(b"x" * 99)
    other = replace(archive, size=99, sha256=hashlib.sha256(b"x" * 99).hexdigest())
    assert "cannot be unpacked (" in refusal(other, tmp_path / "data")


def test_a_place_that_cannot_be_written_is_told(site: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(CannotRunError, match=r"cannot be stored in .*; [0-9,]+ bytes and as many again"):
        fetch_archive(publish(site, MEMBERS), tmp_path / "file" / "data")


def test_who_is_second_gets_what_the_first_one_placed(site: tuple[Path, str], tmp_path: Path) -> None:
    archive = publish(site, MEMBERS)
    fetch_archive(archive, tmp_path / "data")
    assert fetch_archive(archive, tmp_path / "data") == tmp_path / "data" / "set"
    assert below(tmp_path / "data") == {"set", "set/one", "set/two"}


@pytest.mark.parametrize("env", [{"EVOSEARCH_DATA": "stored"}, {}], ids=["stored", "data"])
def test_a_set_that_is_not_there_is_fetched_once_where_it_is_asked_for(
    site: tuple[Path, str], tmp_path: Path, env: dict[str, str]
) -> None:
    folder = write_cifar10(tmp_path / "made", "bin")
    names = Cifar10Settings.archive.files
    packed = publish(site, {f"{folder.name}/{name}": (folder / name).read_bytes() for name in names})

    class Local(Cifar10Settings):
        archive: ClassVar = replace(packed, folder=folder.name, files=names)

    def notes() -> tuple[str, ...]:
        data = load_dataset(Local(download=True), env=env, cwd=tmp_path, cache=None)
        assert len(data.test) == 20
        return data.notes

    place = tmp_path / (env.get("EVOSEARCH_DATA") or "data") / "cifar10" / folder.name
    assert notes()[0] == f"fetched {packed.url} into '{place}'"
    (site[0] / "set.tar.gz").unlink()
    assert not any("fetched" in note for note in notes())
    assert below(tmp_path / "made") == below(place.parent)


def test_what_is_fetched_comes_over_https_and_is_asked_for_by_its_published_name() -> None:
    published = [one for one in SOURCES.ours.values() if issubclass(one, PublishedKeys)]
    assert len(published) == 3
    for one in published:
        assert one.archive.url.startswith("https://")
        assert len(one.archive.sha256) == 64
        assert not one().download
