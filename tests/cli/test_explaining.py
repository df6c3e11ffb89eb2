"""`explain`: the protocol's table and what is told of a search are tested in tests/studies."""

import json
import re
from pathlib import Path

import pytest

from evosearch.config import load_config
from evosearch.session import SearchSession
from evosearch.storage import open_home
from evosearch.studies.protocol import protocol_json, protocol_lines
from evosearch.testing import FormulaEvaluator
from tests.finished_search import TINY, DyingPool


def test_the_protocol_is_printed_as_a_table_or_as_one_document(command):
    ended = command("explain", "protocol")
    assert (ended.status, ended.out.splitlines(), ended.err) == (0, list(protocol_lines()), "")
    ended = command("explain", "protocol", "--json")
    assert json.loads(ended.out) == json.loads(json.dumps(protocol_json()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["explain"],
            "`evosearch explain` alone is no command; write evosearch explain protocol or evosearch explain search",
        ),
        (
            ["explain", "nonsense"],
            "there is no `evosearch explain nonsense`; write evosearch explain protocol or evosearch explain search",
        ),
        (
            ["bench"],
            "`evosearch bench` alone is no command; write evosearch bench better or evosearch bench evaluate or "
            "evosearch bench halving or evosearch bench scheduler or evosearch bench strategies",
        ),
    ],
)
def test_a_missing_or_unknown_topic_is_answered_with_those_there_are(refused, arguments, message):
    assert refused(*arguments) == message


def test_a_search_is_explained_on_one_screen(read_finished):
    ended = read_finished("explain", "search", "tiny")
    assert (ended.status, ended.err) == (0, "")
    title, *lines = ended.out.splitlines()
    assert title.startswith("tiny: done, eavl, 7 evaluations with a fitness; winner ")
    for what in (
        "deviation within generations",
        "parents above population (sd)",
        "distinct chromosomes",
        "initial",
        "immigrant",
    ):
        assert any(line.startswith(what) for line in lines), what
    tables = lines[: max(place for place, line in enumerate(lines) if not line)]
    assert max(map(len, tables)) <= 80
    assert "`evosearch retrain tiny --seeds 1..5` does" in ended.out


def test_json_has_every_figure_and_markdown_the_same_tables(read_finished):
    document = json.loads(read_finished("explain", "search", "tiny", "--json").out)
    assert document["search"]["figures"]["spread"]["n"] == 8
    assert [row["members"] for row in document["search"]["generations"]] == [4, 4]
    assert document["search"]["sentences"]
    text = read_finished("explain", "search", "tiny", "--format", "markdown").out
    assert text.startswith("# tiny: done, eavl")
    tables = [table.splitlines() for table in text.split("\n\n") if table.startswith("|")]
    assert len(tables) == 3
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1


def test_json_and_markdown_together_are_refused(refused):
    told = refused("explain", "search", "tiny", "--json", "--format", "markdown")
    assert told == "--json and --format markdown are two ways to print one thing; give one of them"


def test_an_unknown_name_is_refused(read_finished):
    ended = read_finished("explain", "search", "nobody")
    assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert ended.err.startswith("evosearch: there is no search 'nobody' in ")


def killed(api, folder, waits):
    """`tiny`, whose driver dies at the wait after so many; its home is closed."""

    def make_pool(executor, settings, threads, factory, data, reach=None, most=None, peak=None):
        return DyingPool(FormulaEvaluator()(data, "cpu"), waits=waits)

    (folder / "tiny.yaml").write_text(TINY)
    with (
        open_home(None, env={}, cwd=folder, create=True) as home,
        api.giving(make_pool=make_pool),
        pytest.raises(ZeroDivisionError),
    ):
        api.run(load_config(folder / "tiny.yaml"), home, executor="local")


def test_where_nothing_has_been_evaluated_one_line_says_so(command, refused, api, tmp_path):
    killed(api, tmp_path, waits=0)
    told = refused("explain", "search", "tiny")
    assert told == "nothing of 'tiny' has been evaluated with success yet; see `evosearch status tiny`"


def test_an_unfinished_search_is_explained_as_far_as_it_is(command, api, tmp_path):
    killed(api, tmp_path, waits=4)
    ended = command("explain", "search", "tiny")
    assert (ended.status, ended.err) == (0, "")
    document = json.loads(command("explain", "search", "tiny", "--json").out)
    assert 0 < document["search"]["done"] < 7


@pytest.mark.usefixtures("scripted")
def test_a_retraining_is_refused_and_its_search_named(command, refused, api, config, home):
    api.run(config, home)
    api.retrain("tiny", home)
    child = home.children_of("tiny")[0].name
    assert refused("explain", "search", child).endswith("; write evosearch explain search tiny")


@pytest.mark.usefixtures("scripted")
def test_a_study_has_its_arms_beside_each_other_and_a_group_is_one_arm(command, api, home, monkeypatch):
    monkeypatch.setattr(SearchSession, "_draw", lambda *_: None)  # pictures take most of the time
    study = Path("study.yaml")
    study.write_text(f"{TINY}study: {{kind: ablation, seeds: [0, 1, 2], arms: [random, eavl]}}\n")
    api.run_study(load_config(study), home)
    api.run_group(load_config(Path("tiny.yaml")), [0, 1], home)
    out = command("explain", "search", "study").out
    assert out.startswith("study: 6 searches, 2 arms\n")
    heading = next(line for line in out.splitlines() if line.startswith("mean ± deviation"))
    assert heading.split()[-2:] == ["random", "eavl"]
    assert max(map(len, out.partition("\n\nrandom: ")[0].splitlines())) <= 80
    assert "Trained afresh, winners of eavl are " in out
    document = json.loads(command("explain", "search", "study", "--json").out)
    assert [(arm["arm"], len(arm["searches"])) for arm in document["arms"]] == [("random", 3), ("eavl", 3)]
    assert command("explain", "search", "tiny").out.startswith("tiny: 2 searches, 1 arm\n")


@pytest.mark.usefixtures("scripted")
def test_a_list_and_a_random_search_say_what_does_not_apply(command, api, home):
    for name, strategy in (
        ("listed", "{name: list, trials: [{network: C8 P | F4}, {network: C9 P | F4}]}"),
        ("drawn", "{name: random, evaluations: 4}"),
    ):
        file = Path(f"{name}.yaml")
        file.write_text(re.sub("strategy: .*", f"strategy: {strategy}", TINY))
        api.run(load_config(file), home)
    assert "Not applicable: in a list of trials nothing is selected; only noise is told." in (
        command("explain", "search", "listed").out
    )
    out = command("explain", "search", "drawn").out
    assert "Not applicable: without children, as in a random search, there is no selection" in out
    assert "parents" not in out.partition("Not applicable")[0]
