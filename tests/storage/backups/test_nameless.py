"""What a published journal says of machines and places names none."""

import dataclasses
import json
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from evosearch.storage import Event
from evosearch.storage.backups.nameless import Nameless

HARMLESS = {
    *("data_key", "parent", "key", "test_key"),  # hashes, and names that users gave
    "processor",  # a model of which there are many
    "executor",
    "weights",  # relative to the search's own folder
}
"""Fields that are texts and name neither a machine nor a place."""


def changed(kind: str, payload: dict[str, Any], data: Path | None = None) -> dict[str, Any]:
    row = {"kind": kind, "payload": json.dumps(payload)}
    found: dict[str, Any] = json.loads(Nameless(data).change("events", row)["payload"])
    return found


def texts_of(kind: type) -> set[str]:
    hints = get_type_hints(kind)
    return {one.name for one in dataclasses.fields(kind) if hints[one.name] in (str, str | None)}


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda one: one.KIND)
def test_each_text_of_an_event_is_changed_or_known_to_be_harmless(kind) -> None:
    """Whoever adds a field to an event decides."""
    secret = dict.fromkeys(texts_of(kind) - HARMLESS, "/home/alice/lab-7")
    after = changed(kind.KIND, secret)
    assert not [name for name, value in after.items() if "alice" in value], "see nameless.py"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/data/sets/kermany224", "kermany224"),
        ("/data/sets/union/left", "union/left"),
        ("/data/sets", "sets"),
        ("/scratch/alice/xrays", "xrays"),
        ("/scratch/alice/xrays/", "xrays"),
        ("~nobody-of-this-name/xrays", "xrays"),
        ("s3://bucket/runs/start.safetensors", "start.safetensors"),
        ("postgresql://user@host", "URL"),
        ("kermany224", "kermany224"),
        ("../beside/images", "../beside/images"),
        ("C64 B99 P | F100", "C64 B99 P | F100"),
    ],
)
def test_a_place_becomes_what_finds_it_on_another_machine(given: str, expected: str) -> None:
    assert Nameless(Path("/data/sets")).place(given) == expected


def test_of_a_configuration_what_belongs_to_a_machine_goes_and_all_else_stays() -> None:
    document = {
        "name": "compare/a-seed-0",
        "data": {"name": "union", "parts": {"l": {"root": "/data/sets/l", "beside": "/home/alice"}}},
        "strategy": {"trials": [{"network": "vgg16", "weights": "/home/alice/start.safetensors"}]},
        "workers": {"count": 2, "address": "lab-head:6379"},
        "storage": {"journal": "/home/alice/j.db", "artifacts": "s3://bucket/x"},
        "training": {"epochs": 3, "learning_rate": 3e-4},
    }
    found = changed("SearchCreated", {"configuration": document, "data_key": "0"}, Path("/data/sets"))
    assert found == {
        "configuration": {
            **document,
            "data": {"name": "union", "parts": {"l": {"root": "l", "beside": None}}},
            "strategy": {"trials": [{"network": "vgg16", "weights": "start.safetensors"}]},
            "workers": {"count": 2, "address": None},
            "storage": {"journal": None, "artifacts": None},
        },
        "data_key": "0",
    }


def test_one_machine_has_one_name_and_its_workers_are_called_after_it() -> None:
    nameless = Nameless()
    assert [nameless.host(one) for one in ("lab-7", "lab-8", "lab-7")] == ["host-1", "host-2", "host-1"]
    assert nameless.worker("lab-8-gpu0-3") == "host-2-gpu0-3"
    assert nameless.worker("lab-9-cpu-1") == "host-3-cpu-1"
    assert nameless.worker("odd") == nameless.worker("odd") == "worker-1"
    assert nameless.worker("") == "", "the first version read outside its workers"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('File "/home/alice/.venv/lib/torch/nn.py", line 7', 'File "nn.py", line 7'),
        ("its node lab-7 is gone (10.0.0.3)", "its node host-1 is gone (host-2)"),
        ("worker lab-7-gpu0-1 died", "worker host-1-gpu0-1 died"),
        ("see http://head.lab:8265/jobs/raysubmit", "see raysubmit"),
        ("loss 0.5/0.75 and 1 / 2, CUDA 12.8", "loss 0.5/0.75 and 1 / 2, CUDA 12.8"),
    ],
)
def test_a_message_keeps_its_sense(given: str, expected: str) -> None:
    nameless = Nameless()
    nameless.host("lab-7")
    assert nameless.text(given) == expected
