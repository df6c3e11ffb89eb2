"""Passwords inside URLs: used to connect, and never shown or journaled."""

import re

_OF_USER = re.compile(r"(?<=://)([^/?#:@]*):.*@")
_AS_QUERY = re.compile(r"(?<=[?&])(?:\w*(?:password|passwd|secret|token))=[^&]*&?", re.IGNORECASE)


def without_password(url: str) -> str:
    """`url` without the passwords in it; any other text, a path for instance, stays as it is.

    What is left still names the place: PostgreSQL finds a password in PGPASSWORD or ~/.pgpass.
    """
    return _AS_QUERY.sub("", _OF_USER.sub(r"\1@", url)).rstrip("?&") if "://" in url else url
