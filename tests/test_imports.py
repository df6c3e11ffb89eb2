"""What must stay fast and small: a driver loads neither torch nor ray, and nobody loads what is not used."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "ray", "matplotlib", "sklearn", "scipy", "statsmodels")


def loaded_by(statement):
    program = f"import sys; {statement}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return ended.stdout.split()


@pytest.mark.parametrize(
    "statement",
    [
        "import evosearch",
        "import evosearch.cli",
        "import evosearch.api",
        "import workers",
        "import workers.process_pool.pool",
    ],
)
def test_neither_torch_nor_ray_nor_pictures_are_loaded_before_they_are_used(statement):
    assert loaded_by(statement) == []


def test_the_probe_would_see_them():
    assert loaded_by("import matplotlib") == ["matplotlib"]
