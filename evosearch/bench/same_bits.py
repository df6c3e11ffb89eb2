"""`make same-bits OLD=COMMIT`: a change that claims to change no numbers proves it.

Two trees, the commit OLD and this working tree, do the same on one machine with the same interpreter and packages:
train the frozen networks of `frozen.json`, search once on scikit-learn's digits, and train that search's best anew.
Every figure but measured times is compared bit for bit: curves, weights, rows of the search, the reading of its test split.
"""

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evosearch.bench import same_bits_probe
from evosearch.errors import CannotRunError, EvosearchError, InputError

HERE = Path(__file__).resolve().parents[2]
"""The working tree that this file belongs to."""
CASES = len(json.loads(same_bits_probe.FROZEN.read_text()))
SEARCH = """
name: bits
seed: 3
data: {name: digits, image_size: 8}
space: {convolutions: [1, 3], channels: [4, 12], poolings: [0, 1], dense: [1, 2], units: [8, 24]}
strategy: {name: eavl, population: 6, generations: 3, elites: 2, immigrants: 1}
training: {epochs: 2, batch_size: 64, learning_rate: 1e-3}
workers: {count: 2, device: cpu}
"""
ROW = (
    "number",
    "generation",
    "origin",
    "parents",
    "chromosome",
    "status",
    "fitness",
    "parameters",
    "flops",
    "attempts",
    "cached",
    "curve",
)
"""Keys of `results` that are compared: all that scripts rely on but seconds and worker, which are measured."""
KINDS = ("curve", "weights", "row", "reading")
READING = (
    "number",
    "epochs",
    "seed",
    "images",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "auroc",
    "confusion",
    "validation_accuracy",
)
"""Keys of `retrain` that are compared."""


@dataclass(frozen=True)
class Finding:
    """One thing that a tree made. `parts`: its figures by name, in order, as texts that hold every bit."""

    kind: str
    name: str
    parts: Mapping[str, str]


@dataclass(frozen=True)
class Tree:
    """A version of the project in a folder. `name`: for people."""

    name: str
    folder: Path

    def run(self, *arguments: str, home: Path) -> str:
        """Standard output of this interpreter under `arguments`, with this tree's packages first and `home` as
        EVOSEARCH_HOME and working directory.

        Raises:
            CannotRunError: it ended with a status; the message holds the last of what it said.
        """
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "EVOSEARCH_HOME": str(home)}
        # -P: neither the working directory nor a script's folder comes first
        command = [sys.executable, "-P", *arguments]
        ended = subprocess.run(  # noqa: S603 - our own programs
            command, check=False, cwd=home, env=environment, capture_output=True, text=True
        )
        if ended.returncode:
            said = "\n".join(ended.stderr.strip().splitlines()[-8:])
            raise CannotRunError(f"{self.name} ended with status {ended.returncode}: {said}")
        return ended.stdout


def examine(tree: Tree, cases: Sequence[int], home: Path) -> list[Finding]:
    """All that is compared of one tree. `cases`: positions in `frozen.json`. `home`: an empty folder.

    Raises:
        CannotRunError: the tree cannot do it, or its packages are not what is imported.
    """
    return [*trained(tree, cases, home), *_searched(tree, home)]


def trained(tree: Tree, cases: Sequence[int], home: Path) -> list[Finding]:
    """Curve and weights of the frozen networks at positions `cases`; else as `examine`."""
    printed = tree.run(same_bits_probe.__file__, str(tree.folder), *map(str, cases), home=home)
    return [Finding(one["kind"], one["name"], one["parts"]) for one in json.loads(printed)]


def _searched(tree: Tree, home: Path) -> Iterator[Finding]:
    """The search and its retraining, through the command line alone, which no version may change."""
    configuration = home / "bits.yaml"
    configuration.write_text(SEARCH)
    tree.run("-m", "evosearch", "run", str(configuration), "--executor", "local", home=home)
    rows = json.loads(tree.run("-m", "evosearch", "results", "bits", "--format", "json", home=home))
    for row in rows:
        yield Finding("row", f"candidate {row['number']} of the search", _parts(row, ROW))
    reading = json.loads(tree.run("-m", "evosearch", "retrain", "bits", "--epochs", "3", "--json", home=home))
    yield Finding("reading", "the reading of the test split", _parts(reading, READING))
    hashes = same_bits_probe.hashes(Path(reading["weights"]))
    yield Finding("weights", "the retrained best", hashes)


def _parts(document: Mapping[str, Any], keys: Sequence[str]) -> dict[str, str]:
    return {key: repr(document.get(key, "missing")) for key in keys}


@dataclass(frozen=True)
class Comparison:
    """What was compared, and what was found different.

    `compared`: by kind, how many things and how many parts. `differences`: by kind, a line per thing, which names its
    first part that differs.
    """

    compared: Mapping[str, tuple[int, int]]
    differences: Mapping[str, tuple[str, ...]]

    @property
    def equal(self) -> bool:
        """Whether all is the same."""
        return not any(self.differences.values())

    def to_markdown(self) -> str:
        """A table, and below it the differences."""
        lines = ["| kind | compared | parts | different |", "|---|---|---|---|"]
        for kind, (things, parts) in self.compared.items():
            lines.append(f"| {kind} | {things} | {parts} | {len(self.differences[kind])} |")
        told = [line for lines_of in self.differences.values() for line in lines_of]
        return "\n".join([*lines, *(["", *told] if told else [])])


def compare(old: Sequence[Finding], new: Sequence[Finding]) -> Comparison:
    """Everything that either tree made, bit for bit.

    Raises:
        CannotRunError: of some kind there is nothing to compare, so that equality would prove nothing.
    """
    before = {(one.kind, one.name): one.parts for one in old}
    after = {(one.kind, one.name): one.parts for one in new}
    compared: dict[str, tuple[int, int]] = {}
    differences: dict[str, tuple[str, ...]] = {}
    for kind in KINDS:
        keys = [key for key in {**before, **after} if key[0] == kind]
        parts = sum(len(before.get(key, {})) for key in keys)
        if not parts:
            raise CannotRunError(f"the old tree made no {kind}: nothing was compared")
        compared[kind] = len(keys), parts
        lines = (_difference(key[1], before.get(key, {}), after.get(key, {})) for key in keys)
        differences[kind] = tuple(f"{kind} of {line}" for line in lines if line)
    return Comparison(compared, differences)


def _difference(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """The first part that differs; empty if none does."""
    for part in {**old, **new}:
        before, after = old.get(part, "missing"), new.get(part, "missing")
        if before != after:
            return f"{name}: {part} was {before}, is {after}"
    return ""


def same_bits(commit: str, cases: Sequence[int]) -> tuple[str, Comparison]:
    """Compare `commit` with this working tree, side by side. The text says what was compared, and where.

    Raises:
        InputError: there is no such commit, or this is no git checkout.
        CannotRunError: a tree cannot do what is compared.
    """
    with TemporaryDirectory(prefix="evosearch-same-bits-") as temporary:
        trees = checked_out(commit, Path(temporary, "tree")), Tree(f"the working tree on {_head()}", HERE)
        homes = Path(temporary, "old"), Path(temporary, "new")
        for home in homes:
            home.mkdir()
        with ThreadPoolExecutor(len(trees)) as both:
            old, new = both.map(examine, trees, [cases] * 2, homes)
    here = f"Python {platform.python_version()}, torch {version('torch')}, {platform.machine()}"
    return f"{trees[0].name} and {trees[1].name}; {here}", compare(old, new)


def checked_out(commit: str, folder: Path) -> Tree:
    """The files of `commit`, written into `folder`.

    Raises:
        InputError: there is no such commit, or this is no git checkout.
    """
    try:
        name = _git("rev-parse", "--verify", "--end-of-options", f"{commit}^{{commit}}").decode().strip()
    except (subprocess.CalledProcessError, OSError) as error:
        said = (
            error.stderr.decode(errors="replace")
            if isinstance(error, subprocess.CalledProcessError)
            else str(error)
        )
        raise InputError(
            f"OLD={commit} names no commit of {HERE} ({said.strip()}); write a hash of `git log`"
        ) from error
    with tarfile.open(fileobj=io.BytesIO(_git("archive", name))) as archive:
        archive.extractall(folder, filter="data")
    return Tree(name[:12], folder)


def _head() -> str:
    name = _git("rev-parse", "--short=12", "HEAD").decode().strip()
    return f"{name} with changes" if _git("status", "--porcelain") else name


def _git(*arguments: str) -> bytes:
    command = ["git", "-C", str(HERE), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603 - arguments of ours


def main() -> int:
    """The command: 0 where all is the same, 1 where something differs, else as `evosearch.errors` says."""
    parser = argparse.ArgumentParser(
        prog="python -m evosearch.bench.same_bits", description=same_bits.__doc__
    )
    parser.add_argument("commit", metavar="OLD", help="a commit, for instance HEAD")
    parser.add_argument("--cases", type=int, nargs="+", choices=range(CASES), default=range(CASES))
    chosen = parser.parse_args()
    try:
        what, comparison = same_bits(chosen.commit, chosen.cases)
    except EvosearchError as error:
        sys.stderr.write(f"same-bits: {error}\n")
        return error.exit_status
    verdict = "every bit is the same" if comparison.equal else "NOT the same"
    sys.stdout.write(f"{what}\n\n{comparison.to_markdown()}\n\n{verdict}\n")
    return 0 if comparison.equal else 1


if __name__ == "__main__":
    sys.exit(main())
