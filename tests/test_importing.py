"""A folder in which somebody works may hold files named like ours, like our dependencies' or like Python's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evosearch.importing import code_folder, ours_first
from tests.finished_search import TINY

BIN = Path(sys.executable).parent

NAMES = ("workers", "torch", "torchvision", "numpy", "random", "ray", "yaml", "PIL", "sqlalchemy", "tempfile")
"""Each is imported by a driver, by a worker, or by both."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


def write(folder, *names):
    for name in names:
        (folder / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the folder was imported')\n")


def run(folder, *command, **more):
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    environment = {name: os.environ[name] for name in kept if name in os.environ} | more
    ended = subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=110
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "of the folder was imported" not in ended.stdout + ended.stderr
    return ended.stdout


COMMAND, MODULE = (str(BIN / "evosearch"),), (sys.executable, "-m", "evosearch")
RUN = ("run", "tiny.yaml", "--set", "strategy={population: 2, generations: 1, elites: 1, immigrants: 0}")


@pytest.mark.parametrize(
    ("command", "path"),
    [(COMMAND, "."), (MODULE, ""), (MODULE, os.pathsep)],
    ids=["command, folder in PYTHONPATH", "module", "module, empty places in PYTHONPATH"],
)
def test_no_file_of_the_folder_stands_in_for_one_that_a_search_needs(folder, command, path):
    write(folder, *NAMES)
    assert "Best: validation accuracy" in run(folder, *command, *RUN, "--executor", "local", PYTHONPATH=path)


def test_neither_does_a_folder_in_it(folder):
    for name in NAMES:
        (folder / name).mkdir()
        write(folder / name, "__init__")
    assert "Best: validation accuracy" in run(folder, *MODULE, *RUN, "--executor", "local")


def test_the_command_runs_beside_an_evosearch_of_the_users_own(folder):
    write(folder, "evosearch")
    assert "Best: validation accuracy" in run(folder, *COMMAND, *RUN, "--executor", "local")


@pytest.mark.ray
def test_no_file_of_the_folder_stands_in_for_one_that_rays_workers_need(folder):
    write(folder, *NAMES)
    assert "Best: validation accuracy" in run(folder, *MODULE, *RUN, PYTHONPATH=".")


def test_the_folder_of_the_program_and_the_working_directory_come_last(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(tmp_path / "program.py"), raising=False)
    there, installed = str(tmp_path), str(tmp_path / "site-packages")
    assert ours_first([there, "", installed]) == [installed, there, str(Path.cwd())]
    assert ours_first([installed, "."]) == [installed, str(Path.cwd())]


def test_where_this_package_lies_in_the_working_directory_its_place_is_left_to_it(monkeypatch):
    monkeypatch.chdir(code_folder())
    assert ours_first(["", "/somewhere"]) == [code_folder(), "/somewhere"]


def test_a_working_directory_that_was_removed_is_no_obstacle(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert ours_first(["", "/somewhere"])[-1] == ""
