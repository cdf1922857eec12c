"""Names of columns as tables, settings and the command line write them, and what if one fails.

Only what cannot be seen is evened out: how a letter with a mark is composed (ö in one sign or in
two) and blanks. Case and spelling are the table's.
"""

import csv
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

COLUMN_KEYS = (
    "label",
    "data.group_column",
    "data.split_column",
    "data.image_column",
    "evaluation.study",
    "evaluation.shortcut",
    "evaluation.across",
)
"""Settings that name columns of the user's table."""


def column_name(text: str) -> str:
    """A name with composed letters, single blanks, and none at its ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def column_names(text: str) -> tuple[str, ...]:
    """The columns that `a,b`, `[a,b]` or `["a,b",c]` names: in quotes a comma is part of a name."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    quote = '"' if '"' in text else "'"
    cells = next(csv.reader([text], skipinitialspace=True, quotechar=quote), [])
    return tuple(column_name(cell) for cell in cells) or ("",)


def written_columns(columns: Iterable[str]) -> str:
    """Columns one after another, those with a comma in quotes."""
    return ", ".join(f'"{name}"' if "," in name else name for name in columns)


def no_column(name: str, columns: Iterable[str], *, key: str) -> str:
    """What there is in place of a column that does not exist, and how it is written: sentences.

    Args:
        name: that was asked for.
        columns: of the table.
        key: the setting that names it.
    """
    there = list(columns)
    text = f"the table has {written_columns(there)}."
    parts = [part.strip() for part in name.split(",")]
    with_comma = [one for one in there if "," in one and name in map(column_name, one.split(","))]
    plain = {one.casefold(): one for one in there}
    near = get_close_matches(name.casefold(), list(plain), n=1)
    if name.startswith("["):
        text += f" {key}= takes one column here, without brackets."
    elif len(parts) > 1 and all(part in there for part in parts):
        text += f" Several columns are written {key}=[{','.join(parts)}], where several are taken."
    elif with_comma:
        text += f" A name with a comma needs quotes and brackets: '{key}=[\"{with_comma[0]}\"]'."
    elif near:
        text += f" Did you mean {plain[near[0]]!r}?"
    return text
