import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from evosearch.bench import contenders, evaluate, gates, image_files, ordinary
from evosearch.bench.contenders import Ordinary, Ours, as_argument, environment, laid_out, rungs
from evosearch.bench.evaluate import (
    Effort,
    default_precision,
    measure_evaluate,
    measure_gates,
    next_to_the_median,
)
from evosearch.bench.evaluate_report import Machine, Report
from evosearch.bench.gates import (
    ALONE,
    BF16,
    CAPTURED,
    ONCE,
    captured_as_eager,
    each_image_once,
    packed_as_alone,
)
from evosearch.bench.image_files import covid_ct, prepare
from evosearch.bench.limits import Ceilings
from evosearch.bench.parts import Measured, Parts, Portion
from evosearch.bench.standing import Marks, Standing
from evosearch.errors import CannotRunError, DataError, InputError
from evosearch.evaluation import TrainingSettings
from evosearch.training import captured
from evosearch.training.batches import epoch_order
from tests.training.stand_in import StandIn
from workers.allocator import SETTINGS

WHOLE = Portion(160, 20)
NETWORKS = ("B2 | F3", "C3 | F4")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Named:
    name: str
    what: str = "double"
    precision: str = "fp32"
    together: int = 1
    gates: tuple = ()

    def run(self, networks, epochs, *, whole, luck=0):
        raise NotImplementedError


def measured(seconds, whole=None):
    """Three rounds of which the last and median one takes `seconds` per step and nothing else."""
    rounds = [{"a": Parts(0.0, seconds * factor, 0.0, 0.0)} for factor in (0.9, 1.1, 1.0)]
    one = Measured(rounds, limits={"a": seconds / 4}, unfused={"a": seconds / 2})
    one.whole = {"a": [3 * 10 * seconds if whole is None else whole]}
    return one


@pytest.fixture
def report():
    """Ours twice as fast as N1 and four times as fast as N0; N1m's whole trainings cost more than they should."""
    contenders = (
        Named("N0"),
        Named("N1"),
        Named("N1m"),
        Named("ours: bf16", gates=(ONCE, BF16)),
        Named("ours", gates=(ONCE,)),
    )
    found = {
        "N0": measured(0.4),
        "N1": measured(0.2),
        "N1m": measured(0.2, whole=3 * 10 * 0.2 * 1.06),
        "ours: bf16": measured(0.1),
        "ours": measured(0.1),
    }
    return Report(
        Machine("A CPU", "avx512_bf16", 2, "cpu"),
        32,
        100,
        "COVID-CT's files",
        True,
        WHOLE,
        3,
        contenders,
        found,
        Ceilings({"fp32": 1e11, "bf16": 2e11}, 1e10),
        {ONCE: True, BF16: False},
        {CAPTURED: "no CUDA device", "T1": "not there"},
    )


def test_the_document_has_systems_ratios_gates_and_what_was_skipped(report):
    document = json.loads(json.dumps(report.to_json()))
    assert {"machine", "size", "epochs", "gates", "systems", "ratios"} <= set(document)
    assert document["gates"] == {ONCE: True, BF16: False}
    assert set(document["skipped"]) == {CAPTURED, "T1"}
    ours = document["systems"]["ours"]
    assert ours["candidates_per_hour"] == pytest.approx(3600 / (100 * 10 * 0.1))
    assert ours["ms_per_step"] == pytest.approx(100.0)
    assert (ours["setup_ms"], ours["limit_fraction"]) == (0.0, pytest.approx(0.25))
    assert ours["spread"] == [pytest.approx(36 / 1.1), pytest.approx(36 / 0.9)]
    assert document["ratios"] == {"ours/N0": pytest.approx(4.0), "ours/N1": pytest.approx(2.0)}
    assert document["intervals"]["ours/N1"] == [pytest.approx(2.0), pytest.approx(2.0)]


def test_a_figure_is_void_without_its_gate_or_where_whole_trainings_disagree(report):
    assert report.void() == {
        "N1m": "whole trainings cost 1.060 times what is computed; 0.95 to 1.05 may stand",
        "ours: bf16": f"the gate '{BF16}' failed",
    }
    text = report.to_markdown()
    assert "| N1m | void | 200 | 0 | 25 % | 1.060 | double |" in text
    assert "| ours: bf16 | void | void | void | void | 1.000 | double |" in text, "no figure without its gate"
    assert "| ours/N1m | void |  |" in text
    assert f"- gate {BF16}: FAILED" in text
    assert "- skipped, T1: not there" in text
    failed = replace(report, gates={ONCE: False})
    assert "ours" in failed.void()
    assert [one["verdict"] for one in failed.targets()] == ["void", "void"]


def test_a_skipped_gate_makes_nothing_void(report):
    assert "ours: bf16" not in replace(report, gates={ONCE: True}).void()


def test_targets_are_told_with_their_verdict_on_one_screen(report):
    assert [(one["what"], one["verdict"]) for one in report.targets()] == [
        ("ours/N0", "held"),
        ("ours/N1", "held"),
    ]
    lines = report.to_markdown().splitlines()
    assert "| ours/N0 | 4.00 (4.00 to 4.00) | at least 3.2: held |" in lines
    assert "| ours/N1 | 2.00 (2.00 to 2.00) | not below 1.0: held |" in lines
    assert len(lines) < 40
    assert lines[0].startswith("evosearch ")
    assert "COVID-CT's files, 160 of 32 pixels, 100 epochs" in lines[0]


def test_epochs_only_scale_the_parts(report):
    longer = replace(report, epochs=200)
    assert longer.to_json()["systems"]["N0"]["candidates_per_hour"] == pytest.approx(
        report.to_json()["systems"]["N0"]["candidates_per_hour"] / 2
    )
    assert longer.targets() == longer.to_json()["shorter"] == []


def test_at_the_papers_epochs_a_few_are_told_too_from_the_same_parts(report):
    (shorter,) = report.to_json()["shorter"]
    assert (shorter["epochs"], shorter["ratios"]["ours/N1"]) == (8, pytest.approx(2.0))
    rows = [line for line in report.to_markdown().splitlines() if ", 8 epochs |" in line]
    assert rows == [
        "| ours/N0, 8 epochs | 4.00 (4.00 to 4.00) | at least 3.5: held |",
        "| ours/N1, 8 epochs | 2.00 (2.00 to 2.00) | at least 1.3: held |",
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 33}, "--size 33: images have a side of 32, 64 or 224 pixels"),
        ({"epochs": 0}, "--epochs 0: it must be from 1 to"),
    ],
)
def test_wrong_sizes_and_epochs_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        Effort(**wrong)


def test_a_device_that_is_not_there_is_refused_and_auto_takes_what_there_is(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert Effort().chosen == "cpu"
    with pytest.raises(InputError, match="--device cuda: torch sees no GPU here; write --device cpu"):
        _ = Effort(device="cuda").chosen
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert Effort().chosen == "cuda"
    assert Effort(device="cpu").chosen == "cpu"


def test_the_networks_are_the_frozen_ones_that_are_not_too_large_by_their_cost():
    assert len(Effort().trainable) == len(Effort(size=64).trainable) == 12
    assert 0 < len(Effort(size=224).trainable) < 12
    assert Effort(networks=("C90 C90 | F9", "C9 | F9")).trainable == ("C9 | F9", "C90 C90 | F9")


def test_the_gate_needs_real_images():
    with pytest.raises(InputError, match="EVOSEARCH_DATA names the folder that holds covid-ct"):
        measure_gates(Effort(), None, image_files.Path("nowhere"), print)


def test_ours_is_the_projects_default(monkeypatch):
    assert TrainingSettings().precision == "auto"
    for bf16, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(evaluate, "computes_bf16", lambda device, bf16=bf16: bf16)
        assert default_precision("cpu") == expected


def test_only_the_allocators_settings_tell_two_environments_apart(monkeypatch):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "7")
    monkeypatch.setattr("evosearch.bench.contenders.c_library", lambda: "glibc")
    plain, kept = environment(kept=False), environment(kept=True)
    assert "MALLOC_ARENA_MAX" not in plain
    assert kept.keys() - plain.keys() == set(SETTINGS)
    assert plain["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(
    ("portion", "expected"),
    [
        (Portion(40, 20), (0, 1, 2, 3, 4, 4, 5, 6, 7, 8)),
        (Portion(33, 32), (0, 2, 2, 4, 4, 6, 6, 8)),  # a single image joins the batch before it
        (Portion(9, 6), (2, 4, 6, 8)),
    ],
)
def test_marks_are_left_after_the_full_batches_and_after_all_of_training_and_of_validation(
    monkeypatch, portion, expected
):
    ticks = iter(range(100))
    monkeypatch.setattr("evosearch.bench.standing.used", lambda device: next(ticks))
    marks = Marks("cpu", portion)
    for count, many in enumerate(expected, 1):
        marks.step()
        assert len(marks.found) == many, count


def test_a_process_of_ours_that_dies_says_why_in_one_line(tmp_path):
    with pytest.raises(
        CannotRunError, match=r"^a process that trains for the benchmark ended: FileNotFoundError: [^\n]*$"
    ):
        Standing("cpu", tmp_path / "none", environment(kept=False))


def test_an_ordinary_loop_that_fails_says_why_in_one_line(tmp_path):
    job = ordinary.Job("C9 | F", 8, "cpu", True, "", "", 4, 2, 1)
    loop = Ordinary("N1", "", "fp32", job, (Portion(4, 2),) * 2, environment(kept=False))
    with pytest.raises(CannotRunError, match=r"^N1 failed: [^\n]*InvalidChromosomeError: [^\n]*$"):
        loop.run(["C9 | F"], 1, whole=True)


def test_a_program_laid_out_by_a_seed_has_its_memory_where_it_had_it_before():
    if not laid_out():
        pytest.skip("this system does not let a process choose where its memory lies")

    def address(luck):
        program = "import evosearch.bench.builder as it; print(id(it), hash('a'))"
        command = [*laid_out(), sys.executable, "-c", program]
        environment = {**os.environ, "PYTHONHASHSEED": str(luck)}
        return subprocess.run(command, check=True, capture_output=True, env=environment).stdout

    assert address(1) == address(1) != address(2)
    jobs = [ordinary.Job(network, 32, "cpu", True, "", "", 425, 118, 3) for network in NETWORKS]
    lengths = [{len(as_argument(job, luck)) for job in (*jobs, replace(jobs[0], train=9))} for luck in (0, 1)]
    assert len(lengths[0]) == len(lengths[1]) == 1
    assert lengths[0] != lengths[1], "how long a command is decides, too"


@pytest.mark.parametrize(
    ("size", "order"),
    [(32, [(0, False), (0, True), (1, False), (1, True)]), (64, [(0, False), (1, False), (1, True)])],
)
def test_each_round_has_its_own_luck_which_its_whole_trainings_share(few, monkeypatch, size, order):
    lucks = []

    def run(self, networks, epochs, *, whole, luck=0):
        lucks.append((self.name, whole, luck))
        return [[float(mark) for mark in range(4 * epochs + 1)] for _ in networks]

    monkeypatch.setattr(Ordinary, "run", run)
    monkeypatch.setattr(Ours, "run", run)
    effort = Effort(
        size, device="cpu", rounds=2, networks=NETWORKS, portion=few, cores=2, matrix=32, copied=1024
    )
    measure_evaluate(effort, None, [], print)
    begun = lucks.index(("N0", False, 0))  # before it the loading processes are chosen
    for name in ("N0", "N1", "N1p", "ours", "ours p"):
        found = [(luck, whole) for one, whole, luck in lucks[begun:] if one == name]
        assert list(dict.fromkeys(found)) == order, name


def test_covid_ct_is_looked_for_where_the_data_sets_are(tmp_path):
    assert covid_ct({}) is covid_ct({"EVOSEARCH_DATA": str(tmp_path)}) is None
    (tmp_path / "covid-ct").mkdir()
    assert covid_ct({"EVOSEARCH_DATA": str(tmp_path)}) == tmp_path / "covid-ct"


@pytest.fixture
def few(monkeypatch):
    """Few drawn images."""
    monkeypatch.setattr(image_files, "DRAWN", {"train": 21, "val": 10, "test": 2})
    monkeypatch.setattr(image_files, "SIDES", (40, 30))
    return Portion(9, 6, batch=16)


def test_ordinary_loops_and_ours_get_the_same_images_in_the_same_order(tmp_path, few):
    files = prepare(32, None, tmp_path, few)
    first, whole = image_files.pickle.loads(files.data.read_bytes())
    decoded = torch.load(files.decoded)
    listed = json.loads(files.listed.read_text())
    assert (files.what, files.real) == ("drawn files", False)
    assert files.whole == Portion(21, 10)
    for name, split in (("train", whole.train), ("validation", whole.validation)):
        labels = [label for _, label in listed[name]]
        assert split.labels.tolist() == labels == decoded[name][1].tolist()
        # decoded by others than by us, and close enough to be the same picture
        assert np.abs(decoded[name][0].numpy().astype(int) - split.images).mean() < 12
    assert first.train.labels.tolist() == whole.train.labels[:9].tolist()
    assert set(first.train.labels) == {0, 1}


@pytest.mark.parametrize(
    ("portion", "told"),
    [
        (Portion(22, 6), "has 21 training images, of which"),
        (Portion(9, 11), "has 10 validation images, of which"),
    ],
)
def test_a_data_set_with_fewer_images_than_are_measured_is_refused(tmp_path, few, portion, told):
    with pytest.raises(
        DataError, match=rf"^'[^\n]*drawn' {told} bench evaluate needs [0-9]+ at this size; give"
    ):
        prepare(32, None, tmp_path, portion)


def test_every_image_is_trained_on_once_and_a_loss_would_be_seen(tmp_path, few, monkeypatch):
    files = prepare(32, None, tmp_path, few)
    assert each_image_once(files.data) is True

    def twice(images, seed, epoch):
        order = epoch_order(images, seed, epoch)
        order[0] = order[1]
        return order

    monkeypatch.setattr("evosearch.training.fit.epoch_order", twice)
    assert each_image_once(files.data) is False


class Worker:
    """Answers with `digests`, one after another."""

    def __init__(self, *digests):
        self.digests = list(digests)

    def ask(self, network, settings, *, whole, digest):
        assert digest

    def answer(self):
        return {"digest": self.digests.pop(0)}


def test_packed_candidates_must_have_the_bits_of_one_alone():
    assert packed_as_alone([Worker(1, 1), Worker(1)], "B2 | F3", {}) is True
    assert packed_as_alone([Worker(1, 1), Worker(2)], "B2 | F3", {}) is False
    assert packed_as_alone([Worker(1, 2), Worker(1)], "B2 | F3", {}) is False
    assert "nothing runs beside another" in packed_as_alone([Worker()], "B2 | F3", {})


def test_without_a_gpu_nothing_is_captured(tmp_path):
    found = captured_as_eager("cpu", [], tmp_path / "none", NETWORKS, ["fp32"], print)
    assert found == "no CUDA device: nothing is captured"


@pytest.fixture
def captured_gate(tmp_path, few):
    """The gate, with a stand-in for the graph, what it made and what it told; of one full batch and a partial one."""
    files, made, told = prepare(32, None, tmp_path, Portion(20, 10)), [], []

    def make():
        made.append(StandIn())
        return made[-1]

    def gate(workers=()):
        return captured_as_eager("cpu", workers, files.data, NETWORKS, ("bf16", "fp32"), told.append, make)

    return gate, made, told


def test_captured_steps_have_the_bits_of_eager_ones_in_each_network_and_precision(captured_gate):
    gate, made, told = captured_gate
    assert gate() is True
    replays = [[graph.replays for graph in one.graphs] for one in made]
    assert replays == [[2, 2, 2]] * 4, "full batch, partial batch and validation of two networks"
    assert told == ["captured steps beside eager ones, bf16", "captured steps beside eager ones, fp32"]


def test_a_step_that_is_captured_on_the_rows_of_one_batch_is_found(captured_gate, monkeypatch):
    monkeypatch.setattr(captured._Step, "take", lambda *_: None)
    gate, _, told = captured_gate
    assert gate() is False
    assert told[-1].startswith("captured steps of 'B2 | F3' in bf16 are not the eager ones: other bits in '")


def test_a_capture_that_fails_is_found_though_its_bits_would_be_the_same(captured_gate, monkeypatch):
    monkeypatch.setattr(StandIn, "record", StandIn(fails=1).record)
    gate, _, told = captured_gate
    assert gate() is False
    assert "are not the eager ones: a step could not be captured" in told[-1]


def test_a_worker_that_took_eager_steps_instead_is_found(captured_gate):
    marks = Marks("cpu", Portion(9, 6))
    assert marks.eager == ""
    marks.worn("a step could not be captured")
    gate, made, told = captured_gate
    assert gate([marks]) is False
    assert told == ["a worker took eager steps: a step could not be captured"]
    assert not made


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_on_a_gpu_captured_steps_have_the_bits_of_eager_ones(tmp_path, few):
    files = prepare(32, None, tmp_path, Portion(20, 10))
    assert captured_as_eager("cuda", [], files.data, NETWORKS, ("bf16", "fp32"), print) is True


@pytest.mark.parametrize(
    ("device", "bf16", "expected"),
    [
        ("cpu", True, ["fp32", "bf16", "bf16, memory kept"]),
        ("cpu", False, ["fp32", "fp32, memory kept"]),
        ("cuda", True, ["fp32, eager", "fp32, captured", "bf16, eager", "bf16, captured"]),
        ("cuda", False, ["fp32, eager", "fp32, captured"]),
    ],
)
def test_each_rung_of_the_ladder_is_named_by_what_it_adds(monkeypatch, device, bf16, expected):
    monkeypatch.setattr(contenders, "computes_bf16", lambda _: bf16)
    ladder = rungs(device)
    assert [one.name(device) for one in ladder] == expected
    assert len({one.what(device) for one in ladder}) == len(ladder)
    assert all((CAPTURED in one.gates) == one.name(device).endswith("captured") for one in ladder)


def test_on_a_gpu_nothing_stands_for_later_epochs_but_one_of_replays_alone():
    assert (evaluate.SHORT["cpu"], evaluate.SHORT["cuda"]) == (2, gates.EPOCHS) == (2, 3)


def test_the_two_networks_next_to_the_median_are_trained_as_a_whole():
    assert [next_to_the_median("abcdefg"[:count]) for count in (7, 6, 2, 1)] == [
        ["c", "e"],
        ["c", "d"],
        ["a", "b"],
        ["a"],
    ]


@pytest.mark.slow
def test_a_tiny_run_measures_everybody_and_its_gates(few, tmp_path):
    told = []
    effort = Effort(device="cpu", rounds=1, networks=NETWORKS, portion=few, cores=2, matrix=32, copied=2**16)
    (tmp_path / "kept").write_text("x\n")
    found = measure_evaluate(effort, None, (tmp_path / "none", tmp_path / "kept"), told.append)
    assert told[:2] == [
        "images are drawn and no target is judged: EVOSEARCH_DATA names no folder that holds covid-ct",
        f"{tmp_path / 'kept'}: lines that cannot be read, and are ignored: 1",
    ]
    document = found.to_json()
    assert {"N0", "N1", "N1m", "N1p", "ours", "ours p"} <= set(document["systems"])
    assert document["gates"] == {ALONE: True, ONCE: True}
    assert {CAPTURED, BF16, "T1"} <= set(document["skipped"])
    assert document["targets"] == []
    for name, one in document["systems"].items():
        assert one["candidates_per_hour"] > 0, name
        assert len(one["whole_to_computed"]) == 2, name
        assert min(one["whole_to_computed"]) > 0, name
        assert one["limit_fraction"] > 0, name
    assert len(found.to_markdown().splitlines()) < 40
    assert "an ordinary loop with 2 loading processes" in told
    assert any(one.startswith("round 1 of 1: 'B2 | F3'") for one in told)
