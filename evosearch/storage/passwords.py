"""Passwords inside URLs: used to connect, and never shown or journaled."""

import re

SCHEMES = r"(?:postgres(?:ql)?|mysql|sqlite|s3a?|gs|gcs|az|abfss?|hdfs|https?|s?ftp|ssh|file|local|memory)(?:\+\w+)?"
"""A pattern of the schemes that somebody may mean who forgets the slashes behind them."""

_HEAD = (
    rf"(?:\b[a-z][a-z0-9+.-]*:/{{1,2}}|\b{SCHEMES}:|://)"  # a slash too few must not show a password either
)
_URL = re.compile(_HEAD, re.IGNORECASE)
_OF_USER = re.compile(rf"({_HEAD}[^/?#:@]*):.*@", re.IGNORECASE)
_AS_QUERY = re.compile(r"(?<=[?&])(?:\w*(?:password|passwd|secret|token))=[^&]*&?", re.IGNORECASE)


def without_password(text: str) -> str:
    """`text`, a URL or what ends with one, without the passwords in it; any other, a path for instance, stays as it is.

    What is left still names the place: PostgreSQL finds a password in PGPASSWORD or ~/.pgpass.
    """
    return _AS_QUERY.sub("", _OF_USER.sub(r"\1@", text)).rstrip("?&") if _URL.search(text) else text
