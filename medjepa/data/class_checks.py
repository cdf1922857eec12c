"""Values of a label that are no classes: one class in two spellings, and marks for "not known"."""

from collections import Counter
from collections.abc import Sequence

from medjepa.data.spellings import plain_class, several_spellings
from medjepa.errors import DataError

_MARKS = ("?", "??", "???", ".", "..", "...", "--", "---", "#", "*")
"""Cells that say that nobody knows; a single - may be the other one of +."""

_WORDS = (
    "unknown", "not known", "none", "missing", "uncertain", "unclear", "indeterminate",
    "not available", "n.a.", "n.d.", "not done", "tbd", "-", "-1.0",
)  # fmt: skip
"""Values, as `plain_class` writes them, that are a class in some tables and none in others."""

_UNCERTAIN = {"-1.0", "0.0", "1.0"}
_MOST_CLASSES = 10
_NUM_NAMED = 3


def check_classes(label: str, labels: Sequence[str], *, key: str = "positive") -> list[str]:
    """Refuse values that cannot be meant as classes, and say which may not be.

    Args:
        label: column of the table.
        labels: (N,) value of each image.
        key: setting that makes one class of several values; "" where there is none.

    Returns:
        What a reader of the results should know.

    Raises:
        DataError: one class is written in several ways, a value says that it is not known, or
            nearly every image has a value of its own.
    """
    counts = Counter(labels)
    if found := several_spellings(counts):
        shown = "; ".join(" and ".join(map(repr, group)) for group in found[:_NUM_NAMED])
        raise DataError(
            f"label {label!r}: {len(found)} classes are written in several ways ({shown}): write "
            "each alike in the table"
            + (f", or name those that count as one in {key}=[{','.join(found[0])}]" if key else "")
        )
    plain = {plain_class(name): name for name in counts}
    refuse_marks(label, labels)
    if set(plain) == _UNCERTAIN:
        name = plain["-1.0"]
        raise DataError(
            f"label {label!r}: {name!r} ({_images(counts[name])}) beside 0 and 1 is how CheXpert "
            "writes “uncertain”: empty the cell where it is that, or write a word if it is a class"
        )
    if len(counts) > max(_MOST_CLASSES, len(labels) / 2):
        raise DataError(
            f"label {label!r}: {len(counts):,} different values for {_images(len(labels))} are no "
            "classes; name another column, or target=regression if they are measurements"
        )
    return [
        f"{plain[word]!r} ({_images(counts[plain[word]])}) is taken for a class like any other: if "
        "it means that the label is not known, empty the cell."
        for word in _WORDS
        if word in plain and not (word == "-" and "+" in plain)
    ]


def refuse_marks(label: str, labels: Sequence[str]) -> None:
    """Refuse values that only say that nobody knows.

    Raises:
        DataError: there is one; the message names it.
    """
    for mark in _MARKS:
        if num := labels.count(mark):
            raise DataError(
                f"label {label!r}: {mark!r} ({_images(num)}) would count as a class; empty the "
                "cell where the label is not known, or write a word if it is one"
            )


def refuse_other_spellings(
    label: str, labels: Sequence[str], named: Sequence[str], key: str
) -> None:
    """Refuse a choice of values that leaves another spelling of one of them out.

    Args:
        label: column of the table.
        labels: (N,) value of each image.
        named: the values that were chosen, by any setting.
        key: the setting that should name it.

    Raises:
        DataError: the message names both spellings.
    """
    plain = {plain_class(name): name for name in named}
    for name in dict.fromkeys(labels):
        if name not in named and (same := plain.get(plain_class(name))):
            raise DataError(
                f"label {label!r}: {name!r} is {same!r} in another spelling, and {key} does not "
                "name it: write both alike in the table, or name both"
            )


def _images(num: int) -> str:
    return "1 image" if num == 1 else f"{num:,} images"
