"""The image, as far as it can be checked without building it."""

import re
import subprocess

from tests.docker.shipped import FOLDER, IMAGE, PROJECT, check, locked

TEXT = IMAGE.read_text().replace("\\\n", " ")
LINES = [line.strip() for line in TEXT.splitlines() if line.strip() and not line.startswith("#")]
LOCK = FOLDER / "requirements.txt"
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
    lock, code = (
        next(n for n, line in enumerate(LINES) if line.startswith(f"COPY {source} "))
        for source in ("docker/requirements.txt", "evosearch")
    )
    installing = [n for n, line in enumerate(LINES) if "pip install" in line]
    assert lock < min(installing)
    assert [n for n in installing if n > code] == [max(installing)]


def test_nothing_is_fetched_but_what_the_lock_names():
    fetching = re.findall(r"pip install ([^&\n]+)", TEXT)
    unhashed = [words for words in fetching if "--require-hashes" not in words and "--no-index" not in words]
    assert len(fetching) == 4
    # Building a wheel would fetch what no hash names.
    assert all("--only-binary :all:" in words for words in fetching if "--require-hashes" in words)
    assert ["--requirement torch.txt" in words for words in unhashed] == [
        True
    ]  # of the CPU's variant, see there


def test_the_cpu_variant_takes_only_torch_from_elsewhere(tmp_path):
    (command,) = (line for line in LINES if line.startswith("RUN awk"))
    (tmp_path / "requirements.txt").write_bytes(LOCK.read_bytes())
    filters = command.removeprefix("RUN ").partition("&& pip install")[0]
    subprocess.run(["bash", "-ec", filters], cwd=tmp_path, check=True)
    others, torch = locked(tmp_path / "others.txt"), locked(tmp_path / "torch.txt")
    assert torch == {name: locked(LOCK)[name] for name in ("torch", "torchvision")}
    left_out = set(locked(LOCK)) - set(others) - set(torch)
    assert all(name.startswith(("nvidia-", "cuda-", "triton")) for name in left_out)
    assert {"numpy", "ray", "hatchling", "networkx", "sympy"} <= set(others)
    assert (tmp_path / "others.txt").read_text().count("--hash=") > 2 * len(others)


def test_both_variants_have_their_packages():
    assert "ARG VARIANT=gpu" in LINES[:1]
    assert "FROM packages-${VARIANT} AS packages" in LINES
    for variant in ("gpu", "cpu"):
        assert f"FROM locked AS packages-{variant}" in LINES


def test_what_is_copied_is_there_and_not_ignored():
    named = (PROJECT / ".dockerignore").read_text()
    for line in LINES:
        if line.startswith("COPY ") and "--from=" not in line:
            for source in [word for word in line.split()[1:-1] if not word.startswith("--")]:
                assert (PROJECT / source).exists()
                assert f"!{source}\n" in named
