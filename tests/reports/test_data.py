"""What data are, for a person."""

from dataclasses import replace

from evosearch.data import DataReport
from evosearch.data.hygiene import Contradiction, Duplicate
from evosearch.data.inspection import SourceImages
from evosearch.reports import data_lines

REPORT = DataReport(
    name="image_folder",
    root="/pictures",
    classes=("cat", "hippopotamus"),
    counts={
        "train": {"cat": 6, "hippopotamus": 1200},
        "validation": {"cat": 2, "hippopotamus": 3},
        "test": {"cat": 2, "hippopotamus": 4},
    },
    image=(3, 32, 32),
    key=None,
    bad_files=("'cat/0.png' is empty", "'cat/1.png' is a decompression bomb"),
    duplicates=(Duplicate("train", "cat/2.png", "test", "cat/3.png"),),
    source=SourceImages(124, 1485, {"RGBA": 2, "L": 10}),
    notes=("3 files are ignored",),
    repeats=("'list.txt' line 3 names 'a' again, after line 1",),
    contradictions=(
        Contradiction("train", "cat/4.png", "cat", "train", "hippopotamus/4.png", "hippopotamus", 1),
    ),
    alike=(Contradiction("train", "cat/5.png", "cat", "test", "hippopotamus/5.png", "hippopotamus", 0.9951),),
    alike_count=1200,
)


def test_everything_that_was_found_is_told():
    assert data_lines(REPORT) == [
        "image_folder in /pictures",
        "  images as 3 x 32 x 32",
        "  files have sides of 124 to 1485 pixels; 10 L, 2 RGBA",
        "",
        "  class              train  validation        test",
        "  cat                    6           2           2",
        "  hippopotamus        1200           3           4",
        "  all                 1206           5           6",
        "",
        "  hash none while there are bad files",
        "  images that stand in two splits: 1",
        "    train cat/2.png = test cat/3.png",
        "  equal images under different labels: 1",
        "    train cat/4.png (cat) = train hippopotamus/4.png (hippopotamus)",
        "  nearly equal images under different labels: 1,200, the 1 likest of them",
        "    train cat/5.png (cat) ~ test hippopotamus/5.png (hippopotamus), 0.995 alike",
        "  note: 3 files are ignored",
        "  names that stand twice in a split list: 1",
        "    'list.txt' line 3 names 'a' again, after line 1",
        "  bad files: 2",
        "    'cat/0.png' is empty",
        "    'cat/1.png' is a decompression bomb",
    ]


def test_where_likeness_was_not_looked_for_nothing_is_claimed():
    lines = data_lines(replace(REPORT, alike=(), alike_count=None))
    assert "  nearly equal images under different labels: not looked for among so many" in lines
