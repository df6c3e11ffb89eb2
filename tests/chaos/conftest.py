"""One Ray cluster for all cases: a head without resources, and three nodes of two GPUs that do not exist."""

from collections.abc import Iterator

import pytest

from tests.chaos.arena import Arena, open_arena


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
