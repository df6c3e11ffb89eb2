import pytest

from evosearch.errors import InvalidChromosomeError
from evosearch.genome import Conv, Dense, Pool


def test_genes_print_as_one_word_each() -> None:
    assert [str(gene) for gene in (Conv(64), Conv(99, batch_norm=True), Pool(), Dense(256))] == [
        "C64",
        "B99",
        "P",
        "F256",
    ]


def test_a_convolution_without_channels_is_refused() -> None:
    with pytest.raises(InvalidChromosomeError, match="at least 1 output channel, found 0"):
        Conv(0)


def test_a_dense_layer_without_units_is_refused() -> None:
    with pytest.raises(InvalidChromosomeError, match="at least 1 unit, found -3"):
        Dense(-3)
