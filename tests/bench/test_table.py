from evosearch.bench.table import Figure, Measure, markdown, measures_markdown


def test_a_figure_beyond_its_floor_is_called_missed():
    assert Figure("x", 2.0, "ms", 1.0).verdict == "MISSED"
    assert markdown([Figure("x", 1.0, "ms", 1.0)]).endswith("| x | 1 ms | 1 ms | holds |")


def test_a_measure_is_the_median_of_its_rounds_with_their_spread():
    measure = Measure("overhead", "evosearch", (3.0, 1.0, 1.5), "%", at_most=2.0)
    assert (measure.value, measure.holds) == (1.5, True)
    assert measures_markdown([measure]).splitlines() == [
        "| measure | value | target | contender |",
        "|---|---|---|---|",
        "| overhead | 1.5 % (1 to 3) | at most 2 %: holds | evosearch |",
    ]


def test_a_missed_target_is_said_in_both_directions():
    assert Measure("x", "c", (3.0,), "%", at_most=2.0).holds is False
    below = Measure("x", "c", (94.0,), "%", at_least=95.0)
    assert below.holds is False
    assert "| at least 95 %: MISSED |" in measures_markdown([below])


def test_details_stand_in_the_document_only():
    measure = Measure("x", "c", (1.0,), "s", detail=True)
    assert "x" not in measures_markdown([measure]).split("\n", 2)[-1].removeprefix("|---|---|---|---|")
    assert measure.to_json()["value"] == 1.0


def test_what_could_not_be_measured_says_why():
    measure = Measure("x", "Ray Tune", (), "%", at_most=1.0, note="it is not installed")
    assert (measure.value, measure.holds) == (None, None)
    assert "| not measured: it is not installed |" in measures_markdown([measure])


def test_large_numbers_are_written_out():
    assert "| 2,290 % |" in measures_markdown([Measure("x", "c", (2290.4,), "%")])
