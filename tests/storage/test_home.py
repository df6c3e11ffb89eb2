"""Where searches lie, and what is said of one that is not there."""

from pathlib import Path

import pytest

from evosearch.errors import InputError, JournalError, SearchConflictError
from evosearch.storage import Completed, DriverStarted, SearchCreated, default_folder, open_home, take
from evosearch.storage.journal import opening

CREATED = SearchCreated({}, "data", {}, 1)
STARTED = DriverStarted("node1", 4711, "local", {})


def test_the_home_is_the_folder_runs_unless_the_environment_names_another(tmp_path):
    assert default_folder({}, tmp_path) == tmp_path / "runs"
    assert default_folder({"EVOSEARCH_HOME": ""}, tmp_path) == tmp_path / "runs"
    assert default_folder({"EVOSEARCH_HOME": "mine"}, tmp_path) == tmp_path / "mine"
    assert default_folder({"EVOSEARCH_HOME": "/mine"}, tmp_path) == Path("/mine")


def test_a_tilde_is_the_home_folder_wherever_a_place_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    assert default_folder({"EVOSEARCH_HOME": "~/mine"}, tmp_path) == tmp_path / "user" / "mine"
    with open_home("~/a.db", env={}, cwd=tmp_path, create=True) as home:
        assert home.journal.file == tmp_path / "user" / "a.db"
    with pytest.raises(
        InputError, match="'~nobody-of-that-name/x' begins with a user that is not known here"
    ):
        default_folder({"EVOSEARCH_HOME": "~nobody-of-that-name/x"}, tmp_path)


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@host/db", "postgresql:/me:secret@host/db", "sqlite:////x/journal.db", " "]
)
def test_a_home_that_is_no_folder_is_refused_without_its_password_and_none_is_made(tmp_path, url):
    with pytest.raises(InputError, match=r"EVOSEARCH_HOME is .*, which is no folder; .* --storage") as raised:
        open_home(None, env={"EVOSEARCH_HOME": url}, cwd=tmp_path, create=True)
    assert "secret" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_journal_behind_links_in_a_circle_or_with_a_nul_in_its_name_is_refused(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises((InputError, JournalError)):
        open_home(str(tmp_path / "a"), env={}, cwd=tmp_path, create=False)
    with pytest.raises(InputError, match="is no journal"):
        open_home("a\0b", env={}, cwd=tmp_path, create=True)


def test_in_a_ray_job_it_does_not_depend_on_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    job = {"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}
    assert default_folder(job, tmp_path) == tmp_path / "user" / "evosearch-runs"
    assert default_folder({**job, "EVOSEARCH_HOME": "mine"}, tmp_path) == tmp_path / "mine"


def test_a_new_home_is_made_with_its_journal_and_each_search_gets_a_folder_inside(tmp_path):
    with open_home(None, env={}, cwd=tmp_path, create=True) as home:
        assert home.folder == tmp_path / "runs"
        assert home.journal.file == tmp_path / "runs" / "journal.db"
        assert home.journal.file.is_file()
        assert home.notes == ()
        assert home.folder_of("study/seed-3") == tmp_path / "runs" / "study" / "seed-3"


def test_storage_names_the_journal_and_its_folder_is_the_home(tmp_path):
    url = f"sqlite:///{tmp_path}/elsewhere/journal.db"
    with open_home(url, env={"EVOSEARCH_HOME": "/nowhere"}, cwd=tmp_path, create=True) as home:
        assert home.folder == tmp_path / "elsewhere"
        assert home.journal.file == tmp_path / "elsewhere" / "journal.db"


def test_two_journals_in_one_folder_share_neither_locks_nor_pictures(tmp_path):
    with (
        open_home(str(tmp_path / "a.db"), env={}, cwd=tmp_path, create=True) as a,
        open_home(str(tmp_path / "b.db"), env={}, cwd=tmp_path, create=True) as b,
    ):
        assert (a.folder, b.folder) == (tmp_path / "a.db.files", tmp_path / "b.db.files")
        for home in (a, b):
            home.journal.create_search("s", CREATED, 1.0)
        with take(a.journal, a.folder_of("s"), "s", STARTED, lambda: 10.0):
            assert b.current_state(b.find_search("s"), "here", 11.0) == "interrupted"
            take(b.journal, b.folder_of("s"), "s", STARTED, lambda: 11.0).release()
            assert a.current_state(a.find_search("s"), "here", 12.0) == "running"


def test_with_a_journal_on_a_server_the_default_folder_is_the_home(tmp_path, database):
    with open_home(database, env={"EVOSEARCH_HOME": "mine"}, cwd=tmp_path, create=True) as home:
        assert (home.folder, home.journal.file) == (tmp_path / "mine", None)
        assert home.folder_of("s") == tmp_path / "mine" / "s"
        with pytest.raises(SearchConflictError, match=r"no search 'x' in postgresql://evosearch@"):
            home.find_search("x")


def test_a_home_on_a_network_file_system_says_what_is_better(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "_MOUNTS", tmp_path / "mounts")
    (tmp_path / "mounts").write_text("server:/homes / nfs4 rw 0 0\n")
    with open_home(None, env={}, cwd=tmp_path, create=True) as home:
        (note,) = home.notes
    assert "--storage postgresql://user@host/database" in note
    assert "\n" not in note


@pytest.mark.parametrize("kind", ["file", "server"])
def test_a_search_whose_driver_died_is_interrupted(tmp_path, kind, request):
    where = request.getfixturevalue("database") if kind == "server" else None
    with open_home(where, env={}, cwd=tmp_path, create=True) as home:
        home.journal.create_search("s", CREATED, 1.0)
        assert home.current_state(home.find_search("s"), "here", 2.0) == "interrupted"
        held = take(home.journal, home.folder_of("s"), "s", STARTED, lambda: 10.0)
        row = home.find_search("s")
        assert home.current_state(row, "here", 9999.0) == "running"
        held.release()
        while home.current_state(row, "here", 12.0) == "running":  # PostgreSQL takes a moment
            pass
        home.journal.append("s", 1, [Completed(None)], 13.0)
        assert home.current_state(home.find_search("s"), "here", 999.0) == "done"


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
        for number in range(10):
            for member in ("a", "b"):
                home.journal.create_search(f"group{number}/{member}", CREATED, 1.0)
        with pytest.raises(
            SearchConflictError, match=r"it holds digits, group0, .*, group8 and 2 more, which"
        ):
            home.find_search("x")


def test_a_home_that_was_moved_opens_as_it_was(tmp_path):
    with open_home(None, env={}, cwd=tmp_path, create=True) as home:
        home.journal.create_search("digits", CREATED, 1.0)
    home.folder.rename(tmp_path / "moved")
    with open_home(None, env={"EVOSEARCH_HOME": "moved"}, cwd=tmp_path, create=False) as moved:
        assert moved.find_search("digits").name == "digits"
        assert moved.folder_of("digits") == tmp_path / "moved" / "digits"
