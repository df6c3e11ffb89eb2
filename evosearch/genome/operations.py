"""What was done to a chromosome on its way from its parents, or from chance, to what is trained: as values, and in words.

Operators return these beside the chromosome; journals keep them, and every word about an operator is made from them.
Positions in a head are counted from 1, as in the paper.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias, assert_never

from evosearch.genome.chromosome import Conv


@dataclass(frozen=True, slots=True)
class Copied:
    """The pair was not crossed: the first child is a copy of the first parent, the second of the second."""

    KIND: ClassVar = "copied"  # here and below: in journals


@dataclass(frozen=True, slots=True)
class CrossedTails:
    """Tails were exchanged gene by gene; the heads, one of which has a single gene, stayed whole."""

    KIND: ClassVar = "crossed_tails"


@dataclass(frozen=True, slots=True)
class CrossedHeads:
    """Heads were cut and their beginnings exchanged, tails gene by gene.

    >>> in_words(CrossedHeads(3, 5))
    'crossed heads 3|5'
    """

    KIND: ClassVar = "crossed_heads"

    first: int
    """Genes before the cut in the first parent's head."""
    second: int
    """Likewise in the second parent's."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """Genes of the same kind at equal positions were exchanged; both chromosomes kept their lengths.

    >>> in_words(Exchanged((2, 3), (1,))), in_words(Exchanged((), ()))
    ('exchanged genes 2 3 | 1', 'exchanged no gene')
    """

    KIND: ClassVar = "exchanged"

    head: tuple[int, ...]
    """Positions in the heads, rising, of genes that differ."""
    tail: tuple[int, ...]
    """Positions in the tails, likewise."""


@dataclass(frozen=True, slots=True)
class Mutated:
    """Genes were drawn anew from the space, each of its own kind, and came out as others.

    >>> in_words(Mutated((), (2,)))
    'redrew genes | 2'
    """

    KIND: ClassVar = "mutated"

    head: tuple[int, ...]
    """Positions in the head, rising."""
    tail: tuple[int, ...]
    """Positions in the tail, likewise; there is one at least in both together."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """Balance removed genes from a head that was too long.

    >>> in_words(Shrunk(start=4, length=2, reference=17))
    'shrink 2 at 4, held against candidate 17'
    """

    KIND: ClassVar = "shrunk"

    start: int
    """The first gene removed."""
    length: int
    """How many."""
    reference: int
    """Number of the candidate whose head it was too long for: the best so far."""


@dataclass(frozen=True, slots=True)
class Grown:
    """Balance inserted a fragment of another head into one that was too short.

    >>> in_words(Grown(before=1, length=2, reference=17, origin=3))
    'grow 2 at 1, genes 3 to 4 of candidate 17'
    """

    KIND: ClassVar = "grown"

    before: int
    """The gene before which the fragment was put."""
    length: int
    """Genes of the fragment."""
    reference: int
    """Number of the candidate that it comes from: the best so far."""
    origin: int
    """Where in that one's head it begins."""


@dataclass(frozen=True, slots=True)
class PoolingsDropped:
    """Repair removed the last poolings of a head that held too many.

    >>> in_words(PoolingsDropped(1)), in_words(PoolingsDropped(2))
    ('dropped the last pooling', 'dropped the last 2 poolings')
    """

    KIND: ClassVar = "poolings_dropped"

    count: int
    """How many were removed, at least 1."""


@dataclass(frozen=True, slots=True)
class ConvolutionGiven:
    """Repair made the first gene of a head without convolutions the best candidate's first convolution.

    >>> in_words(ConvolutionGiven(Conv(77, batch_norm=True)))
    'first gene became B77'
    """

    KIND: ClassVar = "convolution_given"

    gene: Conv
    """The convolution that became the first gene."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """The child was too big even when repaired, so that a copy of its fitter parent took its place."""

    KIND: ClassVar = "replaced"

    by: int
    """Number of that parent."""
    reason: str
    """Which limit was exceeded, by what."""


@dataclass(frozen=True, slots=True)
class Redrawn:
    """Random chromosomes were drawn until one was within the limits."""

    KIND: ClassVar = "redrawn"

    times: int
    """How many were given up."""
    reason: str
    """Which limit the last of them exceeded, by what."""


Operation: TypeAlias = (
    Copied
    | CrossedTails
    | CrossedHeads
    | Shrunk
    | Grown
    | PoolingsDropped
    | ConvolutionGiven
    | Replaced
    | Redrawn
    | Exchanged
    | Mutated
)
"""One step on the way of a chromosome."""
Crossing: TypeAlias = Copied | CrossedTails | CrossedHeads | Exchanged
"""What was done to a pair of parents."""
Repair: TypeAlias = PoolingsDropped | ConvolutionGiven
"""What was done to a head that could not be decoded."""


def in_words(operation: Operation) -> str:
    """An operation for a person; the first version's words, with what it left out after a comma.

    >>> in_words(Replaced(5, "9 parameters exceed 8"))
    'became a copy of 5 (9 parameters exceed 8)'
    """
    match operation:
        case Copied():
            return "copied"
        case CrossedTails():
            return "crossed tails"
        case CrossedHeads(first, second):
            return f"crossed heads {first}|{second}"
        case Exchanged(head, tail):
            return f"exchanged genes {_positions(head, tail)}" if head or tail else "exchanged no gene"
        case Mutated(head, tail):
            return f"redrew genes {_positions(head, tail)}"
        case Shrunk(start, length, reference):
            return f"shrink {length} at {start}, held against candidate {reference}"
        case Grown(before, length, reference, origin):
            genes = f"gene {origin}" if length == 1 else f"genes {origin} to {origin + length - 1}"
            return f"grow {length} at {before}, {genes} of candidate {reference}"
        case PoolingsDropped(count):
            return "dropped the last pooling" if count == 1 else f"dropped the last {count} poolings"
        case ConvolutionGiven(gene):
            return f"first gene became {gene}"
        case Replaced(by, reason):
            return f"became a copy of {by} ({reason})"
        case Redrawn(times, reason):
            return f"redrawn {times} time{'s' * (times > 1)} ({reason})"
    assert_never(operation)


def _positions(head: tuple[int, ...], tail: tuple[int, ...]) -> str:
    """As in the text form of a chromosome, a bar between head and tail."""
    return f"{' '.join(map(str, head))} | {' '.join(map(str, tail))}".strip()


def words_of(operations: Iterable[Operation]) -> tuple[str, ...]:
    """As `in_words`, of each."""
    return tuple(in_words(operation) for operation in operations)
