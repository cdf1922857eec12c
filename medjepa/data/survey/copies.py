"""The same image more than once: the same bytes, the same pixels, nearly the same picture."""

from collections.abc import Mapping, Sequence

import numpy as np

from medjepa.data.duplicates import equal_groups, joined, near_pairs
from medjepa.data.survey.examine import Seen
from medjepa.data.survey.findings import Finding, counted

MOST_COMPARED = 200_000
"""Pictures among which near copies are looked for; the work grows with the square."""

_KINDS = (
    ("copies", "the same bytes",
     "Each content is stored once; labels that contradict each other are left out."),
    ("pixel_copies", "the same pixels in different files",
     "Keep one of each, or make sure that they stay in the same part of a split."),
    ("near_copies", "nearly the same picture",
     "The same picture saved again (JPEG, size, brightness, mirrored or turned), or two exposures "
     "that a person should tell apart. They must not lie in different parts of a split."),
)  # fmt: skip


def copies(seen: Mapping[int, Seen], series: Sequence[Sequence[int]]) -> list[Finding]:
    """Groups of copies; a file is named once, by the strongest relation that it has.

    Neighbours in a series resemble each other by right: its middle file stands for the series.
    So do masks, by two observers say: only equal ones are named.
    """
    numbers = [n for n, one in seen.items() if not one.constant]
    exact = _named(equal_groups([seen[n].key for n in numbers]), numbers)
    rest = _one_of_each(numbers, exact)
    pixels = _named(equal_groups([seen[n].pixel_key for n in rest]), rest)
    near = _near(seen, _one_of_each(rest, pixels), series)
    found = []
    for (kind, what, advice), groups in zip(_KINDS, (exact, pixels, near), strict=True):
        if groups:
            count = sum(map(len, groups))
            title = f"{counted(count, 'file')} in {counted(len(groups), 'group')} with {what}"
            files = tuple(groups)
            found.append(Finding(kind, "unsure", title, advice, files, side_by_side=True))
    return found


def _near(
    seen: Mapping[int, Seen], numbers: Sequence[int], series: Sequence[Sequence[int]]
) -> list[tuple[int, ...]]:
    others = {n for files in series for n in files if n != files[len(files) // 2]}
    compared = [n for n in numbers if n not in others and not seen[n].is_mask][:MOST_COMPARED]
    if len(compared) < 2:
        return []
    pairs = near_pairs(np.stack([_fingerprint(seen[n]) for n in compared]))
    return [tuple(compared[i] for i in group) for group in joined(pairs)]


def _one_of_each(numbers: Sequence[int], groups: Sequence[tuple[int, ...]]) -> list[int]:
    repeated = {n for group in groups for n in group[1:]}
    return [n for n in numbers if n not in repeated]


def _named(groups: list[list[int]], numbers: Sequence[int]) -> list[tuple[int, ...]]:
    return [tuple(numbers[i] for i in group) for group in groups]


def _fingerprint(one: Seen) -> np.ndarray:
    assert one.fingerprint is not None
    return one.fingerprint
