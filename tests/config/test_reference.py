"""The configuration's reference, as `docs/reference.md` holds it."""

from dataclasses import fields

import pytest

from evosearch.config.reference import config_reference
from evosearch.data import DataSettings
from evosearch.evaluation import FinalSettings, TrainingSettings
from evosearch.genome import SearchSpace
from evosearch.runtime import WorkerSettings
from evosearch.search import EavlSettings, RandomSearchSettings
from evosearch.storage import StorageSettings

SECTIONS = {
    "data": DataSettings,
    "space": SearchSpace,
    "strategy": EavlSettings,
    "training": TrainingSettings,
    "workers": WorkerSettings,
    "storage": StorageSettings,
    "final": FinalSettings,
}


@pytest.mark.parametrize(("section", "settings"), SECTIONS.items())
def test_every_key_of_a_section_has_a_row(section, settings):
    reference = config_reference()
    for field in fields(settings):
        assert f"| `{section}.{field.name}` |" in reference


def test_both_strategies_have_their_own_table():
    reference = config_reference()
    assert "**`strategy` with `name: eavl`**" in reference
    assert "**`strategy` with `name: random`**" in reference
    assert all(f"| `strategy.{field.name}` |" in reference for field in fields(RandomSearchSettings))
