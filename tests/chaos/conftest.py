"""One Ray cluster for all cases: a head without resources, and three nodes of two GPUs that do not exist."""

import os
from collections.abc import Iterator

import pytest

from tests.chaos.arena import Arena, open_arena

os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64, "RAY_USAGE_STATS_ENABLED": "0"}
"""Ray reads the first two once per process, and would write a token to the home."""


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
