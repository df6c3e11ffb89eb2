from concurrent.futures import ThreadPoolExecutor

import pytest

from evosearch.evaluation import PredictionTask, Success, TrainingSettings, TrainingTask
from evosearch.genome import parse
from workers.benchmarks.sleepers import Nap, SleepingEvaluator, Slept, read_notes, take_nap

NETWORK = parse("C8 P | F16")


def test_a_nap_leaves_a_note_of_when_and_how_long(tmp_path):
    take_nap(Nap(0.01), str(tmp_path))
    take_nap(Nap(0.0), str(tmp_path))
    first, second = read_notes(str(tmp_path))
    assert first.seconds == 0.01
    assert first.begin + 0.01 <= first.end <= second.begin <= second.end


def test_a_nap_that_is_cut_short_has_no_end(tmp_path):
    (tmp_path / "7").write_text("began 3.5 600\n")
    (tmp_path / "8").write_text("began 1.5 1\nended 2.5\n")
    assert read_notes(str(tmp_path)) == [Slept(8, 1.5, 1.0, 2.5), Slept(7, 3.5, 600.0)]


def test_a_gate_opens_when_all_have_come_and_is_no_nap(tmp_path, monkeypatch):
    pids = iter(range(1, 4))
    monkeypatch.setattr("workers.benchmarks.sleepers.os.getpid", lambda: next(pids))
    with ThreadPoolExecutor(3) as pool:
        for waiting in [pool.submit(take_nap, Nap(0.0, gate=3), str(tmp_path)) for _ in range(3)]:
            waiting.result(30)
    assert read_notes(str(tmp_path)) == []


def test_a_gate_to_which_too_few_come_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("workers.benchmarks.sleepers.GATE_SECONDS", 0.0)
    with pytest.raises(TimeoutError, match="2 processes were to run at once"):
        take_nap(Nap(0.0, gate=2), str(tmp_path))


def test_a_sleeper_evaluates_by_content_key_and_predicts_nothing(tmp_path):
    sleeper = SleepingEvaluator({NETWORK: 0.01}.__getitem__, str(tmp_path))
    evaluator = sleeper(None, "cpu")
    task = TrainingTask(NETWORK, TrainingSettings(), "data", 1)
    assert evaluator.handle(task) == Success(0.5, 0.01)
    assert [nap.seconds for nap in read_notes(str(tmp_path))] == [0.01]
    with pytest.raises(NotImplementedError):
        evaluator.handle(PredictionTask(NETWORK, TrainingSettings(), "data", "weights", None))
