import os
from pathlib import Path

import pytest

from evosearch.config.document import Document, override, read_document
from evosearch.errors import ConfigError

DOCUMENT = Document({"seed": 1, "space": {"channels": [1, 2]}}, {("space",): "f:2"}, "f")


def refusal(call, *args):
    with pytest.raises(ConfigError) as caught:
        call(*args)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "run.yaml: is empty; it needs at least a section `data:`"),
        (b"# only a comment\n", "run.yaml: is empty; it needs at least a section `data:`"),
        (b"- a\n- b\n", 'run.yaml:1: expected keys and values (`seed: 0`), found ["a", "b"]'),
        (b"digits", 'run.yaml:1: expected keys and values (`seed: 0`), found "digits"'),
        (b"name: caf\xe9", "run.yaml: byte 0xe9 at position 9 is not UTF-8; save it as UTF-8"),
        ("seed: 1".encode("utf-16"), "run.yaml: byte 0xff at position 0 is not UTF-8; save it as UTF-8"),
        (b"#" * 1_000_001, "run.yaml is larger than 1,000,000 bytes; is it a configuration?"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(write, content, message):
    assert refusal(read_document, write(content)) == message


def test_a_file_is_read_with_the_line_of_each_key(write):
    document = read_document(write("\ufeffseed: 1\n\ndata:\n  name: digits\n"))
    assert document.values == {"seed": 1, "data": {"name": "digits"}}
    assert document.place(("data", "name")) == "run.yaml:4"
    assert document.place(("data", "root")) == "run.yaml:3"
    assert document.place(("space",)) == "run.yaml"


def test_a_missing_file_is_named_with_its_nearest_neighbours(write):
    write("seed: 1")
    assert refusal(read_document, Path("run.yml")) == "run.yml does not exist; did you mean run.yaml?"
    assert refusal(read_document, Path("run")) == "run does not exist; did you mean run.yaml?"
    assert refusal(read_document, Path("other.yaml")) == (
        "other.yaml does not exist; `evosearch init` writes one to start from"
    )
    assert refusal(read_document, Path("nowhere/run.yaml")).startswith("nowhere/run.yaml does not exist; ")


def test_a_folder_is_no_configuration(tmp_path):
    assert refusal(read_document, tmp_path) == f"{tmp_path} is a folder; name a configuration file in it"


def test_a_file_below_a_file_cannot_be_read(write):
    assert (
        refusal(read_document, write("seed: 1") / "x.yaml")
        == "run.yaml/x.yaml cannot be read: Not a directory"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file_is_named(write):
    path = write("seed: 1")
    path.chmod(0)
    assert refusal(read_document, path) == "run.yaml cannot be read: Permission denied"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("seed=5", {"seed": 5, "space": {"channels": [1, 2]}}),
        ("space.channels=[8,16]", {"seed": 1, "space": {"channels": [8, 16]}}),
        ("space.batch_norm=1e-1", {"seed": 1, "space": {"channels": [1, 2], "batch_norm": 0.1}}),
        ("workers.address=null", {"seed": 1, "space": {"channels": [1, 2]}, "workers": {"address": None}}),
        ("space={dense: [1, 1]}", {"seed": 1, "space": {"dense": [1, 1]}}),
        ("data.root=a=b", {"seed": 1, "space": {"channels": [1, 2]}, "data": {"root": "a=b"}}),
        ("seed=no", {"seed": "no", "space": {"channels": [1, 2]}}),
    ],
)
def test_an_override_sets_one_key_as_the_file_would(text, values):
    before = repr(DOCUMENT)
    assert override(DOCUMENT, text).values == values
    assert repr(DOCUMENT) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed", "--set seed: write key.path=value, for instance"),
        ("=5", "--set =5: write key.path=value"),
        ("space..channels=5", "--set space..channels=5: write key.path=value"),
        ("seed=", "--set seed=: no value after the '='; write null for none"),
        ("seed.x=5", "--set seed.x=5: seed is 1 and has no key x; set it whole"),
        (
            "space.channels.low=5",
            "--set space.channels.low=5: space.channels is [1, 2] and has no key low; set it whole",
        ),
        ("seed=[1", "--set seed=[1: not valid YAML: while parsing a flow sequence"),
        ("seed=*x", "--set seed=*x: anchors (&) and aliases (*) are not read"),
        ("seed=!!int 3", "--set seed=!!int 3: the tag"),
        ("a={b: 1, b: 2}", "--set a={b: 1, b: 2}: b is set twice"),
        ("seed=\n", r'--set "seed=\n": no value after'),
    ],
)
def test_a_bad_override_is_named(text, message):
    assert refusal(override, DOCUMENT, text).startswith(message)


def test_an_override_is_the_place_of_what_it_sets_and_of_nothing_else():
    places = {
        ("space",): "f:2",
        ("space", "channels"): "f:3",
        ("space", "channels", 0): "f:4",
        ("seed",): "f:5",
    }
    document = override(Document(DOCUMENT.values, places, "f"), "space.channels=[8, x]")
    assert document.place(("space", "channels", 0)) == "--set space.channels=[8, x]"
    assert document.place(("space", "units")) == "f:2"
    assert list(document.places)[-1] == ("space", "channels")
