import numpy as np
import pytest

from evosearch.errors import SearchConflictError
from evosearch.studies import comparison
from evosearch.studies.comparison import Arm, compare
from tests.studies.answers import arm_of, drawn_arm, shuffled_arm


def compared(first, second, seed=0, draws=2000):
    return compare([first, second], second.name, seed, draws)[0].comparison


@pytest.mark.parametrize(("seeds", "spread"), [(1, 0.0), (3, 0.0), (3, 0.03), (5, 0.02)])
def test_of_100_pairs_of_equal_arms_at_least_95_show_no_difference(monkeypatch, seeds, spread):
    monkeypatch.setattr(comparison, "PERMUTATIONS", 499)
    monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels asks for it at every table: most of the time
    rng = np.random.default_rng(seeds)
    verdicts = [
        compared(
            *(drawn_arm(rng, name, 0.8, seeds, spread=spread) for name in "ab"), seed=number, draws=500
        ).verdict
        for number in range(100)
    ]
    assert verdicts.count("no difference") >= 95


@pytest.mark.parametrize("seeds", [1, 2, 3, 5, 8])
def test_ten_points_on_600_images_are_found_among_ten_arms(seeds):
    rng = np.random.default_rng(1)
    arms = [shuffled_arm(rng, f"arm{number}", 420, seeds) for number in range(9)]
    arms.append(shuffled_arm(rng, "evolved", 480, seeds))
    figures = compare(arms, "evolved", seed=0, draws=2000)
    assert {one.comparison.verdict for one in figures[:-1]} == {"worse"}
    assert figures[-1].comparison is None
    assert compared(arms[-1], arms[0]).verdict == "better"


def test_the_figures_of_two_arms_by_hand():
    first = arm_of("first", [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]])
    second = arm_of("second", [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]])
    figures, reference = compare([first, second], "second", seed=0)
    assert figures.accuracies == (0.75, 0.5, 1.0)
    assert (figures.accuracy, figures.deviation) == (0.75, 0.25)
    found = figures.comparison
    assert found.difference == pytest.approx(0.75 - (0.25 + 0.5 + 0.5) / 3)
    # discordant images: two for the first, none, two for the first; two coins fall alike half the time
    assert found.mcnemar == (0.5, 1.0, 0.5)
    # over the images, differences 1 2 1 0: of 8 signs two are as one-sided
    assert found.p == 2 / 8
    # over the seeds 2 0 2: t = 2 with two degrees of freedom, whose tail has a closed form
    assert found.seeds_p == pytest.approx(1 - 2 / 6**0.5)
    assert found.verdict == "no difference"
    assert reference.comparison is None


def test_a_pair_alone_is_tested_by_mcnemar_and_seeds_are_not():
    first, second = (
        arm_of("a", [[True] * 30 + [False] * 70]),
        arm_of("b", [[False] * 20 + [True] * 10 + [False] * 70]),
    )
    figures = compare([first, second], "b", seed=0)[0]
    found = figures.comparison
    assert found.p == found.mcnemar[0] == pytest.approx(2 * 0.5**20)
    assert figures.deviation is None
    assert found.seeds_p is None
    assert found.sentence == "better than b; seeds were not tested (1 pair, 3 are needed)"


def test_with_two_seeds_it_is_said_that_seeds_were_not_tested():
    rng = np.random.default_rng(0)
    found = compared(drawn_arm(rng, "a", 0.8, 2), drawn_arm(rng, "b", 0.8, 2))
    assert found.sentence == "no difference beyond chance; seeds were not tested (2 pairs, 3 are needed)"


def test_an_arm_held_against_its_own_answers_differs_in_nothing():
    right = np.random.default_rng(0).random((5, 200)) < 0.7
    found = compared(arm_of("a", right), arm_of("b", right))
    assert (found.difference, found.interval, found.p, found.p_holm) == (0, (0, 0), 1, 1)
    assert (found.not_better, found.not_worse, found.seeds_p) == (1, 1, 1)
    assert found.sentence == "no difference beyond chance"


def test_what_one_seed_contradicts_is_not_claimed_however_sure_the_images_are():
    rng = np.random.default_rng(0)
    first = np.concatenate([rng.random((4, 5000)) < 0.9, rng.random((1, 5000)) < 0.6])
    found = compared(arm_of("a", first), drawn_arm(rng, "b", 0.75, 5, images=5000), draws=500)
    assert found.p_holm < 0.001
    assert found.seeds_p > 0.05
    assert found.verdict == "no difference"


def test_many_seeds_need_not_all_agree():
    rng = np.random.default_rng(0)
    first = np.concatenate([rng.random((9, 600)) < 0.8, rng.random((1, 600)) < 0.6])
    found = compared(arm_of("a", first), drawn_arm(rng, "b", 0.7, 10))
    assert 2 / 2**10 < found.seeds_p < 0.05
    assert found.sentence == "better than b"


def test_few_seeds_that_agree_by_very_different_amounts_are_no_proof():
    rng = np.random.default_rng(0)
    first = np.concatenate([rng.random((1, 600)) < share for share in (0.76, 0.78, 0.95)])
    found = compared(arm_of("a", first), shuffled_arm(rng, "b", 420, 3))
    assert found.p_holm < 0.001
    assert found.interval[0] > 0
    assert (found.verdict, found.seeds_p > 0.05) == ("no difference", True)


def test_seeds_that_agree_by_the_same_amount_are():
    rng = np.random.default_rng(0)
    found = compared(shuffled_arm(rng, "a", 420, 3), shuffled_arm(rng, "b", 510, 3))
    assert (found.seeds_p, found.sentence) == (0.0, "worse than b")


def test_only_common_seeds_are_paired_and_the_others_are_named():
    rng = np.random.default_rng(0)
    right = rng.random((4, 300)) < 0.7
    first = arm_of("a", right, seeds=(3, 0, 1, 7))
    second = arm_of("b", right[[1, 0, 2]], seeds=(0, 3, 9))
    found = compared(first, second)
    assert (found.seeds, found.unpaired) == ((3, 0), (1, 7, 9))
    # seeds 0 and 3 have equal answers in both, wherever they are in the arrays
    assert (found.difference, found.mcnemar) == (0, (1, 1))


def test_without_a_common_seed_there_is_no_comparison():
    rng = np.random.default_rng(0)
    first, second = arm_of("a", rng.random((1, 50)) < 0.7, seeds=(1,)), drawn_arm(rng, "b", 0.7, 1, images=50)
    figures = compare([first, second], "b", seed=0)
    assert [one.comparison for one in figures] == [None, None]


def test_readings_of_different_test_splits_are_refused():
    rng = np.random.default_rng(0)
    right = rng.random((1, 50)) < 0.7
    arms = [arm_of("a", right, test_key="1" * 64), arm_of("b", right, test_key="2" * 64)]
    with pytest.raises(
        SearchConflictError, match=r"of 'a' are 111111111111 \(50 images\), those of 'b' 2222"
    ):
        compare(arms, "a", seed=0)


def test_labels_that_differ_are_refused_where_the_keys_are_unknown():
    rng = np.random.default_rng(0)
    arms = [drawn_arm(rng, "a", 0.7, 1, images=50), drawn_arm(rng, "b", 0.7, 1, images=60)]
    with pytest.raises(SearchConflictError, match="only readings of one test split can be compared"):
        compare(arms, "a", seed=0)


def test_equal_arguments_give_equal_figures_and_another_seed_others():
    rng = np.random.default_rng(0)
    arms = [drawn_arm(rng, "a", 0.75, 3), drawn_arm(rng, "b", 0.7, 3)]
    assert compare(arms, "b", seed=4) == compare(arms, "b", seed=4)
    assert compare(arms, "b", seed=4)[0].interval != compare(arms, "b", seed=5)[0].interval


def test_neither_the_memory_nor_the_other_arms_enter_the_draws(monkeypatch):
    monkeypatch.setattr(comparison, "PERMUTATIONS", 199)
    rng = np.random.default_rng(0)
    arms = [drawn_arm(rng, name, 0.7, 3) for name in "abc"]
    whole = compare(arms, "c", seed=0, draws=300)
    monkeypatch.setattr(comparison, "AT_ONCE", 600 * 7)
    assert compare(arms, "c", seed=0, draws=300) == whole
    alone = compare([arms[0], arms[2]], "c", seed=0, draws=300)[0]
    assert alone.interval == whole[0].interval
    assert alone.comparison.interval == whole[0].comparison.interval
    assert alone.comparison.p == whole[0].comparison.p


def test_the_bootstrap_has_the_spread_that_theory_gives():
    images, accuracy = 400, 0.8
    right = np.zeros((1, images), dtype=bool)
    right[0, : int(images * accuracy)] = True
    low, high = compare([arm_of("a", right)], "a", seed=0)[0].interval
    expected = 2 * 1.96 * np.sqrt(accuracy * (1 - accuracy) / images)
    assert high - low == pytest.approx(expected, rel=0.08)


def test_seeds_widen_the_interval():
    steady, wild = np.zeros((4, 400), dtype=bool), np.zeros((4, 400), dtype=bool)
    steady[:, :300] = True
    for row, count in zip(wild, (220, 380, 260, 340), strict=True):
        row[:count] = True
    widths = [np.diff(compare([arm_of("a", one)], "a", seed=0)[0].interval)[0] for one in (steady, wild)]
    assert widths[1] > 1.5 * widths[0]


def test_holm_multiplies_the_least_by_how_many_there_are():
    rng = np.random.default_rng(2)
    arms = [drawn_arm(rng, f"arm{number}", 0.72, 1) for number in range(4)]
    arms.append(drawn_arm(rng, "evolved", 0.8, 1))
    found = [one.comparison for one in compare(arms, "evolved", seed=0, draws=200)[:-1]]
    least = min(found, key=lambda one: one.p)
    assert least.p_holm == pytest.approx(4 * least.p)
    assert all(one.p_holm >= one.p for one in found)


def test_an_arm_refuses_what_does_not_fit():
    labels = np.zeros(3, dtype=np.int64)
    with pytest.raises(ValueError, match="different seeds"):
        Arm("a", (1, 1), labels, np.zeros((2, 3), dtype=np.int64))
    with pytest.raises(ValueError, match=r"predicts \(3, 2\), not \(2, 3\)"):
        Arm("a", (0, 1), labels, np.zeros((3, 2), dtype=np.int64))
    with pytest.raises(ValueError, match="figures for 1 seeds"):
        Arm("a", (0,), labels, np.zeros((1, 3), dtype=np.int64), believed=(0.5, 0.6))
    with pytest.raises(ValueError, match="must be one of"):
        compare([arm_of("a", [[1, 0]])], "b", seed=0)


def test_networks_of_one_search_are_no_seeds_of_their_own():
    rights = [np.arange(200) < count for count in (180, 181, 182)]
    first = arm_of("a", rights, (1, 2, 3), searches=(0, 0, 0))
    second = arm_of("b", [np.arange(200) < 100] * 3, (1, 2, 3), searches=(0, 0, 0))
    found = compared(first, second)
    assert (found.independent, found.seeds_p) == (1, None)
    assert found.sentence == "better than b; seeds were not tested (1 search, 3 are needed)"
    whole = arm_of("a", rights, (1, 2, 3)), arm_of("b", [np.arange(200) < 100] * 3, (1, 2, 3))
    assert compared(*whole).independent == 3


def test_an_arm_may_be_held_against_another_than_the_rest():
    rng = np.random.default_rng(0)
    arms = [drawn_arm(rng, name, 0.7, 3) for name in "abcd"]
    figures = compare(arms, {"a": "a", "b": "a", "c": "a", "d": "c"}, 0, 500)
    assert [one.comparison and one.comparison.reference for one in figures] == [None, "a", "a", "c"]
    alone = compare(arms[2:], "c", 0, 500)[1].comparison
    found = figures[3].comparison
    assert (found.difference, found.interval, found.p) == (alone.difference, alone.interval, alone.p)
    with pytest.raises(ValueError, match="must be one of"):
        compare(arms, {"d": "e"}, 0, 500)


def test_each_search_counts_alike_however_many_of_its_networks_were_read():
    seeds, searches = (1, 2, 101), (0, 0, 1)
    first = arm_of("a", [np.arange(200) < count for count in (100, 100, 160)], seeds, searches=searches)
    second = arm_of("b", [np.arange(200) < 100] * 3, seeds, searches=searches)
    figures = compare([first, second], "b", seed=0, draws=2000)[0]
    assert figures.accuracy == pytest.approx((0.5 + 0.8) / 2)
    assert figures.comparison.difference == pytest.approx((0 + 0.3) / 2)
    low, high = figures.comparison.interval
    assert (low, high) == pytest.approx((0, 0.35), abs=0.03), "the draws lie around the figure"


def test_networks_of_several_searches_are_drawn_by_search():
    rights = [np.arange(200) < count for count in (120, 120, 180, 180)]
    by_search = compare([arm_of("a", rights, searches=(0, 0, 1, 1))], "a", seed=0)[0]
    by_network = compare([arm_of("a", rights)], "a", seed=0)[0]
    assert by_search.accuracy == by_network.accuracy
    assert by_search.interval[1] - by_search.interval[0] > by_network.interval[1] - by_network.interval[0]


def test_each_arm_may_be_held_against_another():
    arms = [arm_of(name, [[1, 1, 1, 0]]) for name in "abcd"]
    found = compare(arms, {"a": "b", "b": "b", "c": "d", "d": "d"}, seed=0, draws=50)
    assert [one.comparison and one.comparison.reference for one in found] == ["b", None, "d", None]
    alone = compare(arms, {"a": "b", "b": "b"}, seed=0, draws=50)
    assert [one.comparison and one.comparison.reference for one in alone] == ["b", None, None, None]
    with pytest.raises(ValueError, match="must be one of"):
        compare(arms, {"a": "x"}, seed=0)
