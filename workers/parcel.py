"""What of a folder is sent with a job: the list is made here, shown, and then packed as it is.

Ray would make a list of its own, by `.gitignore` and `.rayignore` alone; those hold here too.
"""

import logging
import os
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from evosearch.data.decoding import IMAGE_EXTENSIONS
from evosearch.errors import CannotRunError, InputError
from evosearch.storage import is_journal

LOG = logging.getLogger(__name__)

MIB = 2**20

INSIDE = "submitted"
"""The folder of a package in which its files are: Ray puts the package itself before everything else that Python imports,
and there is nothing of the user's in it but this."""

NEVER_NEEDED = (
    ".git",
    ".hg",
    ".svn",
    ".venv*",
    "venv",
    "__pycache__",
    ".cache",
    ".*_cache",
    "*.egg-info",
    "node_modules",
    ".evosearch-*",
    "journal.db*",
)
"""Names that no job needs."""

SECRET = (
    "*.jks",
    "*.kdbx",
    "*.key",
    "*.keystore",
    "*.kubeconfig",
    "*.p12",
    "*.pem",
    "*.pfx",
    "*.ppk",
    "*.secret",
    "*.tfstate*",
    "*.tfvars",
    "*.token",
    "*_token",
    "*credential*",
    ".*_history",
    ".aws",
    ".azure",
    ".boto",
    ".config",
    ".docker",
    ".dockercfg",
    ".dockerconfigjson",
    ".env",
    ".env.*",
    ".envrc",
    ".gitcookies",
    ".gnupg",
    ".htpasswd",
    ".huggingface",
    ".kaggle",
    ".kube",
    ".my.cnf",
    ".mylogin.cnf",
    ".netrc",
    ".npmrc",
    ".oci",
    ".password-store",
    ".pgpass*",
    ".pypirc",
    ".ray",
    ".s3cfg",
    ".secrets*",
    ".smbcredentials",
    ".ssh",
    ".terraform*",
    ".vault*",
    "_netrc",
    "client_secret*",
    "id_*",
    "kaggle.json",
    "kubeconfig*",
    "pgpass*",
    "rclone.conf",
    "secrets*",
    "service-account*.json",
    "service_account*.json",
    "token",
    "token.*",
)
"""Names, in small letters, under which keys, passwords and tokens are kept, of files and of folders."""

SECRET_FILE_VARIABLES = (
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "KUBECONFIG",
    "NETRC",
    "PGPASSFILE",
    "PGSERVICEFILE",
    "PGSSLKEY",
    "RAY_AUTH_TOKEN_PATH",
)
"""Variables that name a file of that kind."""

BESIDE = ("", "-wal", "-shm", "-journal")
"""Endings of a journal and of what SQLite keeps beside it."""

KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, slots=True)
class Parcel:
    """The copy of a folder that a job gets."""

    folder: Path
    """What is copied."""
    files: Mapping[Path, int]
    """Bytes of each, by its path in the folder."""
    left_out: Mapping[Path, str]
    """Why, by path; a folder there is for all that is in it."""

    @classmethod
    def of(cls, folder: Path, stays: Mapping[Path, str]) -> "Parcel":
        """All of `folder` but what is kept at one of the places `stays` (each with the reason), what may be secret, images,
        searches, what no job needs or an ignore file names, and what is no file.

        Raises:
            InputError: a part of it cannot be read.
        """
        walk = _Walk(folder, {Path(os.path.realpath(place)): why for place, why in stays.items()})
        walk.visit(folder, ())
        return cls(folder, walk.files, walk.left_out)

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(self.files.values())

    def largest(self, count: int) -> list[tuple[Path, int]]:
        """The largest files, with their bytes."""
        return sorted(self.files.items(), key=lambda item: (-item[1], item[0]))[:count]

    def check(self, needed: Path) -> None:
        """See that `needed`, a path in the folder, is sent, and that Ray takes as much as it is.

        Raises:
            InputError: it is left out, or the parcel is too large.
        """
        from ray._private.runtime_env.packaging import GCS_STORAGE_MAX_SIZE

        for path in (needed, *needed.parents):
            if why := self.left_out.get(path):
                raise InputError(f"{needed} is not sent, since {shown(path)} is left out: {why}; move it")
        if self.size >= GCS_STORAGE_MAX_SIZE:
            part, size = _largest_part(self.files)
            raise InputError(
                f"{self.folder} is too large to send: {self.size / MIB:.0f} MiB, {size / MIB:.0f} of them in "
                f"{part}, and Ray takes {GCS_STORAGE_MAX_SIZE / MIB:.0f}; list in .rayignore what a job does not need"
            )

    @contextmanager
    def packed(self) -> Iterator[Path]:
        """The files in a package that Ray takes, until the context ends; the same files make the same package.

        Raises:
            InputError: one of them cannot be read any more.
            CannotRunError: there is no room for the package.
        """
        with ExitStack() as stack:
            try:
                package = Path(stack.enter_context(tempfile.TemporaryDirectory()), "package.zip")
                with zipfile.ZipFile(package, "w") as made:
                    for path in sorted(self.files):
                        _pack(made, self.folder, path)
            except OSError as error:
                raise CannotRunError(
                    f"no package can be written to {tempfile.gettempdir()}: {error.strerror}; make room there, or "
                    "set TMPDIR to another folder"
                ) from error
            yield package


@dataclass
class _Walk:
    """A walk through `folder`. `stays`: why nothing is sent of what is there, by place, without links."""

    folder: Path
    stays: Mapping[Path, str]
    files: dict[Path, int] = field(default_factory=dict)
    left_out: dict[Path, str] = field(default_factory=dict)
    _ignored: list[Callable[[Path], bool]] = field(default_factory=list)

    def visit(self, folder: Path, above: tuple[str, ...]) -> None:
        """Take what is to be sent. `above`: the folders on the way, without links."""
        here = (*above, os.path.realpath(folder))
        ignored = _ignore_files(folder)
        self._ignored += ignored
        for path in _entries(folder):
            if why := self._why_not(path, here):
                self.left_out[path.relative_to(self.folder)] = why
            elif path.is_dir():
                self.visit(path, here)
            else:
                self.files[path.relative_to(self.folder)] = path.stat().st_size
        del self._ignored[len(self._ignored) - len(ignored) :]

    def _why_not(self, path: Path, above: tuple[str, ...]) -> str:
        """Why it is left out; empty where it is not."""
        if why := _why_unnameable(path.name):
            return why
        real = Path(os.path.realpath(path))
        if pattern := _secret(path.name) or (path.is_symlink() and _secret_place(real)):
            return f"it may be secret ({pattern})"
        if pattern := _matching(path.name, NEVER_NEEDED):
            return f"no job needs it ({pattern})"
        for place, why in self.stays.items():
            if real.is_relative_to(place):
                return why
        if any(ignores(path) for ignores in self._ignored):
            return "an ignore file names it"
        return _why_no_file(path, real, above)


def _why_unnameable(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8; rename it"
    return "its name holds a backslash, and Ray unpacks no such file; rename it" if "\\" in name else ""


def _why_no_file(path: Path, real: Path, above: tuple[str, ...]) -> str:
    if not path.exists():
        return "a link to nothing"
    if path.is_dir():
        if str(real) in above:
            return "a link to a folder that it is in"
        kept = path.suffix == ".files" and is_journal(path.with_suffix(""))
        return "searches" if kept or _holds_searches(path) else ""
    if kind := KINDS.get(stat.S_IFMT(path.stat().st_mode)):
        return f"it is {kind}"
    if any(is_journal(path.with_name(path.name.removesuffix(end))) for end in BESIDE):
        return "a journal"
    return "an image" if IMAGE_EXTENSIONS & {path.suffix.lower(), real.suffix.lower()} else ""


def _holds_searches(folder: Path) -> bool:
    """Whether it is a home, or a search's own folder in one."""
    return any(
        path.name == "journal.db" or fnmatchcase(path.name, "lock-[0-9]*") for path in _entries(folder)
    )


def _secret(name: str) -> str:
    return _matching(name.lower(), SECRET)


def _secret_place(place: PurePath) -> str:
    """Of a link's other end: its name, and the folders on the way that hold nothing else."""
    hidden = [part for part in place.parts[:-1] if part.startswith(".")]
    return _secret(place.name) or next(filter(None, map(_secret, hidden)), "")


def _matching(name: str, patterns: tuple[str, ...]) -> str:
    return next((pattern for pattern in patterns if fnmatchcase(name, pattern)), "")


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{shown(folder)} cannot be read and so not sent: {error.strerror}") from error


def _ignore_files(folder: Path) -> list[Callable[[Path], bool]]:
    """What Ray makes of a folder's .gitignore and .rayignore."""
    from ray._private.runtime_env.packaging import get_excludes_from_ignore_files

    for file in (folder / ".gitignore", folder / ".rayignore"):
        if file.exists() and not file.is_file():  # a named pipe would be read from for ever
            raise InputError(f"{shown(file)} is no file, so what it ignores is not known; remove it")
    gitignore = os.environ.get("RAY_RUNTIME_ENV_IGNORE_GITIGNORE") != "1"
    try:
        return list(get_excludes_from_ignore_files(folder, include_gitignore=gitignore, logger=LOG))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(
            f"an ignore file (.gitignore, .rayignore) in {shown(folder)} cannot be read: {reason}"
        ) from error


def _pack(package: zipfile.ZipFile, folder: Path, path: Path) -> None:
    try:
        content = (folder / path).read_bytes()
        entry = zipfile.ZipInfo.from_file(
            folder / path, f"{INSIDE}/{path.as_posix()}", strict_timestamps=False
        )
    except OSError as error:
        raise InputError(f"{path} cannot be read and so not sent: {error.strerror}") from error
    package.writestr(entry, content)


def _largest_part(files: Mapping[Path, int]) -> tuple[str, int]:
    parts: dict[str, int] = {}
    for path, size in files.items():
        parts[path.parts[0]] = parts.get(path.parts[0], 0) + size
    return max(parts.items(), key=lambda part: part[1])


def shown(path: Path) -> str:
    """A path as it can be printed, whatever its bytes are."""
    text = os.fsencode(path).decode(errors="backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
