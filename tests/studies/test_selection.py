"""Populations whose answers are known: fitness is what a network is worth plus noise."""

from dataclasses import replace

import numpy as np
import pytest

from evosearch.reports import selection_lines, selection_parts
from evosearch.search import Origin
from evosearch.storage import GenerationRow, TestReading
from evosearch.studies import ArmSelection, against_random, arm_sentences, search_sentences, selection_figures
from evosearch.studies.selection import best_of_normal
from tests.reports.rows import DONE, SEARCH

SPACE = {"convolutions": [1, 2], "dense": [1, 1], "batch_norm": 0.5}


def searched(strategy="eavl", name="pets", **space):
    configuration = {
        "space": SPACE | space,
        "strategy": {"name": strategy, "fitness": "accuracy"},
        "training": {"epochs": 3},
    }
    return replace(SEARCH, name=name, configuration=configuration)


def born(number, generation, fitness, *, parents=(), chromosome="C8 P | F5", cached=False, operations=()):
    return replace(
        DONE,
        number=number,
        candidate=number,
        generation=generation,
        origin=Origin.CROSSOVER if parents else Origin.IMMIGRANT if generation else Origin.INITIAL,
        parents=tuple(parents),
        chromosome=chromosome,
        fitness=fitness,
        cached=cached,
        operations=tuple(operations),
    )


def generation(number, rows):
    fitness = tuple(row.fitness for row in rows)
    return GenerationRow(number, tuple(row.candidate for row in rows), None, None, None, fitness)


def readings(number, values, epochs=3):
    return [
        TestReading(
            f"{number}-{epochs}-seed-{seed}",
            number,
            epochs,
            seed,
            {"accuracy": 0.5, "validation_fitness": value},
            "w",
        )
        for seed, value in enumerate(values)
    ]


def bred(worth, noise, *, size=1200, seed=0, kept=0.5):
    """A generation whose better `kept` are parents, and its children, worth their parents' mean give or take as much as one
    differs from another; `worth`, `noise`: deviations.
    """
    rng = np.random.default_rng(seed)
    values = rng.normal(0.5, worth, size)
    fitness = values + rng.normal(0, noise, size)
    first = [born(number, 0, float(one)) for number, one in enumerate(fitness)]
    better = np.argsort(fitness)[-int(size * kept) :]
    pairs = rng.choice(better, (size, 2))
    heirs = values[pairs].mean(axis=1) + rng.normal(0, worth, size) + rng.normal(0, noise, size)
    second = [
        born(size + place, 1, float(one), parents=map(int, pair))
        for place, (pair, one) in enumerate(zip(pairs, heirs, strict=True))
    ]
    return first, second


def told(first, second, fresh=(), search=None):
    rows = [*first, *second]
    best = max(rows, key=lambda row: row.fitness)
    generations = [generation(0, first), generation(1, second)]
    return selection_figures(search or searched(), rows, generations, readings(best.candidate, fresh), best)


def test_heritability_and_response_are_those_that_the_population_was_made_with():
    figures = told(*bred(0.03, 0.03)).figures
    assert figures["slope"].value == pytest.approx(0.5, abs=0.12)  # worth² / (worth² + noise²)
    assert figures["heritability"].p < 0.001
    assert figures["by_rank"].value == pytest.approx(figures["heritability"].value, abs=0.1)
    # The breeder's equation: response is heritability times what was selected.
    assert figures["response"].value == pytest.approx(0.5 * figures["selected"].value, abs=0.06)
    assert figures["selected"].value == pytest.approx(
        0.798, abs=0.05
    )  # of the better half of a normal distribution
    assert figures["response"].p < 0.001
    assert figures["beats"].value > 0.55
    assert figures["heritability"].n == figures["response"].n == 1200
    sentence, *_ = search_sentences(told(*bred(0.03, 0.03)))
    assert sentence.startswith("Children are better than the population")
    assert "; they take after their parents" in sentence


def test_pure_noise_is_selected_and_gives_nothing():
    figures = told(*bred(0.0, 0.03), fresh=[0.5, 0.53, 0.47, 0.54, 0.46, 0.5]).figures
    assert figures["selected"].value > 0.7
    assert abs(figures["response"].value) < 0.1
    assert figures["beats"].value == pytest.approx(0.5, abs=0.03)
    assert min(figures[name].p for name in ("response", "beats", "heritability", "by_rank")) > 0.05
    assert figures["own"].value < 0.3
    assert figures["own"].interval[0] == 0.0
    sentence, *_ = search_sentences(told(*bred(0.0, 0.03)))
    assert sentence.startswith("Children are not measurably better or worse than")
    assert "do not measurably take after" in sentence


def test_a_population_that_gets_better_by_and_by_is_not_taken_for_inheritance():
    """Between generations children and parents rise together; within each they have nothing in common."""
    rng = np.random.default_rng(1)
    rows, generations = [], []
    for number in range(4):
        fitness = 0.2 * number + rng.normal(0, 0.01, 60)
        before = [row.candidate for row in rows[-60:]]
        parents = [rng.choice(before, 2) if before else () for _ in fitness]
        rows += [
            born(60 * number + slot, number, float(one), parents=map(int, pair))
            for slot, (one, pair) in enumerate(zip(fitness, parents, strict=True))
        ]
        generations.append(generation(number, rows[-60:]))
    found = selection_figures(searched(), rows, generations, [], rows[-1]).figures["heritability"]
    assert abs(found.value) < 0.2
    assert found.p > 0.05


def test_the_variance_of_networks_is_what_noise_leaves():
    first = [born(number, 0, value) for number, value in enumerate([0.3, 0.5, 0.7])]
    figures = told(first, [], fresh=[0.6, 0.7]).figures
    assert figures["noise"].value == pytest.approx(0.1 / 2**0.5)
    assert figures["spread"].value == pytest.approx(0.2)
    assert figures["own"].value == pytest.approx(1 - 0.005 / 0.04)
    assert figures["optimism"].value == pytest.approx(0.05)
    assert figures["luck"].value == pytest.approx(0.1 / 2**0.5 * 0.8463, rel=1e-3)  # of three draws
    low, high = figures["noise"].interval
    assert low < figures["noise"].value < 10 * low < high  # of two trainings hardly anything is known


def test_noise_above_the_spread_leaves_nothing():
    figures = told([born(n, 0, 0.5 + n / 1000) for n in range(3)], [], fresh=[0.2, 0.8]).figures
    assert figures["own"].value == 0.0


@pytest.mark.parametrize(("n", "expected"), [(1, 0.0), (2, 0.5642), (10, 1.5388), (100, 2.5076)])
def test_the_best_of_normal_draws_is_that_of_the_tables(n, expected):
    """Teichroew, Ann. Math. Stat. 27, 1956."""
    assert best_of_normal(n) == pytest.approx(expected, abs=1e-4)


def test_what_was_remembered_is_no_child_that_took_after_its_parents():
    first, second = bred(0.0, 0.03, size=40)
    copies = [born(100 + n, 1, first[n].fitness, parents=(n, n), cached=True) for n in range(40)]
    plain, copied = told(first, second), told(first, [*second, *copies])
    for name in ("response", "heritability", "beats"):
        assert copied.figures[name] == plain.figures[name]
    assert copied.figures["recalled"].value == pytest.approx(40 / 120)


def test_origins_say_who_became_an_elite_and_where_the_winner_came_from():
    first = [born(0, 0, 0.5, chromosome="C8 | F5"), born(1, 0, 0.6, chromosome="B8 P P | F5")]
    shrunk = {"kind": "shrunk", "start": 1, "length": 2, "reference": 1}
    second = [
        born(2, 1, 0.7, parents=(0, 1), operations=[shrunk]),
        born(3, 1, 0.4, parents=(1, 1)),
        born(4, 1, 0.3),
    ]
    third = [born(5, 2, 0.65, parents=(2, 2))]
    rows = [*first, *second, *third]
    generations = [
        generation(0, first),
        generation(1, [first[1], *second]),
        generation(2, [second[0], first[1], *third]),
    ]
    found = selection_figures(searched(), rows, generations, [], second[0])
    initial, immigrant, crossover, balanced = found.origins
    assert [one.origin for one in found.origins] == ["initial", "immigrant", "crossover", "balanced"]
    assert (initial.became_elite, initial.could, initial.places, initial.of_places) == (1, 2, 2, 3)
    assert (immigrant.became_elite, immigrant.could, immigrant.best) == (0, 1, 0.3)
    assert (crossover.number, crossover.became_elite, crossover.could) == (3, 1, 2)
    assert (balanced.number, balanced.became_elite, balanced.mean) == (1, 1, 0.7)
    assert (found.winner.origin, found.winner.generation, found.winner.before) == ("balanced", 1, 0.6)
    zero, one, two = found.generations
    assert (zero.distinct, zero.distance, zero.parents) == (2, 4.0, 2)
    assert zero.effective == pytest.approx(1 / (0.25**2 + 0.75**2))
    assert (one.members, one.parents, two.effective) == (4, 1, None)
    assert (
        "The winner is a balanced child, of generation 1, +0.1000 to the best before it."
        in search_sentences(found)
    )


def test_depth_is_that_of_random_networks_or_another():
    inside = [born(n, 0, 0.5 + n / 100, chromosome="C8 C8 P | F5") for n in range(5)]
    outside = [
        born(5 + n, 0, 0.8 + n / 100, chromosome=text)
        for n, text in enumerate(("C8 C8 C8 |", "C8 |", "C8 | F5 F5"))
    ]
    found = told([*inside, *outside], [])
    assert (found.figures["inside"].n, found.figures["outside"].n) == (5, 3)
    assert found.figures["depth"].value == pytest.approx(0.81 - 0.52)
    assert found.figures["depth"].p < 0.001
    assert "Networks of other depths than random ones have are better: +0.2900" in search_sentences(found)[-1]


def test_where_there_is_too_little_words_stand_in_place_of_numbers():
    found = told([born(0, 0, 0.5)], [born(1, 1, 0.6, parents=(0, 0))])
    for name in ("noise", "spread", "own", "optimism", "luck", "heritability", "depth", "immigrants_elite"):
        assert (found.figures[name].value, found.figures[name].p) == (None, None)
        assert found.figures[name].why
    assert "never trained afresh; `evosearch retrain pets --seeds 1..5`" in found.figures["noise"].why


def test_what_the_search_trained_again_tells_the_noise_where_the_winner_was_not_trained_afresh():
    first = [born(n, 0, 0.5 + n / 10) for n in range(3)]
    again = [
        replace(first[at], number=9 + place, repeat=repeat, fitness=fitness)
        for place, (at, repeat, fitness) in enumerate(((0, 1, 0.54), (2, 1, 0.76), (2, 2, 0.7)))
    ]
    generations = [generation(0, first)]
    found = selection_figures(searched(), [*first, *again], generations, [], first[2])
    noise = found.figures["noise"]
    squares = sum((one - 0.52) ** 2 for one in (0.5, 0.54)) + sum(
        (one - 0.72) ** 2 for one in (0.7, 0.76, 0.7)
    )
    assert (noise.value, noise.n) == (pytest.approx((squares / 3) ** 0.5), 5)
    assert not any("not known" in sentence for sentence in search_sentences(found))
    fresh = selection_figures(searched(), [*first, *again], generations, readings(2, [0.5, 0.9]), first[2])
    assert fresh.figures["noise"].n == 2


def test_no_brackets_are_left_empty_where_nothing_was_tested():
    found = told([born(0, 0, 0.5), born(1, 0, 0.7)], [born(2, 1, 0.6, parents=(0, 1))])
    first, *_ = search_sentences(found)
    assert first.startswith("Children are too few to be judged: response ")
    assert "()" not in first


def test_a_search_of_which_nothing_is_known_is_read_too():
    found = selection_figures(replace(SEARCH, configuration={"space": [1], "strategy": 7}), [], [], [], None)
    assert all(figure.value is None and figure.why for figure in found.figures.values())


def test_masks_say_that_nothing_here_is_of_them():
    rows = [
        replace(born(0, 0, None, chromosome="masks 01 11"), losses=(0.5, 0.4), loss=0.4),
        replace(born(1, 1, None, chromosome="masks 01 10", parents=(0, 0)), losses=(0.3,), loss=0.3),
    ]
    generations = [GenerationRow(number, (number,), None, None, None) for number in (0, 1)]
    found = selection_figures(searched("masks"), rows, generations, [], rows[1])
    masks = [ArmSelection.of("masks", [found])]
    assert selection_parts(masks, grouped=False) == []
    assert selection_lines(masks, grouped=False) == [
        "Not applicable: masks over one network go by their loss, and no figure here is of them.",
        "Nothing has a fitness.",
    ]


def arm(name, strategy, offset, *, spread=0.001, seeds=3, **space):
    found = []
    for seed in range(seeds):
        first, second = bred(0.03, 0.01, size=60, seed=seed)
        second = [] if strategy == "random" else second
        fresh = [offset + seed * spread, offset + seed * spread + 0.01]
        found.append(told(first, second, fresh, searched(strategy, f"{name}-{seed}", **space)))
    return ArmSelection.of(name, found)


def test_an_arm_has_means_with_intervals_over_its_searches():
    found = arm("eavl", "eavl", 0.9)
    values = [one.figures["response"].value for one in found.searches]
    mean = found.means["response"]
    assert mean.value == pytest.approx(np.mean(values))
    assert mean.deviation == pytest.approx(np.std(values, ddof=1))
    half = 4.302653 * mean.deviation / 3**0.5  # Student's t of two degrees of freedom
    assert mean.interval == pytest.approx((mean.value - half, mean.value + half), rel=1e-4)
    assert arm("eavl", "eavl", 0.9, seeds=2).means["response"].interval is None
    assert arm_sentences(arm("eavl", "eavl", 0.9, seeds=2))[0].startswith(
        "2 searches are too few to judge children"
    )


@pytest.mark.parametrize(
    ("offset", "words"), [(0.95, "better"), (0.85, "worse"), (0.9005, "not measurably better or worse")]
)
def test_an_evolution_is_held_against_random_search_by_fresh_trainings(offset, words):
    sentence, *others = against_random([arm("random", "random", 0.9), arm("eavl", "eavl", offset)])
    assert sentence.startswith(f"Trained afresh, winners of eavl are {words} than those of random")
    assert not others


def test_another_space_and_too_few_searches_are_told():
    arms = [arm("random", "random", 0.9, seeds=2, batch_norm=1), arm("eavl", "eavl", 0.9)]
    few, space = against_random(arms)
    assert few.startswith("Whether eavl beats random is not tested: 3 and 2 searches")
    assert space.startswith("random draws from another space than eavl (batch_norm 1, not 0.5)")


def test_noise_of_other_epochs_is_told_as_such():
    first, second = bred(0.03, 0.01, size=30)
    rows = [*first, *second]
    best = max(rows, key=lambda row: row.fitness)
    generations = [generation(0, first), generation(1, second)]
    found = selection_figures(
        searched(), rows, generations, readings(best.candidate, [0.5, 0.6], epochs=10), best
    )
    assert any(
        line.startswith("If 3 epochs are as noisy as the winner's 10, at most")
        for line in search_sentences(found)
    )
    alike = selection_figures(searched(), rows, generations, readings(best.candidate, [0.5, 0.6]), best)
    assert any(line.startswith("At most ") for line in search_sentences(alike))
