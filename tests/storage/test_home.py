"""Where searches lie, and what is said of one that is not there."""

from pathlib import Path

import pytest

from evosearch.errors import JournalError, SearchConflictError
from evosearch.storage import SearchCreated, default_folder, open_home

CREATED = SearchCreated({}, "data", {})


def test_the_home_is_the_folder_runs_unless_the_environment_names_another(tmp_path):
    assert default_folder({}, tmp_path) == tmp_path / "runs"
    assert default_folder({"EVOSEARCH_HOME": ""}, tmp_path) == tmp_path / "runs"
    assert default_folder({"EVOSEARCH_HOME": "mine"}, tmp_path) == tmp_path / "mine"
    assert default_folder({"EVOSEARCH_HOME": "/mine"}, tmp_path) == Path("/mine")


def test_in_a_ray_job_it_does_not_depend_on_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    job = {"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}
    assert default_folder(job, tmp_path) == tmp_path / "user" / "evosearch-runs"
    assert default_folder({**job, "EVOSEARCH_HOME": "mine"}, tmp_path) == tmp_path / "mine"


def test_a_new_home_is_made_with_its_journal_and_each_search_gets_a_folder_inside(tmp_path):
    with open_home(None, env={}, cwd=tmp_path, create=True) as home:
        assert home.folder == tmp_path / "runs"
        assert home.journal_path == tmp_path / "runs" / "journal.db"
        assert home.journal_path.is_file()
        assert home.folder_of("study/seed-3") == tmp_path / "runs" / "study" / "seed-3"


def test_storage_names_the_journal_and_its_folder_is_the_home(tmp_path):
    url = f"sqlite:///{tmp_path}/elsewhere/my.db"
    with open_home(url, env={"EVOSEARCH_HOME": "/nowhere"}, cwd=tmp_path, create=True) as home:
        assert (home.folder, home.journal_path) == (tmp_path / "elsewhere", tmp_path / "elsewhere" / "my.db")


def test_readers_make_no_home(tmp_path):
    with pytest.raises(
        JournalError, match=r"there is no journal at .*runs/journal\.db; start a search first"
    ):
        open_home(None, env={}, cwd=tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_search_is_found_by_its_name(tmp_path):
    with open_home(None, env={}, cwd=tmp_path, create=True) as home:
        home.journal.create_search("digits", CREATED, 1.0)
        assert home.find_search("digits").name == "digits"


def test_a_search_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    with open_home(None, env={}, cwd=tmp_path, create=True) as home:
        with pytest.raises(
            SearchConflictError, match=r"no search 'x' in .*journal\.db; it holds none at all$"
        ):
            home.find_search("x")
        for name in ("pets", "digits"):
            home.journal.create_search(name, CREATED, 1.0)
        with pytest.raises(SearchConflictError, match=r"it holds digits, pets$"):
            home.find_search("x")


def test_a_home_that_was_moved_opens_as_it_was(tmp_path):
    with open_home(None, env={}, cwd=tmp_path, create=True) as home:
        home.journal.create_search("digits", CREATED, 1.0)
    home.folder.rename(tmp_path / "moved")
    with open_home(None, env={"EVOSEARCH_HOME": "moved"}, cwd=tmp_path, create=False) as moved:
        assert moved.find_search("digits").name == "digits"
        assert moved.folder_of("digits") == tmp_path / "moved" / "digits"
