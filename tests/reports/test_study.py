import csv
import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from evosearch.reports.comparison_picture import comparison_figure, draw_comparison
from evosearch.reports.study import (
    comparison_csv,
    comparison_document,
    comparison_grid,
    comparison_markdown,
    fact_lines,
    note_lines,
)
from evosearch.reports.study_table import study_markdown
from evosearch.studies import ArmFacts, ArmRow, MemberRecord, StudyTable, UnreadArm, comparison_table
from tests.studies.tables import STUDY, answering, crossed_table, small_table


@pytest.fixture(scope="module")
def table():
    return small_table()


def test_the_facts_name_everything_that_a_figure_needs(table):
    text = "\n".join(fact_lines(table))
    for what in (
        "baselines, every arm held against evolved",
        "seeds 0, 1, 2, 9; 200 test images of NORMAL, PNEUMONIA",
        "8 evaluations of 2 epochs, retrained for 4 epochs",
        "largest class reaches accuracy 0.5000",
        "file headers alone, without one pixel, reach accuracy 0.8500 on the same test images",
        "ten statistics of the pixels alone reach accuracy 0.7000 on the same test images",
        "caveat: 2 images are in train and test",
        "data d4d4d4d4d4d4d4d4d4d4, test split 7e7e7e7e7e7e7e7e7e7e",
        "evosearch 0.2.0, torch 2.11",
        "hardware: CPU",
        "1 h 01 min of workers in all",
    ):
        assert what in text


def test_readings_of_the_same_test_split_that_the_table_does_not_show_are_told(table):
    def told(readings):
        facts = replace(STUDY, test_readings=readings)
        return [line for line in fact_lines(replace(table, facts=facts)) if "was read" in line]

    assert told(9) == [
        "this test split was read 9 times for these searches; 6 of these readings are in this table"
    ]
    assert (told(6), told(0)) == ([], [])


def test_what_is_not_known_is_left_out(table):
    bare = replace(
        STUDY, budgets=(), shortcut=None, pixels=None, caveats=(), hardware=(), worker_seconds=None
    )
    text = "\n".join(fact_lines(replace(table, facts=bare)))
    assert not any(
        word in text for word in ("budgets", "headers", "pixels", "caveat", "hardware", "of workers")
    )


def test_markdown_has_one_line_for_each_arm_with_as_many_cells_as_headings(table):
    rows = [line for line in comparison_markdown(table).splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 3
    assert len({len(row.replace("\\|", "").split("|")) for row in rows}) == 1
    assert rows[2].startswith("| evolved | 3 | 0.9000 ± 0.0200 | ")
    assert "worse than evolved; seeds were not tested (2 pairs, 3 are needed)" in rows[3]
    assert "| 1.2 k to 2.0 k |" not in rows[2]
    assert "900 to 2.0 k" in rows[2]
    assert "13, 12, 15" in rows[2]
    assert "1, 2, 1" in rows[2]
    assert "134.3 M" in rows[3]
    assert "not compared" in rows[4]


def test_the_networks_of_a_search_are_told_from_searches():
    arms = [
        replace(answering("eavl", (180, 176, 184), (1, 2, 101)), searches=(0, 0, 1)),
        replace(answering("random", (130, 128), (1, 2)), searches=(0, 0)),
        answering("vgg16_bn", (130, 128), (1, 2)),
    ]
    markdown = comparison_markdown(comparison_table(arms, "eavl", 0, STUDY, draws=500))
    cells = [line.split(" | ")[1] for line in markdown.splitlines() if line.startswith("| ")]
    assert cells[2:] == ["3 of 2 searches", "2 of 1 search", "2"]


def test_an_arm_that_was_not_read_is_a_line_without_figures_in_every_form(table):
    unread = (UnreadArm("resnet18", True, ("failed (seed 0): =1|2",)), UnreadArm("late", False, ()))
    table = replace(table, unread=unread)
    rows = [line for line in comparison_markdown(table).splitlines() if line.startswith("| ")]
    assert [row.count("| ") for row in rows] == [rows[0].count("| ")] * 7
    assert rows[5].startswith("| resnet18 |  |  |")
    assert rows[5].endswith(" | failed (seed 0): =1\\|2 |")
    assert "| not read yet |" in rows[6]
    *_, failed, late = csv.DictReader(io.StringIO(comparison_csv(table)))
    assert (failed["arm"], failed["accuracy"], failed["notes"]) == ("resnet18", "", "failed (seed 0): =1|2")
    assert (late["arm"], late["study"]) == ("late", "small")
    assert "resnet18" in shown(table, 80)
    assert note_lines(table)[-1] == "resnet18: failed (seed 0): =1|2"


def test_where_the_reference_has_no_figures_nothing_is_compared(table):
    arms = [answering("vgg16_bn", (130, 128), (0, 1)), answering("far", (170,), (9,))]
    table = comparison_table(
        arms, "evolved", 0, STUDY, draws=50, unread=[UnreadArm("evolved", True, ("failed",))]
    )
    assert [(row.figures.comparison, row.notes) for row in table.rows] == [(None, ())] * 2
    text = comparison_markdown(table)
    assert "no arm compared with another: evolved, which all are held against, failed" in text
    assert not any(word in text for word in ("against evolved", "p (Holm)", "not better"))
    left, right = comparison_figure(table).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["vgg16_bn", "far"]
    assert right.get_xlabel() == "nothing to compare with"


def test_names_are_no_markdown(table):
    text = comparison_markdown(replace(table, facts=replace(STUDY, name="a|b\n[x](y)")))
    assert text.startswith("# a\\|b\\\\n\\[x\\](y)\n")
    assert "=71\\|0" in text


def test_the_networks_are_named_below_the_table_and_in_no_terminal():
    facts = {
        "evolved": ArmFacts(networks=("C8 P | F4", "C4 | F8", "C8 P | F4")),
        "vgg16_bn": ArmFacts(networks=("vgg16_bn",) * 2),
        "far": ArmFacts(networks=("C2 | F2",)),
    }
    table = small_table(facts=facts)
    lines = comparison_markdown(table).splitlines()
    assert [line for line in lines if line.startswith("- network")] == [
        "- network of evolved (seeds 0, 2): C8 P \\| F4",
        "- network of evolved (seed 1): C4 \\| F8",
        "- network of far: C2 \\| F2",
    ]
    assert "C8 P" not in shown(table, 400)
    evolved, *_ = csv.DictReader(io.StringIO(comparison_csv(table)))
    assert evolved["networks"] == "C8 P | F4; C4 | F8; C8 P | F4"
    assert comparison_document(table)["rows"][1]["facts"]["networks"] == ("vgg16_bn",) * 2


def test_csv_has_a_complete_line_for_each_arm(table):
    evolved, vgg, far = csv.DictReader(io.StringIO(comparison_csv(table)))
    assert float(evolved["accuracy"]) == pytest.approx(0.9)
    assert evolved["seeds"] == "0; 1; 2"
    assert (evolved["difference"], evolved["verdict"]) == ("", "")
    assert vgg["verdict"] == "worse"
    assert float(vgg["not_better"]) == 1
    assert float(vgg["difference"]) == table.rows[1].figures.comparison.difference
    for line in (evolved, vgg, far):
        assert (line["shortcut"], line["pixels"], line["test_key"]) == ("0.85", "0.7", "7e" * 32)
        assert line["draws"] == "500"
        assert line["versions"] == "evosearch 0.2.0; torch 2.11"


def test_json_has_every_figure_and_the_verdict(table):
    document = json.loads(json.dumps(comparison_document(table), allow_nan=False))
    evolved, vgg, _ = document["rows"]
    assert evolved["figures"]["comparison"] is None
    found = vgg["figures"]["comparison"]
    assert found["verdict"] == "worse"
    assert found["sentence"].startswith("worse than evolved")
    assert found["p_holm"] == table.rows[1].figures.comparison.p_holm
    assert document["facts"]["versions"] == {"evosearch": "0.2.0", "torch": "2.11"}
    assert (document["facts"]["shortcut"], document["facts"]["pixels"]) == (0.85, 0.7)


def shown(table, width):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(comparison_grid(table, width))
    return console.export_text()


def test_a_terminal_of_80_columns_has_accuracy_difference_and_verdict(table):
    text = shown(table, 80)
    for part in ("0.9000 ± 0.0200", "-0.24", "worse than evolved; seeds", "left out at this width"):
        assert part in text


def test_no_terminal_shows_p_without_the_interval_of_the_difference(table):
    headings = [shown(table, width).splitlines()[0] for width in range(80, 240)]
    assert not [line for line in headings if "p (Holm)" in line and "95 % of it" not in line]
    assert any("95 % of it" in line and "p (Holm)" not in line for line in headings)


def test_notes_are_lines_of_their_own_which_no_terminal_leaves_out(table):
    assert any("evolved: deeper than any initial one; not trained" in line for line in note_lines(table))
    assert any(line.startswith("far: not compared") for line in note_lines(table))


def test_a_wide_terminal_has_everything(table):
    assert "left out" not in shown(table, 400)


def test_the_picture_has_a_point_with_interval_for_each_arm(table, tmp_path):
    left, right = comparison_figure(table).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["evolved", "vgg16_bn", "far"]
    means = [line.get_xdata()[0] for line in left.lines if line.get_marker() == "o"]
    assert means == pytest.approx([row.figures.accuracy for row in table.rows])
    spans = [
        tuple(line.get_xdata())
        for line in left.lines
        if line.get_linestyle() == "-" and line.get_marker() == "None"
    ]
    assert spans == [row.figures.interval for row in table.rows]
    differences = [line.get_xdata()[0] for line in right.lines if line.get_marker() == "o"]
    assert differences == pytest.approx([table.rows[1].figures.comparison.difference])
    dashed = {line.get_label(): line.get_xdata()[0] for line in left.lines if line.get_linestyle() == "--"}
    assert dashed == {
        "largest class always": 0.5,
        "file headers alone": 0.85,
        "ten pixel statistics alone": 0.7,
    }
    assert right.get_visible()


def test_where_arms_are_held_against_different_ones_each_names_its_own():
    table = crossed_table()
    assert table.reference is None
    text = comparison_markdown(table)
    assert (
        "every arm held against the one that is named beside its difference, one of origin-adam, origin-sgd"
        in text
    )
    assert "in which the arm is not better, or not worse, than the one that it is held against" in text
    header, _, *rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert "| against its reference |" in header
    differences = (
        "-0.1000 to origin-adam",
        "the reference",
        "-0.2000 to origin-sgd",
        "-0.0100 to origin-adam",
    )
    assert all(f"| {told} |" in row for told, row in zip(differences, rows, strict=True))
    read = [line["reference"] for line in csv.DictReader(io.StringIO(comparison_csv(table)))]
    assert read == ["origin-adam", "origin-adam", "origin-sgd", "origin-adam"]
    _, right = comparison_figure(table).axes
    assert [text.get_text() for text in right.texts] == ["to origin-adam", "to origin-sgd", "to origin-adam"]
    assert right.get_xlabel() == "difference to the arm that each is held against"


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_picture_names_each_colour_that_it_has(table):
    assert legend(comparison_figure(table)) == [
        "the reference",
        "worse",
        "not compared",
        "each seed",
        "largest class always",
        "file headers alone",
        "ten pixel statistics alone",
    ]


@pytest.mark.parametrize(
    ("shortcut", "pixels", "told"),
    [
        (0.5, 0.7, ["largest class always,\nfile headers alone", "ten pixel statistics alone"]),
        (0.501, 0.4995, ["largest class always,\nfile headers alone,\nten pixel statistics alone"]),
        (0.85, 0.5, ["largest class always,\nten pixel statistics alone", "file headers alone"]),
        (0.52, None, ["largest class always", "file headers alone"]),
        (None, None, ["largest class always"]),
    ],
)
def test_lines_that_would_hide_one_another_are_one_with_all_their_names(table, shortcut, pixels, told):
    figure = comparison_figure(replace(table, facts=replace(STUDY, shortcut=shortcut, pixels=pixels)))
    left, _ = figure.axes
    assert [line.get_label() for line in left.lines if line.get_linestyle() == "--"] == told
    assert legend(figure)[4:] == told


def test_where_nothing_is_compared_no_differences_are_drawn(table):
    figure = comparison_figure(replace(table, rows=table.rows[:1]))
    assert legend(figure)[:2] == ["the reference", "each seed"]
    assert not figure.axes[1].get_visible()


def test_what_is_missing_is_no_markdown_either():
    member = MemberRecord(0, "s/a-seed-0", "done", 1, ("<b>\n| it broke",), None, 0.0, (), ())
    study = StudyTable("s", "baselines", (ArmRow("a", (member,)),), (0,), (), "", ())
    title, _, missing, fingerprint, *_ = study_markdown(study, None).splitlines()
    assert (title, missing) == ("# s", "- a: failed (seed 0): \\<b>\\\\n\\| it broke")
    assert fingerprint.startswith("- fingerprint ")


def test_the_picture_is_a_png(table, tmp_path):
    draw_comparison(table, tmp_path / "made" / "study.png")
    assert (tmp_path / "made" / "study.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
