"""`--seeds`: which seeds a text names, and what is none."""

import pytest

from evosearch.cli.options import MOST_SEEDS, parse_seeds
from evosearch.errors import InputError


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0..4", (0, 1, 2, 3, 4)),
        ("3..3", (3,)),
        ("5", (5,)),
        ("0,3,7", (0, 3, 7)),
        ("7,0..2", (7, 0, 1, 2)),
    ],
)
def test_a_range_has_both_its_ends_and_a_list_keeps_its_order(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("4..0", "the lower end comes first: 0..4"),
        ("a", "'a' is no seed; write 0..4 (both included), 0,3,7 or 5"),
        ("-1", "'-1' is no seed; write "),
        ("0..-1", "'0..-1' is no seed; write "),
        ("1.5", "'1.5' is no seed; write "),
        ("0...4", "'0...4' is no seed; write "),
        ("1, 2", "' 2' is no seed; write "),
        ("", "'' is no seed; write "),
        ("1,", "'' is no seed; write "),
        ("٣", "'٣' is no seed; write "),
        ("9" * 5000, "'999"),
        ("3,1,3", "3 is there twice; name each seed once"),
        ("0..4,2..6", "2 is there twice; name each seed once"),
        ("0..999999999999999999", "these are more than 1000 seeds; take fewer"),
    ],
)
def test_what_names_no_seeds_is_told_with_its_text_and_the_repair(text, reason):
    with pytest.raises(InputError) as refused:
        parse_seeds(text)
    assert str(refused.value).startswith(f"--seeds {text}: {reason}")


def test_the_most_seeds_are_allowed_and_no_more():
    assert len(parse_seeds(f"1..{MOST_SEEDS}")) == MOST_SEEDS
    for text in (f"0..{MOST_SEEDS}", f"0,1..{MOST_SEEDS}", f"1..{MOST_SEEDS},0"):
        with pytest.raises(InputError, match="take fewer"):
            parse_seeds(text)
