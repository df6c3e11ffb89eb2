"""What data are, for a person."""

from dataclasses import replace

from evosearch.data import Audit, DataReport, SplitShift, Twin
from evosearch.data.findings import Repeated
from evosearch.data.hygiene import Contradiction, Duplicate
from evosearch.data.inspection import FileCount, Majority, SourceImages
from evosearch.data.reading import DeepFiles
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
    bad_kinds=("'cat/0.png' is empty", "'cat/1.png' is a decompression bomb"),
    duplicates=(Duplicate("train", "cat/2.png", "test", "cat/3.png"),),
    source=SourceImages(124, 1485, {"RGBA": 2, "I;16": 10}, DeepFiles(10, 0, 4095, (0, 4000))),
    notes=("3 files are ignored",),
    repeats=("'list.txt' line 3 names 'a' again, after line 1",),
    contradictions=(
        Contradiction("train", "cat/4.png", "cat", "train", "hippopotamus/4.png", "hippopotamus", 1),
    ),
    alike=(Contradiction("train", "cat/5.png", "cat", "test", "hippopotamus/5.png", "hippopotamus", 0.9951),),
    alike_count=1200,
    objections=(
        "'/pictures' holds 'train' and, beside it, 'dev'; a split's folder is called train, val or test",
    ),
    files=FileCount(1217, 2, {".txt": 3, "hidden": 1}),
    majority=Majority("hippopotamus", {"train": 0.99502, "validation": 0.6, "test": 2 / 3}),
    groups=40,
)


def test_everything_that_was_found_is_told():
    assert data_lines(REPORT) == [
        "image_folder in /pictures",
        "  not audited while there are bad files",
        "",
        "  images as 3 x 32 x 32",
        "  files have sides of 124 to 1485 pixels; 10 I;16, 2 RGBA",
        "  values of 10 deep pictures: 0 to 4095; 0 to 4000 become black to white",
        "    (data.window)",
        "",
        "  class              train  validation        test",
        "  cat                    6           2           2",
        "  hippopotamus        1200           3           4",
        "  all                 1206           5           6",
        "  largest class: hippopotamus, 99.5% of train, 60.0% of validation, 66.7% of",
        "    test",
        "",
        "  hash none while there are bad files",
        "  files: 1,223, of these 1,217 used, 2 refused, 4 not used (3 .txt, 1 hidden)",
        "  groups: 40",
        "  images that are in two splits: 1",
        "    train cat/2.png = test cat/3.png",
        "  equal images under different labels: 1",
        "    train cat/4.png (cat) = train hippopotamus/4.png (hippopotamus)",
        "  nearly equal images under different labels: 1,200, the 1 likest of them",
        "    train cat/5.png (cat) ~ test hippopotamus/5.png (hippopotamus), 0.995 alike",
        "  note: 3 files are ignored",
        "  names that are twice in a split list: 1",
        "    'list.txt' line 3 names 'a' again, after line 1",
        "  no new search begins with these: '/pictures' holds 'train' and, beside it,",
        "    'dev'; a split's folder is called train, val or test",
        "  bad files: 2",
        "    'cat/0.png' is empty",
        "    'cat/1.png' is a decompression bomb",
    ]


AUDIT = Audit(
    counts={"train": 1206, "validation": 5, "test": 6},
    twins=(
        *(Twin("train", f"cat/{n}.png", "cat", "test", f"cat/{n}0.png", "cat", 0.9712) for n in range(5)),
        Twin("train", "cat/7.png", "cat", "test", "hippopotamus/8.png", "hippopotamus", 1),
        Twin("train", "cat/8.png", "cat", "train", "cat/9.png", "cat", 1),
    ),
    twin_counts={"train, test": 6, "train, train": 1},
    leaked={"validation": 0, "test": 6},
    conflicts=(Twin("train", "cat/7.png", "cat", "test", "hippopotamus/8.png", "hippopotamus", 1),),
    conflict_count=1,
    set_aside=1918,
    shares={},
    share_shift=(),
    shortcut_validation=0.8,
    constant_answer=0.6,
    shortcut_chance=0.337,
    pixels_validation=0.4,
    pixels_chance=0.9,
    split_shift=(SplitShift("train", "test", 0.8414, 1e-9), SplitShift("train", "validation", 0.5, 0.5)),
    constant_images=(Repeated("train", "cat/3.png", 2), Repeated("test", "cat/2.png", 1)),
    repeated=(Repeated("train", "cat/6.png", 9),),
    caveats=("the worst of all, " + "which takes more than a line " * 3, "the next"),
    unsaid=(),
)
SOUND = replace(
    REPORT,
    key="0123",
    files=FileCount(1217, 0, {}),
    bad_files=(),
    bad_kinds=(),
    repeats=(),
    objections=(),
    notes=("a note",),
)


def test_an_audit_is_told_the_worst_first_and_with_what_it_rests_on():
    lines = data_lines(replace(SOUND, audit=AUDIT))
    assert lines[:6] == [
        "image_folder in /pictures",
        "  ! the worst of all, which takes more than a line which takes more than a line",
        "    which takes more than a line",
        "  ! the next",
        "",
        "  images as 3 x 32 x 32",
    ]
    assert lines[lines.index("  groups: 40") + 1 :] == [
        "  twins: 6 of train and test, 1 inside train; 1,918 further pairs alike as",
        "    wholes (from 0.95), not in detail (from 0.9)",
        "    train cat/0.png (cat) ~ test cat/00.png (cat), 0.971 alike",
        "    train cat/1.png (cat) ~ test cat/10.png (cat), 0.971 alike",
        "    train cat/2.png (cat) ~ test cat/20.png (cat), 0.971 alike",
        "    and 2 more (--json names each)",
        "  twins under different labels: 1",
        "    train cat/7.png (cat) = test hippopotamus/8.png (hippopotamus)",
        "  file headers alone: 80.0% of validation, a constant answer 60.0%; they tell",
        "    train from test with AUROC 0.84",
        "  ten statistics of the pixels alone: 40.0% of validation, a constant answer",
        "    60.0%",
        "  images of one colour: 3; pictures that are there 5 times or more: 1",
        "  note: a note",
        "  bad files: 0",
    ]


def test_what_was_not_looked_for_is_said():
    audit = replace(AUDIT, set_aside=None, twins=(), twin_counts={}, conflicts=(), conflict_count=0)
    lines = data_lines(replace(SOUND, audit=replace(audit, shortcut_validation=None, split_shift=())))
    assert "  file headers alone: no image has a file of its own" in lines
    both = " ".join(" ".join(lines).split())
    assert "twins: none; near ones were not looked for among images so many or so small" in both
    for counts, why in (
        ({"train": 1206, "validation": 5, "test": 4}, "all are equal"),
        ({"train": 1206, "validation": 4, "test": 4}, "too few to tell splits apart"),
    ):
        lines = data_lines(replace(SOUND, audit=replace(audit, split_shift=(), counts=counts)))
        assert f"80.0% of validation, a constant answer 60.0%; {why}" in " ".join(" ".join(lines).split())


def test_an_audit_that_lacks_statistics_of_the_pixels_has_no_line_for_them():
    lines = data_lines(replace(SOUND, audit=replace(AUDIT, pixels_validation=None, pixels_chance=None)))
    assert not [line for line in lines if "statistics" in line]


def test_many_of_a_kind_are_one_line_and_what_is_missing_is_no_file():
    many = replace(
        REPORT,
        bad_files=tuple(f"'{number}.png' is empty" for number in range(9)),
        bad_kinds=("9 files, each of which is empty, first '0.png'",),
        files=FileCount(1217, 7, {}),
    )
    assert data_lines(many)[-3:] == [
        "  bad files: 7 (--json names each)",
        "  missing files: 2",
        "    9 files, each of which is empty, first '0.png'",
    ]


def test_equal_sides_are_one_number():
    lines = data_lines(replace(REPORT, source=SourceImages(40, 40, {"L": 3})))
    assert "  files have sides of 40 pixels; 3 L" in lines


def test_where_likeness_was_not_looked_for_nothing_is_claimed():
    lines = data_lines(replace(REPORT, alike=(), alike_count=None))
    assert "  nearly equal images under different labels: not looked for (many, or small)" in lines


def test_nothing_is_wider_than_a_terminal_but_a_path():
    name = "a class whose name is as long as that of a rare disease in a textbook of medicine"
    train = Contradiction("train", f"{'x' * 40}.png", name, "test", f"{'y' * 60}.png", "cat", 1)
    wide = replace(
        REPORT,
        classes=(name, "cat"),
        counts={split: {name: 1, "cat": 2} for split in ("train", "validation", "test")},
        contradictions=(train,),
        notes=("a long note " * 20,),
        bad_kinds=(f"'{'z' * 90}.png' is empty",),
    )
    lines = data_lines(wide)
    assert [line for line in lines if len(line) > 80] == [f"  {name}", f"    '{'z' * 90}.png'"]
    assert lines[lines.index(f"  {name}") + 1].split() == ["1", "1", "1"]
