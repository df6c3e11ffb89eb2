"""The Python API: where a configuration, a journal, data and workers become a search."""

import itertools
import os
import pickle
import sqlite3
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from evosearch.blueprint import ImageShape, Problem
from evosearch.config import config_from_json, config_to_json, differing_keys, load_config, read_config
from evosearch.data import ImageFolderSettings, load_dataset
from evosearch.errors import (
    CannotRunError,
    ConfigError,
    HeldError,
    InfeasibleSpaceError,
    InterruptedSearchError,
    JournalError,
    SearchConflictError,
    StaleTermError,
)
from evosearch.evaluation import UNWATCHED, Measures, PredictionTask, TrainingSettings
from evosearch.providers import versions
from evosearch.reports import cost_lines
from evosearch.runtime import Silence, StopSignals, WorkerJoined
from evosearch.search import EavlSettings, FixedListSettings, ListedTrial
from evosearch.storage import (
    Backup,
    Completed,
    Dispatched,
    DriverStarted,
    Extended,
    Interrupted,
    JournalLogbook,
    Onlooker,
    SearchCreated,
    TestReadingBegun,
    VerdictReached,
    bring_back,
    open_home,
    take,
)
from evosearch.testing import FormulaEvaluator, Script, ScriptedPool
from tests.bucket import BucketFileSystem, make_bucket
from tests.finished_search import EVALUATIONS, TINY, FailingPool, hold_late, script_workers
from tests.kept.pictures import draw_pictures


def facts(home, kind, name="tiny"):
    return [recorded.event for recorded in home.journal.replay(name) if isinstance(recorded.event, kind)]


def with_generations(config, count):
    return replace(config, strategy=replace(config.strategy, generations=count))


# run


def test_a_trained_search_leaves_its_record(finished):
    with open_home(None, env={"EVOSEARCH_HOME": str(finished.home)}, cwd=Path.cwd(), create=False) as home:
        rows = home.journal.evaluations("tiny", with_curve=True)
        (created,) = facts(home, SearchCreated)
    assert finished.result.row.state == "done"
    assert finished.result.classes == 10
    assert finished.result.best.fitness == max(row.fitness for row in rows)
    assert len(rows) == EVALUATIONS
    assert all(len(row.curve) == 1 for row in rows if not row.cached)
    assert set(created.environment) >= {"python", "torch", "torchvision", "numpy", "evosearch", "device"}
    assert (finished.home / "tiny" / "evolution.png").is_file()
    assert not list((finished.home / "tiny").glob("lock-*"))


@dataclass(frozen=True)
class Contrary(FormulaEvaluator):
    """What is best by accuracy is worst by everything else."""

    def handle(self, task, progress=UNWATCHED):
        outcome = super().handle(task, progress)
        other = 1 - outcome.fitness
        return replace(outcome, measures=Measures(other, other / 2, other / 4))


@pytest.mark.parametrize(("measure", "share"), [("balanced_accuracy", 1), ("f1", 2), ("auroc", 4)])
def test_a_search_may_go_by_another_measure_and_every_one_is_kept(home, config, api, measure, share):
    script_workers(api, Contrary())
    by_other = replace(config, strategy=replace(config.strategy, fitness=measure))
    ended = api.run(by_other, home)
    rows = home.journal.evaluations("tiny")
    assert all(row.fitness == getattr(row, measure) == (1 - row.accuracy) / share for row in rows)
    assert ended.best.fitness == max(row.fitness for row in rows)
    assert facts(home, VerdictReached)[-1].best == ended.best.number
    assert [row.best for row in home.journal.generations("tiny")][-1] == ended.best.fitness
    assert api.run(by_other, home) == ended, "read back, it is the same"
    with pytest.raises(SearchConflictError, match=r"strategy.fitness: \"accuracy\" here"):
        api.run(config, home)


def test_where_no_other_measure_is_known_a_search_goes_by_the_accuracy(home, config, scripted, api):
    by_f1 = replace(config, strategy=replace(config.strategy, fitness="f1"))
    ended = api.run(by_f1, home)
    assert (ended.best.fitness, ended.best.f1) == (ended.best.accuracy, None)
    assert ended.best.fitness == api.run(replace(config, name="other"), home).best.fitness


def test_a_retraining_goes_by_what_its_search_goes_by(home, config, scripted, api):
    api.run(replace(config, strategy=replace(config.strategy, fitness="auroc")), home)
    api.retrain("tiny", home)
    (child,) = home.children_of("tiny")
    assert child.configuration["strategy"]["fitness"] == "auroc"


def test_the_positive_class_makes_another_search_only_where_it_decides(config):
    first, second = (
        replace(
            config, data=replace(config.data, positive=n), strategy=replace(config.strategy, fitness="f1")
        )
        for n in (0, 1)
    )
    assert differing_keys(first, second) == ("data.positive: 0 here, 1 in the journal",)
    left_out, named = (replace(first, data=replace(config.data, positive=chosen)) for chosen in (None, "1"))
    assert differing_keys(left_out, second) == differing_keys(second, left_out) == ()
    assert differing_keys(left_out, first) == ("data.positive: null here, 0 in the journal",)
    assert differing_keys(named, second) == ('data.positive: "1" here, 1 in the journal',)
    by_accuracy = replace(first, strategy=config.strategy)
    assert differing_keys(by_accuracy, replace(second, strategy=config.strategy)) == ()


def test_a_finished_search_is_returned_without_a_driver(home, config, scripted, api):
    first = api.run(config, home)
    again = api.run(config, home)
    assert again == first
    assert len(scripted) == len(facts(home, DriverStarted)) == 1


def test_an_unfinished_search_goes_on_as_before_with_what_may_change_journaled(
    home, config, scripted, monkeypatch, api
):
    with api.giving(make_pool=lambda *_: FailingPool(KeyboardInterrupt)), pytest.raises(KeyboardInterrupt):
        api.run(config, home, executor="local")
    api.run(replace(config, final=replace(config.final, epochs=9)), home)
    first, second = facts(home, DriverStarted)
    assert (first.configuration["final"]["epochs"], second.configuration["final"]["epochs"]) == (1, 9)
    assert (first.executor, second.executor) == ("local", "local")
    assert home.find_search("tiny").state == "done"


def test_every_pool_is_closed_whatever_happens(home, config, scripted, monkeypatch, api):
    closed, close = [], ScriptedPool.close

    def note(pool):
        closed.append(pool)
        close(pool)

    monkeypatch.setattr(ScriptedPool, "close", note)
    api.run(config, home)
    failing = FailingPool(ZeroDivisionError)
    api.give(make_pool=lambda *_: failing)
    with pytest.raises(ZeroDivisionError):
        api.resume("tiny", home, generations=3)
    assert closed == [*scripted, failing]
    assert len(closed) == 2


def test_nothing_is_journaled_of_a_search_that_cannot_start(home, config, scripted, api):
    with pytest.raises(InfeasibleSpaceError):
        api.run(replace(config, space=replace(config.space, max_parameters=1)), home)
    with pytest.raises(ConfigError):
        api.run(replace(config, data=ImageFolderSettings(root="gone")), home)
    assert home.journal.searches() == ()
    assert scripted == []


def test_of_two_drivers_that_begin_a_search_at_once_one_is_told_of_the_other(
    home, config, scripted, monkeypatch, api
):
    load, begun = api.providers.load_dataset, []

    def load_while_another_begins(*arguments, **named):
        if not begun:
            begun.append(True)
            api.run(config, home)
        return load(*arguments, **named)

    api.give(load_dataset=load_while_another_begins)
    with pytest.raises(HeldError, match=r"another driver has just begun 'tiny'; run the same command again"):
        api.run(config, home)
    assert home.find_search("tiny").state == "done"


def test_numerics_stay_those_of_the_device_a_search_began_on(home, config, scripted, monkeypatch, api):
    api.run(config, home)
    asked = []
    scripted_pool = api.providers.make_pool
    api.give(make_pool=lambda *given: asked.append(given) or scripted_pool(*given))
    api.resume("tiny", home, generations=3)
    api.retrain("tiny", home)
    assert config.workers.device == "auto"
    assert [workers.device for _, workers, *_ in asked] == ["cpu", "cpu"]
    assert [(workers.count, most) for _, workers, *_, most, _ in asked] == [(1, None), (1, 1)]
    assert [threads for _, _, threads, *_ in asked] == [1, 1]


def test_what_auto_workers_per_gpu_need_reaches_the_pool_and_is_journaled_as_auto(
    home, config, scripted, api
):
    asked = []
    scripted_pool = api.providers.make_pool
    api.give(make_pool=lambda *given: asked.append(given) or scripted_pool(*given))
    on_auto = replace(config, workers=replace(config.workers, per_gpu="auto"))
    api.run(on_auto, home)
    assert home.find_search("tiny").configuration["workers"]["per_gpu"] == "auto"
    assert config_from_json(home.find_search("tiny").configuration) == on_auto
    api.resume("tiny", home, generations=3)
    api.run(replace(config, name="other"), home)
    plan = api.make_plan(config, load_dataset(config.data, env=os.environ, cwd=Path.cwd(), cache=None))
    largest = max(plan.size(one).peak for one in plan.strategy.ask(plan.strategy.start()))
    assert [(given[1].per_gpu, given[7]) for given in asked] == [("auto", largest)] * 2 + [(1, None)]


def test_workers_get_no_test_images(home, config, monkeypatch, api):
    given = []

    def make_pool(executor, workers, threads, factory, data, reach=None, most=None, peak=None):
        given.append(data)
        raise KeyboardInterrupt

    api.give(make_pool=make_pool)
    with pytest.raises(KeyboardInterrupt):
        api.run(config, home)
    assert not hasattr(given[0], "test")


@pytest.mark.parametrize(
    ("executor", "address", "expected"),
    [(None, None, ("ray", None)), ("local", None, ("local", None)), ("ray", "a:1", ("ray", "a:1"))],
)
def test_executor_and_address_reach_the_pool(
    home, config, scripted, monkeypatch, executor, address, expected, api
):
    asked = []
    scripted_pool = api.providers.make_pool
    api.give(make_pool=lambda *given: asked.append(given) or scripted_pool(*given))
    api.run(config, home, executor=executor, address=address)
    assert (asked[0][0], asked[0][1].address) == expected
    assert facts(home, DriverStarted)[0].executor == expected[0]


# What is the same search


def test_images_that_changed_are_another_search(home, config, scripted, monkeypatch, api):
    api.run(config, home)
    key = home.find_search("tiny").data_key
    load = api.providers.load_dataset
    api.give(load_dataset=lambda *a, **k: replace(load(*a, **k), key="other"))
    for go_on in (
        lambda: api.run(config, home),
        lambda: api.resume("tiny", home, generations=3),
        lambda: api.retrain("tiny", home),
    ):
        with pytest.raises(SearchConflictError) as refused:
            go_on()
        assert str(refused.value) == (
            f"the data of 'tiny' have changed: their hash is other here, {key} in the journal; "
            "bring the images back, or take another --name"
        )
    assert len(facts(home, DriverStarted)) == 1


@pytest.mark.parametrize("section", ["seed", "space", "strategy", "training"])
def test_each_section_that_decides_the_result_makes_another_search(home, config, scripted, section, api):
    api.run(config, home)
    changed = {
        "seed": {"seed": 4},
        "space": {"space": replace(config.space, batch_norm=0.25)},
        "strategy": {"strategy": replace(config.strategy, phi=5)},
        "training": {"training": replace(config.training, threads=2)},
    }
    with pytest.raises(SearchConflictError, match=rf"of another configuration: {section}"):
        api.run(replace(config, **changed[section]), home)


def images_in(folder):
    """A source whose pictures are the same in every folder."""
    draw_pictures(folder)
    return ImageFolderSettings(root=str(folder.resolve() / "shapes"), image_size=8)


def test_the_same_images_from_elsewhere_are_the_same_search(home, config, scripted, api):
    here, there = images_in(Path("here")), images_in(Path("there"))
    config = replace(config, training=replace(config.training, batch_size=8))  # there are few images
    api.run(replace(config, data=here), home)
    assert api.run(replace(config, data=there), home).row.state == "done"
    assert len(scripted) == 1


def test_images_beside_the_configuration_file_are_found_again_from_elsewhere(
    home, scripted, api, tmp_path, monkeypatch
):
    draw_pictures(Path("studies"))
    text = TINY.replace("{name: digits}", "{name: image_folder, root: shapes}")
    Path("studies/tiny.yaml").write_text(text.replace("batch_size: 64", "batch_size: 8"))
    config, source = read_config(Path("studies/tiny.yaml"), ["data.image_size=8"])
    api.run(config, home, source=source)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert api.resume("tiny", home, generations=3).row.state == "done"
    assert api.run(config, home, source=source).row.generations == 3


def test_generations_up_to_those_of_an_extension_are_no_other_search(home, config, scripted, api):
    api.run(config, home)
    api.resume("tiny", home, generations=4)
    for configured in (1, 2, 3, 4):
        assert api.run(with_generations(config, configured), home).row.generations == 4
    with pytest.raises(SearchConflictError, match=r"strategy\.generations: 5 here, 4 in the journal"):
        api.run(with_generations(config, 5), home)


def test_without_an_extension_other_generations_are_another_search(home, config, scripted, api):
    api.run(config, home)
    for configured in (1, 3):
        with pytest.raises(SearchConflictError, match=rf"strategy\.generations: {configured} here, 2 in the"):
            api.run(with_generations(config, configured), home)


def test_another_strategy_is_another_search(home, config, scripted, api):
    api.run(config, home)
    other = load_config(Path("tiny.yaml"), ["strategy={name: random, evaluations: 3}"])
    with pytest.raises(SearchConflictError, match=r'strategy\.name: "random" here, "eavl" in the journal'):
        api.run(other, home)


# resume


def test_an_extension_is_journaled_once_and_completed_again(home, config, scripted, api):
    api.run(config, home)
    extended = api.resume("tiny", home, generations=3)
    assert (extended.row.generations, extended.row.generation, extended.row.state) == (3, 2, "done")
    assert facts(home, Extended) == [Extended(3)]
    assert len(facts(home, Completed)) == 2
    assert api.resume("tiny", home, generations=3) == extended
    assert facts(home, Extended) == [Extended(3)]


def test_the_configuration_of_an_extended_search_stays_the_configured_one(home, config, scripted, api):
    api.run(config, home)
    api.resume("tiny", home, generations=3)
    assert home.find_search("tiny").configuration == config_to_json(config)


# make_plan and validate


def test_a_plan_takes_its_limits_from_configuration_and_images(config, api):
    dataset = load_dataset(config.data, env=os.environ, cwd=Path.cwd(), cache=None)
    plan = api.make_plan(config, dataset)
    assert (plan.name, plan.context.seed, plan.data_key) == ("tiny", 3, dataset.key)
    assert plan.problem == Problem(ImageShape(1, 8, 8), 10)
    assert plan.context.limits.max_parameters == config.space.max_parameters
    assert plan.strategy.evaluations == EVALUATIONS
    assert plan.training == config.training


def test_a_plan_of_an_extended_search_differs_in_its_generations_only(config, api):
    dataset = load_dataset(config.data, env=os.environ, cwd=Path.cwd(), cache=None)
    plan = api.make_plan(config, dataset)
    extended = api.make_plan(config, dataset, 5)
    assert isinstance(config.strategy, EavlSettings)
    assert (
        extended.strategy.evaluations == config.strategy.with_generations(5).evaluations_in_all == 4 + 4 * 3
    )
    assert replace(extended, strategy=plan.strategy) == plan


class OnGpu(ScriptedPool):
    """Its workers have a GPU of 80 GiB."""

    def _join(self, device):
        super()._join("scripted/cuda:0")
        bare = self._news.pop().worker
        del self._alive[bare]
        worker = replace(bare, memory=80 * 2**30, processor="H100")
        self._alive[worker] = 0
        self._news.append(WorkerJoined(worker))


class OneSecond:
    """What every training takes."""

    def handle(self, task, *_):
        return replace(FormulaEvaluator().handle(task), seconds=1.0)


@pytest.mark.parametrize(("count", "measuring", "workers"), [(None, 4, 8), (3, 3, 3)])
def test_validate_tells_what_auto_workers_per_gpu_come_to_here(
    config, monkeypatch, count, measuring, workers, api
):
    monkeypatch.setattr("evosearch.checking.gpus_for", lambda device: 2)
    monkeypatch.setattr("evosearch.checking.count_cores", lambda: 64)
    asked = []

    def make_pool(executor, settings, *others):
        asked.append((settings.per_gpu, settings.count, settings.device))
        return OnGpu(OneSecond(), Script(workers=settings.count))

    def found(per_gpu):
        changed = replace(config, workers=replace(config.workers, count=count, per_gpu=per_gpu))
        return api.validate(changed, measure=True, make_pool=make_pool)

    cost = found("auto")
    assert (cost.measured.workers, cost.measured.device_available) == (workers, 20 * 2**30)
    (line,) = [one.strip() for one in cost_lines(cost) if "auto is" in one]
    assert line.startswith("workers.per_gpu: auto is 4 (H100, 8 px: unmeasured model, so 4 below 96 px; ")
    fixed = found(4)
    assert (fixed.measured.workers, fixed.measured.device_available) == (workers, 20 * 2**30)
    assert fixed.measured.per_gpu == ""
    assert asked == [("auto", measuring, "cuda"), (4, measuring, "cuda")]


def test_validate_counts_the_whole_search_and_starts_nothing(config, scripted, tmp_path, api):
    before = sorted(tmp_path.rglob("*"))
    cost = api.validate(config)
    assert (cost.trainings, cost.epochs, cost.steps) == (EVALUATIONS, 1, -(-1151 // 64))
    assert (scripted, sorted(tmp_path.rglob("*"))) == ([], before)


def test_what_may_change_is_journaled_when_the_search_is_done_too(home, config, scripted, api):
    api.run(config, home, executor="local")
    changed = replace(config, final=replace(config.final, epochs=7))
    drivers = len(facts(home, DriverStarted))
    finished = api.run(changed, home)
    assert finished.row.state == "done"
    assert finished.row.configuration["final"]["epochs"] == 7
    assert len(facts(home, DriverStarted)) == drivers + 1
    api.run(changed, home)
    assert len(facts(home, DriverStarted)) == drivers + 1
    assert len(scripted) == 1  # a pool was made for the search only


def test_artifacts_lie_below_the_home_unless_said_otherwise(home, config, api):
    assert api.artifact_folder(home, config) == home.folder / "tiny"
    pictures = replace(config, storage=replace(config.storage, artifacts="pictures"))
    assert api.artifact_folder(home, pictures) == home.folder / "pictures" / "tiny"
    elsewhere = replace(config, storage=replace(config.storage, artifacts="/elsewhere"))
    assert api.artifact_folder(home, elsewhere) == Path("/elsewhere/tiny")


def test_two_retrainings_at_once_read_the_test_split_once_and_cost_the_search_no_time(
    home, config, scripted, monkeypatch, api
):
    api.run(config, home)
    seconds = home.find_search("tiny").seconds
    hold_late(
        monkeypatch, lambda: api.retrain("tiny", home)
    )  # another process ends the same retraining just now
    (reading,) = api.retrain("tiny", home)
    assert len(facts(home, TestReadingBegun, "tiny/final-1")) == 1
    assert reading.metrics is not None
    assert home.find_search("tiny").seconds == seconds


def test_what_a_list_trained_in_its_own_way_is_trained_so_again(home, config, scripted, api):
    own = replace(config.training, optimizer="sgd", learning_rate=0.5, epochs=2)
    listed = FixedListSettings(trials=(ListedTrial("C4 P | F6", settings=own),))
    api.run(replace(config, strategy=listed), home)
    api.retrain("tiny", home, epochs=3)
    (created,) = facts(home, SearchCreated, "tiny/final-3")
    assert config_from_json(created.configuration).training == replace(own, epochs=3)


def test_a_search_that_is_called_as_a_retraining_would_be_is_left_alone(home, config, scripted, api):
    api.run(config, home)
    (created,) = facts(home, SearchCreated)
    home.journal.create_search("tiny/final-1", created, 0.0)  # the first version began searches of such names
    before = facts(home, object, "tiny/final-1")
    with pytest.raises(
        SearchConflictError, match=r"'tiny/final-1' is a search of its own, whose name a retra"
    ):
        api.retrain("tiny", home)
    assert facts(home, object, "tiny/final-1") == before


def test_a_folder_that_takes_no_artifacts_is_found_before_anything_is_trained(home, config, scripted, api):
    nowhere = replace(config, storage=replace(config.storage, artifacts="/dev/null/pictures"))
    with pytest.raises(
        CannotRunError, match=r"nothing can be written to /dev/null/pictures/tiny .*storage\.artifacts"
    ):
        api.run(nowhere, home)
    assert not scripted
    assert home.journal.find("tiny") is None


def test_other_versions_than_a_search_began_with_are_told(home, config, scripted, monkeypatch, api):
    told = []
    api.give(versions=lambda: {"torch": "0.0", "numpy": "1.0"})
    api.run(with_generations(config, 1), home)
    api.give(versions=lambda: {"torch": "1.0", "numpy": "1.0"})

    class Notes(Silence):
        def note(self, text):
            told.append(text)

    api.resume("tiny", home, generations=2, watcher=Notes())
    assert any("torch 0.0 then, 1.0 now" in text for text in told)


@pytest.mark.parametrize("command", ["retrain", "resume"])
def test_a_search_that_was_extended_just_before_it_was_taken_is_left_alone(
    home, config, scripted, monkeypatch, command, api
):
    api.run(config, home)
    if command == "resume":
        # extended, and not yet finished
        with (
            api.giving(make_pool=lambda *_: FailingPool(KeyboardInterrupt)),
            pytest.raises(KeyboardInterrupt),
        ):
            api.resume("tiny", home, generations=3)
    # another driver, which has finished just now
    hold_late(monkeypatch, lambda: api.resume("tiny", home, generations=5))
    with pytest.raises(
        HeldError, match="another driver has just extended 'tiny'; run the same command again"
    ):
        getattr(api, command)("tiny", home)
    assert not facts(home, TestReadingBegun)


def seeds_of(home):
    return {row.name: (row.state, row.configuration["seed"]) for row in home.journal.searches()}


def test_the_searches_of_a_group_are_what_they_would_have_been_alone(home, config, scripted, api):
    group = api.run_group(config, [0, 3], home)
    assert seeds_of(home) == {"tiny/seed-0": ("done", 0), "tiny/seed-3": ("done", 3)}
    for member, seed in zip(group, (0, 3), strict=True):
        alone = api.run(replace(config, name=f"alone-{seed}", seed=seed), home)
        assert (member.best.chromosome, member.best.fitness) == (alone.best.chromosome, alone.best.fitness)
    assert api.run_group(config, [0, 3], home) == group


def test_a_group_that_was_stopped_goes_on_whole(home, config, scripted, monkeypatch, api):
    whole = api.run_group(replace(config, name="whole"), [0, 1], home)
    turns = itertools.count()
    with monkeypatch.context() as patched:
        patched.setattr(StopSignals, "reason", lambda _self: "SIGTERM" if next(turns) > 6 else None)
        with pytest.raises(InterruptedSearchError, match="evosearch resume tiny"):
            api.run_group(config, [0, 1], home)
    assert {state for name, (state, _) in seeds_of(home).items() if "tiny" in name} == {"interrupted"}
    resumed = api.resume_group("tiny", home)
    assert [one.best.fitness for one in resumed] == [one.best.fitness for one in whole]


def test_a_seed_can_be_added_to_a_group_later(home, config, scripted, api):
    api.run_group(config, [0], home)
    before = len(facts(home, Dispatched, "tiny/seed-0"))
    api.run_group(config, [0, 1], home)
    assert [row.name for row in home.members_of("tiny")] == ["tiny/seed-0", "tiny/seed-1"]
    assert len(facts(home, Dispatched, "tiny/seed-0")) == before


def test_a_name_is_a_search_or_a_group_never_both(home, config, scripted, api):
    api.run_group(config, [0], home)
    with pytest.raises(SearchConflictError, match="'tiny' is a group of 1 search"):
        api.run(config, home)
    api.run(replace(config, name="single"), home)
    with pytest.raises(SearchConflictError, match="'single' is a single search"):
        api.run_group(replace(config, name="single"), [0], home)
    with pytest.raises(
        SearchConflictError, match="in the folder of the search 'single'; take another --name"
    ):
        api.run(replace(config, name="single/x"), home)
    assert home.journal.find("single/x") is None
    with pytest.raises(SearchConflictError, match="no search 'gone'"):
        api.resume_group("gone", home)


def test_a_search_below_another_that_was_begun_before_that_was_refused_goes_on(home, config, scripted, api):
    below = replace(config, name="single/x")
    first = api.run(below, home)
    (created,) = facts(home, SearchCreated, "single/x")
    home.journal.create_search("single", created, 0.0)
    assert api.run(below, home) == first


def test_members_whose_images_lie_elsewhere_now_go_on_together(home, config, scripted, api):
    config = replace(config, training=replace(config.training, batch_size=8))  # there are few images
    for seed, data in enumerate((images_in(Path("here")), images_in(Path("there")))):
        api.run(replace(config, name=f"tiny/seed-{seed}", seed=seed, data=data), home)
    assert len(api.resume_group("tiny", home, generations=3)) == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("data_key = 'other'", r"on other data \(\w+ and other\)"),
        ('environment = \'{"device": "cuda"}\'', r"on other devices \(cpu and cuda\)"),
    ],
)
def test_members_of_other_data_or_devices_are_told_what_differs(home, config, scripted, change, told, api):
    api.run_group(config, [0, 1], home)
    with sqlite3.connect(home.journal.file) as connection:
        connection.execute(f"UPDATE searches SET {change} WHERE name = 'tiny/seed-1'")
    connection.close()
    with pytest.raises(
        SearchConflictError, match=rf"'tiny/seed-0' and 'tiny/seed-1' were begun {told}, so they"
    ):
        api.resume_group("tiny", home, generations=3)


def test_a_search_that_names_no_device_is_damage(home, config, scripted, api):
    api.run_group(config, [0, 1], home)
    with sqlite3.connect(home.journal.file) as connection:
        connection.execute("UPDATE searches SET environment = '{}'")
    connection.close()
    for resume, name in ((api.resume, "tiny/seed-0"), (api.resume_group, "tiny")):
        with pytest.raises(
            JournalError, match=r"journal\.db is damaged: it names no device of 'tiny/seed-0'"
        ):
            resume(name, home, generations=3)


def test_a_group_can_be_extended(home, config, scripted, api):
    api.run_group(config, [0, 1], home)
    extended = api.resume_group("tiny", home, generations=3)
    assert [one.row.generations for one in extended] == [3, 3]


@pytest.fixture
def remote(config, tmp_path):
    """The same search, with its artifacts in a remote store."""
    return replace(config, storage=replace(config.storage, artifacts=make_bucket(tmp_path)))


@pytest.fixture
def elsewhere(tmp_path):
    """An empty home on another machine, or on this one after the loss of its disk."""
    with open_home(str(tmp_path / "elsewhere/journal.db"), env={}, cwd=tmp_path, create=True) as made:
        yield made


def test_a_remote_store_gets_curve_backups_and_weights_and_a_lost_search_comes_back(
    home, elsewhere, remote, scripted, api
):
    finished = api.run(remote, home)
    kept = api.artifact_store(home, remote).list()
    assert "tiny/evolution.png" in kept
    assert any(name.startswith("tiny/journal/") and name.endswith(".db") for name in kept)
    again = api.run(remote, elsewhere)
    assert (again.row, again.best) == (finished.row, finished.best)
    assert len(scripted) == 1


def test_each_search_of_a_lost_home_comes_back_by_itself(home, elsewhere, remote, scripted, api):
    other = replace(remote, name="other", seed=4)
    finished = [api.run(one, home) for one in (remote, other)]
    assert [api.run(one, elsewhere).row for one in (remote, other)] == [one.row for one in finished]
    assert len(scripted) == 2


def test_a_group_comes_back_with_all_its_members(home, elsewhere, remote, scripted, api):
    finished = api.run_group(remote, [0, 1], home)
    assert [one.row for one in api.run_group(remote, [0, 1], elsewhere)] == [one.row for one in finished]
    assert len(scripted) == 1


def test_a_journal_that_was_put_back_from_an_old_copy_resumes_from_its_newer_backup(
    home, elsewhere, remote, scripted, api
):
    api.run(remote, home)
    api.run(remote, elsewhere)  # as it is now
    api.resume("tiny", home, generations=3)
    assert api.resume("tiny", elsewhere).row.generations == 3
    assert len(scripted) == 2


def test_a_retraining_is_backed_up_before_and_after_it_reads_the_test_split(
    home, elsewhere, remote, scripted, monkeypatch, tmp_path, api
):
    api.run(remote, home)
    begun_when_read, read = [], ScriptedPool.submit

    def submit(pool, worker, ticket, task):
        if isinstance(task, PredictionTask):
            with open_home(str(tmp_path / "third/journal.db"), env={}, cwd=tmp_path, create=True) as third:
                bring_back(third, api.artifact_store(home, remote), "tiny", Onlooker(), takeover=True)
                begun_when_read.append(len(facts(third, TestReadingBegun, "tiny/final-1")))
        read(pool, worker, ticket, task)

    monkeypatch.setattr(ScriptedPool, "submit", submit)
    monkeypatch.setattr(Backup, "begin", lambda *_: None)  # in the background it might come too late
    reading = api.retrain("tiny", home)
    assert begun_when_read == [1]
    api.run(remote, elsewhere)
    assert api.retrain("tiny", elsewhere) == reading
    assert len(scripted) == 2


def test_what_changed_of_a_finished_search_is_backed_up(home, elsewhere, remote, scripted, api):
    api.run(remote, home)
    api.run(replace(remote, final=replace(remote.final, epochs=7)), home)
    store = api.artifact_store(home, remote)
    bring_back(elsewhere, store, "tiny", Onlooker())
    assert elsewhere.find_search("tiny").configuration["final"]["epochs"] == 7


def test_a_driver_elsewhere_that_lives_is_respected_and_one_that_was_superseded_ends(
    home, elsewhere, remote, scripted, monkeypatch, api
):
    """Two machines; the second comes while the first is in the middle of its search."""
    ends = []

    def come(_self):
        monkeypatch.setattr(JournalLogbook, "beat", beat)
        with monkeypatch.context() as there:
            there.setattr("socket.gethostname", lambda: "second")
            with pytest.raises(
                HeldError, match=r"'tiny' is held by a driver on .* supersede it with --takeover"
            ):
                api.run(remote, elsewhere)
            ends.append(api.run(remote, elsewhere, takeover=True).row.state)

    beat = JournalLogbook.beat
    monkeypatch.setattr(JournalLogbook, "beat", come)
    monkeypatch.setattr("evosearch.runtime.driver.HEARTBEAT_SECONDS", 0.0)
    monkeypatch.setattr("evosearch.storage.backups.backup.EVERY_SECONDS", 0.0)
    with pytest.raises(StaleTermError, match="'tiny' was taken over by a driver on second") as stopped:
        api.run(remote, home)
    assert ends == ["done"], stopped.value.__context__  # what went wrong over there, if anything
    assert api.run(remote, home).row == elsewhere.find_search("tiny")


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_a_store_that_does_not_give_back_is_found_before_anything_is_journaled(
    home, config, scripted, tmp_path, monkeypatch, executor, api
):
    monkeypatch.setattr(BucketFileSystem, "cat_file", lambda *_, **__: b"something else")
    remote = replace(config, storage=replace(config.storage, artifacts=f"bucket://{tmp_path}/bucket"))
    with pytest.raises(CannotRunError, match="does not give back what is written to it"):
        api.run(remote, home, executor=executor)
    assert (home.journal.searches(), scripted) == ((), [])


def test_workers_find_the_drivers_mark_until_the_pool_closes(home, config, tmp_path, monkeypatch, api):
    found = []

    def make_pool(executor, settings, threads, factory, data, reach=None, most=None, peak=None):
        found.append(pickle.loads(pickle.dumps(reach))())
        return ScriptedPool(FormulaEvaluator())

    api.give(make_pool=make_pool)
    remote = replace(config, storage=replace(config.storage, artifacts=f"bucket://{tmp_path}/bucket"))
    api.run(remote, home)
    assert found == [None]
    assert not [name for name in api.artifact_store(home, remote).list() if "reach" in name]


def test_a_disk_without_room_for_the_search_is_found_before_anything_is_journaled(
    home, config, scripted, monkeypatch, api
):
    config = replace(config, workers=replace(config.workers, checkpoint_minutes=None))
    free = Mock(return_value=Mock(free=2 * 2**20))
    monkeypatch.setattr("evosearch.storage.disks.shutil.disk_usage", free)
    with pytest.raises(CannotRunError) as raised:
        api.run(config, home)
    assert str(raised.value) == (
        f"{home.folder} has 2.0 MiB free, and 7 evaluations may take 2.0 MiB; make room, or name another disk with "
        "EVOSEARCH_HOME, --storage or storage.artifacts"
    )
    assert (home.journal.searches(), scripted) == ((), [])
    free.return_value.free += 7 * 5_000
    assert api.run(config, home).row.state == "done"
    assert {call.args[0] for call in free.call_args_list} == {home.folder, home.folder / "tiny"}


def test_an_artifact_store_that_cannot_be_used_is_found_before_anything_is_journaled(
    home, config, scripted, api
):
    blocked = home.folder / "file"
    blocked.write_text("no folder")
    broken = replace(config, storage=replace(config.storage, artifacts=str(blocked)))
    with pytest.raises(CannotRunError, match="file"):
        api.run(broken, home)
    assert home.journal.searches() == ()


def begun_long_ago(home, config):
    """A search as an older version may have begun it, with what a new one may not have."""
    home.journal.create_search(
        config.name,
        SearchCreated(
            config_to_json(config),
            load_dataset(config.data, env=os.environ, cwd=Path.cwd(), cache=None).key,
            {**versions(), "device": "cpu"},
            config.strategy.generations,
        ),
        time.time(),
    )


def test_what_is_refused_since_is_refused_to_new_searches_only(home, config, scripted, api):
    large = replace(config, seed=2**32)
    with pytest.raises(ConfigError, match=r"^seed is 4294967296; it must be below 4,294,967,296"):
        api.run(large, home)
    with pytest.raises(ConfigError, match=r"^--seeds: seed is 4294967296; "):
        api.run_group(config, [0, 2**32], home, source=read_config(Path("tiny.yaml"))[1])
    assert home.journal.searches() == ()
    begun_long_ago(home, large)
    watcher = Mock(wraps=Silence())
    assert api.run(large, home, watcher=watcher).row.state == "done"
    assert api.resume("tiny", home, generations=3, watcher=watcher).row.generations == 3
    notes = [call.args[0] for call in watcher.note.call_args_list]
    told = [note for note in notes if note.startswith("seed is 4294967296")]
    assert len(told) == 2
    assert told[0].endswith("'tiny' began before that was refused, and goes on")


def test_a_default_that_changed_since_does_not_make_another_search(home, config, scripted, monkeypatch, api):
    begun_long_ago(home, replace(config, training=replace(config.training, dropout=0.25)))
    dropout = next(key for key in fields(TrainingSettings) if key.name == "dropout")
    monkeypatch.setattr(dropout, "metadata", {"absent": 0.25})
    loaded, source = read_config(Path("tiny.yaml"))
    with pytest.raises(SearchConflictError, match=r"training\.dropout: 0\.5 here, 0\.25 in the journal"):
        api.run(loaded, home)
    assert api.run(loaded, home, source=source).row.configuration["training"]["dropout"] == 0.25
    given, source = read_config(Path("tiny.yaml"), ["training.dropout=0.5"])
    with pytest.raises(SearchConflictError, match=r"training\.dropout"):
        api.run(given, home, source=source)


def test_a_driver_that_is_alive_is_superseded_where_that_is_asked_for(home, config, scripted, api):
    started = DriverStarted("elsewhere", 1, "local", config_to_json(config))
    begun_long_ago(home, config)
    with take(home.journal, home.folder_of("tiny"), "tiny", started, time.time) as alive:
        with pytest.raises(HeldError, match="--takeover"):
            api.run(config, home)
        assert api.run(config, home, takeover=True).row.state == "done"
        with pytest.raises(StaleTermError):
            home.journal.append("tiny", alive.term, [Interrupted("late")], time.time())


@pytest.mark.parametrize("lines", ["exit 9", "exit 0"], ids=["broken", "working"])
def test_a_search_that_began_on_the_cpu_goes_on_there_with_a_note_where_the_driver_of_the_gpus_does_not_work(
    config, home, scripted, tmp_path, monkeypatch, lines, api
):
    api.run(config, home)
    command = tmp_path / "nvidia-smi"
    command.write_text(f"#!/bin/sh\n{lines}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    watcher = Mock(wraps=Silence())
    api.resume("tiny", home, generations=3, watcher=watcher)
    notes = [call.args[0] for call in watcher.note.call_args_list]
    told = "this is a GPU machine without a working driver; 'tiny' began on the CPU, and goes on there"
    assert any(told in note for note in notes) == (lines == "exit 9")


@pytest.mark.usefixtures("scripted")
def test_absurd_numbers_are_refused_to_new_searches_and_one_that_began_with_them_goes_on_with_a_note(
    config, home, api
):
    absurd = replace(
        config,
        space=replace(config.space, units=(8, 10**6)),
        strategy=replace(config.strategy, redraws=10**20),
        training=replace(config.training, batch_size=10**9),
        workers=replace(config.workers, recycle_after=10**20),
    )
    with pytest.raises(ConfigError, match="must be at most"):
        api.run(absurd, home)
    begun_long_ago(home, absurd)
    watcher = Mock(wraps=Silence())
    assert api.resume("tiny", home, watcher=watcher).row.state == "done"
    notes = [call.args[0] for call in watcher.note.call_args_list]
    keys = {
        note.partition(" is ")[0] for note in notes if "began before that was refused, and goes on" in note
    }
    assert keys == {"space.units", "strategy.redraws", "training.batch_size", "workers.recycle_after"}
