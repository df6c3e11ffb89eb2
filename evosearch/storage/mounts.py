"""Which way of journaling a folder's file system bears."""

import re
from pathlib import Path
from typing import Literal

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
    """WAL where `folder` (absolute, without symbolic links) lies on a local file system, else DELETE.

    Args:
        mounts: the text of /proc/mounts, empty where there is none.
        folder: where the journal lies.
    """
    kind = ""
    longest = -1
    for line in mounts.splitlines():
        _, point, of = line.split(" ")[:3]
        path = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point))
        if folder.is_relative_to(path) and len(path.parts) >= longest:  # a later mount hides an earlier one
            kind, longest = of, len(path.parts)
    return "DELETE" if kind in NETWORK or kind.startswith("fuse.") else "WAL"
