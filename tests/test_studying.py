"""Studies as a whole: from a file to a table, on workers that a formula stands in for."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from evosearch.config import config_from_json, load_config, read_config
from evosearch.errors import ConfigError, SearchConflictError, TooManyFailuresError
from evosearch.evaluation import Failure, FailureKind, TrainingTask
from evosearch.listed import digest_of
from evosearch.reports import fact_lines, study_csv, study_document, study_json, study_markdown, study_notes
from evosearch.search import FixedListSettings, ListedTrial
from evosearch.session import SearchSession
from evosearch.studies import NamedNetwork, versions_of
from evosearch.studies.steps import learning_rates
from evosearch.studying import batchnorm_of, begun_study, is_study, open_study
from evosearch.testing import FormulaEvaluator, Script, ScriptedPool
from tests.finished_search import TINY, DyingPool, killed_to_its_end, measure, script_workers

NETWORKS = "[evolved, resnet18, {network: 'C8 P | F4', name: mine}]"


@pytest.fixture(autouse=True)
def unpictured(monkeypatch):
    """No picture of any member is drawn, which takes most of the time; other tests see to these."""
    monkeypatch.setattr(SearchSession, "_draw", lambda *_: None)


def study_file(section, name="compare"):
    Path(f"{name}.yaml").write_text(f"{TINY}study: {section}\n")
    return load_config(Path(f"{name}.yaml"))


@pytest.fixture
def scripted(api, scripted):
    """As `scripted`; networks that people made are measured by a formula too."""
    api.give(measure_sizes=measure)
    return scripted


@pytest.fixture
def baselines(home):
    return study_file(f"{{kind: baselines, seeds: [0, 1], networks: {NETWORKS}}}")


def accuracies_of(row):
    return [one.metric("accuracy") for one in row.members]


def names_of(home):
    return [row.name for row in home.journal.searches()]


MEMBERS = [f"compare/{arm}-seed-{seed}" for arm in ("evolved", "resnet18", "mine") for seed in (0, 1)]


def test_a_study_is_ordinary_searches_and_their_retrainings(home, baselines, api, scripted):
    study = api.run_study(baselines, home)
    assert names_of(home) == [*MEMBERS, *(f"{name}-final-1" for name in MEMBERS)]
    assert len(scripted) == 2, "the searches share workers, and so do the retrainings"
    rows = {row.arm: row for row in study.table.rows}
    assert list(rows) == ["evolved", "resnet18", "mine"]
    assert [one.evaluations for one in rows["evolved"].members] == [7, 7]
    assert [one.best.chromosome for one in rows["mine"].members] == ["C8 P | F4"] * 2
    for row in rows.values():
        read = [home.journal.test_readings(one.search) for one in row.members]
        assert accuracies_of(row) == [one.metrics["accuracy"] for (one,) in read]
    assert study.table.finished
    assert not study.table.failed


def test_arms_are_compared_by_what_their_networks_answered_to_each_image(home, baselines, api, scripted):
    study = api.run_study(baselines, home)
    found = study.comparison(study.table)
    assert (found.reference, found.seeds, found.images) == ("evolved", (0, 1), 359)
    for row, compared in zip(study.table.rows, found.rows, strict=True):
        assert compared.figures.accuracies == pytest.approx(accuracies_of(row))
        assert compared.facts.depth == tuple(one.depth for one in row.members)
        assert compared.facts.networks == tuple(one.best.chromosome for one in row.members)
    assert found.rows[1].figures.comparison.seeds == (0, 1)
    assert "seeds were not tested" in found.rows[1].figures.comparison.sentence
    assert found.rows[1].facts.parameters[0] > 11_000_000, "measured before it was trained"


@pytest.mark.usefixtures("two_classes")
def test_a_threshold_is_chosen_for_every_network_of_a_study_and_its_table_says_so(
    home, baselines, api, scripted
):
    plain = api.run_study(baselines, home)
    before = study_document(plain.table, plain.comparison(plain.table))
    assert "threshold" not in study_csv(plain.comparison(plain.table))
    asked = replace(baselines, final=replace(baselines.final, threshold="validation"))
    study = api.run_study(asked, home)
    found = study.comparison(study.table)
    document = study_document(study.table, found)
    assert study.table.finished
    for row, compared in zip(study.table.rows, found.rows, strict=True):
        metrics = [one.metrics for member in row.members for one in member.read]
        assert [one["threshold_by"] for one in metrics] == ["validation"] * 2
        assert compared.facts.thresholds == tuple(one["threshold"] for one in metrics)
        assert compared.figures.accuracies == pytest.approx([one["accuracy"] for one in metrics])
    for arm, known, row in zip(document["arms"], before["arms"], study.table.rows, strict=True):
        assert [one["thresholds"] for one in arm["members"]] == [
            [one.metrics["threshold"] for one in member.read] for member in row.members
        ]
        assert all("thresholds" not in one for one in known["members"])
    assert any("final.threshold validation (half)" in line for line in fact_lines(found))
    assert "thresholds" in study_csv(found).splitlines()[0]
    assert found.rows[0].auroc == plain.comparison(plain.table).rows[0].auroc
    assert document["fingerprint"] != before["fingerprint"]
    assert api.run_study(baselines, home).table.fingerprint == before["fingerprint"]


def test_the_whole_study_is_journaled_with_each_of_its_searches(home, baselines, api, scripted):
    api.run_study(baselines, home)
    for name in names_of(home):
        member = config_from_json(home.find_search(name).configuration)
        assert replace(member.study, base=None) == baselines.study
        assert member.study.base["seed"] == 3
    assert is_study("compare", home)
    assert open_study("compare", home).config == baselines


def test_a_member_is_what_it_would_be_alone(home, baselines, config, api, scripted):
    study = api.run_study(baselines, home)
    alone = api.run(replace(config, name="alone", seed=1), home)
    assert study.table.rows[0].members[1].best == alone.best


def test_the_same_again_prints_the_table_and_trains_nothing(home, baselines, api, scripted):
    before = api.run_study(baselines, home).table
    pools = len(scripted)
    assert api.run_study(baselines, home).table == before
    assert api.resume_study("compare", home).table == before
    assert len(scripted) == pools


def test_a_finished_study_leaves_its_table_beside_its_members(home, baselines, api, scripted):
    study = api.run_study(baselines, home)
    table = study.table
    comparison = study.comparison(table)
    assert (home.folder / "compare" / "table.md").read_text() == study_markdown(table, comparison)
    assert (home.folder / "compare" / "table.csv").read_text().count("\n") == 1 + 3
    assert (home.folder / "compare" / "table.png").read_bytes().startswith(b"\x89PNG")
    assert f'"fingerprint": "{table.fingerprint}"' in (home.folder / "compare" / "table.json").read_text()


def test_what_statistics_of_the_pixels_reach_on_test_is_first_said_by_the_table(
    home, baselines, api, scripted, monkeypatch
):
    asked = []

    def on_test(dataset):
        searches = home.journal.searches()
        asked.append([row.name for row in searches if "final" in row.name and row.state == "done"])
        return 0.4321

    monkeypatch.setattr("evosearch.study.pixels_on_test", on_test)
    study = api.run_study(baselines, home)
    assert asked == [[f"{name}-final-1" for name in MEMBERS]], "once, after all were read"
    told = "ten statistics of the pixels alone reach accuracy 0.4321 on the same test images"
    assert told in fact_lines(study.comparison(study.table))
    table, kept = home.folder / "compare" / "table.md", home.folder / "compare" / "doubts.json"
    assert told in table.read_text()
    older = {name: value for name, value in json.loads(kept.read_text()).items() if name != "pixels"}
    kept.write_text(json.dumps(older))
    again = open_study("compare", home)
    lines = fact_lines(again.comparison(again.table))
    assert not any("pixels alone reach" in line for line in lines)
    assert any(line.startswith("caveat: ten statistics of the pixels alone") for line in lines)


def test_killed_anywhere_and_run_again_a_study_ends_with_the_same_table(home, baselines, api, scripted):
    undisturbed = api.run_study(baselines, home)
    whole = study_document(undisturbed.table, undisturbed.comparison(undisturbed.table))
    killed = replace(baselines, name="killed")
    study = killed_to_its_end(api, home, killed, FormulaEvaluator(), waits=6, least=3)
    found = study_document(study.table, study.comparison(study.table))
    assert found["fingerprint"] == whole["fingerprint"]
    assert str(found).replace("killed", "compare") == str(whole)


def test_more_seeds_and_networks_extend_a_study_and_leave_what_there_is(home, baselines, api, scripted):
    few = replace(baselines, study=replace(baselines.study, seeds=(1,), networks=("evolved",)))
    first = api.run_study(few, home).table
    more = api.run_study(baselines, home).table
    assert more.rows[0].members[1] == first.rows[0].members[0]
    assert len(names_of(home)) == 12
    assert open_study("compare", home).config == baselines


def test_other_keys_are_refused_by_name(home, baselines, api, scripted):
    api.run_study(baselines, home)
    for changed, told in (
        ({"training": replace(baselines.training, epochs=2)}, "training.epochs: 2 here, 1 in the journal"),
        (
            {"study": replace(baselines.study, seeds=(0,))},
            r"study.seeds: \[0\] here, \[0, 1\] in the journal",
        ),
        ({"study": replace(baselines.study, networks=("mine",))}, r"study.networks: \['mine'\] here"),
        ({"strategy": replace(baselines.strategy, generations=3)}, "strategy.generations: 3 here, 2 in"),
    ):
        with pytest.raises(
            SearchConflictError, match=f"'compare' is a study of another configuration: {told}"
        ):
            api.run_study(replace(baselines, **changed), home)
    ablation = study_file("{kind: ablation, arms: [eavl]}")
    with pytest.raises(SearchConflictError, match=r"study\.kind: ablation here, baselines in the journal"):
        api.run_study(ablation, home)
    assert open_study("compare", home).config == baselines


def test_a_name_that_is_taken_is_refused(home, baselines, config, api, scripted):
    api.run(replace(config, name="compare"), home)
    with pytest.raises(SearchConflictError, match="'compare' is a single search; take another --name"):
        api.run_study(baselines, home)
    api.run_group(replace(config, name="seeds"), (0, 1), home)
    with pytest.raises(SearchConflictError, match="'seeds' is a group of 2 searches; take another --name"):
        api.run_study(replace(baselines, name="seeds"), home)


def test_a_member_whose_name_is_another_searchs_is_refused(home, baselines, config, api, scripted):
    api.run_study(baselines, home)
    api.run(replace(config, name="compare/more-seed-0"), home)
    more = replace(baselines.study, networks=(*baselines.study.networks, NamedNetwork("C4 |", "more")))
    with pytest.raises(SearchConflictError, match="'compare/more-seed-0' is a search of its own"):
        api.run_study(replace(baselines, study=more), home)


def test_what_is_no_study_is_not_opened_as_one(home, config, api, scripted):
    api.run_group(config, (0,), home)
    assert not is_study("tiny", home)
    with pytest.raises(SearchConflictError, match="'tiny' is no study"):
        open_study("tiny", home)
    with pytest.raises(SearchConflictError, match="there is no search 'none'"):
        open_study("none", home)


def test_the_best_of_another_search_is_compared_as_it_was_when_the_study_began(home, config, api, scripted):
    best = api.run(config, home).best.chromosome
    section = study_file("{kind: baselines, networks: [tiny]}")
    assert api.run_study(section, home).table.rows[0].members[0].best.chromosome == best
    longer = api.resume("tiny", home, generations=8).best.chromosome
    assert longer != best
    assert api.run_study(section, home).table.rows[0].members[0].best.chromosome == best


def test_an_unknown_or_unfinished_network_is_refused_with_its_place(home, config):
    Path("compare.yaml").write_text(f"{TINY}study: {{kind: baselines, networks: [resnet19]}}\n")
    read, source = read_config(Path("compare.yaml"))
    with pytest.raises(
        ConfigError, match=r"^compare.yaml:\d+: study.networks has the network 'resnet19', which is no hand"
    ):
        begun_study(read, home, source)
    assert names_of(home) == []


def test_an_ablation_ends_with_a_row_for_each_arm_in_the_files_order(home, api, scripted):
    section = "{kind: ablation, arms: [random, eavl, eavl_no_immigrants, vgg16_bn], random: seconds}"
    study = api.run_study(study_file(section), home)
    assert [row.arm for row in study.table.rows] == ["random", "eavl", "eavl_no_immigrants", "vgg16_bn"]
    assert [one.done for one in study.progress] == [3, 1, 4]
    assert study.table.finished
    assert len(scripted) == 3


def test_a_budget_that_differs_by_seed_is_told_with_both_ends(home, api, scripted):
    study = api.run_study(study_file("{kind: ablation, seeds: [0, 1], arms: [random, eavl]}"), home)
    first, second = (one for one in study.known if one.arm.name == "random")
    dearer = replace(first, arm=replace(first.arm, strategy=replace(first.arm.strategy, evaluations=9)))
    assert "random 7 to 9 evaluations" in study._budgets((dearer, second))[0]


@dataclass(frozen=True)
class Priced(FormulaEvaluator):
    """An evolved network costs 2 seconds, a given one 3; that is the better the larger its learning rate."""

    def handle(self, task, *more):
        result = super().handle(task, *more)
        if not isinstance(task, TrainingTask):
            return result
        if is_evolved(task):
            return replace(result, seconds=2.0)
        return replace(result, fitness=1 - 1 / (2 + 1e4 * task.settings.learning_rate), seconds=3.0)


@pytest.fixture
def as_dear(home):
    return study_file(f"{{kind: baselines, given: seconds, networks: {NETWORKS}}}")


def test_given_networks_get_the_worker_seconds_of_the_evolution(home, as_dear, api, scripted):
    script_workers(api, Priced())
    study = api.run_study(as_dear, home)
    rows = {row.arm: row for row in study.table.rows}
    assert {arm: row.members[0].evaluations for arm, row in rows.items()} == {
        "evolved": 7,
        "resnet18": 3,
        "mine": 3,
    }, "one of the seven was known, so that six were paid for"
    assert [row.arm for row in study.table.bases] == ["resnet18-once", "mine-once"]
    final = 3.0
    assert rows["resnet18"].seconds == 3.0 + 3 * 3.0 + final, "the first training is its own too"
    best = max(learning_rates(as_dear.training.learning_rate, 3))
    assert rows["resnet18"].notes == (f"learning rate, chosen on validation: {best:g}",)
    retrained = config_from_json(home.find_search("compare/resnet18-seed-0-final-1").configuration)
    assert retrained.training.learning_rate == best, "with the rate that won"
    assert [one.done for one in study.progress] == [3, 2, 3]


def test_a_given_network_whose_first_training_diverges_is_tried_with_other_learning_rates(
    home, as_dear, api, scripted
):
    usual = as_dear.training.learning_rate
    script_workers(api, Failing(hits=lambda task: is_resnet(task) and task.settings.learning_rate == usual))
    study = api.run_study(as_dear, home)
    (row,) = [one for one in study.table.rows if one.arm == "resnet18"]
    assert row.members[0].is_read
    assert row.members[0].evaluations > 1
    assert row.members[0].learning_rate != usual


def test_killed_anywhere_a_study_of_equal_worker_seconds_ends_with_the_same_table(
    home, as_dear, api, scripted
):
    script_workers(api, Priced())
    whole = api.run_study(as_dear, home).table
    killed = replace(as_dear, name="killed")
    study = killed_to_its_end(api, home, killed, Priced(), waits=6, least=3)
    assert study.table.fingerprint == whole.fingerprint
    assert [row.notes for row in study.table.rows] == [row.notes for row in whole.rows]


def test_a_table_says_in_what_its_study_was_narrowed(home):
    told = begun_study(study_file("{kind: baselines, networks: [resnet18]}"), home).table.budgets[-1]
    assert told.startswith("other than by default, which is the papers' where they say: ")
    assert "training.epochs 1 (100)" in told
    assert "batch_norm" not in told


def test_the_batch_norm_study_of_a_search_takes_its_configuration(home, config, api, scripted):
    best = api.run(config, home).best.chromosome
    derived, source = batchnorm_of("tiny", home, ["study.seeds=[0, 1]", "study.optimizers=[adam, sgd]"])
    assert (derived.name, derived.data) == ("tiny-batchnorm", config.data)
    assert derived.training == config.training.at("fp32")
    study = api.run_study(derived, home, source=source)
    rows = {row.arm: row for row in study.table.rows}
    assert rows["origin-adam"].members[0].best.chromosome == best
    assert "learning rates: adam 0.0001, sgd 0.01" in study.table.budgets
    assert len(rows) in (4, 6), "a variant that the best is itself is trained once"
    found = study.comparison(study.table)
    held = {row.figures.name: row.figures.comparison for row in found.rows}
    assert found.references["origin-adam"] == "origin-adam"
    assert {one.reference for name, one in held.items() if name.endswith("sgd") and "variant" in name} == {
        "origin-sgd"
    }
    assert held["origin-sgd"].reference == "origin-adam"
    rates = {
        name: config_from_json(
            home.find_search(f"tiny-batchnorm/{name}-seed-1-final-1").configuration
        ).training
        for name in ("origin-adam", "origin-sgd")
    }
    assert [(one.optimizer, one.learning_rate) for one in rates.values()] == [("adam", 1e-4), ("sgd", 1e-2)]
    again, source = batchnorm_of("tiny", home, ["study.seeds=[0, 1]", "study.optimizers=[adam, sgd]"])
    assert api.run_study(again, home, source=source).table == study.table


def test_a_table_can_be_seen_while_its_study_runs(home, baselines, api, scripted):
    def make_pool(executor, settings, threads, factory, data, reach=None, most=None, peak=None):
        return DyingPool(FormulaEvaluator()(data, "cpu"), waits=4)

    with api.giving(make_pool=make_pool), pytest.raises(ZeroDivisionError):
        api.run_study(baselines, home)
    study = open_study("compare", home)
    assert not study.table.finished
    assert [one.total for one in study.progress] == [6, 6]
    assert "unfinished (seeds 0, 1)" in study_markdown(study.table, study.comparison(study.table))


def test_what_is_trained_of_a_member_besides_changes_no_figure_and_is_counted(home, baselines, api, scripted):
    study = api.run_study(baselines, home)
    whole = study_document(study.table, study.comparison(study.table))
    api.retrain("compare/mine-seed-0", home, seeds=(1, 2, 3))
    study = open_study("compare", home)
    found = study_document(study.table, study.comparison(study.table))
    readings = [one["comparison"]["facts"].pop("test_readings") for one in (whole, found)]
    assert readings == [6, 8], "the first of the three was read already"
    counts = [one["arms"][2]["members"][0].pop("readings") for one in (whole, found)]
    assert counts == [["1 of 1"], ["1 of 3"]]
    assert found == whole, "the fingerprint too"


def test_of_another_final_step_the_earlier_one_is_no_part(home, baselines, api, scripted):
    api.run_study(baselines, home)
    final = replace(baselines.final, fit="train_validation")
    study = api.run_study(replace(baselines, final=final), home)
    told = "this test split was read 12 times for these searches; 6 of these readings are in this table"
    assert told in fact_lines(study.comparison(study.table))
    assert study.comparison(study.table).seeds == (0, 1)
    assert study.comparison(study.table).rows[2].validation is None, (
        "these networks were trained on the validation images"
    )
    assert [one.facts.readings for one in study.comparison(study.table).rows] == [(2, 2)] * 3


def test_several_final_trainings_of_one_search_are_one_seed(home, baselines, api, scripted):
    final = replace(baselines.final, seeds=3)
    few = replace(baselines.study, seeds=(0,), networks=("evolved", "resnet18"))
    study = api.run_study(replace(baselines, final=final, study=few), home)
    found = study.comparison(study.table)
    compared = found.rows[1].figures.comparison
    assert (compared.seeds, compared.independent) == ((1, 2, 3), 1)
    assert "seeds were not tested (1 search, 3 are needed)" in compared.sentence
    told = "seeds 1, 2, 3 (302 would be the second final training of the search from seed 3); "
    assert any(line.startswith(told) for line in fact_lines(found))


def test_the_table_names_every_version_that_a_member_began_with(home, baselines, api, scripted):
    study = api.run_study(baselines, home)
    mixed = [
        SimpleNamespace(name=name, environment={"device": "cpu", "torch": torch, "ray": "2"})
        for name, torch in (("a", "1.0"), ("a/final-1", "1.0"), ("b", "1.1"))
    ]
    journal = SimpleNamespace(find={row.name: row for row in mixed}.get)
    assert versions_of(SimpleNamespace(journal=journal), ("a", "b", "unbegun"), 1) == (
        ("torch", "1.0 and 1.1"),
        ("ray", "2"),
    )
    own = {
        name: str(one) for name, one in home.find_search(MEMBERS[0]).environment.items() if name != "device"
    }
    assert own
    assert dict(study.table.versions) == own


def test_a_member_cannot_be_given_more_than_the_others_have(home, baselines, api, scripted):
    api.run_study(baselines, home)
    with pytest.raises(
        SearchConflictError, match="'compare/evolved-seed-0' is of the study 'compare', whose"
    ):
        api.resume("compare/evolved-seed-0", home, generations=5)


# Arms that fail


@pytest.fixture
def few(baselines):
    """One seed of each arm."""
    return replace(baselines, study=replace(baselines.study, seeds=(0,)))


@dataclass(frozen=True)
class Failing(FormulaEvaluator):
    """As the formula says, but for the trainings that `hits` names."""

    hits: Callable[[TrainingTask], bool] = lambda _: False
    kind: FailureKind = FailureKind.DIVERGED

    def handle(self, task, *more):
        if isinstance(task, TrainingTask) and self.hits(task):
            return Failure(self.kind, "on purpose")
        return super().handle(task, *more)


def is_evolved(task):
    return str(task.network) not in ("C8 P | F4", "resnet18")


def is_resnet(task):
    return str(task.network) == "resnet18"


def trained(pools):
    return [len(pool.submitted) for pool in pools]


def test_an_arm_that_diverges_is_a_row_without_figures_and_the_others_are_read(
    home, baselines, api, scripted
):
    pools = script_workers(api, Failing(hits=is_evolved))
    more = replace(
        baselines, study=replace(baselines.study, networks=("resnet18", *baselines.study.networks[::2]))
    )
    study = api.run_study(more, home)
    rows = {row.arm: row for row in study.table.rows}
    assert (rows["evolved"].failed, rows["evolved"].read) == (True, ())
    assert rows["evolved"].notes == ("failed (seeds 0, 1): every training of the first generation diverged",)
    assert [len(rows[arm].read) for arm in ("resnet18", "mine")] == [2, 2]
    assert study.table.finished
    assert [one.done for one in study.progress] == [6, 6]
    before = trained(pools)
    assert api.resume_study("compare", home).table == study.table
    assert trained(pools) == before, "its journal is over"


def test_where_the_reference_failed_nothing_is_compared_and_the_table_stands(home, baselines, api, scripted):
    script_workers(api, Failing(hits=is_evolved))
    study = api.run_study(baselines, home)
    found = study.comparison(study.table)
    assert (found.reference, found.compares) == ("evolved", False)
    assert [(row.figures.name, row.figures.comparison) for row in found.rows] == [
        ("resnet18", None),
        ("mine", None),
    ]
    text = study_markdown(study.table, found)
    assert "no arm compared with another: evolved, which all are held against, failed" in text
    assert "against evolved" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("| evolved ")]
    assert line.endswith("| failed (seeds 0, 1): every training of the first generation diverged |")
    assert study_csv(found).splitlines()[3].startswith("evolved,,,")
    told = study_notes(study.table, found)
    assert "evolved: failed (seeds 0, 1): every training of the first generation diverged" in told
    assert (home.folder / "compare" / "table.json").read_text() == study_json(study.table, found)


def test_killed_anywhere_a_study_with_an_arm_that_diverges_ends_with_the_same_table(home, few, api, scripted):
    script_workers(api, Failing(hits=is_evolved))
    whole = api.run_study(few, home).table
    killed = replace(few, name="killed")
    study = killed_to_its_end(api, home, killed, Failing(hits=is_evolved), waits=3, least=3)
    assert study.table.fingerprint == whole.fingerprint
    assert [row.notes for row in study.table.rows] == [row.notes for row in whole.rows]


def test_a_step_that_follows_from_an_arm_that_failed_is_trained_and_read(home, api, scripted):
    pools = []

    def make_pool(executor, settings, threads, factory, data, reach=None, most=None, peak=None):
        evaluator = FormulaEvaluator() if pools else Failing(hits=lambda task: "|" in str(task.network))
        pools.append(ScriptedPool(evaluator(data, "cpu")))
        return pools[-1]

    api.give(make_pool=make_pool)
    section = "{kind: ablation, arms: [eavl, random, vgg16_bn], random: seconds}"
    table = api.run_study(study_file(section), home).table
    assert [(row.arm, row.failed, len(row.read)) for row in table.rows] == [
        ("eavl", True, 0),
        ("random", False, 1),
        ("vgg16_bn", False, 1),
    ]


def test_an_arm_whose_code_fails_is_tried_again_by_the_same_command(home, few, api, scripted):
    script_workers(api, Failing(hits=is_resnet, kind=FailureKind.ERROR))
    table = api.run_study(few, home).table
    assert [row.failed for row in table.rows] == [False, True, False]
    assert "all ended as error; the last one: on purpose" in table.rows[1].notes[0]
    script_workers(api)
    assert api.run_study(few, home).table.failed == ()


def test_a_final_training_that_fails_keeps_no_other_from_its_end(home, few, api, scripted, monkeypatch):
    ended = []
    monkeypatch.setattr(SearchSession, "publish_winner", lambda session, _: ended.append(session.config.name))
    longer = replace(few, final=replace(few.final, epochs=2))
    script_workers(
        api, Failing(hits=lambda task: is_resnet(task) and task.settings.epochs == 2, kind=FailureKind.ERROR)
    )
    table = api.run_study(longer, home).table
    assert [row.failed for row in table.rows] == [False, True, False]
    assert table.finished
    assert sorted(ended) == [f"compare/{arm}-seed-0-final-2" for arm in ("evolved", "mine")]


def test_a_search_that_stops_with_a_best_ends_the_study_until_it_goes_on(home, few, api, scripted):
    lost = dict.fromkeys([(1, attempt) for attempt in range(1, 6)], FailureKind.WORKER_LOST)
    script_workers(api, script=Script(2, losses=lost))
    with pytest.raises(TooManyFailuresError, match="candidate 1 lost its worker 5 times"):
        api.run_study(few, home)
    script_workers(api)
    assert api.resume_study("compare", home).table.failed == ()


def test_a_later_final_step_is_the_studys_though_a_member_that_failed_has_not_heard_of_it(
    home, few, api, scripted
):
    script_workers(api, Failing(hits=is_evolved))
    api.run_study(few, home)
    api.run_study(replace(few, final=replace(few.final, epochs=2)), home)
    assert open_study("compare", home).config.final.epochs == 2


# Given weights


def weights(value=0.0):
    """`given.safetensors`, and its sha256."""
    save_file({"features.0.bias": np.full(64, value, np.float32)}, "given.safetensors")
    return digest_of(Path("given.safetensors"))


def trial_of(home, name):
    (trial,) = config_from_json(home.find_search(name).configuration).strategy.trials
    return trial


def pretrained_search(api, home, config, network="vgg16"):
    """`tiny`, whose best starts from given weights; their file is gone since."""
    digest = weights()
    listed = FixedListSettings(trials=(ListedTrial(network, weights="given.safetensors"),))
    api.run(replace(config, strategy=listed), home)
    Path("given.safetensors").unlink()
    return digest


def test_the_given_weights_of_a_search_come_with_its_best(home, config, api, scripted):
    digest = pretrained_search(api, home, config)
    study = api.run_study(study_file("{kind: baselines, networks: [tiny]}"), home)
    assert study.table.finished
    assert trial_of(home, "compare/tiny-seed-0").network == f"vgg16 {digest}"
    assert digest_of(home.folder_of("compare/tiny-seed-0") / "weights" / f"{digest}.safetensors") == digest


def test_a_batch_norm_study_trains_origin_with_the_weights_that_it_was_found_with_too(
    home, config, api, scripted
):
    digest = pretrained_search(api, home, config, "C8 B4 P | F4")
    derived, source = batchnorm_of("tiny", home, ["study.seeds=[0]", "study.optimizers=[adam]"])
    study = api.run_study(derived, home, source=source)
    texts = {row.arm: row.members[0].best.chromosome for row in study.table.rows}
    assert texts["origin-adam"] == "C8 B4 P | F4"
    assert texts["origin-pretrained-adam"] == f"C8 B4 P | F4 @ {digest}"
    assert {row.members[0].depth for row in study.table.rows} == {3}, "weights change no depth"
    more, source = batchnorm_of("tiny", home, ["study.seeds=[0, 1]", "study.optimizers=[sgd, adam]"])
    rows = api.run_study(more, home, source=source).table.rows
    assert len(rows) == 2 * len(texts)
    assert {row.members[1].best.chromosome for row in rows} == set(texts.values())


PRETRAINED = "{network: vgg16, weights: given.safetensors}"


@pytest.mark.parametrize("change", [lambda: Path("given.safetensors").unlink(), lambda: weights(1.0)])
def test_later_seeds_start_from_the_weights_that_earlier_ones_did(home, api, scripted, change):
    digest = weights()
    api.run_study(study_file(f"{{kind: baselines, networks: [{PRETRAINED}]}}"), home)
    change()
    more = study_file(f"{{kind: baselines, seeds: [0, 1], networks: [{PRETRAINED}]}}")
    assert api.run_study(more, home).table.finished
    for seed in (0, 1):
        assert trial_of(home, f"compare/vgg16-pretrained-seed-{seed}").network == f"vgg16 {digest}"


def normalized(home, seed):
    member = config_from_json(home.find_search(f"compare/vgg16-pretrained-seed-{seed}").configuration)
    return (member.strategy.trials[0].settings or member.training).normalize


@pytest.mark.parametrize(("given", "expected"), [(True, "unit"), (False, "imagenet")])
def test_how_images_are_normalised_is_as_the_studys_file_says_for_all_seeds(
    home, api, scripted, given, expected
):
    weights()
    text = TINY.replace("epochs: 1, batch", "epochs: 1, normalize: unit, batch") if given else TINY
    for file, seeds in ((text, "[0]"), (TINY, "[0, 1]")):
        section = f"study: {{kind: baselines, seeds: {seeds}, networks: [{PRETRAINED}]}}\n"
        Path("compare.yaml").write_text(file + section)
        read, source = read_config(Path("compare.yaml"))
        api.run_study(read, home, source=source)
    assert [normalized(home, seed) for seed in (0, 1)] == [expected, expected]
    assert open_study("compare", home).config.training.normalize == "unit"


def test_what_the_file_says_counts_for_arms_that_begin_after_a_kill(home, api, scripted):
    weights()
    text = TINY.replace("epochs: 1, batch", "epochs: 1, normalize: unit, batch")
    text = text.replace("{count: 1}", "{count: 1, hard_seconds: 60}")  # lists come after the evolution then
    Path("compare.yaml").write_text(f"{text}study: {{kind: baselines, networks: [evolved, {PRETRAINED}]}}\n")
    read, source = read_config(Path("compare.yaml"))

    def make_pool(executor, settings, threads, factory, data, reach=None, most=None, peak=None):
        return DyingPool(FormulaEvaluator()(data, "cpu"), waits=2)

    with api.giving(make_pool=make_pool), pytest.raises(ZeroDivisionError):
        api.run_study(read, home, source=source)
    assert names_of(home) == ["compare/evolved-seed-0"]
    api.resume_study("compare", home)
    assert normalized(home, 0) == "unit"


@pytest.mark.parametrize(
    ("section", "key"),
    [
        (f"{{kind: baselines, networks: [evolved, {PRETRAINED}]}}", "networks"),
        ("{kind: batchnorm, network: C8 B4 |, weights: [given.safetensors]}", "weights"),
    ],
)
def test_weights_that_are_nowhere_or_none_are_refused_with_their_place(home, section, key, api, scripted):
    Path("compare.yaml").write_text(f"{TINY}study: {section}\n")
    line = len(TINY.splitlines()) + 1
    read, source = read_config(Path("compare.yaml"))
    with pytest.raises(
        ConfigError, match=rf"^compare\.yaml:{line}: study\.{key}: there is no file of weights"
    ):
        api.run_study(read, home, source=source)
    Path("given.safetensors").write_text("no weights")
    with pytest.raises(
        ConfigError, match=rf"^compare\.yaml:{line}: study\.{key}: .* is no readable safetens"
    ):
        api.run_study(read, home, source=source)
    assert names_of(home) == []


# Hardware


def test_the_table_says_what_the_workers_of_all_members_computed_on(home, baselines, api, scripted):
    mine = NamedNetwork("C8 P | F4", "mine")
    few = replace(baselines, study=replace(baselines.study, networks=(mine,)))
    assert api.run_study(few, home).table.hardware == ("cpu",), "these workers do not say"
    script_workers(api, script=Script(2, processors=("B", "A")))
    other = api.run_study(replace(few, name="other"), home)
    assert other.table.hardware == other.comparison(other.table).facts.hardware == ("A", "B")
