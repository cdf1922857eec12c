"""Do the rules of an entry hold together? Said when it is loaded, before any folder is read."""

from collections.abc import Iterator

from medjepa.data.catalog.entry import Entry
from medjepa.data.catalog.patterns import pattern
from medjepa.errors import ConfigError

PARTS = ("train", "val", "test")
PATH_FIELDS = ("path", "file", "stem", "folder", "top")
"""Fields that every image has: its path below the root, its name, the name without its ending, the
folder it lies in, and the first folder of its path."""
_WITHOUT_CLASSES = ("none", "regression")


def check_rules(entry: Entry, origin: str) -> None:
    """Refuse an entry whose rules contradict each other.

    Raises:
        ConfigError: with every contradiction.
    """
    try:
        problems = list(_problems(entry))
    except ConfigError as error:  # a pattern that cannot be compiled
        problems = [str(error)]
    if problems:
        raise ConfigError(f"{origin}: {entry.name or 'the entry'}: " + "; ".join(problems))


def _problems(entry: Entry) -> Iterator[str]:
    if not entry.name or entry.name != entry.name.lower() or " " in entry.name:
        yield "name: lower case, without spaces"
    if not entry.sources:
        yield "sources: at least one address that says what is said here"
    if not entry.layout.marks:
        yield "layout.marks: at least one pattern"
    if entry.layout.reader != "decathlon" and not entry.layout.images:
        yield "layout.images: at least one pattern"
    if not entry.classes and entry.task not in _WITHOUT_CLASSES:
        yield f"classes: a task of kind {entry.task} has classes"
    for name in entry.counts.classes:
        if name not in entry.classes:
            yield f"counts.classes.{name}: is none of classes"
    for name in entry.label.values.values():
        if name not in entry.classes:
            yield f"label.values: {name} is none of classes"
    if entry.access.kind != "open" and not entry.access.steps:
        yield f"access.steps: how does one get access ({entry.access.kind})?"
    if entry.group.kind == "none" and not entry.group.note:
        yield "group.note: say why images cannot be grouped"
    layout = entry.layout
    for text in (*layout.marks, *layout.images, *layout.masks, *entry.split.lists.values()):
        pattern(text)
    for text in (*(t.file for t in layout.tables), *(s.file for s in layout.sidecars)):
        pattern(text)
    yield from _split_problems(entry)
    yield from _field_problems(entry)


def _split_problems(entry: Entry) -> Iterator[str]:
    rule = entry.split
    named = [*rule.values.values(), *rule.lists, *rule.ranges, *entry.counts.splits]
    named += [rule.rest] if rule.rest else []
    for part in [*named, *(t.split for t in entry.layout.tables if t.split)]:
        if part not in PARTS:
            yield f"split: {part} is none of {', '.join(PARTS)}"
    if rule.kind == "table" and not any(t.split for t in entry.layout.tables):
        yield "split.kind table: some table needs a split"
    if rule.kind == "lists" and not rule.lists:
        yield "split.kind lists: lists is empty"
    for part, span in rule.ranges.items():
        first, _, last = span.partition("-")
        if not (first.isdigit() and last.isdigit()):
            yield f"split.ranges.{part}: first-last, both whole numbers"


def _field_problems(entry: Entry) -> Iterator[str]:
    """Names of fields that some image pattern does not give."""
    if entry.layout.reader != "files":
        return
    rules: list[tuple[str, str, str]] = [
        ("group", entry.group.kind, entry.group.name),
        ("label", entry.label.kind, entry.label.name),
        ("split", entry.split.kind, entry.split.name),
    ]
    if entry.layout.once:
        rules.append(("layout.once", "field", entry.layout.once))
    for table in entry.layout.tables:
        joined = pattern(table.key_pattern).fields if table.key_pattern else (table.on,)
        rules += [(f"layout.tables ({table.file})", "field", name) for name in joined]
    patterns = [pattern(text) for text in entry.layout.images]
    for where, kind, name in rules:
        if kind in ("field", "ranges") and name not in PATH_FIELDS:
            lacking = [p.text for p in patterns if name not in p.fields]
            if lacking:
                yield f"{where}.name: the pattern {lacking[0]} has no {{{name}}}"
        if kind in ("column", "joined", "number") and not name:
            yield f"{where}.name: which column?"
        if kind in ("column", "joined", "number", "columns") and not (
            entry.layout.tables or entry.layout.sidecars
        ):
            yield f"{where}: a column needs layout.tables or layout.sidecars"
