"""A union of sources in a file: its parts are read, completed and complained of like any source."""

import json
from pathlib import Path

import jsonschema
import pytest

from evosearch.config import config_from_json, config_schema, config_to_json, load_config
from evosearch.config.schema import config_reference
from evosearch.data import CovidCtSettings, DigitsSettings, ImageFolderSettings, UnionSettings
from evosearch.errors import ConfigError, PluginError

TWO = """\
data:
  name: union
  image_size: 8
  channels: 1
  parts:
    mine: {name: image_folder, root: pictures, group: folder}
    theirs: {name: covid_ct, root: /somewhere/covid-ct}
    numbers: {name: digits}
  classes:
    mine: {ill: COVID, "well": NonCOVID}
"""


def test_each_part_is_a_source_with_its_own_keys_and_finds_its_root_beside_the_file(write):
    config = load_config(write(TWO))
    assert config.data == UnionSettings(
        image_size=8,
        channels=1,
        parts={
            "mine": ImageFolderSettings(root="pictures", group="folder", beside=str(Path.cwd())),
            "theirs": CovidCtSettings(root="/somewhere/covid-ct"),
            "numbers": DigitsSettings(),
        },
        classes={"mine": {"ill": "COVID", "well": "NonCOVID"}},
    )


def test_a_union_reads_back_from_its_json_form_and_a_missing_key_of_a_part_means_what_it_meant(write):
    config = load_config(write(TWO))
    journaled = json.loads(json.dumps(config_to_json(config)))
    assert config_from_json(journaled) == config
    del journaled["data"]["parts"]["mine"]["window"]
    del journaled["data"]["parts"]["mine"]["beside"]
    mine = config_from_json(journaled).data.parts["mine"]
    assert (mine.window, mine.beside) == ("full", None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "data.parts.numbers={}",
            "data.parts.numbers.name is missing; say which source the part is of: digits,",
        ),
        ("data.parts.numbers={name: digit}", 'data.parts.numbers.name is "digit"; expected digits, covid_ct'),
        (
            "data.parts.numbers={name: union, parts: {}}",
            "data.parts.numbers.name is 'union'; a part is no union",
        ),
        ("data.parts.mine.root=5", "data.parts.mine.root is 5; expected text"),
        (
            "data.parts.mine.image_size=3",
            "data.parts.mine.image_size is 3; it must lie between 4 and 4096 pixels",
        ),
        (
            "data.parts.mine.image_size=9",
            "data.parts.mine.image_size is 9, but the union's is 8; leave it out",
        ),
        ("data.parts.mine.roots=x", "data.parts.mine.roots is unknown; did you mean data.parts.mine.root?"),
        (
            "data.parts.theirs.rote=x",
            "data.parts.theirs.rote is unknown; did you mean data.parts.theirs.root?",
        ),
        ("data.parts.theirs={name: covid_ct}", "data.parts.theirs.root is missing; add it"),
        (
            "data.parts=[digits]",
            'data.parts is ["digits"]; expected keys and values below it, or leave it out',
        ),
        ("data.parts={}", "data.parts has 0 parts; a union is of at least two"),
        ("data.parts.mine=7", "data.parts.mine is 7; expected keys and values below it"),
        ("data.classes.yours={a: b}", "data.classes.yours is of no part; parts are mine, theirs, numbers"),
        (
            "data.root=x",
            "data.root is unknown; it belongs to data.name covid_ct; known here are name, image_size",
        ),
    ],
)
def test_what_is_wrong_with_a_part_is_one_line_with_its_key(write, given, message):
    with pytest.raises(ConfigError) as caught:
        load_config(write(TWO), [given])
    assert caught.value.lines == (str(caught.value),)
    assert str(caught.value).startswith(f"--set {given}: {message}")


def test_the_line_of_a_file_is_that_of_the_parts_own_key(write):
    text = TWO.replace("{name: digits}", "\n      name: digits\n      split_seed: -1")
    with pytest.raises(
        ConfigError, match=r"^run.yaml:10: data.parts.numbers.split_seed is -1; it must be at least 0"
    ):
        load_config(write(text))
    with pytest.raises(ConfigError, match=r"^run.yaml:1: data.parts is missing; add it"):
        load_config(write("data:\n  name: union\n"))


def test_other_sections_are_read_all_the_same(write):
    with pytest.raises(ConfigError) as caught:
        load_config(write(f"{TWO}training: {{epochs: x}}\n"), ["data.parts.numbers.name=digit"])
    assert isinstance(caught.value, PluginError)
    assert [line.partition(": ")[2].split()[0] for line in caught.value.lines] == [
        "training.epochs",
        "data.parts.numbers.name",
    ]


def test_schema_and_reference_have_the_union_and_the_schema_takes_each_source_but_a_union_for_a_part():
    schema = config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    parts = {"a": {"name": "digits"}, "b": {"name": "covid_ct", "root": "x"}}
    check.validate({"data": {"name": "union", "parts": parts}})
    for wrong in ({"name": "union", "parts": parts}, {"name": "covid_ct"}, {"name": "nothing"}, 5):
        assert not check.is_valid({"data": {"name": "union", "parts": {**parts, "c": wrong}}})
    assert "| `data.parts` |" in config_reference().partition("**`data` with `name: union`**")[2]
