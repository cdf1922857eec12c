"""Tables of labels: CSV files whose rows name image files."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from medjepa.data.decode.sniff import IMAGE_SUFFIXES
from medjepa.errors import DataError, InputError

_GROUP_NAMES = (
    "patient", "patientid", "patientname", "subject", "subjectid", "participant", "participantid",
    "lesion", "lesionid", "case", "caseid", "group", "groupid",
)  # fmt: skip
_PATH_NAMES = ("file", "path", "filename", "filepath", "image", "imagepath", "imageindex")
_SPLIT_NAMES = ("split",)
_MAX_TABLE_BYTES = 1 << 30
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
                f"there are {', '.join(self.columns)}"
            )
        return [row[name] for row in self.rows]


def read_table(path: str | Path) -> Table:
    """Read a CSV file with a header (comma, semicolon or tab; UTF-8, UTF-16 with a mark, Latin-1).

    Raises:
        InputError: it is empty, has no header, a row of another length, or a path that leads out
            of its folder.
    """
    name = str(path)
    text = _text(name)
    first_line = next(iter(text.splitlines()), "")
    delimiter = max(",;\t", key=first_line.count)
    try:
        lines = [
            row for row in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True) if row
        ]
    except csv.Error as error:
        raise InputError(name, f"ragged: {error}", format="CSV") from error
    if not lines:
        raise InputError(name, "empty table: no header and no rows", format="CSV")
    header = [cell.strip() for cell in lines[0]]
    _check_header(name, header)
    for number, row in enumerate(lines[1:], start=2):
        if len(row) != len(header):
            raise InputError(
                name,
                f"ragged: row {number} has {len(row)} columns, the header has {len(header)}",
                format="CSV",
            )
    rows = tuple(
        dict(zip(header, (cell.strip() for cell in row), strict=True)) for row in lines[1:]
    )
    table = Table(path=Path(path), columns=tuple(header), rows=rows)
    _check_paths(name, table)
    return table


def is_table(path: Path) -> bool:
    """True for a file named .csv, which stands for the images that it names."""
    return path.suffix.lower() == ".csv" and path.is_file()


def group_column(columns: Iterable[str]) -> str | None:
    """The column that names patients (or subjects, lesions, cases), by its usual names."""
    return _by_name(columns, _GROUP_NAMES)


def split_column(columns: Iterable[str]) -> str | None:
    """The column that names the parts of a given split."""
    return _by_name(columns, _SPLIT_NAMES)


class FileMatcher:
    """Finds the file that a cell of a table means: by path, by name, or by name without ending."""

    def __init__(self, paths: Sequence[str]) -> None:
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
        )

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


def _text(name: str) -> str:
    try:
        path = Path(name)
        if not path.is_file():
            raise InputError(name, "no such table", format="CSV")
        if path.stat().st_size > _MAX_TABLE_BYTES:
            raise InputError(name, "too large for a table: over 1 GiB", format="CSV")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(name, f"cannot be opened: {error.strerror}", format="CSV") from error
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    if b"\0" in content[:4096]:
        raise InputError(name, "not a text table: it holds zero bytes", format="CSV")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _check_header(name: str, header: list[str]) -> None:
    if len(set(header)) != len(header):
        twice = sorted({c for c in header if header.count(c) > 1})
        raise InputError(name, f"the header names a column twice: {', '.join(twice)}", format="CSV")
    data_like = [c for c in header if c.lower().endswith(tuple(IMAGE_SUFFIXES)) or _is_number(c)]
    if data_like:
        raise InputError(
            name, f"no header: the first line holds values ({data_like[0]})", format="CSV"
        )


def _check_paths(name: str, table: Table) -> None:
    for column in table.columns:
        if _plain(column) not in _PATH_NAMES:
            continue
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


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _by_name(columns: Iterable[str], names: Sequence[str]) -> str | None:
    plain = {_plain(column): column for column in reversed(list(columns))}
    return next((plain[name] for name in names if name in plain), None)


def _unique(paths: Sequence[str], shorten: Callable[[str], str]) -> dict[str, str]:
    found: dict[str, str] = {}
    twice = set()
    for path in paths:
        short = shorten(path)
        if short in found:
            twice.add(short)
        found[short] = path
    return {short: path for short, path in found.items() if short not in twice}
