"""What comes by name: our own classes of settings, and those that users install beside them.

Ours are given in code. Theirs are *entry points*: a distribution names a class in a group (`evosearch.sources`,
`evosearch.strategies`), and is imported only where a configuration gives that name; no path in a configuration
is ever imported. Whoever names none of them is reached by nothing that is wrong with them.
"""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from evosearch.errors import PluginError

Settings = TypeVar("Settings")


class Origin(NamedTuple):
    """The distribution that registers a name, as it is installed here."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


class Registry(Generic[Settings]):
    """Classes of settings by name.

    Each is a frozen dataclass whose field `name` is a `Literal` of its name and has it as default, and has the members that
    its seam asks for.
    """

    def __init__(
        self,
        section: str,
        group: str,
        ours: Iterable[type[Settings]],
        seam: type[Any],
        plugins: Iterable[EntryPoint] | None = None,
    ) -> None:
        """A registry of what may be in the `section` of a configuration.

        Args:
            section: under whose key `name` one is chosen.
            group: of the entry points.
            ours: in the order in which they are listed; the first is the default.
            seam: the protocol whose members each class has.
            plugins: the entry points; None: those of all distributions that are installed, read when first needed.
        """
        self.section = section
        self.group = group
        self.ours = {str(name_of(one)): one for one in ours}
        self._members = [member for member in vars(seam) if not member.startswith("_")]
        self._given = plugins
        self._loaded = dict(self.ours)

    @cached_property
    def _plugins(self) -> dict[str, list[EntryPoint]]:
        """By name; names of ours are ours."""
        found: dict[str, list[EntryPoint]] = {}
        for one in entry_points(group=self.group) if self._given is None else self._given:
            found.setdefault(one.name, []).append(one)
        return dict(sorted(found.items()))

    @property
    def names(self) -> tuple[str, ...]:
        """All there are: ours, then the others in alphabetical order."""
        return (*self.ours, *(name for name in self._plugins if name not in self.ours))

    @property
    def shadowed(self) -> tuple[str, ...]:
        """Plugins that are not used since their name is one of ours, a line each."""
        return tuple(
            f"{_origin(one)} registers {name!r} too, which is our own: it is not used"
            for name in self.ours
            for one in self._plugins.get(name, ())
        )

    @property
    def loaded(self) -> tuple[type[Settings], ...]:
        """Ours, and every other one that has been found so far."""
        return tuple(self._loaded.values())

    def listed(self) -> str:
        """All names in words, each that is not ours with its origin.

        >>> Registry("data", "no.group", [], object).listed()
        'nothing'
        """
        words = [name if name in self.ours else f"{name} (of {self._origins(name)})" for name in self.names]
        *first, last = words or ["nothing"]
        return f"{', '.join(first)} or {last}" if first else last

    def expected(self, name: object) -> str:
        """What is said of a `name` that nothing is registered as: all names there are, and the one that is nearest.

        >>> Registry("data", "no.group", [], object).expected("digit")
        'expected nothing'
        """
        near = difflib.get_close_matches(name, self.names, n=1) if isinstance(name, str) else []
        return "; ".join(
            (f"expected {self.listed()}", *self.shadowed, *(f"did you mean {one}?" for one in near))
        )

    def origin(self, name: str) -> Origin | None:
        """Who registers `name`; None: we do, or nobody does."""
        return None if name in self.ours or name not in self._plugins else _origin(self._plugins[name][0])

    def find(self, name: str) -> type[Settings]:
        """The class that is registered as `name`; a plugin's is imported now, if it was not before.

        Raises:
            PluginError: nothing is, or two plugins are, or the plugin cannot be imported or has another shape. The line
                begins with the key.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def load_all(self) -> tuple[str, ...]:
        """Import every plugin. Returns: why one cannot be used, a line each."""
        problems = list(self.shadowed)
        for name in self.names:
            try:
                self.find(name)
            except PluginError as error:
                problems.append(str(error))
        return tuple(problems)

    def _load(self, name: str) -> type[Settings]:
        key = f"{self.section}.name is {name!r}"
        if name not in self._plugins:
            raise PluginError(f"{key}; {self.expected(name)}")
        one, *others = self._plugins[name]
        if others:
            raise PluginError(f"{key}, which {self._origins(name)} both register; uninstall one of them")
        try:
            found = one.load()
        except (Exception, SystemExit) as error:  # the code is a stranger's
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise PluginError(
                f"{key}, but {_origin(one)}, which has it, cannot be imported: {reason}"
            ) from error
        for problem in self._misshapen(name, found):
            raise PluginError(f"{key}, but {one.value} of {_origin(one)} {problem}")
        checked: type[Settings] = found
        return checked

    def _origins(self, name: str) -> str:
        return " and ".join(str(_origin(one)) for one in self._plugins[name])

    def _misshapen(self, name: str, found: Any) -> Iterator[str]:
        """What is wrong with a plugin, the first thing first."""
        if not (isinstance(found, type) and is_dataclass(found) and found.__dataclass_params__.frozen):  # type: ignore[attr-defined] # no stub has it
            yield "is no frozen dataclass"
        elif name_of(found) != name:
            yield f"has no field `name: Literal[{name!r}] = {name!r}`"
        elif missing := [member for member in self._members if not hasattr(found, member)]:
            yield f"has no {', '.join(missing)}"


def name_of(settings: type[Any]) -> str | None:
    """The name that a class of settings says it has; None where it says none, or two different ones."""
    default = next((one.default for one in fields(settings) if one.name == "name"), None)
    try:
        hint = get_type_hints(settings).get("name")
    except Exception:  # a hint that cannot be resolved
        return None
    agreed = get_origin(hint) is Literal and get_args(hint) == (default,)
    return default if agreed and isinstance(default, str) else None


def _origin(plugin: EntryPoint) -> Origin:
    found = plugin.dist
    return Origin("an unknown distribution", "?") if found is None else Origin(found.name, found.version)
