"""The Python API of scripts and notebooks."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

import evosearch
from evosearch.blueprint import ImageShape
from evosearch.data import DigitsSettings, load_dataset
from evosearch.errors import CannotRunError, ConfigError, DataError, EvaluationError, SearchConflictError
from evosearch.runtime import Silence
from evosearch.storage import ArtifactStore
from evosearch.testing import FormulaEvaluator
from evosearch.training.trained import TrainedNetwork
from tests.bucket import make_bucket
from tests.finished_search import EVALUATIONS, TINY, script_workers


class Notes(Silence):
    """Keeps what is noted."""

    def __init__(self):
        self.lines = []

    def note(self, text):
        self.lines.append(text)


@pytest.fixture(scope="module")
def retrained(finished, tmp_path_factory):
    """The home of the search that was really trained, its best retrained from two seeds."""
    folder = tmp_path_factory.mktemp("retrained")
    shutil.copytree(finished.home, folder / "runs")
    search = evosearch.open("tiny", str(folder / "runs" / "journal.db"))
    return search, search.retrain(seeds=(1, 2), executor="local"), folder / "runs"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory with `tiny.yaml`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVOSEARCH_HOME", raising=False)
    Path("tiny.yaml").write_text(TINY)
    return tmp_path


def test_importing_the_package_loads_neither_torch_nor_ray_nor_numpy():
    program = "import evosearch, sys; print(sorted({'torch', 'ray', 'numpy', 'pydantic'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-P", "-c", program], check=True, capture_output=True, text=True)
    assert ended.stdout == "[]\n"


def test_the_api_of_scripts_loads_torch_for_a_network_only():
    program = "import evosearch, sys; evosearch.run, evosearch.open; print('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-P", "-c", program], check=True, capture_output=True, text=True)
    assert ended.stdout == "False\n"


def test_every_promised_name_is_there():
    assert all(getattr(evosearch, name) is not None for name in evosearch.__all__)
    with pytest.raises(AttributeError, match="no attribute 'gone'"):
        _ = evosearch.gone


def test_a_configuration_is_run_and_looked_at(folder, scripted, api):
    config = evosearch.load_config("tiny.yaml", {"strategy.generations": 3})
    search = evosearch.run(config, providers=api.providers)
    assert (search.status["state"], search.status["generations"]) == ("done", 3)
    assert [row["number"] for row in search.results] == list(range(EVALUATIONS + 3))
    assert search.best.fitness == max(row["fitness"] for row in search.results)
    assert evosearch.open("tiny") == search
    assert search.resume(4, providers=api.providers).status["generations"] == 4
    assert len(scripted) == 2


def test_a_file_is_run_as_its_configuration_is(folder, scripted, api):
    assert evosearch.run("tiny.yaml", "here.db", providers=api.providers).status["state"] == "done"
    assert evosearch.open("tiny", "here.db").best is not None
    with pytest.raises(ConfigError, match=r"gone\.yaml does not exist"):
        evosearch.run("gone.yaml")


def test_what_is_not_there_is_named_with_what_is(folder, scripted, api):
    evosearch.run("tiny.yaml", providers=api.providers)
    with pytest.raises(SearchConflictError, match=r"no search 'digits' in .*; it holds tiny"):
        evosearch.open("digits")
    with evosearch.handle.open_home(None, env={}, cwd=folder, create=True) as home:
        api.run_group(evosearch.load_config("tiny.yaml", ["name=pets"]), (0, 1), home)
    with pytest.raises(SearchConflictError, match="open one of its members: pets/seed-0, pets/seed-1"):
        evosearch.open("pets")


def test_without_a_retraining_there_is_no_network_but_the_command_that_leaves_one(folder, scripted, api):
    search = evosearch.run("tiny.yaml", providers=api.providers)
    with pytest.raises(SearchConflictError, match="no trained network yet; `evosearch retrain tiny` trains"):
        search.load_network()


def test_the_winner_is_the_retraining_that_was_best_on_validation(retrained):
    _, readings, home = retrained
    document = json.loads((home / "tiny/winner.json").read_text())
    best = max(readings, key=lambda one: one.metrics["validation_accuracy"])
    assert (document["seed"], document["metrics"]) == (best.seed, best.metrics)
    assert (document["search"], document["retraining"]) == ("tiny", "tiny/final-1")
    mine, theirs = (
        load_file(path) for path in (home / "tiny/winner.safetensors", home / best.search / best.weights)
    )
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
    assert not list((home / "tiny").glob(".winner*"))


def test_the_loaded_network_reads_the_test_split_as_the_journal_says(retrained):
    search, _, home = retrained
    network = search.load_network()
    document = json.loads((home / "tiny/winner.json").read_text())
    test = load_dataset(DigitsSettings(), env={}, cwd=home, cache=None).test
    with torch.inference_mode():
        predicted = network(torch.tensor(test.images)).argmax(1).numpy()
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (test.labels, predicted), 1)
    assert confusion.tolist() == document["metrics"]["confusion"]
    assert network.classes == tuple(document["metrics"]["classes"])
    assert not network.training


def test_the_answers_of_each_network_are_given_with_the_labels(retrained):
    search, readings, _ = retrained
    assert search.readings == readings
    for reading in readings:
        kept = search.predictions(reading)
        assert kept.probabilities.shape == (359, 10)
        assert (kept.predicted == kept.labels).mean() == pytest.approx(reading.metrics["accuracy"])


def test_what_was_believed_stands_beside_what_was_confirmed(retrained):
    search, readings, _ = retrained
    found = search.confirmation
    assert (found.believed, found.trainings) == (search.best.fitness, len(readings))
    assert found.to_json() == search.status["confirmation"]


def test_it_takes_pictures_as_the_search_took_its_images(retrained, tmp_path):
    network = retrained[0].load_network()
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / "one.png")
    file = BytesIO((tmp_path / "one.png").read_bytes())
    tensors = [
        network.preprocess(one) for one in (picture, tmp_path / "one.png", str(tmp_path / "one.png"), file)
    ]
    assert tensors[0].shape == (1, 8, 8)
    assert tensors[0].dtype == torch.uint8
    assert all(torch.equal(tensors[0], other) for other in tensors)
    probabilities = network.probabilities(picture, picture)
    assert probabilities.shape == (2, 10)
    assert torch.allclose(probabilities.sum(1), torch.ones(2))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match=r"text\.png' is not an image"):
        network.preprocess(tmp_path / "text.png")


def test_a_retraining_is_opened_by_its_search(retrained):
    with pytest.raises(SearchConflictError, match="its network is that of 'tiny', so open that"):
        replace(retrained[0], name="tiny/final-1").load_network()


def test_what_the_search_made_neutral_its_network_makes_neutral_too_with_the_limits_of_every_part(
    retrained, tmp_path
):
    shutil.copytree(retrained[2], tmp_path / "runs")
    known = tmp_path / "runs/tiny/winner.json"
    search = evosearch.open("tiny", str(tmp_path / "runs/journal.db"))
    document = json.loads(known.read_text())
    assert document["neutral_side"] is None
    parts = {"a": {"max_image_pixels": 10}, "b": {"max_image_pixels": 99}, "c": {}}
    known.write_text(json.dumps(document | {"neutral_side": 5, "data": {"name": "union", "parts": parts}}))
    network = search.load_network()
    assert (network.neutral_side, network.most_pixels) == (5, 99)
    del document["neutral_side"]  # as earlier versions left it
    known.write_text(json.dumps(document))
    assert search.load_network().neutral_side is None


def test_files_that_do_not_belong_together_are_refused_and_published_again(retrained, tmp_path):
    shutil.copytree(retrained[2], tmp_path / "runs")
    search = evosearch.open("tiny", str(tmp_path / "runs/journal.db"))
    weights = tmp_path / "runs/tiny/winner.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(b"other")
    with pytest.raises(SearchConflictError, match="are of different retrainings; `evosearch retrain tiny`"):
        search.load_network()
    (tmp_path / "runs/tiny/winner.json").write_text("[]")
    with pytest.raises(CannotRunError, match=r"winner\.json is damaged"):
        search.load_network()
    search.retrain(executor="local")  # recorded earlier: trains nothing
    assert weights.read_bytes() == whole
    weights.write_bytes(b"other")
    with pytest.raises(EvaluationError, match="holds no network of evosearch"):
        TrainedNetwork.load(weights, 0.5)


def test_weights_that_lie_elsewhere_are_a_note_and_no_failure(folder, scripted, api):
    notes = Notes()
    search = evosearch.run("tiny.yaml", providers=api.providers)
    (reading,) = search.retrain(providers=api.providers, watcher=notes)  # doubles leave no weights
    assert reading.metrics is not None
    assert [line for line in notes.lines if "could not be copied to winner.safetensors" in line]


def test_in_a_remote_store_the_winner_lies_beside_the_search(retrained, tmp_path, monkeypatch):
    store = ArtifactStore(make_bucket(tmp_path))
    search, (first, *_), home = retrained
    store.within(first.search).put(home / first.search / first.weights, first.weights)
    with evosearch.handle.open_home(search.storage, env={}, cwd=home, create=False) as opened:
        evosearch.studies.publish_winner(
            opened.find_search("tiny"), opened.find_search(first.search), first, {}, None, store
        )
    assert {"tiny/winner.json", "tiny/winner.safetensors"} < set(store.list())


class Perfect(FormulaEvaluator):
    """All that it trains errs nowhere."""

    def __init__(self, data, _device):
        super().__init__(classes=len(data.classes))

    def handle(self, task, *rest):
        return replace(super().handle(task, *rest), fitness=1.0)


def test_a_network_that_is_no_longer_of_the_best_says_so(retrained, api, tmp_path):
    shutil.copytree(retrained[2], tmp_path / "runs")
    search = evosearch.open("tiny", str(tmp_path / "runs/journal.db"))
    network = search.load_network()
    assert network.candidate == search.best.candidate
    script_workers(api, Perfect)
    assert search.resume(3, providers=api.providers).best.candidate != network.candidate
    with pytest.warns(
        UserWarning, match=r"network is of candidate \d+, but the best .* `evosearch retrain tiny`"
    ):
        assert search.load_network().candidate == network.candidate


def test_files_of_another_search_of_the_name_are_refused(retrained, scripted, api, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVOSEARCH_HOME", raising=False)
    (tmp_path / "runs/tiny").mkdir(parents=True)
    for name in ("winner.json", "winner.safetensors"):
        shutil.copy(retrained[2] / "tiny" / name, tmp_path / "runs/tiny" / name)
    Path("tiny.yaml").write_text(TINY)
    search = evosearch.run("tiny.yaml", providers=api.providers)
    with pytest.raises(
        SearchConflictError, match=r"that the journal does not have, 'tiny/final-1' .*retrain tiny"
    ):
        search.load_network()
    search.retrain(providers=api.providers)  # of the same name; its weights are nowhere
    with pytest.raises(SearchConflictError, match="that the journal does not have"):
        search.load_network()


def test_weights_are_loaded_whichever_way_their_layers_were_counted(retrained):
    weights = retrained[2] / "tiny/winner.safetensors"
    networks = [TrainedNetwork.load(weights, dropout) for dropout in (0.5, 0.0)]
    images = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    assert "| F" in networks[0].text
    assert torch.equal(*(network(images) for network in networks))


def plain_network(**given):
    """It looks at its image as it is, 4 x 4 in gray."""
    scale = (torch.zeros(1), torch.ones(1))
    return TrainedNetwork(torch.nn.Flatten(), "resnet18", ("a", "b"), ImageShape(1, 4, 4), scale, **given)


def test_an_open_picture_is_taken_as_its_file_is_with_its_window_and_orientation(tmp_path):
    deep = Image.fromarray((np.arange(16, dtype=np.uint16) * 10).reshape(4, 4))
    deep.save(tmp_path / "deep.png")
    network = plain_network(window=(0.0, 100.0))
    expected = network.preprocess(tmp_path / "deep.png")
    assert expected.flatten().tolist()[:5] == [0, 26, 51, 76, 102]
    assert torch.equal(network.preprocess(deep), expected)
    assert torch.equal(network.preprocess(Image.open(tmp_path / "deep.png")), expected)
    turned, exif = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4)), Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    expected = plain_network().preprocess(tmp_path / "turned.png")
    assert expected[0, 0].tolist() == [12, 8, 4, 0]
    assert torch.equal(plain_network().preprocess(Image.open(tmp_path / "turned.png")), expected)
    with pytest.raises(DataError, match="has floating-point pixels"):
        plain_network().preprocess(Image.new("F", (4, 4)))


def test_pictures_may_have_as_many_pixels_as_the_searchs_own(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "one.png")
    with pytest.raises(DataError, match=r"8 x 8 pixels, data\.max_image_pixels allows 63"):
        plain_network(most_pixels=63).preprocess(tmp_path / "one.png")
    assert plain_network(most_pixels=64).preprocess(tmp_path / "one.png").shape == (1, 4, 4)


def test_of_no_pictures_there_are_no_probabilities():
    assert plain_network().probabilities().shape == (0, 2)


def test_overrides_of_python_are_taken_as_they_are(folder):
    config = evosearch.load_config(
        "tiny.yaml",
        {
            "name": "1",
            "training.learning_rate": 1e-05,
            "training.deterministic": False,
            "space.channels": (2, 4),
            "workers.count": None,
            "data": {"name": "digits", "image_size": 16},
            "storage.artifacts": Path("há: #1"),
        },
    )
    assert (config.name, config.training.learning_rate, config.training.deterministic) == ("1", 1e-05, False)
    assert (config.space.channels, config.workers.count, config.data.image_size) == ((2, 4), None, 16)
    assert config.storage.artifacts == "há: #1"
