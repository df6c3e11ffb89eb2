import pickle
import time
import tracemalloc
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.evaluation import EpochRecord, Evaluator, Failure, FailureKind, PredictionTask, Success
from evosearch.genome import parse, parse_network
from evosearch.testing.evaluators import (
    EPOCH_SECONDS,
    ExitingEvaluator,
    FailingEvaluator,
    FormulaEvaluator,
    HangingEvaluator,
    LeakingEvaluator,
    RaisingEvaluator,
    Victims,
    WornEvaluator,
    formula_fitness,
    formula_worth,
)
from evosearch.testing.pool_contract import tiny_data, training_task

ALL = Victims(every=1)


@given(st.integers(1, 60), st.integers(0, 2**63 - 1))
def test_a_formula_fitness_lies_between_0_and_1(depth: int, seed: int) -> None:
    assert 0 <= formula_fitness(parse("C8 " * depth + "|"), seed) <= 1


def test_what_a_network_is_worth_by_the_formula_is_its_fitness_on_average() -> None:
    for text in ("C8 |", "C8 P C9 | F3", "C8 " * 25 + "|"):
        network = parse(text)
        fitness = [formula_fitness(network, seed) for seed in range(2000)]
        assert sum(fitness) / len(fitness) == pytest.approx(formula_worth(network), abs=0.005)
    assert formula_worth(parse_network("resnet18")) == 0.125


def test_a_formula_fitness_depends_on_network_and_seed_and_grows_with_depth() -> None:
    shallow, deep = parse("C8 |"), parse("C8 C8 C8 C8 C8 C8 C8 C8 | F8 F8")
    assert formula_fitness(shallow, 1) != formula_fitness(shallow, 2)
    assert formula_fitness(shallow, 1) != formula_fitness(parse("C9 |"), 1)
    assert formula_fitness(deep, 1) > formula_fitness(shallow, 1)


def test_a_formula_prediction_has_the_classes_of_the_data_and_rows_that_sum_to_1() -> None:
    evaluator = FormulaEvaluator()(tiny_data(), "cpu")
    asked = training_task()
    images = tiny_data().validation.images
    prediction = evaluator.handle(PredictionTask(asked.network, asked.settings, "tiny", "", images))
    assert prediction.probabilities.shape == (4, 2)
    assert prediction.probabilities.sum(1) == pytest.approx(1)


@pytest.mark.parametrize(
    "evaluator",
    [
        FormulaEvaluator(0.1),
        FailingEvaluator(ALL),
        RaisingEvaluator(ALL),
        ExitingEvaluator(ALL, signal=9),
        HangingEvaluator(ALL),
        LeakingEvaluator(mebibytes=1),
        WornEvaluator("it is worn out"),
    ],
)
def test_every_double_is_its_own_factory_and_can_be_sent_to_a_worker(evaluator: FormulaEvaluator) -> None:
    sent = pickle.loads(pickle.dumps(evaluator))
    made: Evaluator = sent(tiny_data(), "cpu")
    assert hasattr(made, "handle")


def test_victims_fail_with_the_kind_asked_for_and_others_succeed() -> None:
    evaluator = FailingEvaluator(Victims(frozenset({"C8 | F8"})), kind=FailureKind.TIMED_OUT)
    failure = evaluator.handle(training_task("C8 | F8"))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.TIMED_OUT
    assert isinstance(evaluator.handle(training_task("C9 | F8")), Success)


def test_every_nth_victim_is_about_one_in_n_and_the_same_each_time() -> None:
    networks = [parse(f"C{channels} | F8") for channels in range(1, 301)]
    struck = [network for network in networks if Victims(every=3).strike(network)]
    assert 60 < len(struck) < 140
    assert struck == [network for network in networks if Victims(every=3).strike(network)]


def test_a_chromosome_marked_in_a_folder_is_struck_once(tmp_path: Path) -> None:
    evaluator = RaisingEvaluator(Victims(every=1, once_in=str(tmp_path)), error=OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        evaluator.handle(training_task())
    assert isinstance(evaluator.handle(training_task()), Success)
    with pytest.raises(OSError, match="gone"):
        evaluator.handle(training_task("C9 | F8"))


def test_an_exiting_evaluator_without_a_signal_raises_system_exit() -> None:
    with pytest.raises(SystemExit, match="3"):
        ExitingEvaluator(ALL).handle(training_task())


class _Counted:
    """A `Progress` that counts."""

    def __init__(self) -> None:
        self.steps = 0
        self.epochs = 0

    def step(self) -> None:
        self.steps += 1

    def epoch(self, record: EpochRecord) -> None:
        self.epochs += 1


def test_a_formula_that_takes_time_makes_steps_and_epochs_and_takes_no_more() -> None:
    progress = _Counted()
    start = time.monotonic()
    FormulaEvaluator(2.5 * EPOCH_SECONDS).handle(training_task(), progress)
    assert time.monotonic() - start >= 2.5 * EPOCH_SECONDS
    assert 1 <= progress.epochs == progress.steps - 1 <= 2, "a slow machine may miss one"


def test_only_the_victims_of_a_hanging_evaluator_hang() -> None:
    evaluator = HangingEvaluator(Victims(frozenset({"C8 | F8"})))
    assert evaluator.handle(training_task("C9 | F8")) == FormulaEvaluator().handle(training_task("C9 | F8"))
    hanging = Thread(target=evaluator.handle, args=(training_task("C8 | F8"),), daemon=True)
    hanging.start()
    hanging.join(0.2)
    assert hanging.is_alive()


def test_a_leaking_evaluator_holds_more_after_each_evaluation_and_changes_no_fitness() -> None:
    evaluator = LeakingEvaluator(mebibytes=64)
    tracemalloc.start()  # not the process's memory, of which what earlier tests held may go meanwhile
    try:
        outcomes = [evaluator.handle(training_task()) for _ in range(2)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held >= 128 * 2**20
    assert outcomes == [FormulaEvaluator().handle(training_task())] * 2
