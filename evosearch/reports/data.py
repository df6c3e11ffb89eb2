"""What a configuration's data are, for a person at a terminal of 80 columns."""

from collections.abc import Iterable
from textwrap import wrap

from evosearch.data import Audit, DataReport, Twin
from evosearch.data.findings import MANY
from evosearch.data.shortcuts import FOLDS
from evosearch.data.twins import ALIKE, DETAIL
from evosearch.reports.words import counted

_WIDTH = 80


MOST_SHOWN = 3
"""So many pairs of a kind are listed; `--json` has all."""


def data_lines(report: DataReport) -> list[str]:
    """The audit's sentences, the worst first; splits by class, sizes, content hash, every file by what became of it, then what
    the sentences rest on, and the bad files by kind.
    """
    each = " (--json names each)" if len(report.bad_kinds) < len(report.bad_files) else ""
    return [
        f"{report.name}{f' in {report.root}' if report.root else ''}",
        *_caveat_lines(report.audit),
        *_source_lines(report),
        "",
        *_table(report),
        *_majority_lines(report),
        "",
        f"  hash {report.key or 'none while there are bad files'}",
        *_file_lines(report),
        *([] if report.groups is None else [f"  groups: {report.groups:,}"]),
        *(_found_lines(report) if report.audit is None else _audit_lines(report.audit)),
        *(line for note in report.notes for line in _wrapped(f"note: {note}")),
        *_listed("names that are twice in a split list", report.repeats),
        *(line for one in report.objections for line in _wrapped(f"no new search begins with these: {one}")),
        f"  bad files: {len(report.bad_files) - report.missing:,}{each}",
        *([f"  missing files: {report.missing:,}"] if report.missing else []),
        *_items(report.bad_kinds),
    ]


def _caveat_lines(audit: Audit | None) -> list[str]:
    if audit is None:
        return ["  not audited while there are bad files", ""]
    if not audit.caveats:
        return []
    return [*(line for one in audit.caveats for line in _wrapped(f"! {one}")), ""]


def _audit_lines(audit: Audit) -> list[str]:
    across = [one for one in audit.twins if one.split != one.other_split and one.label == one.other_label]
    pairs = ", ".join(f"{count:,} {_where(splits)}" for splits, count in audit.twin_counts.items())
    return [
        *_wrapped(f"twins: {pairs or 'none'}; {_looked(audit)}"),
        *_shortened(map(_pair, across)),
        f"  twins under different labels: {audit.conflict_count:,}",
        *_shortened(map(_pair, audit.conflicts)),
        *_wrapped(f"file headers alone: {_headers(audit)}"),
        *_pixel_lines(audit),
        f"  images of one colour: {sum(one.copies for one in audit.constant_images):,}; "
        f"pictures that are there {MANY} times or more: {len(audit.repeated):,}",
    ]


def _where(splits: str) -> str:
    one, _, other = splits.partition(", ")
    return f"inside {one}" if one == other else f"of {one} and {other}"


def _looked(audit: Audit) -> str:
    if audit.set_aside is None:
        return "near ones were not looked for among images so many or so small"
    return f"{counted(audit.set_aside, 'further pair')} alike as wholes (from {ALIKE:g}), not in detail (from {DETAIL:g})"


def _pair(twin: Twin) -> str:
    return str(twin) if twin.likeness == 1 else f"{twin}, {twin.likeness:.3f} alike"


def _headers(audit: Audit) -> str:
    if audit.shortcut_validation is None:
        return "no image has a file of its own"
    said = f"{audit.shortcut_validation:.1%} of validation, a constant answer {audit.constant_answer:.1%}"
    if not audit.split_shift:
        few = sum(count >= FOLDS for count in audit.counts.values()) < 2
        return f"{said}; {'too few to tell splits apart' if few else 'all are equal'}"
    best = audit.split_shift[0]
    return f"{said}; they tell {best.one} from {best.other} with AUROC {best.auroc:.2f}"


def _pixel_lines(audit: Audit) -> list[str]:
    if audit.pixels_validation is None:
        return []
    return _wrapped(
        f"ten statistics of the pixels alone: {audit.pixels_validation:.1%} of validation, a constant answer "
        f"{audit.constant_answer:.1%}"
    )


def _found_lines(report: DataReport) -> list[str]:
    """What was found in the images that are usable while others are not."""
    return [
        f"  images that are in two splits: {len(report.duplicates)}",
        *_shortened(f"{d.split} {d.name} = {d.other_split} {d.other_name}" for d in report.duplicates),
        f"  equal images under different labels: {len(report.contradictions)}",
        *_shortened(map(str, report.contradictions)),
        *_alike_lines(report),
    ]


def _source_lines(report: DataReport) -> list[str]:
    channels, height, width = report.image
    lines = [f"  images as {channels} x {height} x {width}"]
    source = report.source
    if source is None:
        return lines
    modes = ", ".join(f"{count} {mode}" for mode, count in sorted(source.modes.items()))
    equal = source.shortest_side == source.longest_side
    sides = f"{source.shortest_side}{'' if equal else f' to {source.longest_side}'}"
    lines += _wrapped(f"files have sides of {sides} pixels; {modes}")
    if deep := source.deep:
        low, high = deep.window
        lines += _wrapped(
            f"values of {counted(deep.count, 'deep picture')}: {deep.low:g} to {deep.high:g}; {low:g} to {high:g} become black "
            "to white (data.window)"
        )
    return lines


def _table(report: DataReport) -> list[str]:
    longest = max(len(name) for name in (*report.classes, "class"))
    name = min(longest, _WIDTH - 2 - 12 * len(report.counts))
    lines = [f"  {'class'.ljust(name)}" + "".join(split.rjust(12) for split in report.counts)]
    for label in report.classes:
        counts = "".join(str(count.get(label, 0)).rjust(12) for count in report.counts.values())
        long = len(label) > name  # on a line of its own
        lines += [f"  {label}", f"  {'':{name}}{counts}"] if long else [f"  {label.ljust(name)}{counts}"]
    totals = "".join(str(sum(count.values())).rjust(12) for count in report.counts.values())
    return [*lines, f"  {'all'.ljust(name)}{totals}"]


def _majority_lines(report: DataReport) -> list[str]:
    if report.majority is None:
        return []
    shares = ", ".join(f"{share:.1%} of {split}" for split, share in report.majority.shares.items())
    return _wrapped(f"largest class: {report.majority.name}, {shares}")


def _file_lines(report: DataReport) -> list[str]:
    files = report.files
    if files is None:
        return []
    passed = ", ".join(f"{count:,} {kind}" for kind, count in files.ignored.items())
    ignored = sum(files.ignored.values())
    return _wrapped(
        f"files: {files.every:,}, of these {files.used:,} used, {files.refused:,} refused, {ignored:,} not used"
        f"{f' ({passed})' if passed else ''}"
    )


def _listed(title: str, lines: tuple[str, ...]) -> list[str]:
    return [f"  {title}: {len(lines)}", *_items(lines)] if lines else []


def _alike_lines(report: DataReport) -> list[str]:
    if report.alike_count is None:
        return ["  nearly equal images under different labels: not looked for (many, or small)"]
    first = f", the {len(report.alike)} likest of them" if len(report.alike) < report.alike_count else ""
    return [
        f"  nearly equal images under different labels: {report.alike_count:,}{first}",
        *_items(f"{pair}, {pair.likeness:.3f} alike" for pair in report.alike),
    ]


def _shortened(texts: Iterable[str]) -> list[str]:
    every = list(texts)
    more = len(every) - MOST_SHOWN
    return _items([*every[:MOST_SHOWN], *([f"and {more:,} more (--json names each)"] if more > 0 else [])])


def _items(texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in _wrapped(text, "    ")]


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    """Indented, and further where it goes on; a path without blanks is never broken."""
    return wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
