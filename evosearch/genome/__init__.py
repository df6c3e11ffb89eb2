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
    Pretrained,
    is_hand_made,
    network_from_json,
    network_to_json,
    parse_network,
    starting_from,
    weights_of,
)
from evosearch.genome.operations import (
    ConvolutionGiven,
    Copied,
    CrossedHeads,
    CrossedTails,
    Crossing,
    Exchanged,
    Grown,
    Mutated,
    Operation,
    PoolingsDropped,
    Redrawn,
    Repair,
    Replaced,
    Shrunk,
    in_words,
    words_of,
)
from evosearch.genome.space import Range, SearchSpace, sample
from evosearch.genome.text import from_json, parse, to_json

__all__ = [
    "HAND_MADE",
    "KERNEL",
    "Chromosome",
    "Conv",
    "ConvolutionGiven",
    "Copied",
    "CrossedHeads",
    "CrossedTails",
    "Crossing",
    "Dense",
    "Exchanged",
    "Grown",
    "HandMade",
    "Head",
    "HeadGene",
    "Mutated",
    "Network",
    "Operation",
    "Pool",
    "PoolingsDropped",
    "Pretrained",
    "Range",
    "Redrawn",
    "Repair",
    "Replaced",
    "SearchSpace",
    "Shrunk",
    "Tail",
    "TailGene",
    "from_json",
    "in_words",
    "is_hand_made",
    "network_from_json",
    "network_to_json",
    "parse",
    "parse_network",
    "sample",
    "starting_from",
    "to_json",
    "weights_of",
    "words_of",
]
