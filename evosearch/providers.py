"""What a command is given: where workers, images and time come from, and how it drives its searches."""

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, Self, TypedDict, Unpack, get_args

from evosearch.blueprint import NetworkSize
from evosearch.data import Dataset, load_dataset
from evosearch.errors import InputError
from evosearch.runtime import (
    Watcher,
    Watchers,
    WorkerPool,
)
from evosearch.storage import (
    Onlooker,
)
from workers import make_pool, measure_sizes

Executor = Literal["ray", "local"]


def versions() -> dict[str, str]:
    """Of what changes numerics, journaled with a search."""
    packages = ("evosearch", "torch", "torchvision", "ray", "numpy", "pillow", "scikit-learn")
    return {"python": platform.python_version(), **{package: _version(package) for package in packages}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        # processes of this machine work without ray, so a copy of the project may lack it
        return "not installed"


@dataclass(frozen=True)
class Providers:
    """Where a command takes from what is not its own: workers, images, time. Tests, benchmarks and programs that embed a
    search give others.
    """

    make_pool: Callable[..., WorkerPool] = make_pool
    """As `workers.make_pool`."""
    measure_sizes: Callable[..., tuple[NetworkSize, ...]] = measure_sizes
    """As `workers.measure_sizes`."""
    load_dataset: Callable[..., Dataset] = load_dataset
    """As `evosearch.data.load_dataset`."""
    clock: Callable[[], float] = time.time
    """Seconds since 1970, for what is journaled."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds of a clock that never jumps, for the driver."""
    make_onlooker: Callable[[Callable[[str], None]], Onlooker] = Onlooker
    """What watches drivers that may be dead, given who gets a word of it."""
    versions: Callable[[], Mapping[str, str]] = versions
    """Of Python and its packages."""


@dataclass(frozen=True)
class DriveOptions:
    """How a command deals with its searches, whichever they are."""

    executor: Executor | None = None
    """ray: actors of a Ray cluster; local: processes of this machine. None: as last time, at first ray."""
    address: str | None = None
    """Of a Ray cluster. None: `workers.address`, else RAY_ADDRESS, else a private one."""
    takeover: bool = False
    """Take a search from a driver that is alive; its next commit fails."""
    watcher: Watcher = field(default_factory=Watchers)
    """Called with how it goes."""
    providers: Providers = field(default_factory=Providers)
    """Where workers, images and time come from."""

    @classmethod
    def of(cls, **how: Unpack["Driving"]) -> Self:
        """What `how` says, and the defaults for the rest; the watcher is guarded, so that none ends a search.

        Raises:
            TypeError: there is no such option.
            InputError: there is no such executor.
        """
        options = [one.name for one in fields(cls)]
        for name in how:
            if name not in options:
                raise TypeError(f"unexpected option {name!r}; options are {', '.join(options)}")
        executor = how.get("executor")
        if executor not in (None, *get_args(Executor)):
            raise InputError(f"there is no executor {executor!r}; there are {', '.join(get_args(Executor))}")
        given = {
            **how,
            "watcher": Watchers.of(how.get("watcher")),
            "providers": how.get("providers") or Providers(),
        }
        return cls(**given)  # type: ignore[arg-type] # the keys of `Driving`, whose types are those of the fields

    @cached_property
    def onlooker(self) -> Onlooker:
        """Which watches drivers that may be dead."""
        return self.providers.make_onlooker(self.watcher.note)


class Driving(TypedDict, total=False):
    """`DriveOptions` as the keyword arguments of the functions that train; None: the default."""

    executor: Executor | None
    address: str | None
    takeover: bool
    watcher: Watcher | None
    providers: Providers | None
