"""Studies that are handed on, by the commands: `backup --publish`, `resume --from`, and what reads `FILE.xz`."""

import json
import lzma
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from evosearch.session import SearchSession
from evosearch.storage.journal.tables import SCHEMA
from tests.cli.test_keeping import journal  # noqa: F401 - a fixture
from tests.finished_search import TINY
from tests.storage.journal.test_upgrade import schema_in

DOCS = Path(__file__).parents[2] / "docs"
MOST_BYTES = 500_000
"""Of a journal that is committed: all versions of it stay in the repository for good."""


@pytest.fixture
def published(command, scripted, monkeypatch):
    """`command` in a folder with the study `compare` in `runs` and, published, in `compare.db.xz`."""
    monkeypatch.setattr(SearchSession, "_draw", lambda *_: None)
    study = "{kind: baselines, networks: [evolved, {network: C8 P | F4, name: mine}]}"
    Path("compare.yaml").write_text(f"{TINY}study: {study}\n")
    assert command("baselines", "compare.yaml", "--executor", "local").status == 0
    assert command("backup", "compare", "compare.db.xz", "--publish").status == 0
    return command


def test_a_published_study_is_read_from_its_file_and_goes_on_in_another_home(published, monkeypatch):
    whole = json.loads(published("results", "compare", "--format", "json").out)
    copy = published("results", "compare", "--format", "json", "--storage", "compare.db.xz")
    assert json.loads(copy.out) == whole
    assert "final training: 2 of 2" in published("status", "compare", "--storage", "compare.db.xz").out
    monkeypatch.setenv("EVOSEARCH_HOME", "elsewhere")
    ended = published("resume", "compare", "--from", "compare.db.xz")
    assert ended.status == 0
    assert "'compare' was brought into" in ended.err
    assert f"fingerprint {whole['fingerprint']}" in ended.out
    (note,) = [line for line in ended.told if "winner.safetensors" in line]
    assert "trained weights of 2 searches, 'compare/evolved-seed-0' first, are not on this machine" in note
    assert json.loads(published("results", "compare", "--format", "json").out) == whole


def test_a_published_study_tells_times_to_the_second(published):
    Path("plain.db").write_bytes(lzma.decompress(Path("compare.db.xz").read_bytes()))
    with closing(sqlite3.connect("plain.db")) as connection:
        times = [at for (at,) in connection.execute("SELECT at FROM events")]
    assert times
    assert all(at.is_integer() for at in times)


@pytest.mark.parametrize(
    "arguments",
    [("resume", "compare"), ("delete", "compare", "--yes"), ("upgrade",), ("run", "tiny.yaml")],
)
def test_a_compressed_journal_is_only_read(published, refused, arguments):
    before = Path("compare.db.xz").read_bytes()
    assert refused(*arguments, "--storage", "compare.db.xz") == (
        "compare.db.xz is a compressed copy, which status, results and explain read; to go on from it: `evosearch resume NAME --from "
        "compare.db.xz`"
    )
    assert Path("compare.db.xz").read_bytes() == before


def test_what_cannot_be_published_is_refused(published, refused):
    for arguments, message in (
        (("compare", "compare.db.xz"), "compare.db.xz exists and is left as it is; name another file"),
        (("compare", "nowhere/x.xz"), "nowhere is no folder that exists; make it, or name another file"),
        (("compare", "x.db"), "x.db is to be published, which is always compressed; name it x.db.xz"),
    ):
        assert refused("backup", *arguments, "--publish") == message
    assert "there is no search 'other' in" in refused("backup", "other", "x.xz", "--publish")
    assert not list(Path().glob("x.*"))
    assert not list(Path().glob(".evosearch-backup-*")), "nothing unfinished is left"


def damaged(whole: bytes) -> Iterator[tuple[bytes, str]]:
    yield whole[:3000], "is cut off: it ends before its journal does; bring it back from a copy"
    yield b"", "is cut off: it ends before"
    yield b"no xz at all", "is damaged, or not compressed by xz ("
    yield whole[:3000] + bytes([whole[3000] ^ 64]) + whole[3001:], "is damaged, or not compressed by xz ("
    yield lzma.compress(b"hello"), "is no journal but begins with b'hello'"
    yield lzma.compress(b""), "is empty, so it is no journal"


def test_what_is_no_published_journal_is_refused_and_makes_no_home(published, refused, monkeypatch, tmp_path):
    monkeypatch.setenv("EVOSEARCH_HOME", "elsewhere")
    for content, message in damaged(Path("compare.db.xz").read_bytes()):
        Path("bad.xz").write_bytes(content)
        for arguments in (
            ("resume", "compare", "--from", "bad.xz"),
            ("status", "compare", "--storage", "bad.xz"),
        ):
            assert refused(*arguments).startswith(f"{tmp_path / 'bad.xz'} {message}")
    assert "cannot be read as a compressed journal (No such file" in refused(
        "resume", "compare", "--from", "absent.xz"
    )
    assert "there is no search 'other' in" in refused("resume", "other", "--from", "compare.db.xz")
    assert not Path("elsewhere").exists()


def test_a_name_that_is_in_the_home_already_is_refused(published, refused):
    assert refused("resume", "compare", "--from", "compare.db.xz").startswith("'compare' is in the journal ")


def test_on_a_head_no_file_of_this_machine_is_looked_for(refused):
    told = refused("resume", "compare", "--from", "x.xz", "--address", "http://head:8265")
    assert told.startswith(
        "--from x.xz is a file of this machine, and --address runs the command on the head"
    )


def test_a_journal_of_an_older_schema_is_compressed_published_read_and_brought_in(
    command,
    journal,  # noqa: F811 - the fixture
    tmp_path,
):
    whole = command("results", "s", "--format", "json").out
    assert command("backup", "s", "copy.xz").status == 0
    assert command("backup", "s", "published.xz", "--publish").status == 0
    assert schema_in(journal) == 1
    for file in ("copy.xz", "published.xz"):
        rows = json.loads(command("results", "s", "--format", "json", "--storage", file).out)
        assert [one["fitness"] for one in rows] == [one["fitness"] for one in json.loads(whole)]
        other = tmp_path / f"{file}-home" / "journal.db"
        command("resume", "s", "--from", file, "--storage", other)  # whose data are not these
        assert "s: done" in command("status", "s", "--storage", other).out
        assert schema_in(other) == SCHEMA


# What is committed


def unlike(page: str, folder: Path, command) -> list[str]:
    """The sections of `page` that are not what `results`, or `explain search`, prints from a journal in `folder`."""
    found = []
    for file in sorted(folder.glob("*.db.xz")):
        name = file.name.removesuffix(".db.xz")
        for section, words in ((name, ("results",)), (f"why {name}", ("explain", "search"))):
            written = re.search(f"<!-- {section} -->\n(.*?)<!-- end of {section} -->", page, re.DOTALL)
            if written is None and section != name:
                continue
            printed = command(*words, name, "--format", "markdown", "--storage", file)
            assert (printed.status, printed.err) == (0, "")
            if written is None or written[1] != printed.out:
                found.append(section)
    return found


def test_each_table_of_the_results_is_as_its_committed_journal_tells_it(command):
    assert unlike((DOCS / "results.md").read_text(), DOCS / "results", command) == [], (
        "renew it: make results"
    )


def test_a_committed_journal_is_small():
    sizes = {file.name: file.stat().st_size for file in (DOCS / "results").glob("*")}
    assert not [name for name, size in sizes.items() if size > MOST_BYTES or not name.endswith(".db.xz")]


def test_a_figure_that_is_edited_by_hand_does_not_pass(published):
    table = published("results", "compare", "--format", "markdown").out
    page = f"# Results\n<!-- compare -->\n{table}<!-- end of compare -->\n"
    assert unlike(page, Path(), published) == []
    figure = re.search(r"\| 0\.(\d{4})", table)
    assert figure is not None
    assert unlike(page.replace(figure[1], "9999"), Path(), published) == ["compare"]
    why = "<!-- why compare -->\nno reason\n<!-- end of why compare -->\n"
    assert unlike(page + why, Path(), published) == ["why compare"]
    assert unlike("# Results\n", Path(), published) == ["compare"]
