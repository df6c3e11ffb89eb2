"""In what a configuration is not the papers': most defaults are theirs, so that what differs from them is what was narrowed."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any


def other_than_default(sections: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of `sections` (their settings, by name) that differ from their defaults, each with its default in brackets; from what
    a field's metadata calls the `papers`' where the default is not.

    >>> from evosearch.evaluation import FinalSettings, TrainingSettings
    >>> training = TrainingSettings(epochs=2, precision="fp32")
    >>> other_than_default({"training": training, "final": FinalSettings()})
    ('training.epochs 2 (100)',)
    """
    return tuple(
        f"{section}.{one.name} {as_yaml(value)} ({as_yaml(default)})"
        for section, settings in sections.items()
        for one, value, default in _with_defaults(settings)
        if value != default
    )


def _with_defaults(settings: Any) -> Iterator[tuple["Field[Any]", Any, Any]]:
    for one in fields(settings):
        default = one.default_factory() if one.default_factory is not MISSING else one.default
        if default is not MISSING:
            yield one, getattr(settings, one.name), one.metadata.get("papers", default)


def as_yaml(value: Any) -> str:
    """A key's value as a configuration writes it.

    >>> as_yaml(None), as_yaml(False), as_yaml((1, 5))
    ('null', 'false', '[1, 5]')
    """
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(map(str, value))}]"
        case _:
            return str(value)
