"""Every event survives JSON; a new kind of event is covered without a line here."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.errors import JournalError
from evosearch.evaluation import (
    EpochRecord,
    Failure,
    FailureKind,
    FeaturesOf,
    HandMade,
    Masks,
    Measures,
    Subject,
    Success,
    TrainingSettings,
)
from evosearch.genome import Chromosome, Conv, Dense, Pool
from evosearch.storage import Completed, Event, Failed, Finished, SearchCreated
from evosearch.storage.journal.codec import KINDS, decode, encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CONVOLUTIONS = st.builds(Conv, st.integers(1, 999), st.booleans())
GENES = CONVOLUTIONS | st.just(Pool())
CHROMOSOMES = st.builds(
    Chromosome,
    st.lists(GENES, min_size=1, max_size=5).map(tuple),
    st.lists(st.builds(Dense, st.integers(1, 999)), max_size=3).map(tuple),
)
SUBJECTS = (
    CHROMOSOMES
    | st.sampled_from([HandMade("resnet18"), HandMade("vgg16_bn", "0" * 64)])
    | st.builds(FeaturesOf, CHROMOSOMES)
    | st.builds(
        Masks,
        st.lists(st.text("01", min_size=3, max_size=3), min_size=1).map(tuple),
        st.none() | st.just("ab" * 32),
    )
)

MEASURES = st.builds(Measures, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)) | st.builds(
    Measures, st.floats(0, 1), st.floats(0, 1), st.none(), st.text()
)
NUMBERS = st.floats(allow_nan=False)
CURVES = st.lists(st.builds(EpochRecord, NUMBERS, NUMBERS), max_size=3).map(tuple)
OWN = {
    Subject: SUBJECTS,
    Conv: CONVOLUTIONS,
    TrainingSettings: st.builds(TrainingSettings, st.integers(1, 99)),
    Success: st.builds(Success, st.floats(0, 1), NUMBERS, CURVES, st.none() | MEASURES),
}
"""What refuses most values that its annotations allow."""


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of an annotated type, nested ones included."""
    if hint in OWN:
        return OWN[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{one.name: values(hints[one.name]) for one in fields(hint)})
    if get_origin(hint) in {Union, UnionType}:
        return st.one_of(*map(values, get_args(hint)))
    if get_origin(hint) is tuple:
        return st.lists(values(get_args(hint)[0]), max_size=3).map(tuple)
    if get_origin(hint) is Mapping:
        return st.dictionaries(st.text(), JSON, max_size=3)
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if hint is float:
        return NUMBERS
    return st.from_type(hint)


def test_all_kinds_of_events_are_known() -> None:
    assert set(KINDS.values()) == set(get_args(Event))
    assert len(KINDS) == len(get_args(Event))


@pytest.mark.parametrize("event_type", KINDS.values())
@given(data=st.data())
def test_an_event_reads_back_equal(event_type: type[Event], data: st.DataObject) -> None:
    event = data.draw(values(event_type))
    kind, payload = encode(event)
    assert json.loads(payload) is not None
    assert decode(kind, payload) == event
    assert type(decode(kind, payload)) is event_type


def test_a_loss_that_is_no_number_survives() -> None:
    curve = (EpochRecord(float("nan"), 0.5), EpochRecord(float("inf"), 0.5))
    event = Failed(1, 1, "w", Failure(FailureKind.DIVERGED, "loss is NaN", 1.0, curve), final=True)
    assert repr(decode(*encode(event))) == repr(event)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("Finished", '{"number": 1}'),
        ("Finished", '{"number": 1, "attempt": 1, "worker": "w", "success": {"fitness": 2, "seconds": 1}}'),
        (
            "Failed",
            '{"number":1,"attempt":1,"worker":"w","failure":{"kind":"tired","message":""},"final":true}',
        ),
        (
            "Born",
            '{"candidate":{"number":1,"generation":1,"network":"Q7","origin":"initial"},"parameters":1,"flops":1}',
        ),
    ],
)
def test_values_that_cannot_be_are_damage(kind: str, payload: str) -> None:
    with pytest.raises(JournalError, match=f"the journal is damaged: a {kind} event reads"):
        decode(kind, payload)


@pytest.mark.parametrize("value", [(1, 2), {1: "a"}, {"a": {"b": (1,)}}, object(), {1, 2}])
def test_what_json_would_change_unseen_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"SearchCreated\.configuration.+plain JSON values"):
        encode(SearchCreated({"key": value}, "k", {}, 1))


def test_fields_that_a_dataclass_can_default_may_be_missing() -> None:
    payload = '{"number":1,"attempt":1,"worker":"w","success":{"fitness":0.5,"seconds":1.0}}'
    assert decode("Finished", payload) == Finished(1, 1, "w", Success(0.5, 1.0))


def test_a_search_without_a_best_candidate_ends_all_the_same() -> None:
    assert decode(*encode(Completed(None))) == Completed(None)
