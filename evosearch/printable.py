"""The words of strangers made harmless: every text passes here once, where it is printed or written.

Names of searches, classes, files and workers, messages of failures, anything out of a journal that somebody else wrote.
This module imports nothing of ours: whoever prints may use it, also to say that nothing else works.
"""

import re

_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL and C1: escape sequences that retitle, recolour or answer for a terminal
    "\u2028\u2029"  # line separators, beside those of C0 and C1: a line of ours that a stranger writes
    "\u202a-\u202e\u2066-\u2069"  # bidi overrides: text that is read in another order (CVE-2021-42574)
    "\ud800-\udfff]"  # surrogates: a file's name that is not UTF-8, which no stream can write
)


def printable(text: str) -> str:
    r"""`text` on one line, every character that a terminal obeys instead of showing written out: `\x1b`, `\n`.

    A backslash stays as it is, so that paths stay readable; what was an escape cannot be known from what looks like one.
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def printable_json(text: str) -> str:
    """The same for a JSON document, as JSON writes it: what it says does not change, and its lines stay."""
    return _UNSEEN.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)
