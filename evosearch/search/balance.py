"""Balance, which takes the place of mutation: it keeps children's heads near the best one's length.

Source: EAVL-COVID, balance. `best` is the head of the individual with the highest fitness over
the finished generations; `phi` the paper's threshold (4).
"""

import numpy as np

from evosearch.genome import Chromosome, Grown, Head, Shrunk


def balance(
    child: Chromosome, best: Head, phi: int, deviation: float, rng: np.random.Generator, *, reference: int
) -> tuple[Chromosome, tuple[Shrunk | Grown, ...]]:
    """Shrink a child whose head is at least `phi` longer than `best`, or grow one shorter than `phi`.

    Args:
        child: any chromosome; its tail stays.
        best: reference head.
        phi: threshold in genes, at least 1.
        deviation: spread of the cut length around the surplus, in genes (1 in the paper).
        rng: chance.
        reference: number of the candidate whose head `best` is, for the record.

    Returns: the child, and what was done (empty: nothing).

    >>> from evosearch.genome import parse
    >>> best = parse("C1 C2 C3 C4 | F1").head
    >>> child, done = balance(parse("C8 P | F2"), best, 4, 1.0, np.random.default_rng(0), reference=17)
    >>> str(child), done
    ('C8 C1 C2 C3 C4 P | F2', (Grown(before=2, length=4, reference=17, origin=1),))
    """
    surplus = len(child.head) - len(best)
    if surplus >= phi:
        cut = draw_cut_length(surplus, deviation, rng)
        start = int(rng.integers(1, len(child.head) - cut, endpoint=True))
        return Chromosome(shrink(child.head, start, cut), child.tail), (Shrunk(start, cut, reference),)
    if len(child.head) < phi:
        length = min(phi, len(best))
        start = int(rng.integers(1, len(best) - length + 1, endpoint=True))
        before = int(rng.integers(1, len(child.head), endpoint=True))
        genes = best[start - 1 : start - 1 + length]
        grown = Grown(before, length, reference, origin=start)
        return Chromosome(grow(child.head, genes, before), child.tail), (grown,)
    return child, ()


def draw_cut_length(surplus: int, deviation: float, rng: np.random.Generator) -> int:
    """Draw how many genes to cut: 1..surplus, in proportion to the density of N(surplus, deviation²) there.

    >>> rng = np.random.default_rng(0)
    >>> [draw_cut_length(5, 1.0, rng) for _ in range(8)]
    [5, 4, 3, 3, 5, 5, 5, 5]
    """
    lengths = np.arange(1, surplus + 1)
    density = np.exp(-((lengths - surplus) ** 2) / (2 * deviation**2))
    return int(rng.choice(lengths, p=density / density.sum()))


def shrink(head: Head, start: int, count: int) -> Head:
    """Remove `count` consecutive genes from `start`, counted from 1; the last gene always stays.

    `start` is in 1..len(head) - count.

    >>> shrink(("a", "b", "c", "d"), 2, 2)
    ('a', 'd')
    """
    return head[: start - 1] + head[start - 1 + count :]


def grow(head: Head, genes: Head, before: int) -> Head:
    """Insert `genes` before the gene `before` of `head`, counted from 1.

    >>> grow(("a", "b"), ("x", "y"), 2)
    ('a', 'x', 'y', 'b')
    """
    return head[: before - 1] + genes + head[before - 1 :]
