"""Is a folder what its entry says: files, labels, counts, groups, the split, checksums, copies?"""

from collections import Counter, defaultdict
from pathlib import Path

from medjepa.data.catalog.checksums import check_files, equal_files
from medjepa.data.catalog.entry import Entry
from medjepa.data.catalog.items import Item, Reader, Reading
from medjepa.data.catalog.reading import read_items
from medjepa.data.catalog.report import CheckReport, class_counts


def check_entry(
    entry: Entry,
    folder: str | Path,
    *,
    complete: bool = True,
    checksums: bool = True,
    duplicates: bool = False,
    reader: Reader | None = None,
) -> CheckReport:
    """Read a set and hold it against its entry; the contract for every entry, and for yours.

    `complete` compares the counts as published; `checksums` those of packed files that lie there;
    `duplicates` reads every file to find equal ones. A `reader` of one's own replaces the layout.

    Raises:
        DataError: the folder does not hold this set at all.
        InputError: a table, list or side file is damaged.
    """
    if reader is None:
        reading = read_items(entry, folder)
    else:
        reading = Reading(items=sorted(reader.items(Path(folder)), key=lambda item: item.path))
    report = CheckReport(entry=entry, folder=str(folder), reading=reading)
    report.add("missing", "{num} things that the set names are not there", reading.missing)
    report.add("label", "{num} images have a label or part that no rule explains", reading.strange)
    if not reading.items:
        report.add("layout", "there is not one image; see the layout of the entry")
    if reader is not None:
        _check_items(report, Path(folder))
    _check_labels(report)
    _check_groups(report)
    if complete:
        _check_counts(report)
    if checksums:
        check_files(report, Path(folder))
    if duplicates:
        _check_duplicates(report, Path(folder))
    report.notes += [*reading.notes, *(f"not there: {text}" for text in reading.absent)]
    return report


def _check_items(report: CheckReport, folder: Path) -> None:
    """What a reader of the user's own lists: the files are there, the words are known."""
    gone = [i.path for i in report.items if not (folder / i.path).is_file()]
    report.add("item", "{num} images that the reader lists are not there", gone)
    known = set(report.entry.classes)
    odd = [i.place for i in report.items if known and not set(i.labels or ()) <= known]
    report.add("label", "{num} images have a label that is none of the classes", odd)
    twice = [p for p, n in Counter(i.place for i in report.items).items() if n > 1]
    report.add("item", "{num} images are listed twice", twice)


def _check_labels(report: CheckReport) -> None:
    entry = report.entry
    without = [item.place for item in report.items if item.labels is None]
    if entry.label.kind == "none" or not without:
        if entry.task == "segmentation":
            bare = sum(not item.masks for item in report.items)
            if bare == len(report.items):
                report.add("label", "not one image has a label map")
            elif bare:
                report.notes.append(f"{bare:,} images have no label map (a test part, say)")
        return
    strange = {line.split(": ")[0] for line in report.reading.strange}
    unexplained = [place for place in without if place not in strange]
    if entry.label.required and unexplained:
        report.add("label", "{num} images have no label", unexplained)
    elif unexplained:
        report.notes.append(f"{len(unexplained):,} images have no published label")


def _check_groups(report: CheckReport) -> None:
    entry, items = report.entry, report.items
    if entry.group.kind == "none" and not any(item.group for item in items):
        report.notes.append(f"groups: {entry.group.what}; {entry.group.note}")
        return
    without = [item.place for item in items if item.group is None]
    if without and entry.group.required:
        report.add("group", f"{{num}} images belong to no {entry.group.what}", without)
    elif without:
        report.notes.append(
            f"{len(without):,} images belong to no {entry.group.what}; each counts as its own"
        )
    crossing = crossing_groups(items)
    if not crossing:
        return
    text = f"{{num}} groups ({entry.group.what}) are in several parts of the published split"
    if entry.split.leaks:
        named = ", ".join(crossing[:3])
        report.notes.append(
            f"{text.replace('{num}', f'{len(crossing):,}')}, as is known of this set ({named}, "
            "...): the table calls it published_split, and evaluate splits by group"
        )
    else:
        report.add("leak", text, crossing)


def crossing_groups(items: list[Item]) -> list[str]:
    """Groups in several parts of the split, in words."""
    parts: dict[str, set[str]] = defaultdict(set)
    for item in items:
        if item.group is not None and item.split is not None:
            parts[item.group].add(item.split)
    return [f"{g} in {' and '.join(sorted(p))}" for g, p in sorted(parts.items()) if len(p) > 1]


def _check_counts(report: CheckReport) -> None:
    counts, items = report.entry.counts, report.items
    groups = {item.group for item in items if item.group is not None}
    found = [
        ("images", counts.images, len(items)),
        (f"groups ({report.entry.group.what})", counts.groups, len(groups)),
        ("labelled images", counts.labelled, sum(item.labels is not None for item in items)),
    ]
    here = class_counts(report.entry, items)
    found += [(f"images of class {c}", n, here.get(c, 0)) for c, n in counts.classes.items()]
    parts = Counter(item.split for item in items)
    found += [(f"{part} images", n, parts[part]) for part, n in counts.splits.items()]
    wrong = [
        f"{what}: {n:,} published, {there:,} here"
        for what, n, there in found
        if n is not None and n != there
    ]
    report.add("count", "{num} counts are not as published (complete=false for a part)", wrong)


def _check_duplicates(report: CheckReport, folder: Path) -> None:
    by_path = {item.path: item for item in report.items if item.array is None}
    copies = equal_files(folder, sorted(by_path))
    across, contradictory = [], []
    for same in copies:
        members = [by_path[path] for path in same]
        if len({m.split for m in members}) > 1:
            across.append(" = ".join(same[:3]))
        if len({m.labels for m in members}) > 1:
            contradictory.append(" = ".join(same[:3]))
    report.add("duplicate", "{num} files lie in several parts of the split", across)
    report.add("duplicate", "{num} files have copies with another label", contradictory)
    if copies:
        extra = sum(len(same) - 1 for same in copies)
        report.notes.append(f"{extra:,} files are copies of another, byte by byte")
