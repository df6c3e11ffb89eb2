"""Which way of journaling a folder's file system bears, and whether its disk holds what a search will write."""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from evosearch.errors import CannotRunError

JournalMode = Literal["WAL", "DELETE"]

NETWORK = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "gfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "pvfs2",
        "smb3",
        "smbfs",
        "virtiofs",
        "vmhgfs",
        "wekafs",
    }
)
"""File systems on which two machines do not share memory, as WAL needs (https://sqlite.org/wal.html)."""


def journal_mode(mounts: str, folder: Path) -> JournalMode:
    """WAL where `folder` (absolute, without symbolic links) is on a local file system, else DELETE.

    Args:
        mounts: the text of /proc/mounts as `os.fsdecode` reads it, empty where there is none.
        folder: where the journal is.
    """
    kind = ""
    longest = -1
    for line in filter(None, mounts.split("\n")):  # a name may hold what else ends lines
        _, point, of = line.split(" ")[:3]
        path = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point))
        if folder.is_relative_to(path) and len(path.parts) >= longest:  # a later mount hides an earlier one
            kind, longest = of, len(path.parts)
    return "DELETE" if kind in NETWORK or kind.startswith("fuse.") else "WAL"


LEAST_FREE = 2 * 2**20
"""Bytes for an empty journal, its log of commits, and the evolution curve."""

PER_EVALUATION = 5_000
"""Bytes that an evaluation takes in the journal, a learning curve of a hundred epochs included."""


def check_space(folders: Iterable[Path], evaluations: int, checkpoints: int = 0) -> None:
    """See that each of `folders` has room for so many more evaluations, and bytes of checkpoints.

    Raises:
        CannotRunError: one has not.
    """
    needed = LEAST_FREE + evaluations * PER_EVALUATION + checkpoints
    for folder in folders:
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise CannotRunError(
                f"{folder} has {free / 2**20:.1f} MiB free, and {evaluations:,} evaluations may take "
                f"{needed / 2**20:.1f} MiB{_of_checkpoints(checkpoints)}; make room, or name another disk with "
                "EVOSEARCH_HOME, --storage or storage.artifacts"
            )


def _of_checkpoints(count: int) -> str:
    return f", {count / 2**20:.1f} MiB of them checkpoints (workers.checkpoint_minutes)" if count else ""
