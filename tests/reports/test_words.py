"""Networks and spans of time as a person says them."""

import pytest

from evosearch.genome import parse
from evosearch.reports import counted, describe, duration
from evosearch.reports.words import scaled


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("C8 |", "a 3x3 convolution to 8 channels, and an output layer for 2 classes"),
        (
            "C64 B99 P C50 | F256 F100",
            "a 3x3 convolution to 64 channels, a 3x3 convolution to 99 channels with batch norm, a 2x2 max "
            "pooling, a 3x3 convolution to 50 channels, a fully connected layer of 256, a fully connected layer "
            "of 100, and an output layer for 2 classes",
        ),
        (
            "B8 B8 B8 P P C8 | F5 F5",
            "3 convolutions of 3x3 to 8 channels with batch norm, 2 max poolings of 2x2, a 3x3 convolution to 8 "
            "channels, 2 fully connected layers of 5, and an output layer for 2 classes",
        ),
        (
            "C8 B8 C9 |",
            "a 3x3 convolution to 8 channels, a 3x3 convolution to 8 channels with batch norm, a 3x3 convolution "
            "to 9 channels, and an output layer for 2 classes",
        ),
    ],
)
def test_a_network_is_a_sentence_in_which_equal_neighbours_are_counted(text, words):
    assert describe(parse(text), 2) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (61, "1 min 01 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_a_span_of_time_is_told_in_the_two_units_that_matter(seconds, words):
    assert duration(seconds) == words


def test_a_noun_is_counted():
    assert [counted(n, "epoch") for n in (0, 1, 2, 1000)] == [
        "0 epochs",
        "1 epoch",
        "2 epochs",
        "1,000 epochs",
    ]


def test_searches_have_a_plural_of_their_own():
    assert [counted(n, "search") for n in (1, 2)] == ["1 search", "2 searches"]


def test_a_quantity_has_the_prefix_that_suits_it():
    words = [scaled(value, "B") for value in (0, 999, 1000, 999_949, 999_950, 1.24e9, 4.887e17)]
    assert words == ["0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "1.2 GB", "488.7 PB"]
    assert scaled(24_200, "") == "24.2 k"
