"""What is generated in `docs/` is as it would be generated now."""

import re
from pathlib import Path

from evosearch.cli.reference import reference_page
from evosearch.studies.protocol import protocol_markdown

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_as_it_is_now():
    assert (DOCS / "reference.md").read_text() == reference_page(), "renew it: make docs"


def test_the_reference_names_each_command_with_its_options():
    page = reference_page()
    assert "### `evosearch run [CONFIG]`" in page or "### `evosearch run CONFIG`" in page
    assert "### `evosearch bench scheduler`" in page
    assert "| `--executor ray\\|local` | ray: a Ray cluster or a private one;" in page
    assert "| `--top N` | Only the N best. |" in page


def test_the_table_of_the_protocol_is_as_it_is_now():
    text = (DOCS / "protocol.md").read_text()
    found = re.search("<!-- divergences -->\n(.*?)\n<!-- end of divergences -->", text, re.DOTALL)
    assert found[1] == protocol_markdown(), "renew it: make docs"
