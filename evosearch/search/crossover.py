"""Crossover of two chromosomes: heads cut at a point of their own, tails exchanged gene by gene."""

from dataclasses import dataclass

import numpy as np

from evosearch.genome import Chromosome, Copied, CrossedHeads, CrossedTails, Crossing, Head, Tail


@dataclass(frozen=True, slots=True)
class Crossed:
    """Two children of one crossover."""

    first: Chromosome
    """One child."""
    second: Chromosome
    """The other child."""
    operation: Crossing
    """How both were made."""


def crossover(a: Chromosome, b: Chromosome, probability: float, rng: np.random.Generator) -> Crossed:
    """Cross `a` and `b` with `probability`, else copy them; the parents do not change.

    The heads' cut points are drawn for each parent separately, 0 < cut < length; where either head has
    length 1 the heads are not cut and each child keeps its own parent's.

    Returns: children whose heads may have other lengths than their parents'. Source: EAVL-COVID, crossover.

    >>> from evosearch.genome import in_words, parse
    >>> crossed = crossover(parse("C1 C2 C3 | F1"), parse("C7 C8 C9 P | F7 F8"), 1.0, np.random.default_rng(1))
    >>> str(crossed.first), str(crossed.second), in_words(crossed.operation)
    ('C7 C8 C9 C3 | F7', 'C1 C2 P | F1 F8', 'crossed heads 2|3')
    """
    if rng.random() >= probability:
        return Crossed(a, b, Copied())
    tails = cross_tails(a.tail, b.tail)
    if min(len(a.head), len(b.head)) < 2:
        return Crossed(Chromosome(a.head, tails[0]), Chromosome(b.head, tails[1]), CrossedTails())
    cut_a, cut_b = int(rng.integers(1, len(a.head))), int(rng.integers(1, len(b.head)))
    heads = cross_heads(a.head, b.head, cut_a, cut_b)
    children = Chromosome(heads[0], tails[0]), Chromosome(heads[1], tails[1])
    return Crossed(*children, CrossedHeads(cut_a, cut_b))


def cross_heads(a: Head, b: Head, cut_a: int, cut_b: int) -> tuple[Head, Head]:
    """Exchange the genes before the cuts, 0 < cut < length; together the children hold each gene once.

    >>> cross_heads(("a", "b", "c"), ("v", "w", "x", "y"), 1, 3)
    (('v', 'w', 'x', 'b', 'c'), ('a', 'y'))
    """
    return b[:cut_b] + a[cut_a:], a[:cut_a] + b[cut_b:]


def cross_tails(a: Tail, b: Tail) -> tuple[Tail, Tail]:
    """Exchange the genes at positions that both tails have; the longer tail's surplus stays where it was.

    >>> cross_tails(("a", "b", "c"), ("x",))
    (('x', 'b', 'c'), ('a',))
    """
    shared = min(len(a), len(b))
    return b[:shared] + a[shared:], a[:shared] + b[shared:]
