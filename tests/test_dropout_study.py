"""The dropout study as a whole: from a file to a table, on workers that a formula stands in for."""

from dataclasses import replace
from pathlib import Path

import pytest

from evosearch.config import load_config, read_config
from evosearch.errors import ConfigError
from evosearch.evaluation import Failure, FailureKind, FeaturesTask, MasksTask, PredictionTask
from evosearch.reports import study_csv, study_document, study_markdown
from evosearch.search import best_mask
from evosearch.session import SearchSession
from evosearch.studies.dropout import grid_of, uniform_rate
from evosearch.studying import begun_study, open_study
from evosearch.testing import FormulaEvaluator, ScriptedPool
from tests.finished_search import TINY, measure, script_workers

SECTION = (
    "{kind: dropout, seeds: [0, 1], networks: [resnet18, C8 P | F4], sample: 0.3, population: 4, cycle: 2, "
    "arms: [ga, fixed, none, grid, random, first, uniform]}"
)
ARMS = ("ga", "fixed", "none", "grid", "random", "first", "uniform")
NETWORKS = ("resnet18", "network-07476739")
SEARCHES = 2 * 3 + 2 * 7


class Priced(FormulaEvaluator):
    """Says of each task what it took: 4 s for features, 2 s for a generation of masks, 5 s for a network."""

    def handle(self, task, *more):
        found = super().handle(task, *more)
        if isinstance(task, PredictionTask) or isinstance(found, Failure):
            return found
        seconds = 4.0 if isinstance(task, FeaturesTask) else 2.0 if isinstance(task, MasksTask) else 5.0
        return replace(found, seconds=seconds)


@pytest.fixture(autouse=True)
def unpictured(monkeypatch):
    """No picture of any member is drawn, which takes most of the time; other tests see to these."""
    monkeypatch.setattr(SearchSession, "_draw", lambda *_: None)


@pytest.fixture(autouse=True)
def scripted(api):
    """Workers by formula; networks that people made are measured by one too."""
    api.give(measure_sizes=measure)
    return script_workers(api, Priced())


def study_file(section=SECTION):
    Path("rates.yaml").write_text(f"{TINY}study: {section}\n")
    return load_config(Path("rates.yaml"))


def documents(study):
    table = study.table
    return study_document(table, study.comparison(table))


def rates_of(table):
    return {row.arm: [one.rate for one in row.members] for row in table.rows}


def test_it_is_features_masks_networks_and_a_grid_then_the_final_trainings(home, api):
    study = api.run_study(study_file(), home)
    table = study.table
    assert [row.arm for row in table.rows] == [f"{network}-{arm}" for network in NETWORKS for arm in ARMS]
    assert [row.arm for row in table.bases] == [
        f"{network}-{one}" for one in ("features", "masks", "random-masks") for network in NETWORKS
    ]
    steps = [(one.name, one.done, one.total) for one in study.progress]
    assert steps == [
        ("features", 4, 4),
        ("masks", 8, 8),
        ("networks", 24, 24),
        ("grid", 4, 4),
        ("final training", 28, 28),
    ]
    assert table.finished
    assert not table.failed
    names = [row.name for row in home.journal.searches()]
    assert not [name for name in names if "masks" in name and "final" in name], "masks are not trained again"


def test_each_arm_has_the_rate_that_its_search_found(home, api):
    study = api.run_study(study_file(), home)
    found = rates_of(study.table)
    for network, text in zip(NETWORKS, ("resnet18", "C8 P | F4"), strict=True):
        for place, seed in enumerate((0, 1)):
            masks, drawn = (
                study.ended([one for one in study.known if (one.arm.name, one.seed) == (f"{network}-{name}", seed)])[
                    f"{network}-{name}", seed
                ].masks
                for name in ("masks", "random-masks")
            )  # fmt: skip
            assert (
                [len(one.vectors) for _, one, _ in masks]
                == [len(one.vectors) for _, one, _ in drawn]
                == [4, 2, 2]
            )
            expected = {
                "ga": best_mask(masks).rate,
                "first": best_mask(masks[:1]).rate,
                "random": best_mask(drawn).rate,
                "fixed": 0.5,
                "none": 0.0,
                "uniform": uniform_rate(seed, text),
            }
            assert {arm: found[f"{network}-{arm}"][place] for arm in expected} == expected
    assert found["resnet18-grid"][0] in grid_of(3), "(4 + 3 * 2 + 5) seconds at 5 for each"


def test_the_worker_time_of_an_arm_includes_the_searches_that_its_rate_was_found_by(home, api):
    table = api.run_study(study_file(), home).table
    seconds = {row.arm.removeprefix("resnet18-"): row.seconds for row in table.rows}
    each = {arm: seconds[arm] / 2 - 5 for arm in ARMS}  # of one seed, without its final training
    assert each == {"ga": 15, "fixed": 5, "none": 5, "grid": 15, "random": 15, "first": 11, "uniform": 5}
    searched = 2 * 2 * (4 + 2 * 6)
    assert table.seconds == searched + 2 * 2 * (6 * 10 + 20), "what several arms rest on counts once in all"


def test_each_networks_arms_are_compared_with_its_own_ga_and_rates_are_a_column(home, api):
    study = api.run_study(study_file(), home)
    comparison = study.comparison(study.table)
    assert comparison.reference is None
    against = {
        row.figures.name: row.figures.comparison and row.figures.comparison.reference
        for row in comparison.rows
    }
    assert against == {
        f"{network}-{arm}": None if arm == "ga" else f"{network}-ga" for network in NETWORKS for arm in ARMS
    }
    text = study_markdown(study.table, comparison)
    assert "dropout, every arm held against that of its own network: resnet18-ga, network-07476739-ga" in text
    assert "| rate |" in text
    assert "rates" in study_csv(comparison).splitlines()[0]
    document = documents(study)
    assert document["comparison"]["reference"] is None
    assert document["arms"][1]["members"][0]["rate"] == 0.5
    assert "depth outside" not in text, "no network was drawn from the initial range"


class DyingPool(ScriptedPool):
    """One whose driver is killed at the n-th time that it waits."""

    def __init__(self, evaluator, waits):
        super().__init__(evaluator)
        self._waits = waits

    def poll(self, timeout):
        self._waits -= 1
        if self._waits < 0:
            raise ZeroDivisionError("killed")
        return super().poll(timeout)


def test_killed_anywhere_and_run_again_it_ends_with_the_same_table(home, api):
    config = study_file()
    whole = documents(api.run_study(config, home))
    killed = replace(config, name="other")

    def make_pool(executor, settings, threads, factory, data, reach=None):
        return DyingPool(Priced()(data, "cpu"), waits=13)

    deaths = 0
    with api.giving(make_pool=make_pool):
        while True:
            try:
                study = api.run_study(killed, home) if deaths % 2 == 0 else api.resume_study("other", home)
                break
            except ZeroDivisionError:
                deaths += 1
                assert deaths < 40
    assert deaths > 5
    found = documents(study)
    assert found["fingerprint"] == whole["fingerprint"]
    assert str(found).replace("other", "rates") == str(whole)


def test_more_seeds_networks_and_arms_extend_it_and_leave_what_there_is(home, api):
    few = study_file(
        "{kind: dropout, seeds: [1], networks: [C8 P | F4], arms: [ga, fixed], sample: 0.3, population: 4, cycle: 2}"
    )
    first = api.run_study(few, home).table
    study = api.run_study(study_file(), home)
    kept = {row.arm: row.members[1] for row in study.table.rows}
    for row in first.rows:
        assert kept[row.arm] == row.members[0]
    assert study.table.finished
    assert open_study("rates", home).config == study_file()


def test_the_best_of_a_search_is_searched_as_it_was_when_the_study_began(home, config, api):
    best = api.run(config, home).best.chromosome
    section = "{kind: dropout, networks: [tiny], arms: [ga], sample: 0.3, population: 4, cycle: 2}"
    study = api.run_study(study_file(section), home)
    assert {one.best.chromosome for row in study.table.rows for one in row.members} == {best}
    assert api.resume("tiny", home, generations=8).best.chromosome != best
    more = study_file(section.replace("kind: dropout", "kind: dropout, seeds: [0, 1]"))
    study = api.run_study(more, home)
    assert {one.best.chromosome for row in study.table.rows for one in row.members} == {best}


class NoFeatures(Priced):
    """Of resnet18 no features can be kept."""

    def handle(self, task, *more):
        if isinstance(task, FeaturesTask) and str(task.network) == "resnet18":
            return Failure(FailureKind.CRASHED, "its process died")
        return super().handle(task, *more)


def test_where_features_fail_the_other_arms_are_trained_and_the_table_says_why(home, api):
    script_workers(api, NoFeatures())
    study = api.run_study(study_file(SECTION.replace("seeds: [0, 1]", "seeds: [0]")), home)
    read = [row.arm.removeprefix("resnet18-") for row in study.table.rows if row.arm.startswith("resnet18")]
    assert read == ["fixed", "none", "grid", "uniform"]
    assert study.table.finished
    assert study.table.failed == ("rates/resnet18-features-seed-0",)
    text = study_markdown(study.table, study.comparison(study.table))
    assert "resnet18-features: failed (seed 0): " in text
    assert [row.figures.comparison.reference for row in study.comparison(study.table).rows[1:4]] == [
        "resnet18-fixed"
    ] * 3


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("{kind: dropout, networks: [resnet19]}", r"study\.networks has the network 'resnet19', which is no hand-made"),
        ("{kind: dropout, networks: [resnet18], sample: 0.01}", r"study\.sample is 0\.01: \d+ of 1,?\d+ training images"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_trained(home, api, section, told):
    study_file(section)
    read, source = read_config(Path("rates.yaml"))
    with pytest.raises(ConfigError, match=told):
        api.run_study(read, home, source=source)
    assert not home.journal.searches()
    with pytest.raises(ConfigError, match=r"training\.class_dropout is 0\.1, which a dropout study says for"):
        begun_study(replace(study_file(), training=replace(read.training, class_dropout=0.1)), home)
