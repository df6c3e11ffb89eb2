"""Pickles are read for what they hold; none of them does anything."""

import builtins
import io
import os
import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest

from evosearch.data.unpickling import UnreadablePickleError, load_plain
from tests.data.python2 import python2_pickle


def loaded(content: bytes):
    return load_plain(io.BytesIO(content))


IMAGES = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize(
    "content",
    [
        python2_pickle({b"data": IMAGES, b"labels": [0, 1, 2], b"batch_label": b"one"}),
        pickle.dumps({"data": IMAGES, "labels": [0, 1, 2], "batch_label": b"one"}, protocol=2),
        pickle.dumps(
            {"data": np.asfortranarray(IMAGES), "labels": [0, 1, 2], "batch_label": b"one"}, protocol=4
        ),
    ],
    ids=["by Python 2, as published", "by Python 3 for Python 2", "by columns"],
)
def test_arrays_lists_dictionaries_bytes_and_text_are_read(content: bytes) -> None:
    found = loaded(content)
    np.testing.assert_array_equal(found["data"], IMAGES)
    assert str(found["data"].dtype) == "uint8"
    assert (found["labels"], found["batch_label"]) == ([0, 1, 2], b"one")


@pytest.mark.parametrize("dtype", ["<i8", ">i2", "float32"])
def test_numbers_of_other_kinds_keep_their_values(dtype: str) -> None:
    values = np.array([1, 2, 300]).astype(dtype)
    np.testing.assert_array_equal(loaded(pickle.dumps({"a": values}, protocol=2))["a"], values)


class _Harmful:
    def __init__(self, function, *arguments) -> None:
        self.called = function, arguments

    def __reduce__(self):
        return self.called


@pytest.mark.parametrize(
    "function", [os.system, builtins.exec, builtins.getattr, Path, np.load], ids=lambda one: one.__name__
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_would_run_something_is_refused_and_nothing_runs(
    tmp_path: Path, function, protocol: int
) -> None:
    trap = tmp_path / "trapped"
    content = pickle.dumps({"data": _Harmful(function, f"touch {trap}")}, protocol)
    with pytest.raises(UnreadablePickleError, match=r"^names [\w.]+, which is no array, list, dictionary"):
        loaded(content)
    assert not trap.exists()


def test_the_trap_works_where_nobody_is_careful(tmp_path: Path) -> None:
    trap = tmp_path / "trapped"
    pickle.loads(pickle.dumps({"data": _Harmful(os.system, f"touch {trap}")}))
    assert trap.exists()


def array_with_state(*state: object) -> bytes:
    """A pickle of an array whose state is made up; a type in it is written as numpy's."""

    class Lie:
        def __reduce__(self):
            return IMAGES.__reduce__()[0], IMAGES.__reduce__()[1], state

    return pickle.dumps({"data": Lie()}, protocol=2)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ((1, (2**40, 3), np.dtype("u1"), False, b"abc"), r"3 numbers that claims to be \(1099511627776, 3\)"),
        ((1, (-1, -3), np.dtype("u1"), False, b"abc"), r"3 numbers that claims to be \(-1, -3\)"),
        ((1, (1,), np.dtype("O"), False, [{}]), "an array of something else than numbers"),
        ((1, (1,), np.dtype("O"), False, b"12345678"), "an array of 'O8', not of numbers"),
        ((1, (1,), np.dtype("V8"), False, b"12345678"), "an array of 'V8', not of numbers"),
        ((1, (1,), "u1", False, b"1"), "an array of something else than numbers"),
        ((1,), "is cut short or damaged"),
    ],
)
def test_an_array_that_lies_about_itself_is_refused(state: tuple[object, ...], message: str) -> None:
    with pytest.raises(UnreadablePickleError, match=message):
        loaded(array_with_state(*state))


def test_what_stands_in_for_numpy_cannot_be_changed_by_a_pickle() -> None:
    make_array = pickle.GLOBAL + b"numpy.core.multiarray\n_reconstruct\n"
    change = make_array + pickle.EMPTY_DICT + b"U\x08__call__" + b"K\x01" + pickle.SETITEM + pickle.BUILD
    content = pickle.PROTO + b"\x02" + change + pickle.STOP
    pickletools.dis(content, out=io.StringIO())  # a well-formed one
    with pytest.raises(UnreadablePickleError, match="is cut short or damaged"):
        loaded(content)


@pytest.mark.parametrize(
    "content",
    [b"", b"no pickle", pickle.dumps({"data": IMAGES}, protocol=2)[:-20], pickle.PROTO + b"\xff."],
    ids=["empty", "text", "cut short", "of the future"],
)
def test_what_is_damaged_is_told_so(content: bytes) -> None:
    with pytest.raises(UnreadablePickleError, match="is cut short or damaged"):
        loaded(content)


def test_what_is_no_dictionary_is_refused() -> None:
    with pytest.raises(UnreadablePickleError, match="holds a list, not a dictionary"):
        loaded(pickle.dumps([1]))
    with pytest.raises(UnreadablePickleError, match="holds a int where a name belongs"):
        loaded(pickle.dumps({1: 2}))
