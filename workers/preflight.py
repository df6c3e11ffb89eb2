"""What a worker tells of its node before it is given anything, and whether the search can run there."""

import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version

from workers.classify import describe

PACKAGES = ("evosearch", "ray", "torch")
"""What must be the same on every node."""

ABSENT = "not installed"

LEAST_DISK = 200 * 2**20
"""Bytes that must be free for temporary files: Ray spills and logs there, torch caches its kernels."""

Reach = Callable[[], str | None]
"""Tries whether the artifact store can be reached, within seconds; a problem in one line, or None. Picklable."""


@dataclass(frozen=True)
class Introduction:
    """Where a worker is and what it found there.

    `node`: Ray's id. `device`: "cpu", or "cuda:N" as its host counts. `versions`: of python and `PACKAGES`. `data`:
    key of the data it holds. `free`: bytes left in `folder`, for temporary files. `store`: the problem with the
    artifact store, if there is one.
    """

    node: str
    host: str
    device: str
    versions: Mapping[str, str]
    data: str
    folder: str
    free: int
    store: str | None = None


@dataclass(frozen=True)
class Standard:
    """What every node must have. `versions`: of the driver, and torch as on the first worker: a driver needs none."""

    versions: Mapping[str, str]
    data: str

    @classmethod
    def of_driver(cls, data: str) -> "Standard":
        """That of this process."""
        own = find_versions()
        del own["torch"]
        return cls(own, data)

    def with_torch_of(self, introduction: Introduction) -> "Standard":
        """This standard; the first worker that asks brings torch's version into it."""
        return replace(self, versions={**introduction.versions, **self.versions})


def introduce(node: str, host: str, device: str, data: str, reach: Reach | None = None) -> Introduction:
    """What there is to tell of this process; imports no torch, and takes as long as `reach` does."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    return Introduction(node, host, device, find_versions(), data, folder, free, _try(reach))


def find_versions() -> dict[str, str]:
    """Versions of python and `PACKAGES` in this process, none of them imported."""
    return {"python": platform.python_version(), **{package: _version(package) for package in PACKAGES}}


def check(introduction: Introduction, standard: Standard, node: str) -> str | None:
    """Why the search cannot run on `node`, in one line with what was found and the repair; None where it can."""
    for package, wanted in standard.versions.items():
        found = introduction.versions.get(package, ABSENT)
        if found != wanted:
            return (
                f"node {node} has {package} {found}, but this search runs with {wanted}; "
                f"install {package} {wanted} there, or take the node out of the cluster"
            )
    if introduction.data != standard.data:
        return (
            f"node {node} holds data {introduction.data[:12]}, but this search trains on {standard.data[:12]}; "
            "restart Ray on that node"
        )
    if introduction.free < LEAST_DISK:
        return (
            f"node {node} has {introduction.free / 2**20:.0f} MiB free in {introduction.folder}, and needs "
            f"{LEAST_DISK / 2**20:.0f}; make room there, or set TMPDIR to another folder"
        )
    if introduction.store:
        return f"node {node} cannot reach the artifact store: {introduction.store}"
    return None


def _try(reach: Reach | None) -> str | None:
    try:
        return reach() if reach else None
    except Exception as error:
        return describe(error)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ABSENT
