"""The cells of NAS-Bench-201, and a table of what each of them reaches: a landscape to search without training.

Source: Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020.
"""

import csv
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

from evosearch.errors import InputError

EDGES = 6
"""Between the four nodes of a cell: into the second one, into the third two, into the last three."""

_TEXT = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|", re.ASCII)
_AN_EXAMPLE = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"

DATA_SETS = {"CIFAR-10": "c10", "CIFAR-100": "c100", "ImageNet16-120": "in16"}
"""As they are called, and how the table's columns of each begin."""
CELL, FITNESS, JUDGE = "arch_str", "_val_12ep", "_test_200ep"
"""The column of the cells, and how those end that hold validation accuracy after 12 epochs, and test accuracy after 200."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A network that no decoder knows. Like every one it has a text and a key, and two of equal text are one.

    >>> str(Cell(("none", "skip_connect", "none", "none", "none", "none")))
    '|none~0|+|skip_connect~0|none~1|+|none~0|none~1|none~2|'
    """

    operations: tuple[str, ...]
    """Of its six edges, in the order of its text."""

    def __str__(self) -> str:
        a, b, c, d, e, f = self.operations
        return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"

    @property
    def key(self) -> str:
        """Content key, 20 hexadecimal digits."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:20]

    def with_operation(self, edge: int, operation: str) -> "Cell":
        """The same cell with another operation on the edge with the number `edge`, from 0."""
        return Cell((*self.operations[:edge], operation, *self.operations[edge + 1 :]))


def parse_cell(text: str) -> Cell:
    """Read a cell from its text.

    Raises:
        InputError: it is none.

    >>> parse_cell("|a~0|+|b~0|c~1|+|d~0|e~1|f~2|").operations
    ('a', 'b', 'c', 'd', 'e', 'f')
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise InputError(f"{_short(text)} is no cell of NAS-Bench-201, such as {_AN_EXAMPLE}")
    return Cell(found.groups())


@dataclass(frozen=True, eq=False)
class Landscape:
    """What every cell there is reaches on one data set, in percent."""

    name: str
    """Of the data set."""
    fitness: Mapping[Cell, float]
    """What is searched: validation accuracy after 12 epochs."""
    judge: Mapping[Cell, float]
    """What it is searched for: test accuracy after 200 epochs."""

    @cached_property
    def operations(self) -> tuple[str, ...]:
        """Those that an edge may have, by name."""
        return operations_of(self.fitness)

    @cached_property
    def best(self) -> tuple[float, float]:
        """The highest fitness, and the highest judge; they need not be of one cell."""
        return max(self.fitness.values()), max(self.judge.values())

    def regrets(self, cell: Cell) -> tuple[float, float]:
        """By how many points `cell` is below the best there is, in the fitness and in the judge."""
        return self.best[0] - self.fitness[cell], self.best[1] - self.judge[cell]

    @property
    def bounds(self) -> tuple[float, ...]:
        """The judge's regret of the fittest cell, or of each where several are: what remains to a search that finds it."""
        fittest = (cell for cell, fitness in self.fitness.items() if fitness == self.best[0])
        return tuple(sorted(self.regrets(cell)[1] for cell in fittest))


def operations_of(cells: Iterable[Cell]) -> tuple[str, ...]:
    """All that occur, by name."""
    return tuple(sorted({operation for cell in cells for operation in cell.operations}))


def read_table(file: Path) -> tuple[Landscape, ...]:
    """The landscape of each of `DATA_SETS`, from a table with a line for every cell that its operations can make.

    Raises:
        InputError: it cannot be read, lacks a column or a cell, or holds something else.
    """
    columns = [f"{short}{end}" for short in DATA_SETS.values() for end in (FITNESS, JUDGE)]
    found: dict[Cell, list[float]] = {}
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines)
            there = rows.fieldnames or ()
            for column in (CELL, *columns):
                if column not in there:
                    raise InputError(
                        f"--table {file} has no column {column!r} but {_short(', '.join(there))}; give NAS-Bench-201's table"
                    )
            for row in rows:
                where = f"--table {file}, line {rows.line_num}"
                cell = _cell_of(row, where)
                if cell in found:
                    raise InputError(f"{where}: {cell} is there twice; name each cell once")
                found[cell] = [_percent(row, column, where) for column in columns]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is no CSV in UTF-8 ({error})"
        raise InputError(f"--table {file}: {reason}; give the file of NAS-Bench-201's table") from error
    _check_whole(found, file)
    return tuple(
        Landscape(
            name,
            {cell: figures[2 * place] for cell, figures in found.items()},
            {cell: figures[2 * place + 1] for cell, figures in found.items()},
        )
        for place, name in enumerate(DATA_SETS)
    )


def _cell_of(row: Mapping[str, str | None], where: str) -> Cell:
    try:
        return parse_cell(row[CELL] or "")
    except InputError as error:
        raise InputError(f"{where}: {error}; give NAS-Bench-201's table") from None


def _percent(row: Mapping[str, str | None], column: str, where: str) -> float:
    text = row[column] or ""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise InputError(f"{where}: {column} is {_short(text)}; it must be an accuracy from 0 to 100 percent")
    return value


def _check_whole(found: Mapping[Cell, object], file: Path) -> None:
    operations = operations_of(found)
    if len(operations) < 2:
        raise InputError(
            f"--table {file} has {len(found)} cells, of the operations {', '.join(operations) or 'none'}; "
            "nothing can be searched: give NAS-Bench-201's table"
        )
    whole = len(operations) ** EDGES
    if len(found) < whole:
        lacking = next(cell for one in product(operations, repeat=EDGES) if (cell := Cell(one)) not in found)
        raise InputError(
            f"--table {file} has {len(found):,} of the {whole:,} cells that its operations can make "
            f"({_short(', '.join(operations))}); {lacking} is not there: give the whole table"
        )


def _short(text: str) -> str:
    return repr(text) if len(text) <= 120 else f"{text[:100]!r}… ({len(text):,} characters)"
