"""The configuration's reference, as `docs/reference.md` holds it."""

from dataclasses import fields

import pytest

from evosearch.config.schema import config_reference
from evosearch.data import SOURCES
from evosearch.evaluation import FinalSettings, TrainingSettings
from evosearch.genome import SearchSpace
from evosearch.runtime import WorkerSettings
from evosearch.search import STRATEGIES
from evosearch.storage import StorageSettings

SECTIONS = {
    "space": SearchSpace,
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


@pytest.mark.parametrize("registry", [SOURCES, STRATEGIES], ids=lambda one: one.section)
def test_each_source_and_each_strategy_has_its_own_table(registry):
    for name, settings in registry.ours.items():
        _, _, after = config_reference().partition(f"**`{registry.section}` with `name: {name}`**")
        table = after.partition("\n**`")[0]
        for field in fields(settings):
            assert f"| `{registry.section}.{field.name}` |" in table


def test_every_key_has_its_meaning_wherever_it_is_inherited_from():
    rows = [line for line in config_reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert not [row for row in rows if row.endswith("|  |")]
