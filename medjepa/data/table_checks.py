"""What the rows of a table say: files that are there, labels that are given, no leak."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from medjepa.data.table_columns import (
    MISSING,
    group_column,
    label_columns,
    path_columns,
    split_column,
)
from medjepa.errors import InputError, InputWarning

_NUM_NAMED = 3


def check_rows(name: str, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    """Refuse files that are not there and patients in two parts; warn of labels that are missing.

    Files are only looked for where the table names at least one that does lie beside it: a table
    may well belong to another folder.

    Raises:
        InputError: names how many, and the first few.
    """
    for column in path_columns(columns):
        _check_files(name, [row[column] for row in rows])
    group, split = group_column(columns), split_column(columns)
    if group is not None and split is not None:
        _check_split(name, [(row[group], row[split]) for row in rows])
    for column in label_columns(columns):
        missing = sum(row[column].lower() in MISSING for row in rows)
        if missing:
            warnings.warn(
                f"{name}: {missing} of {len(rows)} values of the label column {column!r} are "
                "missing (empty or NaN)",
                InputWarning,
                stacklevel=4,
            )


def _check_files(name: str, cells: Sequence[str]) -> None:
    folder = Path(name).parent
    wanted = {cell: number for number, cell in reversed(list(enumerate(cells, start=2))) if cell}
    missing = [cell for cell in wanted if not _is_file(folder / cell.replace("\\", "/"))]
    if missing and len(missing) < len(wanted):
        missing.sort(key=lambda cell: wanted[cell])
        first = ", ".join(f"row {wanted[cell]}: {cell}" for cell in missing[:_NUM_NAMED])
        raise InputError(
            name, f"{len(missing)} of {len(wanted)} files are not found ({first})", format="CSV"
        )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no disk can have
        return False


def _check_split(name: str, rows: Sequence[tuple[str, str]]) -> None:
    parts: dict[str, set[str]] = {}
    for patient, part in rows:
        if patient and part:
            parts.setdefault(patient, set()).add(part)
    crossing = {patient: sorted(found) for patient, found in parts.items() if len(found) > 1}
    if crossing:
        first = "; ".join(
            f"{patient} in {' and '.join(crossing[patient])}"
            for patient in sorted(crossing)[:_NUM_NAMED]
        )
        raise InputError(
            name,
            f"a leak: {len(crossing)} of {len(parts)} patients are in more than one part of the "
            f"split ({first})",
            format="CSV",
        )
