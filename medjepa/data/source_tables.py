"""The tables that lie beside the images: which file each row means, and whose patient it is."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medjepa.config.columns import no_column
from medjepa.data.files import Found
from medjepa.data.table_columns import MISSING
from medjepa.data.tables import FileMatcher, Table, read_table
from medjepa.data.tables import group_column as find_group
from medjepa.errors import DataError, InputError

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceTable:
    """A table that names files of one source.

    Attributes:
        source: which source.
        table: its rows.
        file_column: the column that names the files.
        group_column: the column that names the patients, None if there is none.
    """

    source: int
    table: Table
    file_column: str
    group_column: str | None


def tables_beside(
    source: int,
    root: Path,
    found: Sequence[Found],
    *,
    table: Path | None,
    image_column: str | None = None,
    group_column: str | None = None,
    folders: bool = False,
) -> list[SourceTable]:
    """The asked table, or every CSV at the top of the source whose rows name its files.

    With `folders` a row may name the folder of a case (volumes: slices or contrasts lie there).

    Raises:
        DataError: the asked table names none of the files, or no table has an asked column.
    """
    candidates = (
        [table] if table is not None else sorted(p for p in root.glob("*.csv") if p.is_file())
    )
    matcher = FileMatcher([entry.relative for entry in found], folders=folders)
    tables = []
    for path in candidates:
        try:
            rows = read_table(path, check=False)
        except InputError as error:
            if table is not None:
                raise
            # Not the user's choice, so no error; but labels may be missed later.
            _logger.warning("the table %s is not used: %s", path.name, error.reason)
            continue
        column = image_column if image_column in rows.columns else matcher.match_column(rows)
        if column is not None:
            named = group_column if group_column in rows.columns else find_group(rows.columns)
            tables.append(SourceTable(source, rows, column, named))
    if table is not None and not tables:
        raise DataError(f"{table}: no column names the files below {root}; is it the right table?")
    for name, purpose in ((image_column, "image"), (group_column, "group")):
        if name is not None and not any(name in t.table.columns for t in tables):
            columns = sorted({c for t in tables for c in t.table.columns})
            there = no_column(name, columns, key=purpose) if columns else "there is no table."
            raise DataError(f"no table beside {root} has the {purpose} column {name!r}: {there}")
    return tables


def groups_of_files(
    tables: Sequence[SourceTable], found: Sequence[Found], *, folders: bool = False
) -> dict[str, str]:
    """Path below the source to its patient, as the tables of that source say."""
    matcher = FileMatcher([entry.relative for entry in found], folders=folders)
    groups: dict[str, str] = {}
    for entry in tables:
        if entry.group_column is None:
            continue
        for row in entry.table:
            group = row[entry.group_column]
            if group.lower() in MISSING:  # NA is nobody, not one person with many images
                continue
            for path in matcher.find_all(row[entry.file_column]):
                groups.setdefault(path, group)
    return groups


def named_files(
    tables: Sequence[SourceTable], found: Sequence[Found], *, folders: bool = False
) -> list[Found]:
    """Those of the found files that a row of the tables names."""
    matcher = FileMatcher([entry.relative for entry in found], folders=folders)
    named = {p for t in tables for row in t.table for p in matcher.find_all(row[t.file_column])}
    return [entry for entry in found if entry.relative in named]
