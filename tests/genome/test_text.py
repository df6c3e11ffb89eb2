import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.errors import InvalidChromosomeError
from evosearch.genome import Chromosome, Conv, Dense, Pool, from_json, parse, to_json

SIZES = st.integers(1, 9_999_999)
CHROMOSOMES = st.builds(
    Chromosome,
    st.lists(st.builds(Conv, SIZES, st.booleans()) | st.just(Pool()), min_size=1).map(tuple),
    st.lists(st.builds(Dense, SIZES)).map(tuple),
)


@given(CHROMOSOMES)
def test_the_text_form_reads_back_to_an_equal_chromosome(chromosome: Chromosome) -> None:
    assert parse(str(chromosome)) == chromosome


@given(CHROMOSOMES)
def test_the_json_form_reads_back_through_real_json(chromosome: Chromosome) -> None:
    assert from_json(json.loads(json.dumps(to_json(chromosome)))) == chromosome


def test_a_person_may_space_the_text_as_they_like() -> None:
    assert parse("  C64  B99 P|F256 ") == Chromosome(
        (Conv(64), Conv(99, batch_norm=True), Pool()), (Dense(256),)
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("C64 P", "'C64 P' has no '|' between head and tail"),
        ("", "has no '|'"),
        ("| F100", "at least one gene before the '|'"),
        ("C64 F100 | F10", "'F100' before the '|' is no gene; write C64"),
        ("C64 | C100", "'C100' after the '|' is no gene; write F256"),
        ("C64 | F1 | F2", "'|' after the '|' is no gene"),
        ("C0 |", "'C0' before"),
        ("C064 |", "'C064' before"),
        ("c64 |", "'c64' before"),
        ("C |", "'C' before"),
        ("C-5 |", "'C-5' before"),
        ("P2 |", "'P2' before"),
        ("C٣ |", "'C٣' before"),
        ("C64 | F1.5", "'F1.5' after"),
    ],
)
def test_a_text_that_is_no_chromosome_is_refused_by_its_word(text: str, message: str) -> None:
    with pytest.raises(InvalidChromosomeError) as refused:
        parse(text)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        {"head": [{"kind": "conv", "channels": 8, "batch_norm": False}]},
        {"head": [], "tail": []},
        {"head": [{"kind": "dense", "units": 8}], "tail": []},
        {"head": [{"kind": "pool"}], "tail": [{"kind": "pool"}]},
        {"head": [{"kind": "conv", "channels": 2.5, "batch_norm": False}], "tail": []},
        {"head": [{"kind": "conv", "channels": "8", "batch_norm": False}], "tail": []},
        {"head": [{"kind": "conv", "channels": 8, "batch_norm": "no"}], "tail": []},
        {"head": [{"kind": "skip", "channels": 8, "batch_norm": False}], "tail": []},
        {"head": [{"kind": "conv", "channels": 0, "batch_norm": False}], "tail": []},
        {"head": ["P"], "tail": []},
    ],
)
def test_a_document_that_is_no_chromosome_is_refused(document: object) -> None:
    with pytest.raises(InvalidChromosomeError):
        from_json(document)
