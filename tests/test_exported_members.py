"""What `import evosearch` offers is what it says it offers."""

import types

import evosearch


def test_all_names_are_exported_and_nothing_else():
    public = {
        name
        for name, value in vars(evosearch).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert sorted(public) == evosearch.__all__
