"""Tables of labels: CSV files whose rows name image files."""

import csv
import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from medjepa.config.columns import column_name, written_columns
from medjepa.data.decode.sniff import IMAGE_SUFFIXES
from medjepa.data.table_checks import check_rows
from medjepa.data.table_columns import group_column, path_columns, split_column
from medjepa.data.table_text import read_text
from medjepa.errors import DataError, InputError, InputWarning

__all__ = [
    "FileMatcher", "Table", "class_names", "group_column", "is_table", "read_table",
    "split_column", "stem_of",
]  # fmt: skip
_MIN_MATCHED = 0.5


@dataclass(frozen=True)
class Table:
    """The rows of a CSV file, all values as text; iterating gives the rows."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]

    def __iter__(self) -> Iterator[Mapping[str, str]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str, purpose: str) -> list[str]:
        """The values of one column.

        Raises:
            DataError: there is no such column; names those that there are.
        """
        if name not in self.columns:
            raise DataError(
                f"{self.path}: no column {name!r} for {purpose}; "
                f"there are {written_columns(self.columns)}"
            )
        return [row[name] for row in self.rows]


def read_table(path: str | Path, *, check: bool = True) -> Table:
    """Read a CSV file with a header (comma, semicolon or tab; UTF-8, UTF-16 with a mark, Latin-1).

    Cells stay text: nothing is computed, whatever they begin with. With `check`, what the rows say
    is judged too: files that the table names beside itself must be there, and no patient may be
    in two parts of a split; empty labels give a warning. Without it that is up to the caller.

    Raises:
        InputError: it is empty, has no header, a row of another length, a path that leads out
            of its folder, or fails a check; it is a spreadsheet and no text.
    """
    name = str(path)
    text, encoding = read_text(name)
    rows_of_cells = _rows_of_cells(name, text)
    header = [column_name(cell) for cell in rows_of_cells[0]]
    _check_header(name, header)
    for number, row in enumerate(rows_of_cells[1:], start=2):
        if len(row) != len(header):
            raise InputError(
                name,
                f"ragged: row {number} has {len(row)} columns, the header has {len(header)}",
                format="CSV",
            )
    rows = tuple(
        dict(zip(header, (cell.strip() for cell in row), strict=True)) for row in rows_of_cells[1:]
    )
    table = Table(path=Path(path), columns=tuple(header), rows=rows)
    _check_paths(name, table)
    if check:
        if encoding != "UTF-8":
            warnings.warn(f"{name}: read in the encoding {encoding}", InputWarning, stacklevel=2)
        check_rows(name, table.columns, table.rows)
    return table


def is_table(path: Path) -> bool:
    """True for a file named .csv, which stands for the images that it names."""
    return path.suffix.lower() == ".csv" and path.is_file()


class FileMatcher:
    """Finds the file that a cell of a table means: by path, by name, or by name without ending.

    With `folders` a cell may also name the folder of a case: then it means all files in there.
    """

    def __init__(self, paths: Sequence[str], *, folders: bool = False) -> None:
        self._by_folder = _by_folder(paths) if folders else {}
        self._by_path = {path: path for path in paths}
        self._by_name = _unique(paths, lambda path: PurePosixPath(path).name)
        self._by_stem = _unique(paths, stem_of)

    def find(self, cell: str) -> str | None:
        """The path below the folder, or None if nothing or more than one file fits."""
        wanted = cell.replace("\\", "/").removeprefix("./")
        if not wanted:
            return None
        return (
            self._by_path.get(wanted)
            or self._by_name.get(wanted.rsplit("/", 1)[-1])
            or self._by_stem.get(wanted)
            or next(iter(self._by_folder.get(wanted.rstrip("/"), ())), None)
        )

    def find_all(self, cell: str) -> tuple[str, ...]:
        """The file that fits, or those of the folder that fits; empty if nothing does."""
        path = self.find(cell)
        wanted = cell.replace("\\", "/").removeprefix("./").rstrip("/")
        in_folder = self._by_folder.get(wanted, ())
        if path is None or path in in_folder:
            return in_folder
        return (path,)

    def match_column(self, table: Table) -> str | None:
        """The column whose cells name the most files; None if less than half of them do."""
        best, best_share = None, 0.0
        for name in table.columns:
            cells = {row[name] for row in table.rows if row[name]}
            # A column with few different values (a label "1" beside "1.png") names no files.
            share = sum(self.find(cell) is not None for cell in cells) / max(len(table.rows), 1)
            if share > best_share:
                best, best_share = name, share
        return best if best_share >= _MIN_MATCHED else None


def stem_of(path: str) -> str:
    """The file's name without its ending; "scan.nii.gz" gives "scan"."""
    name = PurePosixPath(path).name
    for suffix in sorted(IMAGE_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def class_names(labels: Iterable[str]) -> list[str]:
    """The different labels in a fixed order: numbers by value, else by name."""
    names = set(labels)
    try:
        return sorted(names, key=float)
    except ValueError:
        return sorted(names)


def _rows_of_cells(name: str, text: str) -> list[list[str]]:
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [row for row in reader if row]
    except csv.Error as error:
        # An open quote swallows the rest of the file: say where, and what csv found.
        raise InputError(
            name,
            f"ragged: line {reader.line_num}, a quote or a field is wrong ({error})",
            format="CSV",
        ) from error
    if not any(any(row) for row in rows):
        raise InputError(name, "empty table: no header and no rows", format="CSV")
    return rows


def _delimiter(text: str) -> str:
    """The separator that the first line has most of, outside quotes."""
    first_line = next((line for line in text.splitlines() if line.strip()), "")
    outside_quotes = "".join(first_line.split('"')[::2])
    return max(",;\t", key=outside_quotes.count)


def _check_header(name: str, header: list[str]) -> None:
    if len(set(header)) != len(header):
        twice = sorted({repr(c) for c in header if header.count(c) > 1})
        raise InputError(name, f"the header names a column twice: {', '.join(twice)}", format="CSV")
    data_like = [c for c in header if c.lower().endswith(tuple(IMAGE_SUFFIXES)) or _is_number(c)]
    if data_like:
        raise InputError(
            name, f"no header: the first line holds values ({data_like[0]})", format="CSV"
        )


def _check_paths(name: str, table: Table) -> None:
    for column in path_columns(table.columns):
        for number, row in enumerate(table.rows, start=2):
            cell = row[column]
            windows = PureWindowsPath(cell)
            if windows.drive or windows.root or ".." in windows.parts:
                raise InputError(
                    name,
                    f"row {number}: the path {cell!r} leads outside the table's folder",
                    format="CSV",
                )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.lower() not in ("nan", "inf", "infinity")


def _by_folder(paths: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The files that lie in a folder itself, by its path, and by its name where that is unique."""
    folders: dict[str, list[str]] = {}
    for path in sorted(paths):
        folder = path.rpartition("/")[0]
        if folder:
            folders.setdefault(folder, []).append(path)
    by_name = _unique(list(folders), lambda folder: PurePosixPath(folder).name)
    named = {name: tuple(folders[folder]) for name, folder in by_name.items()}
    return named | {folder: tuple(files) for folder, files in folders.items()}


def _unique(paths: Sequence[str], shorten: Callable[[str], str]) -> dict[str, str]:
    found: dict[str, str] = {}
    twice = set()
    for path in paths:
        short = shorten(path)
        if short in found:
            twice.add(short)
        found[short] = path
    return {short: path for short, path in found.items() if short not in twice}
