"""Whether a disk holds what a search will write."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from evosearch.errors import CannotRunError

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
