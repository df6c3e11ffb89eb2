import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest

from evosearch.bench import equivalence
from evosearch.bench.equivalence import (
    CODE,
    Accuracy,
    Equivalence,
    Fingerprint,
    cells,
    code_hash,
    kept,
    measure_equivalence,
    read,
    unreadable,
)
from evosearch.errors import CannotRunError

NETWORKS = [f"C{number} | F9" for number in range(1, 13)]
HERE = Fingerprint("code", "2.14", "avx512_bf16", "data")


def accuracies(difference=0.0, noise=0.0, shuffled=False):
    rng = np.random.default_rng(1)
    found = {}
    for network, seed, precision in cells(NETWORKS):
        rank = NETWORKS.index(network)
        if shuffled and precision == "bf16":
            rank = len(NETWORKS) - 1 - rank
        value = 0.5 + 0.02 * rank + noise * rng.standard_normal()
        found[network, seed, precision] = value + (difference if precision == "bf16" else 0.0)
    return found


def test_a_small_difference_with_little_noise_is_proved_small():
    found = Equivalence.of(accuracies(0.004, noise=0.005), NETWORKS)
    assert found.passed
    assert found.trainings == 12 * 3 * 2
    assert -0.02 < found.low < found.difference < found.high < 0.02
    assert found.p < 0.05
    assert found.ranks == pytest.approx(found.ranks_of_seeds, abs=0.1)


@pytest.mark.parametrize("difference", [0.025, -0.025])
def test_a_difference_beyond_the_margin_fails_in_either_direction(difference):
    assert not Equivalence.of(accuracies(difference, noise=0.005), NETWORKS).passed


def test_no_difference_with_so_much_noise_proves_nothing():
    found = Equivalence.of(accuracies(noise=0.2), NETWORKS)
    assert not found.passed
    assert found.p > 0.05


def test_other_ranks_fail_where_the_mean_is_the_same():
    found = Equivalence.of(accuracies(noise=1e-6, shuffled=True), NETWORKS)
    assert abs(found.difference) < 0.001
    assert found.ranks < found.ranks_of_seeds - 0.1
    assert not found.passed


def written(file, found, fingerprint=HERE, size=32):
    lines = [
        json.dumps({"fingerprint": asdict(fingerprint), "outcome": asdict(Accuracy(size, *cell, value))})
        for cell, value in found.items()
    ]
    file.write_text("\n".join(lines) + "\n")


def test_what_is_kept_counts_only_under_the_same_fingerprint_and_size(tmp_path):
    file, found = tmp_path / "kept", accuracies(noise=0.001)
    written(file, found)
    assert kept([tmp_path / "none", file], HERE, 32, NETWORKS) == Equivalence.of(found, NETWORKS)
    for other in (
        replace(HERE, code="x"),
        replace(HERE, torch="2.15"),
        replace(HERE, instructions="AVX2"),
        replace(HERE, data="x"),
    ):
        assert "void; `evosearch bench evaluate --size 32 --gates`" in kept([file], other, 32, NETWORKS)
    assert "void" in kept([file], HERE, 64, NETWORKS)
    assert kept([tmp_path / "none"], HERE, 64, NETWORKS).startswith("not measured; ")
    written(file, dict(list(found.items())[:5]))
    assert kept([file], HERE, 32, NETWORKS).startswith("unfinished; ")


@pytest.mark.parametrize(
    "damage", [b"\xff\xfe", b"[1]", b"7", b'{"fingerprint": 1}', b'"accuracy": "x"', b'"network": ["x"]']
)
def test_a_damaged_line_of_what_is_kept_is_none(tmp_path, damage):
    file, found = tmp_path / "kept", accuracies(noise=0.001)
    written(file, found)
    whole, line = file.read_bytes(), file.read_bytes().splitlines()[0]
    if damage.startswith(b'"'):
        name = damage.split(b":")[0]
        line = re.sub(name + rb": [^,}]+", damage, line)
        damage = line
    assert unreadable(file) == ""
    file.write_bytes(whole + damage + b"\n")
    assert kept([file], HERE, 32, NETWORKS) == Equivalence.of(found, NETWORKS)
    told = f"{file}: lines that cannot be read, and are ignored: 1"
    assert unreadable(file) == ("" if b'["x"]' in damage else told), "a network that nobody knows is readable"


class Counted:
    """Answers at once; breaks down after `most`."""

    def __init__(self, most=10**6):
        self.asked, self.most, self.closed = [], most, False

    def close(self):
        self.closed = True

    def ask(self, network, settings, *, whole, seed):
        assert whole
        assert settings["epochs"] == 8
        self.asked.append((network, seed, settings["precision"]))

    def answer(self):
        if len(self.asked) > self.most:
            raise CannotRunError("enough")
        return {"fitness": 0.5 + 0.01 * NETWORKS.index(self.asked[-1][0])}


def test_it_goes_on_where_it_was_stopped_even_in_the_middle_of_a_line(tmp_path):
    file, told = tmp_path / "bench" / "kept", []
    first = Counted(most=4)
    with pytest.raises(CannotRunError, match="enough"):
        measure_equivalence([first], file, HERE, 32, NETWORKS, told.append)
    assert len(read(file, HERE, 32)) == 4
    assert first.closed
    file.write_text(file.read_text() + '{"fingerprint": {"co')
    second = [Counted(), Counted()]
    found = measure_equivalence(second, file, HERE, 32, NETWORKS, told.append)
    asked = [one for worker in second for one in worker.asked]
    assert sorted(asked) == sorted(set(cells(NETWORKS)) - set(first.asked[:4]))
    assert told[-1].startswith("training 72 of 72")
    assert kept([file], HERE, 32, NETWORKS) == found


def test_the_code_that_trains_counts_and_its_words_do_not(tmp_path):
    file = tmp_path / "training" / "step.py"
    file.parent.mkdir()
    assert file.relative_to(tmp_path).as_posix() in CODE
    file.write_text('"""One."""\nx = 1\n')
    before = code_hash(tmp_path)
    file.write_text('"""Another one."""\n# with a comment\nx = 1\n')
    assert code_hash(tmp_path) == before
    file.write_text("x = 2\n")
    assert code_hash(tmp_path) != before


def test_the_files_that_count_are_there():
    folder = equivalence.Path(equivalence.evosearch.__file__).parent
    missing = [name for name in CODE if not (folder / name).exists()]
    assert set(missing) <= {"training/captured.py"}  # from the version on that captures steps
