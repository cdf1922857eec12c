"""Classes and patients by part of the split, and what crosses from one part to another."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from medjepa.data.source_tables import SourceTable
from medjepa.data.survey.findings import Finding, counted, single
from medjepa.data.table_columns import label_columns
from medjepa.data.tables import FileMatcher, class_names, split_column
from medjepa.errors import DataError

FOLDER = "folder"
"""`label=folder` takes the name of the folder that a file lies in, as `evaluate` does."""

_MISSING = ("", "nan", "na", "n/a", "null")
_MOST_CLASSES = 60
_ADVICE = (
    "The test would reward recognising them. Correct the split column, or let `evaluate` split by "
    "patient (split=auto)."
)


@dataclass(frozen=True)
class Labels:
    """What a table says of the files.

    Attributes:
        columns: (purpose, column) that were found.
        parts: of the split, [""] if there is none.
        counts: class -> for each part (images, patients, None if unknown).
        num_rows: of the table.
        of_file: number of a file -> its row; private.
    """

    columns: tuple[tuple[str, str], ...] = ()
    parts: tuple[str, ...] = ()
    counts: Mapping[str, tuple[tuple[int, int | None], ...]] = field(default_factory=dict)
    num_rows: int = 0
    of_file: Mapping[int, Mapping[str, str]] = field(default_factory=dict, repr=False)

    def column(self, purpose: str) -> str | None:
        """The column for label, group or split; None if there is none."""
        return dict(self.columns).get(purpose)


def labels_of(
    tables: Sequence[SourceTable],
    paths: Mapping[int, str],
    label: str | None,
    split: str | None = None,
) -> tuple[Labels, list[Finding]]:
    """Join the table that has the label (or the longest) with the files; paths as the tables say.

    Raises:
        DataError: no table has the asked column.
    """
    if label == FOLDER and not any(FOLDER in entry.table.columns for entry in tables):
        rows = {n: {FOLDER: PurePosixPath(path).parent.name} for n, path in paths.items()}
        return _labels((("label", FOLDER),), rows, len(rows)), []
    for name, key in ((label, "label"), (split, "split")):
        if name is not None:
            columns = sorted({c for entry in tables for c in entry.table.columns})
            tables = [entry for entry in tables if name in entry.table.columns]
            if not tables:
                raise DataError(
                    f"{key}: no column {name!r}; the columns are {', '.join(columns) or 'none'}; "
                    "name a table with table=FILE.csv"
                )
    if not tables:
        return Labels(), []
    entry = max(tables, key=lambda one: len(one.table))
    numbers = {path: n for n, path in paths.items()}
    matcher = FileMatcher(list(numbers))
    of_file: dict[int, Mapping[str, str]] = {}
    missing = 0
    for row in entry.table:
        found_path = matcher.find(row[entry.file_column])
        if found_path is None:
            missing += 1
        else:
            of_file[numbers[found_path]] = row
    named = {
        "file": entry.file_column,
        "label": label or next(iter(label_columns(entry.table.columns)), None),
        "group": entry.group_column,
        "split": split or split_column(entry.table.columns),
    }
    columns_found = tuple((purpose, name) for purpose, name in named.items() if name)
    labels = _labels(columns_found, of_file, len(entry.table))
    findings = [*_missing(missing, labels), *_unlabelled(labels), *_crossing_groups(labels)]
    return labels, findings


def crossing_copies(labels: Labels, findings: Sequence[Finding]) -> list[Finding]:
    """Groups of copies that lie in more than one part of the split, or under two labels."""
    found = []
    for one in findings:
        if not one.kind.endswith("copies"):
            continue
        what = one.kind.replace("_", " ")
        for purpose, level, kind, title, text in (
            ("split", "bad", "leak", "cross the split", _ADVICE),
            ("label", "unsure", "contradictory", "have different labels",
             "One of them is wrong, or the label is of a finding that the picture does not hold."),
        ):  # fmt: skip
            column = labels.column(purpose)
            groups = [g for g in one.files if column and _differ(labels, g, column)]
            if groups:
                found.append(
                    Finding(
                        f"{kind}_{one.kind}",
                        "bad" if level == "bad" else "unsure",
                        f"{counted(len(groups), 'group')} of {what} that {title}",
                        text,
                        tuple(groups),
                        side_by_side=True,
                    )
                )
    return found


def _differ(labels: Labels, group: Sequence[int], column: str) -> bool:
    values = {labels.of_file[n][column] for n in group if n in labels.of_file}
    return len(values - {""}) > 1


def _missing(count: int, labels: Labels) -> list[Finding]:
    if not count:
        return []
    title = f"{count:,} of {labels.num_rows:,} rows of the table name no file here"
    text = "The files are missing, or stand under another name."
    return [Finding("missing_files", "unsure", title, text)]


def _crossing_groups(labels: Labels) -> list[Finding]:
    split, group = labels.column("split"), labels.column("group")
    if split is None or group is None:
        return []
    parts: dict[str, set[str]] = {}
    files: dict[str, list[int]] = {}
    for number, row in labels.of_file.items():
        if row[group] and row[split]:
            parts.setdefault(row[group], set()).add(row[split])
            files.setdefault(row[group], []).append(number)
    crossing = [name for name, found in parts.items() if len(found) > 1]
    if not crossing:
        return []
    title = f"{len(crossing):,} of {len(parts):,} patients in more than one part of the split"
    details = tuple("in " + " and ".join(sorted(parts[name])) for name in crossing)
    groups = tuple(tuple(sorted(files[name])) for name in crossing)
    return [Finding("leak_patients", "bad", title, _ADVICE, groups, details)]


def _unlabelled(labels: Labels) -> list[Finding]:
    label = labels.column("label")
    empty = [n for n, r in labels.of_file.items() if label and r[label].lower() in _MISSING]
    if not empty:
        return []
    title = f"{counted(len(empty), 'image')} without a value for {label}"
    text = "They serve pre-training, not the evaluation."
    return [Finding("unlabelled", "note", title, text, single(sorted(empty)))]


def _labels(
    columns: tuple[tuple[str, str], ...], rows: Mapping[int, Mapping[str, str]], num_rows: int
) -> Labels:
    named = dict(columns)
    label, group, split = (named.get(purpose) for purpose in ("label", "group", "split"))
    parts = tuple(sorted({row[split] for row in rows.values()})) if split else ("",)
    counts: dict[str, tuple[tuple[int, int | None], ...]] = {}
    # A column with a value of its own for nearly each image, or of patients, names no classes.
    names = class_names(row[label] for row in rows.values()) if label and label != group else []
    if 0 < len(names) <= max(2, min(_MOST_CLASSES, len(rows) // 2)):
        images: Counter[tuple[str, str]] = Counter()
        groups: dict[tuple[str, str], set[str]] = {}
        for row in rows.values():
            cell = (row[label or ""], row[split] if split else "")
            images[cell] += 1
            if group:
                groups.setdefault(cell, set()).add(row[group])
        for name in names:
            counts[name] = tuple(
                (images[name, part], len(groups.get((name, part), ())) if group else None)
                for part in parts
            )
    return Labels(columns, parts, counts, num_rows, rows)
