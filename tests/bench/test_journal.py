from evosearch.bench.journal import hold, measure_memory, resident


def test_the_memory_of_a_driver_is_looked_at_ten_times_on_its_way(tmp_path):
    held = hold(tmp_path, 220)
    assert list(held) == list(range(22, 221, 22))
    assert all(mebibytes > 1 for mebibytes in held.values())


def test_a_process_has_held_at_most_as_much_as_it_ever_held():
    assert 1 < resident("VmRSS") <= resident("VmHWM")


def test_growth_is_told_of_the_second_half_and_in_a_process_of_its_own():
    first, last, growth = measure_memory(220)
    assert "after 22 " in first.what
    assert "after 220 " in last.what
    assert "from 110 to 220" in growth.what
    assert growth.at_most is not None
