"""Retrainings through the Python API: searches of their own, which survive what every search survives."""

import itertools
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from evosearch.config import config_from_json
from evosearch.data import load_dataset
from evosearch.errors import (
    CannotRunError,
    ConfigError,
    DataError,
    HeldError,
    InputError,
    InterruptedSearchError,
    SearchConflictError,
    StaleTermError,
    TooManyFailuresError,
)
from evosearch.evaluation import (
    FailureKind,
    FinalSettings,
    PredictionTask,
    TrainingTask,
    evaluation_seed,
)
from evosearch.genome import parse_network
from evosearch.runtime import Silence, StopSignals
from evosearch.search import FixedListSettings, ListedTrial, repeats_of
from evosearch.storage import (
    Dispatched,
    DriverStarted,
    Extended,
    Journal,
    TestRead,
    TestReadingBegun,
    open_home,
)
from evosearch.storage.artifacts import predictions
from evosearch.studies import predictions_of, reading_key
from evosearch.testing import FormulaEvaluator, Script
from tests.bucket import make_bucket
from tests.finished_search import FailingPool, hold_late, script_workers


@pytest.fixture
def searched(home, config, scripted, api):
    """The home with `tiny`, which has ended."""
    api.run(config, home, executor="local")
    return home


def facts(home, kind, name="tiny/final-1"):
    return [recorded.event for recorded in home.journal.replay(name) if isinstance(recorded.event, kind)]


def states(home):
    return {row.name: row.state for row in home.journal.searches()}


def trained(scripted):
    """How many trainings and readings each pool was given."""
    return [len(pool.submitted) for pool in scripted]


# The protocol


def with_final(config, **final):
    return replace(config, final=replace(config.final, **final))


def test_without_seeds_it_has_as_many_as_the_configuration_says(home, config, scripted, api):
    api.run(with_final(config, seeds=3), home, executor="local")
    readings = api.retrain("tiny", home)
    assert [reading.trial for reading in readings] == [0, 1, 2]
    assert readings[0] == api.retrain("tiny", home, seeds=(1,))[0]


def test_the_protocol_may_change_after_the_search(searched, config, scripted, api):
    assert len(api.retrain("tiny", searched)) == 1
    api.run(with_final(config, seeds=2), searched)
    assert len(api.retrain("tiny", searched)) == 2


@pytest.mark.parametrize(
    ("final", "suffix"),
    [({"patience": 4}, "-patience-4"), ({"fit": "train_validation"}, "-fit-train_validation")],
)
def test_another_protocol_is_another_training_in_the_same_list(
    searched, config, scripted, api, final, suffix
):
    (plain,) = api.retrain("tiny", searched)
    api.run(with_final(config, **final), searched)
    (other,) = api.retrain("tiny", searched)
    assert (other.search, other.key) == (plain.search, plain.key + suffix)
    trials = searched.find_search("tiny/final-1").configuration["strategy"]["trials"]
    assert trials[0]["settings"] is None
    assert {key: trials[1]["settings"][key] for key in final} == final
    assert api.retrain("tiny", searched) == (other,)
    api.run(config, searched)
    assert [one.key for one in api.retrain("tiny", searched)] == [plain.key]


def test_what_was_trained_on_the_validation_images_has_no_fitness_and_is_read(home, config, scripted, api):
    api.run(with_final(config, fit="train_validation"), home, executor="local")
    (reading,) = api.retrain("tiny", home)
    assert reading.metrics["validation_accuracy"] is None
    assert reading.metrics["accuracy"] >= 0
    (row,) = home.journal.evaluations("tiny/final-1")
    assert (row.status, row.fitness) == ("done", None)


def test_early_stopping_without_images_to_see_it_by_is_refused():
    with pytest.raises(ConfigError, match=r"final\.patience is 3 while final\.fit is train_validation"):
        FinalSettings(fit="train_validation", patience=3)
    for seeds in (0, 1001):
        with pytest.raises(
            ConfigError, match=f"final.seeds is {seeds}; it must be at least 1 and at most 1,000"
        ):
            FinalSettings(seeds=seeds)


CHOSEN = [({"threshold": "validation"}, "-threshold-validation"), ({"positive_share": 0.2}, "-share-0.2")]


@pytest.mark.usefixtures("two_classes")
@pytest.mark.parametrize(("final", "suffix"), CHOSEN, ids=["validation", "share"])
def test_another_threshold_is_another_reading_in_the_same_list(home, config, scripted, api, final, suffix):
    api.run(config, home, executor="local")
    (plain,) = api.retrain("tiny", home)
    api.run(with_final(config, **final), home)
    (other,) = api.retrain("tiny", home)
    assert (other.search, other.key) == (plain.search, plain.key + suffix)
    assert other.metrics["threshold"] != 0.5
    assert other.metrics["accuracy"] != plain.metrics["accuracy"]
    assert other.metrics["auroc"] == plain.metrics["auroc"]
    kept = predictions_of(home, other)
    assert (kept.predicted == kept.labels).mean() == other.metrics["accuracy"]
    assert (kept.probabilities == predictions_of(home, plain).probabilities).all()
    assert api.retrain("tiny", home) == (other,)
    api.run(config, home)
    assert [one.key for one in api.retrain("tiny", home)] == [plain.key]


@pytest.mark.usefixtures("two_classes", "scripted")
@pytest.mark.parametrize(("final", "_suffix"), CHOSEN, ids=["validation", "share"])
def test_killed_before_it_is_read_it_has_the_threshold_that_it_would_have_had(
    home, config, tmp_path, api, final, _suffix
):
    api.run(with_final(config, **final), home, executor="local")
    folder = shutil.copytree(home.folder, tmp_path / "killed")
    (undisturbed,) = api.retrain("tiny", home)
    with open_home(None, env={"EVOSEARCH_HOME": str(folder)}, cwd=tmp_path, create=False) as killed:
        dying = api.giving(make_pool=lambda *_: FailingPool(KeyboardInterrupt))
        with dying, pytest.raises(KeyboardInterrupt):
            api.retrain("tiny", killed)
        api.resume("tiny/final-1", killed)
        (reading,) = api.retrain("tiny", killed)
    assert reading.metrics == undisturbed.metrics


@pytest.mark.parametrize(("final", "_suffix"), CHOSEN, ids=["validation", "share"])
def test_a_threshold_of_ten_classes_is_refused_before_anything_is_trained(
    home, config, scripted, api, final, _suffix
):
    asked = with_final(config, **final)
    told = r"but there are 10 classes: a threshold is of two; leave the key out$"
    with pytest.raises(ConfigError, match=told):
        api.run(asked, home, executor="local")
    assert home.journal.searches() == ()
    api.run(config, home, executor="local")
    api.run(asked, home)
    with pytest.raises(ConfigError, match=told):
        api.retrain("tiny", home)


def test_what_was_answered_is_kept_with_the_labels_under_the_key_of_the_test_split(searched, config, api):
    (reading,) = api.retrain("tiny", searched)
    dataset = load_dataset(config.data, env={}, cwd=Path.cwd(), cache=None)
    kept = predictions_of(searched, reading)
    assert (kept.labels == dataset.test.labels).all()
    assert kept.test_key == reading.test_key == dataset.test_key
    assert (kept.predicted == kept.labels).mean() == reading.metrics["accuracy"]


def test_the_key_of_the_test_split_does_not_depend_on_how_the_rest_was_cut(config):
    one = load_dataset(config.data, env={}, cwd=Path.cwd(), cache=None)
    train = replace(one, train=one.validation, validation=one.train)
    assert train.test_key == one.test_key != replace(one, classes=one.classes[::-1]).test_key


def test_large_predictions_are_a_file_that_a_reader_needs(searched, monkeypatch, api):
    monkeypatch.setattr(predictions, "MOST_IN_EVENT", 100)
    (reading,) = api.retrain("tiny", searched)
    (read,) = facts(searched, TestRead)
    file = searched.folder_of("tiny/final-1") / read.predictions["artifact"]
    assert file.is_file()
    assert "float16" not in read.predictions
    assert len(predictions_of(searched, reading).labels) == 359
    file.unlink()
    with pytest.raises(
        CannotRunError, match=r"predictions\.json are missing; bring the search's folder back"
    ):
        predictions_of(searched, reading)


# Killed anywhere


class Death(BaseException):
    """The driver is gone."""


def die_at(monkeypatch, commit, *, durable):
    """The driver dies at its `commit`-th commit, counted from 0, before or after that is durable."""
    commits = itertools.count()

    def mortal(write):
        def call(self, *arguments, **named):
            dies = next(commits) == commit
            if dies and not durable:
                raise Death
            result = write(self, *arguments, **named)
            if dies:
                raise Death
            return result

        return call

    for method in ("create_search", "begin_term", "append"):
        monkeypatch.setattr(Journal, method, mortal(getattr(Journal, method)))


@pytest.mark.parametrize("durable", [False, True], ids=["before", "after"])
def test_killed_at_any_commit_it_goes_on_and_ends_with_the_same_readings(
    searched, scripted, monkeypatch, tmp_path, durable, api
):
    def retrain(home):
        return [replace(one, weights=None) for one in api.retrain("tiny", home, seeds=(1, 2))]

    shutil.copytree(searched.folder, tmp_path / "parent")
    undisturbed = retrain(searched)
    for commit in itertools.count():
        folder = shutil.copytree(tmp_path / "parent", tmp_path / f"killed-{commit}")
        with open_home(None, env={"EVOSEARCH_HOME": str(folder)}, cwd=tmp_path, create=False) as home:
            with monkeypatch.context() as patched:
                die_at(patched, commit, durable=durable)
                try:
                    retrain(home)
                except Death:
                    died = True
                else:
                    died = False
            assert retrain(home) == undisturbed
            started = [one for kind in (Dispatched, TestReadingBegun) for one in facts(home, kind)]
            attempts = [(one.trial, one.attempt) for one in started]
            assert len(attempts) == len(set(attempts))
            assert len(facts(home, TestRead)) == 2
            assert states(home) == {"tiny": "done", "tiny/final-1": "done"}
        if not died:
            break
    assert commit > 6


def test_one_that_was_left_by_its_driver_is_resumed_under_its_own_name(searched, monkeypatch, api):
    with monkeypatch.context() as patched:
        die_at(patched, 3, durable=True)
        with pytest.raises(Death):
            api.retrain("tiny", searched, seeds=(1, 2))
    ended = api.resume("tiny/final-1", searched)
    assert (ended.row.parent, ended.row.state, len(facts(searched, TestRead))) == ("tiny", "done", 2)


def test_a_longer_list_that_died_before_it_was_extended_is_extended_by_whoever_comes_next(
    searched, monkeypatch, api
):
    api.retrain("tiny", searched)
    for commit in (0, 1):  # the term with the longer list, then the extension
        with monkeypatch.context() as patched:
            die_at(patched, commit, durable=True)
            with pytest.raises(Death):
                api.retrain("tiny", searched, seeds=(1, 2))
    api.resume("tiny/final-1", searched)
    assert [reading.place for reading in api.retrain("tiny", searched, seeds=(1, 2))] == [1, 2]


# Several at once


def while_it_drives(api, what):
    """`what` is done once while the next driver is at work; returns what it gave."""
    given, make_pool = [], api.providers.make_pool

    def make_disturbed(*arguments):
        api.give(make_pool=make_pool)
        pool = make_pool(*arguments)
        poll = pool.poll

        def disturbed(timeout):
            pool.poll = poll
            given.append(what())
            return poll(timeout)

        pool.poll = disturbed
        return pool

    api.give(make_pool=make_disturbed)
    return given


def test_two_of_different_epochs_run_at_the_same_time(searched, monkeypatch, api):
    others = while_it_drives(api, lambda: api.retrain("tiny", searched, epochs=2))
    (one,) = api.retrain("tiny", searched, epochs=1)
    ((two,),) = others
    assert (one.epochs, two.epochs, one.seed == two.seed) == (1, 2, True)
    assert {(reading.place, reading.total) for reading in searched.journal.test_readings("tiny")} == {
        (1, 2),
        (2, 2),
    }


def test_the_same_one_twice_is_refused_to_the_second(searched, monkeypatch, api):
    def second():
        with pytest.raises(HeldError, match=r"search 'tiny/final-1' is held by a driver"):
            api.retrain("tiny", searched)

    while_it_drives(api, second)
    (reading,) = api.retrain("tiny", searched)
    assert reading.total == len(facts(searched, TestReadingBegun)) == 1


def test_with_takeover_the_second_ends_it(searched, monkeypatch, api):
    ended = while_it_drives(api, lambda: api.retrain("tiny", searched, takeover=True))
    with pytest.raises(StaleTermError):
        api.retrain("tiny", searched)
    ((reading,),) = ended
    assert reading.metrics is not None
    assert reading.total == 1


@pytest.mark.parametrize("first", [True, False], ids=["new", "there"])
def test_a_list_that_another_driver_has_just_made_longer_is_not_made_longer_in_another_way(
    searched, monkeypatch, first, api
):
    if not first:
        api.retrain("tiny", searched)
    hold_late(monkeypatch, lambda: api.retrain("tiny", searched, seeds=(1, 2)))
    with pytest.raises(HeldError, match="another driver has just extended 'tiny/final-1'; run the same"):
        api.retrain("tiny", searched, seeds=(1, 3))
    assert [one.configuration["strategy"]["trials"][-1]["repeat"] for one in facts(searched, DriverStarted)][
        -1
    ] == 2
    assert len(api.retrain("tiny", searched, seeds=(1, 3))) == 2
    assert [trial["repeat"] for trial in listed(searched)] == ([1, 3, 2] if first else [1, 2, 3])


def listed(home, name="tiny/final-1"):
    return home.find_search(name).configuration["strategy"]["trials"]


# A search and what comes of its best


def test_it_is_refused_while_its_search_is_driven_or_unfinished(searched, monkeypatch, api):
    def second():
        with pytest.raises(HeldError, match=r"'tiny' is held by a driver on .*; wait until it ends"):
            api.retrain("tiny", searched)

    while_it_drives(api, second)
    api.resume("tiny", searched, generations=3)
    with api.giving(make_pool=lambda *_: FailingPool(KeyboardInterrupt)), pytest.raises(KeyboardInterrupt):
        api.resume("tiny", searched, generations=4)
    with pytest.raises(
        SearchConflictError, match="'tiny' is unfinished; `evosearch resume tiny` comes first"
    ):
        api.retrain("tiny", searched)


def test_its_resume_is_refused_while_its_search_is_unfinished(searched, monkeypatch, api):
    with monkeypatch.context() as patched:
        die_at(patched, 3, durable=True)
        with pytest.raises(Death):
            api.retrain("tiny", searched)
    with api.giving(make_pool=lambda *_: FailingPool(KeyboardInterrupt)), pytest.raises(KeyboardInterrupt):
        api.resume("tiny", searched, generations=3)
    with pytest.raises(SearchConflictError, match="'tiny' is unfinished"):
        api.resume("tiny/final-1", searched)
    api.resume("tiny", searched)
    assert api.resume("tiny/final-1", searched).row.state == "done"


def test_its_search_is_extended_only_when_it_has_ended(searched, monkeypatch, api):
    def extend():
        with pytest.raises(
            HeldError, match=r"'tiny/final-1' is training the best of 'tiny' again; wait until"
        ):
            api.resume("tiny", searched, generations=3)

    while_it_drives(api, extend)
    api.retrain("tiny", searched)
    assert not facts(searched, Extended, "tiny")
    assert api.resume("tiny", searched, generations=3).row.generation == 2


def test_an_extension_that_found_a_better_one_makes_the_list_longer(searched, api):
    (first,) = api.retrain("tiny", searched)
    for generations in range(3, 12):
        api.resume("tiny", searched, generations=generations)
        if searched.journal.best("tiny").candidate != first.number:
            break
    (second,) = api.retrain("tiny", searched)
    assert second.number == searched.journal.best("tiny").candidate != first.number
    assert [trial["source"] for trial in listed(searched)] == [first.number, second.number]
    assert [(one.number, one.place, one.total) for one in searched.journal.test_readings("tiny")] == [
        (first.number, 1, 2),
        (second.number, 2, 2),
    ]
    assert len(facts(searched, TestRead)) == 2


# Seeds


def test_further_seeds_train_what_is_missing_and_the_first_is_the_same_as_alone(searched, scripted, api):
    (alone,) = api.retrain("tiny", searched)
    readings = api.retrain("tiny", searched, seeds=(1, 2, 3, 4, 5))
    assert replace(readings[0], total=1) == alone
    assert [reading.place for reading in readings] == [1, 2, 3, 4, 5]
    assert {reading.total for reading in readings} == {5}
    assert len({reading.seed for reading in readings}) == 5
    assert trained(scripted)[1:] == [2, 8]
    assert api.retrain("tiny", searched, seeds=(4, 2)) == (readings[3], readings[1])
    assert len(scripted) == 3


def test_the_default_seed_is_the_first_repeat_of_the_search(searched, config, api):
    (reading,) = api.retrain("tiny", searched)
    best = searched.journal.best("tiny")
    assert reading.seed == evaluation_seed(config.seed, parse_network(best.chromosome).key, 1)


@pytest.mark.parametrize("seeds", [(0,), (0, 1), (), (2, 2), (-1,)])
def test_the_searchs_own_seed_and_seeds_that_stand_twice_are_refused(searched, seeds, api):
    with pytest.raises(InputError, match=r"--seeds of a retraining is .*give different numbers from 1 on"):
        api.retrain("tiny", searched, seeds=seeds)
    assert states(searched) == {"tiny": "done"}


def test_of_a_group_each_member_has_retrainings_of_its_own(home, config, scripted, api):
    api.run_group(config, [0, 3], home, executor="local")
    with pytest.raises(SearchConflictError, match="no search 'tiny'"):
        api.retrain("tiny", home)
    api.retrain("tiny/seed-3", home)
    assert [row.name for row in home.members_of("tiny")] == ["tiny/seed-0", "tiny/seed-3"]
    assert [row.name for row in home.children_of("tiny/seed-3")] == ["tiny/seed-3-final-1"]
    assert not home.children_of("tiny/seed-0")
    assert len(api.resume_group("tiny", home)) == 2


def test_a_seed_that_fails_for_good_is_told_and_the_others_are_read(searched, monkeypatch, api):
    script_workers(api, script=Script(losses={(1, 1): FailureKind.DIVERGED}))
    with pytest.raises(TooManyFailuresError) as failed:
        api.retrain("tiny", searched, seeds=(1, 2, 3))
    assert str(failed.value) == (
        "of the trainings of 'tiny/final-1', 1 failed, from seed 2; the last reason: attempt 1 on scripted-1: diverged: "
        "lost by the script"
    )
    assert len(api.retrain("tiny", searched, seeds=(1, 3))) == 2
    with pytest.raises(TooManyFailuresError, match="from seed 2"):
        api.retrain("tiny", searched, seeds=(2, 3))
    assert len(api.retrain("tiny", searched, seeds=(3, 4))) == 2


def test_what_found_no_room_is_tried_again_by_the_same_command_on_a_larger_machine(
    searched, monkeypatch, api
):
    losses = {(0, attempt): FailureKind.OUT_OF_MEMORY for attempt in range(1, 5)}
    script_workers(api, script=Script(losses=losses))
    for _ in range(2):
        with pytest.raises(TooManyFailuresError, match=r"1 failed, from seed 1; .*out_of_memory"):
            api.retrain("tiny", searched, seeds=(1, 2))
    script_workers(api)
    assert [one.place for one in api.retrain("tiny", searched, seeds=(1, 2))] == [2, 1]
    attempts = [(one.number, one.attempt) for one in facts(searched, Dispatched)]
    assert attempts == [(0, 1), (0, 2), (1, 1), (0, 3), (0, 4), (0, 5)]


# Names


def test_a_retraining_can_neither_be_retrained_nor_extended(searched, api):
    api.retrain("tiny", searched)
    with pytest.raises(SearchConflictError, match=r"'tiny/final-1' is a retraining itself, of 'tiny'"):
        api.retrain("tiny/final-1", searched)
    with pytest.raises(SearchConflictError, match="a fixed list is all one generation, not 2"):
        api.resume("tiny/final-1", searched, generations=2)


def test_checkpoints_that_a_killed_driver_left_go_with_the_next_look_at_what_is_done(searched, config, api):
    left = searched.folder_of("tiny") / "checkpoints" / ("a" * 32)
    left.mkdir(parents=True)
    api.run(config, searched)
    assert not left.parent.exists()


def test_more_epochs_than_anybody_waits_for_are_refused_and_leave_nothing_behind(searched, config, api):
    with pytest.raises(InputError, match=r"^--epochs is 10{21}; it must be at most 10,000,000$"):
        api.retrain("tiny", searched, epochs=10**21)
    slip = replace(config, name="slip", training=replace(config.training, epochs=10**21))
    with pytest.raises(ConfigError, match=r"^training\.epochs is 10{21}; it must be at most 10,000,000$"):
        api.run(slip, searched)
    assert states(searched) == {"tiny": "done"}


@pytest.mark.parametrize("name", ["tiny/final-1", "tiny/seed-3-final-20"])
def test_no_search_of_the_users_is_called_as_a_retraining(searched, config, name, api):
    with pytest.raises(ConfigError, match=rf"^name: '{name}' cannot name a search: retrainings of 'tiny'"):
        api.run(replace(config, name=name), searched)
    assert states(searched) == {"tiny": "done"}


def test_a_configuration_under_a_retrainings_name_is_another_search(searched, config, api):
    api.retrain("tiny", searched)
    with pytest.raises(SearchConflictError, match=r'strategy\.name: "eavl" here, "list" in the journal'):
        api.run(replace(config, name="tiny/final-1"), searched)
    assert len(facts(searched, DriverStarted)) == 1


def test_a_search_of_the_longest_name_can_be_retrained(home, config, scripted, api):
    longest = "x" * 92 + "/seed-10"
    api.run(replace(config, name=longest), home)
    (reading,) = api.retrain(longest, home, epochs=1000)
    assert reading.search == f"{longest}-final-1000"
    with pytest.raises(ConfigError, match=r"^name: 'x+' cannot name a search: use up to 100 letters"):
        api.run(replace(config, name="x" * 101), home)


# How it runs


def tasks_of(api, script=None):
    """The tasks that workers are given, as they are given them."""
    given = []

    class Recording(FormulaEvaluator):
        def handle(self, task, *rest):
            given.append(task)
            return super().handle(task, *rest)

    script_workers(api, lambda data, device: Recording(classes=len(data.classes)), script)
    return given


def test_time_limits_of_a_search_do_not_hold(searched, config, monkeypatch, api):
    limited = replace(config.workers, soft_seconds=1.0, hard_seconds=2.0)
    api.run(replace(config, workers=limited), searched)
    pools, make_pool = [], api.providers.make_pool
    api.give(make_pool=lambda *given: pools.append(given[1]) or make_pool(*given))
    api.retrain("tiny", searched)
    api.resume("tiny", searched, generations=3)
    asked = [(one.soft_seconds, one.hard_seconds, one.stall_seconds) for one in pools]
    assert asked == [(None, None, limited.stall_seconds), (1.0, 2.0, limited.stall_seconds)]


def test_no_more_workers_are_asked_for_than_there_are_trainings_left(searched, config, monkeypatch, api):
    api.run(replace(config, workers=replace(config.workers, count=8)), searched)
    counts, make_pool = [], api.providers.make_pool
    api.give(make_pool=lambda *given: counts.append((given[1].count, given[6])) or make_pool(*given))
    api.retrain("tiny", searched)
    api.retrain("tiny", searched, seeds=(1, 2, 3, 4))
    api.retrain("tiny", searched, seeds=tuple(range(1, 21)))
    assert counts == [(8, 1), (8, 3), (8, 16)], "settings hold still, and a pool starts no more than has work"


def test_room_for_checkpoints_is_wanted_of_no_more_workers_than_have_work(searched, config, monkeypatch, api):
    api.run(replace(config, workers=replace(config.workers, count=8)), searched)
    wanted = []
    monkeypatch.setattr(
        "evosearch.driving.checkpoint_room", lambda memories, slots: wanted.append(slots) or 0
    )
    api.retrain("tiny", searched)
    api.retrain("tiny", searched, seeds=tuple(range(1, 21)))
    assert wanted == [1, 8]


def test_each_training_leaves_a_checkpoint_at_each_tenth_and_goes_on_from_it_after_a_kill(
    searched, monkeypatch, api
):
    given = tasks_of(api)
    with monkeypatch.context() as patched:
        die_at(patched, 4, durable=False)
        with pytest.raises(Death):
            api.retrain("tiny", searched, epochs=25)
    left = searched.folder / "tiny" / "final-25" / "checkpoints" / given[0].checkpoint.key
    left.mkdir(parents=True)
    api.retrain("tiny", searched, epochs=25)
    first, second = (task.checkpoint for task in given if isinstance(task, TrainingTask))
    assert (first.every_epochs, first.begun, first.place) == (3, False, str(left.parent))
    assert second == replace(first, begun=True)
    assert not left.parent.exists()


def test_a_folder_that_workers_proved_to_reach_is_shared_by_all(searched, config, monkeypatch, tmp_path, api):
    script_workers(api, script=Script(workers=2, nodes=2))
    with pytest.raises(CannotRunError, match=r"on the disks of 2 nodes \(scripted-0, scripted-1\)"):
        api.retrain("tiny", searched, seeds=(1, 2))
    assert not facts(searched, Dispatched)
    there = replace(config, storage=replace(config.storage, artifacts=str(tmp_path / "shared")))
    api.run(there, searched)
    readings = api.retrain("tiny", searched, seeds=(1, 2))
    assert {reading.total for reading in readings} == {2}


def test_what_it_is_stopped_with_names_it(searched, monkeypatch, api):
    monkeypatch.setattr(StopSignals, "reason", lambda _self: "SIGTERM")
    with pytest.raises(
        InterruptedSearchError, match=r"`evosearch resume tiny/final-1` goes on where it stopped"
    ):
        api.retrain("tiny", searched)


def test_its_numerics_are_its_searchs(searched, config, api):
    api.retrain("tiny", searched, epochs=7)
    row = searched.find_search("tiny/final-7")
    parent = searched.find_search("tiny")
    assert row.environment["device"] == parent.environment["device"]
    assert row.configuration["training"] == {**parent.configuration["training"], "epochs": 7}
    assert (row.executor, row.parent, row.data_key) == ("local", "tiny", parent.data_key)


# What it leaves


def test_a_rebuilt_journal_says_the_same(searched, api):
    api.retrain("tiny", searched, seeds=(1, 2))

    def seen():
        names = ("tiny", "tiny/final-1")
        rows = [(searched.find_search(name), searched.journal.evaluations(name)) for name in names]
        return rows, [searched.journal.test_readings(name) for name in names]

    before = seen()
    searched.journal.rebuild()
    assert seen() == before


def test_it_comes_back_from_a_store_with_its_search(home, config, scripted, tmp_path, api):
    remote = replace(config, storage=replace(config.storage, artifacts=make_bucket(tmp_path)))
    api.run(remote, home)
    readings = api.retrain("tiny", home, seeds=(1, 2))
    environment = {"EVOSEARCH_HOME": str(tmp_path / "elsewhere")}
    with open_home(None, env=environment, cwd=tmp_path, create=True) as elsewhere:
        api.run(remote, elsewhere)
        assert api.retrain("tiny", elsewhere, seeds=(1, 2)) == readings
        assert [row.name for row in elsewhere.children_of("tiny")] == ["tiny/final-1"]
        assert len(scripted) == 2


def test_a_retrainings_own_readings_are_counted_among_all_of_its_search(searched, api):
    api.retrain("tiny", searched, epochs=2)
    api.retrain("tiny", searched, epochs=3)
    (own,) = searched.journal.test_readings("tiny/final-3")
    assert (own.epochs, own.place, own.total) == (3, 2, 2)
    assert own == searched.journal.test_readings("tiny")[1]


# Lists by hand


def test_a_list_of_the_users_goes_on_with_a_longer_one_that_begins_with_it(home, config, scripted, api):
    short = replace(config, name="list", strategy=repeats_of("C4 P | F8", (0, 1)))
    longer = replace(short, strategy=repeats_of("C4 P | F8", (0, 1, 2)))
    api.run(short, home)
    assert sum(api.run(longer, home).row.counts.values()) == 3
    assert sum(api.run(longer, home).row.counts.values()) == 3
    with pytest.raises(SearchConflictError, match=r"strategy\.trials: "):
        api.run(short, home)


def test_the_best_of_a_list_is_retrained_as_it_was_trained(home, config, scripted, api):
    slow = replace(config.training, learning_rate=1e-5)
    trials = (ListedTrial("C4 P | F8"), ListedTrial("C8 P | F8", settings=slow))
    given = replace(config, strategy=FixedListSettings(trials=trials))
    best = api.run(given, home).best
    api.retrain("tiny", home, epochs=5)
    expected = replace((config.training, slow)[best.number], epochs=5)
    assert home.find_search("tiny/final-5").configuration["training"] == asdict(expected)


def test_trials_of_other_settings_are_each_retrained_by_their_own_in_one_list(home, config, api):
    script_workers(api, LEAVING)
    own = [replace(config.training, dropout=rate) for rate in (0.25, 0.0)]
    trials = tuple(
        ListedTrial(text, settings=how) for text, how in zip(("C8 P | F8", "C4 P | F8"), own, strict=True)
    )
    given = replace(config, strategy=FixedListSettings(trials=trials[:1]))
    api.run(given, home)
    api.retrain("tiny", home, epochs=6)
    assert api.run(replace(given, strategy=FixedListSettings(trials=trials)), home).best.candidate == 1
    (reading,) = api.retrain("tiny", home, epochs=6)
    child = home.find_search("tiny/final-6").configuration
    expected = [asdict(replace(how, epochs=6)) for how in own]
    assert child["training"] == expected[0]
    assert [trial["settings"] for trial in child["strategy"]["trials"]] == [None, expected[1]]
    winner = winner_of(home)
    assert (winner["candidate"], winner["seed"]) == (1, reading.seed)
    assert winner["training"] == {**expected[1], "precision": "fp32"}


def test_of_equal_networks_with_other_settings_the_failure_of_one_is_not_the_others(home, config, api):
    slow = replace(config.training, learning_rate=1e-5)
    trials = (ListedTrial("C4 P | F8"), ListedTrial("C4 P | F8", settings=slow))
    script_workers(api)
    api.run(replace(config, strategy=FixedListSettings(trials=trials)), home)
    wanted = [ListedTrial("C4 P | F8", 1, how, source) for source, how in enumerate((None, slow))]
    again = replace(config, name="again", strategy=FixedListSettings(trials=tuple(wanted)))
    script_workers(api, script=Script(losses={(0, 1): FailureKind.DIVERGED}))
    api.run(again, home)
    api.check_trained(home, "again", wanted[1:])
    with pytest.raises(TooManyFailuresError, match="1 failed, from seed 1"):
        api.check_trained(home, "again", wanted[:1])


# The winner


class Leaving(FormulaEvaluator):
    """Its networks leave a file where weights belong."""

    def handle(self, task, *rest):
        if isinstance(task, PredictionTask):
            Path(task.weights).parent.mkdir(parents=True, exist_ok=True)
            Path(task.weights).write_text(task.weights)
        return super().handle(task, *rest)


def LEAVING(data, _device):  # noqa: N802 - a factory, as FORMULA
    return Leaving(classes=len(data.classes))


def winner_of(home):
    return json.loads((home.folder_of("tiny") / "winner.json").read_text())


class Notes(Silence):
    """Keeps what is noted."""

    def __init__(self):
        self.lines = []

    def note(self, text):
        self.lines.append(text)


def test_a_look_at_an_older_retraining_takes_nothing_from_the_winner_of_a_newer_one(searched, api):
    script_workers(api, LEAVING)
    api.retrain("tiny", searched, epochs=2)
    api.retrain("tiny", searched, epochs=3)
    api.resume("tiny/final-2", searched)
    assert winner_of(searched)["retraining"] == "tiny/final-3"
    api.retrain("tiny", searched, epochs=2)  # recorded, and asked for by name
    assert winner_of(searched)["retraining"] == "tiny/final-2"
    (searched.folder_of("tiny") / "winner.json").unlink()
    api.resume("tiny/final-3", searched)
    assert winner_of(searched)["retraining"] == "tiny/final-3"


def test_a_winner_that_another_retraining_replaces_is_told_of(searched, api):
    script_workers(api, LEAVING)
    first, second = Notes(), Notes()
    (before,) = api.retrain("tiny", searched, epochs=3, seeds=(1,), watcher=first)
    (after,) = api.retrain("tiny", searched, epochs=2, seeds=(1,), watcher=second)
    earlier, now = (f"{one.metrics['validation_accuracy']:.4f}" for one in (before, after))
    told = (
        f"winner.safetensors of 'tiny' was that of 'tiny/final-3' (accuracy on validation {earlier}), and is now that of "
        f"'tiny/final-2' (accuracy on validation {now})"
    )
    assert told in second.lines
    assert not [line for line in first.lines if "was that of" in line]


def test_a_winner_is_of_the_best_candidate_whatever_was_retrained_before_an_extension(searched, api):
    script_workers(api, LEAVING)
    (first,) = api.retrain("tiny", searched, seeds=(1,))
    many = tuple(range(1, 7))  # the first one's are likely to hold the highest figure
    api.retrain("tiny", searched, seeds=many)
    for generations in range(3, 12):
        api.resume("tiny", searched, generations=generations)
        if searched.journal.best("tiny").candidate != first.number:
            break
    (second,) = api.retrain("tiny", searched)
    readings = searched.journal.test_readings("tiny")
    highest = max(readings, key=lambda one: one.metrics["validation_accuracy"])
    assert highest.number == first.number != second.number
    assert winner_of(searched)["candidate"] == second.number


def test_a_recorded_reading_needs_no_images_even_where_no_winner_is_there(searched, api):
    script_workers(api, LEAVING)
    readings = api.retrain("tiny", searched)
    (searched.folder_of("tiny") / "winner.json").unlink()
    notes = Notes()

    def gone(*_given, **_named):
        raise DataError("data.root: there is no folder 'pets'")

    with api.giving(load_dataset=gone):
        assert api.retrain("tiny", searched, watcher=notes) == readings
    assert "no winner.safetensors could be left: data.root: there is no folder 'pets'" in notes.lines
    other = replace(
        api.providers.load_dataset(config_data(searched), env={}, cwd=Path(), cache=None), key="x"
    )
    with api.giving(load_dataset=lambda *_given, **_named: other):
        assert api.retrain("tiny", searched, watcher=notes) == readings
    assert "the data of 'tiny' have changed" in notes.lines[-1]
    assert not (searched.folder_of("tiny") / "winner.json").exists()


def config_data(home):
    return config_from_json(home.find_search("tiny").configuration).data


def test_what_the_first_version_read_in_the_search_itself_becomes_its_winner(searched, config, api):
    best, row = searched.journal.best("tiny"), searched.find_search("tiny")
    seed = evaluation_seed(config.seed, parse_network(best.chromosome).key, 1)
    key = reading_key(best.candidate, 1, seed)
    metrics = {"accuracy": 0.5, "validation_accuracy": 0.5}
    facts = (TestReadingBegun(key, best.candidate, 1, seed), TestRead(key, metrics, "final/old.safetensors"))
    searched.journal.append("tiny", row.term, facts, 0.0)
    notes = Notes()
    (reading,) = api.retrain("tiny", searched, watcher=notes)
    assert reading.search == "tiny"
    assert "the trained weights of tiny are not on this machine" in notes.lines[-1]
    weights = searched.folder_of("tiny") / "final/old.safetensors"
    weights.parent.mkdir()
    weights.write_text("weights")
    api.retrain("tiny", searched)
    assert (winner_of(searched)["retraining"], winner_of(searched)["metrics"]) == ("tiny", metrics)
    assert (searched.folder_of("tiny") / "winner.safetensors").read_text() == "weights"
