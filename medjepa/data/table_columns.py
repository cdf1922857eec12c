"""What a column of a table is for, by the usual names."""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from medjepa.data.spellings import TOGETHER

MISSING = ("", "nan", "na", "n/a", "null", "<na>", "#n/a", "nat")
"""Cells, in small letters, that say that there is no value: of tables, pandas, R and Excel."""

_GROUP_NAMES = (
    "patient", "patientid", "patientname", "subject", "subjectid", "participant", "participantid",
    "lesion", "lesionid", "case", "caseid", "group", "groupid",
)  # fmt: skip
_PATH_NAMES = ("file", "path", "filename", "filepath", "image", "imagepath", "imageindex")
_SPLIT_NAMES = ("split",)
_LABEL_NAMES = ("label", "labels", "class", "target", "diagnosis", "dx", "category")


def group_column(columns: Iterable[str]) -> str | None:
    """The column that names patients (or subjects, lesions, cases), by its usual names."""
    return _by_name(columns, _GROUP_NAMES)


def split_column(columns: Iterable[str]) -> str | None:
    """The column that names the parts of a given split."""
    return _by_name(columns, _SPLIT_NAMES)


def path_columns(columns: Iterable[str]) -> list[str]:
    """The columns that name files."""
    return [column for column in columns if _plain(column) in _PATH_NAMES]


def label_columns(columns: Iterable[str]) -> list[str]:
    """The columns that name classes."""
    return [column for column in columns if _plain(column) in _LABEL_NAMES]


def site_of(value: str) -> str:
    """What a cell says of where something is from: of an address on the web, the host."""
    text = " ".join(value.split())
    try:
        parts = urlsplit(text)
    except ValueError:  # brackets that are no address
        return text
    return parts.netloc.lower() if parts.scheme in ("http", "https") and parts.netloc else text


def group_cell(row: Mapping[str, str], columns: str | Sequence[str]) -> str:
    """The group of a row: one cell, or several together; "" where one of them is `MISSING`.

    Of several, addresses on the web count by their host: "patient 3 of this site".
    """
    if isinstance(columns, str):
        return "" if row[columns].lower() in MISSING else row[columns]
    cells = [site_of(row[name]) for name in columns]
    return "" if any(cell.lower() in MISSING for cell in cells) else TOGETHER.join(cells)


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _by_name(columns: Iterable[str], names: Sequence[str]) -> str | None:
    plain = {_plain(column): column for column in reversed(list(columns))}
    return next((plain[name] for name in names if name in plain), None)
