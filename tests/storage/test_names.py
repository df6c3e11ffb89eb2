import pytest

from evosearch.errors import InputError
from evosearch.storage import check_name, check_new_name


@pytest.mark.parametrize("name", ["digits", "covid_ct.v2", "a/seed-3", "7", "x" * 100])
def test_a_name_that_makes_a_folder_is_kept(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".hidden", "a/.b", "a/b/c", "/a", "a/", "a//b", "..", "a..b", "a b", "a\n", "ä", "a\\b", "x" * 101],
)
def test_a_name_that_would_leave_its_folder_or_hide_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a search: use up to 100 letters, digits"):
        check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "cache",
        "journal.db",
        "journal.db-wal",
        "s/final",
        "s/journal",
        "s/lock-3",
        "s/released-3",
        "evolution.png",
    ],
)
def test_a_name_that_the_home_uses_itself_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="the home keeps something else under that name"):
        check_name(name)


@pytest.mark.parametrize("name", ["final-2", "s/journals", "s/lock-x", "released", "caches"])
def test_a_name_that_only_resembles_one_of_those_is_kept(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["s/final-30", "s/seed-3-final-30", "s/checkpoints", "s/features"])
def test_what_retrainings_and_checkpoints_are_called_no_new_search_is(name: str) -> None:
    assert check_name(name) == name  # the first version allowed it
    with pytest.raises(
        InputError, match=f"'{name}' cannot name a search: retrainings of 's', its checkpoints or features"
    ):
        check_new_name(name)


@pytest.mark.parametrize("name", ["final-30", "checkpoints", "s/final-x", "s/finals", "s/seed-3"])
def test_a_name_that_no_retraining_has_is_free(name: str) -> None:
    check_new_name(name)
