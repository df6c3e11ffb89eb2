"""What any version ever wrote into a journal is read by this one; what it writes itself changes only with a word."""

from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import pytest

from evosearch.errors import JournalError, NewerJournalError
from evosearch.evaluation import Candidate, EpochRecord, Failure, FailureKind, Origin, Success
from evosearch.genome import Chromosome, parse
from evosearch.storage import (
    Born,
    Completed,
    Dispatched,
    DriverStarted,
    Event,
    Extended,
    Failed,
    Finished,
    GenerationStarted,
    Interrupted,
    Recalled,
    Reopened,
    SearchCreated,
    Stopped,
    TestRead,
    TestReadingBegun,
)
from evosearch.storage.journal import codec
from evosearch.storage.journal import codec as formats
from evosearch.storage.journal.codec import KINDS, TEXTS, decode, encode

NAN, INF = float("nan"), float("inf")

FIRST: list[tuple[str, str, Event]] = [
    (
        "SearchCreated",
        '{"configuration":{"name":"tiny","data":{"root":null}},"data_key":"d","environment":{"device":"cpu"}}',
        SearchCreated({"name": "tiny", "data": {"root": None}}, "d", {"device": "cpu"}, 1),
    ),
    (
        "DriverStarted",
        '{"host":"host","pid":17,"executor":"ray","configuration":{"name":"tiny"},"purpose":"search"}',
        DriverStarted("host", 17, "ray", {"name": "tiny"}),
    ),
    (
        "DriverStarted",
        '{"host":"host","pid":18,"executor":"local","configuration":{"name":"tiny"},"purpose":"retrain"}',
        DriverStarted("host", 18, "local", {"name": "tiny"}, "retrain"),
    ),
    (
        "Born",
        '{"candidate":{"number":0,"generation":0,"chromosome":"B5 P C7 | F6 F5","origin":"initial","parents":[],'
        '"operators":[]},"parameters":2130,"flops":49520}',
        Born(Candidate(0, 0, parse("B5 P C7 | F6 F5"), Origin.INITIAL), 2130, 49520),
    ),
    (
        "Born",
        '{"candidate":{"number":9,"generation":1,"chromosome":"C64 P |","origin":"crossover","parents":[3,5],'
        '"operators":["crossover 3|5","shrink 2 at 4"]},"parameters":10000000000,"flops":2}',
        Born(
            Candidate(9, 1, parse("C64 P |"), Origin.CROSSOVER, (3, 5), ("crossover 3|5", "shrink 2 at 4")),
            10**10,
            2,
        ),
    ),
    (
        "Born",
        '{"candidate":{"number":12,"generation":2,"chromosome":"C1 | F9","origin":"immigrant","parents":[],'
        '"operators":["dropped the last pooling"]},"parameters":1,"flops":2}',
        Born(Candidate(12, 2, parse("C1 | F9"), Origin.IMMIGRANT, (), ("dropped the last pooling",)), 1, 2),
    ),
    ("GenerationStarted", '{"generation":1,"members":[0,8,9]}', GenerationStarted(1, (0, 8, 9))),
    ("Dispatched", '{"number":0,"attempt":1,"worker":"local-1"}', Dispatched(0, 1, "local-1")),
    (
        "Finished",
        '{"number":0,"attempt":1,"worker":"local-1","success":{"fitness":0.36515716275898735,"seconds":0.25,'
        '"curve":[{"loss":0.5,"accuracy":0.25},{"loss":NaN,"accuracy":0.36515716275898735}]}}',
        Finished(
            0,
            1,
            "local-1",
            Success(
                0.36515716275898735, 0.25, (EpochRecord(0.5, 0.25), EpochRecord(NAN, 0.36515716275898735))
            ),
        ),
    ),
    (
        "Finished",
        '{"number":1,"attempt":2,"worker":"w","success":{"fitness":1.0,"seconds":0.0,"curve":[]}}',
        Finished(1, 2, "w", Success(1.0, 0.0)),
    ),
    ("Recalled", '{"number":4,"source":1}', Recalled(4, 1)),
    *(
        (
            "Failed",
            '{"number":2,"attempt":1,"worker":"w\\u0000","failure":{"kind":"KIND","message":"it is \\ud800",'
            '"seconds":1.5,"curve":[{"loss":Infinity,"accuracy":0.5}]},"final":true}'.replace("KIND", kind),
            Failed(
                2, 1, "w\0", Failure(FailureKind(kind), "it is \ud800", 1.5, (EpochRecord(INF, 0.5),)), True
            ),
        )
        for kind in (
            "infeasible",
            "out_of_memory",
            "diverged",
            "timed_out",
            "worker_lost",
            "crashed",
            "error",
        )
    ),
    (
        "Failed",
        '{"number":2,"attempt":1,"worker":"w","failure":{"kind":"error","message":"","seconds":0.0,"curve":[]},'
        '"final":false}',
        Failed(2, 1, "w", Failure(FailureKind.ERROR, ""), False),
    ),
    ("Reopened", '{"numbers":[2,3]}', Reopened((2, 3))),
    ("Extended", '{"generations":7}', Extended(7)),
    ("Interrupted", '{"reason":"SIGTERM"}', Interrupted("SIGTERM")),
    ("Stopped", '{"message":"too many"}', Stopped("too many")),
    ("Completed", '{"best":3}', Completed(3)),
    ("Completed", '{"best":null}', Completed(None)),
    (
        "TestReadingBegun",
        '{"key":"tiny/0/1000","number":3,"epochs":1000,"seed":9223372036854775807}',
        TestReadingBegun("tiny/0/1000", 3, 1000, 2**63 - 1),
    ),
    (
        "TestRead",
        '{"key":"tiny/0/1000","metrics":{"accuracy":0.5,"confusion":[[1,0],[0,1]]},"weights":"f.safetensors"}',
        TestRead("tiny/0/1000", {"accuracy": 0.5, "confusion": [[1, 0], [0, 1]]}, "f.safetensors"),
    ),
]
"""Every shape of payload that version 0.1.0 (schema 1) wrote, as it wrote it, and what it means."""


@pytest.mark.parametrize(("kind", "payload", "event"), FIRST, ids=lambda value: str(value)[:40])
def test_what_the_first_version_wrote_is_read_for_ever(kind: str, payload: str, event: Event) -> None:
    assert repr(decode(kind, payload)) == repr(event)  # a NaN equals nothing


def test_every_kind_of_the_first_version_is_among_them() -> None:
    assert len({kind for kind, _, _ in FIRST}) == 15


def words(hint: Any, found: dict[str, str]) -> str:
    """How a value of `hint` stands in a payload; what dataclasses and enumerations are made of goes to `found`."""
    if hint in TEXTS:
        return "text"
    if get_origin(hint) is Literal:
        return " or ".join(get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " or ".join(member.value for member in hint)
    if isinstance(hint, type) and is_dataclass(hint):
        name = getattr(hint, "KIND", hint.__name__)
        hints = get_type_hints(hint)
        for one in fields(hint):
            absent = one.metadata.get("absent", one.default)
            means = "" if absent is MISSING else f", absent: {absent!r}"
            found[f"{name}.{one.metadata.get('key', one.name)}"] = words(hints[one.name], found) + means
        return name
    if arguments := get_args(hint):
        inner = ", ".join(words(one, found) for one in arguments if one is not ...)
        return f"{get_origin(hint).__name__}[{inner}]"
    return str(getattr(hint, "__name__", hint))


def test_the_words_of_the_format_are_these() -> None:
    """A line may be added. One that is changed or removed needs a translation, and old payloads beside `FIRST`."""
    found: dict[str, str] = {}
    for event in KINDS.values():
        words(event, found)
    assert found == {
        "SearchCreated.configuration": "Mapping[str, Any]",
        "SearchCreated.data_key": "str",
        "SearchCreated.environment": "Mapping[str, Any]",
        "SearchCreated.generations": "int",
        "SearchCreated.parent": "UnionType[str, NoneType], absent: None",
        "SearchCreated.rules": "int, absent: 0",
        "ProcessorSeen.worker": "str",
        "ProcessorSeen.processor": "str",
        "PrecisionResolved.precision": "fp32 or tf32 or bf16",
        "PrecisionResolved.processor": "str, absent: ''",
        "PrecisionResolved.worker": "str, absent: ''",
        "DriverStarted.host": "str",
        "DriverStarted.pid": "int",
        "DriverStarted.executor": "str",
        "DriverStarted.configuration": "Mapping[str, Any]",
        "DriverStarted.purpose": "search or retrain, absent: 'search'",
        "Candidate.number": "int",
        "Candidate.generation": "int",
        "Candidate.subject": "text",
        "Candidate.origin": "initial or immigrant or crossover or listed",
        "Candidate.parents": "tuple[int], absent: ()",
        "Candidate.operators": "tuple[str], absent: ()",
        "crossed_heads.first": "int",
        "crossed_heads.second": "int",
        "shrunk.start": "int",
        "shrunk.length": "int",
        "shrunk.reference": "int",
        "grown.before": "int",
        "grown.length": "int",
        "grown.reference": "int",
        "grown.origin": "int",
        "poolings_dropped.count": "int",
        "Conv.channels": "int",
        "Conv.batch_norm": "bool, absent: False",
        "convolution_given.gene": "Conv",
        "replaced.by": "int",
        "replaced.reason": "str",
        "redrawn.times": "int",
        "redrawn.reason": "str",
        "exchanged.head": "tuple[int]",
        "exchanged.tail": "tuple[int]",
        "mutated.head": "tuple[int]",
        "mutated.tail": "tuple[int]",
        "Candidate.operations": "UnionType[tuple[UnionType[copied, crossed_tails, crossed_heads, shrunk, grown, "
        "poolings_dropped, convolution_given, replaced, redrawn, exchanged, mutated]], NoneType], absent: None",
        "Born.candidate": "Candidate",
        "Born.parameters": "UnionType[int, NoneType]",
        "Born.flops": "UnionType[int, NoneType]",
        "Born.number": "UnionType[int, NoneType], absent: None",
        "TrainingSettings.epochs": "int, absent: 100",
        "TrainingSettings.batch_size": "int, absent: 16",
        "TrainingSettings.learning_rate": "float, absent: 0.0001",
        "TrainingSettings.optimizer": "adam or sgd or adadelta or rmsprop, absent: 'adam'",
        "TrainingSettings.weight_decay": "float, absent: 1e-08",
        "TrainingSettings.dropout": "float, absent: 0.5",
        "TrainingSettings.normalize": "unit or standard or imagenet, absent: 'unit'",
        "TrainingSettings.precision": "auto or fp32 or tf32 or bf16, absent: 'fp32'",
        "TrainingSettings.deterministic": "bool, absent: True",
        "TrainingSettings.threads": "int, absent: 1",
        "TrainingSettings.class_weights": "none or balanced, absent: 'none'",
        "TrainingSettings.augment": "none or flip or flip_crop, absent: 'none'",
        "TrainingSettings.patience": "UnionType[int, NoneType], absent: None",
        "TrainingSettings.fit": "train or train_validation, absent: 'train'",
        "TrainingSettings.class_dropout": "UnionType[float, NoneType], absent: None",
        "TrainingSettings.dropout_units": "uniform or weighted, absent: 'uniform'",
        "Born.settings": "UnionType[TrainingSettings, NoneType], absent: None",
        "Born.repeat": "int, absent: 0",
        "Born.until": "UnionType[int, NoneType], absent: None",
        "GenerationStarted.generation": "int",
        "GenerationStarted.members": "tuple[int]",
        "VerdictReached.best": "int",
        "Dispatched.number": "int",
        "Dispatched.attempt": "int",
        "Dispatched.worker": "str",
        "Dispatched.until": "UnionType[int, NoneType], absent: None",
        "Finished.number": "int",
        "Finished.attempt": "int",
        "Finished.worker": "str",
        "Success.fitness": "UnionType[float, NoneType]",
        "Success.seconds": "float",
        "EpochRecord.loss": "float",
        "EpochRecord.accuracy": "UnionType[float, NoneType]",
        "EpochRecord.validation_loss": "UnionType[float, NoneType], absent: None",
        "Success.curve": "tuple[EpochRecord], absent: ()",
        "Measures.balanced_accuracy": "float",
        "Measures.f1": "float",
        "Measures.auroc": "UnionType[float, NoneType]",
        "Measures.auroc_undefined": "UnionType[str, NoneType], absent: None",
        "Success.measures": "UnionType[Measures, NoneType], absent: None",
        "Losses.losses": "tuple[float]",
        "Losses.seconds": "float",
        "Features.digest": "str",
        "Features.units": "int",
        "Features.seconds": "float",
        "Finished.success": "UnionType[Success, Losses, Features]",
        "Finished.until": "UnionType[int, NoneType], absent: None",
        "Finished.weights": "UnionType[str, NoneType], absent: None",
        "Finished.node": "UnionType[str, NoneType], absent: None",
        "Finished.measure": "accuracy or balanced_accuracy or f1 or auroc, absent: 'accuracy'",
        "Recalled.number": "int",
        "Recalled.source": "int",
        "Recalled.until": "UnionType[int, NoneType], absent: None",
        "Recalled.source_until": "UnionType[int, NoneType], absent: None",
        "Failed.number": "int",
        "Failed.attempt": "int",
        "Failed.worker": "str",
        "Failure.kind": "infeasible or out_of_memory or diverged or timed_out or worker_lost or crashed or error",
        "Failure.message": "str",
        "Failure.seconds": "float, absent: 0.0",
        "Failure.curve": "tuple[EpochRecord], absent: ()",
        "Failure.node_lost": "bool, absent: False",
        "Failed.failure": "Failure",
        "Failed.final": "bool",
        "Failed.until": "UnionType[int, NoneType], absent: None",
        "Reopened.numbers": "tuple[int]",
        "TrialId.number": "int",
        "TrialId.until": "UnionType[int, NoneType], absent: None",
        "Reopened.rungs": "tuple[TrialId], absent: ()",
        "Extended.generations": "int",
        "Interrupted.reason": "str",
        "Stopped.message": "str",
        "Completed.best": "UnionType[int, NoneType]",
        "TestReadingBegun.key": "str",
        "TestReadingBegun.number": "int",
        "TestReadingBegun.epochs": "int",
        "TestReadingBegun.seed": "int",
        "TestReadingBegun.trial": "UnionType[TrialId, NoneType], absent: None",
        "TestReadingBegun.attempt": "int, absent: 1",
        "TestReadingBegun.worker": "str, absent: ''",
        "TestRead.key": "str",
        "TestRead.metrics": "Mapping[str, Any]",
        "TestRead.weights": "str",
        "TestRead.predictions": "Mapping[str, Any]",
        "TestRead.trial": "UnionType[TrialId, NoneType], absent: None",
        "TestRead.worker": "str, absent: ''",
        "TestRead.test_key": "str, absent: ''",
        "TestReadingFailed.key": "str",
        "TestReadingFailed.trial": "TrialId",
        "TestReadingFailed.attempt": "int",
        "TestReadingFailed.worker": "str",
        "TestReadingFailed.failure": "Failure",
        "TestReadingFailed.final": "bool",
    }


def test_a_candidates_network_was_called_its_chromosome() -> None:
    candidate = Candidate(0, 0, parse("C1 |"), Origin.INITIAL)
    assert encode(Born(candidate, 1, 2)) == (
        "Born",
        '{"candidate":{"number":0,"generation":0,"subject":"C1 |","origin":"initial"},"parameters":1,"flops":2}',
    )


def test_a_kind_that_was_given_up_is_read_as_what_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NewerJournalError, match="'Ended'"):
        decode("Ended", '{"winner":3}')
    monkeypatch.setattr(
        formats,
        "TRANSLATIONS",
        {"Ended": lambda payload: ("Completed", {"best": payload["winner"]})},
    )
    assert decode("Ended", '{"winner":3}') == Completed(3)


@pytest.mark.parametrize(
    ("kind", "payload", "word"),
    [
        ("Merged", "{}", "an event of the unknown kind 'Merged'"),
        ("Extended", '{"generations":3,"until":{"rung":2}}', "an event with the unknown field 'until'"),
        (
            "Finished",
            '{"number":1,"attempt":1,"worker":"w","success":{"fitness":0.5,"seconds":1.0,"loss":1}}',
            "an event with the unknown field 'loss'",
        ),
    ],
)
def test_what_a_newer_version_wrote_asks_for_it(kind: str, payload: str, word: str) -> None:
    with pytest.raises(
        NewerJournalError, match=f"^the journal holds {word}, written by a newer evosearch; upg"
    ):
        decode(kind, payload)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("Completed", "{"),
        ("Completed", "7"),
        ("Completed", '{"worst": 1}'),
        ("Completed", '{"best": "1"}'),
        ("Completed", '{"best": true}'),
        ("Extended", '{"generations": 2.5}'),
        ("Stopped", '{"message": ["a"]}'),
        ("Reopened", '{"numbers": 3}'),
        ("SearchCreated", '{"configuration": [], "data_key": "", "environment": {}}'),
        ("DriverStarted", '{"host":"h","pid":1,"executor":"ray","configuration":{},"purpose":"play"}'),
        ("Interrupted", '{"reason": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        ("Born", '{"candidate": 3, "parameters": 1, "flops": 1}'),
        ("Born", '{"parameters": 1, "flops": 1}'),
    ],
    ids=lambda value: value[:40],
)
def test_what_no_version_wrote_is_damage(kind: str, payload: str) -> None:
    with pytest.raises(JournalError, match=f"the journal is damaged: a {kind} event reads") as caught:
        decode(kind, payload)
    assert not isinstance(caught.value, NewerJournalError)


@dataclass(frozen=True)
class Mask:
    """A member of two unions, come later."""

    KIND: ClassVar = "mask"

    bits: str


@dataclass(frozen=True)
class Tried:
    """An event with all that an annotation may say."""

    KIND: ClassVar = "Tried"

    number: int
    network: Chromosome | Mask
    outcome: Success | Mask | None = None
    until: int | None = None
    label: Literal["a", "b"] | int = "a"
    parent: Chromosome | None = None
    rate: float = field(default=2.0, metadata={"absent": 1.0})


C1, P = parse("C1 |"), parse("P |")
TRIED = [
    (Tried(1, C1), '{"number":1,"network":"C1 |","rate":2.0}'),
    (Tried(1, Mask("01"), rate=1.0), '{"number":1,"network":{"kind":"mask","bits":"01"}}'),
    (
        Tried(1, C1, Success(0.5, 1.0), 3, 7, P, 1.0),
        '{"number":1,"network":"C1 |","outcome":{"fitness":0.5,"seconds":1.0},"until":3,"label":7,"parent":"P |"}',
    ),
    (
        Tried(1, C1, Mask("1"), None, "b", None, 1.0),
        '{"number":1,"network":"C1 |","outcome":{"kind":"mask","bits":"1"},"label":"b"}',
    ),
]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Tried` is an event."""
    monkeypatch.setattr(codec, "KINDS", {"Tried": Tried})


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(("event", "payload"), TRIED)
def test_unions_and_defaults_are_led_by_their_annotation(event: Any, payload: str) -> None:
    assert encode(event) == ("Tried", payload)
    assert decode("Tried", payload) == event


@pytest.mark.usefixtures("known")
def test_a_missing_key_means_what_its_absence_meant_first() -> None:
    assert decode("Tried", '{"number":1,"network":"C1 |"}') == Tried(1, C1, rate=1.0)
    assert decode("Tried", '{"number":1,"network":"C1 |","rate":2.0}') == Tried(1, C1)


@pytest.mark.usefixtures("known")
def test_null_stands_for_none_where_it_is_written() -> None:
    assert decode("Tried", '{"number":1,"network":"C1 |","until":null,"outcome":null}') == Tried(
        1, C1, rate=1.0
    )


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("given", ['"network":{"kind":"tree"}', '"network":"C1 |","outcome":{"kind":"lost"}'])
def test_an_unknown_member_of_a_union_asks_for_a_newer_version(given: str) -> None:
    complete = given.replace('"lost"', '"lost","fitness":1,"seconds":1')
    with pytest.raises(NewerJournalError):
        decode("Tried", f'{{"number":1,{complete}}}')


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    "given", ['"network":null', '"network":3', '"network":"C1 |","label":"c"', '"network":"C1 |","until":"3"']
)
def test_what_no_member_of_a_union_fits_is_damage(given: str) -> None:
    with pytest.raises(JournalError, match="is damaged"):
        decode("Tried", f'{{"number":1,{given}}}')


@pytest.mark.usefixtures("known")
def test_what_no_member_of_a_union_can_hold_is_not_written() -> None:
    with pytest.raises(TypeError, match=r"Tried\.network is 3"):
        encode(Tried(1, 3))  # type: ignore[arg-type] # no network, on purpose
