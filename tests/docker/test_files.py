"""What holds for every file that starts Ray somewhere."""

import re
import subprocess

import pytest

from tests.docker.shipped import COMPOSE, FOLDER, IMAGE, PROJECT, RAYJOB, SLURM

STARTING_RAY = (IMAGE, COMPOSE, RAYJOB, SLURM)

SECRET = re.compile(
    r"(?<!sha256:)(?<![0-9a-fA-F])[0-9a-fA-F]{32,}"  # a token; no hash of the lock
    r"|(?i:password|passwd|token|secret)\w*[\"']?\s*[:=]\s*[\"']?(?!/run/secrets|secrets/|\$|token\b|file\b)[\w+/-]{4,}"
    r"|://[^/\s:@]+:[^/\s@]+@"  # a password in a URL
)


def tracked_files():
    return sorted(path for path in FOLDER.rglob("*") if path.is_file() and "secrets" not in path.parts)


def test_no_file_is_missed_here():
    assert set(STARTING_RAY) <= set(tracked_files())
    assert {path.name for path in tracked_files()} == {
        ".gitignore",
        "Dockerfile",
        "README.md",
        "compose.yaml",
        "rayjob.yaml",
        "requirements.txt",
        "slurm.sh",
    }


@pytest.mark.parametrize("path", STARTING_RAY, ids=lambda path: path.name)
def test_tokens_are_asked_for_and_nothing_is_sent_to_rays_makers(path):
    text = path.read_text()
    assert re.search(r"RAY_AUTH_MODE\W+(value: )?token\b", text)
    assert re.search(r"RAY_USAGE_STATS_ENABLED\W+(value: )?\W?0\b", text)


@pytest.mark.parametrize("path", tracked_files(), ids=lambda path: path.name)
def test_no_secret_stands_in_a_file(path):
    assert not [line for line in path.read_text().splitlines() if SECRET.search(line)]


@pytest.mark.parametrize(
    "line",
    [
        "RAY_AUTH_TOKEN: " + "0f" * 32,
        "PGPASSWORD=hunter22",
        "postgresql://me:mine@host/db",
        'password: "hunter22"',
    ],
)
def test_a_secret_would_be_seen(line):
    assert SECRET.search(line)


def test_secrets_are_kept_out_of_the_history_and_of_the_image():
    assert "secrets/" in (FOLDER / ".gitignore").read_text().splitlines()
    lines = [
        line for line in (PROJECT / ".dockerignore").read_text().splitlines() if not line.startswith("#")
    ]
    assert lines[0] == "*"  # nothing is sent but what is named
    assert {line for line in lines if line.startswith("!")} == {
        "!pyproject.toml",
        "!docker/requirements.txt",
        "!README.md",
        "!evosearch",
        "!workers",
        "!configs",
    }
    ignored = subprocess.run(
        ["git", "check-ignore", "docker/secrets/ray_token"], cwd=PROJECT, check=False, capture_output=True
    )
    if ignored.returncode == 128:
        pytest.skip("not a git checkout")
    assert ignored.returncode == 0


def test_images_have_a_version():
    for path in (IMAGE, COMPOSE, RAYJOB):
        images = re.findall(r"^\s*(?:-\s*)?(?:image:|FROM)\s+(\S+)", path.read_text(), re.MULTILINE)
        versioned = [image for image in images if not re.fullmatch(r"base|locked|packages-.*", image)]
        assert versioned
        for image in versioned:
            assert re.search(r":[\w.-]*\d", image), image
            assert not image.endswith(":latest")
