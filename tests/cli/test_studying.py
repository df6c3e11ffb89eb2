"""`baselines`, `ablation`, `batchnorm` and `dropout`, and what other commands say of a study."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from evosearch.errors import CannotRunError
from evosearch.evaluation import Failure, FailureKind, TrainingTask
from evosearch.session import SearchSession
from evosearch.testing import FormulaEvaluator
from tests.finished_search import TINY, FailingPool, measure, script_workers
from workers import measure_sizes

STUDY = f"{TINY}study: {{kind: baselines, networks: [evolved, resnet18]}}\n"


@pytest.fixture(autouse=True)
def unpictured(monkeypatch):
    """No picture of any member is drawn, which takes most of the time; other tests see to these."""
    monkeypatch.setattr(SearchSession, "_draw", lambda *_: None)


@pytest.fixture
def study(command, api):
    """`compare.yaml` beside the home, and workers that a formula stands in for."""
    Path("compare.yaml").write_text(STUDY)
    script_workers(api)
    api.give(measure_sizes=measure)
    return command


def test_baselines_print_a_row_for_each_arm_and_where_the_table_is(study, tmp_path):
    ended = study("baselines", "compare.yaml", "--executor", "local")
    assert ended.status == 0, ended
    heading, evolved, resnet, *notes = ended.out.splitlines()
    assert heading.split()[:3] == ["arm", "seeds", "accuracy"]
    assert [evolved.split()[0], resnet.split()[0]] == ["evolved", "resnet18"]
    assert any(line.startswith("fingerprint ") for line in notes)
    assert f"Table  {tmp_path}/runs/compare/table.md (.csv, .json, .png)" in notes
    again = study("baselines", "compare.yaml", "--json")
    assert [one["arm"] for one in json.loads(again.out)["arms"]] == ["evolved", "resnet18"]


def test_status_of_a_study_is_steps_and_members_without_a_mean(study):
    study("baselines", "compare.yaml")
    lines = study("status", "compare").out.splitlines()
    assert lines[:3] == [
        "compare: baselines",
        "  step 1  networks: 2 of 2",
        "  step 2  final training: 2 of 2",
    ]
    assert "mean" not in "\n".join(lines)
    document = json.loads(study("status", "compare", "--json").out)
    assert (document["name"], document["study"]) == ("compare", "baselines")
    assert document["steps"][1] == {"name": "final training", "done": 2, "total": 2}
    assert [one["name"] for one in document["members"]] == [
        "compare/evolved-seed-0",
        "compare/resnet18-seed-0",
    ]
    assert "mean" not in document


def test_results_of_a_study_are_its_table_in_every_form(study):
    study("baselines", "compare.yaml")
    assert study("results", "compare").out.splitlines()[1].startswith("evolved ")
    assert json.loads(study("results", "compare", "--format", "json").out)["kind"] == "baselines"
    assert study("results", "compare", "--format", "csv").out.startswith("arm,seeds,accuracies,accuracy,")
    assert study("results", "compare", "--format", "markdown").out.startswith("# compare\n")
    assert "C" in study("results", "compare/evolved-seed-0").out


def test_a_study_is_resumed_and_its_members_are_retrained_by_name(study):
    study("baselines", "compare.yaml")
    assert study("resume", "compare").out.splitlines()[1].startswith("evolved ")
    assert study("retrain", "compare/resnet18-seed-0", "--seeds", "2").status == 0


def test_seeds_of_the_command_line_are_the_studys(study):
    ended = study("baselines", "compare.yaml", "--seeds", "4..5", "--name", "other", "--json")
    members = json.loads(ended.out)["arms"][0]["members"]
    assert [one["search"] for one in members] == ["other/evolved-seed-4", "other/evolved-seed-5"]


def test_the_batch_norm_study_is_named_after_its_search(study):
    study("run", "tiny.yaml")
    ended = study("batchnorm", "tiny", "--seeds", "0", "--set", "study.optimizers=[adam]", "--json")
    assert ended.status == 0, ended
    document = json.loads(ended.out)
    assert (document["name"], document["kind"]) == ("tiny-batchnorm", "batchnorm")
    assert document["arms"][0]["arm"] == "origin-adam"


RATES = (
    "study={kind: dropout, networks: [C8 P | F4], arms: [ga, fixed], sample: 0.3, population: 4, cycle: 1}"
)


def test_dropout_prints_the_rates_and_its_searches_are_members(study):
    arguments = ("dropout", "compare.yaml", "--set", RATES, "--name", "rates")
    ended = study(*arguments, "--json")
    assert ended.status == 0, ended
    document = json.loads(ended.out)
    assert [
        (one["arm"], [member["rate"] is None for member in one["members"]]) for one in document["arms"]
    ] == [
        ("network-07476739-ga", [False]),
        ("network-07476739-fixed", [False]),
    ]
    status = json.loads(study("status", "rates", "--json").out)
    assert [one["name"] for one in status["steps"]] == ["features", "masks", "networks", "final training"]
    assert {"rates/network-07476739-features-seed-0", "rates/network-07476739-masks-seed-0"} <= {
        one["name"] for one in status["members"]
    }
    assert (
        study("status", "rates").status
        == study("results", "rates").status
        == study("resume", "rates").status
        == 0
    )
    assert study("results", "rates/network-07476739-masks-seed-0").status == 0


def test_a_sample_below_a_batch_is_refused_before_anything_is_trained(study):
    for command in (
        ("dropout", "compare.yaml", "--name", "rates"),
        ("validate", "compare.yaml", "--no-probe"),
    ):
        ended = study(*command, "--set", RATES, "--set", "study.sample=0.01")
        assert ended.status == 2
        assert ended.told[-1].startswith(
            "evosearch: study.sample is 0.01: 12 of 1151 training images, fewer than training.batch"
        )
    assert "rates" not in study("status").out


@pytest.mark.parametrize(
    ("verb", "section", "told"),
    [
        (
            "baselines",
            "{kind: baselines, networks: [evolved, resnet19]}",
            "has the network 'resnet19', which is",
        ),
        (
            "baselines",
            "{kind: baselines, networks: [{network: squeezenet1_1, weights: nothere.safetensors}]}",
            "there is no file of weights 'nothere.safetensors'",
        ),
        (
            "baselines",
            "{kind: baselines, networks: [{network: C8 |, weights: other.safetensors}]}",
            "it does not fit: other is not in the network",
        ),
        (
            "batchnorm",
            "{kind: batchnorm, network: nosuch}",
            "study.network has the network 'nosuch', which is",
        ),
        ("batchnorm", "{kind: batchnorm}", "study.network is missing; give a chromosome"),
        (
            "batchnorm",
            "{kind: batchnorm, network: C8 |, weights: [gone]}",
            "there is no file of weights 'gone'",
        ),
        (
            "dropout",
            "{kind: dropout, networks: [nosuch]}",
            "study.networks has the network 'nosuch', which is",
        ),
    ],
)
def test_validate_refuses_a_study_in_the_words_of_its_command(study, refused, api, verb, section, told):
    study("run", "tiny.yaml")
    save_file({"other": np.zeros(3, np.float32)}, "other.safetensors")
    api.give(measure_sizes=measure_sizes)
    given = ("compare.yaml", "--set", f"study={section}")
    message = refused("validate", *given)
    assert told in message
    ended = study(verb, *given)
    assert (ended.status, ended.told[-1]) == (2, f"evosearch: {message}")


def test_validate_says_which_search_it_could_not_look_up_and_looks_where_there_is_a_home(study):
    networks = ("--set", "study.networks=[tiny, {network: nosuch, name: other}, resnet18]", "--no-probe")
    ended = study("validate", "compare.yaml", *networks)
    assert ended.status == 0
    assert ended.told[0].startswith(
        "note: unchecked: the study names 'tiny', 'nosuch' for the best of a search; there is no journal at "
    )
    assert "  other: 1 x 1 training, 1 final training" in ended.out.splitlines()
    study("run", "tiny.yaml")
    ended = study("validate", "compare.yaml", *networks)
    assert "study.networks has the network 'nosuch', which is no hand-made one" in ended.told[0]
    known = study("validate", "compare.yaml", "--set", "study.networks=[tiny]", "--no-probe", "--json")
    assert (known.status, known.told, json.loads(known.out)["study"]["unchecked"]) == (0, [], [])


def test_what_cannot_be_is_refused_in_one_line_and_nothing_is_begun(study, refused):
    study("run", "tiny.yaml")
    for arguments, told in (
        (
            ("run", "compare.yaml"),
            "study.kind is baselines: the file is a study's, which `evosearch baselines FILE`",
        ),
        (("ablation", "compare.yaml"), "study.kind is baselines; `evosearch baselines compare.yaml` runs it"),
        (
            ("batchnorm", "compare.yaml"),
            "study.kind is baselines; `evosearch baselines compare.yaml` runs it",
        ),
        (("baselines", "tiny.yaml"), "tiny.yaml has no section study; add `study: {kind: baselines}`, or"),
        (
            ("baselines", "compare.yaml", "--set", "study.networks=[resnet19]"),
            "has the network 'resnet19', which is no",
        ),
        (
            ("baselines", "compare.yaml", "--address", "http://head:8265"),
            "is a job server; `evosearch submit` with it",
        ),
        (
            (
                "ablation",
                "compare.yaml",
                "--set",
                "study={kind: ablation}",
                "--set",
                "strategy={name: random}",
            ),
            "strategy.name is 'random'; an ablation takes an evolution apart",
        ),
        (
            ("run", "compare.yaml", "--set", RATES),
            "study.kind is dropout: the file is a study's, which `evosearch dropout FILE`",
        ),
        (("dropout", "compare.yaml"), "study.kind is baselines; `evosearch baselines compare.yaml` runs it"),
        (("batchnorm", "nothing"), "there is no search 'nothing'"),
        (
            ("baselines", "compare.yaml", "--set", "study.networks=[{network: resnet18, weights: w}]"),
            "study.networks: there is no file of weights 'w'",
        ),
        (
            ("baselines", "compare.yaml", "--set", "study.networks=[{network: evolved, weights: w}]"),
            "study.networks has evolved with the weights 'w'; what a search finds starts from random ones",
        ),
        (
            ("batchnorm", "tiny", "--set", "study.network=P | F4"),
            "study.network is 'P | F4', without a convolution",
        ),
        (
            ("batchnorm", "tiny", "--set", "study.kind=batch_norm"),
            'study.kind is "batch_norm"; expected baselines, abl',
        ),
        (
            ("ablation", "compare.yaml", "--set", "study={kind: ablation, arms: [eavl, dance]}"),
            'study.arms[1] is "dance"; expected vgg16_bn, random',
        ),
        (("baselines", "compare.yaml", "--seeds", "1,1"), "--seeds 1,1: 1 is there twice"),
        (("baselines", "compare.yaml", "--set", "study.seeds=[]"), "study.seeds holds 0 seeds"),
    ):
        assert told in refused(*arguments)
        assert "compare" not in study("status").out


def test_of_a_study_that_has_ended_nothing_else_is_taken(study, refused):
    study("run", "tiny.yaml")
    study("baselines", "compare.yaml")
    for arguments, told in (
        (
            ("results", "compare", "--top", "1"),
            "--top 1 is of one search's chromosomes, and 'compare' is a study",
        ),
        (
            ("results", "tiny", "--format", "markdown"),
            "--format markdown is of a study's table, and 'tiny' is none",
        ),
        (
            ("resume", "compare", "--generations", "5"),
            "--generations 5: 'compare' is a study, whose searches",
        ),
        (("batchnorm", "compare"), "'compare' is a study of 2 members; name one"),
        (
            ("baselines", "compare.yaml", "--set", "training.epochs=2"),
            "'compare' is a study of another configuration",
        ),
    ):
        assert told in refused(*arguments)


def test_a_search_that_has_not_finished_is_no_origin(study, refused, api):
    with api.giving(make_pool=lambda *_: FailingPool(CannotRunError("the disk is full"))):
        assert study("run", "tiny.yaml").status == 3
    told = refused("batchnorm", "tiny")
    assert told.endswith("study.network: 'tiny' is unfinished; `evosearch resume tiny` comes first")
    assert "tiny-batchnorm" not in study("status").out


class HandMadeFail(FormulaEvaluator):
    """Everything but hand-made networks is trained."""

    def handle(self, task, *more):
        if isinstance(task, TrainingTask) and str(task.network) == "resnet18":
            return Failure(FailureKind.DIVERGED, "the loss became infinite")
        return super().handle(task, *more)


def test_a_network_that_fails_has_a_row_that_says_why_and_the_last_lines_name_it(study, api):
    script_workers(api, HandMadeFail())
    ended = study("baselines", "compare.yaml")
    assert ended.status == 0, ended
    (row,) = [line for line in ended.out.splitlines() if line.startswith("resnet18 ")]
    assert row.split() == ["resnet18", "failed"]
    assert "resnet18: failed (seed 0): " in ended.out
    assert ended.told[-2] == "1 member of the study 'compare' failed:"
    assert ended.told[-1].startswith("  resnet18: failed (seed 0): ")
    assert study("results", "compare").status == 0


def test_a_study_of_which_no_arm_was_read_ends_with_5(study, api):
    script_workers(api, HandMadeFail())
    ended = study("baselines", "compare.yaml", "--set", "study.networks=[resnet18]")
    assert ended.status == 5
    assert ended.told[-1].endswith(
        "failed (compare/resnet18-seed-0), and no arm was read; the table says why"
    )
    assert "resnet18: failed (seed 0): " in ended.out
