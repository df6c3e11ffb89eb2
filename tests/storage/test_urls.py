import pytest

from evosearch.storage import StorageSettings, without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://me@host:5432/db"),
        ("postgresql://me:se@cr:e/t?@host/db", "postgresql://me@host/db"),
        ("postgresql://:secret@host/db", "postgresql://@host/db"),
        ("postgresql://me@/db?host=/run&password=secret", "postgresql://me@/db?host=/run"),
        ("postgresql://me@/db?sslpassword=secret&host=/run", "postgresql://me@/db?host=/run"),
        ("postgresql://host/db?application_name=me", "postgresql://host/db?application_name=me"),
        ("postgresql:/me:secret@host/db", "postgresql:/me@host/db"),
        ("postgresql:me:secret@host/db", "postgresql:me@host/db"),
        ("--set x=postgresql://me:secret@host/db", "--set x=postgresql://me@host/db"),
        ("s3://bucket/folder", "s3://bucket/folder"),
        ("/home/me:you@here/journal.db", "/home/me:you@here/journal.db"),
    ],
)
def test_a_password_is_taken_out_and_the_place_stays(url: str, shown: str) -> None:
    assert without_password(url) == shown
    assert "secret" not in without_password(url)


def test_settings_that_are_journaled_have_no_password() -> None:
    mine = StorageSettings("postgresql://me:secret@host/db", "sftp://me:secret@host/x")
    assert mine.public == StorageSettings("postgresql://me@host/db", "sftp://me@host/x")
    assert StorageSettings().public == StorageSettings()
