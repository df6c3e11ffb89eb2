from dataclasses import replace

import numpy as np
import pytest

from evosearch.studies.comparison import Arm
from evosearch.studies.comparison_table import ArmFacts, comparison_table, is_trained
from tests.studies.tables import STUDY, answering, small_table


@pytest.fixture(scope="module")
def table():
    return small_table()


def test_the_figures_of_a_row_by_hand(table):
    evolved, vgg, _ = table.rows
    assert evolved.figures.accuracy == pytest.approx(0.9)
    # both classes are answered wrongly alike often, so F1 and AUROC of certain answers are the accuracy
    assert evolved.f1 == pytest.approx(0.9)
    assert evolved.auroc == pytest.approx(0.9)
    assert (evolved.believed, evolved.validation) == (pytest.approx(0.95), pytest.approx(0.9))
    assert (vgg.believed, vgg.validation) == (None, None)
    assert vgg.figures.comparison.difference == pytest.approx(258 / 400 - 356 / 400)


def test_the_whole_table_is_described(table):
    assert (table.images, table.seeds, table.draws, table.constant) == (200, (0, 1, 2, 9), 500, 0.5)
    assert [row.figures.name for row in table.rows] == ["evolved", "vgg16_bn", "far"]
    assert table.facts is STUDY


def test_what_was_not_trained_or_not_paired_is_noted(table):
    assert [row.notes for row in table.rows] == [
        (
            "deeper than any initial one",
            "not trained: the training loss did not fall by a tenth (seed 1)",
        ),
        ("compared without seed 2, which only one of both has",),
        ("not compared: no seed in common with evolved",),
    ]


def test_a_network_that_answers_one_class_only_is_noted_after_one_epoch_too():
    labels = np.arange(8) % 2
    predicted = np.stack([np.zeros(8, np.int64), 1 - labels, np.ones(8, np.int64)])
    arm = Arm("a", (0, 1, 4), labels, predicted)
    facts = {"a": ArmFacts(losses=((0.7,),) * 3)}
    (row,) = comparison_table([arm], "a", 0, STUDY, facts, draws=20).rows
    assert row.notes == ("answers one class only (seeds 0, 4)",)
    (row,) = comparison_table([replace(arm, labels=np.zeros(8, np.int64))], "a", 0, STUDY, draws=20).rows
    assert row.notes == (), "where all images are of one class there is no other to answer"


def notes_of(networks, rates=()):
    """Of an arm with `networks` against one with A, B, C from seeds 0, 1, 2."""
    arms = [answering("first", (80, 82, 84), (0, 1, 2)), answering("second", (70, 75), (1, 2))]
    facts = {
        "first": ArmFacts(networks=("A", "B", "C"), rates=(0.5,) * 3 if rates else ()),
        "second": ArmFacts(networks=networks, rates=rates),
    }
    return comparison_table(arms, "first", 0, STUDY, facts, draws=20).rows[1].notes[1:]


@pytest.mark.parametrize(
    ("networks", "rates", "notes"),
    [
        (("B", "C"), (), ("the same networks as first",)),
        (("B", "C"), (0.5, 0.5), ("the same networks as first",)),
        (("B", "C"), (0.5, 0.1), ()),
        (("B", "A"), (), ()),
        ((None, None), (), ()),
        ((), (), ()),
    ],
)
def test_an_arm_that_has_the_networks_of_its_reference_says_so(networks, rates, notes):
    assert notes_of(networks, rates) == notes


def repeated(**rates):
    """The notes of arms of one network from two seeds, by their rates; each is held against the first."""
    arms = [answering(name, (80, 82), (0, 1)) for name in rates]
    facts = {name: ArmFacts(networks=("A", "A"), rates=own) for name, own in rates.items()}
    table = comparison_table(arms, next(iter(rates)), 0, STUDY, facts, draws=20)
    return [row.notes for row in table.rows]


def test_of_arms_that_differ_by_their_dropout_each_says_which_one_above_it_repeats():
    notes = repeated(ga=(0.2, 0.3), fixed=(0.5, 0.5), grid=(0.5, 0.5), none=(0.0, 0.5))
    assert notes == [(), (), ("the same networks as fixed",), ()]
    assert repeated(ga=(), fixed=(), grid=())[1:] == [("the same networks as ga",)] * 2


@pytest.mark.parametrize(
    ("losses", "trained"),
    [
        ((1.0, 0.9), True),
        ((1.0, 0.901), False),
        ((1.0, 0.2, 1.0), False),
        ((1.0, float("nan")), False),
        ((1.0,), True),
        ((), True),
    ],
)
def test_a_loss_that_did_not_fall_by_a_tenth_was_not_trained(losses, trained):
    assert is_trained(losses) is trained


def test_probabilities_of_16_bits_of_many_classes_have_an_auroc():
    rng = np.random.default_rng(0)
    logits = rng.random((1, 300, 9)) * 4
    probabilities = (np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)).astype(np.float16)
    labels = np.arange(300) % 9
    arm = Arm("a", (0,), labels, probabilities.argmax(axis=2), probabilities)
    (row,) = comparison_table([arm], "a", 0, replace(STUDY, classes=tuple("abcdefghi")), draws=20).rows
    assert 0.4 < row.auroc < 0.6


def test_a_class_without_test_images_leaves_the_auroc_unknown():
    arm = Arm("a", (0,), np.zeros(4, np.int64), np.zeros((1, 4), np.int64), np.full((1, 4, 2), 0.5))
    (row,) = comparison_table([arm], "a", 0, STUDY, draws=20).rows
    assert row.auroc is None


def test_without_probabilities_the_auroc_is_unknown_and_f1_is_not():
    arm = answering("a", (90,), (0,), images=100)
    (row,) = comparison_table([Arm("a", (0,), arm.labels, arm.predicted)], "a", 0, STUDY, draws=20).rows
    assert (row.auroc, row.f1) == (None, pytest.approx(0.9))


def test_facts_that_do_not_fit_the_seeds_are_refused():
    with pytest.raises(ValueError, match=r"facts of 'vgg16_bn' hold 3 values for 2 seeds"):
        small_table(facts={"vgg16_bn": ArmFacts(depth=(1, 2, 3))})
    with pytest.raises(ValueError, match=r"facts of 'other' hold 1 values for None seeds"):
        small_table(facts={"other": ArmFacts(depth=(1,))})
