"""Balance worked out by hand from the EAVL-COVID paper; phi is 4 as in the paper."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.genome import Conv, Grown, Head, Pool, Shrunk, parse
from evosearch.search import balance, grow, shrink
from evosearch.search.balance import draw_cut_length

PHI = 4
heads = st.lists(st.builds(Conv, st.integers(1, 999), st.booleans()) | st.just(Pool()), min_size=1).map(tuple)


def head(text: str) -> Head:
    return parse(f"{text} |").head


def numbered(length: int) -> Head:
    """A head C1 C2 C3 ... whose genes tell where they stood."""
    return tuple(Conv(place) for place in range(1, length + 1))


def balanced(child: Head, best: Head, seed: int, phi: int = PHI) -> Head:
    return balance(with_tail(child), best, phi, 1.0, np.random.default_rng(seed), reference=9)[0].head


def with_tail(genes: Head):
    return parse(f"{' '.join(map(str, genes))} | F7 F8")


@pytest.mark.parametrize(
    ("start", "count", "rest"),
    [
        (1, 1, "C2 P C4 C5 C6"),
        (2, 3, "C1 C5 C6"),
        (3, 3, "C1 C2 C6"),
        (1, 5, "C6"),
        (5, 1, "C1 C2 P C4 C6"),
    ],
)
def test_shrinking_removes_consecutive_genes_counted_from_1(start, count, rest):
    assert shrink(head("C1 C2 P C4 C5 C6"), start, count) == head(rest)


@pytest.mark.parametrize(
    ("before", "grown"), [(1, "B8 B9 C1 C2 P"), (2, "C1 B8 B9 C2 P"), (3, "C1 C2 B8 B9 P")]
)
def test_growing_inserts_before_a_gene_counted_from_1(before, grown):
    assert grow(head("C1 C2 P"), head("B8 B9"), before) == head(grown)


@pytest.mark.parametrize(("surplus", "deviation"), [(4, 1.0), (7, 1.0), (5, 2.0), (1, 1.0), (4, 0.5)])
def test_the_cut_length_follows_a_normal_density_truncated_to_1_to_the_surplus(surplus, deviation):
    """Chances e^(-(k - surplus)² / 2 deviation²), normalised. 4,000 draws; with at most 6 degrees of freedom
    chi-square passes 45 once in 10 million; lengths expected less than 5 times are counted together."""
    weights = {k: math.exp(-((k - surplus) ** 2) / (2 * deviation**2)) for k in range(1, surplus + 1)}
    rng, draws = np.random.default_rng(0), 4000
    seen = Counter(draw_cut_length(surplus, deviation, rng) for _ in range(draws))
    assert set(seen) <= set(weights)
    expected = {k: draws * weight / sum(weights.values()) for k, weight in weights.items()}
    common = [k for k in expected if expected[k] >= 5]
    assert sum((seen[k] - expected[k]) ** 2 / expected[k] for k in common) < 45
    assert sum(seen[k] for k in expected if k not in common) < 20


def test_four_in_seven_cuts_of_a_surplus_of_4_take_all_of_it():
    """By hand: e^0 / (e^0 + e^-0.5 + e^-2 + e^-4.5) = 1 / 1.75297 = 0.57046; deviation of 4,000 draws 31."""
    rng = np.random.default_rng(1)
    whole = sum(draw_cut_length(4, 1.0, rng) == 4 for _ in range(4000))
    assert abs(whole - 0.57046 * 4000) < 5 * 31


@pytest.mark.parametrize(("best", "child"), [(3, 6), (3, 4), (9, 4), (6, 9), (8, 5)])
def test_between_the_thresholds_nothing_happens(best, child):
    chromosome = with_tail(numbered(child))
    for seed in range(50):
        rng = np.random.default_rng(seed)
        assert balance(chromosome, numbered(best), PHI, 1.0, rng, reference=9) == (chromosome, ())


@pytest.mark.parametrize(("best", "child"), [(3, 7), (5, 9), (1, 5)])
def test_a_surplus_of_exactly_phi_shrinks(best, child):
    lengths = {len(balanced(numbered(child), numbered(best), seed)) for seed in range(300)}
    assert lengths <= set(range(best, child)) and {best, best + 1} <= lengths


@pytest.mark.parametrize(("child", "grown"), [(1, 5), (2, 6), (3, 7)])
def test_a_head_shorter_than_phi_grows_by_phi(child, grown):
    assert {len(balanced(numbered(child), numbered(9), seed)) for seed in range(50)} == {grown}


def test_every_start_from_1_to_the_length_less_the_cut_is_equally_likely():
    """Child of 8 genes, best of 4. Where 4 are cut, starts 1..4, so C8 always stays. 4,000 children, some
    2,280 of them cut by 4; chi-square with 3 degrees of freedom passes 30 once in 700,000."""
    starts: dict[int, Counter[int]] = {count: Counter() for count in (1, 2, 3, 4)}
    for seed in range(4000):
        rest = balanced(numbered(8), numbered(4), seed)
        missing = [place for place in range(1, 9) if Conv(place) not in rest]
        assert missing == list(range(missing[0], missing[-1] + 1)), "consecutive genes are removed"
        starts[len(missing)][missing[0]] += 1
    for count in (2, 3, 4):
        assert set(starts[count]) == set(range(1, 8 - count + 1))
    expected = starts[4].total() / 4
    assert sum((seen - expected) ** 2 / expected for seen in starts[4].values()) < 30


def test_grown_genes_are_any_phi_consecutive_ones_of_best_before_any_gene_of_the_child():
    """Best B1..B6 has three runs of 4; a child of 2 genes has two places: 6 results, equally likely. 3,000
    children; chi-square with 5 degrees of freedom passes 35 once in 600,000."""
    best, child = head("B1 B2 B3 B4 B5 B6"), head("C1 P")
    runs = ("B1 B2 B3 B4", "B2 B3 B4 B5", "B3 B4 B5 B6")
    possible = {head(text) for run in runs for text in (f"{run} C1 P", f"C1 {run} P")}
    seen = Counter(balanced(child, best, seed) for seed in range(3000))
    assert set(seen) == possible
    assert sum((count - 500) ** 2 / 500 for count in seen.values()) < 35


@pytest.mark.parametrize(("best", "possible"), [("B8", "B8 C1 P|C1 B8 P"), ("P B8", "P B8 C1 P|C1 P B8 P")])
def test_a_best_shorter_than_phi_is_inserted_whole(best, possible):
    seen = {balanced(head("C1 P"), head(best), seed) for seed in range(60)}
    assert seen == {head(text) for text in possible.split("|")}


def test_a_best_of_exactly_phi_genes_is_inserted_whole():
    seen = {balanced(head("C1"), head("B1 P B2 B3"), seed) for seed in range(20)}
    assert seen == {head("B1 P B2 B3 C1")}


def test_a_child_shrunk_below_phi_is_not_grown_again():
    """Growth or shrinking is a choice (the paper's section on parameters); thresholds judge the child as bred."""
    lengths = {len(balanced(numbered(5), numbered(1), seed)) for seed in range(300)}
    assert lengths <= {1, 2, 3, 4} and 1 in lengths


@given(heads, heads, st.integers(1, 8), st.integers(0, 2**32))
def test_balance_touches_the_head_only_and_keeps_its_last_gene(child, best, phi, seed):
    chromosome = with_tail(child)
    result, operations = balance(chromosome, best, phi, 1.0, np.random.default_rng(seed), reference=9)
    assert result.tail == chromosome.tail
    assert result.head[-1] == child[-1]
    assert (result == chromosome) == (not operations)
    if len(child) - len(best) >= phi:
        assert len(best) <= len(result.head) < len(child)
    elif len(child) < phi:
        assert len(result.head) == len(child) + min(phi, len(best))
    else:
        assert result == chromosome


@given(st.integers(0, 2**32))
def test_the_record_tells_the_cut_its_start_and_whom_the_head_was_held_against(seed):
    child, best = with_tail(numbered(9)), numbered(4)
    result, (shrunk,) = balance(child, best, PHI, 1.0, np.random.default_rng(seed), reference=17)
    assert isinstance(shrunk, Shrunk) and shrunk.reference == 17
    assert result.head == shrink(child.head, shrunk.start, shrunk.length)


@given(st.integers(0, 2**32))
def test_the_record_tells_where_a_fragment_comes_from_and_where_it_went(seed):
    child, best = with_tail(numbered(3)), head("B1 B2 P B3 B4 B5")
    result, (grown,) = balance(child, best, PHI, 1.0, np.random.default_rng(seed), reference=17)
    assert isinstance(grown, Grown) and grown.reference == 17
    fragment = best[grown.origin - 1 : grown.origin - 1 + grown.length]
    assert result.head == grow(child.head, fragment, grown.before)
