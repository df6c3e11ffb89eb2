import pytest

from evosearch.bench.busy import VARIANTS, bound, measure_busy_share, seeds
from evosearch.bench.simulation import Cluster, simulate
from evosearch.genome import parse
from evosearch.search import Candidate, Origin

NETWORK = parse("C8 P | F16")


def born(**by_number):
    return {
        ("s", int(name[1:])): Candidate(int(name[1:]), generation, NETWORK, origin)
        for name, (generation, origin) in by_number.items()
    }


def test_work_alone_bounds_a_search_of_one_generation():
    trained = {("s", number): 1.0 for number in range(4)}
    one = born(**{f"n{number}": (0, Origin.INITIAL) for number in range(4)})
    assert bound(trained, one, 2) == 1.0
    assert bound(trained, one, 8) == 0.5  # 4 slot-seconds of 8: the longest takes a second


def test_the_longest_child_of_each_generation_bounds_it_and_an_immigrant_does_not():
    trained = {("s", 0): 2.0, ("s", 1): 1.0, ("s", 2): 3.0, ("s", 3): 9.0}
    candidates = born(
        n0=(0, Origin.INITIAL), n1=(0, Origin.INITIAL), n2=(1, Origin.CROSSOVER), n3=(1, Origin.IMMIGRANT)
    )
    assert bound(trained, candidates, 10) == pytest.approx(1.5 / 5)


def test_the_slowest_search_bounds_a_group():
    trained = {("a", 0): 1.0, ("b", 0): 4.0}
    candidate = Candidate(0, 0, NETWORK, Origin.INITIAL)
    assert bound(trained, dict.fromkeys(trained, candidate), 2) == pytest.approx(2.5 / 4)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("slots", [3, 12])
def test_every_variant_trains_the_same_candidates_and_none_exceeds_the_bound(name, slots):
    plans = seeds(2, generations=3, population=12, elites=2)
    ours = simulate(plans, Cluster(slots), lambda chromosome: float(len(chromosome.head)))
    run = simulate(
        [VARIANTS[name](plan) for plan in plans],
        Cluster(slots),
        lambda chromosome: float(len(chromosome.head)),
    )
    assert run.trained == ours.trained
    assert run.busy_percent <= 100 * bound(run.trained, run.born, slots) + 1e-9


def test_longest_first_and_early_immigrants_each_save_time():
    """8 slots, 40 offspring: the case of the issue."""
    plans = seeds(1, generations=4)
    elapsed = {
        name: simulate(
            [variant(plan) for plan in plans], Cluster(8), lambda chromosome: 1.0 + len(chromosome.head) ** 2
        ).elapsed
        for name, variant in VARIANTS.items()
    }
    assert elapsed["evosearch"] < elapsed["first come, first served"] < elapsed["neither"]
    assert elapsed["evosearch"] < elapsed["no early immigrants"] < elapsed["neither"]


def test_what_was_promised_stands_in_the_table_with_its_bound_and_its_rivals():
    measures = measure_busy_share(generations=2)
    promised = {measure.what for measure in measures if measure.at_least is not None}
    assert promised == {
        f"slots busy, simulated: {case}, {images} images"
        for case in ("8 slots, 1 search", "40 slots, 4 seeds")
        for images in ("large", "small")
    }
    for what in promised:
        rows = {
            measure.contender: measure for measure in measures if measure.what == what and not measure.detail
        }
        assert list(rows) == [
            "evosearch",
            "first come, first served",
            "no early immigrants",
            "bound: no order can be better",
        ]
        assert all(0 < measure.value <= 100 for measure in rows.values())
