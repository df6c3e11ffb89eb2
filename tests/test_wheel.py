"""The wheel is enough: built here, installed where nothing of the checkout is seen, and used in an empty folder."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PROJECT = Path(__file__).parents[1]
SMALL = ("strategy={population: 2, generations: 1, elites: 1, immigrants: 0}", "training.epochs=1")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built by what is installed; nothing is fetched."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The commands of an environment with the wheel in it, which sees our packages and nothing of the checkout.

    A path in a `.pth` file is searched, but its own `.pth` files, one of which names the checkout, are not read.
    """
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, symlinks=True)
    python = place / "bin" / "python"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(pip, check=True, capture_output=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place)}))
    (packages / "ready.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return place / "bin"


@pytest.fixture
def run(installed, tmp_path):
    """Runs a command of that environment in an empty folder, where it must end well; returns what it printed."""

    def run(*command):
        kept = ("PATH", "HOME", "LANG", "TMPDIR")
        ended = subprocess.run(
            [installed / command[0], *map(str, command[1:])],
            cwd=tmp_path,
            env={name: os.environ[name] for name in kept if name in os.environ},
            check=False,
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    return run


def test_the_wheel_holds_the_packages_their_types_and_the_configurations(wheel):
    expected = {
        path.relative_to(PROJECT).as_posix()
        for package in ("evosearch", "workers")
        for pattern in ("*.py", "py.typed")
        for path in (PROJECT / package).rglob(pattern)
    }
    expected |= {f"evosearch/{path.relative_to(PROJECT)}" for path in PROJECT.glob("configs/**/*.*")}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert expected <= held
    assert {"evosearch/py.typed", "workers/py.typed", "evosearch/configs/digits.yaml"} <= held
    assert {name.partition("/")[0] for name in held} == {"evosearch", "workers"}
    assert not [name for name in held if name.endswith(".pyc") or "/test" in name.replace("/testing/", "/")]


def test_its_metadata_say_what_it_is_and_name_no_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    assert metadata["Author"] == "The evosearch developers"
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    assert not [key for key in metadata if key.startswith("License")]
    assert not [line for line in metadata.get_all("Classifier") if line.startswith("License")]
    assert metadata.get_all("Provides-Extra") == ["postgres"]  # what a developer needs is a dependency group


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_nothing_of_the_checkout_is_seen(installed, run):
    program = (
        "import evosearch, importlib.util, torch, workers; "
        "print(evosearch.__file__, workers.__file__, importlib.util.find_spec('tests'), sep='\\n')"
    )
    ours, theirs, tests = run("python", "-c", program).splitlines()
    for file in (ours, theirs):
        assert Path(file).is_relative_to(installed.parent)
    assert tests == "None"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_an_example_is_searched_from_the_wheel_alone(run, tmp_path):
    overrides = [word for text in SMALL for word in ("--set", text)]
    told = run("evosearch", "run", "--example", "digits", "--executor", "local", "--workers", "1", *overrides)
    assert "digits: done, 1 generation, 2 evaluations" in told
    assert "Best: validation accuracy" in told
    assert (tmp_path / "runs" / "digits" / "evolution.png").is_file()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_own_pictures_are_searched_from_the_template_by_the_commands_that_it_names(run, installed, tmp_path):
    chance = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        folder = tmp_path / "data" / "my-pictures" / name
        folder.mkdir(parents=True)
        for number in range(40):
            pixels = chance.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    named = [
        line.split()[:3]
        for line in run("evosearch", "init", "my.yaml").splitlines()
        if line.lstrip().startswith("evosearch ")
    ]
    assert named == [["evosearch", verb, "my.yaml"] for verb in ("data", "validate", "run")]
    first = (tmp_path / "my.yaml").read_text().splitlines()[0]
    assert first.endswith(f"$schema={_schema(installed).as_uri()}")
    assert "bad files: 0" in run(*named[0])
    assert "my.yaml: valid" in run(*named[1])
    overrides = [word for text in (*SMALL, "data.image_size=16") for word in ("--set", text)]
    assert "my: done, 1 generation, 2 evaluations" in run(*named[2], "--executor", "local", *overrides)


def _schema(installed: Path) -> Path:
    (schema,) = installed.parent.resolve().rglob("evosearch/configs/schema.json")
    return schema
