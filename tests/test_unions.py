"""What is added to a union or an enumeration is found in every place that must know it.

Types find most of them: each `match` is exhaustive (mypy), unless it says `case _`. Two kinds of places they do not reach:
what reads text, tried here with an example of each member; and what asks for one member alone, which is listed here.
"""

import ast
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import evosearch
import workers
from evosearch.blueprint import Layer
from evosearch.data import SOURCES
from evosearch.evaluation import (
    Candidate,
    FailureKind,
    FeaturesOf,
    HandMade,
    Masks,
    Origin,
    Result,
    Subject,
    Task,
    parse_subject,
)
from evosearch.genome import (
    Chromosome,
    Conv,
    Dense,
    HeadGene,
    Network,
    Operation,
    Pool,
    Pretrained,
    SearchSpace,
    TailGene,
    from_json,
    network_from_json,
    network_to_json,
    parse,
    parse_network,
    sample,
    to_json,
)
from evosearch.runtime.machine.step import Command, DriverEvent
from evosearch.search import STRATEGIES
from evosearch.storage import Born, Event
from evosearch.storage.journal.codec import decode, encode


def members(union: Any) -> set[type]:
    """Its classes; a union of one is that one."""
    return set(get_args(union) or (union,))


HEAD_GENES: list[HeadGene] = [Conv(8), Conv(9, batch_norm=True), Pool()]
TAIL_GENES: list[TailGene] = [Dense(7)]
NETWORKS: list[Network] = [
    Chromosome(tuple(HEAD_GENES), tuple(TAIL_GENES)),
    Pretrained(Chromosome(tuple(HEAD_GENES), ()), "0" * 64),
    HandMade("resnet18"),
    HandMade("vgg16_bn", "0" * 64),
]
SUBJECTS: list[Subject] = [
    *NETWORKS,
    *(FeaturesOf(network) for network in NETWORKS[:1]),
    Masks(("0110", "1111")),
    Masks(("01",), "0" * 64),
]


@pytest.mark.parametrize(
    ("union", "examples"),
    [(HeadGene, HEAD_GENES), (TailGene, TAIL_GENES), (Network, NETWORKS), (Subject, SUBJECTS)],
)
def test_each_member_has_an_example_here(union: Any, examples: list[Any]) -> None:
    assert {type(one) for one in examples} == members(union)


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_a_network_of_each_kind_reads_back_from_its_text_and_its_json(network: Network) -> None:
    assert parse_network(str(network)) == network
    assert network_from_json(json.loads(json.dumps(network_to_json(network)))) == network


def test_a_gene_of_each_kind_reads_back_from_its_text_and_its_json() -> None:
    chromosome = Chromosome(tuple(HEAD_GENES), tuple(TAIL_GENES))
    assert parse(str(chromosome)) == chromosome
    assert from_json(json.loads(json.dumps(to_json(chromosome)))) == chromosome


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_a_subject_of_each_kind_reads_back_from_its_text_and_from_a_journal(subject: Subject) -> None:
    assert parse_subject(str(subject)) == subject
    born = Born(Candidate(0, 0, subject, Origin.INITIAL), None, None)
    assert decode(*encode(born)) == born


def test_subjects_and_genes_of_different_kinds_have_different_texts() -> None:
    for examples in (SUBJECTS, [*HEAD_GENES, *TAIL_GENES]):
        assert len({str(one) for one in examples}) == len(examples)


def test_a_gene_of_each_kind_is_drawn() -> None:
    rng = np.random.default_rng(0)
    drawn = [sample(SearchSpace(), rng) for _ in range(50)]
    assert {type(gene) for one in drawn for gene in one.head} == members(HeadGene)
    assert {type(gene) for one in drawn for gene in one.tail} == members(TailGene)


UNIONS = (
    HeadGene,
    TailGene,
    Subject,
    Operation,
    Layer,
    Event,
    Task,
    Result,
    DriverEvent,
    Command,
)
REGISTERED = {one.__name__ for registry in (SOURCES, STRATEGIES) for one in registry.ours.values()}
NAMES = {one.__name__ for union in UNIONS for one in members(union)} | REGISTERED | {FailureKind.__name__}
PACKAGES = [Path(package.__file__).parent for package in (evosearch, workers) if package.__file__]

ASKED_FOR_ALONE = {
    # sources: the one that is made of others
    "evosearch/config/model.py AnyPart.__get_pydantic_core_schema__": {"UnionSettings"},
    "evosearch/config/model.py Registered.__get_pydantic_core_schema__": {"UnionSettings"},
    "evosearch/config/parts.py with_beside": {"UnionSettings"},
    "evosearch/data/union.py UnionSettings._check_part": {"UnionSettings"},
    "evosearch/data/union.py sources_in": {"UnionSettings"},
    # genes: words of the papers' rules, which speak of these
    "evosearch/blueprint/feasibility.py _drop_last_poolings": {"Pool"},
    "evosearch/genome/chromosome.py Chromosome.convolutions": {"Conv"},
    "evosearch/genome/chromosome.py Chromosome.poolings": {"Pool"},
    # what is no chromosome is refused
    "evosearch/evaluation/trial.py Candidate.chromosome": {"Chromosome"},
    "workers/benchmarks/sleepers.py SleepingEvaluator.handle": {"Chromosome", "TrainingTask"},
    # only trainings are timed
    "evosearch/checking.py _measured": {"TrainingTask"},
    "workers/measuring.py time_trainings": {"TaskDone", "Success", "WorkerJoined", "WorkerLeft"},
    # a failure, and whatever is none
    "evosearch/runtime/faults/breaker.py with_pool": {"Failure", "FailureKind"},
    "evosearch/runtime/machine/fold.py _closed": {"Failure", "FailureKind"},
    "evosearch/training/trainer.py probe": {"Failure"},
    "evosearch/training/trainer.py StepTimer.handle": {"TrainingTask"},
    "workers/worker/service.py Service._worn": {"Failure"},
    # only a network that was trained leaves weights; what is predicted wears nobody out
    "evosearch/runtime/machine/consequences.py _came_to": {"Success"},
    "evosearch/runtime/machine/fold.py _with_trial": {"Success"},
    "evosearch/runtime/driver.py _Loop._execute": {"Stopped", "Completed", "PredictionTask"},
    "workers/worker/service.py Service.run": {"Prediction"},
    # an event that alone has what is wanted of it: a term, a text, a curve, a worker that comes or goes
    "evosearch/storage/journal/journal.py Journal.restore": {"DriverStarted"},
    # readings alone have answers to images
    "evosearch/storage/journal/journal.py Journal.test_predictions": {"TestRead"},
    "evosearch/storage/journal/readers.py test_read_payloads": {"TestRead"},
    "evosearch/storage/backups/publishing.py _predictions": {"TestRead"},
    "evosearch/storage/holding/logbook.py JournalLogbook._in_few_bytes": {"TestRead"},
    "evosearch/cli/tally.py Tally.see": {"Finished"},
    "evosearch/runtime/driver.py _Loop._tell_who_is_there": {"WorkerJoined", "WorkerLeft"},
    "evosearch/cli/progress.py Display.observe": {"Failed", "TestReadingFailed"},
    "evosearch/runtime/driver.py _Loop._hear": {"PoolChanged", "WorkerJoined"},
    "evosearch/runtime/driver.py _Loop._devices_suffice": {"WorkerJoined", "WorkerLeft"},
    "evosearch/runtime/faults/stalls.py LiveTrainings.heard": {"WorkerProgressed"},
    "workers/ray_pool/pool.py _worth_telling": {"WorkerProgressed"},
    "evosearch/runtime/driver.py _barren_beginning": {"GenerationStarted", "Stopped"},
    "evosearch/runtime/machine/fold.py bred_again": {"Born", "GenerationStarted"},
    # a kind of failure that one rule is about
    "evosearch/runtime/machine/fold.py all_diverged": {"FailureKind"},
    "evosearch/runtime/machine/consequences.py _reason_to_stop": {"FailureKind"},
    "evosearch/runtime/scheduling/survey.py demand_of": {"FailureKind"},
    # what ends on a GPU at the same moment
    "evosearch/runtime/faults/breaker.py claims": {"FailureKind", "TaskDone", "WorkerLeft"},
    "evosearch/runtime/machine/fold.py _reopened": {"FailureKind"},
    "workers/worker/classify.py poisons_process": {"FailureKind"},
    "workers/ray_pool/supervisor.py ActorSupervisor.bury": {"FailureKind"},
    "workers/ray_pool/failures.py judge": {"FailureKind"},
    # one kind of event that a reader looks for
    "evosearch/storage/journal/journal.py Journal.processors": {"ProcessorSeen"},
    "evosearch/storage/journal/readers.py processor_payloads": {"ProcessorSeen"},
    # what is decided once, for all of a group
    "evosearch/storage/journal/journal.py Journal.append": {"PrecisionResolved"},
    "evosearch/runtime/driver.py _Loop._tell_precision": {"PrecisionResolved"},
    # masks alone are never recalled, and are trained by the chance of their features; of features alone the images are few
    "evosearch/runtime/machine/plan.py Plan.key": {"Masks"},
    "evosearch/runtime/machine/plan.py Plan.seed": {"Masks"},
    "evosearch/runtime/machine/plan.py Plan._part": {"FeaturesOf"},
    # a generation of masks comes to losses, or fails
    "evosearch/search/masks.py _told": {"Failure", "Losses"},
    "evosearch/search/masks.py _score": {"FailureKind"},
    # a retraining is a list
    "evosearch/session.py SearchSession._reader": {"FixedListSettings"},
    "evosearch/studies/retraining.py trained_as": {"FixedListSettings"},
    "evosearch/studies/retraining.py repeats_of_readings": {"FixedListSettings"},
    "evosearch/config/model.py RunConfig.objections": {"FixedListSettings"},
    "evosearch/config/journaled.py agreeing": {"FixedListSettings"},
    "evosearch/beginning.py _merged": {"FixedListSettings"},
    "evosearch/session.py SearchSession._has_curve": {"FixedListSettings"},
    "evosearch/study.py arm_key": {"FixedListSettings"},
    "evosearch/studying.py check_study": {"FixedListSettings"},
    "evosearch/studying.py _lists_begun": {"FixedListSettings"},
    "evosearch/studying.py _networks_begun": {"FixedListSettings"},
    "evosearch/studies/steps.py budgets_of": {"FixedListSettings"},
    "evosearch/study.py Study._spent": {"Masks"},
    "evosearch/listed.py begun_with": {"FixedListSettings"},
    "evosearch/listed.py prepared": {"FixedListSettings"},
    "evosearch/listed.py sized": {"FixedListSettings"},
    "evosearch/listed.py resolved": {"FixedListSettings"},
    "evosearch/retraining.py _child": {"FixedListSettings"},
    "evosearch/config/model.py RunConfig._against_contenders": {"FixedListSettings"},
    "evosearch/retraining.py _trained_by": {"FixedListSettings"},
    # a study that is about one kind of network or search, and refuses the others, or has nothing to say of them
    "evosearch/studies/settings.py BatchNormStudy.objections": {"Chromosome"},
    "evosearch/studies/selection.py _chromosome": {"Chromosome"},
    "evosearch/studies/steps.py _evolution": {"EavlSettings"},
    "evosearch/studies/steps.py _variants": {"Pretrained", "Chromosome"},
    "evosearch/studies/steps.py with_batch_norm.gene": {"Conv"},
    # the best mask is of masks
    "evosearch/reports/masks.py found_mask": {"Masks"},
    # a text form of its own beside that of the union it belongs to
    "evosearch/storage/journal/codec.py ": {"Chromosome"},
}
"""Where members are asked for by name and all others are rightly nothing. What must be known everywhere is asked by an
exhaustive `match`, or stands in a function that has one: `freed`, `policy_of`, `network_of`, `score_of`.
"""


class Asking(ast.NodeVisitor):
    """Finds where code asks for some members of a union and lets all others pass: the members, by function."""

    def __init__(self, file: str) -> None:
        self.found = defaultdict[str, set[str]](set)
        self._place = [file]

    def visit(self, node: ast.AST) -> None:
        """Into classes and functions by their names."""
        named = isinstance(node, ast.ClassDef | ast.FunctionDef)
        self._place += [node.name] if named else []
        super().visit(node)
        if named:
            self._place.pop()

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in {"isinstance", "issubclass"}:
            self._note(node.args[1])
        self.generic_visit(node)

    def visit_Match(self, node: ast.Match) -> None:
        if any(_takes_all(one) for one in node.cases):
            self._note(*(one.pattern for one in node.cases))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        self._note(*node.comparators, node.left)
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        self._note(*filter(None, node.keys))
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        self._note(*node.elts)
        self.generic_visit(node)

    def _note(self, *asked: ast.AST) -> None:
        names = {one.id for node in asked for one in ast.walk(node) if isinstance(one, ast.Name)}
        if names & NAMES:
            file, *function = self._place
            self.found[f"{file} {'.'.join(function)}"] |= names & NAMES


def _takes_all(one: ast.match_case) -> bool:
    """Whether it is a `case _` that does more than tell the type checker that it is never reached."""
    whole = isinstance(one.pattern, ast.MatchAs) and one.pattern.pattern is None
    return whole and not ast.unparse(one.body[0]).startswith("assert_never(")


def asked_for_alone() -> Iterator[tuple[str, set[str]]]:
    """Of all code but benchmarks and tests to inherit, which know what they have put in."""
    for package in PACKAGES:
        for file in package.rglob("*.py"):
            name = file.relative_to(package.parent).as_posix()
            if not name.startswith(("evosearch/bench/", "evosearch/testing/")):
                asking = Asking(name)
                asking.visit(ast.parse(file.read_text()))
                yield from asking.found.items()


def test_members_of_unions_are_told_apart_where_the_type_checker_sees_it() -> None:
    assert dict(asked_for_alone()) == ASKED_FOR_ALONE


def test_nothing_chooses_by_type_at_run_time() -> None:
    files = [file for package in PACKAGES for file in package.rglob("*.py")]
    assert not [file for file in files if "singledispatch" in file.read_text()]
    assert len(files) > 100
