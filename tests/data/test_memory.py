"""Memory is asked for before arrays are made."""

from pathlib import Path

import pytest

from evosearch.blueprint import ImageShape
from evosearch.data import DigitsSettings, ImageFolderSettings, Places
from evosearch.data.memory import available_memory, check_memory
from evosearch.errors import CannotRunError


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MACHINE = {"proc/meminfo": "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable:    4000 kB\n"}
STAT = "anon 9\nactive_file 100\ninactive_file 200\n"


@pytest.mark.parametrize(
    ("files", "available"),
    [
        ({}, None),
        (MACHINE, 4_096_000),
        (
            {
                "proc/self/cgroup": "0::/job/step\n",
                "sys/fs/cgroup/job/step/memory.max": "max\n",
                "sys/fs/cgroup/job/step/memory.current": "5\n",
                "sys/fs/cgroup/job/memory.max": "5000\n",
                "sys/fs/cgroup/job/memory.current": "3000\n",
                "sys/fs/cgroup/job/memory.stat": STAT,
            },
            2300,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/\n3:cpu:/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "5000\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "6000\n",
            },
            0,
        ),
        (
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/memory.max": "9000000\n",
                "sys/fs/cgroup/memory.current": "0\n",
            },
            4_096_000,
        ),
    ],
    ids=["nobody knows", "the machine's", "of the group above", "version 1, used up", "the smaller of both"],
)
def test_the_least_that_is_left_counts(tmp_path: Path, files: dict[str, str], available: int | None) -> None:
    both = MACHINE if available == 4_096_000 else {}
    assert available_memory(write(tmp_path, {**both, **files})) == available


def test_this_machine_says_what_it_has() -> None:
    available = available_memory()
    assert available is None or 2**20 < available < 2**50


def test_what_does_not_fit_is_refused_with_numbers_before_anything_is_read() -> None:
    with pytest.raises(CannotRunError) as caught:
        DigitsSettings(image_size=4096).read(Places({}, Path("/nowhere"), None, lambda: 2**34))
    assert str(caught.value) == (
        "1,797 images of 1 x 4096 x 4096 need 56.2 GiB of memory, but only 16.0 GiB are available here; lower "
        "data.image_size, or take a machine with more"
    )
    assert caught.value.exit_status == 3


def test_image_files_are_counted_before_the_first_is_decoded(pets: Path, tmp_path: Path) -> None:
    settings = ImageFolderSettings(root="pets", image_size=10)
    needed = 2 * 15 * 3 * 10 * 10
    (pets / "cat" / "0.png").write_bytes(b"no image")
    with pytest.raises(CannotRunError, match="15 images of 3 x 10 x 10 need"):
        settings.read(Places({}, tmp_path, None, lambda: needed - 1))
    assert len(settings.read(Places({}, tmp_path, None, lambda: needed)).listing.problems) == 1


def test_where_nobody_knows_nothing_is_refused() -> None:
    check_memory(10**9, ImageShape(3, 4096, 4096), lambda: None)
