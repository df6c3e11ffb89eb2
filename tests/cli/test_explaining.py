"""`explain protocol`: the table itself is tested in tests/studies."""

import json

from evosearch.studies.protocol import protocol_json, protocol_lines


def test_the_protocol_is_printed_as_a_table_or_as_one_document(command):
    ended = command("explain", "protocol")
    assert (ended.status, ended.out.splitlines(), ended.err) == (0, list(protocol_lines()), "")
    ended = command("explain", "protocol", "--json")
    assert json.loads(ended.out) == json.loads(json.dumps(protocol_json()))
