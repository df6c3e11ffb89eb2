"""`run`, `resume` and `retrain` as a user types them."""

import json
import os
import shutil
import signal
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from evosearch.api import Finished
from evosearch.evaluation import FailureKind
from evosearch.storage import DriverStarted, Home, open_home, take
from evosearch.testing import FailingEvaluator, FormulaEvaluator, Script, Victims
from tests.bucket import make_bucket
from tests.cli.conftest import STAMP, WAITS
from tests.finished_search import EVALUATIONS, TINY, script_workers
from tests.reports.rows import DONE, SEARCH

KEPT = ("number", "generation", "origin", "parents", "operators", "chromosome", "status", "fitness", "cached")
"""What must not depend on how often a search was stopped."""


def outcome(command, name="tiny"):
    rows = json.loads(command("results", name, "--format", "json").out)
    return [{key: row[key] for key in KEPT} for row in rows]


def status_of(command, name="tiny"):
    return json.loads(command("status", name, "--json").out)


@dataclass
class Disturbed:
    """The formula, until the evaluation that `left` counts down to, where `disturb` is called instead."""

    left: int
    disturb: object
    inner: FormulaEvaluator = field(default_factory=FormulaEvaluator)

    def __call__(self, data, device):
        self.inner = self.inner(data, device)
        return self

    def handle(self, task, *more):
        self.left -= 1
        if self.left == 0:
            self.disturb()
        return self.inner.handle(task, *more)


def interrupt():
    raise KeyboardInterrupt


# run


def test_a_search_ends_with_its_best_in_words_and_where_everything_lies(command, scripted):
    ended = command("run", "tiny.yaml")
    assert ended.status == 0
    home = Path.cwd() / "runs"
    best = status_of(command)["best"]
    assert ended.out.startswith(f"tiny: done, 2 generations, {EVALUATIONS} evaluations in ")
    assert f"Best: validation accuracy {best['fitness']:.4f}, candidate {best['number']} of" in ended.out
    assert f"\n  {best['chromosome']}\n" in ended.out
    assert "and an output layer for 10 classes" in ended.out
    assert f"Evolution curve  {home / 'tiny' / 'evolution.png'}" in ended.out
    assert (home / "tiny" / "evolution.png").stat().st_size > 10_000


def test_the_first_line_of_progress_names_the_absolute_journal_and_the_rest_its_evaluations(
    command, scripted
):
    ended = command("run", "tiny.yaml")
    first, *others = ended.err.splitlines()
    assert first == f"journal {Path.cwd() / 'runs' / 'journal.db'}"
    assert all(STAMP.match(line) for line in others)
    assert [line.partition(" ")[2] for line in others[:3]] == [*WAITS[:2], f"{WAITS[2]}0 of 1 ready"]
    assert [line[0] for line in ended.told].count("#") == EVALUATIONS
    assert ended.told[-1].endswith(f"| {EVALUATIONS} of {EVALUATIONS}, 0 running, 0 s left")


def test_a_finished_search_run_again_prints_its_result_and_trains_nothing(
    read_finished, finished, no_workers
):
    with open_home(None, env=os.environ, cwd=Path.cwd(), create=False) as home:
        before = list(home.journal.replay("tiny"))
        ended = read_finished("run", finished.config)
        assert list(home.journal.replay("tiny")) == before
    assert ended.status == 0
    assert ended.out.startswith(f"tiny: done, 2 generations, {EVALUATIONS} evaluations, 6 trainings in ")
    assert ended.err == f"journal {finished.home / 'journal.db'}\n"


@pytest.mark.parametrize(
    "change", ["workers.count=7", "workers.device=cpu", "final.epochs=9", "storage.artifacts=null"]
)
def test_what_cannot_change_a_result_makes_no_other_search(read_finished, finished, no_workers, change):
    assert read_finished("run", finished.config, "--set", change).status == 0


def test_another_configuration_under_the_same_name_is_refused_with_the_keys_that_differ(
    refused, read_finished, finished
):
    changes = ("seed=4", "training.epochs=2", "space.channels=[4, 9]", "strategy.generations=3")
    overrides = [argument for change in changes for argument in ("--set", change)]
    message = refused("run", finished.config, *overrides)
    assert message.startswith(
        "'tiny' is a search of another configuration: seed: 4 here, 3 in the journal; "
        "space.channels: [4, 9] here, [4, 8] in the journal; "
        "strategy.generations: 3 here, 2 in the journal; training.epochs: 2 here, 1 in the journal; take these"
    )
    assert "another --name" in message


def test_a_name_makes_another_search_of_the_same_file(command, scripted):
    assert command("run", "tiny.yaml").status == 0
    ended = command("run", "tiny.yaml", "--name", "other", "--set", "seed=4")
    assert ended.out.startswith("other: done")
    assert [search["name"] for search in json.loads(command("status", "--json").out)] == ["tiny", "other"]
    assert outcome(command, "other") != outcome(command)


def test_set_changes_a_key_and_the_last_one_counts(command, scripted):
    overrides = ("--set", "strategy.population=9", "--set", "strategy.population=5")
    assert command("run", "tiny.yaml", *overrides).status == 0
    assert len(outcome(command)) == 5 + 4


def test_the_journal_lies_where_storage_says_and_readers_find_it_there(command, scripted):
    assert command("run", "tiny.yaml", "--storage", "elsewhere/journal.db").status == 0
    assert Path("elsewhere/tiny/evolution.png").exists()
    assert not Path("runs/journal.db").exists()
    url = f"sqlite:///{Path.cwd()}/elsewhere/journal.db"
    assert json.loads(command("status", "--json", "--storage", url).out)[0]["name"] == "tiny"
    assert command("run", "tiny.yaml", "--set", "storage.journal=third/x.db").status == 0
    assert Path("third/x.db").exists()


def test_pictures_and_weights_lie_where_storage_artifacts_says(command, scripted, tmp_path):
    elsewhere = tmp_path / "elsewhere" / "tiny"
    ended = command("run", "tiny.yaml", "--set", f"storage.artifacts={elsewhere.parent}")
    assert f"Evolution curve  {elsewhere / 'evolution.png'}" in ended.out
    assert (elsewhere / "evolution.png").exists()
    assert not Path("runs/tiny/evolution.png").exists()
    told = command("retrain", "tiny").out
    assert f"\nWeights  {elsewhere}/final-1/final/" in told
    for picture in ("learning.png", "roc.png"):
        assert f" {elsewhere}/final-1/{picture}\n" in told
        assert (elsewhere / "final-1" / picture).stat().st_size > 10_000


def test_with_a_remote_store_the_place_of_the_weights_is_its_url(command, scripted, tmp_path):
    store = make_bucket(tmp_path)
    ended = command("run", "tiny.yaml", "--set", f"storage.artifacts={store}")
    assert f"Evolution curve  {tmp_path / 'runs' / 'tiny' / 'evolution.png'}\n" in ended.out
    assert f"Everything else  {store}/tiny\n" in ended.out
    assert f"\nWeights  {store}/tiny/final-1/final/" in command("retrain", "tiny").out
    reading = json.loads(command("retrain", "tiny", "--json").out)
    assert reading["weights"].startswith(f"{store}/tiny/final-1/final/")


# stopped, and gone on with


@pytest.mark.parametrize("again", [("run", "tiny.yaml"), ("resume", "tiny")], ids=["run", "resume"])
def test_a_driver_that_died_is_gone_on_with_and_the_end_is_the_same(command, monkeypatch, again, api):
    script_workers(api)
    assert command("run", "tiny.yaml", "--name", "undisturbed").status == 0
    script_workers(api, Disturbed(6, interrupt))
    assert command("run", "tiny.yaml").status == 130
    state = status_of(command)
    assert (state["state"], state["evaluations"]["running"]) == ("interrupted", 0)
    script_workers(api)
    ended = command(*again)
    assert ended.status == 0
    assert "tiny: going on at generation 1, 5 evaluations done" in ended.told
    assert outcome(command) == outcome(command, "undisturbed")


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_a_signal_stops_a_search_with_75_and_says_how_to_go_on(command, monkeypatch, number, word, api):
    script_workers(api, Disturbed(3, lambda: os.kill(os.getpid(), number)))
    before = signal.getsignal(number)
    ended = command("run", "tiny.yaml")
    assert (ended.status, ended.out) == (75, "")
    assert ended.err.splitlines()[-1] == (
        f"evosearch: 'tiny' was stopped by {word}; `evosearch resume tiny` goes on where it stopped"
    )
    assert signal.getsignal(number) is before
    state = status_of(command)
    assert (state["state"], state["message"]) == ("interrupted", word)
    assert command("resume", "tiny").status == 0


def test_too_many_failures_stop_a_search_with_5_and_a_resume_tries_them_again(command, monkeypatch, api):
    everything = Victims(every=1)
    script_workers(api, FailingEvaluator(everything, kind=FailureKind.ERROR))
    ended = command("run", "tiny.yaml")
    assert (ended.status, ended.out) == (5, "")
    assert ended.err.splitlines()[-1] == (
        "evosearch: 'tiny' stopped: the first 3 evaluations all ended as error; the last one: fails on purpose; "
        "fix the cause, then `evosearch resume tiny` tries them again"
    )
    assert status_of(command)["state"] == "failed"
    script_workers(api)
    assert command("resume", "tiny").status == 0
    assert status_of(command)["evaluations"]["failed"] == {}


def test_a_search_that_another_driver_holds_is_refused_with_4(command, monkeypatch, api):
    script_workers(api, Disturbed(3, interrupt))
    command("run", "tiny.yaml")
    with open_home(None, env={}, cwd=Path.cwd(), create=False) as home:
        other = DriverStarted("elsewhere", 77, "local", home.find_search("tiny").configuration)
        with take(home.journal, home.folder_of("tiny"), "tiny", other, time.time):
            ended = command("resume", "tiny")
    assert (ended.status, ended.out) == (4, "")
    assert "held by a driver on elsewhere (process 77, term 2" in ended.err.splitlines()[-1]


def test_a_running_search_reads_as_running(command, monkeypatch, api):
    seen = []
    script_workers(api, Disturbed(3, lambda: seen.append(status_of(command))))
    assert command("run", "tiny.yaml").status == 0
    assert (seen[0]["state"], seen[0]["generation"]) == ("running", 0)
    assert seen[0]["evaluations"] == {
        "done": 2,
        "running": 1,
        "failed": {},
        "total": EVALUATIONS,
        "recalled": 0,
    }


def test_a_picture_that_a_kill_prevented_is_drawn_by_the_next_run(own_finished, finished, no_workers):
    picture = Path("runs/tiny/evolution.png")
    picture.unlink()
    assert own_finished("run", "tiny.yaml").status == 0
    assert picture.exists()


def test_a_group_has_a_picture_of_all_its_seeds_that_an_extension_draws_again(command, scripted):
    ended = command("run", "tiny.yaml", "--seeds", "0..2")
    picture = Path("runs/tiny/evolution.png")
    assert f"Evolution curves  {picture.absolute()}\n" in ended.out
    before = picture.read_bytes()
    for seed in range(3):
        assert Path(f"runs/tiny/seed-{seed}/evolution.png").exists()
    assert command("resume", "tiny", "--generations", "3").status == 0
    assert picture.read_bytes() != before


# resume --generations


def test_an_extended_search_equals_one_configured_so_from_the_start(command, scripted):
    three = ("--set", "strategy.generations=3")
    assert command("run", "tiny.yaml", "--name", "from-the-start", *three).status == 0
    assert command("run", "tiny.yaml").status == 0
    picture = Path("runs/tiny/evolution.png")
    before = picture.read_bytes()
    ended = command("resume", "tiny", "--generations", "3")
    assert ended.status == 0
    assert ended.out.startswith("tiny: done, 3 generations, 10 evaluations")
    assert outcome(command) == outcome(command, "from-the-start")
    assert picture.read_bytes() != before


def test_an_extension_counts_on_from_what_is_done(command, scripted):
    command("run", "tiny.yaml")
    lines = command("resume", "tiny", "--generations", "3").told
    assert lines[0] == "tiny: going on at generation 2, 7 evaluations done"
    assert " of 10, " in lines[1]
    assert "-" not in lines[1].rpartition("running, ")[2]


def test_an_extended_search_is_the_same_with_the_generations_of_before_or_of_now(
    command, refused, scripted, monkeypatch
):
    command("run", "tiny.yaml")
    command("resume", "tiny", "--generations", "3")
    for same in (2, 3):
        ended = command("run", "tiny.yaml", "--set", f"strategy.generations={same}")
        assert ended.out.startswith("tiny: done, 3 generations")
    message = refused("run", "tiny.yaml", "--set", "strategy.generations=4")
    assert "strategy.generations: 4 here" in message
    assert "resume NAME --generations N" in message


def test_fewer_generations_than_there_are_cannot_be_resumed_to(refused, read_finished):
    message = refused("resume", "tiny", "--generations", "1")
    assert message == "--generations is 1, below the 2 of 'tiny'; give the new total"
    assert "'--generations': '0'; it should be greater than or equal to 1" in refused(
        "resume", "tiny", "--generations", "0"
    )


def test_a_finished_search_resumed_as_it_is_prints_its_result(read_finished, no_workers):
    for arguments in ((), ("--generations", "2")):
        assert read_finished("resume", "tiny", *arguments).out.startswith("tiny: done, 2 generations")


def test_random_search_has_one_generation_and_cannot_be_extended(command, refused, scripted):
    Path("random.yaml").write_text(
        TINY.replace(
            "population: 4, generations: 2, elites: 1, immigrants: 1", "name: random, evaluations: 3"
        )
    )
    assert command("run", "random.yaml").out.startswith("random: done, 1 generation, 3 evaluations")
    message = refused("resume", "random", "--generations", "2")
    assert message == "a random search is all one generation, not 2; leave --generations out"


@pytest.mark.parametrize("command_of", ["resume", "retrain", "status", "results"])
def test_an_unknown_name_is_answered_with_the_names_there_are(refused, read_finished, finished, command_of):
    message = refused(command_of, "tyni")
    assert message == f"there is no search 'tyni' in {finished.home / 'journal.db'}; it holds tiny"


# groups

PETS = replace(SEARCH, name="pets/seed-3", state="done")
ENDED = (
    Finished(PETS, DONE, 2, Path("runs/pets/seed-3"), "runs/pets/seed-3"),
    Finished(replace(PETS, name="pets/seed-10"), replace(DONE, fitness=0.625), 2, Path("runs"), "runs"),
)


@pytest.fixture
def calls(monkeypatch):
    """Nothing is searched: `api` ends at once, and its calls are listed."""
    made = []

    def stand_in(function, ended):
        def call(*positional, watcher, providers, **named):
            made.append((function, [one for one in positional if not isinstance(one, Home)], named))
            return ended

        monkeypatch.setattr(f"evosearch.api.{function}", call)

    stand_in("run", ENDED[0])
    stand_in("resume", ENDED[0])
    stand_in("run_group", ENDED)
    stand_in("resume_group", ENDED)
    return made


def test_seeds_make_a_group_in_their_order(command, calls):
    ended = command("run", "tiny.yaml", "--name", "pets", "--seeds", "10,3", "--executor", "local")
    assert ended.status == 0
    ((function, (config, seeds), named),) = calls
    assert (function, config.name, seeds) == ("run_group", "pets", (10, 3))
    assert named.pop("source").places.keys() >= {("name",), ("data",)}
    assert named == {"executor": "local", "address": None, "takeover": False}


def test_the_end_of_a_group_is_a_line_a_member_and_mean_and_deviation(command, calls):
    lines = command("run", "tiny.yaml", "--name", "pets", "--seeds", "3,10").out.splitlines()
    assert lines[0] == "pets: done, 2 members, 20 evaluations (2 failed)"
    assert lines[2:4] == ["pets/seed-3   0.8750  C8 P | F5", "pets/seed-10  0.6250  C8 P | F5"]
    assert lines[5] == "mean ± deviation of the best: 0.7500 ± 0.1768 over 2 members"


def test_without_seeds_there_is_no_group(command, calls):
    assert command("run", "tiny.yaml").out.startswith("pets/seed-3: done, 5 generations")
    assert [function for function, _, _ in calls] == ["run"]


@pytest.mark.parametrize("seeds", ["4..0", "a", "0..-3", "1,1", "0..1000"])
def test_what_names_no_seeds_is_refused_before_anything_is_made(refused, calls, seeds):
    assert refused("run", "tiny.yaml", "--seeds", seeds).startswith(f"--seeds {seeds}: ")
    assert calls == []
    assert not Path("runs").exists()


def test_a_takeover_is_passed_on(command, scripted, request):
    command("run", "tiny.yaml", "--name", "pets/seed-3")
    command("run", "tiny.yaml")
    calls = request.getfixturevalue("calls")
    group = ("run", "tiny.yaml", "--name", "pets", "--seeds", "5")
    for arguments in (("run", "tiny.yaml"), group, ("resume", "tiny"), ("resume", "pets")):
        assert command(*arguments, "--takeover").status == 0
    assert [function for function, _, _ in calls] == ["run", "run_group", "resume", "resume_group"]
    assert all(named["takeover"] for _, _, named in calls)


def test_a_group_is_resumed_whole_and_a_member_alone(command, scripted, request):
    command("run", "tiny.yaml", "--name", "pets/seed-3")
    calls = request.getfixturevalue("calls")
    assert command("resume", "pets", "--generations", "7").out.startswith("pets: done, 2 members, ")
    assert command("resume", "pets/seed-3").out.startswith("pets/seed-3: done, 5 generations")
    assert [(function, name, named["generations"]) for function, (name,), named in calls] == [
        ("resume_group", "pets", 7),
        ("resume", "pets/seed-3", None),
    ]


def test_a_group_cannot_be_retrained_and_its_best_member_is_named(command, refused, scripted):
    for seed in (1, 2):
        command("run", "tiny.yaml", "--name", f"tiny/seed-{seed}", "--set", f"seed={seed}")
    best = max(
        (f"tiny/seed-{seed}" for seed in (1, 2)), key=lambda name: status_of(command, name)["best"]["fitness"]
    )
    assert refused("retrain", "tiny") == (
        f"'tiny' is a group of 2 members; name one, for instance `evosearch retrain {best}`"
    )


# retrain

READING = {
    *("name", "number", "epochs", "seed", "weights", "accuracy", "precision", "recall", "f1", "auroc"),
    *("auroc_undefined", "confusion", "classes", "images", "validation_accuracy", "seconds"),
    *("search", "reading", "readings", "positive", "specificity", "balanced_accuracy", "intervals", "draws"),
    "confirmation",
}


def test_retrain_reads_the_test_split_once_and_prints_the_recorded_reading_ever_after(
    own_finished, monkeypatch, api
):
    ended = own_finished("retrain", "tiny", "--json")
    assert ended.status == 0
    reading = json.loads(ended.out)
    assert set(reading) == READING
    best = status_of(own_finished)["best"]
    assert (reading["number"], reading["epochs"], reading["images"]) == (best["number"], 1, 359)
    assert sum(map(sum, reading["confusion"])) == 359
    told, trained, read = ended.told
    assert told == f"training candidate {best['number']} for 1 epoch, then reading the test split"
    assert trained.startswith(f"#0 {reading['validation_accuracy']:.4f} in ")
    assert read.startswith("#0 has read the test split")
    assert (reading["search"], reading["reading"], reading["readings"]) == ("tiny/final-1", 1, 1)
    weights = load_file(Path("runs/tiny") / reading["weights"])
    assert all(array.size for array in weights.values())

    api.give(make_pool=interrupt)
    again = own_finished("retrain", "tiny", "--json")
    assert (again.status, json.loads(again.out)) == (0, reading)
    assert again.told == ["recorded earlier: each network reads the test split once"]
    text = own_finished("retrain", "tiny", "--epochs", "1").out
    assert text.startswith(
        f"tiny: candidate {best['number']} after 1 epoch, on 359 test images\n"
        "  reading 1 of this test split for this search\n"
    )
    assert f"  accuracy           {reading['accuracy']:.4f}  (" in text
    assert text.endswith(
        f"\nWinner   {Path.cwd() / 'runs' / 'tiny' / 'winner.safetensors'}\n"
        f"         candidate {best['number']}, of tiny/final-1; "
        'in Python evosearch.open("tiny").load_network()\n'
    )
    assert str(Path.cwd() / "runs" / "tiny" / reading["weights"]) in text


def test_other_epochs_are_another_reading(command, scripted):
    command("run", "tiny.yaml")
    one, two = (json.loads(command("retrain", "tiny", "--json", "--epochs", epochs).out) for epochs in (1, 2))
    assert (one["epochs"], two["epochs"], one["seed"] == two["seed"]) == (1, 2, True)
    assert one["weights"] != two["weights"]


@pytest.mark.parametrize("command_of", ["run", "validate"])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["final.threshold=best"], 'final.threshold is "best"; expected half or validation'),
        (["final.positive_share=1.0"], "final.positive_share is 1.0; it must be above 0 and below 1"),
        (
            ["final.threshold=validation", "final.fit=train_validation"],
            "final.threshold is validation while final.fit",
        ),
        (["final.threshold=validation"], "final.threshold is validation, but there are 10 classes"),
    ],
    ids=["word", "share", "no validation", "classes"],
)
def test_a_threshold_that_nothing_can_choose_is_refused_in_one_line(
    refused, scripted, command_of, given, told
):
    overrides = [part for one in given for part in ("--set", one)]
    assert told in refused(command_of, "tiny.yaml", *overrides)


def test_an_unfinished_search_cannot_be_retrained(command, refused, monkeypatch, api):
    script_workers(api, Disturbed(3, interrupt))
    command("run", "tiny.yaml")
    assert refused("retrain", "tiny") == "'tiny' is unfinished; `evosearch resume tiny` comes first"


def test_a_search_in_which_nothing_succeeded_says_so_and_cannot_be_retrained(
    command, refused, monkeypatch, api
):
    script_workers(api, FailingEvaluator(Victims(every=1)))
    ended = command("run", "tiny.yaml")
    assert (ended.status, ended.out) == (5, "")
    last = ended.err.splitlines()[-1]
    assert last.startswith("evosearch: 'tiny' stopped: every evaluation of the first generation diverged (")
    assert "a lower training.learning_rate (0.003 now)" in last
    ended = command("resume", "tiny")
    assert ended.status == 0
    summary, hint = ended.out.splitlines()
    assert summary.startswith(
        f"tiny: done, 2 generations, {EVALUATIONS} evaluations ({EVALUATIONS} failed) in "
    )
    assert (
        hint == "No evaluation succeeded (7 diverged); `evosearch results tiny --format csv` has every reason"
    )
    assert refused("retrain", "tiny") == "no evaluation of 'tiny' succeeded; there is nothing to retrain"


def test_a_retraining_that_fails_reads_nothing_and_ends_with_5(command, monkeypatch, api):
    script_workers(api)
    command("run", "tiny.yaml")
    script_workers(api, FailingEvaluator(Victims(every=1)))
    ended = command("retrain", "tiny", "--json")
    assert (ended.status, ended.out) == (5, "")
    assert ended.err.splitlines()[-1] == (
        "evosearch: of the trainings of 'tiny/final-1', 1 failed, from seed 1; the last reason: attempt 1 on scripted-1: "
        "diverged: fails on purpose"
    )
    with open_home(None, env={}, cwd=Path.cwd(), create=False) as home:
        assert home.journal.test_readings("tiny") == ()


def test_the_readings_of_several_seeds_are_printed_with_their_count_and_mean(command, scripted):
    command("run", "tiny.yaml")
    command("retrain", "tiny", "--epochs", "2")
    text = command("retrain", "tiny", "--seeds", "1..2").out
    assert "\n  reading 2 of 3 of this test split for this search\n" in text
    assert "\n  reading 3 of 3 of this test split for this search\n" in text
    assert "\n2 of 3 readings of this test split for this search: accuracy " in text
    documents = json.loads(command("retrain", "tiny", "--seeds", "1,2", "--json").out)
    assert [(one["reading"], one["readings"]) for one in documents] == [(2, 3), (3, 3)]


def test_a_retraining_that_was_stopped_names_the_command_that_goes_on_and_that_prints_the_readings(
    command, monkeypatch, api
):
    script_workers(api)
    command("run", "tiny.yaml")
    script_workers(api, Disturbed(1, lambda: os.kill(os.getpid(), signal.SIGINT)))
    ended = command("retrain", "tiny", "--seeds", "1..3")
    assert ended.status == 75
    assert "`evosearch resume tiny/final-1` goes on where it stopped" in ended.err.splitlines()[-1]
    script_workers(api)
    resumed = command("resume", "tiny/final-1")
    assert resumed.status == 0
    assert "\n3 of 3 readings of this test split for this search: " in resumed.out
    assert command("resume", "tiny/final-1").out == resumed.out


def test_a_resumed_retraining_of_which_a_seed_fails_prints_the_others_and_ends_with_5(
    command, monkeypatch, api
):
    script_workers(api, script=Script(losses={(1, 1): FailureKind.DIVERGED}))
    command("run", "tiny.yaml", "--set", "seed=4")
    command("retrain", "tiny", "--seeds", "1..2")
    ended = command("resume", "tiny/final-1")
    assert ended.status == 5
    assert ended.out.startswith("tiny: candidate ")
    assert "1 failed, from seed 2" in ended.err


@pytest.mark.parametrize("seeds", ["0", "0..2", "2,2", "1,1..3"])
def test_seeds_that_no_retraining_has_are_refused(command, refused, scripted, seeds):
    command("run", "tiny.yaml")
    message = refused("retrain", "tiny", "--seeds", seeds)
    assert "seeds" in message
    assert len(scripted) == 1


def test_retrainings_and_readings_are_shown_under_their_search_also_in_a_group(command, scripted):
    command("run", "tiny.yaml", "--seeds", "0..1")
    command("retrain", "tiny/seed-1", "--epochs", "2")
    command("retrain", "tiny/seed-1", "--epochs", "3")
    every, group = command("status").out, command("status", "tiny").out
    for text in (every, group):
        rows = [line.split()[0] for line in text.splitlines()]
        at = rows.index("tiny/seed-1")
        assert rows[at + 1 : at + 3] == ["tiny/seed-1-final-2", "tiny/seed-1-final-3"]
    read = "tiny/seed-1-final-3: candidate {}, 3 epochs, reading 2 of 2 of this test split for this search: test accuracy "
    best = status_of(command, "tiny/seed-1")["best"]["number"]
    for text in (group, command("results", "tiny").out, command("results", "tiny/seed-1-final-3").out):
        assert read.format(best) in text
    (child,) = [one for one in status_of(command, "tiny/seed-1")["retrainings"] if one["name"].endswith("-3")]
    assert [(one["reading"], one["readings"]) for one in child["readings"]] == [(2, 2)]
    members = json.loads(command("status", "tiny", "--json").out)["members"]
    assert [len(member["readings"]) for member in members] == [0, 2]
    own = command("status", "tiny/seed-1-final-3").out
    assert "  retrains     the best of tiny/seed-1\n" in own
    assert "reading 2 of 2" in own


def test_a_journal_that_is_lost_ends_with_3_and_the_command_that_goes_on(command, monkeypatch, api):
    script_workers(api, Disturbed(3, lambda: shutil.rmtree("mine")))
    ended = command("run", "tiny.yaml", "--storage", "mine/journal.db")
    assert (ended.status, ended.out) == (3, "")
    rescued = Path.cwd() / "journal-rescued-1.db"
    assert ended.err.splitlines()[-1] == (
        f"evosearch: the journal {Path.cwd()}/mine/journal.db was deleted or moved while 'tiny' ran; all that it held was "
        f"copied to {rescued}: `evosearch resume tiny --storage {rescued}` goes on; pictures and weights that were beside "
        "it are gone"
    )
    script_workers(api)
    assert command("resume", "tiny", "--storage", str(rescued)).status == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "--weights: there is no file of weights 'other.safetensors'; a relative path is looked for"),
        ("none", "is no readable safetensors file of weights"),
    ],
)
def test_weights_that_are_not_there_or_none_start_no_retraining(command, refused, scripted, text, told):
    command("run", "tiny.yaml", "--executor", "local")
    if text is not None:
        Path("other.safetensors").write_text(text)
    assert told in refused("retrain", "tiny", "--weights", "other.safetensors")
    assert [one["name"] for one in json.loads(command("status", "--json").out)] == ["tiny"]
