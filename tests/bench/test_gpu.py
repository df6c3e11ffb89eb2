"""The GPU benchmark, dry on the CPU; its tests on a GPU need neither Ray nor a database."""

import json
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from evosearch.bench import gpu
from evosearch.bench.candidate import FP32, TF32, arithmetic, padded
from evosearch.bench.gpu_figures import gate, packing, setup, steps
from evosearch.bench.packing import Share, processes, streams
from evosearch.bench.table import Measure
from evosearch.bench.workload import DRY, MOST_PARAMETERS, Report, whole
from evosearch.errors import CannotRunError
from evosearch.genome import parse
from workers.packing import read_curves

ABSENT = ("ray", "pydantic", "sqlalchemy", "typer", "yaml")
PROGRAM = f"""
import runpy, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
runpy.run_module("evosearch.bench.gpu", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def report():
    return Report("cpu", None)


def test_it_runs_dry_where_there_is_little_more_than_torch(tmp_path):
    place = tmp_path / "folder" / "gpu"
    command = [sys.executable, "-W", "error", "-c", PROGRAM, "--dry", "--output", str(place)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    document = json.loads(Path(f"{place}.json").read_text())
    measured = document["measures"]
    assert document["failures"] == []
    assert all(one["value"] is not None for one in measured)
    assert [one["holds"] for one in measured if "eager one" in one["measure"]] == [True, True]
    table = Path(f"{place}.md").read_text()
    for section in (
        "matrix product",
        "captured step",
        "candidate,",
        "evaluation of",
        "as streams",
        "as processes",
    ):
        assert section in table
    assert ended.stdout.splitlines() == [
        f"gpu, dry: {len(measured)} measures",
        f"written to {place}.json and {place}.md",
        f"how many workers share such a GPU best is in {place}-packing.json; `workers.per_gpu: auto` goes by it once its entries "
        "are added to workers/packing.json and committed",
    ]
    (curves,) = read_curves(Path(f"{place}-packing.json").read_text()).values()
    assert {size: sorted(curve.rates) for size, curve in curves.items()} == {8: [1, 2]}
    assert not curves[8].mps, "on a CPU there is none"


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu"])
    assert gpu.main() == CannotRunError.exit_status
    assert capsys.readouterr().err.startswith("gpu: torch sees no GPU here; `--dry` runs")


def test_what_fails_is_told_and_the_rest_is_measured(monkeypatch, capsys, tmp_path):
    def broken(work, report):
        raise RuntimeError("no kernel for this\nand more")

    def fine(work, report):
        report.add(Measure("x", "c", (1.0,), "ms"))

    monkeypatch.setattr(gpu, "sections", lambda work: [("first", 0.0, broken), ("second", 0.0, fine)])
    monkeypatch.setattr("sys.argv", ["gpu", "--dry", "--output", str(tmp_path / "gpu")])
    assert gpu.main() == 1
    assert "first: RuntimeError: no kernel for this\n" in capsys.readouterr().out
    document = json.loads((tmp_path / "gpu.json").read_text())
    assert [one["measure"] for one in document["measures"]] == ["x"]
    assert document["failures"] == ["first: RuntimeError: no kernel for this"]


def test_what_there_is_no_time_for_is_left_out_and_told(report):
    gpu.measure(DRY, report, seconds=-1.0, tell=lambda text: None)
    names = [name for name, _, _ in gpu.sections(DRY)]
    assert [one.what for one in report.measures] == names
    assert "it may take 60" in report.to_markdown()


def test_the_frozen_networks_are_measured_and_the_largest_left_out(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    work = whole()
    assert len(work.networks) == len(work.trainable(32)) == 12
    assert 0 < len(work.trainable(224)) < 12
    assert MOST_PARAMETERS == 200_000_000


def test_channels_are_padded_to_the_next_multiple():
    assert str(padded(parse("C75 B72 P B1 | F9"))) == "C80 B72 P B8 | F9"


def test_fp32_on_tensor_cores_is_used_inside_and_nowhere_else():
    def uses():
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.fp32_precision

    before = uses()
    with arithmetic(FP32):
        assert uses() == ("highest", "ieee")
    with arithmetic(TF32):
        assert uses() == ("high", "tf32")
    assert uses() == before


def test_a_curve_has_no_number_of_processes_of_which_one_failed_and_none_without_that_of_one(
    report, monkeypatch
):
    rates = {1: (100.0, 0), 2: (150.0, 1), 3: (240.0, 0)}
    monkeypatch.setattr("evosearch.bench.gpu_figures.processes", lambda shares: rates[len(shares)])
    packing(8, replace(DRY, processes=(1, 2, 3)), report)
    assert report.curves == {"8": {"mps": False, "steps_per_second": {"1": 100.0, "3": 240.0}}}
    assert report.failures == ["2 as processes: CannotRunError: 1 of them failed"]
    other = Report("cpu", None)
    packing(8, replace(DRY, processes=(2, 3)), other)
    assert other.curves == {}


def test_all_processes_of_a_curve_train_one_network(report, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "evosearch.bench.gpu_figures.processes", lambda shares: (seen.extend(shares), (1.0, 0))[1]
    )
    packing(8, DRY, report)
    assert {share.network for share in seen} == {str(DRY.middle(8))}
    assert len(seen) == sum(DRY.processes)


def test_where_mps_does_not_start_processes_are_measured_without_it_and_it_is_told(report, monkeypatch):
    def missing():
        raise FileNotFoundError("no nvidia-cuda-mps-control")

    monkeypatch.setattr("evosearch.bench.gpu_figures.mps", missing)
    monkeypatch.setattr("evosearch.bench.gpu_figures.processes", lambda shares: (1.0, 0))
    packing(8, replace(DRY, device="cuda"), report)
    assert report.curves["8"]["mps"] is False
    assert "not measured: MPS does not start here (no nvidia-cuda-mps-control)" in report.to_markdown()


def test_under_mps_the_curve_says_so_and_every_process_is_told(report, monkeypatch):
    seen = []
    monkeypatch.setattr("evosearch.bench.gpu_figures.mps", lambda: nullcontext((("CUDA_MPS", "here"),)))
    monkeypatch.setattr(
        "evosearch.bench.gpu_figures.processes", lambda shares: (seen.extend(shares), (1.0, 0))[1]
    )
    packing(8, replace(DRY, device="cuda"), report)
    assert report.curves["8"]["mps"] is True
    assert {share.environment for share in seen} == {(("CUDA_MPS", "here"),)}


def test_a_process_that_fails_is_counted():
    assert processes([Share("no chromosome", "cpu", 8, 25, 8, 0.01)]) == (0, 1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_on_a_gpu_steps_are_captured_and_train_as_eager_ones():
    work, report = replace(DRY, device="cuda"), Report("cuda", None)
    gate(work, report)
    steps(work.small, work, report)
    setup(work, report)
    assert report.failures == []
    assert all(one.holds for one in report.measures if one.at_most is not None)
    assert any(one.what.startswith("kernels of a captured step") for one in report.measures)
    assert all(one > 0 for one in streams(work.networks, work.data(8), work.batch, 2))
    assert torch.is_autocast_enabled("cuda") is False
