"""Issue 2, "Bad input gets one line, exit 2, nothing lost": every kind once, as a user meets it."""

import sqlite3
import struct
import zlib
from pathlib import Path

import pytest

from evosearch.config.schema import config_schema
from evosearch.data import SOURCES
from tests.finished_search import TINY


@pytest.fixture
def refuses_text(refused):
    """Refuses `tiny.yaml` with a part of it replaced."""

    def refuse(old, new):
        assert old in TINY
        Path("tiny.yaml").write_text(TINY.replace(old, new))
        messages = {refused(command, "tiny.yaml") for command in ("run", "validate", "data")}
        assert not Path("runs").exists()
        (message,) = messages
        return message

    return refuse


# The configuration


def test_a_missing_file_is_named_with_the_one_that_was_meant(refused):
    assert refused("run", "tyny.yaml") == "tyny.yaml does not exist; did you mean tiny.yaml?"
    assert refused("run", ".") == ". is a folder; name a configuration file in it"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("population:", "popluation:", "strategy.popluation is unknown; did you mean strategy.population?"),
        ("epochs: 1, batch", "epochs: many, batch", 'training.epochs is "many"; expected a whole number'),
        ("[4, 8]", "[8, 4]", "space.channels is [8, 4]; the lower bound comes first: [4, 8]"),
        (
            "population: 4",
            "population: 1",
            "strategy.population is 1; it must be at least 2",
        ),
        (
            "elites: 1, immigrants: 1",
            "elites: 3, immigrants: 2",
            "strategy.population is 4, smaller than elites + immigrants = 3 + 2; raise the population or lower "
            "the others",
        ),
        (
            "name: digits",
            "name: digit",
            f'data.name is "digit"; expected {SOURCES.listed()}; did you mean digits?',
        ),
    ],
    ids=["wrong key", "wrong type", "reversed range", "too small", "no room for children", "wrong source"],
)
def test_a_wrong_value_is_told_with_file_and_line_and_nothing_is_made(refuses_text, old, new, message):
    line = next(number for number, text in enumerate(TINY.splitlines(), 1) if old in text)
    assert refuses_text(old, new) == f"tiny.yaml:{line}: {message}"


def whole_numbers():
    """Every key that takes a whole number, or a range of them, as the schema has them."""

    def keys(schema, path):
        schema = {**schema, **document["$defs"].get(schema.get("$ref", "").rpartition("/")[2], {})}
        for option in [*schema.get("oneOf", ()), *schema.get("anyOf", ())]:
            yield from keys(option, path)
        if schema.get("type") == "integer":
            yield path, str(10**20)
        if schema.get("type") == "array" and path[0] == "space":
            yield path, f"[1, {10**20}]"
        for name, inner in schema.get("properties", {}).items():
            yield from keys(inner, (*path, name))

    document = config_schema()
    return sorted({(".".join(path), value) for path, value in keys(document, ())})


@pytest.mark.parametrize(("key", "value"), whole_numbers())
def test_an_absurd_number_is_refused_in_one_line_that_names_its_key_or_does_no_harm(command, key, value):
    section, _, name = key.partition(".")
    others = {
        "evaluations": "strategy={name: random}",
        "max_image_pixels": "data={name: image_folder, root: .}",
    }
    other = ("--set", others[name]) if name in others else ()
    ended = command("validate", "tiny.yaml", *other, "--set", f"{key}={value}")
    if key in {"data.split_seed", "strategy.phi"}:  # numpy takes any seed; a threshold that is never reached
        assert ended.status == 0, ended
        return
    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1), ended
    assert f"{section}.{name}" if name else section in ended.err
    assert str(10**20) in ended.err


def test_as_many_convolutions_as_anybody_asks_for_do_not_run_for_ever(refused):
    message = refused("run", "tiny.yaml", "--set", "space.convolutions=[1, 100000000]")
    assert message.endswith("space.convolutions is [1, 100000000]; its upper bound must be at most 1,000")
    message = refused("run", "tiny.yaml", "--set", "space.convolutions=[1, 1001]")
    assert message.endswith("space.convolutions is [1, 1001]; its upper bound must be at most 1,000")


@pytest.mark.parametrize(
    "arguments",
    [
        ("retrain", "tiny", "--epochs", 10**20),
        ("resume", "tiny", "--generations", 10**20),
        ("retrain", "tiny", "--seeds", 10**20),
        ("run", "tiny.yaml", "--seeds", 10**20),
    ],
)
def test_an_absurd_number_of_an_option_is_refused_too(refused, own_finished, arguments):
    assert str(10**20) in refused(*arguments)


def test_a_nul_character_in_a_configuration_is_refused_wherever_it_stands(refused):
    for key in ("data.root", "storage.journal", "storage.artifacts", "workers.address", "name"):
        message = refused("validate", "tiny.yaml", "--set", f'{key}="a\\0b"')
        assert message.endswith('"a\\u0000b" holds a NUL character; leave it out')


def test_the_same_key_twice_is_refused(refuses_text):
    assert refuses_text("seed: 3", "seed: 3\nseed: 4").startswith("tiny.yaml:3: ")


def test_a_wrong_override_is_named_itself(refused):
    assert refused("run", "tiny.yaml", "--set", "training.epochs=x") == (
        '--set training.epochs=x: training.epochs is "x"; expected a whole number'
    )


def test_a_name_that_cannot_be_a_folder_is_refused(refused, tmp_path):
    assert refused("run", "tiny.yaml", "--name", "../../etc").startswith("--name ../../etc: name: ")
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.yaml"}


# The data


def png(width, height):
    """The head of a PNG that claims to be so large."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda good: good[: len(good) // 2], "cannot be decoded ("),
        (lambda good: b"", "is empty"),
        (lambda good: b"a shopping list", "is not an image (or its header is broken)"),
        (
            lambda good: png(9000, 9000),
            "is a decompression bomb: 9000 x 9000 pixels, data.max_image_pixels allows 64000000",
        ),
        (lambda good: png(50000, 50000), "is a decompression bomb: more pixels than data.max_image_pixels"),
    ],
    ids=["truncated", "empty", "not an image", "bomb", "greater bomb"],
)
def test_an_image_that_cannot_be_used_is_named_by_its_path(refused, write_pictures, content, reason):
    made = write_pictures("cat", "dog")
    bad = made.root / "cat" / "3.png"
    bad.write_bytes(content(bad.read_bytes()))
    for command in ("run", "validate"):
        message = refused(command, made.config)
        assert message.startswith(f"bad files (1) in {str(made.root)!r}: 'cat/3.png' {reason}")
        assert message.endswith("remove or replace it (`evosearch data CONFIG` lists all)")


def test_of_many_bad_images_ten_are_listed_and_summed_up(command, write_pictures):
    made = write_pictures("cat", "dog")
    for path in made.root.glob("*/*.png"):
        path.write_bytes(b"")
    ended = command("validate", made.config)
    *listed, message = ended.err.splitlines()
    assert (ended.status, ended.out) == (2, "")
    assert listed == [f"evosearch: 'cat/{number}.png' is empty" for number in range(10)]
    assert message.startswith(f"evosearch: bad files (20) in {str(made.root)!r}: 20 files, each of which is ")
    assert "is empty, first 'cat/0.png'; remove or replace them (" in message


def test_every_problem_of_a_configuration_has_a_line(command):
    ended = command("validate", "tiny.yaml", "--set", "training.epochs=0", "--set", "strategy.popluation=8")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        "evosearch: --set training.epochs=0: training.epochs is 0; it must be at least 1",
        "evosearch: --set strategy.popluation=8: strategy.popluation is unknown; did you mean strategy.population?",
    ]


def test_one_class_only_is_no_task(refused, write_pictures):
    made = write_pictures("cat")
    assert refused("run", made.config) == (
        f"only one class ('cat') was found in {str(made.root)!r}; a classifier needs at least two: add images of another one "
        "(where classes are folders, in its own)"
    )


def test_a_folder_that_is_not_there_is_named_with_where_it_was_looked_for(refused, write_pictures, tmp_path):
    made = write_pictures("cat", "dog")
    message = refused("run", made.config, "--set", "data.root=pixtures")
    assert str(tmp_path / "data" / "pixtures") in message
    assert "EVOSEARCH_DATA" in message


def test_a_split_file_that_names_a_missing_image_is_told_with_its_line(refused, write_pictures):
    made = write_pictures("Images/CT_COVID", "Images/CT_NonCOVID")
    for name in ("COVID", "NonCOVID"):
        folder = made.root / "Data-split" / name
        folder.mkdir(parents=True)
        for number, word in enumerate(("train", "val", "test")):
            (folder / f"{word}CT_{name}.txt").write_text(f"{number}.png\n")
    (made.root / "Data-split/COVID/valCT_COVID.txt").write_text("1.png\n99.png\n")
    made.config.write_text(TINY.replace("{name: digits}", "{name: covid_ct, root: pictures, image_size: 8}"))
    message = refused("run", made.config)
    assert (
        "'Data-split/COVID/valCT_COVID.txt' line 2 names '99.png', which is not in 'Images/CT_COVID'"
        in message
    )


# The journal


def newer(content):
    return content[:60] + struct.pack(">I", 9) + content[64:]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda good: good[: len(good) // 2], " is truncated: "),
        (lambda good: good[:40], " is truncated: it ends within its header"),
        (lambda good: b"dear diary, " * 500, " is no journal but begins with b'dear diary"),
        (lambda good: b"", " is empty, so it is no journal"),
        (newer, " has schema 9, and this evosearch "),
    ],
    ids=["truncated", "truncated head", "garbage", "empty", "newer"],
)
def test_a_journal_that_cannot_be_read_is_refused_by_every_command_and_left_as_it_is(
    refused, own_finished, spoil, reason
):
    journal = Path.cwd() / "runs" / "journal.db"
    spoiled = spoil(journal.read_bytes())
    journal.write_bytes(spoiled)
    for command in (
        ("run", "tiny.yaml"),
        ("resume", "tiny"),
        ("retrain", "tiny"),
        ("status",),
        ("results", "tiny"),
        ("explain", "search", "tiny"),
    ):
        assert refused(*command).startswith(f"{journal}{reason}")
    assert journal.read_bytes() == spoiled


def test_pages_of_garbage_inside_a_journal_are_told_as_damage(refused, own_finished):
    journal = Path.cwd() / "runs" / "journal.db"
    content = journal.read_bytes()
    spoiled = content[:4096] + b"\xff" * (len(content) - 4096)
    journal.write_bytes(spoiled)
    for command in (("run", "tiny.yaml"), ("status",)):
        message = refused(*command)
        assert message.startswith(f"the journal {journal} is damaged (")
        assert message.endswith("; restore it from a copy")
    assert journal.read_bytes() == spoiled


def test_a_newer_event_in_a_journal_of_this_schema_is_told_and_nothing_is_extended(refused, own_finished):
    with sqlite3.connect("runs/journal.db") as connection:
        connection.execute("UPDATE events SET kind = 'Teleported' WHERE kind = 'Completed'")
    connection.close()
    message = refused("resume", "tiny", "--generations", "3", "--executor", "local")
    assert message.startswith(
        f"the journal {Path.cwd() / 'runs' / 'journal.db'} holds an event of the unknown kind 'Teleported', written"
    )
    assert "  generation   1 (0 to 1)\n" in own_finished("status", "tiny").out


@pytest.mark.parametrize("verb", ["run", "submit", "resume", "status"])
@pytest.mark.parametrize(
    "url", ["mysql://me:secret@host/db", "sqlite://", "postgresql:/me:secret@host/db", "", " "]
)
def test_a_storage_that_is_no_file_is_refused_without_its_password(refused, verb, url, tmp_path):
    message = refused(verb, "tiny.yaml", "--storage", url)
    assert "write sqlite:////folder/journal.db" in message
    assert "secret" not in message
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.yaml"}


@pytest.mark.parametrize("verb", ["run", "submit", "validate"])
@pytest.mark.parametrize("place", ["s3:/bucket/x", "memory://x", "sftp://me:secret@host/x", "''"])
def test_artifacts_that_would_be_lost_or_unreachable_are_refused(refused, verb, place, tmp_path):
    message = refused(verb, "tiny.yaml", "--set", f"storage.artifacts={place}")
    assert message.startswith("storage.artifacts is ")
    assert "secret" not in message
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.yaml"}


@pytest.mark.parametrize(
    "arguments",
    [("results",), ("results", "tiny", "--top"), ("run", "tiny.yaml")],
    ids=lambda words: words[-1],
)
def test_a_password_at_the_wrong_place_of_a_command_is_not_shown(refused, own_finished, arguments):
    assert "secret" not in refused(*arguments, "postgresql://me:secret@host/db")


# The search


def test_a_name_that_belongs_to_another_configuration_says_which_keys_differ(refused, own_finished):
    message = refused("run", "tiny.yaml", "--set", "training.batch_size=32")
    assert message.startswith("'tiny' is a search of another configuration: training.batch_size: 32 here, 64")


def test_data_of_other_keys_are_told_by_the_keys(refused, own_finished):
    assert refused("run", "tiny.yaml", "--set", "data.split_seed=1") == (
        "'tiny' was begun on other data: data.split_seed: 1 here, 0 in the journal; take these values, or another --name"
    )


def test_an_empty_name_is_shown_as_one(refused):
    assert refused("run", "tiny.yaml", "--name", "").startswith("--name '': name: '' cannot name a search")
