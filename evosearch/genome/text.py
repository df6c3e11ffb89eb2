"""The text and JSON forms of a chromosome; both read back to an equal value."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from evosearch.errors import InvalidChromosomeError
from evosearch.genome.chromosome import Chromosome, Conv, Dense, HeadGene, Pool, TailGene

_GENE = re.compile(r"(?P<kind>[CBF])(?P<size>[1-9][0-9]{0,6})|(?P<pool>P)")


def parse(text: str) -> Chromosome:
    """Read a chromosome from its one-line text form, `C64 B99 P C50 | F256 F100`.

    Raises:
        InvalidChromosomeError: the text is not of that form; the message names the offending word.

    >>> parse("B99 P | F256").head
    (Conv(channels=99, batch_norm=True), Pool())
    >>> str(parse("C64 B99 P C50 | F256 F100"))
    'C64 B99 P C50 | F256 F100'
    """
    head, bar, tail = text.partition("|")
    if not bar:
        raise InvalidChromosomeError(
            f"{text!r} has no '|' between head and tail; write for instance 'C64 P | F100'"
        )
    return Chromosome(
        tuple(_head_gene(word) for word in head.split()),
        tuple(_dense(word) for word in tail.split()),
    )


def _head_gene(word: str) -> HeadGene:
    match = _GENE.fullmatch(word)
    if match and match["pool"]:
        return Pool()
    if match and match["kind"] in "CB":
        return Conv(int(match["size"]), batch_norm=match["kind"] == "B")
    raise InvalidChromosomeError(
        f"{word!r} before the '|' is no gene; write C64 (convolution), B64 (with batch norm) or P"
    )


def _dense(word: str) -> Dense:
    match = _GENE.fullmatch(word)
    if match and match["kind"] == "F":
        return Dense(int(match["size"]))
    raise InvalidChromosomeError(f"{word!r} after the '|' is no gene; write F256 (fully connected)")


def to_json(chromosome: Chromosome) -> dict[str, list[dict[str, Any]]]:
    """The JSON form.

    >>> to_json(parse("C64 P | F4"))
    {'head': [{'kind': 'conv', 'channels': 64, 'batch_norm': False}, {'kind': 'pool'}], 'tail': [{'kind': 'dense', 'units': 4}]}
    """
    return {
        "head": [_document(gene) for gene in chromosome.head],
        "tail": [_document(gene) for gene in chromosome.tail],
    }


def _document(gene: HeadGene | TailGene) -> dict[str, Any]:
    match gene:
        case Conv(channels, batch_norm):
            return {"kind": "conv", "channels": channels, "batch_norm": batch_norm}
        case Pool():
            return {"kind": "pool"}
        case Dense(units):
            return {"kind": "dense", "units": units}
    assert_never(gene)


def from_json(document: Mapping[str, Sequence[Mapping[str, Any]]]) -> Chromosome:
    """Read a chromosome from its JSON form.

    Raises:
        InvalidChromosomeError: the document is not of that form.

    >>> str(from_json(to_json(parse("C64 B99 P | F4"))))
    'C64 B99 P | F4'
    """
    try:
        head, tail = document["head"], document["tail"]
    except (KeyError, TypeError) as error:
        raise InvalidChromosomeError(f"{document!r} is no chromosome: {error!r}") from error
    return Chromosome(tuple(map(_head_gene_of, head)), tuple(map(_dense_of, tail)))


def _head_gene_of(document: Mapping[str, Any]) -> HeadGene:
    match document:
        case {"kind": "pool"}:
            return Pool()
        case {"kind": "conv", "channels": int(channels), "batch_norm": bool(batch_norm)}:
            return Conv(channels, batch_norm)
        case _:
            raise InvalidChromosomeError(f"{document!r} is no gene of a head; its kind is conv or pool")


def _dense_of(document: Mapping[str, Any]) -> Dense:
    match document:
        case {"kind": "dense", "units": int(units)}:
            return Dense(units)
        case _:
            raise InvalidChromosomeError(f"{document!r} is no gene of a tail; its kind is dense")
