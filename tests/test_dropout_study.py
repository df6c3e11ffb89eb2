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
from evosearch.storage import open_home
from evosearch.studies.dropout import grid_of, uniform_rate
from evosearch.studying import begun_study, open_study
from evosearch.testing import FormulaEvaluator
from tests.finished_search import TINY, Api, killed_to_its_end, measure, script_workers

BRED = "sample: 0.3, population: 4, cycle: 2"
SECTION = f"{{kind: dropout, networks: [resnet18, C8 P | F4], {BRED}, arms: [ga, fixed, none, grid, random, first, uniform]}}"
FEW = f"{{kind: dropout, networks: [C8 P | F4], {BRED}, arms: [ga, fixed, grid]}}"
ARMS = ("ga", "fixed", "none", "grid", "random", "first", "uniform")
NETWORKS = ("resnet18", "network-07476739")


class Priced(FormulaEvaluator):
    """Says of each task what it took: 4 s for features, 2 s for a generation of masks, 5 s for a network."""

    def handle(self, task, *more):
        found = super().handle(task, *more)
        if isinstance(task, PredictionTask) or isinstance(found, Failure):
            return found
        seconds = 4.0 if isinstance(task, FeaturesTask) else 2.0 if isinstance(task, MasksTask) else 5.0
        return replace(found, seconds=seconds)


def priced(evaluator=None):
    """The API on workers by formula; networks that people made are measured by one too."""
    api = Api()
    api.give(measure_sizes=measure)
    script_workers(api, evaluator or Priced())
    return api


@pytest.fixture(autouse=True)
def unpictured(monkeypatch):
    """No picture of any member is drawn, which takes most of the time; other tests see to these."""
    monkeypatch.setattr(SearchSession, "_draw", lambda *_: None)


@pytest.fixture
def api():
    return priced()


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A study of all arms that has ended; for tests that only look."""
    folder = tmp_path_factory.mktemp("ended")
    with pytest.MonkeyPatch.context() as patch, open_home(None, env={}, cwd=folder, create=True) as home:
        patch.setattr(SearchSession, "_draw", lambda *_: None)
        patch.chdir(folder)
        yield priced().run_study(study_file(), home)


def study_file(section=SECTION):
    Path("rates.yaml").write_text(f"{TINY}study: {section}\n")
    return load_config(Path("rates.yaml"))


def documents(study):
    table = study.table
    return study_document(table, study.comparison(table))


def test_it_is_features_masks_networks_and_a_grid_then_the_final_trainings(ended):
    table = ended.table
    assert [row.arm for row in table.rows] == [f"{network}-{arm}" for network in NETWORKS for arm in ARMS]
    searched = {f"{network}-{one}" for network in NETWORKS for one in ("features", "masks", "random-masks")}
    assert {row.arm for row in table.bases} == searched
    assert [(one.name, one.done, one.total) for one in ended.progress] == [
        ("features", 2, 2),
        ("masks", 4, 4),
        ("networks", 12, 12),
        ("grid", 2, 2),
        ("final training", 14, 14),
    ]
    assert table.finished
    assert not table.failed
    names = [row.name for row in ended.home.journal.searches()]
    assert not [name for name in names if "masks" in name and "final" in name], "masks are not trained again"


def rates_of(table):
    return {row.arm: [one.rate for one in row.members] for row in table.rows}


def test_each_arm_has_the_rate_that_its_search_found(ended):
    found, told = rates_of(ended.table), ended.ended(ended.known)
    for network, text in zip(NETWORKS, ("resnet18", "C8 P | F4"), strict=True):
        masks, drawn = (told[f"{network}-{name}", 0].masks for name in ("masks", "random-masks"))
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
            "uniform": uniform_rate(0, text),
        }
        assert {arm: found[f"{network}-{arm}"] for arm in expected} == {
            arm: [one] for arm, one in expected.items()
        }
        assert found[f"{network}-grid"][0] in grid_of(3), "(4 + 3 * 2 + 5) seconds at 5 for each"


def test_the_worker_time_of_an_arm_includes_the_searches_that_its_rate_was_found_by(ended):
    table = ended.table
    seconds = {row.arm.removeprefix("resnet18-"): row.seconds for row in table.rows}
    without_final = {arm: seconds[arm] - 5 for arm in ARMS}
    assert without_final == {
        "ga": 15,
        "fixed": 5,
        "none": 5,
        "grid": 15,
        "random": 15,
        "first": 11,
        "uniform": 5,
    }
    searched, trained = 2 * (4 + 2 * 6), 2 * (6 * 5 + 15 + 7 * 5)
    assert table.seconds == searched + trained, "what several arms rest on counts once in all"


def test_each_networks_arms_are_compared_with_its_own_ga_and_rates_are_a_column(ended):
    comparison = ended.comparison(ended.table)
    assert comparison.reference is None
    against = {
        row.figures.name: row.figures.comparison and row.figures.comparison.reference
        for row in comparison.rows
    }
    assert against == {
        f"{network}-{arm}": None if arm == "ga" else f"{network}-ga" for network in NETWORKS for arm in ARMS
    }
    text = study_markdown(ended.table, comparison)
    assert (
        "dropout, every arm held against the one that is named beside its difference, one of resnet18-ga, network-07476739-ga"
        in text
    )
    assert (
        "of 1 epoch each: resnet18-grid 3 evaluations, network-07476739-grid 3 evaluations, every other arm 1"
        in text
    )
    assert "| rate |" in text
    assert ",rates," in study_csv(comparison).splitlines()[0]
    document = study_document(ended.table, comparison)
    assert document["comparison"]["reference"] is None
    assert document["arms"][1]["members"][0]["rate"] == 0.5
    assert "depth outside" not in text, "no network was drawn from the initial range"


def test_killed_anywhere_and_run_again_it_ends_with_the_same_table(home, api):
    config = study_file(FEW)
    whole = documents(api.run_study(config, home))
    killed = replace(config, name="killed")
    study = killed_to_its_end(api, home, killed, Priced(), waits=2, least=5, most=40)
    found = documents(study)
    assert found["fingerprint"] == whole["fingerprint"]
    assert str(found).replace("killed", "rates") == str(whole)


def test_more_seeds_networks_and_arms_extend_it_and_leave_what_there_is(home, api):
    few = f"{{kind: dropout, seeds: [1], networks: [C8 P | F4], arms: [ga], {BRED}}}"
    (first,) = api.run_study(study_file(few), home).table.rows
    more = f"{{kind: dropout, seeds: [0, 1], networks: [C4 |, C8 P | F4], arms: [fixed, ga, random], {BRED}}}"
    study = api.run_study(study_file(more), home)
    rows = {row.arm: row for row in study.table.rows}
    assert rows[first.arm].members[1] == first.members[0]
    assert [len(row.members) for row in rows.values()] == [2] * 6
    assert study.table.finished
    assert open_study("rates", home).config == study_file(more)


def test_the_best_of_a_search_is_searched_as_it_was_when_the_study_began(home, config, api):
    best = api.run(config, home).best.chromosome
    section = f"{{kind: dropout, networks: [tiny], arms: [ga], {BRED}}}"
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


def test_where_features_fail_the_other_arms_are_trained_and_the_table_says_why(home):
    section = f"{{kind: dropout, networks: [resnet18, C8 P | F4], arms: [ga, none, fixed, grid], {BRED}}}"
    study = priced(NoFeatures()).run_study(study_file(section), home)
    network = "network-07476739"
    assert [row.arm for row in study.table.rows] == [
        *("resnet18-none", "resnet18-fixed", "resnet18-grid"),
        *(f"{network}-ga", f"{network}-none", f"{network}-fixed", f"{network}-grid"),
    ]
    assert study.table.finished
    assert study.table.failed == ("rates/resnet18-features-seed-0",)
    comparison = study.comparison(study.table)
    assert "| failed (seed 0): " in study_markdown(study.table, comparison)
    found = [row.figures.comparison and row.figures.comparison.reference for row in comparison.rows]
    assert found == [*(None, None, None), *(None, *[f"{network}-ga"] * 3)]
    assert [(one.name, one.failed) for one in comparison.unread] == [("resnet18-features", True)]


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (
            "{kind: dropout, networks: [resnet19]}",
            r"study\.networks has the network 'resnet19', which is no hand-made",
        ),
        (
            "{kind: dropout, networks: [resnet18], sample: 0.01}",
            r"study\.sample is 0\.01: \d+ of 1,?\d+ training images",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(home, api, section, told):
    study_file(section)
    read, source = read_config(Path("rates.yaml"))
    with pytest.raises(ConfigError, match=told):
        api.run_study(read, home, source=source)
    assert not home.journal.searches()
    with pytest.raises(ConfigError, match=r"training\.class_dropout is 0\.1, which a dropout study says for"):
        begun_study(replace(study_file(), training=replace(read.training, class_dropout=0.1)), home)
