"""NAS-Bench-201's cells and table: on a tiny made one, and on the real one where it is."""

import os
from pathlib import Path

import pytest

from evosearch.bench.cells import DATA_SETS, Cell, Landscape, parse_cell, read_table
from evosearch.errors import InputError
from tests.bench.tables import CELLS, OPERATIONS, lines, written


def test_a_cell_reads_back_from_its_text_and_equals_those_of_equal_text() -> None:
    for cell in CELLS:
        assert parse_cell(str(cell)) == cell
        assert parse_cell(str(cell)).key == cell.key
    assert len({cell.key for cell in CELLS}) == len(CELLS)


def test_each_data_set_has_its_own_columns_whatever_their_order(tmp_path: Path) -> None:
    rows = [line.split(",") for line in lines()]
    mixed = written(tmp_path / "mixed.csv", [",".join([*reversed(row), "more"]) for row in rows])
    for file in (written(tmp_path / "table.csv"), mixed):
        landscapes = read_table(file)
        assert [one.name for one in landscapes] == list(DATA_SETS)
        for place, landscape in enumerate(landscapes):
            assert landscape.operations == OPERATIONS
            assert list(landscape.fitness.values()) == [n + 2 * place for n in range(64)]
            assert list(landscape.judge.values()) == [n + 2 * place + 1 for n in range(64)]


def test_regret_is_the_distance_to_the_best_of_each_and_the_fittest_cells_bound_it() -> None:
    a, b, c, d = CELLS[:4]
    landscape = Landscape("four", {a: 90, b: 80, c: 90, d: 10}, {a: 70, b: 75, c: 60, d: 1})
    assert [landscape.regrets(cell) for cell in (a, b, c, d)] == [(0, 5), (10, 0), (0, 15), (80, 74)]
    assert landscape.bounds == (5, 15)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [rows[0].replace("c100_val_12ep", "valid"), *rows[1:]], "has no column 'c100_val_12ep' but"),
        (lambda rows: [], "has no column 'arch_str' but ''; give NAS-Bench-201's table"),
        (lambda rows: rows[:1], "has 0 cells, of the operations none; nothing can be searched"),
        (lambda rows: [*rows, rows[5]], r"line 66: .* is there twice; name each cell once"),
        (lambda rows: [*rows[:9], *rows[10:]], r"has 63 of the 64 cells .*; \|conv~0.* is not there: give the whole"),
        (lambda rows: [*rows, "conv3x3-relu,1,2,3,4,5,6"], r"line 66: 'conv3x3-relu' is no cell of NAS-Bench-201, such"),
        (lambda rows: [*rows, ""], None),
        (lambda rows: [*rows[:3], rows[3].rpartition(",")[0], *rows[4:]], "line 4: in16_test_200ep is ''; it must be"),
        (lambda rows: [*rows[:3], rows[3].replace(",2,", ",nan,"), *rows[4:]], "line 4: c10_val_12ep is 'nan'; it must"),
        (lambda rows: [*rows[:3], rows[3].replace(",2,", ",101,"), *rows[4:]], "c10_val_12ep is '101'; .* 0 to 100"),
    ],
)  # fmt: skip
def test_what_is_no_such_table_is_refused_with_its_place_and_the_repair(
    tmp_path: Path, change, message
) -> None:
    file = written(tmp_path / "table.csv", change(lines()))
    if message is None:
        assert len(read_table(file)) == 3
        return
    with pytest.raises(InputError, match=message) as refused:
        read_table(file)
    assert str(refused.value).startswith(f"--table {file}")


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file or directory; give the file of NAS-Bench-201's table"):
        read_table(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="Is a directory; give"):
        read_table(tmp_path)
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(InputError, match=r"it is no CSV in UTF-8 \(.*; give"):
        read_table(tmp_path / "picture.csv")


def test_the_real_table_has_the_optimum_that_its_authors_published() -> None:
    shared = Path(os.environ.get("EVOSEARCH_DATA") or Path(__file__).parents[3] / "shared" / "data")
    file = shared / "nas" / "nasbench201.csv"
    if not file.is_file():
        pytest.skip("nas/nasbench201.csv is not here; set EVOSEARCH_DATA to the folder that holds it")
    landscapes = read_table(file)
    assert [len(one.fitness) for one in landscapes] == [15_625] * 3
    assert [round(one.best[1], 2) for one in landscapes] == [94.37, 73.51, 47.31]
    convolution, skip = "nor_conv_3x3", "skip_connect"
    found = Cell((convolution, convolution, convolution, skip, convolution, "nor_conv_1x1"))
    assert landscapes[0].regrets(found)[1] == 0
