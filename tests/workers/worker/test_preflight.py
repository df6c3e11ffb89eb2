import pickle
import sys
import threading
from dataclasses import replace

import pytest

from evosearch.data import Split
from evosearch.testing.pool_contract import tiny_data
from tests.workers.sent import GoneWhen
from workers.worker import preflight
from workers.worker.preflight import (
    ABSENT,
    LEAST_DISK,
    Introduction,
    Problem,
    Standard,
    check,
    find_versions,
    introduce,
)

VERSIONS = {"python": "3.11.2", "evosearch": "0.1.0", "ray": "2.60.0", "torch": "2.11.0"}
GOOD = Introduction("id", "host", "cpu", VERSIONS, "abcdef", "/tmp", 2 * LEAST_DISK)
STANDARD = Standard(VERSIONS, "abcdef")
DATA = tiny_data()


def test_a_node_like_the_others_is_welcome() -> None:
    assert check(GOOD, STANDARD, "node1") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"versions": {**VERSIONS, "torch": "2.9.1"}},
            "node node1 has torch 2.9.1, but this search runs with 2.11.0; install torch 2.11.0 there, "
            "or take the node out of the cluster",
        ),
        (
            {"versions": {"python": "3.11.2", "ray": "2.60.0"}},
            "node node1 has evosearch not installed, but this search runs with 0.1.0; install evosearch 0.1.0 there, "
            "or take the node out of the cluster",
        ),
        (
            {"data": "fedcba"},
            "node node1 holds data fedcba, but this search trains on abcdef; restart Ray on that node",
        ),
        (
            {"free": 5 * 2**20},
            "node node1 has 5 MiB free in /tmp, and needs 200; make room there, or set TMPDIR to another folder",
        ),
        ({"store": "no route"}, "node node1 cannot reach the artifact store: no route"),
    ],
)
def test_a_node_that_cannot_run_the_search_is_told_with_what_was_found_and_the_repair(
    change: dict[str, object], message: str
) -> None:
    problem = check(replace(GOOD, **change), STANDARD, "node1")
    assert problem == Problem(message, lasting=bool({"versions", "data"} & change.keys()))


def test_two_checkouts_of_one_version_are_not_the_same(tmp_path, monkeypatch) -> None:
    (tmp_path / "one.py").write_text("1")
    monkeypatch.setattr(preflight, "OWN", (tmp_path,))
    before = find_versions()
    (tmp_path / "one.py").write_text("2")
    assert "evosearch's code" in str(
        check(replace(GOOD, versions=find_versions()), Standard(before, ""), "a")
    )


def test_a_node_that_holds_other_images_is_found_though_they_have_one_key() -> None:
    other = replace(DATA, train=Split(DATA.train.images + 1, DATA.train.labels))
    assert other.key == DATA.key
    standard = Standard.of_driver(DATA).with_torch_of(introduce("id", "host", "cpu", DATA))
    assert check(introduce("id", "host", "cpu", DATA), standard, "node1") is None
    assert "holds data" in str(check(introduce("id", "host", "cpu", other), standard, "node1"))


def test_the_first_worker_brings_the_version_of_torch_since_a_driver_needs_none() -> None:
    driver = replace(Standard.of_driver(DATA), data="abcdef")
    assert "torch" not in driver.versions
    mine = replace(GOOD, versions=find_versions())
    assert check(mine, driver, "node1") is None
    standard = driver.with_torch_of(mine)
    other = replace(mine, versions={**mine.versions, "torch": "0.1"})
    assert "has torch 0.1" in str(check(other, standard, "node2"))
    assert standard.with_torch_of(other) == standard


def test_an_introduction_tells_of_this_process_without_loading_torch() -> None:
    loaded = "torch" in sys.modules
    told = introduce("id", "host", "cpu", DATA)
    assert ABSENT not in (told.versions["ray"], told.versions["evosearch"])
    assert told.free > 0
    assert told.store is None
    assert ("torch" in sys.modules) == loaded
    assert pickle.loads(pickle.dumps(told)) == told


def test_a_store_that_cannot_be_reached_is_told_and_one_whose_trial_fails_too(tmp_path) -> None:
    (tmp_path / "gone").touch()
    assert introduce("id", "host", "cpu", DATA, GoneWhen(str(tmp_path / "gone"))).store == "it is gone"
    assert "ZeroDivisionError" in str(introduce("id", "host", "cpu", DATA, lambda: str(1 / 0)).store)


def test_a_store_that_never_answers_is_out_of_reach(monkeypatch) -> None:
    monkeypatch.setattr(preflight, "REACH_SECONDS", 0.05)
    over = threading.Event()
    told = introduce("id", "host", "cpu", DATA, lambda: over.wait() and None)
    over.set()
    assert "did not answer within" in str(told.store)
