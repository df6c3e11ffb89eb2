"""Which searches are a group's members."""

from dataclasses import replace

import pytest

from evosearch.storage.names import members_of
from tests.reports.rows import SEARCH


def named(*names):
    return [replace(SEARCH, name=name) for name in names]


def test_members_are_the_searches_below_the_name_in_the_order_of_their_seeds():
    rows = named("pets/seed-10", "birds/seed-1", "pets/seed-9", "petshop", "pets/seed-2", "zoo")
    assert [row.name for row in members_of("pets", rows)] == ["pets/seed-2", "pets/seed-9", "pets/seed-10"]


def test_members_need_no_number():
    rows = named("study/no-norm", "study/baseline", "study/2x")
    assert [row.name for row in members_of("study", rows)] == [
        "study/2x",
        "study/baseline",
        "study/no-norm",
    ]


@pytest.mark.parametrize("name", ["pets/seed-1", "pets", "seed-1", "unknown", ""])
def test_a_search_and_an_unknown_name_are_no_group(name):
    rows = named("pets", "pets/seed-1") if name == "pets" else named("pets/seed-1")
    assert members_of(name, rows) == ()
