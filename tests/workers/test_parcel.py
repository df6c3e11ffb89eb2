"""What of a folder is sent; tests/test_ray_job.py sees what a cluster receives."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from evosearch.errors import CannotRunError, InputError
from evosearch.storage import open_home
from workers import parcel
from workers.parcel import INSIDE, Parcel

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files of a thousand bytes into a folder, and returns it."""
    folder = tmp_path / "folder"

    def run(*names: str) -> Path:
        for name in ("my.yaml", *names):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(bytes(1000))
        return folder

    return run


def sent(folder: Path, stays: dict[Path, str] | None = None) -> set[str]:
    return {path.as_posix() for path in Parcel.of(folder, stays or {}).files} - {"my.yaml"}


SECRETS = [
    ".pgpass",
    ".pgpass.bak",
    ".netrc",
    "_netrc",
    ".aws/credentials",
    ".ssh/config",
    ".ssh/id_ed25519",
    ".config/gcloud/access_tokens.db",
    "server.pem",
    "SERVER.PEM",
    "tls.key",
    "id_rsa",
    "id_rsa.pub",
    ".env",
    ".env.production",
    ".envrc",
    "credentials.json",
    "credentials",
    "gcp-credentials.yaml",
    "client_secret_7.json",
    "service-account-mine.json",
    "kaggle.json",
    ".kaggle/kaggle.json",
    ".kube/config",
    "kubeconfig.yaml",
    ".docker/config.json",
    ".git-credentials",
    ".npmrc",
    ".pypirc",
    ".s3cfg",
    ".boto",
    ".my.cnf",
    ".ray/auth_token",
    "auth_token",
    "ray_token",
    "hf.token",
    "token",
    ".huggingface/token",
    "secrets.yaml",
    "secrets/ray_token",
    ".gnupg/secring.gpg",
    "my.p12",
    "my.kdbx",
    "terraform.tfstate",
    "prod.tfvars",
    ".vault-token",
    ".bash_history",
    ".python_history",
    "rclone.conf",
    "docker/secrets/pgpass",
]


@pytest.mark.parametrize("name", SECRETS)
def test_what_may_be_secret_is_left_out_and_named(write: Write, name: str) -> None:
    found = Parcel.of(write(name, f"deep/er/{name}"), {})
    assert set(found.files) == {Path("my.yaml")}
    assert {why.partition(" (")[0] for why in found.left_out.values()} == {"it may be secret"}


PLAIN = [
    "keys.py",
    "monkey.txt",
    "environment.yaml",
    "env/settings.py",
    "tokens.md",
    "tokenizer.json",
    "ids.csv",
    "identity.py",
    "configs/my.yaml",
    "config/a.yaml",
    "notes.txt",
    "evosearch/data/loading.py",
    "secretary.txt",
    "model.py",
    "awstats.csv",
    "splits/train.txt",
    "passes.md",
]


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_merely_called_alike_is_sent(write: Write, name: str) -> None:
    assert sent(write(name)) == {name}


@pytest.mark.parametrize("name", ["a.png", "deep/b.JPG", "c.tiff", "pictures/cat/1.webp"])
def test_images_are_never_sent(write: Write, name: str) -> None:
    found = Parcel.of(write(name), {})
    assert found.left_out[Path(name)] == "an image"
    assert set(found.files) == {Path("my.yaml")}


def test_journals_of_any_name_stay_with_what_lies_beside_them(write: Write, tmp_path: Path) -> None:
    folder = write(
        "journal-rescued-1.db.files/s/final/weights", "old/mine.db-wal", "a.db-wal", "b.db.files/c"
    )
    for journal in (folder / "journal-rescued-1.db", folder / "old" / "mine.db"):
        with open_home(str(journal), env={}, cwd=tmp_path, create=True):
            pass
    (folder / "old" / "mine.db-wal").touch()
    found = Parcel.of(folder, {})
    assert {path.as_posix(): why for path, why in found.left_out.items()} == {
        "journal-rescued-1.db": "a journal",
        "journal-rescued-1.db.files": "searches",
        "old/mine.db": "a journal",
        "old/mine.db-wal": "a journal",
    }
    assert sent(folder) == {"a.db-wal", "b.db.files/c"}


@pytest.mark.parametrize("name", ["old/journal.db", "old/mine/lock-3", "journal.db-wal", ".git/config"])
def test_neither_are_searches_nor_what_no_job_needs(write: Write, name: str) -> None:
    assert sent(write(name)) == set()


def test_a_place_that_stays_is_left_out_where_it_lies_and_not_where_another_has_its_name(
    write: Write,
) -> None:
    folder = write("data/list.txt", "evosearch/data/loading.py", "my.db")
    stays = {folder / "data": "images", folder / "my.db": "a journal", folder / "missing": "nothing"}
    found = Parcel.of(folder, stays)
    assert found.left_out == {Path("data"): "images", Path("my.db"): "a journal"}
    assert set(found.files) == {Path("evosearch/data/loading.py"), Path("my.yaml")}


def test_it_stays_as_well_where_a_link_leads_to_it(write: Write, tmp_path: Path) -> None:
    folder = write()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "list.txt").touch()
    (folder / "there").symlink_to(tmp_path / "images")
    assert sent(folder) == {"there/list.txt"}
    assert sent(folder, {tmp_path / "images": "images"}) == set()
    assert sent(folder, {folder / "there": "images"}) == set()


def test_a_link_is_judged_by_its_other_end(write: Write, tmp_path: Path) -> None:
    folder = write("readable.txt")
    (tmp_path / ".ssh").mkdir()
    for name in (".ssh/config", "id_rsa", "a.png", "plain.txt"):
        (tmp_path / name).touch()
        (folder / f"link-{Path(name).stem}").symlink_to(tmp_path / name)
    (folder / "link-folder").symlink_to(tmp_path / ".ssh")
    (folder / "link-nowhere").symlink_to("nowhere")
    (folder / "link-above").symlink_to(folder)
    found = Parcel.of(folder, {})
    assert set(map(str, found.files)) == {"my.yaml", "readable.txt", "link-plain"}
    assert found.left_out[Path("link-nowhere")] == "a link to nothing"
    assert found.left_out[Path("link-above")] == "a link to a folder that it is in"


def test_what_is_no_file_is_left_out_and_told(write: Write) -> None:
    folder = write()
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(folder / "socket"))
        (folder / "device").symlink_to("/dev/null")
        found = Parcel.of(folder, {})
    assert found.left_out == {
        Path("pipe"): "it is a named pipe",
        Path("socket"): "it is a socket",
        Path("device"): "it is a device",
    }


@pytest.mark.parametrize("name", [".gitignore", ".rayignore"])
def test_an_ignore_file_that_is_a_named_pipe_is_told_and_not_read(write: Write, name: str) -> None:
    folder = write("below/file")
    os.mkfifo(folder / "below" / name)
    with pytest.raises(InputError, match=rf"below/{name} is no file, so what it ignores is not known"):
        Parcel.of(folder, {})


@pytest.mark.parametrize(
    ("name", "why"),
    [(b"\xff.txt", "its name is not UTF-8; rename it"), (b"a\\b.txt", "its name holds a backslash, and Ray")],
    ids=["not UTF-8", "backslash"],
)
def test_a_name_that_no_package_takes_is_told_with_the_reason(write: Write, name: bytes, why: str) -> None:
    folder = write()
    (folder / os.fsdecode(name)).touch()
    (found,) = Parcel.of(folder, {}).left_out.items()
    assert found[1].startswith(why)
    parcel.shown(found[0]).encode()


def test_a_name_that_would_steer_a_terminal_is_shown_harmless() -> None:
    assert parcel.shown(Path("a\x1b[2Jb\nc\u202e")) == r"a\x1b[2Jb\nc\u202e"


def test_ignore_files_are_respected_where_they_lie(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write("a.csv", "b/a.csv", "b/c.csv", "d/c.csv")
    (folder / ".gitignore").write_text("a.csv\n")
    (folder / "b" / ".rayignore").write_text("c.csv\n")
    assert sent(folder) == {".gitignore", "b/.rayignore", "d/c.csv"}
    monkeypatch.setenv("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "1")
    assert "a.csv" in sent(folder)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (".env/my.yaml", r"\.env is left out: it may be secret \(\.env\)"),
        ("data/my.yaml", "data is left out: images"),
        ("ignored/my.yaml", "ignored/my.yaml is left out: an ignore file names it"),
    ],
)
def test_a_configuration_that_is_left_out_is_told_with_the_reason(write: Write, name: str, why: str) -> None:
    folder = write(name)
    (folder / ".rayignore").write_text("ignored/\n")
    with pytest.raises(InputError, match=f"{name} is not sent, since {why}; move it"):
        Parcel.of(folder, {folder / "data": "images"}).check(Path(name))


def test_an_ignore_file_that_is_no_text_is_named(write: Write) -> None:
    folder = write()
    (folder / ".gitignore").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"an ignore file \(.gitignore, .rayignore\) in .* it is no text"):
        Parcel.of(folder, {})


def test_of_what_is_ignored_ray_says_nothing(write: Write) -> None:
    folder = write()
    (folder / ".gitignore").write_text("*.csv\n")
    program = "from pathlib import Path; from workers.parcel import Parcel; Parcel.of(Path.cwd(), {})"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(parcel.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (ended.stdout, ended.stderr) == ("", "")


def test_a_parcel_that_ray_would_not_take_is_refused_with_the_part_that_makes_it_so(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray._private.runtime_env.packaging.GCS_STORAGE_MAX_SIZE", 2**20)
    folder = write("big/file")
    (folder / "big" / "file").write_bytes(bytes(3 * 2**20))
    with pytest.raises(
        InputError, match=r"too large to send: 3 MiB, 3 of them in big, and Ray takes 1; list in \.ray"
    ):
        Parcel.of(folder, {}).check(Path("my.yaml"))
    Parcel.of(folder, {folder / "big": "images"}).check(Path("my.yaml"))


def test_a_package_holds_what_is_listed_and_is_the_same_for_the_same_files(write: Write) -> None:
    folder = write("a/b.py", ".env")
    (folder / "a" / "b.py").chmod(0o755)
    found = Parcel.of(folder, {})
    packages = []
    for _ in range(2):
        with found.packed() as package, ZipFile(package) as opened:
            packages.append(package.read_bytes())
            assert opened.namelist() == [f"{INSIDE}/a/b.py", f"{INSIDE}/my.yaml"]
            assert opened.infolist()[0].external_attr >> 16 & 0o777 == 0o755
            assert package.stat().st_mode & 0o077 == 0 or package.parent.stat().st_mode & 0o077 == 0
    assert packages[0] == packages[1]
    assert found.size == 2000
    assert found.largest(1) == [(Path("a/b.py"), 1000)]


def test_a_file_that_is_gone_when_it_is_packed_is_named(write: Write) -> None:
    folder = write("gone.py")
    found = Parcel.of(folder, {})
    (folder / "gone.py").unlink()
    with pytest.raises(InputError, match=r"gone\.py cannot be read and so not sent"), found.packed():
        pass


def test_where_no_package_can_be_written_it_says_so(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    found = Parcel.of(write(), {})
    with pytest.raises(CannotRunError, match="no package can be written to /nowhere"), found.packed():
        pass
