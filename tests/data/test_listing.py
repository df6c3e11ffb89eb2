from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from evosearch.data import DigitsSettings
from evosearch.data.listing import SPLITS, Item, cut_missing


def items(*per_class: int) -> tuple[Item, ...]:
    return tuple(Item(f"{label}/{i}", label) for label, count in enumerate(per_class) for i in range(count))


def test_test_takes_its_share_of_all_and_validation_of_the_rest() -> None:
    splits = cut_missing({"train": items(100, 50)}, DigitsSettings())
    counts = {split: Counter(item.label for item in splits[split]) for split in SPLITS}
    assert counts == {"train": {0: 64, 1: 32}, "validation": {0: 16, 1: 8}, "test": {0: 20, 1: 10}}


@given(
    st.lists(st.integers(3, 30), min_size=2, max_size=4),
    st.floats(0.01, 0.99),
    st.floats(0.01, 0.99),
    st.integers(0, 2**40),
)
def test_a_cut_loses_nothing_and_leaves_every_class_of_three_in_every_split(
    per_class: list[int], test: float, validation: float, seed: int
) -> None:
    given_items = items(*per_class)
    settings = DigitsSettings(test_fraction=test, validation_fraction=validation, split_seed=seed)
    splits = cut_missing({"train": given_items}, settings)
    assert sorted((i for split in SPLITS for i in splits[split]), key=given_items.index) == list(given_items)
    if test < 0.5:  # a larger test split may leave a single image of three
        assert all({i.label for i in splits[split]} == set(range(len(per_class))) for split in SPLITS)


def test_the_cut_follows_the_split_seed_alone() -> None:
    cut = [cut_missing({"train": items(20, 20)}, DigitsSettings(split_seed=seed)) for seed in (0, 0, 1)]
    assert cut[0] == cut[1]
    assert cut[0]["test"] != cut[2]["test"]


def test_splits_that_are_given_stay_as_they_are() -> None:
    test = items(7, 7)
    splits = cut_missing({"train": items(10, 10), "test": test}, DigitsSettings())
    assert splits["test"] == test
    assert (len(splits["train"]), len(splits["validation"])) == (16, 4)
