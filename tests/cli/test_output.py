"""What goes where: results to standard output, everything else to standard error."""

import json
import sys
from io import StringIO

import pytest
from rich.table import Table

from evosearch.cli.output import complain, print_json, say, say_lines, say_table, tell


def test_results_and_progress_do_not_mix(capsys):
    say("a result")
    tell("progress")
    complain("what is\n  wrong")
    assert capsys.readouterr() == ("a result\n", "progress\nevosearch: what is wrong\n")


def test_a_document_keeps_its_letters_and_refuses_what_json_does_not_know(capsys):
    print_json({"class": "Ärger", "fitness": 0.1 + 0.2})
    text = capsys.readouterr().out
    assert "Ärger" in text
    assert json.loads(text) == {"class": "Ärger", "fitness": 0.1 + 0.2}
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"fitness": float("nan")})


def wide_table():
    table = Table("name", "text", box=None)
    table.add_row("node:100:", "word " * 100)
    return table


def test_a_table_in_a_pipe_has_one_line_per_row_and_its_texts_as_they_are(capsys):
    say_table(wide_table())
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["name", "text"]
    assert row.split() == ["node:100:", *["word"] * 100]


def test_a_table_on_a_narrow_terminal_is_wrapped_by_it_and_not_squeezed(monkeypatch):
    class Terminal(StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "60")
    say_table(wide_table())
    _, row = sys.stdout.getvalue().splitlines()
    assert row.count("word ") >= 99


def test_a_long_line_on_a_terminal_is_broken_between_words_below_its_text(monkeypatch):
    class Terminal(StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    path = f"/{'deep/' * 12}evolution.png"
    say(f"Evolution curve  {path}")
    say("  reading      candidate 6, 1 epoch, reading 1 of this test split")
    say("short")
    assert sys.stdout.getvalue().splitlines() == [
        f"Evolution curve  {path}",  # a path stays whole, to be copied
        "  reading      candidate 6, 1 epoch,",
        "               reading 1 of this test",
        "               split",
        "short",
    ]


def test_what_programs_read_too_is_never_broken(monkeypatch):
    class Terminal(StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    text = f"name,reasons\nx,{'word ' * 20}\n"
    say_lines(text)
    assert sys.stdout.getvalue() == text


def test_a_line_in_a_pipe_is_never_broken(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    say("word " * 20)
    assert capsys.readouterr().out == f"{'word ' * 20}\n"
