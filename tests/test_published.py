"""Studies that are handed on: published where they were killed, they go on in an empty home to the same table."""

import json
import sqlite3
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

import evosearch
from evosearch.config import load_config
from evosearch.errors import InputError, SearchConflictError
from evosearch.evaluation import Failure, FailureKind, PredictionTask, TrainingTask
from evosearch.reports import study_document
from evosearch.search import FixedListSettings, ListedTrial
from evosearch.session import SearchSession
from evosearch.storage import Home, bring_in, open_home, publish_copy
from evosearch.storage.backups.compressed import decompress
from evosearch.study import DOUBTS, Study
from evosearch.testing import FormulaEvaluator
from tests.finished_search import TINY, DyingPool, measure, script_workers

STUDIES = {
    "baselines": "{kind: baselines, seeds: [0, 1], networks: [evolved, resnet18, {network: C8 P | F4, name: mine}]}",
    "dropout": "{kind: dropout, networks: [C8 P | F4], sample: 0.3, population: 4, cycle: 2, arms: [ga, fixed, random]}",
}


@pytest.fixture(autouse=True)
def unpictured(monkeypatch):
    """No picture of any member is drawn, which takes most of the time; other tests see to these."""
    monkeypatch.setattr(SearchSession, "_draw", lambda *_: None)


@pytest.fixture
def scripted(api, scripted):
    """As `scripted`; networks that people made are measured by a formula too."""
    api.give(measure_sizes=measure)
    return scripted


def study_of(kind):
    Path(f"{kind}.yaml").write_text(f"{TINY}study: {STUDIES[kind]}\n")
    return load_config(Path(f"{kind}.yaml"))


def home_in(stack: ExitStack, folder: Path) -> Home:
    folder.mkdir()
    return stack.enter_context(open_home(None, env={}, cwd=folder, create=True))


def read(stack: ExitStack, file: Path) -> Home:
    return stack.enter_context(open_home(str(file), env={}, cwd=file.parent, create=False, reads=True))


def table_of(study: Study) -> object:
    return study.table.fingerprint, study_document(study.table, study.comparison(study.table))


class OnItsMachine(FormulaEvaluator):
    """Leaves what it trained on its own machine: a network is read there, or nowhere."""

    def handle(self, task, *more):
        if isinstance(task, TrainingTask) and task.weights:
            Path(task.weights).parent.mkdir(parents=True, exist_ok=True)
            Path(task.weights).touch()
        if isinstance(task, PredictionTask) and not Path(task.weights).exists():
            return Failure(FailureKind.ERROR, f"there is no file {task.weights}")
        return super().handle(task, *more)


@pytest.mark.parametrize(("kind", "waits", "least"), [("baselines", 6, 3), ("dropout", 4, 3)])
def test_killed_published_and_resumed_elsewhere_again_and_again_a_study_ends_as_an_undisturbed_one(
    home, tmp_path, api, scripted, kind, waits, least
):
    config = study_of(kind)
    undisturbed = table_of(api.run_study(config, home))
    moves = 0

    def make_pool(executor, settings, threads, factory, data, reach=None, most=None, peak=None):
        return DyingPool(OnItsMachine()(data, "cpu"), waits=waits)

    with ExitStack() as stack, api.giving(make_pool=make_pool):
        here = home_in(stack, tmp_path / "machine-0")
        while True:
            try:
                study = api.resume_study(kind, here) if moves else api.run_study(config, here)
                break
            except ZeroDivisionError:
                moves += 1
                assert moves < 40
            file = tmp_path / f"{moves}.db.xz"
            publish_copy(here, kind, file, beside=(DOUBTS,))
            here = home_in(stack, tmp_path / f"machine-{moves}")
            bring_in(here, read(stack, file), kind)
        assert moves >= least
        assert table_of(study) == undisturbed


def all_texts(journal: Path) -> str:
    """Whatever is in the file of a journal, in whichever table."""
    with closing(sqlite3.connect(journal)) as connection:
        return "\n".join(connection.iterdump())


@pytest.fixture
def finished_study(home, api, scripted):
    """One whose data, weights and home are named by absolute paths, and that rests on another search."""
    api.run(replace(load_config(Path(tiny_file())), name="origin"), home)
    section = "{kind: baselines, networks: [origin, {network: C8 P | F4, name: mine}]}"
    Path("compare.yaml").write_text(f"{TINY}study: {section}\n")
    return api.run_study(load_config(Path("compare.yaml")), home)


def tiny_file() -> str:
    Path("tiny.yaml").write_text(TINY)
    return "tiny.yaml"


def test_a_published_copy_has_the_study_what_it_rests_on_and_nothing_else(
    home, finished_study, tmp_path, api
):
    api.run(replace(load_config(Path("tiny.yaml")), name="other"), home)
    names = publish_copy(home, "compare", tmp_path / "copy.db.xz", beside=(DOUBTS,))
    with ExitStack() as stack:
        copy = read(stack, tmp_path / "copy.db.xz")
        assert {row.name for row in copy.journal.searches()} == set(names)
        assert set(names) == {row.name for row in home.journal.searches()} - {"other"}
        assert "origin" in names


def test_equal_journals_give_equal_copies(home, finished_study, tmp_path):
    for name in ("a.xz", "b.xz"):
        publish_copy(home, "compare", tmp_path / name)
    assert (tmp_path / "a.xz").read_bytes() == (tmp_path / "b.xz").read_bytes()


def test_a_published_copy_names_no_machine_no_process_and_no_path(
    home, config, tmp_path, api, scripted, monkeypatch
):
    monkeypatch.setattr("socket.gethostname", lambda: "lab-gpu7")
    stored = replace(config.storage, artifacts=str(tmp_path / "art-of-alice"))
    workers = replace(config.workers, address="lab-head:6379")
    trial = ListedTrial("C8 P | F4")
    listed = FixedListSettings(trials=(trial, replace(trial, repeat=1)))
    given = replace(config, storage=stored, workers=workers, strategy=listed)
    script_workers(api, FailsOnce())
    api.run(given, home, executor="local")
    publish_copy(home, "tiny", tmp_path / "copy.xz")
    decompress(tmp_path / "copy.xz", tmp_path / "copy.db")
    before, after = all_texts(home.journal.file), all_texts(tmp_path / "copy.db")
    secrets = ("lab-gpu7", "lab-head", "alice", str(tmp_path), "10.1.2.3", "scripted")
    for secret in secrets:
        assert secret in before, "else nothing is shown"
        assert secret not in after
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT DISTINCT host, pid FROM drivers").fetchall() == [("host-1", 0)]
    assert "ValueError at train.py:7 on host-1 and host-2 of worker-1, URL" in after


class FailsOnce(FormulaEvaluator):
    """Of two trainings one fails, in words that name machines and paths."""

    def handle(self, task, *more):
        if isinstance(task, TrainingTask) and not Path("failed").exists():
            Path("failed").touch()
            words = f"ValueError at {Path.cwd()}/train.py:7 on lab-gpu7 and 10.1.2.3 of scripted-1, http://lab-head:8265"
            return Failure(FailureKind.ERROR, words)
        return super().handle(task, *more)


def test_what_a_published_table_rests_on_beside_the_journal_comes_with_it(home, finished_study, tmp_path):
    doubts = {"caveats": [], "shortcut": {"accuracy": 0.9}}
    (home.folder / "compare" / DOUBTS).write_text(json.dumps(doubts))
    publish_copy(home, "compare", tmp_path / "copy.xz", beside=(DOUBTS,))
    with ExitStack() as stack:
        copy = read(stack, tmp_path / "copy.xz")
        assert json.loads((copy.folder / "compare" / DOUBTS).read_text()) == doubts
        other = home_in(stack, tmp_path / "other")
        bring_in(other, copy, "compare")
        assert json.loads((other.folder / "compare" / DOUBTS).read_text()) == doubts
    assert not copy.folder.exists(), "what was unpacked to be read is gone when it is closed"


@pytest.mark.parametrize("name", ["../outside.json", "/outside.json", "other/x.json", "compare/lock-1"])
def test_a_copy_brings_no_file_but_documents_of_its_own_searches(home, finished_study, tmp_path, name):
    publish_copy(home, "compare", tmp_path / "copy.xz")
    decompress(tmp_path / "copy.xz", tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as forged, forged:
        forged.execute(
            "INSERT INTO files VALUES (?, ?)", (name.replace("/outside", f"{tmp_path}/outside"), b"x")
        )
    with ExitStack() as stack:
        other = home_in(stack, tmp_path / "other")
        before = set(tmp_path.rglob("*"))
        bring_in(other, read(stack, tmp_path / "copy.db"), "compare")
    assert not [one for one in set(tmp_path.rglob("*")) - before if one.is_file() and one.suffix != ""]


def test_a_script_reads_a_published_copy_and_goes_on_with_none(home, finished_study, tmp_path):
    publish_copy(home, "compare", tmp_path / "copy.xz")
    search = evosearch.open("compare/mine-seed-0", str(tmp_path / "copy.xz"))
    (reading,) = search.readings
    assert len(search.predictions(reading).labels) == 359
    with pytest.raises(
        InputError, match=r"copy\.xz is a compressed copy, which status, results and explain read"
    ):
        search.retrain(epochs=2)


def test_a_search_that_is_there_already_is_never_replaced(home, finished_study, tmp_path, api):
    publish_copy(home, "compare", tmp_path / "copy.xz")
    with ExitStack() as stack:
        copy = read(stack, tmp_path / "copy.xz")
        with pytest.raises(
            SearchConflictError, match=r"'compare' is in the journal .* already; `evosearch resume compare`"
        ):
            bring_in(home, copy, "compare")
        other = home_in(stack, tmp_path / "other")
        api.run(replace(load_config(Path("tiny.yaml")), name="origin"), other)
        with pytest.raises(
            SearchConflictError, match=r"'compare' rests on 'origin', and the journal .* has another"
        ):
            bring_in(other, copy, "compare")
        assert [row.name for row in other.journal.searches()] == ["origin"]


def test_what_a_study_rests_on_and_is_there_already_stays(home, finished_study, tmp_path):
    for name in ("origin", "compare"):
        publish_copy(home, name, tmp_path / f"{name}.xz")
    with ExitStack() as stack:
        other = home_in(stack, tmp_path / "other")
        assert bring_in(other, read(stack, tmp_path / "origin.xz"), "origin") == ("origin",)
        came = bring_in(other, read(stack, tmp_path / "compare.xz"), "compare")
        assert "origin" not in came
        assert len(other.journal.searches()) == len(came) + 1


def test_a_published_configuration_is_the_same_search(home, finished_study, tmp_path):
    publish_copy(home, "compare", tmp_path / "copy.xz")
    with ExitStack() as stack:
        copy = read(stack, tmp_path / "copy.xz")
        for row in copy.journal.searches():
            mine = home.find_search(row.name)
            for section in ("seed", "space", "strategy", "training", "final"):
                assert row.configuration[section] == mine.configuration[section]
            assert row.data_key == mine.data_key
