"""What a configuration's data are, for a person."""

from evosearch.data import DataReport


def data_lines(report: DataReport) -> list[str]:
    """Splits by class, sizes, content hash, then every bad file and every image that stands in two splits or under two
    labels.
    """
    channels, height, width = report.image
    lines = [
        f"{report.name}{f' in {report.root}' if report.root else ''}",
        f"  images as {channels} x {height} x {width}",
    ]
    if report.source is not None:
        modes = ", ".join(f"{count} {mode}" for mode, count in sorted(report.source.modes.items()))
        lines.append(
            f"  files have sides of {report.source.shortest_side} to {report.source.longest_side} pixels; {modes}"
        )
    name = max(len(name) for name in (*report.classes, "class"))
    lines += ["", f"  {'class'.ljust(name)}" + "".join(split.rjust(12) for split in report.counts)]
    for label in report.classes:
        counts = "".join(str(count.get(label, 0)).rjust(12) for count in report.counts.values())
        lines.append(f"  {label.ljust(name)}{counts}")
    totals = "".join(str(sum(count.values())).rjust(12) for count in report.counts.values())
    lines += [
        f"  {'all'.ljust(name)}{totals}",
        "",
        f"  hash {report.key or 'none while there are bad files'}",
    ]
    lines.append(f"  images that stand in two splits: {len(report.duplicates)}")
    lines += [f"    {d.split} {d.name} = {d.other_split} {d.other_name}" for d in report.duplicates]
    lines.append(f"  equal images under different labels: {len(report.contradictions)}")
    lines += [f"    {pair}" for pair in report.contradictions]
    lines += _alike_lines(report)
    lines += [f"  note: {note}" for note in report.notes]
    if report.repeats:
        lines.append(f"  names that stand twice in a split list: {len(report.repeats)}")
        lines += [f"    {line}" for line in report.repeats]
    lines.append(f"  bad files: {len(report.bad_files)}")
    return [*lines, *(f"    {line}" for line in report.bad_files)]


def _alike_lines(report: DataReport) -> list[str]:
    if report.alike_count is None:
        return ["  nearly equal images under different labels: not looked for among so many"]
    first = f", the {len(report.alike)} likest of them" if len(report.alike) < report.alike_count else ""
    return [
        f"  nearly equal images under different labels: {report.alike_count:,}{first}",
        *(f"    {pair}, {pair.likeness:.3f} alike" for pair in report.alike),
    ]
