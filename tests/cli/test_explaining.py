"""`explain protocol`: the table itself is tested in tests/studies."""

import json

import pytest

from evosearch.studies.protocol import protocol_json, protocol_lines


def test_the_protocol_is_printed_as_a_table_or_as_one_document(command):
    ended = command("explain", "protocol")
    assert (ended.status, ended.out.splitlines(), ended.err) == (0, list(protocol_lines()), "")
    ended = command("explain", "protocol", "--json")
    assert json.loads(ended.out) == json.loads(json.dumps(protocol_json()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain"], "`evosearch explain` alone is no command; write evosearch explain protocol"),
        (
            ["explain", "nonsense"],
            "there is no `evosearch explain nonsense`; write evosearch explain protocol",
        ),
        (["bench"], "`evosearch bench` alone is no command; write evosearch bench scheduler"),
    ],
)
def test_a_missing_or_unknown_topic_is_answered_with_those_there_are(refused, arguments, message):
    assert refused(*arguments) == message
