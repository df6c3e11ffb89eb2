"""Writes the kept homes, with the code of the version they are of: how they came about, and how one more would be made.

Run by hand, once, in a worktree of a commit that `HOMES` names, with its own environment, this folder copied there as it
was when its homes came (at 399d9e8 for be918b5, at 0299f95 for 72148b8, at 18046e2 for 350e1dd, at d1b3206 for 582f5ec, at the
commit that brought `masked` for 9e5f787; what it imports has moved since):

    git worktree add ../old 72148b8 && cd ../old && git checkout 0299f95 -- tests/kept && make install
    .venv/bin/python -m tests.kept.make_homes NAME…

It writes the folders `tests/kept/homes/NAME` there, which must not exist yet; they are then copied back.

Nothing is trained: the formula double stands in for workers, so that every machine comes to the same end. Host,
process id and clock are made up and all paths are relative, so that the same call writes the same rows, and the
bytes say nothing of the machine.

`expected.json` of each home has `sequence` (the last event of each search as kept) and `kept` (what is read there,
see `tests.kept.homes.record`); `resumed` and `extended` (by a generation): to what ends that version brought
copies of it, with all events from there on as [kind, payload]; and `retrained`: by epochs, what it then read of the
test split, from seed 1.
"""

import itertools
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import evosearch
from evosearch.evaluation import FailureKind
from evosearch.storage import Home
from evosearch.storage.journal.codec import encode
from evosearch.testing import Script
from tests.kept.homes import (
    DOUBLES,
    NO_NETWORK,
    ONE_GENERATION,
    Double,
    KeptHome,
    reading_document,
    record,
    unpack,
)
from tests.kept.maker import EAVL, Maker, Moment, doubled, made_up_clock, nowhere, wiring, working_directory
from tests.kept.pictures import draw_pictures
from tests.storage.postgres_server import PostgresServer, find_programs

RETRAINED = (2, 5)
"""Epochs; 2 is `final.epochs` of every home."""

COVID = "{name: covid_ct, root: covid-ct, image_size: 8}"
SHAPES = "{name: image_folder, root: shapes, image_size: 8, test_fraction: 0.3}"
DIGITS = "{name: digits}"

TIGHT = "{convolutions: [1, 6], channels: [4, 12], poolings: [0, 4], dense: [1, 2], units: [8, 24], max_parameters: 3500}"
POOLED = "{convolutions: [1, 2], channels: [4, 8], poolings: [1, 4], dense: [0, 1], units: [8, 16], batch_norm: 1.0}"


# The homes


def digits(maker: Maker) -> None:
    """Finished."""
    maker.write_config(DIGITS, space=POOLED)
    with maker.home() as home:
        wiring.run(maker.config(), home, executor="local")
    maker.keep()


def covid_ct(maker: Maker) -> None:
    """Stopped by SIGTERM in generation 1."""
    maker.write_config(
        COVID, seed="5", space=TIGHT, training="{epochs: 3, batch_size: 4, normalize: standard}"
    )
    with maker.home() as home, maker.stopped(lambda now: now.has_done(2, generation=1)):
        wiring.run(maker.config(), home)
    maker.keep()


def image_folder(maker: Maker) -> None:
    """Finished."""
    training = "{epochs: 2, batch_size: 6, optimizer: sgd, learning_rate: 0.05, dropout: 0, precision: bf16}"
    maker.write_config(SHAPES, seed="2", training=training)
    with maker.home() as home:
        wiring.run(maker.config(), home)
    maker.keep()


def group(maker: Maker) -> None:
    """Three seeds; the driver killed when the last one has begun generation 1."""
    maker.write_config(DIGITS)
    with maker.home() as home, maker.killed(lambda now: now.has_done(2, generation=1)):
        wiring.run_group(maker.config(), [0, 1, 4], home)


def extended(maker: Maker) -> None:
    """Twice extended; the second time the driver was killed in the last generation."""
    maker.write_config(COVID, seed="3", strategy=EAVL.replace("generations: 3", "generations: 2"))
    with maker.home() as home:
        wiring.run(maker.config(), home)
        wiring.resume("extended", home, generations=3)
        with maker.killed(lambda now: now.has_done(2, generation=3)):
            wiring.resume("extended", home, generations=4)


def stopped(maker: Maker) -> None:
    """Stopped with 5 by crashes in generation 1, resumed, and stopped with 5 by a candidate that lost its workers."""
    maker.write_config(DIGITS, seed="9", strategy=EAVL.replace("population: 6", "population: 8"))
    generation_1 = itertools.product(range(8, 15), range(1, 4))
    crashes = dict.fromkeys(generation_1, FailureKind.CRASHED)
    generation_2 = itertools.product(range(15, 22), range(1, 20))
    losses = dict.fromkeys(generation_2, FailureKind.WORKER_LOST)
    with maker.home() as home:
        with doubled(Double(Script(2, losses=crashes))), maker.failing():
            wiring.run(maker.config(), home, executor="local")
        with doubled(Double(Script(2, losses=losses))), maker.failing():
            wiring.resume("stopped", home)
    maker.keep()


def failures(maker: Maker) -> None:
    """Failures of every kind that a worker has; the driver killed when a candidate had failed once."""
    maker.write_config(DIGITS, seed="1", strategy=EAVL.replace("population: 6", "population: 12"))

    def has_failed_once(now: Moment) -> bool:
        again = any(one.status == "waiting" and one.reasons for one in now.evaluations)
        return again and {"diverged", "error", "out_of_memory", "timed_out"} <= now.row.failed.keys()

    with maker.home() as home, maker.killed(has_failed_once):
        wiring.run(maker.config(), home, executor="local")


def retrained(maker: Maker) -> None:
    """Finished, and retrained once."""
    maker.write_config(SHAPES, seed="6")
    with maker.home() as home:
        wiring.run(maker.config(), home, executor="local")
        wiring.retrain("retrained", home)
    maker.keep()


def retraining_begun(maker: Maker) -> None:
    """Finished; the driver of its retraining was killed when the test split was about to be read."""
    maker.write_config(COVID, seed="7")
    with maker.home() as home:
        wiring.run(maker.config(), home, executor="local")
        with maker.killed_before_reading():
            wiring.retrain("retraining_begun", home)


def early(maker: Maker) -> None:
    """Killed in the middle of a generation, immigrants of the next one in flight and ended."""
    maker.write_config(DIGITS, seed="8", space=TIGHT, strategy=EAVL.replace("population: 6", "population: 8"))

    def immigrants_in_flight(now: Moment) -> bool:
        this, following = now.row.generation, now.row.generation + 1
        states = (now.count("running", this), now.count("running", following), now.count("done", following))
        return this == 1 and all(states)

    with maker.home() as home, maker.killed(immigrants_in_flight):
        wiring.run(maker.config(), home)


def random(maker: Maker) -> None:
    """A random search, killed half-way."""
    maker.write_config(SHAPES, seed="4", space=POOLED, strategy="{name: random, evaluations: 16}")
    with maker.home() as home, maker.killed(lambda now: now.has_done(7, generation=0)):
        wiring.run(maker.config(), home)


def postgres(maker: Maker) -> None:
    """On a server; killed in the middle of a generation."""
    maker.write_config(COVID, seed="10")
    with maker.home() as home, maker.killed(lambda now: now.has_done(3, generation=1)):
        wiring.run(maker.config(), home)


def bred(maker: Maker) -> None:
    """Finished; its 62 candidates come of every operator there is."""
    strategy = (
        "{population: 14, generations: 5, elites: 2, immigrants: 2, phi: 2, crossover_probability: 0.85}"
    )
    space = "{convolutions: [1, 5], channels: [4, 12], poolings: [0, 4], dense: [0, 1], units: [4, 8], max_parameters: 2500}"
    maker.write_config(DIGITS, seed="3", space=space, strategy=strategy)
    with maker.home() as home:
        wiring.run(maker.config(), home, executor="local")
    maker.keep()


def paused(maker: Maker) -> None:
    """Stopped by SIGTERM in generation 1."""
    maker.write_config(COVID, seed="11", space=TIGHT, training="{epochs: 3, batch_size: 4}")
    with maker.home() as home, maker.stopped(lambda now: now.has_done(2, generation=1)):
        wiring.run(maker.config(), home)
    maker.keep()


def readings(maker: Maker) -> None:
    """Finished, retrained from two seeds; the driver of a longer retraining was killed when the test split was about to be read."""
    maker.write_config(SHAPES, seed="12")
    with maker.home() as home:
        wiring.run(maker.config(), home, executor="local")
        wiring.retrain("readings", home, seeds=(1, 2))
        with maker.killed_before_reading():
            wiring.retrain("readings", home, epochs=RETRAINED[1])


def listed(maker: Maker) -> None:
    """A list of networks, one of them hand-made and one trained in two ways; killed half-way."""
    trials = (
        *("{network: C8 P | F12}", "{network: C8 P | F12, repeat: 1}", "{network: resnet18}"),
        *("{network: B6 C9 | }", "{network: C8 P | F12, settings: {epochs: 3, optimizer: sgd}}"),
        "{network: C8 P | F12, repeat: 2}",
    )
    maker.write_config(SHAPES, strategy=f"{{name: list, trials: [{', '.join(trials)}]}}")
    with maker.home() as home, maker.killed(lambda now: now.has_done(3, generation=0)):
        wiring.run(maker.config(), home)


def judged(maker: Maker) -> None:
    """Finished, by F1 of the first class; retrained from two seeds, of which one failed to read the test split once; the
    driver of a longer retraining was killed when the test split was about to be read.
    """
    data = f"{COVID[:-1]}, positive: 0}}"
    strategy = f"{EAVL[:-1]}, fitness: f1, selection: proportionate}}"
    maker.write_config(data, seed="13", strategy=strategy)
    with maker.home() as home:
        wiring.run(maker.config(), home, executor="local")
        with doubled(Double(Script(1, losses={(1, 2): FailureKind.CRASHED}), maker.double.evaluator)):
            wiring.retrain("judged", home, seeds=(1, 2))
        with maker.killed_before_reading():
            wiring.retrain("judged", home, epochs=RETRAINED[1])


def halted(maker: Maker) -> None:
    """Killed in generation 1, by the area under the ROC curve; on two kinds of processors."""
    maker.write_config(
        DIGITS,
        seed="14",
        space=TIGHT,
        strategy=f"{EAVL[:-1]}, fitness: auroc}}",
        training="{epochs: 3, batch_size: 16, precision: bf16}",
    )
    with maker.home() as home, maker.killed(lambda now: now.has_done(2, generation=1)):
        wiring.run(maker.config(), home, executor="local")


def named(maker: Maker) -> None:
    """A list by balanced accuracy, a network of it trained in two ways; killed half-way."""
    trials = (
        *("{network: C8 P | F12}", "{network: C8 P | F12, repeat: 1}", "{network: resnet18}"),
        *("{network: B6 C9 | }", "{network: C8 P | F12, settings: {epochs: 3, optimizer: rmsprop}}"),
    )
    strategy = f"{{name: list, fitness: balanced_accuracy, trials: [{', '.join(trials)}]}}"
    maker.write_config(SHAPES, seed="15", strategy=strategy)
    with maker.home() as home, maker.killed(lambda now: now.has_done(3, generation=0)):
        wiring.run(maker.config(), home, executor="local")


def weighed(maker: Maker) -> None:
    """Finished, an evolution in a static space whose classes are weighed and whose images are mirrored; retrained from two
    seeds; the driver of a longer retraining was killed when the test split was about to be read.
    """
    maker.write_config(
        COVID,
        seed="16",
        strategy="{name: evo_cnn, population: 6, generations: 3, elites: 1, immigrants: 2}",
        training="{epochs: 2, batch_size: 4, class_weights: balanced, augment: flip, normalize: imagenet}",
    )
    with maker.home() as home:
        wiring.run(maker.config(), home, executor="local")
        wiring.retrain("weighed", home, seeds=(1, 2))
        with maker.killed_before_reading():
            wiring.retrain("weighed", home, epochs=RETRAINED[1])


def unbalanced(maker: Maker) -> None:
    """Killed in generation 1, EAVL without its balance."""
    maker.write_config(
        SHAPES,
        seed="17",
        strategy=f"{EAVL[:-1]}, balance: false}}",
        training="{epochs: 3, batch_size: 8, augment: flip_crop}",
    )
    with maker.home() as home, maker.killed(lambda now: now.has_done(2, generation=1)):
        wiring.run(maker.config(), home, executor="local")


def patient(maker: Maker) -> None:
    """A list whose trainings may end early, or are on the validation images too; hand-made networks, measured; killed half-way."""
    trials = (
        *(
            "{network: C8 P | F12}",
            "{network: resnet18}",
            "{network: vgg16, settings: {epochs: 4, patience: 2}}",
        ),
        *(
            "{network: C8 P | F12, settings: {epochs: 3, fit: train_validation}}",
            "{network: resnet18, repeat: 1}",
        ),
    )
    maker.write_config(
        SHAPES,
        seed="18",
        strategy=f"{{name: list, trials: [{', '.join(trials)}]}}",
        training="{epochs: 3, batch_size: 8, patience: 1}",
    )
    with maker.home() as home, maker.killed(lambda now: now.has_done(2, generation=0)):
        wiring.run(maker.config(), home, executor="local")


def masked(maker: Maker) -> None:
    """A search for masks over features that nobody has any more, killed in the middle of its breeding."""
    strategy = f"{{name: masks, network: C8 P | F12, features: {'ab' * 32}, units: 12, sample: 0.5, population: 6, cycle: 4}}"
    maker.write_config(COVID, seed="19", strategy=strategy, training="{epochs: 2, batch_size: 4}")
    with maker.home() as home, maker.killed(lambda now: now.has_done(0, generation=3)):
        wiring.run(maker.config(), home, executor="local")


def featured(maker: Maker) -> None:
    """Features of a network, kept; finished."""
    maker.write_config(
        COVID,
        seed="20",
        strategy="{name: features, network: C8 P | F12, sample: 0.5, pretrain_epochs: 2}",
        training="{epochs: 2, batch_size: 4}",
    )
    with maker.home() as home:
        wiring.run(maker.config(), home, executor="local")
    maker.keep()


def chosen(maker: Maker) -> None:
    """Networks trained with other rates of dropout before the class layer, and units dropped by weight; retrained, with a threshold chosen
    on the validation images, from two seeds; the driver of a longer retraining was killed when the test split was about to be
    read.
    """
    rates = (
        "{class_dropout: 0.25, epochs: 2, batch_size: 4}",
        "{class_dropout: 0.5, dropout_units: weighted, epochs: 2, batch_size: 4}",
    )
    trials = ", ".join(f"{{network: C8 P | F12, settings: {one}}}" for one in rates)
    maker.write_config(
        COVID,
        seed="21",
        strategy=f"{{name: list, trials: [{trials}]}}",
        training="{epochs: 2, batch_size: 4}",
        final="{epochs: 2, threshold: validation}",
    )
    with maker.home() as home:
        wiring.run(maker.config(), home, executor="local")
        wiring.retrain("chosen", home, seeds=(1, 2))
        with maker.killed_before_reading():
            wiring.retrain("chosen", home, epochs=RETRAINED[1])


HOMES: Mapping[str, Sequence[Callable[[Maker], None]]] = {
    "be918b5": (
        *(digits, covid_ct, image_folder, group, extended, stopped),
        *(failures, retrained, retraining_begun, early, random, postgres),
    ),
    "72148b8": (bred, paused, readings, listed),
    "350e1dd": (judged, halted, named),
    "582f5ec": (weighed, unbalanced, patient),
    "9e5f787": (masked, featured, chosen),
}
"""By the commit whose code writes them: the first version, and the last ones of journal schemas 2, 3, 4 and 5."""


# What comes of them


def expected(maker: Maker, server: PostgresServer) -> dict[str, Any]:
    """Of the home that `maker` made; each end is that of a copy of its own."""
    with _copy(maker, server) as kept, kept.open() as home:
        rows = [row for row in home.journal.searches() if getattr(row, "parent", None) is None]
        sequence = {row.name: home.journal.end(row.name)[1] for row in rows}
        first = next(iter(sequence))
        document: dict[str, Any] = {"sequence": sequence, "kept": record(maker.name, kept)}
        total = home.find_search(first).generations + 1
    with _copy(maker, server) as kept, kept.open() as home:
        _resume(maker.name, home, None)
        document["resumed"] = _end(maker.name, kept, sequence)
        document["retrained"] = {
            str(epochs): reading_document(*_retrained(first, home, epochs))
            for epochs in (() if maker.name in NO_NETWORK else RETRAINED)
        }
    if maker.name not in ONE_GENERATION:
        with _copy(maker, server) as kept, kept.open() as home:
            _resume(maker.name, home, total)
            document["extended"] = _end(maker.name, kept, sequence)
    return document


def _resume(name: str, home: Home, generations: int | None) -> None:
    go_on = wiring.resume_group if home.members_of(name) else wiring.resume
    go_on(name, home, generations=generations)


def _retrained(name: str, home: Home, epochs: int) -> Sequence[Any]:
    """The reading of the default seed; the first version knew no other, and gave it as it is."""
    read = wiring.retrain(name, home, epochs=epochs)
    return read if isinstance(read, tuple) else (read,)


def _end(name: str, kept: KeptHome, sequence: dict[str, int]) -> dict[str, Any]:
    with kept.open() as home:
        events = {
            search: [list(encode(one.event)) for one in home.journal.replay(search, after)]
            for search, after in sequence.items()
        }
    document = record(name, kept)
    for status in document["status"].get("members", [document["status"]]):
        del status["seconds"], status["estimated_seconds_left"]
    return {**document, "events": events}


@contextmanager
def _copy(maker: Maker, server: PostgresServer) -> Iterator[KeptHome]:
    with working_directory() as folder, doubled(maker.double):
        storage = None if maker.storage is None else server.create_database()
        unpack(maker.name, folder, storage)
        yield KeptHome(maker.name, storage)


def _version() -> str:
    """The commit whose code this is."""
    package = Path(evosearch.__file__).parent
    in_it = ["git", "-C", str(package)]
    head = subprocess.run([*in_it, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    changed = subprocess.run([*in_it, "diff", "--quiet", "HEAD", "--", ".", "../workers"], check=False)
    if head[:7] not in HOMES or changed.returncode:
        sys.exit(f"{package} is {head[:7]} or changed; run this in a clean worktree of {' or '.join(HOMES)}")
    return head[:7]


def _require_nothing_of_this_machine(folder: Path) -> None:
    words = [re.escape(socket.gethostname()), re.escape(Path.home().name)]
    path, word = r"/(tmp|root|home|work|Users)\b", rf"\b({'|'.join(words)})\b"
    key = r'(\\?")?:'  # `root` is one
    found = re.compile(f"{path}|{word}(?!{key})".encode())
    for file in folder.iterdir():
        if match := found.search(file.read_bytes()):
            sys.exit(f"{file} holds {match[0]!r}")


def _written(value: Any, depth: int, indent: str = "") -> str:
    """JSON with one line for each value at `depth`."""
    if not depth or not isinstance(value, dict | list) or not value:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    keys = [f"{json.dumps(key)}: " for key in value] if isinstance(value, dict) else [""] * len(value)
    values = list(value.values()) if isinstance(value, dict) else value
    inner = indent + " "
    lines = (f"{inner}{key}{_written(one, depth - 1, inner)}" for key, one in zip(keys, values, strict=True))
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n" + ",\n".join(lines) + f"\n{indent}{closing}"


def make(home: Callable[[Maker], None], server: PostgresServer) -> None:
    """Make one home, and what is expected of it."""
    name = home.__name__
    storage = server.create_database() if name == "postgres" else None
    maker = Maker(name, DOUBLES[name], storage)
    with nowhere():
        with working_directory() as folder, doubled(maker.double), made_up_clock():
            draw_pictures(folder / "data")
            home(maker)
        document = expected(maker, server)
    (maker.kept / "expected.json").write_text(_written(document, 3) + "\n")
    _require_nothing_of_this_machine(maker.kept)


def main(names: Sequence[str]) -> None:
    """Make the homes of these names."""
    homes = HOMES[_version()]
    programs = find_programs()
    assert programs is not None
    with PostgresServer.running(programs) as server:
        for home in homes:
            if home.__name__ in names:
                make(home, server)
                print(home.__name__)  # noqa: T201 - for who runs it


if __name__ == "__main__":
    main(sys.argv[1:])
