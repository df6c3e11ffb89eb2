import os
import sys

import pytest

from workers.benchmarks.contenders import (
    missing_for_tune,
    private_cluster,
    run_tasks,
    run_tune,
    run_tuned_tune,
    silence,
)
from workers.benchmarks.sleepers import Nap, read_notes

SLOTS = 2
NAPS = [*(Nap(0.0, gate=SLOTS),) * SLOTS, *(Nap(0.01 * number) for number in range(5))]


def test_without_its_dependencies_ray_tune_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.tune", None)  # as if it could not be imported
    assert "ray.tune" in missing_for_tune()


def test_silence_holds_for_both_outputs_and_ends(capfd):
    with silence():
        os.write(1, b"result\n")
        os.write(2, b"warning\n")
    os.write(1, b"after\n")
    assert capfd.readouterr() == ("after\n", "")


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("hand_out", [run_tasks, run_tuned_tune, run_tune])
def test_every_contender_takes_every_nap_and_prints_nothing(hand_out, tmp_path, capfd):
    if hand_out is not run_tasks and (reason := missing_for_tune()):
        pytest.skip(reason)
    with private_cluster(SLOTS):
        hand_out(NAPS, SLOTS, str(tmp_path))
    naps = read_notes(str(tmp_path))
    assert sorted(nap.seconds for nap in naps) == [nap.seconds for nap in NAPS[SLOTS:]]
    assert all(nap.end is not None for nap in naps)
    assert capfd.readouterr().out == ""
