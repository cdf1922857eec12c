"""Entries as text: one table of all, one page of each; for the terminal and the documents."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from medjepa.data.catalog.entry import Entry, RemoteFile

COLUMNS = ("name", "modality", "task", "images", "groups", "access", "licence")


def row_of(entry: Entry) -> dict[str, str]:
    """The cells of an entry in the table of all."""
    counts = entry.counts
    return {
        "name": entry.name,
        "modality": f"{entry.modality}, {entry.dimensions}",
        "task": f"{entry.task}, {len(entry.classes)} classes" if entry.classes else entry.task,
        "images": _number(counts.images),
        "groups": f"{_number(counts.groups)} ({entry.group.what})"
        if entry.group.kind != "none"
        else entry.group.what,
        "access": entry.access.kind,
        "licence": entry.licence.name,
    }


def table_text(entries: Iterable[Entry]) -> str:
    """Columns of equal width, for the terminal."""
    rows = [dict(zip(COLUMNS, COLUMNS, strict=True)), *(row_of(entry) for entry in entries)]
    widths = {name: max(len(row[name]) for row in rows) for name in COLUMNS}
    return "\n".join(
        "  ".join(row[name].ljust(widths[name]) for name in COLUMNS).rstrip() for row in rows
    )


def page_text(entry: Entry) -> str:
    """Everything about an entry, for the terminal."""
    return "\n".join(_page(entry))


def to_dict(entry: Entry) -> dict[str, object]:
    """Everything about an entry as plain values, for JSON."""
    return asdict(entry)


def document(entries: Iterable[Entry]) -> str:
    """The reference page: the table of all, then a section for each."""
    every = list(entries)
    lines = [
        "# Data sets",
        "",
        "What `medjepa data` knows; this page is written from the entries "
        "(`python scripts/dataset_page.py`). The data are not part of MedJEPA, and "
        "their licences are their owners'. Your own set: [how to](../how-to/own-dataset.md).",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
    ]
    for entry in every:
        cells = row_of(entry)
        cells["name"] = f"[`{entry.name}`](#{anchor(entry)})"
        lines.append("| " + " | ".join(_cell(cells[name]) for name in COLUMNS) + " |")
    for entry in every:
        lines += ["", f"## {entry.name}", "", "```text", *_page(entry), "```"]
    return "\n".join(lines) + "\n"


def anchor(entry: Entry) -> str:
    """The name of an entry's section in the reference page."""
    return entry.name


def _page(entry: Entry) -> Iterator[str]:
    yield f"{entry.title} ({entry.name})"
    yield f"{entry.modality}, {entry.dimensions}; task: {entry.task}"
    yield f"licence: {entry.licence.name}  {entry.licence.url}"
    yield f"home: {entry.homepage}"
    yield f"cite: {entry.citation}"
    yield f"report: {entry.metric.name}; because {entry.metric.why}"
    yield from _counts(entry)
    yield f"groups: {_group(entry)}"
    yield f"split: {_split(entry)}"
    if entry.classes:
        yield "classes:"
        yield from (f"  {name}: {meaning}" for name, meaning in entry.classes.items())
    yield from _section("know before you use it", entry.traps)
    yield from _layout(entry)
    yield from _section(f"access: {entry.access.kind}", entry.access.steps, numbered=True)
    yield from _files(entry.download.route, entry.download.reference, entry.download.files)
    yield from _section("begin with", entry.commands)
    yield from _section("sources", entry.sources)


def _counts(entry: Entry) -> Iterator[str]:
    counts = entry.counts
    parts = [f"{_number(counts.images)} images"] if counts.images else []
    parts += [f"{counts.labelled:,} labelled"] if counts.labelled else []
    parts += [f"{counts.groups:,} by {entry.group.what}"] if counts.groups else []
    parts += [f"{part} {number:,}" for part, number in counts.splits.items()]
    parts += [f"{name} {number:,}" for name, number in counts.classes.items()]
    yield "published: " + (", ".join(parts) or "no counts")


def _group(entry: Entry) -> str:
    rule = entry.group
    where = {
        "none": "",
        "field": f", from the path ({rule.name})",
        "column": f", column {rule.name}",
    }
    return rule.what + where[rule.kind] + (f"; {rule.note}" if rule.note else "")


def _split(entry: Entry) -> str:
    rule = entry.split
    if rule.kind == "none" and rule.note:
        return f"none; {rule.note}"
    text = {
        "none": "none published",
        "field": "official, by folder or name",
        "column": f"official, column {rule.name}",
        "table": "official, a table for each part",
        "lists": "official, " + " and ".join(rule.lists.values()),
        "ranges": "official, " + ", ".join(f"{p} {s}" for p, s in rule.ranges.items()),
        "inside": "official, in the files themselves",
    }[rule.kind]
    leaks = "; groups cross it, so it is written as published_split" if rule.leaks else ""
    return text + leaks + (f"; {rule.note}" if rule.note else "")


def _layout(entry: Entry) -> Iterator[str]:
    layout = entry.layout
    yield "layout (below DIR or a folder in it):"
    yield from (f"  {text}" for text in layout.images or layout.marks)
    yield from (f"  {text}  (label map)" for text in layout.masks)
    for table in layout.tables:
        yield f"  {table.file}  (table, {table.key} names the image)"
    yield from (f"  {sidecar.file}  ({sidecar.format})" for sidecar in layout.sidecars)
    yield from (f"  {text}  ({part} list)" for part, text in entry.split.lists.items())


def _files(route: str, reference: str, files: Sequence[RemoteFile]) -> Iterator[str]:
    yield f"download: {route}" + (f" ({reference})" if reference else "")
    for file in files:
        size = f", {file.size:,} bytes" if file.size else ""
        sums = [f"{n} {v}" for n, v in (("md5", file.md5), ("sha256", file.sha256)) if v]
        extra = ", optional" if file.optional else ""
        yield f"  {file.name}{size}{''.join(f', {text}' for text in sums)}{extra}"


def _section(title: str, lines: Sequence[str], *, numbered: bool = False) -> Iterator[str]:
    yield from (f"{title}:",) if lines else ()
    for number, line in enumerate(lines, start=1):
        yield f"  {number}. {line}" if numbered else f"  {line}"


def _number(number: int | None) -> str:
    return "not stated" if number is None else f"{number:,}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
