"""What a worker reports of its node before it is given anything, and whether the search can run there."""

import hashlib
import platform
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version

from evosearch.data import SearchData, content_key
from workers.worker.classify import PACKAGES as OWN
from workers.worker.classify import describe

PACKAGES = ("evosearch", "ray", "torch")
"""What must be the same on every node."""

ABSENT = "not installed"

LEAST_DISK = 200 * 2**20
"""Bytes that must be free for temporary files: Ray spills and logs there, torch caches its kernels."""

REACH_SECONDS = 20.0
"""A store that has not answered by then is out of reach: a network file system that hangs does so for ever."""

Reach = Callable[[], str | None]
"""Tries whether the artifact store can be reached, within seconds; a problem in one line, or None. Picklable."""


@dataclass(frozen=True)
class Introduction:
    """Where a worker is and what it found there."""

    node: str
    """Ray's id."""
    host: str
    """The machine's name."""
    device: str
    """"cpu", or "cuda:N" as its host counts."""
    versions: Mapping[str, str]
    """Of python and `PACKAGES`."""
    data: str
    """Hash of the images and labels it holds."""
    folder: str
    """For temporary files."""
    free: int
    """Bytes left in `folder`."""
    store: str | None = None
    """The problem with the artifact store; None if there is none."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that a worker there is to be started with besides the node's own."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a search cannot run on a node."""

    text: str
    """In one line, with what was found and the repair."""
    lasting: bool = True
    """As long as the node is as it is now; else it may well be over in minutes."""


@dataclass(frozen=True)
class Standard:
    """What every node must have."""

    versions: Mapping[str, str]
    """Of the driver, and torch as on the first worker: a driver needs none."""
    data: str
    """As in `Introduction`."""

    @classmethod
    def of_driver(cls, data: SearchData) -> "Standard":
        """That of this process."""
        own = find_versions()
        del own["torch"]
        return cls(own, hash_of(data))

    def with_torch_of(self, introduction: Introduction) -> "Standard":
        """This standard; the first worker that asks brings torch's version into it."""
        return replace(self, versions={**introduction.versions, **self.versions})


def introduce(
    node: str, host: str, device: str, data: SearchData, reach: Reach | None = None
) -> Introduction:
    """What there is to report of this process; imports no torch, and takes as long as `reach` does."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    return Introduction(node, host, device, find_versions(), hash_of(data), folder, free, _try(reach))


def hash_of(data: SearchData) -> str:
    """20 hexadecimal digits over what a worker holds of the data, which is all but the test split."""
    return content_key((data.train, data.validation), data.classes)


def find_versions() -> dict[str, str]:
    """Versions of python and `PACKAGES` in this process, none of them imported, and of our own code beyond its number."""
    packages = {package: _version(package) for package in PACKAGES}
    return {"python": platform.python_version(), **packages, "evosearch's code": _code()}


def check(introduction: Introduction, standard: Standard, node: str) -> Problem | None:
    """Why the search cannot run on `node`; None where it can."""
    for package, wanted in standard.versions.items():
        found = introduction.versions.get(package, ABSENT)
        if found != wanted:
            return Problem(
                f"node {node} has {package} {found}, but this search runs with {wanted}; "
                f"install {package} {wanted} there, or take the node out of the cluster"
            )
    if introduction.data != standard.data:
        return Problem(
            f"node {node} holds data {introduction.data[:12]}, but this search trains on {standard.data[:12]}; "
            "restart Ray on that node"
        )
    if introduction.free < LEAST_DISK:
        text = (
            f"node {node} has {introduction.free / 2**20:.0f} MiB free in {introduction.folder}, and needs "
            f"{LEAST_DISK / 2**20:.0f}; make room there, or set TMPDIR to another folder"
        )
        return Problem(text, lasting=False)
    if introduction.store:
        text = f"node {node} cannot reach the artifact store: {introduction.store}"
        return Problem(text, lasting=False)
    return None


def _try(reach: Reach | None) -> str | None:
    """What `reach` finds; it has its time, and no more."""
    if reach is None:
        return None
    found: list[str | None] = []

    def ask(reach: Reach) -> None:
        try:
            found.append(reach())
        except Exception as error:
            found.append(describe(error))

    asking = threading.Thread(target=ask, args=(reach,), daemon=True)
    asking.start()
    asking.join(REACH_SECONDS)
    return found[0] if found else f"it did not answer within {REACH_SECONDS:.0f} s"


def _code() -> str:
    """8 hexadecimal digits over the sources of this project: two checkouts may have one version number."""
    digest = hashlib.sha256()
    for package in OWN:
        for file in sorted(package.rglob("*.py"), key=lambda file: file.relative_to(package).parts):
            if file.is_file() and not file.name.startswith("."):  # as editors leave them
                digest.update(file.read_bytes())
    return digest.hexdigest()[:8]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ABSENT
