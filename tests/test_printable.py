"""The words of strangers, where they are printed."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evosearch
from evosearch.printable import printable, printable_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("\x9b31mred", r"\x9b31mred"),
        ("a\tb\r\nc\x00\x7f", r"a\tb\r\nc\x00\x7f"),
        ("one\x85two\u2028three\u2029four\x0bfive", r"one\x85two\u2028three\u2029four\x0bfive"),
        ("\u202egnp.exe\u202c \u2066x\u2069", r"\u202egnp.exe\u202c \u2066x\u2069"),
        ("caf\udce9.png", r"caf\udce9.png"),
    ],
    ids=["title", "C1", "C0 and DEL", "lines", "bidi", "no UTF-8"],
)
def test_what_a_terminal_obeys_is_written_out(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["", "Ärger 图像 ✓ 🐈", r"C:\temp\x1b", "a  b \u00a0 c", "שלום"])
def test_all_other_letters_stay(text):
    assert printable(text) == text


@given(st.text(st.characters(codec=None)))
def test_nothing_but_text_on_one_line_is_left_and_it_is_left_alone(text):
    once = printable(text)
    assert len(once.splitlines()) <= 1
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", once)
    assert once.encode().decode() == once  # no stream refuses it
    assert printable(once) == once


@given(st.dictionaries(st.text(st.characters(codec=None)), st.text(st.characters(codec=None))))
def test_a_document_says_the_same_in_letters_that_no_terminal_obeys(document):
    text = printable_json(json.dumps(document, indent=2, ensure_ascii=False))
    assert json.loads(text) == document
    assert all(printable(line) == line for line in text.split("\n"))


def test_nothing_of_ours_prints_beside_the_one_place_that_calls_it():
    package = Path(evosearch.__file__).parent
    ours = [*package.rglob("*.py"), *(package.parent / "workers").rglob("*.py")]
    ours = [path for path in ours if path.parent.name != "bench"]  # prints figures
    writing = re.compile(r"std(?:out|err)\.write|\bprint\(|\bConsole\(|\becho\(|os\.write\([12],")
    found = {path.relative_to(package.parent).as_posix() for path in ours if writing.search(path.read_text())}
    assert found == {
        "evosearch/__main__.py",  # a signal's one line, all our own
        "evosearch/cli/output.py",
        "evosearch/cli/reference.py",  # what is generated
        "evosearch/cli/progress.py",  # rich's own display
        "evosearch/config/__main__.py",  # likewise
        "evosearch/studies/protocol.py",  # likewise
        "evosearch/testing/simulation/__main__.py",  # a tool of ours, whose words are all its own
        "workers/mps.py",  # why MPS is not there, to the worker that asked
        "workers/sizing.py",  # numbers, to the process that asked
        "workers/on_head.py",  # into a job's log; whoever sent the job makes it harmless
    }
