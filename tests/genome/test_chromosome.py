import pickle

import pytest

from evosearch.errors import InvalidChromosomeError
from evosearch.genome import Chromosome, Conv, Dense, Pool

CHROMOSOME = Chromosome((Conv(64), Conv(99, batch_norm=True), Pool(), Conv(50)), (Dense(256), Dense(100)))


def test_a_chromosome_reads_as_one_line() -> None:
    assert str(CHROMOSOME) == "C64 B99 P C50 | F256 F100"
    assert str(Chromosome((Conv(8),), ())) == "C8 |"


def test_convolutions_and_poolings_are_told_apart() -> None:
    assert CHROMOSOME.convolutions == (Conv(64), Conv(99, batch_norm=True), Conv(50))
    assert CHROMOSOME.poolings == 1


def test_the_key_is_the_same_on_every_machine_and_in_every_version() -> None:
    # journals hold these keys, so the value itself is the contract; this one comes from sha256sum
    assert CHROMOSOME.key == "856bd87fffaab32c99f5"
    assert pickle.loads(pickle.dumps(CHROMOSOME)).key == CHROMOSOME.key


def test_batch_norm_and_order_change_the_key() -> None:
    keys = {
        Chromosome(head, ()).key
        for head in ((Conv(8), Pool()), (Pool(), Conv(8)), (Conv(8, batch_norm=True), Pool()))
    }
    assert len(keys) == 3


def test_an_empty_head_is_refused() -> None:
    with pytest.raises(InvalidChromosomeError, match="at least one gene before the '\\|', found none"):
        Chromosome((), (Dense(8),))


def test_a_gene_in_the_wrong_part_is_named() -> None:
    with pytest.raises(InvalidChromosomeError, match=r"Dense\(units=8\) is no gene of a head"):
        Chromosome((Dense(8),), ())
    with pytest.raises(InvalidChromosomeError, match=r"Pool\(\) is no gene of a tail"):
        Chromosome((Conv(8),), (Pool(),))
