"""Children worked out by hand from the EAVL-COVID paper."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.genome import Chromosome, Conv, Copied, CrossedHeads, CrossedTails, Dense, Pool, parse
from evosearch.search import cross_heads, cross_tails, crossover

genes = st.builds(Conv, st.integers(1, 999), st.booleans()) | st.just(Pool())
chromosomes = st.builds(
    Chromosome,
    st.lists(genes, min_size=1, max_size=8).map(tuple),
    st.lists(st.builds(Dense, st.integers(1, 999)), max_size=4).map(tuple),
)


def heads(*texts: str):
    return tuple(parse(f"{text} |").head for text in texts)


def tails(*texts: str):
    return tuple(parse(f"C1 | {text}").tail for text in texts)


@pytest.mark.parametrize(
    ("a", "b", "cuts", "children"),
    [
        ("C1 C2 P C3", "B4 P", (3, 1), ("B4 C3", "C1 C2 P P")),
        ("C1 C2 P C3", "B4 P", (1, 1), ("B4 C2 P C3", "C1 P")),
        ("C1 C2 C3", "C4 C5 C6", (2, 1), ("C4 C3", "C1 C2 C5 C6")),
        ("C1 C2", "C3 C4 C5 C6 C7", (1, 4), ("C3 C4 C5 C6 C2", "C1 C7")),
    ],
)
def test_the_parts_before_the_cuts_are_exchanged(a, b, cuts, children):
    assert cross_heads(*heads(a, b), *cuts) == heads(*children)


@pytest.mark.parametrize(
    ("a", "b", "children"),
    [
        ("F1 F2", "F3 F4", ("F3 F4", "F1 F2")),
        ("F1 F2 F3", "F4", ("F4 F2 F3", "F1")),
        ("F4", "F1 F2 F3", ("F1", "F4 F2 F3")),
        ("F1 F2", "", ("F1 F2", "")),
        ("", "", ("", "")),
    ],
)
def test_dense_genes_at_equal_positions_are_exchanged_and_the_surplus_stays(a, b, children):
    assert cross_tails(*tails(a, b)) == tails(*children)


def test_a_crossed_pair_gives_the_children_of_some_pair_of_cuts():
    a, b = parse("C1 C2 P C3 | F1 F2 F3"), parse("B4 B5 P | F4")
    crossed = crossover(a, b, 1, np.random.default_rng(0))
    possible = [cross_heads(a.head, b.head, i, j) for i, j in itertools.product((1, 2, 3), (1, 2))]
    assert (crossed.first.head, crossed.second.head) in possible
    assert (crossed.first.tail, crossed.second.tail) == tails("F4 F2 F3", "F1")


def test_every_cut_strictly_inside_each_head_is_equally_likely():
    """Heads of 4 and 3 genes have 3 x 2 pairs of cuts. 3,000 pairs; chi-square with 5 degrees of freedom
    passes 35 once in 600,000."""
    a, b, rng = parse("C1 C2 C3 C4 |"), parse("B5 B6 B7 |"), np.random.default_rng(0)
    seen: Counter[tuple[int, int]] = Counter()
    for _ in range(3000):
        first = crossover(a, b, 1, rng).first.head
        from_b = sum(gene in b.head for gene in first)
        seen[4 - (len(first) - from_b), from_b] += 1
    assert set(seen) == set(itertools.product((1, 2, 3), (1, 2)))
    assert sum((count - 500) ** 2 / 500 for count in seen.values()) < 35


@pytest.mark.parametrize(
    ("a", "b", "first", "second"),
    [
        ("C1 | F1", "C2 C3 P | F2", "C1 | F2", "C2 C3 P | F1"),
        ("C2 C3 P | F2", "C1 | F1", "C2 C3 P | F1", "C1 | F2"),
        ("C1 | F1 F3", "C2 | F2", "C1 | F2 F3", "C2 | F1"),
    ],
)
def test_a_head_of_one_gene_keeps_both_heads_whole_while_tails_are_exchanged(a, b, first, second):
    crossed = crossover(parse(a), parse(b), 1, np.random.default_rng(0))
    assert (crossed.first, crossed.second) == (parse(first), parse(second))
    assert crossed.operation == CrossedTails()


@given(chromosomes, chromosomes, st.integers(0, 2**32))
def test_with_probability_0_the_pair_is_copied(a, b, seed):
    crossed = crossover(a, b, 0, np.random.default_rng(seed))
    assert (crossed.first, crossed.second) == (a, b)


@given(chromosomes, chromosomes, st.integers(0, 2**32))
def test_with_probability_1_heads_and_tails_are_exchanged(a, b, seed):
    crossed = crossover(a, b, 1, np.random.default_rng(seed))
    assert (crossed.first.tail, crossed.second.tail) == cross_tails(a.tail, b.tail)
    if len(a.head) > 1 and len(b.head) > 1:  # the first child ends as `a` did, the second as `b`
        assert crossed.first.head[-1] == a.head[-1] and crossed.second.head[-1] == b.head[-1]
        assert crossed.first.head[0] == b.head[0] and crossed.second.head[0] == a.head[0]


@given(chromosomes, chromosomes, st.floats(0, 1), st.integers(0, 2**32))
def test_together_the_children_hold_each_parental_gene_once(a, b, probability, seed):
    crossed = crossover(a, b, probability, np.random.default_rng(seed))
    for part in ("head", "tail"):
        born = Counter(getattr(crossed.first, part)) + Counter(getattr(crossed.second, part))
        assert born == Counter(getattr(a, part)) + Counter(getattr(b, part))
    assert len(crossed.first.head) >= min(2, len(a.head)) and len(crossed.second.head) >= min(2, len(b.head))


@given(st.integers(0, 2**32))
def test_the_record_names_the_cuts(seed):
    a, b = parse("C1 C2 C3 C4 C5 |"), parse("B6 B7 B8 |")
    crossed = crossover(a, b, 1, np.random.default_rng(seed))
    cuts = crossed.operation
    assert isinstance(cuts, CrossedHeads)
    heads = cross_heads(a.head, b.head, cuts.first, cuts.second)
    assert heads == (crossed.first.head, crossed.second.head)


def test_copies_are_recorded_as_copies():
    crossed = crossover(parse("C1 C2 |"), parse("C3 C4 |"), 0, np.random.default_rng(0))
    assert crossed.operation == Copied()


def test_nine_pairs_in_ten_are_crossed_at_the_papers_probability():
    """4,000 pairs: 3,600 expected with deviation 19; 5 deviations either side."""
    a, b, rng = parse("C1 C2 |"), parse("B3 B4 |"), np.random.default_rng(0)
    crossed = sum(crossover(a, b, 0.9, rng).first != a for _ in range(4000))
    assert abs(crossed - 3600) < 95
