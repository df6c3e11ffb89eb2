"""The image, as far as it can be checked without building it."""

import re
import subprocess
import sys
import tomllib

from tests.docker.shipped import IMAGE, PROJECT, check

TEXT = IMAGE.read_text().replace("\\\n", " ")
LINES = [line.strip() for line in TEXT.splitlines() if line.strip() and not line.startswith("#")]
LAST_STAGE = LINES[max(index for index, line in enumerate(LINES) if line.startswith("FROM ")) :]


def _debian_packages() -> set[str]:
    return {word for line in LAST_STAGE if line.startswith("RUN apt-get") for word in line.split()}


def test_the_linter_of_dockerfiles_finds_nothing():
    check("hadolint", IMAGE)


def test_nothing_runs_as_root():
    (user,) = (line for line in LAST_STAGE if line.startswith("USER "))
    assert user == "USER ${USER_ID}"  # a number, or Kubernetes cannot tell that it is not root's
    assert "ARG USER_ID=1000" in LAST_STAGE
    after = LAST_STAGE[LAST_STAGE.index(user) :]
    assert not any(line.startswith(("RUN apt-get", "RUN useradd")) for line in after)


def test_signals_reach_ray_and_the_dead_are_reaped():
    assert 'ENTRYPOINT ["tini", "-g", "--"]' in LAST_STAGE
    assert "tini" in _debian_packages()


def test_kuberays_probes_have_the_program_they_call():
    assert "wget" in _debian_packages()


def test_an_edit_of_the_code_does_not_install_everything_anew():
    (installing,) = (n for n, line in enumerate(LINES) if "--requirement requirements.txt" in line)
    (code,) = (n for n, line in enumerate(LINES) if line.startswith("COPY evosearch "))
    assert installing < code


def test_the_versions_are_those_that_are_tested(tmp_path):
    (listing,) = (line for line in LINES if line.startswith("RUN python -c"))
    assert "--constraint constraints.txt" in listing
    program = re.search(r'python -c "(.*?)"\s+> requirements', listing)[1]
    listed = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert listed == project["dependencies"] + project["optional-dependencies"]["postgres"]


def test_both_variants_have_their_packages():
    assert "ARG VARIANT=gpu" in LINES[:1]
    assert "FROM packages-${VARIANT} AS packages" in LINES
    for variant in ("gpu", "cpu"):
        assert f"FROM base AS packages-{variant}" in LINES


def test_what_is_copied_is_there_and_not_ignored():
    named = (PROJECT / ".dockerignore").read_text()
    for line in LINES:
        if line.startswith("COPY ") and "--from=" not in line:
            for source in [word for word in line.split()[1:-1] if not word.startswith("--")]:
                assert (PROJECT / source).exists()
                assert f"!{source}\n" in named
