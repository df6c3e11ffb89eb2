import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.config.strict_yaml import dotted, parse, shown
from evosearch.errors import ConfigError


def read(text):
    value, _ = parse(text, "line {}".format)
    return value


def refusal(text):
    with pytest.raises(ConfigError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-2.", -2.0),
        ("8", 8),
        ("+8", 8),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ('"8"', "8"),
        ("'true'", "true"),
        ("[8, 16]", [8, 16]),
        ("{a: 1, b: }", {"a": 1, "b": None}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    assert read(text) == value
    assert type(read(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "yes",
        "on",
        "off",
        "y",
        "N",
        "1:30",
        "190:20:30",
        "2020-01-01",
        "1_000",
        "1e",
        "0b11",
        "<<",
        "=",
        "tRue",
    ],
)
def test_what_yaml_1_1_would_guess_stays_text(text):
    assert read(text) == text


def test_infinity_and_nan_are_numbers_for_the_checks_to_refuse():
    assert read("-.inf") == -math.inf
    assert math.isnan(read(".nan"))


def test_a_duplicate_key_is_refused_with_both_lines():
    assert refusal("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n") == (
        "line 5: b.c is set twice, first on line 3; keep one of them"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: *x", "line 1: anchors"),
        ("a: 1\nb: *x", "line 2: anchors"),
        ("a: !!python/object/apply:os.system [ls]", "line 1: the tag 'tag:yaml.org,2002:python/object/apply"),
        ("a: !!int '3'", "line 1: the tag 'tag:yaml.org,2002:int' is not read"),
        ("a: 1\n---\nb: 2", "line 2: not valid YAML: expected a single document"),
        ("a: 1\n b: 2", "line 2: not valid YAML: mapping values are not allowed here"),
        ("a:\n\t- 1", "line 2: not valid YAML: while scanning for the next token found character '\\t'"),
        ("a: [1,\n2", "line 2: not valid YAML: while parsing a flow sequence"),
        ("a: 1\nb: \x07", "line 2: not valid YAML: the character '\\x07' is not allowed"),
        ("1: a", "line 1: a key must be text, found 1"),
        ("null: a", "line 1: a key must be text, found null"),
        ("? [a, b]\n: 1", 'line 1: a key must be text, found ["a", "b"]'),
        ("[" * 500_000, "line 1: nested deeper than 20 levels"),
        ("a: " + "9" * 5000, "line 1: a whole number of 5000 digits is too long"),
        (r'a: "\ud800"', r'line 1: "\ud800" holds half a character'),
    ],
)
def test_what_could_surprise_is_refused_with_its_line(text, message):
    assert refusal(text).startswith(message)


def test_every_key_and_item_has_its_line():
    _, places = parse("a: 1\nb:\n  - 2\n  - c: 3\n", "line {}".format)
    assert places == {
        ("a",): "line 1",
        ("b",): "line 2",
        ("b", 0): "line 3",
        ("b", 1): "line 4",
        ("b", 1, "c"): "line 4",
    }
    assert list(places) == sorted(places, key=places.__getitem__)


def test_an_empty_text_is_none():
    assert read("") is None
    assert read("# nothing\n") is None


@given(st.text() | st.text(alphabet="ab:-[]{}&*!#\"'\\|>?%@ \n\t012.e~,"))
def test_any_text_is_read_or_refused_in_one_line(text):
    try:
        read(text)
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1


def test_values_and_paths_are_shown_on_one_short_line():
    assert shown("a\n\u2028\x1b[31m") == r'"a\n\u2028\u001b[31m"'
    assert shown(["x" * 100]) == '["' + "x" * 57 + "…"
    assert shown("größe") == '"größe"'
    assert dotted(("space", "channels", 1)) == "space.channels[1]"
    assert dotted(("a b", "c\nd")) == r'"a b"."c\nd"'
