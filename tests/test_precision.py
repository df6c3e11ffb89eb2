"""What auto as `training.precision` means for all that belongs together, and where that is told."""

from dataclasses import replace

import pytest

from evosearch.config import load_config
from evosearch.errors import CannotRunError
from evosearch.reports import precision_words, status_document, status_lines
from evosearch.reports.status import SearchSnapshot
from evosearch.storage import Completed, PrecisionResolved
from evosearch.testing import Script
from tests.finished_search import TINY, script_workers

OLD = Script(processors=("an old GPU",), precisions=(("fp32",),))
NEW = Script(processors=("a new GPU",), precisions=(("fp32", "tf32", "bf16"),))


@pytest.fixture
def auto(tmp_path):
    path = tmp_path / "auto.yaml"
    path.write_text(TINY)
    return load_config(path)


def decided(home, name):
    events = (one.event for one in home.journal.replay(name))
    return [(one.precision, one.processor) for one in events if isinstance(one, PrecisionResolved)]


def in_precision(config, precision):
    return replace(config, training=replace(config.training, precision=precision))


def test_a_retraining_computes_as_its_search_did_whatever_its_workers_could_do(home, auto, api):
    script_workers(api, script=OLD)
    api.run(auto, home)
    script_workers(api, script=NEW)
    api.retrain("auto", home, epochs=2)
    assert decided(home, "auto") == decided(home, "auto/final-2") == [("fp32", "an old GPU")]


def test_a_search_that_began_in_bf16_cannot_be_retrained_where_there_is_none(home, auto, api):
    script_workers(api, script=NEW)
    api.run(auto, home)
    script_workers(api, script=OLD)
    with pytest.raises(
        CannotRunError, match=r"turned away: an old GPU has no instructions for bf16.* began on a new GPU"
    ):
        api.retrain("auto", home, epochs=2)


def test_seeds_that_come_later_compute_as_those_before(home, auto, api):
    script_workers(api, script=OLD)
    api.run_group(auto, [0, 1], home)
    script_workers(api, script=NEW)
    api.run_group(auto, [0, 1, 2], home)
    assert [decided(home, f"auto/seed-{seed}") for seed in (0, 1, 2)] == [[("fp32", "an old GPU")]] * 3


def test_seeds_that_come_later_compute_as_those_before_that_never_said_auto(home, auto, api):
    script_workers(api, script=NEW)
    api.run_group(in_precision(auto, "fp32"), [0], home)
    api.run_group(auto, [0, 1], home)
    assert [decided(home, f"auto/seed-{seed}") for seed in (0, 1)] == [[], []]
    assert home.find_search("auto/seed-1").configuration["training"]["precision"] == "fp32"


@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_the_same_search_is_found_by_auto_and_by_what_that_means(home, auto, api, precision):
    pools = script_workers(api, script=NEW)
    api.run(auto, home)
    api.run(in_precision(auto, precision), home)
    assert len(pools) == 1


def test_status_says_what_auto_means(home, auto, api):
    script_workers(api, script=NEW)
    api.run(auto, home)
    api.run(replace(in_precision(auto, "tf32"), name="named"), home)
    snapshots = [SearchSnapshot.of(home, home.find_search(name), "host", 0.0) for name in ("auto", "named")]
    assert [status_document(one)["precision"] for one in snapshots] == ["bf16", "tf32"]
    words = [precision_words(one.row) for one in snapshots]
    assert words == ["bf16 (auto, by a new GPU)", "tf32"]
    undecided = replace(snapshots[0].row, precision=None, precision_of="")
    assert precision_words(undecided) == "auto, which the first worker that joins decides"


def test_tf32_on_a_cpu_is_refused_in_one_line(home, auto, api):
    cpu = Script(2, processors=("a CPU",), precisions=(("fp32", "bf16"),))
    script_workers(api, script=cpu)
    with pytest.raises(
        CannotRunError, match=r"^scripted-1 is turned away: a CPU has no tf32[^\n]*fp32$"
    ) as refused:
        api.run(in_precision(auto, "tf32"), home)
    assert refused.value.exit_status == 3
    assert not [one for one in home.journal.replay("auto") if isinstance(one.event, Completed)]
    snapshot = SearchSnapshot.of(home, home.find_search("auto"), "host", 0.0)
    assert status_lines(snapshot)[0] == f"auto: interrupted ({refused.value})"
