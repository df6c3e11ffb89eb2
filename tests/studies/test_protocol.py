"""Where paper, released code and evosearch differ: one table, which names keys that are there and mean what it says."""

import pytest

from evosearch.config import config_schema
from evosearch.studies.protocol import DIVERGENCES, protocol_lines, protocol_markdown


def default_of(key):
    """Of a key, in whichever form of its section has it."""
    schema = config_schema()
    section, _, name = key.partition(".")
    field = schema["properties"][section]
    field = next((one for one in field.get("anyOf", []) if "oneOf" in one), field)  # of a section or null
    for option in field.get("oneOf", [field]):
        properties = schema["$defs"][option["$ref"].rpartition("/")[2]]["properties"]
        if name in properties:
            return properties[name]["default"]
    raise KeyError(key)


@pytest.mark.parametrize(
    ("key", "default"), sorted({(key, value) for one in DIVERGENCES for key, value in one.keys}, key=str)
)
def test_each_key_is_one_and_has_the_default_that_is_meant(key, default):
    assert default_of(key) == (list(default) if isinstance(default, tuple) else default)


def test_a_key_that_is_none_would_be_seen():
    with pytest.raises(KeyError):
        default_of("strategy.luck")


def test_no_rule_stands_there_twice_and_none_is_empty():
    assert len({one.rule for one in DIVERGENCES}) == len(DIVERGENCES)
    assert all(one.rule and one.text and one.where and one.ours for one in DIVERGENCES)


@pytest.mark.parametrize("width", [80, 120])
def test_each_line_fits_the_terminal_and_nothing_is_lost(width):
    lines = list(protocol_lines(width))
    assert max(map(len, lines)) <= width
    words = " ".join(" ".join(lines).split())
    for one in DIVERGENCES:
        assert one.rule in words
        assert one.ours in words


def test_a_row_of_the_page_has_a_cell_for_each_column():
    assert {line.count(" | ") for line in protocol_markdown().splitlines()} == {4}
