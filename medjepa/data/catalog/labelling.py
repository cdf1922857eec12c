"""From what files and tables say about an image to its label, group and part of the split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medjepa.data.catalog.entry import Entry, LabelRule
from medjepa.data.catalog.rules import PARTS

Row = Mapping[str, str]
Fields = Mapping[str, str]
_YES, _NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")


@dataclass(frozen=True)
class Label:
    """The label of an image: see `Item.labels` and `Item.findings`; `strange` says what is odd."""

    labels: tuple[str, ...] | None = None
    findings: Mapping[str, str] | None = None
    strange: str = ""


def label_of(entry: Entry, fields: Fields, rows: Sequence[Row]) -> Label:
    """Apply the entry's label rule to one image."""
    rule = entry.label
    if rule.kind in ("none", "inside"):
        return Label()
    if rule.kind == "field":
        return _one([fields[rule.name]], entry)
    if not rows:
        return Label()
    if rule.kind == "columns":
        return _marked(entry, rows)
    cells = [row[rule.name] for row in rows if row.get(rule.name, "") != ""]
    if not cells:
        return Label()
    if rule.kind == "number":
        return _number(cells)
    if rule.kind == "joined":
        return _joined(cells, entry)
    return _one(cells, entry)


def group_of(entry: Entry, fields: Fields, rows: Sequence[Row]) -> str | None:
    """The image's patient, lesion or slide."""
    rule = entry.group
    if rule.kind == "field":
        return fields[rule.name]
    if rule.kind == "column":
        return next((row[rule.name] for row in rows if row.get(rule.name)), None)
    return None


def part_of(entry: Entry, fields: Fields, rows: Sequence[Row], table_part: str) -> str | None:
    """The image's part of the official split; a word that is none of the entry's comes as it is."""
    rule = entry.split
    if rule.kind == "table":
        return table_part or None
    if rule.kind == "ranges":
        number = int(fields[rule.name])
        for part, span in rule.ranges.items():
            first, last = span.split("-")
            if int(first) <= number <= int(last):
                return part
        return None
    word: str | None = None
    if rule.kind == "field":
        word = fields[rule.name]
    elif rule.kind == "column":
        word = next((row[rule.name] for row in rows if row.get(rule.name)), None)
    return None if word is None else rule.values.get(word, word)


def known_part(part: str | None) -> bool:
    """True for train, val, test and none."""
    return part is None or part in PARTS


def _one(cells: Sequence[str], entry: Entry) -> Label:
    rule = entry.label
    names = [rule.values.get(cell, cell) for cell in cells if cell not in rule.nothing]
    if not names:
        return Label(())
    unknown = sorted({name for name in names if name not in entry.classes})
    if unknown:
        return Label(strange=f"label {unknown[0]!r}")
    different = sorted(set(names), key=list(entry.classes).index)
    if len(different) > 1 and rule.several in ("same", "any"):
        return Label(strange=f"rows with different labels: {', '.join(different)}")
    if rule.several == "majority":
        return Label((Counter(names).most_common(1)[0][0],))
    return Label((different[-1],))


def _joined(cells: Sequence[str], entry: Entry) -> Label:
    rule = entry.label
    words = [word.strip() for cell in cells for word in cell.split(rule.separator)]
    names = {rule.values.get(w, w) for w in words if w and w not in rule.nothing}
    unknown = sorted(names - set(entry.classes))
    if unknown:
        return Label(strange=f"label {unknown[0]!r}")
    present = tuple(name for name in entry.classes if name in names)
    findings = {name: str(int(name in names)) for name in entry.classes}
    return Label(present, findings if entry.task == "multilabel" else None)


def _marked(entry: Entry, rows: Sequence[Row]) -> Label:
    rule = entry.label
    findings: dict[str, str] = {}
    for name in entry.classes:
        if rule.values:
            columns = [name, *(c for c, v in rule.values.items() if v == name)]
            cells = [next((row[c] for c in columns if c in row), "") for row in rows]
        else:
            cells = [row.get(name, "") for row in rows]
        marks = [_mark(cell, rule) for cell in cells]
        if None in marks:
            return Label(strange=f"{cells[marks.index(None)]!r} in column {name}")
        findings[name] = _together([mark for mark in marks if mark is not None], rule)
        if findings[name] == "?":
            return Label(strange=f"rows that differ in column {name}")
    present = tuple(name for name, mark in findings.items() if mark == "1")
    if entry.task == "multilabel":
        return Label(present, findings)
    if len(present) != 1:
        return Label(strange=f"{len(present)} classes marked where one applies")
    return Label(present)


def _mark(cell: str, rule: LabelRule) -> str | None:
    """A cell as "1", "0" or "" for unknown; None for something else."""
    lowered = cell.lower()
    if cell == "" or cell in rule.unknown:
        return ""
    return "1" if lowered in _YES else "0" if lowered in _NO else None


def _together(marks: Sequence[str], rule: LabelRule) -> str:
    """The marks of several rows as one; "?" where they must agree and do not."""
    known = [mark for mark in marks if mark]
    if not known:
        return ""
    if rule.several == "majority":
        return str(int(2 * known.count("1") > len(known)))
    if rule.several == "same":
        return known[0] if len(set(known)) == 1 else "?"
    return str(int("1" in known))


def _number(cells: Sequence[str]) -> Label:
    try:
        numbers = {float(cell) for cell in cells}
    except ValueError:
        return Label(strange=f"{cells[0]!r} where a number is needed")
    if len(numbers) > 1:
        return Label(strange="rows with different numbers")
    return Label((cells[0],))
