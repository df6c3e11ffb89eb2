"""When a search's winner beats hand-made networks: looks on trainings that are made up, killed, published and stopped on the way."""

import hashlib
import json
import os
import signal
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from evosearch.bench.better import measure_better, positions_of_list, steps_until, trials_of
from evosearch.bench.better_report import Position, Side, compare_sides
from evosearch.config import load_config, read_config
from evosearch.errors import ConfigError, InputError, InterruptedSearchError, SearchConflictError
from evosearch.evaluation import HandMade, Prediction, TrainingTask
from evosearch.retraining import retrain
from evosearch.runtime import Silence
from evosearch.session import SearchSession
from evosearch.storage import bring_in, open_home, publish_copy
from evosearch.testing import FormulaEvaluator, ScriptedPool
from tests.finished_search import TINY, measure, script_workers

STUDY = "study: {kind: baselines, networks: [evolved, squeezenet1_1, resnet18]}\n"
LOOKS = (0.5, 1.0, 2.0)
"""Of two cores: 60, 120 and 240 worker-seconds."""
SIDES = ("better/evolved", "better/hand-made")


@dataclass(frozen=True)
class Priced:
    """Trainings that take 10 to 30 seconds by network and seed, of networks that people made twice as long; these are right on 70 % of the
    test images, evolved ones on `share`.
    """

    labels: tuple[int, ...]
    share: float = 0.7

    def __call__(self, data, device):
        return self

    def handle(self, task, *_):
        made = isinstance(task.network, HandMade)
        if isinstance(task, TrainingTask):
            seconds = 10 + drawn(f"{task.network}/{task.seed}").random() * 20
            return replace(FormulaEvaluator().handle(task), seconds=seconds * (2 if made else 1))
        key = task.weights.rpartition("/final/")[2].partition("/")[0]  # no driver's number, no attempt
        right = drawn(key).random(len(task.images)) < (0.7 if made else self.share)
        labels = np.array(self.labels)
        answers = np.where(right, labels, (labels + 1) % 10)
        return Prediction((0.9 * np.eye(10)[answers] + 0.01).astype(np.float32))


def drawn(text):
    return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))


@pytest.fixture(autouse=True)
def unpictured(monkeypatch):
    """No picture of either side is drawn, which takes most of the time; other tests see to these."""
    monkeypatch.setattr(SearchSession, "_draw", lambda *_: None)


@pytest.fixture
def file(home):
    Path("better.yaml").write_text(TINY + STUDY)
    return Path("better.yaml")


@pytest.fixture
def config(file):
    return load_config(file, ["final.seeds=3"])


@pytest.fixture
def labels(api, config):
    load = api.providers.load_dataset
    dataset = load(config.data, env=os.environ, cwd=Path.cwd(), cache=Path("cache"), begun=True)
    return tuple(dataset.test.labels.tolist())


@pytest.fixture
def measured(api, config, labels):
    """Measures in a home, with scripted workers; `share` as in `Priced`. Notes the pools of each call."""
    api.give(measure_sizes=measure)

    def run(home, share=0.7, looks=LOOKS, config=config, **how):
        run.pools = script_workers(api, Priced(labels, share))
        return measure_better(config, home, looks, providers=api.providers, executor="local", **how)

    return run


def home_in(stack, name):
    folder = Path(name).absolute()
    folder.mkdir()
    return stack.enter_context(open_home(None, env={}, cwd=folder, create=True))


def submitted(pools):
    return sum(len(pool.submitted) for pool in pools)


def test_where_nobody_is_better_every_look_is_taken_and_not_reached_is_told_with_its_interval(home, measured):
    log = measured(home)
    assert log.state == "not reached"
    assert [one.budget for one in log.looks] == [60.0, 120.0, 240.0]
    for look in log.looks:
        evolved, hand_made = look.evolved.position, look.hand_made.position
        assert look.budget <= evolved.seconds < look.budget + 3 * 30, "the first generation after so many"
        assert evolved.seconds <= hand_made.seconds < evolved.seconds + 2 * 60, "a round more at most"
        assert len(look.evolved.accuracies) == len(look.hand_made.accuracies) == 3
        low, high = look.compared.interval
        assert low < look.compared.difference < high
    last = log.looks[-1].compared
    assert "**Not reached** in " in log.to_markdown()
    assert (
        f"{last.difference:+.4f}, 95% {last.interval[0]:+.4f} to {last.interval[1]:+.4f}, after 3 looks"
        in log.verdict
    )
    assert json.loads(json.dumps(log.to_json()))["seconds"] is None


def test_each_network_reads_the_test_split_once_and_each_reading_is_counted(home, measured):
    log = measured(home)
    readings = [one for side in SIDES for one in home.journal.test_readings(side)]
    assert len({(one.search, one.key) for one in readings}) == len(readings) == log.begun
    assert log.spent(len(log.looks))[1] == log.begun, "no network was read that no look is of"
    assert f"{log.begun} readings of the test split in all" in log.to_markdown()
    candidates = {(one.evolved.position.candidate, one.hand_made.position.candidate) for one in log.looks}
    assert log.begun <= 2 * 3 * len(candidates)


def test_no_picture_has_both_sides_by_generation_of_which_a_list_has_none(home, measured, monkeypatch):
    drawn = set()
    monkeypatch.setattr(SearchSession, "_draw", lambda _, name, file, draw: drawn.add((name, file.name)))
    measured(home, looks=LOOKS[:1])
    assert ("better/evolved", "evolution.png") in drawn
    assert "better" not in {name for name, _ in drawn}


def test_it_ends_at_the_first_look_that_is_reached(home, measured):
    log = measured(home, share=0.95)
    assert (log.state, len(log.looks)) == ("reached", 1)
    found = log.looks[0].compared
    assert found.difference > 0.15
    assert max(found.welch, found.mcnemar) < 0.01
    assert log.to_json()["seconds"] == log.looks[0].evolved.position.seconds
    assert log.verdict.startswith("**Reached** after ")
    (look,) = log.looks
    soon = replace(look.evolved, position=replace(look.evolved.position, seconds=24.0))
    assert replace(log, looks=(replace(look, evolved=soon),)).verdict.startswith(
        "**Reached** after 24 s of workers in the search, "
    )
    for name in ("better.md", "better.json", "better.png"):
        assert (home.folder / "better" / name).stat().st_size > 200


def test_once_it_has_ended_the_same_again_trains_nothing_and_tells_the_same(home, measured):
    first = measured(home)
    again = measured(home)
    assert again == first
    assert not measured.pools


def test_more_looks_go_on_from_those_before(home, measured):
    first = measured(home, looks=LOOKS[:1])
    log = measured(home)
    assert log.looks[0] == first.looks[0]
    assert len(log.looks) == 3


class DyingPool(ScriptedPool):
    """One whose driver is killed as soon as it waits for the third time."""

    def poll(self, timeout):
        self.waits = getattr(self, "waits", 0) + 1
        if self.waits > 2:
            raise ZeroDivisionError("killed")
        return super().poll(timeout)


def deaths_of(api, config, home, labels, *, most):
    """Measures with drivers that are killed after one training each, until it ends or so many have died; how many did."""

    def make_pool(*_):
        return DyingPool(Priced(labels))

    with api.giving(make_pool=make_pool):
        for deaths in range(most):
            try:
                measure_better(config, home, LOOKS, providers=api.providers, executor="local")
            except ZeroDivisionError:
                continue
            return deaths
    return most


@pytest.mark.slow
def test_killed_after_each_training_it_comes_to_the_same_log(api, config, labels, home, measured):
    with ExitStack() as stack:
        killed = home_in(stack, "killed")
        assert 10 < deaths_of(api, config, killed, labels, most=200) < 200
        assert measured(killed) == measured(home)


@pytest.mark.slow
def test_published_where_it_was_killed_it_goes_on_elsewhere_to_the_same_log(
    api, config, labels, home, measured
):
    copy = Path("better.db.xz").absolute()
    with ExitStack() as stack:
        killed, other = home_in(stack, "killed"), home_in(stack, "other")
        assert deaths_of(api, config, killed, labels, most=15) == 15
        publish_copy(killed, "better", copy)
        bring_in(
            other,
            stack.enter_context(open_home(str(copy), env={}, cwd=Path.cwd(), create=False, reads=True)),
            "better",
        )
        found, whole = measured(other), measured(home)
    assert found == whole


def test_it_stops_when_its_time_is_over_and_the_same_again_goes_on(api, home, measured):
    with ExitStack() as stack:
        ticks, stopped = count(), home_in(stack, "stopped")
        states = []
        with api.giving(monotonic=lambda: float(next(ticks))):
            while not states or states[-1] == "unfinished":
                log = measured(stopped, minutes=1)
                states.append(log.state)
                assert len(states) < 50
        assert len(states) > 2
        assert log == measured(home)


def test_unfinished_tells_how_far_it_is(api, home, measured):
    ticks = count()
    with api.giving(monotonic=lambda: float(next(ticks))):
        log = measured(home, minutes=0.5)
    assert log.state == "unfinished"
    assert log.to_markdown().splitlines()[-1].startswith("- unfinished: ")
    assert log.to_markdown().endswith("the next look is at 60 s")


def test_under_its_name_nothing_else_goes_on(home, measured, config):
    measured(home, looks=LOOKS[:1])
    with pytest.raises(SearchConflictError, match=r"training\.epochs: 2 here, 1 in the journal"):
        measured(home, config=replace(config, training=replace(config.training, epochs=2)))
    with pytest.raises(InputError, match="another section final"):
        measured(home, config=replace(config, final=replace(config.final, epochs=2)))
    with pytest.raises(InputError, match="other networks"):
        measured(home, config=replace(config, study=replace(config.study, networks=("evolved", "vgg16_bn"))))


@pytest.mark.parametrize(
    ("more", "lines"), [(["study.given=once"], 1), (["study.given=seconds"], 0), ([], 0)]
)
def test_that_hand_made_networks_are_always_given_seconds_is_told_where_the_file_says_otherwise(
    home, api, file, monkeypatch, more, lines
):
    monkeypatch.setattr("evosearch.bench.better.bring_back_lost", lambda *_: 1 / 0)  # so far it came
    loaded, source = read_config(file, ["final.seeds=3", *more])
    told = Notes()
    with pytest.raises(ZeroDivisionError):
        measure_better(loaded, home, source=source, providers=api.providers, watcher=told)
    assert [line[:19] for line in told.lines] == ["study.given is once"] * lines


class Notes(Silence):
    """Keeps what is noted."""

    def __init__(self):
        self.lines = []

    def note(self, text):
        self.lines.append(text)


@pytest.mark.parametrize("others", [{"seeds": [1, 7]}, {"epochs": 2}])
def test_what_somebody_else_trained_of_a_winner_again_changes_no_look(api, home, measured, others):
    first = measured(home, looks=LOOKS[:1])
    retrain("better/evolved", home, providers=api.providers, executor="local", **others)
    log = measured(home, looks=LOOKS[:2])
    assert log.looks[0] == first.looks[0]
    assert len(log.looks) == 2


def test_both_sides_are_of_the_same_images(home, measured, file, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr("evosearch.bench.better.trials_of", lambda *_: 1 / 0)  # killed between the sides
        measured(home, looks=LOOKS[:1])
    others = load_config(file, ["final.seeds=3", "data.image_size=16"])
    for _ in range(2):
        with pytest.raises(
            InputError, match="'better/hand-made' was begun on other images than 'better/evolved'"
        ):
            measured(home, looks=LOOKS[:1], config=others)


def test_networks_are_trained_in_turn_at_one_rate_after_the_other_then_again_from_other_seeds(config):
    trials = trials_of(config.study, config, 2 * 16 + 3)
    assert [one.network for one in trials[:4]] == ["squeezenet1_1", "resnet18", "squeezenet1_1", "resnet18"]
    assert (
        trials[0].settings.learning_rate == trials[1].settings.learning_rate == config.training.learning_rate
    )
    assert len({one.settings.learning_rate for one in trials}) == 16
    assert [one.repeat for one in trials] == [0] * 32 + [1] * 3
    assert trials[32] == replace(trials[0], repeat=1)
    assert trials_of(config.study, config, 7) == trials[:7], "a longer list begins with a shorter one"


def test_the_best_of_a_list_is_the_one_of_the_best_mean(home, measured, config):
    measured(home, looks=(14.0,))
    rows = home.journal.evaluations("better/hand-made")
    found = positions_of_list(rows, trials_of(config.study, config, len(rows)))
    assert max(one.repeat for one in rows) > 0
    assert found[-1].candidate == home.journal.best("better/hand-made").candidate
    assert found[-1].seconds == pytest.approx(sum(one.seconds for one in rows))


def test_a_side_goes_on_by_half_of_what_its_dearest_step_says():
    assert steps_until(1000.0, [10.0, 30.0, 40.0]) == 24
    assert steps_until(41.0, [10.0, 30.0, 40.0]) == 1
    assert steps_until(41.0, [10.0, 30.0, 40.0], least=3) == 3
    assert steps_until(41.0, []) == 1


def test_a_look_that_is_hundreds_of_small_generations_away_takes_a_dozen_starts_of_workers():
    passed, starts = [2.0], 0  # the first of a search is its dearest
    while passed[-1] < 120.0:
        passed += [passed[-1] + 0.5 * (n + 1) for n in range(steps_until(120.0, passed))]
        starts += 1
    assert starts <= 12
    assert passed[-1] < 121.0


def test_one_that_is_stopped_names_its_own_command_and_not_one_that_goes_on_with_a_side_alone(
    home, api, config, labels
):
    class Stopped(Priced):
        def handle(self, task, *more):
            os.kill(os.getpid(), signal.SIGTERM)
            return super().handle(task, *more)

    api.give(measure_sizes=measure)
    script_workers(api, Stopped(labels))
    with pytest.raises(
        InterruptedSearchError, match=r"stopped by SIGTERM; the same command goes on where it stopped$"
    ):
        measure_better(config, home, LOOKS, providers=api.providers, executor="local")


def side(*accuracies):
    return Side(Position(1.0, 1, 1, 0, "C8 |", 1e-3), accuracies, (0.5,) * len(accuracies), 1.0)


WON, LOST, TIED = (
    np.array([1] * 30 + [-1] * 5 + [0] * 65),
    np.array([-1] * 30 + [1] * 5 + [0] * 65),
    np.zeros(100, int),
)


@pytest.mark.parametrize(
    ("evolved", "pairs", "reached"),
    [
        (side(0.9, 0.91, 0.92), WON, True),
        (side(0.9, 0.91, 0.92), TIED, False),
        (side(0.9, 0.91, 0.92), LOST, False),
        (side(0.7, 0.9, 0.75), WON, False),
        (side(0.5, 0.51, 0.52), LOST, False),
    ],
)
def test_it_is_reached_where_seeds_and_images_both_say_that_the_search_is_better(evolved, pairs, reached):
    assert compare_sides(evolved, side(0.7, 0.71, 0.72), pairs).is_reached is reached


def test_welchs_test_is_scipys():
    from scipy.stats import ttest_ind

    mine, others = (0.9, 0.85, 0.95, 0.91, 0.88), (0.7, 0.8, 0.75, 0.72, 0.86)
    expected = ttest_ind(mine, others, equal_var=False)
    found = compare_sides(side(*mine), side(*others), WON)
    assert found.welch == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))


@pytest.mark.parametrize(("accuracy", "p"), [(0.7, 1.0), (0.8, 0.0)])
def test_what_does_not_vary_differs_or_does_not(accuracy, p):
    found = compare_sides(side(accuracy, accuracy), side(0.7, 0.7), TIED)
    assert (found.welch, found.interval) == (p, (found.difference,) * 2)
    assert (found.mcnemar, found.is_reached) == (1.0, False)


def test_the_median_network_is_the_one_in_the_middle():
    assert side(0.9, 0.7, 0.8, 0.6, 0.75).median == 4
    assert side(0.9, 0.7, 0.8, 0.6).median == 1
    assert side(0.7, 0.7, 0.7).median == 1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["study=null"], "has no section study; give `study: {kind: baselines"),
        (["study={kind: ablation}"], "has a section study of the kind ablation; give"),
        (["study.networks=[squeezenet1_1]"], "study.networks is squeezenet1_1; give evolved once"),
        (["study.networks=[evolved]"], "study.networks is evolved; give evolved once"),
        (
            ["study.networks=[evolved, other]"],
            "study.networks has 'other'; name networks that start from random",
        ),
        (["strategy={name: random, evaluations: 3}"], "strategy.name is 'random', which cannot be extended"),
        (["strategy.repeats=1"], "strategy.repeats is 1 in a study"),
        (["final.contenders=2"], "final.contenders is 2 in a study"),
        (["training.fit=train_validation"], "training.fit is train_validation, but eavl chooses by"),
        (["final.seeds=1"], "final.seeds is 1; a test needs 2 at least, take 5"),
    ],
)
def test_what_this_cannot_be_measured_of_is_refused_in_one_line(home, file, overrides, message):
    with pytest.raises(ConfigError) as error:
        measure_better(load_config(file, ["final.seeds=3", *overrides]), home)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
