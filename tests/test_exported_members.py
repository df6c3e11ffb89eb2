"""What `import evosearch` offers is what it says it offers."""

import types

import pytest

import evosearch


def test_all_names_are_exported_and_nothing_else():
    at_once = {
        name
        for name, value in vars(evosearch).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert at_once == {"TYPE_CHECKING"}
    assert sorted(dir(evosearch)) == evosearch.__all__
    assert all(getattr(evosearch, name).__name__ == name for name in evosearch.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Gene'"):
        _ = evosearch.Gene
