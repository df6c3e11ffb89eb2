"""Studies on real networks: killed once, each goes on and ends with the table of an undisturbed one. `make test-studies`."""

import json
import signal
from pathlib import Path

import pytest

from tests.test_killed import Command, nothing_is_left_running, run

__all__ = ["nothing_is_left_running"]

SEARCH = """
seed: 3
data: {name: digits}
space: {convolutions: [1, 2], channels: [4, 8], poolings: [0, 1], dense: [1, 1], units: [8, 16]}
strategy: {population: 3, generations: 2, elites: 1, immigrants: 0}
training: {epochs: 1, batch_size: 64, learning_rate: 3e-3}
workers: {count: 2}
final: {epochs: 2}
"""
STUDIES = {
    "baselines": "{kind: baselines, networks: [evolved, squeezenet1_1, {network: C8 P | F8, name: mine}]}",
    "ablation": "{kind: ablation, arms: [random, eavl, eavl_proportional], random: 4}",
    "batchnorm": "{kind: batchnorm, network: C8 B8 P | F8, seeds: [0], optimizers: [sgd, adam]}",
    # no grid: how many trainings it has is measured
    "dropout": "{kind: dropout, networks: [C8 P | F8], arms: [ga, fixed, random, first, weighted], sample: 0.3, "
    "pretrain_epochs: 1, population: 4, cycle: 2, mask_epochs: 2}",
}


def results(home: Path, kind: str) -> dict[str, object]:
    """The table without what was measured by a clock."""
    document = json.loads(run(home, "results", kind, "--format", "json"))
    assert document["finished"]
    members = [one for arm in document["arms"] for one in arm["members"]]
    for one in members:
        del one["worker_seconds"]
    rows = [row["figures"] for row in document["comparison"]["rows"]]
    return {"fingerprint": document["fingerprint"], "members": members, "rows": rows}


@pytest.mark.studies
@pytest.mark.parametrize("kind", STUDIES)
def test_a_study_that_is_killed_once_ends_with_the_table_of_an_undisturbed_one(tmp_path, kind):
    file = tmp_path / f"{kind}.yaml"
    file.write_text(f"{SEARCH}study: {STUDIES[kind]}\n")
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    run(undisturbed, kind, str(file), "--executor", "local")
    command = Command(killed, kind, str(file), "--executor", "local")
    command.wait_for_evaluations(2)
    assert command.process.poll() is None, "it ended before it could be killed: give the test more work"
    command.end(signal.SIGKILL)
    run(killed, kind, str(file), "--executor", "local")
    assert results(killed, kind) == results(undisturbed, kind)
