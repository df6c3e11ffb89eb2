"""EVO-CNN: EAVL's generations in a static space."""

from collections import Counter

import numpy as np
import pytest

from evosearch.blueprint import ImageShape, Problem
from evosearch.errors import ConfigError
from evosearch.evaluation import TrainingSettings
from evosearch.genome import (
    Conv,
    Copied,
    Dense,
    Exchanged,
    Mutated,
    Pool,
    SearchSpace,
    parse,
    sample,
)
from evosearch.search import EavlSettings, EvoCnnSettings, EvoCnnStrategy, Origin, SearchContext
from evosearch.search.evo_cnn import exchange, mutate
from evosearch.testing.strategy_contract import GenerationalContract, asked_in, rounds

SPACE = SearchSpace(convolutions=(1, 4), channels=(2, 9), poolings=(0, 3), dense=(0, 2), units=(2, 40))


def evolution(space: SearchSpace = SPACE, **settings) -> EvoCnnStrategy:
    settings = {"population": 10, "generations": 3, "elites": 3, "immigrants": 2} | settings
    context = SearchContext(space, Problem(ImageShape(1, 8, 8), 2), TrainingSettings(), 7)
    return EvoCnnSettings(**settings).make(context)


class TestEvoCnnKeepsTheContract(GenerationalContract):
    def make_strategy(self, generations: int) -> EvoCnnStrategy:
        return evolution(generations=generations)


class TestEvoCnnOfChildrenAloneKeepsTheContract(GenerationalContract):
    def make_strategy(self, generations: int) -> EvoCnnStrategy:
        return evolution(generations=generations, elites=0, immigrants=0, population=5)


def kinds(genes):
    return [type(gene) for gene in genes]


def test_it_has_the_evolutions_population_elites_and_immigrants():
    ours, theirs = EvoCnnSettings(), EavlSettings()
    for key in ("population", "generations", "elites", "immigrants", "crossover_probability", "selection"):
        assert getattr(ours, key) == getattr(theirs, key)
    assert ours.evaluations_in_all == 810
    history = rounds(evolution())
    origins = [Counter(trial.candidate.origin for trial in asked) for _, asked in history]
    assert origins == [{Origin.INITIAL: 10}] + [{Origin.CROSSOVER: 5, Origin.IMMIGRANT: 2}] * 2 + [{}]


@pytest.mark.parametrize("batch_norm", [0.0, 0.5])
def test_every_convolution_has_a_batch_norm_whatever_the_space_says(batch_norm):
    space = SearchSpace(convolutions=(1, 4), channels=(2, 9), batch_norm=batch_norm, units=(2, 40))
    for trial in asked_in(rounds(evolution(space, generations=5))):
        assert all(gene.batch_norm for gene in trial.candidate.chromosome.convolutions)


def test_a_child_has_the_structure_of_its_parent_and_never_leaves_the_ranges():
    strategy = evolution(generations=6, immigrants=0, mutation_probability=0.3)
    born = {trial.number: trial.candidate for trial in asked_in(rounds(strategy))}
    children = [one for one in born.values() if one.origin is Origin.CROSSOVER]
    assert len(children) == 5 * 7
    for child in children:
        shapes = [
            (kinds(born[parent].chromosome.head), len(born[parent].chromosome.tail))
            for parent in child.parents
        ]
        assert (kinds(child.chromosome.head), len(child.chromosome.tail)) in shapes
        assert all(2 <= gene.channels <= 9 for gene in child.chromosome.convolutions)
        assert all(2 <= gene.units <= 40 for gene in child.chromosome.tail)


def test_what_was_done_is_told_of_every_child():
    strategy = evolution(generations=8, population=20, mutation_probability=0.3)
    children = [t.candidate for t in asked_in(rounds(strategy)) if t.candidate.origin is Origin.CROSSOVER]
    told = [operation for child in children for operation in child.operations]
    assert {type(operation) for operation in told} == {Copied, Exchanged, Mutated}
    assert {type(child.operations[0]) for child in children} == {Copied, Exchanged}


def test_at_each_position_both_children_hold_what_both_parents_held():
    rng = np.random.default_rng(0)
    space = SearchSpace(batch_norm=1.0)
    for _ in range(100):
        a, b = sample(space, rng), sample(space, rng)
        crossed = exchange(a, b, 0.5, rng)
        for parents, children in (
            ((a.head, b.head), (crossed.first.head, crossed.second.head)),
            ((a.tail, b.tail), (crossed.first.tail, crossed.second.tail)),
        ):
            assert [kinds(genes) for genes in children] == [kinds(genes) for genes in parents]
            for before, after in zip(zip(*parents, strict=False), zip(*children, strict=False), strict=True):
                assert Counter(before) == Counter(after)


def test_the_exchanged_positions_are_those_that_differ_from_the_parent():
    rng = np.random.default_rng(1)
    for _ in range(50):
        a, b = sample(SearchSpace(), rng), sample(SearchSpace(), rng)
        crossed = exchange(a, b, 0.5, rng)
        for genes, of_child, told in (
            (a.head, crossed.first.head, crossed.operation.head),
            (a.tail, crossed.first.tail, crossed.operation.tail),
        ):
            assert told == tuple(
                at for at, pair in enumerate(zip(genes, of_child, strict=True), 1) if pair[0] != pair[1]
            )


def test_half_of_the_genes_that_may_be_exchanged_are():
    rng = np.random.default_rng(0)
    a, b = parse("B1 B2 B3 B4 |"), parse("B5 B6 B7 B8 |")
    exchanged = sum(len(exchange(a, b, 0.5, rng).operation.head) for _ in range(1000))
    assert 1850 < exchanged < 2150


def test_a_tenth_of_the_genes_is_drawn_anew():
    rng = np.random.default_rng(0)
    child = parse("B1 P B2 B3 | F1 F2")  # none of these is in the ranges, so every drawn gene is another
    drawn = Counter()
    for _ in range(2000):
        _, done = mutate(child, SearchSpace(), 0.1, rng)
        drawn.update(("head", at) for one in done for at in one.head)
        drawn.update(("tail", at) for one in done for at in one.tail)
    assert set(drawn) == {("head", 1), ("head", 3), ("head", 4), ("tail", 1), ("tail", 2)}
    assert all(140 < count < 260 for count in drawn.values())


def test_with_no_chance_of_mutation_a_child_stays_as_it_is():
    child = parse("B1 P | F1")
    assert mutate(child, SearchSpace(), 0.0, np.random.default_rng(0)) == (child, ())


def test_what_is_drawn_anew_stays_of_its_kind():
    changed, (done,) = mutate(parse("C1 P | F1"), SearchSpace(), 1.0, np.random.default_rng(0))
    assert kinds(changed.head) == [Conv, Pool] and kinds(changed.tail) == [Dense]
    assert changed.head[0].batch_norm
    assert done == Mutated((1,), (1,))


@pytest.mark.parametrize("key", ["crossover_probability", "exchange_probability", "mutation_probability"])
@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_what_is_no_chance_is_refused(key, value):
    with pytest.raises(ConfigError, match=rf"strategy\.{key} is {value}; a chance lies between 0 and 1"):
        EvoCnnSettings(**{key: value})
