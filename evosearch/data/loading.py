"""From settings to the three splits of a search."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from evosearch.data.arrays import Dataset, content_key
from evosearch.data.exclusion import read_source
from evosearch.data.hygiene import examine
from evosearch.data.listing import by_kind, repairs, shortened
from evosearch.data.settings import Places
from evosearch.data.source import DataSettings
from evosearch.errors import ConfigError, DataError


def load_dataset(
    settings: DataSettings, *, env: Mapping[str, str], cwd: Path, cache: Path | None, begun: bool = False
) -> Dataset:
    """All three splits as read-only uint8 arrays, decoded once and kept in the folder `cache` (None: not kept).

    `env` and `cwd` say where a relative root is looked for. `begun`: for a search that has begun, to which its data
    stay what they were: what only a new search is refused for is a note. Raises ConfigError where there is no such
    folder or no such positive class, DataError, carrying every bad file, where the images cannot be used, CannotRunError where they do not fit into
    memory.
    """
    gathered = read_source(settings, Places(env, cwd, cache))
    listing, arrays = gathered.listing, gathered.arrays
    where = "" if gathered.root is None else f" in {str(gathered.root)!r}"
    if listing.bad:
        raise DataError(
            f"bad files ({len(listing.bad)}){where}: {shortened(by_kind(listing.bad, repaired=False))}; "
            f"{repairs(listing.bad)} (`evosearch data CONFIG` lists all)",
            listing.problems,
        )
    if listing.repeats and not begun:
        raise DataError(
            f"names that are twice in a split list ({len(listing.repeats)}){where}: "
            f"{shortened(listing.repeats)}; name each image once (`evosearch data CONFIG` lists all)",
            listing.repeats,
        )
    if listing.objections and not begun:
        raise DataError(shortened(listing.objections), listing.objections)
    found = (f"{note} (`evosearch data CONFIG` lists them)" for note in examine(listing, arrays).notes)
    notes = (*listing.notes, *listing.repeats, *listing.objections, *found)
    key = content_key(tuple(arrays.values()), listing.classes)
    positive = positive_class(getattr(settings, "positive", None), listing.classes)
    return replace(gathered.dataset(key), notes=notes, positive=positive)


def positive_class(chosen: str | int | None, classes: Sequence[str]) -> int:
    """Number of the positive class, as `data.positive` chooses it by name or number; the second without a choice.

    Raises:
        ConfigError: there is no such class, or there are more than two, of which none is positive.
    """
    if chosen is None:
        return 1
    listed = ", ".join(map(repr, classes[:10])) + (", …" if len(classes) > 10 else "")
    if len(classes) != 2:
        raise ConfigError(
            f"data.positive is {chosen!r}, but there are {len(classes)} classes ({listed}): figures are averaged over all of "
            "them; leave the key out"
        )
    if isinstance(chosen, str) and chosen in classes:
        return classes.index(chosen)
    if isinstance(chosen, int) and chosen in (0, 1):
        return chosen
    raise ConfigError(
        f"data.positive is {chosen!r}; choose one of the classes {listed}, or their numbers 0 and 1"
    )
