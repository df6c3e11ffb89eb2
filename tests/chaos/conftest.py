"""One Ray cluster for all cases: a head without resources, and three nodes of two GPUs that do not exist."""

import os
import time
from collections.abc import Iterator

import pytest

from tests.chaos.arena import Arena, open_arena

UNTIL = "EVOSEARCH_CHAOS_UNTIL"
"""A variable: seconds since 1970 after which no case begins."""


@pytest.fixture(autouse=True)
def in_time() -> None:
    """Where a machine was so busy that CI would be cut off in the middle of the suite, the rest of it is skipped with a word."""
    if time.time() > float(os.environ.get(UNTIL, "inf")):
        pytest.skip("what came before it took so long that no time is left")


@pytest.fixture(scope="session")
def shared_arena() -> Iterator[Arena]:
    with open_arena() as made:
        yield made


@pytest.fixture
def arena(shared_arena: Arena) -> Iterator[Arena]:
    """Three whole nodes before each test; after it nothing of any search is left running there."""
    shared_arena.restore()
    yield shared_arena
    shared_arena.see_nothing_left()
