"""The files in docker/, and their checkers."""

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.ray_head import BIN

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "docker"
IMAGE, COMPOSE, RAYJOB, SLURM = (
    FOLDER / name for name in ("Dockerfile", "compose.yaml", "rayjob.yaml", "slurm.sh")
)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def check(*command: str | Path) -> None:
    """A checker of this environment must find nothing."""
    name, *arguments = map(str, command)
    ended = subprocess.run([BIN / name, *arguments], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def locked(path: Path) -> dict[str, str]:
    """The version of each package in a lock, by name."""
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==([^\s;]+)", path.read_text(), re.MULTILINE))
