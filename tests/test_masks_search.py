"""A search for masks as a user runs it by hand: features first, then masks over them; what status and results say of both."""

import json
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from evosearch.cli.panel import panel
from evosearch.cli.progress import Lines
from evosearch.cli.tally import Tallies
from evosearch.config import load_config
from evosearch.errors import ConfigError, SearchConflictError
from evosearch.reports import search_lines
from evosearch.runtime import Silence
from tests.kept.homes import command

FILE = """
seed: 3
data: {{name: digits}}
strategy: {{network: C8 P | F12, {more}}}
training: {{epochs: 3, batch_size: 16}}
workers: {{count: 1}}
"""
BEFORE = {"sample": 0.3, "beta": 0.4, "pretrain_epochs": 2}


def config_of(name, **keys):
    more = ", ".join(f"{key}: {value}" for key, value in ({"name": name} | BEFORE | keys).items())
    file = Path(f"{name}.yaml")
    file.write_text(FILE.format(more=more))
    return load_config(file)


@pytest.fixture
def kept(home, api, scripted):
    """The features, kept."""
    return api.run(config_of("features"), home, executor="local")


@pytest.fixture
def found(home, api, kept):
    """The masks over them."""
    features = {"features": kept.kept.features, "units": kept.kept.units}
    return api.run(config_of("masks", **features, population=6, cycle=3), home, executor="local")


def lines_of(ended):
    return search_lines(
        ended.row, ended.best, ended.classes, ended.folder, ended.place, ended.largest, ended.kept
    )


def test_features_end_with_their_digest_and_units(kept):
    assert kept.best is None
    assert lines_of(kept)[-1] == f"Features  24 units, sha256 {kept.kept.features}, of C8 P | F12"


def test_masks_end_with_rate_and_loss_of_the_best(home, found):
    rows = home.journal.evaluations("masks")
    assert [len(row.losses) for row in rows] == [6, 3, 3, 3]
    assert found.best.loss == min(row.loss for row in rows)
    line = next(one for one in lines_of(found) if one.startswith("Best"))
    assert f"loss {found.best.loss:.4f}, mask " in line and line.startswith("Best  rate 0.")
    assert not (home.folder_of("masks") / "evolution.png").exists()


def test_status_and_results_tell_of_masks_and_features(home, found):
    status = json.loads(command("status", "masks", "--json"))
    assert status["best"]["fitness"] is None
    assert status["best"]["rate"] == status["best"]["mask"].count("0") / 24
    assert status["best"]["loss"] == found.best.loss
    assert "  best         rate 0." in command("status", "masks")
    assert f"loss {found.best.loss:.4f}" in command("status", "masks")
    assert "masks" in command("status")
    results = json.loads(command("results", "masks", "--format", "json"))
    assert [row["loss"] for row in results] == [min(row["losses"]) for row in results]
    assert "3 masks of 24 units" in command("results", "masks").replace("\n", " ")
    (features,) = json.loads(command("results", "features", "--format", "json"))
    assert (features["units"], len(features["features"])) == (24, 64)
    assert features["features"] in command("results", "features").replace("\n", "").replace(" ", "")


def test_the_same_command_again_prints_the_result_and_trains_nothing(home, api, scripted, found):
    pools = len(scripted)
    again = api.run(load_config(Path("masks.yaml")), home, executor="local")
    assert (again.best, len(scripted)) == (found.best, pools)


def test_masks_are_extended_as_one_configured_so_from_the_start(home, api, found):
    longer = api.resume("masks", home, generations=6)
    config = load_config(Path("masks.yaml"))
    whole = replace(config, name="whole", strategy=replace(config.strategy, cycle=5))
    assert api.run(whole, home, executor="local").best.chromosome == longer.best.chromosome
    rows = [
        [(row.chromosome, row.losses) for row in home.journal.evaluations(one)] for one in ("masks", "whole")
    ]
    assert rows[0] == rows[1] and len(rows[0]) == 6


def test_an_upgrade_from_events_keeps_losses_and_features(home, found):
    before = home.journal.evaluations("masks"), home.journal.evaluations("features")
    home.journal.rebuild()
    assert (home.journal.evaluations("masks"), home.journal.evaluations("features")) == before


def test_neither_has_a_network_to_retrain(home, api, found):
    for name in ("masks", "features"):
        with pytest.raises(
            SearchConflictError, match=f"'{name}' looks for a rate of dropout and has no network"
        ):
            api.retrain(name, home)


def test_a_sample_below_a_batch_is_refused_when_a_search_begins(home, api, scripted):
    with pytest.raises(ConfigError, match=r"strategy.sample is 0.01: \d+ of \d+ training images, fewer than"):
        api.run(config_of("features", sample=0.01), home, executor="local")
    assert not scripted or not home.journal.searches()


@pytest.mark.parametrize("name", ["features", "masks"])
def test_validate_tells_what_it_can(home, name):
    more = {} if name == "features" else {"features": "ab" * 32, "units": 12}
    config_of(name, **more)
    told = command("validate", f"{name}.yaml")
    assert ("parameters" in told) == (name == "features")
    assert ("2 epochs" if name == "features" else "21 trainings of 5 epochs") in told


def test_lines_tell_the_lowest_loss_and_its_rate_as_generations_end(home, api, kept):
    lines: list[str] = []
    features = {"features": kept.kept.features, "units": kept.kept.units}
    config = config_of("masks", **features, population=6, cycle=2)
    ended = api.run(config, home, executor="local", watcher=Lines(lines.append, stamp=lambda: ""))
    trained = [line for line in lines if " #" in line]
    assert [line.partition(",")[0].strip() for line in trained] == ["#0 6 masks", "#1 3 masks", "#2 3 masks"]
    done = [line for line in lines if "is done" in line]
    assert len(done) == 2 and all(
        re.search(r"done, lowest loss \d\.\d{4}, rate 0\.\d{3}  \|", line) for line in done
    )
    assert f"lowest loss {ended.best.loss:.4f}, rate" in lines[-1]


def test_the_panel_shows_the_lowest_loss_and_no_vector(home, api, kept):
    config = config_of("masks", features=kept.kept.features, units=kept.kept.units, population=6, cycle=1)
    shown: list[str] = []

    class Panel(Silence):
        def __init__(self) -> None:
            self.tallies = Tallies(lambda: 0.0)

        def begin(self, plan, state) -> None:
            self.tallies.begin(plan, state)

        def observe(self, plan, state, facts) -> None:
            self.tallies.by_name[plan.name].see(state, facts, 0.0)
            console = Console(width=200, file=StringIO())
            console.print(panel(self.tallies))
            shown.append(console.file.getvalue())

    api.run(config, home, executor="local", watcher=Panel())
    assert re.search(r"lowest +loss 0\.\d{4}, rate 0\.\d{3}", shown[-1])
    assert "6 masks of 24 units" in "".join(shown) and not re.search("[01]{24}", "".join(shown))
