"""The tree of errors: exit statuses, one line each, and the way through a process boundary."""

import errno
import os
import pickle
import re

import pytest

from evosearch import errors
from evosearch.errors import CannotRunError, DataError, EvosearchError, InputError, of_system


def tree(root=EvosearchError):
    return [root, *(below for child in root.__subclasses__() for below in tree(child))]


TREE = [error for error in tree() if error.__module__ == errors.__name__]
EXIT_STATUSES = {
    "EvosearchError": 1,
    "InputError": 2,
    "ConfigError": 2,
    "PluginError": 2,
    "InvalidChromosomeError": 2,
    "InfeasibleSpaceError": 2,
    "DataError": 2,
    "JournalError": 2,
    "NewerJournalError": 2,
    "SearchConflictError": 2,
    "CannotRunError": 3,
    "JournalAwayError": 3,
    "JournalBusyError": 3,
    "JournalLostError": 3,
    "HeldError": 4,
    "StaleTermError": 4,
    "TooManyFailuresError": 5,
    "InterruptedSearchError": 75,
    "EvaluationError": 1,
    "DivergedError": 1,
    "TimedOutError": 1,
}
"""What each failure of the command line ends with."""


def test_every_error_ends_a_command_with_its_documented_status():
    assert {error.__name__: error.exit_status for error in TREE} == EXIT_STATUSES


def test_the_drawn_tree_is_the_tree_with_the_statuses_that_the_classes_have():
    drawn, above = {}, {}
    for line in errors.__doc__.splitlines():
        if found := re.match(r"(?P<indent>[│├└─ ]*)(?P<name>\w+Error)\b +(\( *(?P<status>\d+)\))?", line):
            depth = len(found["indent"]) // 4
            parent = above.get(depth - 1)
            status = int(found["status"]) if found["status"] else drawn.get(parent, (None, 1))[1]
            drawn[found["name"]] = (parent, status)
            above[depth] = found["name"]
    assert drawn == {
        error.__name__: (
            None if error is EvosearchError else error.__base__.__name__,
            error.exit_status,
        )
        for error in TREE
    }


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_every_error_survives_a_process_boundary(error, protocol):
    back = pickle.loads(pickle.dumps(error("cat/3.png is empty; remove it"), protocol))
    assert type(back) is error
    assert str(back) == "cat/3.png is empty; remove it"
    assert back.exit_status == error.exit_status


def test_a_data_error_keeps_every_bad_file_and_shows_its_message_only():
    back = pickle.loads(pickle.dumps(DataError("2 bad files", ("a.png is empty", "b.png is no image"))))
    assert str(back) == "2 bad files"
    assert back.problems == ("a.png is empty", "b.png is no image")


def test_every_error_says_what_it_is_for():
    for error in TREE:
        assert error.__doc__ != (error.__base__.__doc__ or "")
        assert error.__doc__.strip()


@pytest.mark.parametrize(
    ("number", "kind", "repair"),
    [
        (errno.ENOENT, InputError, ""),
        (errno.ENAMETOOLONG, InputError, "; choose a shorter one"),
        (errno.ENOTDIR, InputError, ""),
        (errno.EACCES, CannotRunError, "; see to its permissions, or choose another place"),
        (errno.EROFS, CannotRunError, "; choose another place"),
        (errno.ENOSPC, CannotRunError, "; make room, or choose another place"),
        (errno.EMFILE, CannotRunError, "; this process may open no more files; raise the limit (ulimit -n)"),
    ],
)
def test_what_the_system_refuses_is_told_with_path_reason_and_repair(number, kind, repair):
    found = of_system(OSError(number, os.strerror(number), "/some/where"))
    assert (type(found), str(found)) == (kind, f"/some/where: {os.strerror(number)}{repair}")


def test_memory_threads_and_processes_that_the_system_refuses_are_told_too():
    assert str(of_system(MemoryError())).startswith("there is not enough memory; ")
    assert "(Unable to allocate 30 GiB)" in str(of_system(MemoryError("Unable to allocate 30 GiB")))
    assert "(ulimit -u)" in str(of_system(RuntimeError("can't start new thread")))
    assert "(ulimit -u)" in str(of_system(BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")))
    assert of_system(RuntimeError("a bug of ours")) is None


@pytest.mark.parametrize(
    "error",
    [
        OSError(),
        TimeoutError(),
        OSError(errno.EBADF, "Bad file descriptor"),
        OSError(errno.EDOM, "Numerical argument out of domain"),
        OSError(errno.ERANGE, "Numerical result out of range"),
        ImportError("cannot import name 'Error 24' from 'evosearch.errors'"),
    ],
    ids=repr,
)
def test_what_only_a_bug_of_ours_raises_is_not_blamed_on_the_system(error):
    assert of_system(error) is None


def test_what_the_system_says_without_a_number_is_told():
    assert str(of_system(TimeoutError("timed out"))) == "timed out"
    found = of_system(ImportError("libgomp.so.1: cannot open shared object file: Error 24"))
    assert str(found).endswith("; this process may open no more files; raise the limit (ulimit -n)")


def test_a_path_of_thousands_of_letters_is_shortened():
    found = str(of_system(OSError(errno.ENAMETOOLONG, "File name too long", "x" * 5000)))
    assert "(5,000 characters): File name too long" in found
    assert len(found) < 300
