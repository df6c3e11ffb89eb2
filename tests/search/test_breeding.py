"""Offspring worked out by hand from the EAVL-COVID paper; parents' chances are chosen so that
chance leaves one outcome, or every outcome is checked."""

import numpy as np
import pytest

from evosearch.blueprint import ImageShape, Problem, blueprint_of
from evosearch.evaluation import FailureKind, TrainingSettings
from evosearch.genome import Conv, ConvolutionGiven, PoolingsDropped, Replaced, SearchSpace, parse
from evosearch.search import (
    Candidate,
    Origin,
    Score,
    SearchContext,
    SearchState,
    cross_tails,
    parent_probabilities,
    shrink,
)
from evosearch.search.breeding import Breeding, Child, breed

Rows = dict[int, tuple[str, float | None]]


def context(side: int = 32, max_parameters: int = 10**9, seed: int = 7, **space) -> SearchContext:
    space = SearchSpace(max_parameters=max_parameters, **space)
    return SearchContext(space, Problem(ImageShape(1, side, side), 2), TrainingSettings(), seed)


def breeding(
    allowed: SearchContext | None = None, probability: float = 0.0, phi: int = 1, seed: int = 7
) -> Breeding:
    """Copies by default, and a phi of 1: neither growth nor shrinking up to the best's length."""
    return Breeding(probability, phi, 1.0, allowed or context(seed=seed))


def scored(rows: Rows, best: tuple[str, float] | None = None) -> SearchState:
    """A complete generation from {number: (chromosome, fitness or None for a failure)}."""
    members = tuple(Candidate(n, 1, parse(text), Origin.INITIAL) for n, (text, _) in rows.items())
    failed = Score(failure=FailureKind.DIVERGED)
    scores = {n: failed if value is None else Score(fitness=value) for n, (_, value) in rows.items()}
    earlier = best and (Candidate(0, 0, parse(best[0]), Origin.INITIAL), best[1])
    return SearchState(1, members, scores, earlier)


def texts(children: tuple[Child, ...]) -> list[str]:
    return [str(child.chromosome) for child in children]


def test_with_probability_0_children_are_copies_of_the_only_individual_with_a_chance():
    state = scored({3: ("C1 C2 P | F9", 0.9), 5: ("C3 C4 | F8", 0.1)})
    children = breed(state, 4, breeding())
    assert texts(children) == ["C1 C2 P | F9"] * 4
    assert [child.parents for child in children] == [(3, 3)] * 4


def test_both_children_of_each_pair_are_kept_and_an_odd_count_drops_the_last_ones_second():
    state = scored({3: ("C1 C2 | F9", 0.9), 5: ("C3 C4 | F8", 0.7), 6: ("C5 C6 | F8", 0.1)})
    six, five = breed(state, 6, breeding(probability=1)), breed(state, 5, breeding(probability=1))
    assert five == six[:5]
    assert [child.parents for child in six[::2]] == [child.parents for child in six[1::2]]
    assert breed(state, 0, breeding()) == ()


def test_children_of_a_pair_are_its_crossed_heads_and_tails():
    """Heads of two genes can only be cut in the middle: each child is known from its parents."""
    rows: Rows = {3: ("C1 C2 | F1 F2", 0.9), 5: ("C3 C4 | F3", 0.8), 6: ("C5 C6 |", 0.1)}
    children = breed(scored(rows), 40, breeding(probability=1))
    parents = {n: parse(text) for n, (text, _) in rows.items()}
    pairs = set()
    for first, second in zip(children[::2], children[1::2], strict=True):
        a, b = (parents[number] for number in first.parents)
        assert first.chromosome.head == (b.head[0], a.head[1])
        assert second.chromosome.head == (a.head[0], b.head[1])
        assert (first.chromosome.tail, second.chromosome.tail) == cross_tails(a.tail, b.tail)
        pairs.add(first.parents)
    assert pairs == {(3, 3), (3, 5), (5, 3), (5, 5)}


def test_parents_are_drawn_with_the_chances_of_selection():
    """Chances 0, .2, .8: of 4,000 parents 3,200 are number 9, with a deviation of 25."""
    rows: Rows = {4: ("C1 C2 |", 0.5), 7: ("C3 C4 |", 0.7), 9: ("C5 C6 |", 0.9), 11: ("C7 C8 |", None)}
    state = scored(rows)
    np.testing.assert_allclose(
        parent_probabilities([state.scores[n] for n in rows]), [0, 0.2, 0.8, 0], atol=1e-12
    )
    drawn = [number for child in breed(state, 4000, breeding())[::2] for number in child.parents]
    assert set(drawn) == {7, 9}
    assert abs(drawn.count(9) - 3200) < 5 * 25


def test_copied_children_are_grown_too():
    """EAVL-COVID: balance works on every child. Phi 4, best is the individual itself: 2 genes become 4."""
    state = scored({3: ("C1 B2 | F9", 0.9), 5: ("C3 C4 C5 C6 | F8", 0.1)})
    children = breed(state, 30, breeding(phi=4))
    assert set(texts(children)) == {"C1 B2 C1 B2 | F9", "C1 C1 B2 B2 | F9"}


def test_children_are_shrunk_towards_the_best_of_an_earlier_generation():
    """The best ever has 2 genes and is no member any more; the only parent with a chance has 6, its l is 4."""
    long = "C1 C2 C3 C4 C5 C6 | F9"
    state = scored({3: (long, 0.5), 5: ("C7 | F8", 0.1)}, best=("B8 B9 | F1", 0.6))
    possible = {
        f"{' '.join(map(str, shrink(parse(long).head, start, count)))} | F9"
        for count in (1, 2, 3, 4)
        for start in range(1, 6 - count + 1)
    }
    children = texts(breed(state, 200, breeding(phi=4)))
    assert set(children) <= possible
    assert {len(parse(text).head) for text in children} >= {2, 3, 4}


def test_the_best_of_this_generation_is_the_reference_where_it_beats_the_earlier_one():
    long = "C1 C2 C3 C4 C5 C6 | F9"
    state = scored({3: (long, 0.7), 5: ("C7 | F8", 0.1)}, best=("B8 B9 | F1", 0.6))
    assert texts(breed(state, 6, breeding(phi=4))) == [long] * 6


def test_growth_takes_genes_of_the_best_ever():
    state = scored({3: ("C1 C2 C3 | F9", 0.5), 5: ("C7 | F8", 0.1)}, best=("B4 B5 P B6 | F1", 0.6))
    assert set(texts(breed(state, 60, breeding(phi=4)))) == {
        "B4 B5 P B6 C1 C2 C3 | F9",
        "C1 B4 B5 P B6 C2 C3 | F9",
        "C1 C2 B4 B5 P B6 C3 | F9",
    }


@pytest.mark.parametrize(
    ("parent", "side", "child"),
    [
        pytest.param(
            "C1 P C2 P P C3 P P C4 P P | F1", 224, "C1 P C2 P P C3 P P C4 | F1", id="7, limit 5: last two go"
        ),
        pytest.param("C1 P P P P P | F1", 224, "C1 P P P P P | F1", id="5 are allowed"),
        pytest.param("P P P C1 P P P C2 | F1", 8, "P P P C1 C2 | F1", id="8, 4, 2, 1: three fit"),
        pytest.param("C1 P C2 P C3 P | F1", 7, "C1 P C2 P C3 | F1", id="7, 3, 1: two fit"),
        pytest.param("C1 P C2 P C3 P | F1", 5, "C1 P C2 P C3 | F1", id="5, 2, 1: two fit"),
        pytest.param("C1 P C2 P | F1", 3, "C1 P C2 | F1", id="3, 1: one fits"),
        pytest.param("C1 P C2 P | F1", 1, "C1 C2 | F1", id="1: none fits"),
    ],
)
def test_surplus_poolings_go_from_the_end(parent, side, child):
    state = scored({3: (parent, 0.9)})
    (born,) = breed(state, 1, breeding(context(side)))
    assert str(born.chromosome) == child
    assert (parent != child) == any(isinstance(one, PoolingsDropped) for one in born.operations)


def test_the_smaller_side_decides_how_many_poolings_fit():
    allowed = SearchContext(SearchSpace(), Problem(ImageShape(1, 64, 5), 2), TrainingSettings(), 7)
    (born,) = breed(scored({3: ("C1 P P P | F1", 0.9)}), 1, breeding(allowed))
    assert str(born.chromosome) == "C1 P P | F1"


def test_the_limit_of_poolings_is_the_highest_of_the_space():
    (born,) = breed(scored({3: ("P P C1 P | F1", 0.9)}), 1, breeding(context(poolings=(0, 1))))
    assert str(born.chromosome) == "P C1 | F1"


@pytest.mark.parametrize(
    ("parent", "best", "side", "child"),
    [
        pytest.param(
            "P P | F9", "C8 B7 P C6 | F1", 32, "C8 P | F9", id="first gene becomes best's first one"
        ),
        pytest.param("P P | F9", "P B7 C8 | F1", 32, "B7 P | F9", id="with its batch norm"),
        pytest.param("P | F9", "P B7 C8 | F1", 32, "B7 | F9", id="alone"),
        pytest.param(
            "P P P P P P | F9", "C8 C7 C6 C5 C4 C3", 224, "C8 P P P P | F9", id="after the poolings"
        ),
        pytest.param("P P | F9", "C8 C7 | F1", 1, "C8 | F9", id="where no pooling fits at all"),
    ],
)
def test_a_head_without_convolution_gets_the_best_ones_first(parent, best, side, child):
    state = scored({3: (parent, 0.5)}, best=(best if "|" in best else f"{best} | F1", 0.9))
    (born,) = breed(state, 1, breeding(context(side)))
    assert str(born.chromosome) == child
    assert any(isinstance(one, ConvolutionGiven) for one in born.operations)


BIG = 3_000
"""Parameters of "C50 C2" and "C2 C50" lie below, of "C50 C50" above (50 x 50 x 9 weights alone are 22,500)."""


@pytest.mark.parametrize(
    ("three", "five", "fitter"),
    [
        pytest.param(0.9, 0.8, 3, id="the fitter one"),
        pytest.param(0.8, 0.9, 5, id="the fitter one comes second"),
        pytest.param(0.9, 0.9, 3, id="equal fitness: the lower number"),
        pytest.param(None, None, 3, id="both failed: the lower number"),
    ],
)
def test_a_child_above_the_limit_becomes_the_fitter_parents_copy(three, five, fitter):
    rows: Rows = {3: ("C50 C2 |", three), 5: ("C2 C50 |", five)}
    if three is not None:
        rows[9] = ("C1 C1 |", 0.1)
    allowed = context(side=1, max_parameters=BIG)
    assert all(allowed.infeasibility(parse(text)) is None for text, _ in rows.values())
    assert allowed.infeasibility(parse("C50 C50 |")) is not None
    children = breed(scored(rows), 60, breeding(allowed, probability=1))
    mixed = [child for child in children if set(child.parents) == {3, 5}]
    small = [child for child in mixed if str(child.chromosome) == "C2 C2 |".rstrip()]
    copies = [child for child in mixed if str(child.chromosome) == rows[fitter][0]]
    assert len(small) == len(copies) == len(mixed) / 2 > 3
    assert all(child.operations[-1].by == fitter for child in copies), "recorded"
    assert not [child for child in small if isinstance(child.operations[-1], Replaced)]


def test_a_child_is_repaired_before_its_size_is_judged():
    """Number 3 with itself gives "P P", small until best's 40 channels stand there: 1,869 parameters at 4 px."""
    allowed = context(side=4, max_parameters=1000)
    state = scored({3: ("P C2 P | F9", 0.5), 5: ("C1 | F1", 0.1)}, best=("C40 P P | F1", 0.9))
    children = breed(state, 60, breeding(allowed, probability=1))
    assert allowed.infeasibility(parse("C40 P | F9")) is not None
    repaired = [
        child for child in children if any(one == ConvolutionGiven(Conv(40)) for one in child.operations)
    ]
    assert repaired
    assert set(texts(tuple(repaired))) == {"P C2 P | F9"}, "the fitter parent's copy"


def test_every_child_of_a_wild_population_can_be_decoded_and_fits():
    rows: Rows = {
        1: ("C9 P P | F30", 0.9),
        2: ("P B8 C7 B6 C5 C4 C3 | F20 F9", 0.7),
        4: ("P C5 | F4", 0.6),
        6: ("B3 | F2", 0.2),
    }
    allowed = context(side=6, max_parameters=4000)
    for seed in range(20):
        for child in breed(scored(rows), 15, breeding(allowed, probability=0.9, phi=4, seed=seed)):
            blueprint = blueprint_of(child.chromosome, allowed.problem)
            assert blueprint.parameters <= 4000
            assert child.chromosome.convolutions and child.chromosome.poolings <= 2


def test_a_generation_in_which_all_failed_still_breeds():
    state = scored({1: ("C9 P | F3", None), 2: ("C8 C7 C6 C5 C4 | F2", None), 4: ("P C5 | F4", None)})
    children = breed(state, 9, breeding(probability=0.9, phi=4))
    assert len(children) == 9
    assert {number for child in children for number in child.parents} <= {1, 2, 4}
    assert all(any(isinstance(gene, Conv) for gene in child.chromosome.head) for child in children)


def test_breeding_is_a_function_of_state_and_seed():
    state = scored({1: ("C9 C8 P | F3", 0.5), 2: ("C7 C6 C5 C4 | F2", 0.9), 4: ("P C5 B3 | F4", 0.6)})
    children = breed(state, 12, breeding(probability=0.9))
    assert breed(state, 12, breeding(probability=0.9)) == children
    assert breed(state, 12, breeding(probability=0.9, seed=8)) != children


def test_scores_of_early_immigrants_change_no_child():
    """An immigrant's early result may be the highest of all; it is not yet in the search."""
    state = scored({1: ("C9 C8 P | F3", 0.5), 2: ("C7 C6 C5 C4 | F2", 0.9), 4: ("P C5 B3 | F4", 0.6)})
    early = state.with_scores(
        {5: Score(fitness=1.0), 6: Score(fitness=0.0), 7: Score(failure=FailureKind.ERROR)}
    )
    assert breed(early, 12, breeding(probability=0.9)) == breed(state, 12, breeding(probability=0.9))
