import pytest

from evosearch.bench.busy import seeds
from evosearch.bench.simulation import Cluster, SimulatedPool, simulate
from evosearch.evaluation import FailureKind, PredictionTask, TrainingSettings, TrainingTask
from evosearch.genome import parse
from evosearch.runtime import TaskDone, Ticket, WorkerJoined, WorkerLeft
from evosearch.testing import FormulaEvaluator

NETWORK = parse("C8 P | F16")
EXACT = Cluster(nodes=2, noise=0.0)
FOREVER = 1e9


def training_task():
    return TrainingTask(NETWORK, TrainingSettings(), "data", 1)


def ticket(number=0, attempt=1):
    return Ticket("search", 1, number, attempt)


def started(cluster=EXACT, seconds=10.0):
    pool = SimulatedPool(cluster, lambda _: seconds)
    pool.start()
    return pool, [event.worker for event in pool.poll(0.0)]


def by_seed(seed, **changes):
    plans = seeds(2, generations=2, population=8, elites=2)
    cluster = Cluster(**{"nodes": 3, "per_node": 2, "life": 8.0, "repair": 1.0, **changes})
    return simulate(plans, cluster, lambda chromosome: 1.0 + len(chromosome.head) / 10, seed)


def facts(run):
    return run.elapsed, run.busy, run.wasted, run.lost, run.trained, run.born


def test_every_worker_is_announced_once_under_a_name_of_its_own():
    pool, workers = started(Cluster(nodes=2, per_node=3))
    assert len({worker.name for worker in workers}) == len({worker.device for worker in workers}) == 6
    assert len({worker.node for worker in workers}) == 2
    assert pool.poll(FOREVER) == []


def test_a_task_ends_when_its_time_has_passed_and_not_before():
    pool, (worker, _) = started()
    pool.submit(worker, ticket(), training_task())
    assert pool.poll(9.9) == []
    assert pool.now() == pytest.approx(9.9)
    (done,) = pool.poll(1.0)
    assert done == TaskDone(worker, ticket(), done.result)
    assert (pool.now(), pool.busy, done.result.seconds) == (10.0, 10.0, 10.0)
    assert done.result.fitness == FormulaEvaluator().handle(training_task()).fitness
    assert pool.poll(FOREVER) == []


def test_what_happens_at_one_moment_is_told_at_once():
    pool, workers = started()
    for number, worker in enumerate(workers):
        pool.submit(worker, ticket(number), training_task())
    assert [event.ticket.number for event in pool.poll(FOREVER)] == [0, 1]


def test_a_stopped_worker_leaves_with_its_task_and_another_one_takes_its_place():
    pool, (worker, _) = started()
    pool.submit(worker, ticket(), training_task())
    pool.poll(4.0)
    pool.stop(worker, FailureKind.TIMED_OUT, "too long")
    left, heir = pool.poll(0.0)
    assert left == WorkerLeft(worker, FailureKind.TIMED_OUT, "too long")
    assert isinstance(heir, WorkerJoined)
    assert heir.worker.device == worker.device
    assert heir.worker.name != worker.name
    assert pool.poll(FOREVER) == []
    assert (pool.busy, pool.wasted, pool.lost) == (0.0, 4.0, 1)


def test_a_task_for_a_worker_that_has_left_is_ignored():
    pool, (worker, _) = started()
    pool.stop(worker, FailureKind.WORKER_LOST, "gone")
    pool.submit(worker, ticket(), training_task())
    assert not any(isinstance(event, TaskDone) for event in [*pool.poll(0.0), *pool.poll(FOREVER)])


def test_an_excluded_node_ends_its_task_and_gets_no_other_worker():
    pool, (worker, other) = started()
    pool.submit(worker, ticket(), training_task())
    pool.exclude(worker.node)
    (done,) = pool.poll(FOREVER)
    assert done.leaves
    pool.submit(worker, ticket(1), training_task())
    assert pool.poll(FOREVER) == []
    pool.submit(other, ticket(1), training_task())
    assert len(pool.poll(FOREVER)) == 1


def test_idle_workers_of_an_excluded_node_are_gone():
    pool, (worker, _) = started()
    pool.exclude(worker.node)
    pool.submit(worker, ticket(), training_task())
    assert pool.poll(FOREVER) == []


def test_a_lost_node_takes_all_its_workers_and_their_tasks_and_another_one_follows():
    pool, workers = started(Cluster(nodes=1, per_node=2, life=1.0, repair=5.0), seconds=1e6)
    for number, worker in enumerate(workers):
        pool.submit(worker, ticket(number), training_task())
    left = pool.poll(FOREVER)
    assert [event.worker for event in left] == workers
    assert {(event.kind, event.node_lost) for event in left} == {(FailureKind.WORKER_LOST, True)}
    at = pool.now()
    joined = pool.poll(FOREVER)
    assert pool.now() == at + 5.0
    assert len(joined) == 2
    assert not {event.worker.node for event in joined} & {worker.node for worker in workers}


def test_nothing_happens_in_a_closed_pool():
    pool, (worker, _) = started()
    pool.submit(worker, ticket(), training_task())
    pool.close()
    pool.close()
    assert pool.poll(FOREVER) == []


def test_a_prediction_is_refused():
    pool, (worker, _) = started()
    task = PredictionTask(NETWORK, TrainingSettings(), "data", "weights", None)
    with pytest.raises(TypeError, match="trains chromosomes only"):
        pool.submit(worker, ticket(), task)


def test_equal_seeds_give_equal_runs_and_others_do_not():
    assert facts(by_seed(1)) == facts(by_seed(1))
    assert facts(by_seed(1)) != facts(by_seed(2))


def test_an_evaluation_takes_the_same_time_on_any_cluster():
    assert by_seed(1, life=None).trained == by_seed(1, life=None, nodes=7).trained


def test_nodes_are_lost_and_the_searches_end_as_they_would_have():
    """The fitness of every candidate, and so every generation, is the same."""
    undisturbed, disturbed = by_seed(1, life=None), by_seed(1)
    assert disturbed.lost > 0
    assert disturbed.wasted > 0
    assert undisturbed.born == disturbed.born
    assert undisturbed.trained.keys() == disturbed.trained.keys()


def test_the_busy_share_is_that_of_useful_slot_seconds():
    """Four trainings of 1 s on three slots: 4 of 6 slot-seconds."""
    (plan,) = seeds(1, generations=1, population=4, elites=1)
    run = simulate([plan], Cluster(3, noise=0.0), lambda _: 1.0)
    assert (run.elapsed, run.busy) == (2.0, 4.0)
    assert run.busy_percent == pytest.approx(100 * 4 / 6)
