"""Tables of cells that are made up: those of two operations, 64 of them."""

from itertools import product
from pathlib import Path

from evosearch.bench.cells import Cell, Landscape

OPERATIONS = ("conv", "none")
CELLS = [Cell(operations) for operations in product(OPERATIONS, repeat=6)]
HEADER = "arch_str,c10_val_12ep,c10_test_200ep,c100_val_12ep,c100_test_200ep,in16_val_12ep,in16_test_200ep"


def lines() -> list[str]:
    """The header, and for each cell its number and five more figures."""
    return [HEADER, *(f"{cell},{n},{n + 1},{n + 2},{n + 3},{n + 4},{n + 5}" for n, cell in enumerate(CELLS))]


def written(file: Path, rows: list[str] | None = None) -> Path:
    """`file`, with `rows` or those of `lines`."""
    file.write_text("\n".join(lines() if rows is None else rows) + "\n")
    return file


def slope() -> Landscape:
    """The more convolutions the better, and no two cells alike."""
    rank = {cell: 10.0 * cell.operations.count("conv") + n / 100 for n, cell in enumerate(CELLS)}
    return Landscape("slope", rank, rank)
