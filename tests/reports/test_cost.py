"""What a search would cost."""

import json
import re
from dataclasses import replace

import pytest

from evosearch.blueprint import ImageShape, Problem, blueprint_of, training_memory
from evosearch.evaluation import TrainingSettings
from evosearch.genome import parse
from evosearch.reports import StudyCost, cost_lines, estimate_cost, measured
from evosearch.reports.words import duration
from evosearch.studies import ArmBudget

IMAGE = ImageShape(1, 8, 8)
SMALL, LARGE = (blueprint_of(parse(text), Problem(IMAGE, 2), 0.0) for text in ("C4 |", "C4 C8 | F16"))
TRAINING = TrainingSettings(epochs=10, batch_size=16, precision="fp32")


def test_a_training_is_three_forward_passes_over_every_image_in_every_epoch():
    forward = 64 * 9 * 4  # multiplications of the convolution: 64 pixels, 3x3, 1 to 4 channels
    assert SMALL.flops >= forward
    cost = estimate_cost([SMALL], 1, 100, TRAINING)
    assert cost.training_flops.median == 3 * SMALL.flops * 100 * 10
    assert cost.total_flops == cost.training_flops.median


def test_the_whole_search_is_the_mean_of_the_first_population_times_the_trainings():
    cost = estimate_cost([SMALL, LARGE, LARGE], 810, 100, TRAINING)
    mean = (SMALL.flops + 2 * LARGE.flops) / 3
    assert cost.total_flops == pytest.approx(810 * 3 * mean * 100 * 10)
    assert (cost.parameters.least, cost.parameters.median, cost.parameters.greatest) == (
        *(SMALL.parameters, LARGE.parameters, LARGE.parameters),
    )
    assert cost.memory.greatest == training_memory(LARGE, 16, "adam").total


@pytest.mark.parametrize(
    ("images", "steps"),
    [(16, 1), (32, 2), (33, 2), (34, 3), (47, 3), (2, 1), (1, 1)],
)
def test_the_last_batch_counts_unless_it_is_a_single_image(images, steps):
    """The trainer puts a single left-over image into the batch before it."""
    cost = estimate_cost([SMALL], 1, images, TRAINING)
    assert cost.steps == 10 * steps


def test_as_json():
    document = json.loads(json.dumps(estimate_cost([SMALL], 7, 100, TRAINING).to_json()))
    assert document["trainings"] == 7
    assert document["parameters"] == dict.fromkeys(("least", "median", "greatest"), SMALL.parameters)


def test_as_lines():
    lines = cost_lines(estimate_cost([SMALL, LARGE], 1000, 100, TRAINING))
    assert lines[0] == "1,000 trainings of 10 epochs, 70 steps each"
    assert [line.split("  ")[1] for line in lines[1:5]] == [
        *("parameters", "memory per step", "one training", "the whole search"),
    ]
    assert lines[1].split(" / ")[2] == f"{LARGE.parameters / 1e3:.1f} k"


WORKS = [(1.0, 2.0, 0.1, 0.1, 0.1), *[(1.0, 9.0, 1.0, 2.0, 0.5)] * 3]
MEMORY = {
    "host_memory": 700_000_000,
    "host_available": 1_000_000_000,
    "device_memory": None,
    "device_available": None,
}


def test_hours_are_those_of_all_trainings_shared_by_the_workers():
    found = measured(WORKS, {0: 10.0, 1: 30.0, 2: 30.0}, 100, 2, **MEMORY)
    assert found.seconds.median == pytest.approx(100 * 25 / 2, rel=1e-3)  # the mean of 10, 30, 30 and 30
    assert found.seconds.least <= found.seconds.median < found.seconds.greatest
    assert found.seconds.greatest == pytest.approx(100 * 30 / 2, rel=1e-3)
    assert found.networks == 3


def test_what_was_measured_is_told_in_hours_and_memory_with_what_there_is():
    cost = estimate_cost([SMALL], 100, 100, TRAINING)
    here = measured(WORKS, {0: 1000.0}, 100, 2, **MEMORY)
    lines = cost_lines(replace(cost, measured=here))[7:]
    assert re.fullmatch(r"  time {14}about \d+ h \d\d min on 2 workers of this machine,", lines[0])
    assert lines[3] == "  memory of host    1.4 GB for 2 workers; 1.0 GB are there: TOO LITTLE"
    gpu = replace(here, device_memory=2_000_000_000, device_available=80_000_000_000)
    assert cost_lines(replace(cost, measured=gpu))[-1] == (
        "  memory of GPU     2.0 GB for the largest network; 80.0 GB are there"
    )


def test_of_a_study_the_hours_of_what_is_evolved_are_counted_arm_by_arm():
    cost = estimate_cost([SMALL], 100, 100, TRAINING)
    here = measured(WORKS, {0: 36.0}, 100, 1, **MEMORY)
    each = here.seconds.median / 100
    arms = (ArmBudget("evolved", 3, 100, evolved=True), ArmBudget("resnet18", 3, 1, evolved=False))
    lines = cost_lines(replace(cost, measured=here, study=StudyCost(arms, 2, 50)))
    start = next(place for place, line in enumerate(lines) if line.startswith("the whole study"))
    assert lines[start].startswith(
        "the whole study: 303 trainings of 10 epochs, then 12 final trainings of 50 epochs"
    )
    assert lines[start + 1] == (
        f"  evolved: 3 x 100 trainings, 6 final trainings, about {duration(3 * (100 + 2 * 5) * each)}"
    )
    assert lines[start + 2] == "  resnet18: 3 x 1 training, 6 final trainings, time not counted"


def test_of_a_study_that_evolves_nothing_the_hours_of_all_it_trains_are_told():
    cost = estimate_cost([SMALL] * 2, 2, 100, TRAINING)
    here = measured(WORKS, {0: 36.0}, 2, 1, **MEMORY)
    each = here.seconds.median / 2
    arms = (ArmBudget("a-ga", 3, 1, evolved=False), ArmBudget("a-grid", 3, None, evolved=False))
    lines = cost_lines(replace(cost, measured=here, study=StudyCost(arms, 2, 50, listed=True)))
    assert lines[-1] == (
        f"  about {duration((3 + 12 * 50 / TRAINING.epochs) * each)} for these, as if each network were trained equally often"
    )


def test_why_nothing_was_measured_is_told():
    cost = estimate_cost([SMALL], 100, 100, TRAINING)
    lines = cost_lines(replace(cost, unmeasured="no worker was ready"))
    assert lines[-1] == "  not measured      no worker was ready"
    assert len(cost_lines(cost)) == len(lines) - 1


def test_what_auto_means_is_said_to_be_decided_by_the_first_worker_and_what_it_would_be_here():
    auto = estimate_cost([SMALL], 1, 100, replace(TRAINING, precision="auto"))
    decides = "  precision         auto, which the first worker that joins decides"
    by = "bf16 on GPUs from compute capability 8.0 on and CPUs with avx512_bf16 or AMX, else fp32"
    assert f"{decides}: {by}" in cost_lines(auto)
    # where no step was measured, too
    here = replace(auto, auto_here="bf16", unmeasured="a step takes more than 15 s")
    assert f"{decides}; on this machine it means bf16" in cost_lines(here)
    assert not [line for line in cost_lines(estimate_cost([SMALL], 1, 100, TRAINING)) if "precision" in line]


def test_who_has_tf32_is_told():
    named = estimate_cost([SMALL], 1, 100, replace(TRAINING, precision="tf32"))
    told = "  precision         tf32, which GPUs have from compute capability 8.0 on, and CPUs have not"
    assert told in cost_lines(named)
