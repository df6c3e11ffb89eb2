from evosearch.bench.simulation import Cluster, SimulatedPool
from evosearch.bench.steps import Steps, measure_steps, to_markdown
from evosearch.evaluation import TrainingSettings, TrainingTask
from evosearch.genome import parse
from evosearch.runtime import Ticket

TINY = Steps(slots=(4, 8), rounds=2, per_search=4, generations=2, at_once=2, evaluations=6, crowd=4, waves=3)


def test_each_number_of_slots_is_told_with_its_ratio_then_the_journal_and_the_crowd():
    told = []
    measures = measure_steps(TINY, told.append)
    assert [one.unit for one in measures] == ["ms", "ms", "times", "ms", "ms", "times", "ms", "%"]
    assert [one.at_most for one in measures] == [None, 1.0, 1.5, None, 1.0, 1.5, 1.0, None]
    assert all(len(one.rounds) == 2 for one in measures[:-1])
    assert all(min(one.rounds) > 0 for one in measures)
    assert 0 < measures[-1].value < 100
    assert "round 2 of 2" in told[3]
    assert to_markdown(measures).count("at least 95 %") == 1


def test_in_a_hurry_a_workers_time_goes_on_while_its_driver_does_something_else(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("evosearch.bench.simulation.time.perf_counter", lambda: clock[0])
    pool = SimulatedPool(Cluster(2, noise=0.0), lambda _: 10.0, hurried=True)
    pool.start()
    first, second = (event.worker for event in pool.poll(0.0))
    clock[0] += 3.0  # a driver that thinks, and gives out work then
    task = TrainingTask(parse("C8 P | F16"), TrainingSettings(), "data", 1)
    pool.submit(first, Ticket("search", 1, 0, 1), task)
    assert pool.begun == 3.0
    clock[0] += 1.0
    pool.submit(second, Ticket("search", 1, 1, 1), task)
    clock[0] += 20.0  # both have ended meanwhile
    assert [event.ticket.number for event in pool.poll(1.0)] == [0, 1]
    assert pool.now() == 24.0
