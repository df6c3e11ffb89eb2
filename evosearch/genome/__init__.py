"""Genome: what a network is made of, as plain values.

A *gene* is one block of layers, a *chromosome* a head of convolution and pooling genes and a tail of dense
genes, the *search space* the ranges from which random chromosomes are drawn. Nothing here knows image
sizes, training or torch; this room may import `errors` and numpy only.
"""

from evosearch.genome.chromosome import KERNEL, Chromosome, Conv, Dense, Head, HeadGene, Pool, Tail, TailGene
from evosearch.genome.network import (
    HAND_MADE,
    HandMade,
    Network,
    network_from_json,
    network_to_json,
    parse_network,
)
from evosearch.genome.space import Range, SearchSpace, sample
from evosearch.genome.text import from_json, parse, to_json

__all__ = [
    "HAND_MADE",
    "KERNEL",
    "Chromosome",
    "Conv",
    "Dense",
    "HandMade",
    "Head",
    "HeadGene",
    "Network",
    "Pool",
    "Range",
    "SearchSpace",
    "Tail",
    "TailGene",
    "from_json",
    "network_from_json",
    "network_to_json",
    "parse",
    "parse_network",
    "sample",
    "to_json",
]
