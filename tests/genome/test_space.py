import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.errors import ConfigError
from evosearch.genome import Chromosome, Conv, Pool, SearchSpace, sample


def draws(count: int, space: SearchSpace | None = None) -> list[Chromosome]:
    rng = np.random.default_rng(0)
    return [sample(space or SearchSpace(), rng) for _ in range(count)]


@given(st.integers(0, 2**32))
def test_a_random_chromosome_keeps_to_the_papers_ranges(seed: int) -> None:
    chromosome = sample(SearchSpace(), np.random.default_rng(seed))
    assert 5 <= len(chromosome.convolutions) <= 8
    assert 1 <= chromosome.poolings <= 5
    assert 1 <= len(chromosome.tail) <= 4
    assert all(50 <= gene.channels <= 100 for gene in chromosome.convolutions)
    assert all(100 <= gene.units <= 500 for gene in chromosome.tail)


def test_every_end_of_every_range_is_drawn() -> None:
    drawn = draws(2000)
    assert {len(chromosome.convolutions) for chromosome in drawn} == {5, 6, 7, 8}
    assert {chromosome.poolings for chromosome in drawn} == {1, 2, 3, 4, 5}
    assert {len(chromosome.tail) for chromosome in drawn} == {1, 2, 3, 4}
    channels = {gene.channels for chromosome in drawn for gene in chromosome.convolutions}
    assert channels == set(range(50, 101))


@pytest.mark.parametrize("name", ["convolutions", "channels", "poolings", "dense", "units"])
def test_a_range_whose_end_is_absurd_is_an_objection_with_its_key_and_the_limit(name: str) -> None:
    (found,) = SearchSpace(**{name: (1, 10**20)}).objections()  # type: ignore[arg-type] # ranges, all of them
    assert found.startswith(f"space.{name} is [1, {10**20}]; its upper bound must be at most 1")
    most = int(found.rpartition(" ")[2].replace(",", ""))
    assert SearchSpace(**{name: (1, most)}).objections() == ()  # type: ignore[arg-type] # likewise
    assert SearchSpace(**{name: (1, most + 1)}).objections() != ()  # type: ignore[arg-type] # likewise


def test_limits_that_no_device_has_are_objections() -> None:
    assert SearchSpace().objections() == ()
    found = SearchSpace(max_parameters=10**20, max_memory=10**20).objections()
    assert [line.partition(" is ")[0] for line in found] == ["space.max_parameters", "space.max_memory"]


def test_half_the_convolutions_have_batch_norm_unless_configured() -> None:
    genes = [gene for chromosome in draws(1000) for gene in chromosome.convolutions]
    assert 0.47 < sum(gene.batch_norm for gene in genes) / len(genes) < 0.53
    assert all(g.batch_norm for c in draws(20, SearchSpace(batch_norm=1)) for g in c.convolutions)
    assert not any(g.batch_norm for c in draws(20, SearchSpace(batch_norm=0)) for g in c.convolutions)


def test_a_fair_coin_decides_the_first_gene() -> None:
    first = [isinstance(chromosome.head[0], Pool) for chromosome in draws(2000)]
    assert 0.45 < np.mean(first) < 0.55


def test_the_coin_is_tossed_for_each_position_until_one_kind_is_used_up() -> None:
    # with one of each kind at either place, both orders are equally likely
    heads = [str(c) for c in draws(2000, SearchSpace((1, 1), (8, 8), 0, (2, 2), (0, 0)))]
    shares = {head: heads.count(head) / 2000 for head in set(heads)}
    # P(conv first) = 1/2; P(pool conv pool) = 1/4; P(pool pool conv) = 1/4
    assert shares == pytest.approx({"C8 P P |": 0.5, "P C8 P |": 0.25, "P P C8 |": 0.25}, abs=0.04)


def test_the_same_seed_draws_the_same_chromosome() -> None:
    assert draws(20) == draws(20)
    assert len(set(draws(20))) == 20


def test_a_narrow_space_draws_what_it_says() -> None:
    (chromosome,) = draws(1, SearchSpace((2, 2), (7, 7), 0, (0, 0), (0, 0)))
    assert chromosome == Chromosome((Conv(7), Conv(7)), ())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"channels": (100, 50)}, r"space.channels is \[100, 50\]; the lower bound comes first: \[50, 100\]"),
        ({"convolutions": (0, 3)}, r"space.convolutions is \[0, 3\]; its lower bound must be at least 1"),
        ({"poolings": (-1, 3)}, r"space.poolings is \[-1, 3\]; its lower bound must be at least 0"),
        ({"units": (0, 3)}, "space.units"),
        ({"batch_norm": 1.5}, "space.batch_norm is 1.5; a chance lies between 0 and 1"),
        ({"batch_norm": float("nan")}, "space.batch_norm is nan"),
        ({"max_parameters": 0}, "space.max_parameters is 0; it must be at least 1"),
        ({"max_memory": 0}, "space.max_memory is 0; give bytes"),
    ],
)
def test_nonsense_is_refused_by_the_name_of_its_key(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SearchSpace(**values)
