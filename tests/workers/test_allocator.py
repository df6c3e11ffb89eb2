import pytest

from workers.allocator import SETTINGS, allocator_environment, c_library, give_back

ALL = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "2147483647",
    "MALLOC_TRIM_THRESHOLD_": "2147483647",
    "MALLOC_TOP_PAD_": "67108864",
}


def test_glibc_is_told_to_keep_memory_in_one_arena() -> None:
    assert allocator_environment({"PATH": "/bin"}, "glibc") == ALL


def test_a_users_own_value_is_left_as_it_is_however_it_is_given() -> None:
    assert allocator_environment({"MALLOC_ARENA_MAX": "4", "MALLOC_TOP_PAD_": ""}, "glibc") == {
        "MALLOC_MMAP_THRESHOLD_": "2147483647",
        "MALLOC_TRIM_THRESHOLD_": "2147483647",
    }
    tuned = {"GLIBC_TUNABLES": "glibc.malloc.check=1:glibc.malloc.mmap_threshold=65536"}
    assert allocator_environment(tuned, "glibc").keys() == ALL.keys() - {"MALLOC_MMAP_THRESHOLD_"}


def test_what_was_added_needs_nothing_more() -> None:
    assert not allocator_environment(ALL, "glibc")
    assert ALL.keys() == SETTINGS.keys()


@pytest.mark.parametrize("library", ["musl", "libc", ""])
def test_another_c_library_gets_nothing(library: str) -> None:
    assert not allocator_environment({}, library)


def test_giving_memory_back_is_nothing_where_the_c_library_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    from workers import allocator

    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))
    allocator._trim.cache_clear()
    assert c_library() == ""
    give_back()
    assert allocator._trim() is None
    allocator._trim.cache_clear()
