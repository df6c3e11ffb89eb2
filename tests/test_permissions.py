"""What is written is its user's alone, whatever the umask is, unless it was opened to others on purpose."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from PIL import Image

from evosearch.config import load_config
from evosearch.permissions import file_mode, is_open, make_folder, narrow, new_file, whole_file
from evosearch.runtime import DriverState, Plan, Silence
from evosearch.storage import ArtifactStore, Event, open_home
from evosearch.storage.journal import opening
from tests.finished_search import TINY, train

PICTURES = TINY.replace(
    "{name: digits}", "{name: image_folder, root: pets, image_size: 8, channels: 1}"
).replace("batch_size: 64", "batch_size: 8")

NOBODY = 65534


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """What most systems come with: all may read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def place(monkeypatch):
    """A working directory that all may enter, with two classes of pictures that only their user may read."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        monkeypatch.chdir(folder)
        monkeypatch.delenv("EVOSEARCH_HOME", raising=False)
        monkeypatch.delenv("EVOSEARCH_DATA", raising=False)
        rng = np.random.default_rng(0)
        for name in ("cat", "dog"):
            Path("data/pets", name).mkdir(parents=True)
            for number in range(20):
                picture = Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8))
                picture.save(Path("data/pets", name, f"{number}.png"))
        Path("data/pets").chmod(0o700)
        Path("tiny.yaml").write_text(PICTURES)
        yield Path(folder)


def modes(folder: Path) -> dict[str, int]:
    """Of a folder and all in it."""
    return {str(file): stat.S_IMODE(file.stat().st_mode) for file in (folder, *folder.rglob("*"))}


def open_ones(folder: Path) -> list[str]:
    """What others than the user have any right to."""
    return [name for name, mode in modes(folder).items() if mode & 0o077]


class Onlooking(Silence):
    """Looks at `folder` each time that something happens."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.seen: list[list[str]] = []

    def observe(self, plan: Plan, state: DriverState, facts: Sequence[Event]) -> None:
        self.seen.append(open_ones(self._folder))


@pytest.mark.parametrize("mounts", ["", "server:/homes / nfs4 rw 0 0\n"])
def test_nothing_in_a_home_is_readable_by_others(place, scripted, mounts, monkeypatch, api):
    (place / "mounts").write_text(mounts)
    monkeypatch.setattr(opening, "_MOUNTS", place / "mounts")
    config = load_config(Path("tiny.yaml"), ["storage.artifacts=kept/here"])
    watcher = Onlooking(place / "runs")
    with open_home(None, env={}, cwd=place, create=True) as home:
        api.run(config, home, watcher=watcher)
        api.retrain("tiny", home)
        assert open_ones(place / "runs") == []
    assert watcher.seen
    assert not any(watcher.seen)
    assert {".npz", ".db", ".png"} <= {Path(name).suffix for name in modes(place / "runs")}


def test_real_workers_leave_nothing_that_others_can_read(tmp_path, api):
    finished = train(tmp_path)
    with open_home(None, env={}, cwd=tmp_path, create=False) as home:
        api.retrain("tiny", home)
    assert open_ones(finished.home) == []
    assert list(finished.home.rglob("*.safetensors"))


def test_an_old_home_goes_on_and_what_is_in_it_stays_as_it_is(place, scripted, api):
    config = load_config(Path("tiny.yaml"))
    with open_home(None, env={}, cwd=place, create=True) as home:
        api.run(config, home)
    for file in (place / "runs", *(place / "runs").rglob("*")):
        file.chmod(0o755 if file.is_dir() else 0o644)
    (place / "data/pets").chmod(0o755)
    before = modes(place / "runs")
    with open_home(None, env={}, cwd=place, create=False) as home:
        api.resume("tiny", home, generations=3)
    after = modes(place / "runs")
    assert [Path(name).name for name in before if after[name] != before[name]] == [
        "evolution.png"
    ]  # drawn anew


def test_the_copy_of_a_protected_source_that_an_earlier_version_left_readable_is_closed(place, scripted, api):
    config = load_config(Path("tiny.yaml"))
    with open_home(None, env={}, cwd=place, create=True) as home:
        api.run(config, home)
        (copy,) = (place / "runs/cache").glob("images-*.npz")
        copy.chmod(0o644)
        api.resume("tiny", home, generations=3)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_folders_are_made_closed_down_to_the_first_that_was_there(place):
    make_folder(place / "a/b/c")
    make_folder(place / "a/b/c")
    assert [stat.S_IMODE((place / name).stat().st_mode) for name in ("a", "a/b", "a/b/c")] == [0o700] * 3
    assert stat.S_IMODE(place.stat().st_mode) == 0o755
    (place / "file").touch()
    for blocked in ("file", "file/folder"):
        with pytest.raises(OSError, match="file"):
            make_folder(place / blocked)


def test_a_folder_that_was_given_to_a_group_stays_the_groups(place):
    os.umask(0o002)
    shared = place / "lab"
    shared.mkdir()
    shared.chmod(0o2770)
    make_folder(shared / "home")
    new_file(shared / "home/file")
    assert stat.S_IMODE((shared / "home").stat().st_mode) & 0o777 == 0o770
    assert (file_mode(shared / "home"), file_mode(place)) == (0o660, 0o600)
    assert stat.S_IMODE((shared / "home/file").stat().st_mode) == 0o660


def test_a_file_that_is_there_keeps_its_mode_and_its_content(place):
    file = place / "file"
    file.write_text("mine")
    new_file(file)
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("mine", 0o644)
    narrow(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    narrow(place / "gone")


@pytest.mark.parametrize("closed", ["data", "data/pets", "data/pets/cat", "data/pets/cat/1.png"])
def test_files_are_open_where_all_may_read_each_on_its_whole_way(place, closed):
    names = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(20)]
    (place / "data/pets").chmod(0o755)
    assert is_open(Path("data/pets"), names)
    (place / closed).chmod(0o750 if (place / closed).is_dir() else 0o640)
    assert not is_open(Path("data/pets"), names)
    assert not is_open(Path("data/pets"), ["gone.png"])


def test_another_user_reads_neither_pictures_nor_journal(place, scripted, api):
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    store = ArtifactStore(str(place / "artifacts"))
    store.write_bytes("weights", b"x")
    with open_home(None, env={}, cwd=place, create=True) as home:
        api.run(load_config(Path("tiny.yaml")), home)
    os.seteuid(NOBODY)
    try:
        for folder in ("runs", "artifacts", "data/pets"):
            with pytest.raises(PermissionError):
                list((place / folder).iterdir())
    finally:
        os.seteuid(0)


def test_two_writers_of_one_file_never_meet_and_the_last_one_stands(place):
    file = place / "made" / "roc.png"
    with whole_file(file) as first, whole_file(file) as second:
        first.write_text("first")
        second.write_text("second")
        assert not file.exists()
    assert file.read_text() == "first"
    assert [one.name for one in file.parent.iterdir()] == ["roc.png"]
    assert modes(file.parent)[str(file)] == 0o600


def test_a_writer_that_fails_leaves_the_file_as_it_was(place):
    file = place / "roc.png"
    file.write_text("before")
    with pytest.raises(ZeroDivisionError), whole_file(file) as unfinished:
        unfinished.write_text("half")
        raise ZeroDivisionError
    assert file.read_text() == "before"
    assert not list(place.glob("*.part"))
