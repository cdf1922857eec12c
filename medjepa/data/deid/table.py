"""The table of PS3.15 Annex E: what the Basic Profile and its options do with an attribute."""

import json
from functools import cache
from importlib import resources

from medjepa.data.deid.options import Options


@cache
def _rows() -> tuple[dict[str, dict[str, str]], tuple[tuple[str, dict[str, str]], ...]]:
    """Rows by tag, and those of repeating groups by pattern."""
    text = resources.files("medjepa.data.deid").joinpath("table.json").read_text("utf-8")
    rows = json.loads(text)["rows"]
    return (
        {row["tag"]: row for row in rows if "x" not in row["tag"]},
        tuple((row["tag"], row) for row in rows if "x" in row["tag"]),
    )


def row_of(tag: int) -> dict[str, str] | None:
    """The table's row of a tag, None if it has none."""
    digits = f"{tag:08x}"
    exact, patterns = _rows()
    if digits in exact:
        return exact[digits]
    for pattern, row in patterns:
        if all(p in ("x", d) for p, d in zip(pattern, digits, strict=True)):
            return row
    return None


def action_of(tag: int, options: Options) -> str | None:
    """One of X, Z, D, U, K and C; None for an attribute that the table does not list.

    Where the standard leaves a choice by the type of the attribute in its object, the choice is the
    one that keeps the object valid: an empty value rather than none, a dummy rather than an empty.
    """
    row = row_of(tag)
    if row is None:
        return None
    for column in options.columns():
        if column in row:
            return row[column]
    return {"X/Z": "Z", "X/D": "D", "Z/D": "D", "X/Z/D": "D", "X/Z/U*": "U"}.get(
        row["basic"], row["basic"]
    )
