"""Genome: what a network is made of, as plain values.

A *gene* is one block of layers, a *chromosome* a head of convolution and pooling genes and a tail of dense
genes, the *search space* the ranges from which random chromosomes are drawn. Nothing here knows image
sizes, training or torch; this room may import `errors` and numpy only.
"""

from evosearch.genome.chromosome import Chromosome
from evosearch.genome.forms import from_json, parse, to_json
from evosearch.genome.genes import KERNEL, Conv, Dense, Head, HeadGene, Pool, Tail
from evosearch.genome.space import Range, SearchSpace, sample

__all__ = [
    "KERNEL",
    "Chromosome",
    "Conv",
    "Dense",
    "Head",
    "HeadGene",
    "Pool",
    "Range",
    "SearchSpace",
    "Tail",
    "from_json",
    "parse",
    "sample",
    "to_json",
]
