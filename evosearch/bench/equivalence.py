"""Whether networks come to the same in bf16 as in fp32, but for chance: the gate of all figures in bf16.

It takes as long as it takes, so it runs apart (`bench evaluate --gates`) and may be stopped at any time; each training is kept in
`HOME/bench/` as it ends. What is kept counts as long as the code that trains, PyTorch, the instructions and the images are the same.
"""

import ast
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from queue import Empty, SimpleQueue
from statistics import fmean
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch

import evosearch
from evosearch.bench.limits import instructions_of
from evosearch.bench.standing import Standing
from evosearch.evaluation import TrainingSettings

MARGIN = 0.02
"""Accuracy in bf16 may lie so far from that in fp32."""

CHANCE = 0.05
"""Of each of the two one-sided tests, that it says so by chance."""

RANKS = 0.1
"""And the rank correlation of the networks between precisions so far below that of two seeds in fp32."""

SEEDS, EPOCHS = (0, 1, 2), 8
PRECISIONS: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16")

KEPT = Path(__file__).with_name("equivalence.jsonl")
"""What we measured, if it is there."""

CODE = (
    "training/step.py",
    "training/fit.py",
    "training/captured.py",
    "training/batches.py",
    "training/augmentation.py",
    "training/optimizers.py",
    "training/numerics.py",
    "networks/decode.py",
    "blueprint/plan.py",
    "blueprint/layers.py",
)
"""What decides the numbers of a training; what only reads or writes files does not, nor do words."""


def code_hash(folder: Path = Path(evosearch.__file__).parent) -> str:
    """Of `CODE` below `folder`, as far as it is there, comments and docstrings left out."""
    digest = hashlib.sha256()
    for name in CODE:
        if (folder / name).exists():
            tree = ast.parse((folder / name).read_text())
            for node in ast.walk(tree):
                if isinstance(body := getattr(node, "body", None), list):
                    kept = [one for one in body if not _is_text(one)]
                    node.body = kept  # type: ignore[attr-defined] # it has just been read
            digest.update(f"{name} {ast.dump(tree)}".encode())
    return digest.hexdigest()[:16]


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@dataclass(frozen=True)
class Fingerprint:
    """What the outcomes depend on. `data`: the images' key, which their size enters."""

    code: str
    torch: str
    instructions: str
    data: str

    @classmethod
    def here(cls, device: str, data: str) -> "Fingerprint":
        """That of this machine."""
        return cls(code_hash(), torch.__version__, instructions_of(device), data)


@dataclass(frozen=True)
class Accuracy:
    """What one training came to."""

    size: int
    network: str
    seed: int
    precision: str
    accuracy: float


Cell = tuple[str, int, str]
"""Network, seed, precision."""


def cells(networks: Sequence[str]) -> list[Cell]:
    """All that are compared, each network's and seed's precisions beside each other."""
    return list(product(networks, SEEDS, PRECISIONS))


def read(file: Path, fingerprint: Fingerprint, size: int) -> dict[Cell, float]:
    """What `file` holds of this fingerprint and size; a line that was cut off, or is damaged, is none."""
    found = {}
    for one in _lines_of(file):
        if one is not None and one[0] == fingerprint and one[1] == size:
            found[one[2]] = one[3]
    return found


def unreadable(file: Path) -> str:
    """That some lines of `file` are none, in words; empty where each is one, or there is no such file."""
    count = sum(one is None for one in _lines_of(file))
    return f"{file}: lines that cannot be read, and are ignored: {count}" if count else ""


def _lines_of(file: Path) -> Iterator[tuple[Fingerprint, int, Cell, float] | None]:
    """Fingerprint, size, cell and accuracy of each line but empty ones; None: it cannot be read."""
    lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
    for line in filter(str.strip, lines):
        try:
            one = json.loads(line)
            accuracy = Accuracy(**one["outcome"])
            cell = str(accuracy.network), int(accuracy.seed), str(accuracy.precision)
            found = Fingerprint(**one["fingerprint"]), accuracy.size, cell, float(accuracy.accuracy)
        except (ValueError, TypeError, KeyError):
            yield None
        else:
            yield found


@dataclass(frozen=True)
class Equivalence:
    """What the comparison says. `difference`: bf16 less fp32, the mean; `low`, `high`: its interval (90 %), which lies within
    the margin exactly where both tests say so. `ranks`: the rank correlation between precisions, other seeds in each;
    `ranks_of_seeds`: between two seeds in fp32.
    """

    difference: float
    low: float
    high: float
    p: float
    ranks: float
    ranks_of_seeds: float
    trainings: int

    @classmethod
    def of(cls, found: Mapping[Cell, float], networks: Sequence[str]) -> "Equivalence":
        """From all `cells`; a network counts once, by the mean over its seeds."""
        from scipy.stats import spearmanr  # noqa: PLC0415 - most of a second
        from statsmodels.stats.weightstats import DescrStatsW  # noqa: PLC0415 - likewise

        columns: dict[tuple[str, int], Any] = {
            (precision, seed): np.array([found[network, seed, precision] for network in networks])
            for precision in PRECISIONS
            for seed in SEEDS
        }
        plain, fast = (np.mean([columns[name, seed] for seed in SEEDS], axis=0) for name in PRECISIONS)
        differences = DescrStatsW(fast - plain)
        with np.errstate(divide="ignore"):  # equal differences have no spread
            low, high = differences.tconfint_mean(2 * CHANCE)
            p = differences.ttost_mean(-MARGIN, MARGIN)[0]

        def ranked(precision: str) -> float:
            pairs = [(one, other) for one in SEEDS for other in SEEDS if one != other]
            return fmean(
                float(spearmanr(columns["fp32", one], columns[precision, other]).statistic)
                for one, other in pairs
            )

        return cls(
            float(differences.mean),
            float(low),
            float(high),
            float(p),
            ranked("bf16"),
            ranked("fp32"),
            len(found),
        )

    @property
    def passed(self) -> bool:
        """Whether bf16 may stand for fp32; what is not a number is no proof."""
        return self.p < CHANCE and self.ranks >= self.ranks_of_seeds - RANKS

    def __str__(self) -> str:
        return (
            f"{self.difference:+.4f} ({self.low:+.4f} to {self.high:+.4f}, allowed ±{MARGIN:g}; two one-sided tests p {self.p:.3g}); "
            f"rank correlation {self.ranks:.2f}, of two fp32 seeds {self.ranks_of_seeds:.2f}; {self.trainings} trainings of "
            f"{EPOCHS} epochs"
        )

    def to_json(self) -> dict[str, Any]:
        """For a document."""
        return {**asdict(self), "passed": self.passed}


def kept(
    files: Sequence[Path], fingerprint: Fingerprint, size: int, networks: Sequence[str]
) -> Equivalence | str:
    """What was measured before; a text: why nothing counts here."""
    wanted = cells(networks)
    again = f"`evosearch bench evaluate --size {size} --gates` measures it"
    for file in files:
        found = read(file, fingerprint, size)
        if found.keys() >= set(wanted):
            return Equivalence.of({one: found[one] for one in wanted}, networks)
    if any(read(file, fingerprint, size) for file in files):
        return f"unfinished; {again}"
    if any(file.is_file() and file.stat().st_size for file in files):
        return f"what is kept is of other code, PyTorch, instructions, images or size, and void; {again}"
    return f"not measured; {again}"


def measure_equivalence(
    workers: Sequence[Standing],
    file: Path,
    fingerprint: Fingerprint,
    size: int,
    networks: Sequence[str],
    tell: Callable[[str], None],
) -> Equivalence:
    """Train what `file` lacks, one network per worker at a time, and add it there.

    Raises:
        CannotRunError: a training failed.
    """
    found = read(file, fingerprint, size)
    todo: SimpleQueue[Cell] = SimpleQueue()
    wanted = cells(networks)
    for cell in wanted:
        if cell not in found:
            todo.put(cell)
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.is_file() and not file.read_bytes().endswith(b"\n"):
        with file.open("a") as lines:
            lines.write("\n")  # after a line that was cut off
    lock = Lock()

    def note(cell: Cell, accuracy: float) -> None:
        outcome = asdict(Accuracy(size, *cell, accuracy))
        with lock, file.open("a") as lines:
            lines.write(json.dumps({"fingerprint": asdict(fingerprint), "outcome": outcome}) + "\n")
            found[cell] = accuracy
            tell(
                f"training {len(found)} of {len(wanted)}: '{cell[0]}', seed {cell[1]}, {cell[2]}: {accuracy:.4f}"
            )

    def work(worker: Standing) -> None:
        for cell in _taken(todo):
            network, seed, precision = cell
            worker.ask(network, asdict(_settings(precision)), whole=True, seed=seed)
            note(cell, worker.answer()["fitness"])

    with ThreadPoolExecutor(len(workers)) as threads:
        try:
            for ended in as_completed([threads.submit(work, worker) for worker in workers]):
                ended.result()
        except BaseException:  # Ctrl-C, too: nobody waits for trainings that are not wanted any more
            for worker in workers:
                worker.close()
            raise
    return Equivalence.of({one: found[one] for one in wanted}, networks)


def _settings(precision: str) -> TrainingSettings:
    return replace(TrainingSettings(), epochs=EPOCHS, precision="bf16" if precision == "bf16" else "fp32")


def _taken(todo: "SimpleQueue[Cell]") -> Iterator[Cell]:
    while True:
        try:
            yield todo.get_nowait()
        except Empty:
            return
