import os
from pathlib import Path

import pytest

from evosearch.storage.disks import journal_mode

MOUNTS = """\
/dev/sda1 / ext4 rw,relatime 0 0
server:/homes /home nfs4 rw,vers=4.2 0 0
/dev/sdb1 /home/local xfs rw 0 0
sshfs#host: /mnt/my\\040cluster fuse.sshfs rw 0 0
/dev/sdc1 /mnt/stick fuseblk rw 0 0
scratch /scratch lustre rw 0 0
/dev/sdd1 /over ext4 rw 0 0
server:/over /over cifs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "mode"),
    [
        ("/var/runs", "WAL"),
        ("/home/me/runs", "DELETE"),
        ("/home", "DELETE"),
        ("/homework", "WAL"),
        ("/home/local/runs", "WAL"),
        ("/mnt/my cluster/runs", "DELETE"),
        ("/mnt/stick", "WAL"),
        ("/scratch/me", "DELETE"),
        ("/over/runs", "DELETE"),
    ],
)
def test_the_nearest_mount_decides_and_the_later_of_two(folder: str, mode: str) -> None:
    assert journal_mode(MOUNTS, Path(folder)) == mode


def test_without_a_list_of_mounts_a_folder_counts_as_local() -> None:
    assert journal_mode("", Path("/home/me")) == "WAL"


@pytest.mark.parametrize("name", [b"\xff", "\u2028".encode(), b"\x85", b"\x0b", b"\x1c"])
def test_other_mount_points_may_have_any_name(name: bytes) -> None:
    mounts = os.fsdecode(b"none /mnt/" + name + b" tmpfs rw 0 0\n" + MOUNTS.encode())
    assert journal_mode(mounts, Path("/home")) == "DELETE"
    assert journal_mode(mounts.replace("tmpfs", "nfs"), Path(os.fsdecode(b"/mnt/" + name))) == "DELETE"
