"""What comes by name: ours, and what others register; whoever names none of theirs is reached by nothing wrong in it."""

from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Literal, Protocol

import pytest

from evosearch.errors import PluginError
from evosearch.registry import Registry


class Makes(Protocol):
    @property
    def name(self): ...

    def make(self): ...


@dataclass(frozen=True)
class Ours:
    name: Literal["ours"] = "ours"

    def make(self): ...


@dataclass(frozen=True)
class Theirs:
    name: Literal["theirs"] = "theirs"

    def make(self): ...


@dataclass
class Thawed:
    name: Literal["thawed"] = "thawed"

    def make(self): ...


@dataclass(frozen=True)
class Idle:
    name: Literal["idle"] = "idle"


@dataclass(frozen=True)
class Wordy:
    name: str = "wordy"

    def make(self): ...


NOT_A_CLASS = 5


class Installed(Distribution):
    def __init__(self, name, version):
        self._name, self._version = name, version

    @property
    def metadata(self):
        return {"Name": self._name, "Version": self._version}

    def read_text(self, filename):
        return None

    def locate_file(self, path):
        return Path(path)


def plugin(name, value, distribution="other", version="1.0"):
    point = EntryPoint(name, value if ":" in value else f"{__name__}:{value}", "group")
    return point._for(Installed(distribution, version))


def registry(*plugins):
    return Registry("strategy", "group", [Ours], Makes, plugins)


def test_ours_come_first_and_each_plugin_names_its_origin():
    found = registry(plugin("theirs", "Theirs"), plugin("idle", "Idle", "idlers", "2.1"))
    assert found.names == ("ours", "idle", "theirs")
    assert found.listed() == "ours, idle (of idlers 2.1) or theirs (of other 1.0)"
    assert (found.origin("ours"), found.origin("theirs"), found.origin("nobody's")) == (
        None,
        ("other", "1.0"),
        None,
    )


def test_a_plugin_is_loaded_when_it_is_named_and_not_before(monkeypatch):
    loads = []
    load = EntryPoint.load
    monkeypatch.setattr(EntryPoint, "load", lambda point: loads.append(point.name) or load(point))
    found = registry(plugin("theirs", "Theirs"), plugin("broken", "no_such_module:X"))
    assert (found.find("ours"), found.loaded, loads) == (Ours, (Ours,), [])
    assert (found.find("theirs"), found.find("theirs"), found.loaded) == (Theirs, Theirs, (Ours, Theirs))
    assert loads == ["theirs"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            "no_such_module:X",
            "which has it, cannot be imported: ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("Absent", "which has it, cannot be imported: AttributeError: module"),
        ("NOT_A_CLASS", "is no frozen dataclass"),
        ("Thawed", "is no frozen dataclass"),
        ("Wordy", "has no field `name: Literal['x'] = 'x'`"),
        ("Theirs", "has no field `name: Literal['x'] = 'x'`"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_one_line_with_package_version_and_reason(value, problem):
    found = registry(plugin("x", value, "their-package", "3.2"), plugin("theirs", "Theirs"))
    with pytest.raises(PluginError) as caught:
        found.find("x")
    line = str(caught.value)
    assert line.startswith("strategy.name is 'x', but ")
    assert "their-package 3.2" in line
    assert problem in line
    assert "\n" not in line
    assert found.find("theirs") is Theirs
    assert found.load_all() == (line,)


def test_a_member_that_the_seam_asks_for_is_named():
    with pytest.raises(PluginError, match=r"test_registry:Idle of other 1.0 has no make$"):
        registry(plugin("idle", "Idle")).find("idle")


def test_two_plugins_of_one_name_are_refused_naming_both_and_hurt_nobody_else():
    found = registry(plugin("theirs", "Theirs"), plugin("theirs", "Theirs", "rival", "7"))
    with pytest.raises(
        PluginError, match=r"'theirs', which other 1.0 and rival 7 both register; uninstall one"
    ):
        found.find("theirs")
    assert found.find("ours") is Ours


def test_a_plugin_does_not_stand_in_for_ours():
    found = registry(plugin("ours", "Theirs"))
    assert (found.find("ours"), found.names, found.origin("ours")) == (Ours, ("ours",), None)
    with pytest.raises(PluginError, match=r"expected ours; other 1.0 registers 'ours' too, which is our own"):
        found.find("theirs")


def test_a_name_that_is_nearly_one_of_them_is_asked_about():
    with pytest.raises(PluginError, match=r"strategy.name is 'thers'; expected .*; did you mean theirs\?$"):
        registry(plugin("theirs", "Theirs")).find("thers")


def test_no_path_is_ever_imported():
    for name in (f"{__name__}:Theirs", f"{__name__}.Theirs"):
        with pytest.raises(PluginError, match=r"expected ours$"):
            registry().find(name)
